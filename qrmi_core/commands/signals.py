"""SIGINT and SIGTERM as exceptions, for an orderly end."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import Any, ClassVar, Self

from qrmi_core.commands.output import say

GRACE_SECONDS = 10.0
"""How long an exchange that must not be torn may go on after a signal."""
_SOON_SECONDS = 0.01
SIGNAL_BASE = 128
"""A signal ends the command with this and its number, as shells show it."""


class Interrupted(KeyboardInterrupt):
    """A signal asked the command to end.

    Args:
        number: The signal's number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted by signal {number}")
        self.number = number


class Signals:
    """Raises `Interrupted` on SIGINT and SIGTERM while the context lasts.

    Attributes:
        numbers: The signals.
        received: The signal that was raised last, None before one was.
    """

    numbers: ClassVar[tuple[signal.Signals, ...]] = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.received: int | None = None
        self._fragile = False
        self._finishing = False
        self._pending: int | None = None
        self._lost: int | None = None
        self._former: dict[int, Any] = {}
        self._former_alarm: Any = None
        self._former_hook = sys.unraisablehook

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            sys.unraisablehook = self._unraisable
            for number in self.numbers:
                self._former[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
        if self._former_alarm is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._former_alarm)
        sys.unraisablehook = self._former_hook

    @contextmanager
    def fragile(self) -> Iterator[None]:
        """Let the block end before a signal takes effect, whether it succeeds or fails.

        A second signal, or the end of `GRACE_SECONDS`, breaks it off all the same.
        """
        self._fragile = True
        try:
            yield
        except Exception as error:
            self._raise_pending(error)
            raise
        finally:
            self._fragile = False
        self._raise_pending()

    def sleep(self, seconds: float) -> None:
        """Sleep; nothing is torn by a signal that comes meanwhile."""
        self._raise_pending()
        fragile, self._fragile = self._fragile, False
        try:
            time.sleep(seconds)
        finally:
            self._fragile = fragile

    def finish(self) -> None:
        """Ignore signals from now on, since the command is about to end."""
        self._finishing = True

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self._finishing:
            return
        if not self._fragile or self._pending is not None:
            self._pending = number
            self._raise_pending()
        self._pending = number
        self._start_timer(GRACE_SECONDS)
        # Python refuses to write if the signal came while standard error was being written.
        with suppress(RuntimeError):
            say(
                f"the response under way is waited for, {GRACE_SECONDS:.0f} s at most; "
                "interrupt again to leave at once"
            )

    def _expired(self, _number: int, frame: FrameType | None) -> None:
        lost, self._lost = self._lost, None
        if lost is not None:
            Signals._handle(self, lost, frame)
        elif not self._finishing:
            self._raise_pending()

    def _start_timer(self, seconds: float) -> None:
        if self._former_alarm is None:
            self._former_alarm = signal.signal(signal.SIGALRM, self._expired)
        signal.setitimer(signal.ITIMER_REAL, seconds)

    def _raise_pending(self, cause: Exception | None = None) -> None:
        number, self._pending = self._pending, None
        if number is not None:
            self.received = number
            interrupt = Interrupted(number)
            if cause is not None:
                interrupt.add_note(str(cause))
            raise interrupt from cause

    def _unraisable(self, unraisable: Any) -> None:
        """Raise an interrupt anew that came in a callback, such as a weak reference's.

        Python ignores exceptions there, and shows their tracebacks.
        """
        if isinstance(unraisable.exc_value, Interrupted):
            self._lost = unraisable.exc_value.number
            self._start_timer(_SOON_SECONDS)
        else:
            self._former_hook(unraisable)
