"""Tasks as Qiskit jobs."""

from __future__ import annotations

import abc
import json
from typing import TYPE_CHECKING, Any, Final

from qiskit.primitives import BasePrimitiveJob, PrimitiveResult
from qiskit.providers import JobStatus

from qrmi_core import InvalidResponseError, QrmiError, TaskStatus, UnsupportedFunctionError
from qrmi_qiskit import vendor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qiskit.primitives.containers.estimator_pub import EstimatorPub
    from qiskit.primitives.containers.sampler_pub import SamplerPub

    from qrmi_core import QuantumResource, Task, TaskUsage

_STATES: Final = {
    TaskStatus.Queued: JobStatus.QUEUED,
    TaskStatus.Running: JobStatus.RUNNING,
    TaskStatus.Completed: JobStatus.DONE,
    TaskStatus.Failed: JobStatus.ERROR,
    TaskStatus.Cancelled: JobStatus.CANCELLED,
}


class TaskJob(BasePrimitiveJob, abc.ABC):  # type: ignore[misc]
    """A task as a Qiskit job.

    The task belongs to the resource: discarding this object neither cancels nor deletes it, and a
    new object can be made from the id at any time. Methods raise what those of `qrmi_core.Task`
    raise.

    Args:
        resource: The resource that has the task.
        job_id: The task's id.
    """

    def __init__(self, resource: QuantumResource, job_id: str) -> None:
        super().__init__(job_id)
        self._task = resource.task(job_id)
        self._result: Any = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.job_id()!r} on {self.task.resource_id}>"

    @property
    def task(self) -> Task:
        """The task, which also has the history."""
        return self._task

    def status(self) -> JobStatus:
        """Poll the task; sends no request once the task has ended."""
        return _STATES[self._task.status()]

    def done(self) -> bool:
        """Return True if the task has ended with a result."""
        return self.status() is JobStatus.DONE

    def running(self) -> bool:
        """Return True if the task is being executed."""
        return self.status() is JobStatus.RUNNING

    def cancelled(self) -> bool:
        """Return True if the task was cancelled."""
        return self.status() is JobStatus.CANCELLED

    def errored(self) -> bool:
        """Return True if the task failed; `result` then raises the vendor's reason."""
        return self.status() is JobStatus.ERROR

    def in_final_state(self) -> bool:
        """Return True if the task has ended, successfully or not."""
        return self.status() in (JobStatus.DONE, JobStatus.ERROR, JobStatus.CANCELLED)

    def wait_for_final_state(self, timeout: float | None = None) -> None:
        """Wait until the task has ended, successfully or not.

        Args:
            timeout: Seconds to wait; None to wait for ever.

        Raises:
            WaitTimeoutError: The task has not ended in time; it continues.
        """
        self._task.wait(timeout)

    def cancel(self) -> None:
        """Request to stop the task; see `QuantumResource.task_stop`."""
        self._task.stop()

    def logs(self) -> str:
        """Fetch the task's logs."""
        return self._task.logs()

    def usage(self) -> TaskUsage:
        """Fetch the task's times and its consumption in QPU seconds."""
        return self._task.usage()

    def result(self, timeout: float | None = None) -> PrimitiveResult:
        """Wait for the task, and return its result, which is fetched once.

        Args:
            timeout: Seconds to wait; None to wait for ever, 0 to poll once.

        Raises:
            WaitTimeoutError: The task has not ended in time; it continues.
            TaskFailedError: The task failed.
            TaskCancelledError: The task was cancelled.
            InvalidResponseError: The result is not a primitive result.
        """
        if self._result is None:
            text = self._task.result(timeout).value
            try:
                self._result = self.decode(text)
            except QrmiError:
                raise
            except Exception as error:
                raise InvalidResponseError(
                    f"the result of task {self.job_id()} cannot be read: "
                    f"{type(error).__name__}: {error}",
                    resource_id=self._task.resource_id,
                    task_id=self.job_id(),
                ) from error
        return self._result

    @abc.abstractmethod
    def decode(self, text: str) -> PrimitiveResult:
        """Parse the text of the result; raise an exception if it is another kind of result."""


class PrimitiveJob(TaskJob):
    """A task of a primitive; returned by `SamplerV2.run` and `SamplerV2.job`.

    Decoding the result needs no circuits, so any process can read it by id. ::

        job = SamplerV2(resource).run([circuit])
        same_job = SamplerV2(resource).job(job.job_id())

    Args:
        resource: The resource that has the task.
        job_id: The task's id.
        pubs: The pubs, if known.
    """

    def __init__(
        self,
        resource: QuantumResource,
        job_id: str,
        pubs: Sequence[SamplerPub] | Sequence[EstimatorPub] | None = None,
    ) -> None:
        super().__init__(resource, job_id)
        self._pubs = pubs

    @property
    def inputs(self) -> dict[str, Any]:
        """The pubs, as ``(circuit, ...)``, under the key ``pubs``, as in qiskit-ibm-runtime.

        Raises:
            UnsupportedFunctionError: The job was found by id, so its pubs are unknown.
        """
        if self._pubs is None:
            raise UnsupportedFunctionError(
                f"the pubs of job {self.job_id()} are known only to the object that `run` returned",
                resource_id=self._task.resource_id,
                task_id=self.job_id(),
            )
        return {"pubs": [(pub.circuit, pub.parameter_values) for pub in self._pubs]}

    def decode(self, text: str) -> PrimitiveResult:
        found = json.loads(text, cls=vendor.find("RuntimeDecoder"))
        if not isinstance(found, PrimitiveResult):
            raise TypeError("it is not the PrimitiveResult of a task with support_qiskit")
        return found
