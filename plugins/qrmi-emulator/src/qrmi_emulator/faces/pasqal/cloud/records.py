"""Batches and jobs of Pasqal Cloud."""

from __future__ import annotations

from typing import Any

import attrs

from qrmi_emulator.face import FaceJob, FaceSession


@attrs.define(kw_only=True)
class PasqalBatch(FaceSession):
    """A batch, which is a session here.

    Attributes:
        is_cudaq: True for a job of CUDA-Q, which is a batch with one job.
        tags: The user's tags.
        job_ids: The ids of its jobs, in the order of submission.
        parent_id: Id of the batch whose jobs it repeats.
        options: Values that the service keeps, by name.
        canceled: True if it was cancelled.
    """

    is_cudaq: bool
    tags: list[str]
    job_ids: list[str] = attrs.Factory(list)
    parent_id: str | None = None
    options: dict[str, Any] = attrs.Factory(dict)
    canceled: bool = False


@attrs.define(kw_only=True)
class PasqalJob(FaceJob):
    """A job of a batch.

    Attributes:
        variables: The values of the sequence's variables.
        own: True if it has a sequence of its own.
        parent_id: Id of the job that it repeats.
        canceling: True while the service cancels it.
        vacant: The numbers of the sites without atoms, in order.
    """

    variables: dict[str, Any] | None = None
    own: bool = False
    parent_id: str | None = None
    canceling: bool = False
    vacant: list[int] = attrs.Factory(list)


@attrs.frozen
class JobInput:
    """The input of a job that is about to be submitted.

    Attributes:
        content: The sequence.
        runs: The number of runs.
        fields: Values of `PasqalJob`.
    """

    content: bytes
    runs: str
    fields: dict[str, Any] = attrs.Factory(dict)
