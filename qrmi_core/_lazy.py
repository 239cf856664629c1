"""Modules whose names are imported from their homes when they are first used."""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing takes longer than this module
if TYPE_CHECKING:
    from collections.abc import Mapping


def export(namespace: dict[str, object], homes: Mapping[str, str]) -> None:
    """Give a module the names of other modules.

    Args:
        namespace: The module's ``globals()``.
        homes: Names, separated by blanks, by the module that defines them.
    """
    home_of = {name: home for home, names in homes.items() for name in names.split()}

    def get(name: str) -> object:
        import importlib

        if name not in home_of:
            raise AttributeError(f"module {namespace['__name__']!r} has no attribute {name!r}")
        value = namespace[name] = getattr(importlib.import_module(home_of[name]), name)
        return value

    namespace.update(__getattr__=get, __dir__=lambda: list(home_of), __all__=list(home_of))
