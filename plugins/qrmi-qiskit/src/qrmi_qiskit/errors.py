"""What Qiskit's users expect of an error, in the one tree of errors."""

from __future__ import annotations

from qrmi_core.errors import InvalidInputError


class InvalidArgumentError(InvalidInputError, ValueError):
    """An option, a pub, shots or a precision is wrong. Nothing was submitted.

    It is a ``ValueError`` too, as which Qiskit's own primitives report it.
    """
