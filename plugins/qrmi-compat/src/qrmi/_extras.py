"""Errors of front ends whose extra is not installed."""

from __future__ import annotations


def missing(error: ModuleNotFoundError, extra: str) -> ModuleNotFoundError:
    """Return an import error that names the extra to install.

    Args:
        error: The original import error.
        extra: The extra that installs the package.
    """
    return ModuleNotFoundError(
        f"{error.name} is not installed: pip install 'qrmi-compat[{extra}]'", name=error.name
    )
