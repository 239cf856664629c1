"""Front ends that are there with an extra."""

from __future__ import annotations


def missing(error: ModuleNotFoundError, extra: str) -> ModuleNotFoundError:
    """Return the same error, with the extra to install.

    Args:
        error: The error of the import.
        extra: The extra that brings the package.
    """
    return ModuleNotFoundError(
        f"{error.name} is not installed: pip install 'qrmi-compat[{extra}]'", name=error.name
    )
