"""Execution of the jobs by the executor of qrmi-local.

The queue is the emulator's own. Only the next few jobs are handed to the executor, whose worker
processes execute them one after the other. They go on when the emulator stops, and a restarted one
finds their results.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs

from qrmi_core import QrmiError, TaskStatus
from qrmi_emulator.fates import play
from qrmi_emulator.faults import LONG
from qrmi_emulator.records import FINAL, FaceJob
from qrmi_emulator.state import State, may_start
from qrmi_emulator.threads import in_thread
from qrmi_local.executor import StoredTask

_log = logging.getLogger(__name__)

_BUSY_PAUSE_SECONDS = 0.02
_FATE_PAUSE_SECONDS = 0.1
_IDLE_PAUSE_SECONDS = 0.5
# Jobs that are with the simulators at the same time, per slot: few where they take long, so that a
# session or a pause soon holds for the others.
_HANDED_PER_SLOT = (4, 64)
_LONG_SECONDS = 0.5
_START_SECONDS = 0.2


class Runner:
    """Moves jobs from the queue to their end.

    Args:
        state: Where the jobs are.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._executor = state.executor
        self._handed: dict[str, FaceJob] = {}
        self._most_handed = _HANDED_PER_SLOT[0] * state.settings.slots
        self._ended_at = self._start_at = 0.0
        self._is_stuck = False
        self._stops: list[str] = []
        self._work = asyncio.Event()
        # One thread, since the executor has a connection for each.
        self._thread = ThreadPoolExecutor(1, "qrmi-emulator-tasks")
        state.on_work = self._work.set
        state.on_end.append(self._forget)

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            known = await in_thread(self._thread, self._executor.look, list(self._state.live))
            # Some may have been cancelled since.
            live = self._state.live
            self._handed = {task.id: live[task.id] for task in known if task.id in live}
            self._stops += [task.id for task in known if task.id not in live]
            while True:
                self._work.clear()
                self._state.flush()
                self._state.expire()
                self._play()
                new, stops = list(self._next()), self._stops
                self._stops = []
                self._handed |= {job.id: job for job in new}
                if self._handed or stops:
                    handed = list(self._handed)
                    parcels = [self._parcel(job) for job in new]
                    try:
                        tasks = await in_thread(
                            self._thread, self._exchange, parcels, stops, handed
                        )
                    except QrmiError as error:
                        if not self._is_stuck:
                            _log.error("jobs cannot be executed: %s; trying again", error)
                        self._is_stuck = True
                        self._stops += stops
                        for job in new:
                            self._handed.pop(job.id, None)
                        await asyncio.sleep(_IDLE_PAUSE_SECONDS)
                        continue
                    self._is_stuck = False
                    for task in tasks:
                        self._report(task)
                    self._adapt(len(handed), len(handed) - len(self._handed))
                await self._pause()
        finally:
            await in_thread(self._thread, self._executor.close)
            self._thread.shutdown()

    def _adapt(self, handed: int, ended: int) -> None:
        """Keep the simulators busy with short jobs, and hand out few long ones."""
        least, most = (self._state.settings.slots * number for number in _HANDED_PER_SLOT)
        if 4 * ended >= handed:
            self._most_handed = min(2 * self._most_handed, most)
        if ended:
            self._ended_at = time.monotonic()
        elif time.monotonic() > self._ended_at + _LONG_SECONDS:
            self._most_handed = least

    async def _pause(self) -> None:
        if self._handed:
            await asyncio.sleep(_BUSY_PAUSE_SECONDS)
        else:
            seconds = _FATE_PAUSE_SECONDS if self._state.live else _IDLE_PAUSE_SECONDS
            # Python 3.11's `wait_for` loses a cancellation that comes together with the event.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._work.wait()

    def _next(self) -> Iterator[FaceJob]:
        free = self._most_handed - len(self._handed)
        if free <= 0:
            return
        holders = self._state.holders()
        for job in self._state.live.values():
            if job.fate or job.status is not TaskStatus.Queued or job.id in self._handed:
                continue
            if job.ready and may_start(job, holders):
                yield job
                free -= 1
                if not free:
                    return

    def _play(self) -> None:
        """Let the jobs with a fate meet it, and stop those that run for too long."""
        now, holders = self._state.clock(), self._state.holders()
        for job in list(self._state.fated.values()):
            play(self._state, job, now, holders)
        for job in list(self._state.running.values()):
            if job.fate or job.max_seconds is None or job.started is None:
                continue
            if now - job.started > job.max_seconds:
                job.ran_too_long = True
                self._state.end(job, TaskStatus.Cancelled, LONG)

    def _forget(self, job: FaceJob) -> None:
        if self._handed.pop(job.id, None):
            self._stops.append(job.id)

    def _report(self, task: StoredTask) -> None:
        job = self._handed.get(task.id)
        if job is None:
            return
        if task.started is not None:
            self._state.start(job, task.started)
        if task.status in FINAL:
            del self._handed[job.id]
            self._state.end(job, task.status, task.reason, at=task.finished)

    def _parcel(self, job: FaceJob) -> tuple[FaceJob, Path]:
        return attrs.evolve(job), self._state.input(job)

    def _exchange(
        self, new: list[tuple[FaceJob, Path]], stops: list[str], handed: list[str]
    ) -> list[StoredTask]:
        """Submit and cancel tasks, and return the state of those that were handed over."""
        for job, path in new:
            # One that has ended meanwhile may have no input any more.
            with contextlib.suppress(FileNotFoundError):
                content = path.read_bytes()
                self._executor.submit(job.id, job.simulator, job.argument, content, seed=job.seed)
        for task_id in stops:
            self._executor.cancel(task_id)
        if time.monotonic() >= self._start_at:
            # It takes a transaction, which workers wait for.
            self._start_at = time.monotonic() + _START_SECONDS
            # Where the system refuses another process, those that are there go on.
            with contextlib.suppress(QrmiError):
                self._executor.start_workers()
        return self._executor.look(handed)
