"""What Pulser's users expect of an error, in the one tree of errors."""

from __future__ import annotations

from pulser.backend.remote import RemoteResultsError

from qrmi_core.errors import QrmiError, UnsupportedFunctionError


class UnsupportedError(UnsupportedFunctionError, NotImplementedError):
    """The resource cannot do this; a ``NotImplementedError`` too, as Pulser's contract has it."""


class MissingResultsError(QrmiError, RemoteResultsError):  # type: ignore[misc]
    """A job has no results: not yet, or not at all. The cause tells why.

    It is Pulser's ``RemoteResultsError`` too, which ``RemoteResults`` turns into advice.
    """
