"""A driver that writes down what it is called for, and fails where it is told to.

In the folder `BENCH_FOLDER`, the file `events` gets a line for each call. A file `die-in-NAME`
makes the next call of that name kill its process, and with `wait-in-NAME` calls of that name wait
until it is gone.
"""

from __future__ import annotations

import logging
import os
import signal
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import attrs

from qrmi_core.plugin import (
    Acquires,
    Discovers,
    Driver,
    Observation,
    Payload,
    QiskitPrimitive,
    ResourceBusyError,
    ResourceInfo,
    ResourceStatus,
    ResourceStatusCode,
    Settings,
    TaskFailedError,
    TaskNotFoundError,
    TaskOptions,
    TaskStatus,
    read_content,
    setting,
    to_count,
)

_log = logging.getLogger(__name__)


@attrs.frozen(kw_only=True)
class BenchSettings(Settings):
    folder: str = setting("BENCH_FOLDER", help="Folder of the events.", prefixed=False)
    key: str = setting("BENCH_KEY", help="A secret.", default="none", secret=True)
    bytes: int = setting(
        "BENCH_BYTES", help="Size of a result.", default=2, converter=to_count, prefixed=False
    )


class BenchDriver(Driver[BenchSettings, QiskitPrimitive], Acquires, Discovers):
    contract_version = 1
    settings_class = BenchSettings
    payloads: tuple[type[Payload], ...] = (QiskitPrimitive,)

    def _called(self, name: str, *details: object) -> None:
        folder = Path(self.settings.folder)
        with (folder / "events").open("a") as events:
            events.write(" ".join(map(str, [name, *details])) + "\n")
        while (folder / f"wait-in-{name}").exists():
            time.sleep(0.005)
        death = folder / f"die-in-{name}"
        if death.exists():
            death.unlink()
            os.kill(os.getpid(), signal.SIGKILL)

    def metadata(self) -> Mapping[str, str]:
        named = {name: os.environ.get(name, "") for name in ("BENCH_WORD", "PYTHONPATH")}
        return {"pid": str(os.getpid()), **named}

    def status(self) -> ResourceStatus:
        self._called("status")
        _log.warning("the status of %s is asked for", self.resource_id)
        return ResourceStatus(ResourceStatusCode.Online, "on", healthy=True, pending_job_count=7)

    def target(self) -> bytes:
        return b"{}"

    @classmethod
    def discover(
        cls,
        settings: BenchSettings,  # noqa: ARG003
        filters: Mapping[str, str],  # noqa: ARG003
    ) -> Iterable[ResourceInfo]:
        return [
            ResourceInfo("slow", pending_job_count=9),
            ResourceInfo("free", pending_job_count=1),
        ]

    def acquire(self, *, detached: bool, slots: int | None) -> str:
        if self.resource_id == "busy":
            raise ResourceBusyError("held by another user")
        token = uuid.uuid4().hex
        self._called("acquire", token)
        return token

    def release(self, token: str, *, cancel_pending: bool) -> None:
        self._called("release", token)

    def task_start(
        self,
        payload: QiskitPrimitive,
        *,
        submission: str,
        acquisition: str | None,
        options: TaskOptions,
    ) -> str:
        self._called(
            "task_start", payload.program_id, acquisition, len(read_content(payload.input))
        )
        return payload.program_id

    def task_status(self, task_id: str) -> Observation:
        self._called("task_status", task_id)
        if task_id == "unknown":
            raise TaskNotFoundError("no such task")
        states = {"queued": TaskStatus.Queued, "failed": TaskStatus.Failed}
        return Observation(states.get(task_id, TaskStatus.Completed))

    def task_result(self, task_id: str) -> Iterator[bytes]:
        self._called("task_result", task_id)
        if task_id == "failed":
            raise TaskFailedError("it failed")
        piece = b"r" * min(self.settings.bytes, 1 << 20)
        left = self.settings.bytes
        while left > 0:
            yield piece[:left]
            left -= len(piece)

    def task_stop(self, task_id: str) -> None:
        self._called("task_stop", task_id)
