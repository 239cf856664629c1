"""The installed faces: entry points, listed without importing and loaded one at a time."""

from __future__ import annotations

from typing import Final

from qrmi_core import PluginError, UnsupportedResourceTypeError
from qrmi_core.plugin import installed, load
from qrmi_emulator.face import Face

GROUP: Final = "qrmi.emulator.faces"


def vendors() -> list[str]:
    """Return the names of the installed faces, unimported, those of qrmi-emulator first."""
    found = installed(GROUP)
    own = [info.name for info in found if info.distribution == "qrmi-emulator"]
    return list(dict.fromkeys([*own, *(info.name for info in found)]))


def face_class(name: str) -> type[Face]:
    """Import a face and return its class.

    Raises:
        ValueError: No installed face has this name.
        PluginError: It cannot be used; the message names it and the cause.
    """
    try:
        found = load(name, GROUP)
    except UnsupportedResourceTypeError:
        known = ", ".join(vendors())
        raise ValueError(f"there is no vendor {name!r}; there are: {known}") from None
    if not (isinstance(found, type) and issubclass(found, Face)):
        raise PluginError(
            f"face {name} cannot be used: its entry point is not a subclass of "
            "qrmi_emulator.face.Face; please report this to its authors"
        )
    if found.name != name:
        raise PluginError(
            f"face {name} cannot be used: its class has the name {found.name!r}; "
            "please report this to its authors"
        )
    return found
