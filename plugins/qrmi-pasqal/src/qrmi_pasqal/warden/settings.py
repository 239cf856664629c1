"""Settings of a resource behind Warden."""

from __future__ import annotations

import re

import attrs

from qrmi_core.plugin import HttpSettings, setting, to_count, to_url

_LARGEST_UID = 2**32 - 2  # the next number means "no user" to the system


def to_uid(text: str) -> int:
    """Convert a user id, 0 to 4294967294."""
    if not re.fullmatch(r"[0-9]{1,10}", text) or int(text) > _LARGEST_UID:
        raise ValueError(f"a user id, 0 to {_LARGEST_UID}")
    return int(text)


@attrs.frozen(kw_only=True)
class PasqalLocalSettings(HttpSettings):
    """Settings of a QPU behind Warden; time-outs, proxy and the like are in the base class.

    Args:
        warden_url: Address of Warden.
        job_uid: The user for whom `acquire` opens a session.
        job_id: The scheduler's job for which it does.
        qpu_slots: Slots that the session takes, None for Warden's default.
        munge_socket: Socket of this host's munged, None for the usual one.
    """

    warden_url: str = setting(
        "QRMI_WARDEN_URL",
        "QRMI_URL",
        help="Address of Warden, such as `http://warden.example:8006`.",
        converter=to_url,
    )
    job_uid: int | None = setting(
        "QRMI_JOB_UID",
        help="User id for whom `acquire` opens a session, 0 to 4294967294; for `acquire` only. "
        "Without a prefix.",
        default=None,
        converter=to_uid,
        prefixed=False,
        needed_by=("acquire",),
    )
    job_id: str | None = setting(
        "QRMI_JOB_ID",
        help="Id of the scheduler's job that the session is for; for `acquire` only. "
        "Without a prefix.",
        default=None,
        prefixed=False,
        needed_by=("acquire",),
    )
    qpu_slots: int | None = setting(
        "QRMI_WARDEN_QPU_SLOTS",
        help="Slots of the QPU that the session takes, where Warden counts slots; by default its "
        "own default, 1.",
        default=None,
        converter=to_count,
    )
    munge_socket: str | None = setting(
        "QRMI_MUNGE_SOCKET",
        help="Socket of this host's munged; by default the one that libmunge is built for, "
        "`/run/munge/munge.socket.2` as a rule.",
        default=None,
    )
