"""Locks that a forked child process finds unlocked, those of modules included."""

from __future__ import annotations

import importlib
import os
import threading
import time
import weakref
from types import TracebackType


class Lock:
    """A lock made anew in a forked child.

    Another thread of the parent may have held it at the time of the fork; that thread does not
    exist in the child, and would never release it.

    Args:
        reentrant: True if the thread that holds the lock may acquire it again.
    """

    def __init__(self, *, reentrant: bool = False) -> None:
        self._make = threading.RLock if reentrant else threading.Lock
        self._lock = self._make()
        _locks.add(self)

    def acquire(self, timeout: float | None = None) -> bool:
        """Acquire the lock; return False if it was not free in time.

        Args:
            timeout: Seconds to wait; None for ever, 0 tries once.
        """
        seconds = -1.0 if timeout is None else min(timeout, threading.TIMEOUT_MAX)
        return self._lock.acquire(timeout=seconds)

    def release(self) -> None:
        """Release the lock, held by this thread."""
        self._lock.release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


_LONGEST_IMPORT_SECONDS = 10.0
_locks: weakref.WeakSet[Lock] = weakref.WeakSet()
_never_ending: weakref.WeakSet[object] = weakref.WeakSet()
"""Locks of imports that a fork has waited for in vain; no further one does."""


def _renew_all() -> None:
    for lock in list(_locks):
        lock._lock = lock._make()


def _let_imports_end() -> None:
    """Wait, at most 10 s and once for each import, until no other thread imports a module.

    The lock of such a module stays taken in a forked child, which would wait for it for ever when
    it needs the module; most modules are imported where they are first used.
    """
    module_locks = getattr(importlib._bootstrap, "_module_locks", {})  # of CPython
    end = time.monotonic() + _LONGEST_IMPORT_SECONDS
    while True:
        locks = {reference() for reference in list(module_locks.values())} - {*_never_ending}
        idle = (None, threading.get_ident())
        taken = [lock for lock in locks if getattr(lock, "owner", None) not in idle]
        if not taken:
            return
        if time.monotonic() > end:
            _never_ending.update(taken)
            return
        time.sleep(0.001)


os.register_at_fork(before=_let_imports_end, after_in_child=_renew_all)
