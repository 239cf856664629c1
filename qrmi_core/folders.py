"""The user's folders, for accounts that have no usable home folder too.

Containers and batch systems start processes without ``HOME``, with an empty one, or under a user
id without an entry in the password database. Everything in QRMI that needs a home folder asks
here, and gets the same error.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from qrmi_core.errors import ConfigError


def home_folder(environment: Mapping[str, str] | None = None) -> Path:
    """Return the user's home folder: ``HOME`` if that is an absolute path, else the account's.

    Args:
        environment: The variables; by default those of the process.

    Raises:
        ConfigError: The user has no home folder.
    """
    import pwd

    home = (os.environ if environment is None else environment).get("HOME", "").strip()
    if not os.path.isabs(home):
        try:
            home = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:
            home = ""
    if not os.path.isabs(home):
        raise ConfigError(
            f"user id {os.getuid()} has no home folder: set HOME to the absolute path of one"
        )
    return Path(home)


def config_folder() -> Path:
    """Return the folder of the user's configuration files: ``XDG_CONFIG_HOME`` or ``~/.config``.

    Raises:
        ConfigError: The user has no home folder.
    """
    return _xdg_folder("XDG_CONFIG_HOME", ".config")


def state_folder() -> Path:
    """Return the folder of the user's state: ``XDG_STATE_HOME`` or ``~/.local/state``.

    Raises:
        ConfigError: The user has no home folder.
    """
    return _xdg_folder("XDG_STATE_HOME", ".local/state")


def expand(path: str | os.PathLike[str]) -> Path:
    """Return a path with the home folder in place of a leading ``~`` or ``~user``.

    Raises:
        ConfigError: The home folder is unknown.
    """
    found = Path(path)
    if not found.parts or not found.parts[0].startswith("~"):
        return found
    if found.parts[0] == "~":
        return home_folder().joinpath(*found.parts[1:])
    try:
        return found.expanduser()
    except RuntimeError:
        raise ConfigError(f"{found}: no such user's home folder") from None


def _xdg_folder(variable: str, default: str) -> Path:
    folder = os.environ.get(variable) or ""
    # The XDG specification has relative paths ignored.
    return Path(folder) if os.path.isabs(folder) else home_folder() / default
