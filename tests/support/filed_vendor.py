"""A vendor stored in a folder, which outlives processes and fails on demand."""

from __future__ import annotations

import fcntl
import os
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import attrs

from qrmi_core.driver import Acquires, Discovers, Driver
from qrmi_core.errors import (
    AuthenticationFailedError,
    ResourceBusyError,
    ServiceError,
    TransportError,
)
from qrmi_core.options import TaskOptions
from qrmi_core.payload import QiskitPrimitive
from qrmi_core.settings import Settings, setting
from qrmi_core.values import (
    AcquisitionUsage,
    Observation,
    ResourceInfo,
    ResourceStatus,
    ResourceStatusCode,
    TaskStatus,
)

DRIVERS = {"filed": "support.filed_vendor:FiledDriver"}
"""The entry points of the vendor's driver."""


@attrs.frozen(kw_only=True)
class FiledSettings(Settings):
    """The vendor's folder, and the name of the client."""

    folder: str = setting("QRMI_FILED_TEST_FOLDER", help="Its folder.")
    key: str = setting(
        "QRMI_FILED_TEST_APIKEY", "QRMI_FILED_OLD_APIKEY", help="A key.", secret=True
    )
    job: str = setting("QRMI_JOB_ID", help="The job.", default="", prefixed=False)
    uid: str = setting("QRMI_JOB_UID", help="Its user.", default="", prefixed=False)


@attrs.frozen
class Entry:
    """An entry of the vendor's journal: an operation and its token."""

    what: str
    resource: str
    token: str
    job: str = ""
    uid: str = ""
    seconds: str = ""
    cancel: str = ""


class FiledVendor:
    """The vendor as tests control it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.book = folder / "book"
        self.book.touch()

    def entries(self, what: str | None = None) -> list[Entry]:
        """Return the requested operations, in order."""
        found = [Entry(*line.split("\t")) for line in self.book.read_text().splitlines()]
        return [entry for entry in found if what in (None, entry.what)]

    def held(self) -> set[str]:
        """Return the tokens that were acquired and not released."""
        given = {entry.token for entry in self.entries("acquire")}
        return given - {entry.token for entry in self.entries("release")}

    def misbehave(self, call: str, *how: str) -> None:
        """Make the next calls fail.

        Args:
            call: ``acquire`` for example, or ``acquire-NAME`` for one resource.
            how: One word per call: busy, refused, broken, silent (never responds), lost (acts,
                never responds), slow (acts, responds seconds later), odd (a defect of the driver),
                ok.
        """
        (self.folder / call).write_text("\n".join(how))


class FiledDriver(Driver[FiledSettings, QiskitPrimitive], Acquires, Discovers):
    """The driver of this vendor."""

    contract_version = 1
    settings_class = FiledSettings
    payloads = (QiskitPrimitive,)
    silence_seconds: ClassVar[float] = 60.0
    slow_seconds: ClassVar[float] = 2.2

    def acquire(self, *, detached: bool, slots: int | None) -> str:
        with self._call("acquire") as write:
            token = f"token-{uuid.uuid4().hex}"
            vendor = FiledVendor(Path(self.settings.folder))
            given = {
                entry.token
                for entry in vendor.entries("acquire")
                if entry.resource == self.resource_id
            }
            if given & vendor.held():
                raise ResourceBusyError("it is held by another")
            write(token, self.settings.job_timeout_seconds, "")
        return token

    def release(self, token: str, *, cancel_pending: bool) -> None:
        with self._call("release") as write:
            write(token, "", cancel_pending)

    def acquisition_usage(self, token: str) -> AcquisitionUsage:
        with self._call("usage"):
            return AcquisitionUsage(tasks=3, quantum_seconds=1.25)

    def status(self) -> ResourceStatus:
        with self._call("status"):
            pass
        reason = Path(self.settings.folder, f"offline-{self.resource_id}")
        if reason.exists():
            return ResourceStatus(ResourceStatusCode.Offline, status_reason=reason.read_text())
        return ResourceStatus(ResourceStatusCode.Online)

    @classmethod
    def discover(
        cls,
        settings: Settings,  # noqa: ARG003
        filters: Mapping[str, str],  # noqa: ARG003
    ) -> Iterable[ResourceInfo]:
        return [
            ResourceInfo(name, 5, 1000, False, ResourceStatusCode.Online, pending)
            for name, pending in (("filed-busy", 7), ("filed-idle", 0))
        ]

    @contextmanager
    def _call(self, call: str) -> Iterator[object]:
        folder = Path(self.settings.folder)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            how = self._next(folder / f"{call}-{self.resource_id}") or self._next(folder / call)
            if how in ("busy", "refused", "broken", "silent", "odd"):
                fcntl.flock(lock, fcntl.LOCK_UN)
                self._fail(how)
            book = folder / "book"

            def write(token: str, seconds: object, cancel: object) -> None:
                job, uid = self.settings.job, self.settings.uid
                words = (call, self.resource_id, token, job, uid, str(seconds), str(cancel))
                descriptor = os.open(book, os.O_WRONLY | os.O_APPEND)
                os.write(descriptor, ("\t".join(words) + "\n").encode())
                os.close(descriptor)

            yield write
        if how == "slow":
            time.sleep(self.slow_seconds)
        if how == "lost":
            raise TransportError("the connection was reset", uncertain=True)

    def _next(self, plan: Path) -> str | None:
        if not plan.exists():
            return None
        first, _, rest = plan.read_text().partition("\n")
        plan.write_text(rest)
        return first or None

    def _fail(self, how: str) -> None:
        if how == "busy":
            raise ResourceBusyError("it is held by another")
        if how == "refused":
            raise AuthenticationFailedError(f"the key {self.settings.key} was refused")
        if how == "broken":
            raise ServiceError("the service answered 500", status_code=500, retryable=True)
        if how == "odd":
            raise ZeroDivisionError(f"with {self.settings.key}")
        time.sleep(self.silence_seconds)

    def task_start(
        self,
        payload: QiskitPrimitive,
        *,
        submission: str,
        acquisition: str | None,
        options: TaskOptions,
    ) -> str:
        raise NotImplementedError

    def task_status(self, task_id: str) -> Observation:
        return Observation(TaskStatus.Running)

    def task_result(self, task_id: str) -> Iterator[bytes]:
        raise NotImplementedError

    def task_stop(self, task_id: str) -> None:
        raise NotImplementedError
