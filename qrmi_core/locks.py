"""Locks that a forked child process finds unlocked."""

from __future__ import annotations

import os
import threading
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
        return self._lock.acquire(timeout=-1 if timeout is None else timeout)

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


_locks: weakref.WeakSet[Lock] = weakref.WeakSet()


def _renew_all() -> None:
    for lock in list(_locks):
        lock._lock = lock._make()


os.register_at_fork(after_in_child=_renew_all)
