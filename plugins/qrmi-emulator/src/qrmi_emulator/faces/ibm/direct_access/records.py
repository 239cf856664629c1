"""The jobs of Direct Access."""

from __future__ import annotations

from typing import Any

import attrs

from qrmi_emulator.face import FaceJob


@attrs.define(kw_only=True)
class DirectAccessJob(FaceJob):
    """A job of Direct Access.

    Attributes:
        log_level: As the client sent it.
        storage: The presigned URLs of input, results and logs, as the client sent them.
        settled: True as soon as its objects are written, so that clients may see its end.
    """

    log_level: str
    storage: dict[str, Any]
    settled: bool = False

    @property
    def is_final(self) -> bool:
        """True if it has ended and its objects are written."""
        return self.has_ended and self.settled
