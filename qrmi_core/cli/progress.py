"""Progress on the standard error stream: a live line, or a line for each change."""

from __future__ import annotations

import datetime
import os
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from qrmi_core.commands.output import say
from qrmi_core.redaction import one_line
from qrmi_core.values import TaskStatus

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

    from qrmi_core.task import Task


class Progress:
    """The progress of a command. Its methods are callbacks for `QuantumResource`."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._task: Task | None = None
        self._words = ""
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            from rich.console import Console
            from rich.live import Live

            console = Console(stderr=True)
            self._live = Live(get_renderable=self.line, console=console, transient=True)
            self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.__exit__(kind, error, traceback)

    def doing(self, words: str) -> None:
        """Show the next step of the command on the live line."""
        self._words = words

    def waiting(self, reason: str, _seconds: float) -> None:
        """Say that a busy resource is waited for."""
        words = f"waiting: {one_line(reason)}"
        if not self._live and words != self._words:
            say(words)
        self._words = words

    def watch(self, task: Task) -> None:
        """Show this task from now on."""
        self._task = task

    def moved(
        self, _task: Task, _old: TaskStatus | None, new: TaskStatus, _at: datetime.datetime
    ) -> None:
        """Say that the task has entered another state."""
        if not self._live:
            say(f"{new.name}{self._place()} ({self._seconds():.1f} s)")

    def line(self) -> Text:
        """Return the live line."""
        from rich.text import Text

        words = self._words
        if self._task is not None and self._task.history:
            words = self._task.history[-1].status.name
        return Text(f"{words}{self._place()}, {self._seconds():.0f} s", style="cyan")

    def _place(self) -> str:
        report = self._task.last_report if self._task else None
        if report is None or report.queue_position is None:
            return ""
        return f", {report.queue_position} before it"

    def _seconds(self) -> float:
        return time.monotonic() - self._start
