"""The records of the runtime API."""

from __future__ import annotations

import attrs

from qrmi_emulator.face import FaceJob, FaceSession


@attrs.define(kw_only=True)
class RuntimeJob(FaceJob):
    """A job of the runtime API.

    Attributes:
        calibration_id: Id of the calibration that the client asked for.
        caller: The client's `User-Agent`.
    """

    calibration_id: str | None = None
    caller: str | None = None


@attrs.define(kw_only=True)
class RuntimeSession(FaceSession):
    """A session of the runtime API.

    Attributes:
        mode: ``batch`` or ``dedicated``.
    """

    mode: str
