"""The findings of the self-test, each one line with its remedy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

OK, WARNING, ERROR = "ok", "warning", "error"


@attrs.frozen
class Finding:
    """The outcome of one check.

    Args:
        mark: `OK`, `WARNING` or `ERROR`.
        about: The subject, in a word or two.
        message: The result.
        remedy: The remedy; None for a success.
    """

    mark: str
    about: str
    message: str
    remedy: str | None = None

    def __str__(self) -> str:
        text = f"{self.mark:<7} {self.about}: {self.message}"
        return f"{text}; {self.remedy}" if self.remedy else text


def ok(about: str, message: str) -> Finding:
    """Return a finding of success."""
    return Finding(OK, about, message)


def warning(about: str, message: str, remedy: str) -> Finding:
    """Return a finding about something that works with limits, or that cannot be checked."""
    return Finding(WARNING, about, message, remedy)


def error(about: str, message: str, remedy: str) -> Finding:
    """Return a finding that keeps jobs from their QPUs, or lets other users interfere."""
    return Finding(ERROR, about, message, remedy)


def guarded(about: str, findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield findings, and an exception of their check as one more."""
    try:
        yield from findings
    except Exception as failure:
        message = f"could not be checked: {type(failure).__name__}: {failure}"
        yield error(about, message, "correct it, or report a defect of qrmi-slurm")
