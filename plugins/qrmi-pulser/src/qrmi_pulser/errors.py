"""Errors that are those of Pulser too, in the one tree of errors."""

from __future__ import annotations

from typing import Final

from pulser.backend.remote import RemoteResultsError

from qrmi_core import QrmiError, UnsupportedFunctionError


class UnsupportedError(UnsupportedFunctionError, NotImplementedError):
    """The resource cannot do this; a ``NotImplementedError`` too, as Pulser's contract has it."""


class MissingResultsError(QrmiError, RemoteResultsError):  # type: ignore[misc]
    """A job has no results: not yet, or not at all. The cause gives the reason.

    It is Pulser's ``RemoteResultsError`` too, which ``RemoteResults`` turns into advice.
    """


_SHOWN_CHARACTERS: Final = 300


def in_short(error: Exception) -> str:
    """Return the text of an error, cut: a schema's error can hold the whole document."""
    text = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
