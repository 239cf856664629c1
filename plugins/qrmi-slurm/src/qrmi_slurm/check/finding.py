"""What the self-test says: one line with its remedy."""

from __future__ import annotations

import attrs

OK, WARNING, ERROR = "ok", "warning", "error"


@attrs.frozen
class Finding:
    """One thing that was looked at.

    Args:
        mark: `OK`, `WARNING` or `ERROR`.
        about: What was looked at, in a word or two.
        message: What was found.
        remedy: What to do; None where all is well.
    """

    mark: str
    about: str
    message: str
    remedy: str | None = None

    def __str__(self) -> str:
        text = f"{self.mark:<7} {self.about}: {self.message}"
        return f"{text}; {self.remedy}" if self.remedy else text


def ok(about: str, message: str) -> Finding:
    """All is well."""
    return Finding(OK, about, message)


def warning(about: str, message: str, remedy: str) -> Finding:
    """It works, but not as well as it could; or it cannot be told."""
    return Finding(WARNING, about, message, remedy)


def error(about: str, message: str, remedy: str) -> Finding:
    """Jobs will not get their QPUs, or others could interfere."""
    return Finding(ERROR, about, message, remedy)
