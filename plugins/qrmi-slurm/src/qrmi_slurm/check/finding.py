"""Findings of the self-test: one line each, with a remedy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

OK, WARNING, ERROR = "ok", "warning", "error"


@attrs.frozen
class Finding:
    """The outcome of one check.

    Args:
        mark: `OK`, `WARNING` or `ERROR`.
        about: The subject, in one or two words.
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
    """Return a finding about a limitation, or about a check that cannot be made."""
    return Finding(WARNING, about, message, remedy)


def error(about: str, message: str, remedy: str) -> Finding:
    """Return a finding that prevents jobs from using QPUs, or lets other users interfere."""
    return Finding(ERROR, about, message, remedy)


def guarded(about: str, findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield a check's findings; its exception becomes one more finding."""
    try:
        yield from findings
    except Exception as failure:
        message = f"could not be checked: {type(failure).__name__}: {failure}"
        yield error(about, message, "correct it, or report a defect of qrmi-slurm")
