"""Submitting tasks, and handles of known ones: the part of `QuantumResource` that makes tasks."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from qrmi_core.acquisition import Acquisitions
from qrmi_core.batches import Batches
from qrmi_core.blocks import Blocks
from qrmi_core.channel import Channel, checked_id
from qrmi_core.deadline import Deadline
from qrmi_core.errors import NotAcquiredError, UnsupportedFunctionError
from qrmi_core.locks import Lock
from qrmi_core.payload import Payload

if TYPE_CHECKING:
    from qrmi_core.task import OnTransition, Task

_log = logging.getLogger(__name__)

_REMEMBERED_TASKS = 10_000


class Runs(Batches):
    """The functions of a resource that submit tasks.

    Args:
        channel: The channel to the driver.
        acquisitions: The resource's acquisition.
        blocks: Its `with` blocks.
        on_transition: Called with the transitions of tasks without a function of their own.
    """

    def __init__(
        self,
        channel: Channel,
        acquisitions: Acquisitions,
        blocks: Blocks,
        on_transition: OnTransition | None,
    ) -> None:
        super().__init__(channel)
        self._acquisitions = acquisitions
        self._blocks = blocks
        self._on_transition = on_transition
        self._lock = Lock()
        # Handles that somebody holds, and the newest of those that nobody does.
        self._tasks: WeakValueDictionary[str, Task] = WeakValueDictionary()
        self._recent: deque[Task] = deque(maxlen=_REMEMBERED_TASKS)

    def run(
        self,
        payload: Payload,
        timeout: float | None = None,
        *,
        name: str | None = None,
        tags: Iterable[str] = (),
        max_seconds: float | None = None,
        on_transition: OnTransition | None = None,
    ) -> Task:
        """Submit a task and return its handle; see `task_start`.

        Args:
            payload: The task's program.
            timeout: Seconds to wait for a free slot; None for ever, 0 tries once.
            name: See `task_start`.
            tags: See `task_start`.
            max_seconds: See `task_start`.
            on_transition: Called with every transition of this task.
        """
        task_id = self.task_start(payload, timeout, name=name, tags=tags, max_seconds=max_seconds)
        return self.task(task_id, on_transition=on_transition)

    def run_all(
        self,
        payloads: Iterable[Payload],
        *,
        concurrency: int = 16,
        timeout: float | None = None,
    ) -> list[Task]:
        """Submit many tasks side by side and return their handles, in the order of the payloads.

        Each is submitted as by `run`, in a pool of threads, under this object's acquisition. After
        the first error, also of the iterable, or an interrupt, no further payload is read or
        submitted, and the requests under way end; a second interrupt does not wait for them.
        The resource's `on_wait` is called in the threads.

        Args:
            payloads: The tasks' programs. Each is read once, in the caller's thread, when it can be
                submitted, so that an iterable may be larger than memory.
            concurrency: The number of threads, each of which has one connection.
            timeout: Seconds for all together, waits for free slots included, while requests under
                way may take 10 s longer; None for ever, 0 tries each once.

        Raises:
            BatchSubmissionError: A payload was not submitted, or could not be read, or the time was
                up. It has the tasks that were started, and they go on.
            BatchInterruptedError: ``KeyboardInterrupt`` came; likewise.
        """
        from qrmi_core.bulk import run_all  # only for those who need it

        return run_all(self, payloads, concurrency=concurrency, timeout=timeout)

    def tasks(self, task_ids: Iterable[str]) -> list[Task]:
        """Return the handles of tasks, also of those that other processes started: no request.

        `wait`, `as_completed` and `poll` poll them together where the vendor allows that.

        Args:
            task_ids: The vendor's ids of the tasks.
        """
        if isinstance(task_ids, str):  # an iterable too, of its letters
            raise TypeError("task_ids must be an iterable of ids, not one string")
        return [self.task(task_id) for task_id in task_ids]

    def task(self, task_id: str, *, on_transition: OnTransition | None = None) -> Task:
        """Return the handle of a task, also of one that another process started: no request."""
        from qrmi_core.task import Task  # not needed to acquire a resource or to look at it

        checked_id(task_id, "task's id", self._channel.resource_id)
        with self._lock:
            task = self._tasks.get(task_id)
            if task is None:
                task = self._tasks[task_id] = Task(self._channel, task_id, self._on_transition)
                self._recent.append(task)
        if on_transition:
            task.add_hook(on_transition)
        return task

    def task_start(
        self,
        payload: Payload,
        timeout: float | None = None,
        *,
        name: str | None = None,
        tags: Iterable[str] = (),
        max_seconds: float | None = None,
    ) -> str:
        """Submit a task exactly once and return its id.

        Args:
            payload: The task's program.
            timeout: Seconds to wait for a free slot; None for ever, 0 tries once.
            name: A name for people, in the vendor's list of tasks.
            tags: Words by which the vendor's list of tasks can be searched.
            max_seconds: The longest time that the task may execute, in seconds.

        Raises:
            UnsupportedPayloadError: The resource does not accept this kind.
            UnsupportedFunctionError: The vendor has no such option of a task.
            InvalidInputError: The payload or an option is wrong.
            ResourceBusyError: There was no free slot until the time was up.
            SubmissionUncertainError: The response was lost, and it cannot be found out whether the
                task exists. With any other error no task was created.
        """
        from qrmi_core.options import TaskOptions
        from qrmi_core.submission import Submission

        self._channel.check_payload(payload)
        options = TaskOptions(name=name, tags=tags, max_seconds=max_seconds)
        driver = self._channel.driver
        if refused := sorted(set(options.given()) - driver.task_options):
            honoured = ", ".join(sorted(driver.task_options)) or "none"
            raise UnsupportedFunctionError(
                f"{driver.resource_id} ({driver.resource_type}) does not support the task option "
                f"{', '.join(refused)} (supported: {honoured})",
                resource_id=self._channel.resource_id,
            )
        deadline = Deadline(timeout, self._channel.clock)
        while True:
            token = self._acquisitions.current()
            submission = Submission(self._channel, payload, options, token)
            try:
                task_id = submission.run(timeout)
                break
            except NotAcquiredError:
                if not self._acquisitions.rejected(token):
                    raise
                timeout = deadline.remaining()
        self._blocks.submitted(self.task(task_id))
        _log.info("task %s started on %s", task_id, self._channel.resource_id)
        return task_id

    def batch_add(self, batch_id: str, payloads: Sequence[Payload]) -> list[str]:
        task_ids = super().batch_add(batch_id, payloads)
        for task_id in task_ids:
            self._blocks.submitted(self.task(task_id))
        return task_ids
