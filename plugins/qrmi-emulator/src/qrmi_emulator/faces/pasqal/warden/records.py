"""Warden's sessions and jobs."""

from __future__ import annotations

import attrs

from qrmi_emulator.face import FaceJob, FaceSession


@attrs.define(kw_only=True)
class WardenSession(FaceSession):
    """A session of Warden.

    Attributes:
        user_id: Id of its user.
        scheduler_job: Id of the scheduler's job that it is for.
        slots: Slots of the QPU that it uses.
        revoked: When it was revoked, in seconds since the epoch.
    """

    user_id: str
    scheduler_job: str | None
    slots: int = 1
    revoked: float | None = None

    @property
    def is_valid(self) -> bool:
        """True until it is revoked."""
        return self.revoked is None


@attrs.define(kw_only=True)
class WardenJob(FaceJob):
    """A job of Warden, whose name is a number.

    Attributes:
        user_id: Id of its user.
        vacant: The numbers of the sites without atoms, in order.
    """

    user_id: str
    vacant: list[int] = attrs.Factory(list)
