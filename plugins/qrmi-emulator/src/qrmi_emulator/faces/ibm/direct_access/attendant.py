"""The service's work on a job: it reads the input, and writes results and logs."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from qrmi_core import TaskStatus
from qrmi_emulator.face import FaceJob, State
from qrmi_emulator.faces.ibm.direct_access.records import DirectAccessJob
from qrmi_emulator.faces.ibm.direct_access.transfer import TransferError, download, upload
from qrmi_emulator.faces.ibm.reasons import code_for, last_line
from qrmi_emulator.threads import in_thread
from qrmi_local.engines import EngineError, qiskit as engine

_AGENT: Final = "ibm-quantum-system"
_MOST_INPUT_BYTES: Final = 2**30
_PAUSES_SECONDS: Final = (0.1, 0.4, 1.6)
_TRANSFERS: Final = 8
_FAILED: Final = 5203


class Attendant:
    """Sees jobs through: reads their inputs, and writes their results and logs.

    Args:
        state: The emulator's state.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._ends: dict[str, asyncio.Event] = {}
        self._tasks = asyncio.TaskGroup()
        # Of its own, so that transfers leave other threads to the requests.
        self._threads = ThreadPoolExecutor(_TRANSFERS, "qrmi-emulator-transfer")
        state.on_end.append(self._note_end)

    async def run(self, jobs: Mapping[str, DirectAccessJob]) -> None:
        """Attend the jobs of a former emulator and those that come, until cancelled."""
        try:
            async with self._tasks:
                for job in jobs.values():
                    if job.id not in self._ends and not job.is_final:
                        self.attend(job)
                await asyncio.Event().wait()
        finally:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def attend(self, job: DirectAccessJob) -> None:
        """See a job through, from its input to its results."""
        ended = self._ends[job.id] = asyncio.Event()
        if job.has_ended:
            ended.set()
        self._tasks.create_task(self._see_through(job, ended))

    def _note_end(self, job: FaceJob) -> None:
        if ended := self._ends.get(job.id):
            ended.set()

    async def _see_through(self, job: DirectAccessJob, ended: asyncio.Event) -> None:
        if not job.ready and not job.has_ended:
            await self._read_input(job)
        await ended.wait()
        del self._ends[job.id]
        if job.status is TaskStatus.Completed:
            problem = await self._write(job, "results", self._state.result(job), "application/json")
            if problem and not job.is_final:
                job.status, job.code = TaskStatus.Failed, _FAILED
                job.reason = f"The results could not be written to their presigned URL: {problem}"
        if "logs" in job.storage:
            # On a full disk the log is what there is of it.
            with contextlib.suppress(OSError), open(self._state.log(job), "a") as log:
                log.write(last_line(job))
            await self._write(job, "logs", self._state.log(job), "text/plain")
        # Only now, so that whoever sees the end finds the objects.
        if not job.is_final:
            job.settled = True
            self._state.save(job)

    async def _read_input(self, job: DirectAccessJob) -> None:
        path, url = self._state.input(job), job.storage["input"]["presigned_url"]
        problem = await self._transfer(
            functools.partial(download, url, path, agent=_AGENT, most_bytes=_MOST_INPUT_BYTES)
        )
        reason, code = f"The input could not be read from its presigned URL: {problem}", _FAILED
        if not problem and not job.has_ended:
            try:
                if job.argument in engine.PROGRAMS:
                    await asyncio.to_thread(lambda: engine.check(job.argument, path.read_bytes()))
            except FileNotFoundError:
                pass  # the job was cancelled and deleted meanwhile
            except EngineError as error:
                reason, code = str(error), code_for(str(error))
            else:
                job.ready = True
        if job.has_ended:
            path.unlink(missing_ok=True)
        elif job.ready:
            self._state.save(job)
        else:
            self._state.end(job, TaskStatus.Failed, reason, code=code)

    async def _write(
        self, job: DirectAccessJob, member: str, path: Path, content_type: str
    ) -> str | None:
        url = job.storage[member]["presigned_url"]
        return await self._transfer(
            functools.partial(upload, url, path, agent=_AGENT, content_type=content_type)
        )

    async def _transfer(self, work: Callable[[], None]) -> str | None:
        """Attempt a transfer several times, and return the last error, None after a success."""
        for pause in (*_PAUSES_SECONDS, None):
            try:
                await in_thread(self._threads, work)
            except TransferError as error:
                if pause is None or not error.is_passing:
                    return str(error)
                await asyncio.sleep(pause)
            else:
                break
        return None
