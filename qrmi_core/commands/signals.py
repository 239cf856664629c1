"""SIGINT and SIGTERM as exceptions, for an orderly end."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, ClassVar, Self

from qrmi_core.commands.exits import Interrupted
from qrmi_core.commands.output import say

GRACE_SECONDS = 10.0
"""How long an exchange that must not be torn may go on after a signal."""


class Signals:
    """Raises `Interrupted` on SIGINT and SIGTERM while the context lasts.

    Attributes:
        numbers: The signals.
    """

    numbers: ClassVar[tuple[signal.Signals, ...]] = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self._fragile = False
        self._pending: int | None = None
        self._former: dict[int, Any] = {}
        self._former_alarm: Any = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
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

    @contextmanager
    def fragile(self) -> Iterator[None]:
        """Let the block end before a signal takes effect.

        A second signal, or the end of `GRACE_SECONDS`, breaks it off all the same.
        """
        self._fragile = True
        try:
            yield
        except BaseException:
            self._pending = None
            raise
        finally:
            self._fragile = False
            self._stop_timer()
        self._raise_pending()

    def sleep(self, seconds: float) -> None:
        """Sleep; nothing is torn by a signal that comes meanwhile."""
        self._raise_pending()
        fragile, self._fragile = self._fragile, False
        try:
            time.sleep(seconds)
        finally:
            self._fragile = fragile

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if not self._fragile or self._pending is not None:
            self._pending = None
            self._stop_timer()
            raise Interrupted(number)
        self._pending = number
        self._former_alarm = signal.signal(signal.SIGALRM, self._expired)
        signal.setitimer(signal.ITIMER_REAL, GRACE_SECONDS)
        say(
            f"the answer under way is waited for, {GRACE_SECONDS:.0f} s at most; "
            "interrupt again to leave at once"
        )

    def _expired(self, _number: int, _frame: FrameType | None) -> None:
        self._raise_pending()

    def _raise_pending(self) -> None:
        number, self._pending = self._pending, None
        if number is not None:
            raise Interrupted(number)

    def _stop_timer(self) -> None:
        if self._former_alarm is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._former_alarm)
            self._former_alarm = None
