"""A task as Qiskit's job."""

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
    """A task, in the words of Qiskit.

    The task is the resource's: dropping this object neither cancels nor deletes it, and another
    one is made of the same id at any time. Methods raise what those of `qrmi_core.Task` raise.

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
        """The task itself, which has the history too."""
        return self._task

    def status(self) -> JobStatus:
        """Poll the task; costs no request once it has ended."""
        return _STATES[self._task.status()]

    def done(self) -> bool:
        """Return True if it has ended with a result."""
        return self.status() is JobStatus.DONE

    def running(self) -> bool:
        """Return True if it is being executed."""
        return self.status() is JobStatus.RUNNING

    def cancelled(self) -> bool:
        """Return True if somebody stopped it."""
        return self.status() is JobStatus.CANCELLED

    def errored(self) -> bool:
        """Return True if it failed; `result` raises the vendor's reason."""
        return self.status() is JobStatus.ERROR

    def in_final_state(self) -> bool:
        """Return True if it has ended, whichever way."""
        return self.status() in (JobStatus.DONE, JobStatus.ERROR, JobStatus.CANCELLED)

    def wait_for_final_state(self, timeout: float | None = None) -> None:
        """Wait until it has ended, whichever way.

        Args:
            timeout: Seconds; None for ever.

        Raises:
            WaitTimeoutError: The time is up; the task goes on.
        """
        self._task.wait(timeout)

    def cancel(self) -> None:
        """Ask to stop the task; see `QuantumResource.task_stop`."""
        self._task.stop()

    def logs(self) -> str:
        """Fetch the task's logs."""
        return self._task.logs()

    def usage(self) -> TaskUsage:
        """Fetch the consumption of the task in seconds of the quantum processor, and its times."""
        return self._task.usage()

    def result(self, timeout: float | None = None) -> PrimitiveResult:
        """Wait for the task and fetch its result, once for all calls.

        Args:
            timeout: Seconds to wait for the end; None for ever, 0 polls once.

        Raises:
            WaitTimeoutError: The time is up; the task goes on.
            TaskFailedError: It failed.
            TaskCancelledError: It was cancelled.
            InvalidResponseError: The result is not that of a primitive.
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
        """Parse the text of the result; raise if it is not one."""


class PrimitiveJob(TaskJob):
    """A primitive's task; `SamplerV2.run` and `SamplerV2.job` give it.

    The result is decoded without the circuits, so any process gets it by the id.

    Args:
        resource: The resource that has the task.
        job_id: The task's id.
        pubs: The pubs, if they are known.
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
        """The pubs, as ``(circuit, ...)``, under the key ``pubs``, as qiskit-ibm-runtime has them.

        Raises:
            UnsupportedFunctionError: The job was found by its id, so they are not known.
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
