"""Errors of QRMI that are also errors of Pulser."""

from __future__ import annotations

from typing import Final

from pulser.backend.remote import RemoteResultsError

from qrmi_core import QrmiError, UnsupportedFunctionError


class UnsupportedError(UnsupportedFunctionError, NotImplementedError):
    """The resource cannot do this; also a ``NotImplementedError``, as in Pulser's contract."""


class MissingResultsError(QrmiError, RemoteResultsError):  # type: ignore[misc]
    """A job has no results, or none yet; the cause gives the reason.

    It is also Pulser's ``RemoteResultsError``, for which ``RemoteResults`` has advice.
    """


_SHOWN_CHARACTERS: Final = 300


def in_short(error: Exception) -> str:
    """Return the shortened text of an error; a schema's error can contain the whole document."""
    text = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
