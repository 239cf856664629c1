"""Batches that are left open, the part of `QuantumResource` for `OpenBatches`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from qrmi_core.channel import Channel, checked_id
from qrmi_core.driver import OpenBatches
from qrmi_core.errors import QrmiError, SubmissionUncertainError
from qrmi_core.payload import Payload
from qrmi_core.reports import WrongReturnError, checked

_log = logging.getLogger(__name__)


class Batches:
    """The functions of a resource whose vendor has batches that accept tasks until closed.

    Args:
        channel: The channel to the driver.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def batch_open(self) -> str:
        """Open a batch, which accepts tasks until `batch_close`, and return its id.

        Raises:
            UnsupportedFunctionError: The vendor has no such batches.
        """
        with self._calling("batch_open") as batches:
            batch_id = checked("batch_open", batches.batch_open())
        _log.info("batch %s opened on %s", batch_id, self._channel.resource_id)
        return batch_id

    def batch_add(self, batch_id: str, payloads: Sequence[Payload]) -> list[str]:
        """Submit tasks into an open batch, all or none, and return their ids in the same order.

        Raises:
            TaskNotFoundError: The vendor has no such batch.
            InvalidInputError: A payload is wrong, or the batch is closed.
            SubmissionUncertainError: The response was lost, and the tasks may exist. With any other
                error no task was created.
        """
        for payload in payloads:
            self._channel.check_payload(payload)
        try:
            with self._calling("batch_add", batch_id, uncertain=True) as batches:
                task_ids = list(checked("batch_add", batches.batch_add(batch_id, payloads)))
                if len(task_ids) != len(payloads):
                    raise WrongReturnError(f"returned {len(task_ids)} ids for batch_add")
        except QrmiError as error:
            if not error.uncertain:
                raise
            raise SubmissionUncertainError(
                f"the response was lost ({error.message}), and the tasks may be in batch "
                f"{batch_id}; look at its tasks (batch_tasks) before submitting again",
                resource_id=self._channel.resource_id,
            ) from error
        _log.info(
            "tasks %s started in batch %s on %s",
            ", ".join(task_ids),
            batch_id,
            self._channel.resource_id,
        )
        return task_ids

    def batch_close(self, batch_id: str) -> None:
        """Let a batch accept no more tasks; those in it go on.

        Raises:
            TaskNotFoundError: The vendor has no such batch.
        """
        with self._calling("batch_close", batch_id) as batches:
            batches.batch_close(batch_id)

    def batch_tasks(self, batch_id: str) -> list[str]:
        """Return the ids of a batch's tasks, oldest first.

        Raises:
            TaskNotFoundError: The vendor has no such batch.
        """
        with self._calling("batch_tasks", batch_id) as batches:
            return list(checked("batch_tasks", batches.batch_tasks(batch_id)))

    @contextmanager
    def _calling(
        self, function: str, batch_id: str = "new", *, uncertain: bool = False
    ) -> Iterator[OpenBatches]:
        checked_id(batch_id, "batch's id", self._channel.resource_id)
        with self._channel.calling(uncertain=uncertain):
            yield self._channel.needed(OpenBatches, function)
