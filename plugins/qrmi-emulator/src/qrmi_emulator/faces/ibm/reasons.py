"""Why an IBM job ended: the service's numbers, and the last line of the log."""

from __future__ import annotations

from typing import Final

from qrmi_emulator.face import FaceJob
from qrmi_emulator.times import utc

RAN_TOO_LONG: Final = 1305
# Part of a simulator's reason -> the service's number.
_CODES: Final = {
    "(ISA)": 1517,
    "OpenQASM": 1506,
    "cannot be decoded": 1603,
    "cannot be read": 1603,
    "takes at most": 6000,
    "does not follow": 1208,
}


def code_for(reason: str) -> int:
    """Return the service's number for the reason of a simulator."""
    for part, code in _CODES.items():
        if part in reason:
            return code
    return 5203


def last_line(job: FaceJob) -> str:
    """Return the line on a job's end, with which its log is never empty; nothing before."""
    if not job.has_ended or job.finished is None:
        return ""
    at, how = utc(job.finished).isoformat(sep=" "), job.status.name.lower()
    return f"{at} INFO: {job.argument} on {job.resource} {how} after {job.seconds:.3f} s\n"
