"""Telling a broken or shadowed dependency from a defect of our own."""

from __future__ import annotations

import os
import sys
from types import ModuleType


def broken_dependency(error: BaseException) -> str | None:
    """Return which module an import failed in, and why; None for any other error.

    Imports nothing itself, since any module may be the broken one.
    """
    found = _named_by(error)
    if isinstance(error, ModuleNotFoundError):
        if found is None and error.name and not _is_ours(error.name):
            return f"module {error.name} is not installed; install the package that it belongs to"
    else:
        found = found or _imported_last(error)
    if found is None:
        return None
    name, file = found
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return (
        f"module {name} ({file}) cannot be used: {reason}; reinstall its package, or take the "
        "file away if it shadows another module (see PYTHONPATH)"
    )


def _named_by(error: BaseException) -> tuple[str, str] | None:
    """Return name and file of the module that the error itself is about."""
    match error:
        case SyntaxError(filename=str(file)) if os.path.isfile(file):
            name = os.path.basename(file).removesuffix(".py")
        case ImportError(name=str(name), path=str(file)):
            pass
        case ModuleNotFoundError(name=str(name)):
            # A module in a file of the name of a package has no modules in it.
            name = name.partition(".")[0]
            file = str(getattr(sys.modules.get(name), "__file__", None) or "")
        case AttributeError(obj=ModuleType(__name__=str(name), __file__=str(file))):
            pass
        case _:
            return None
    return (name, file) if file and not _is_ours(name) else None


def _imported_last(error: BaseException) -> tuple[str, str] | None:
    """Return name and file of the innermost module whose import the error ended."""
    found = None
    link = error.__traceback__
    while link is not None:
        names = link.tb_frame.f_globals
        name, file = names.get("__name__"), names.get("__file__")
        if link.tb_frame.f_code.co_name == "<module>" and name and name != "__main__" and file:
            found = (str(name), str(file))
        link = link.tb_next
    return None if found is None or _is_ours(found[0]) else found


def _is_ours(module: str) -> bool:
    return module.partition(".")[0].startswith("qrmi")
