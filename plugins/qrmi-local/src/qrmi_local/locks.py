"""Locks that end with the process that holds them, which is how others see that it lives.

A lock is tested by taking it for a moment, so tests must not meet: `TaskStore` makes them within
its write transactions only.
"""

from __future__ import annotations

import os
from pathlib import Path

from qrmi_core.plugin import lock_file

_kept: dict[str, int] = {}


def is_held(path: Path) -> bool:
    """Return True if somebody holds the lock."""
    if not path.exists():
        return False
    descriptor = lock_file(path)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False


def keep(name: str, descriptor: int) -> None:
    """Hold a lock until `drop` or the end of this process; forked children do not hold it."""
    _kept[name] = descriptor


def drop(name: str) -> None:
    """Give up a lock that this process keeps, if it does."""
    descriptor = _kept.pop(name, None)
    if descriptor is not None:
        os.close(descriptor)


def _drop_all() -> None:
    for name in list(_kept):
        drop(name)


# A lock belongs to the open file, which a forked child would keep open after its parent's end.
os.register_at_fork(after_in_child=_drop_all)
