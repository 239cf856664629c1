"""The fates of jobs: what happens to a job that a fault has hit, instead of an execution."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from qrmi_core import TaskStatus
from qrmi_emulator.faults import CANCELLED, FAILED, HELD, LONG, QUEUED
from qrmi_emulator.records import FaceJob
from qrmi_emulator.state import State, may_start

_AT_ONCE_SECONDS: Final = 0.5


def play(state: State, job: FaceJob, now: float, holders: Mapping[str, Collection[str]]) -> None:
    """Let a job with a fate meet it when its time has come.

    Args:
        state: The emulator's state.
        job: A job with a fate.
        now: The time, in seconds since the epoch.
        holders: See `State.holders`.
    """
    reason, code, seconds = job.reason, job.code, job.fate_seconds
    if job.fate in (QUEUED, HELD):
        if seconds is not None and now > job.created + seconds:
            state.release(job)
    elif job.fate == CANCELLED:
        if now > job.created + (_AT_ONCE_SECONDS if seconds is None else seconds):
            state.end(job, TaskStatus.Cancelled, reason or "cancelled by the operator", code=code)
    elif job.started is None:
        if may_start(job, holders):
            state.start(job, now)
    elif job.fate == FAILED:
        if now > job.started + (_AT_ONCE_SECONDS if seconds is None else seconds):
            state.end(job, TaskStatus.Failed, reason or "failed on demand", code=code)
    elif now > job.started + _first(seconds, job.max_seconds, _AT_ONCE_SECONDS):
        job.ran_too_long = True
        state.end(job, TaskStatus.Cancelled, reason or LONG, code=code)


def _first(*values: float | None) -> float:
    return next(value for value in values if value is not None)
