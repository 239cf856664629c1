"""Leaving a `with` block: normally, by an interrupt, by any other exception."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from qrmi_core import Observation, Payload, QuantumResource, TaskStatus, TransportError
from qrmi_core.driver import OpenBatches
from qrmi_core.testing import FakeClock, FakeVendor
from support.fakes import PAYLOAD
from support.forked import Forked


class Site:
    """A vendor with endless tasks, its resource, and the stops and releases in order."""

    def __init__(self, **how: Any) -> None:
        self.clock = FakeClock()
        self.calls: list[str] = []
        self.on_call: Callable[[str], object] = lambda _name: None
        self.vendor = FakeVendor(
            [Observation(TaskStatus.Running)], on_call=lambda name: self.on_call(name)
        )
        calls = self.calls

        class Recording(self.vendor.driver(), OpenBatches):  # type: ignore[misc]
            def release(self, token: str, *, cancel_pending: bool) -> None:
                calls.append("release and cancel" if cancel_pending else "release")
                super().release(token, cancel_pending=cancel_pending)

            def task_stop(self, task_id: str) -> None:
                calls.append(f"stop {task_id}")
                super().task_stop(task_id)

            def batch_open(self) -> str:
                return "batch"

            def batch_add(self, batch_id: str, payloads: Sequence[Payload]) -> list[str]:
                how: dict[str, Any] = {"submission": "", "acquisition": None, "options": None}
                return [self.task_start(payload, **how) for payload in payloads]

            def batch_close(self, batch_id: str) -> None: ...

            def batch_tasks(self, batch_id: str) -> list[str]:
                return []

        how = {"clock": self.clock, "sleep": self.clock.sleep, **how}
        self.qpu = QuantumResource("qpu", "fake", driver_class=Recording, **how)

    def interrupt(self, *names: str) -> None:
        """Interrupt the next calls of these functions, in this order."""
        left = [*names]

        def on_call(name: str) -> None:
            if left and name == left[0]:
                left.pop(0)
                raise KeyboardInterrupt

        self.on_call = on_call

    def leave_by(self, error: BaseException | None, tasks: int = 2) -> None:
        with self.qpu:
            for _ in range(tasks):
                self.qpu.run(PAYLOAD)
            if error:
                raise error


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname != "INFO"]


def test_an_interrupt_stops_the_tasks_of_the_block_and_says_so_in_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    site = Site()
    site.qpu.run(PAYLOAD)
    with pytest.raises(KeyboardInterrupt):
        site.leave_by(KeyboardInterrupt())
    assert site.calls == ["stop task-3", "stop task-4", "release and cancel"]
    assert lines(caplog) == ["fake:qpu: interrupted; asked to stop task-3, task-4"]


def test_an_interrupt_leaves_a_task_that_has_ended_its_result(
    caplog: pytest.LogCaptureFixture,
) -> None:
    site = Site()
    site.vendor.reports = [Observation(TaskStatus.Completed)]
    with pytest.raises(KeyboardInterrupt):
        site.leave_by(KeyboardInterrupt())
    assert site.calls == ["release and cancel"]
    assert lines(caplog) == []


@pytest.mark.parametrize(
    ("error", "how"),
    [
        (ValueError("mine"), {}),
        (SystemExit(143), {}),
        (GeneratorExit(), {}),
        (KeyboardInterrupt(), {"stop_on_interrupt": False}),
    ],
    ids=repr,
)
def test_any_other_exception_cancels_nothing_and_names_the_tasks(
    error: BaseException, how: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    site = Site(**how)
    with pytest.raises(type(error)):
        site.leave_by(error)
    assert site.calls == ["release"]
    assert lines(caplog) == [
        f"fake:qpu: left by {type(error).__name__}; unfinished: task-2, task-3; fetch or stop: "
        "qrmi task result fake:qpu ID; qrmi task stop fake:qpu ID"
    ]


def test_the_line_for_one_task_can_be_pasted(caplog: pytest.LogCaptureFixture) -> None:
    site = Site(config={})
    with pytest.raises(ZeroDivisionError):
        site.leave_by(ZeroDivisionError(), tasks=1)
    assert lines(caplog)[0].endswith("qrmi task result qpu task-2; qrmi task stop qpu task-2")


@pytest.mark.parametrize("error", [None, ValueError("mine")], ids=["normal", "failed"])
def test_nothing_is_said_where_nothing_goes_on(
    error: Exception | None, caplog: pytest.LogCaptureFixture
) -> None:
    site = Site()
    try:
        site.leave_by(error, tasks=0)
    except ValueError:
        assert error
    assert site.calls == ["release"]
    assert lines(caplog) == []


def test_a_second_interrupt_leaves_at_once_and_names_what_is_left(
    caplog: pytest.LogCaptureFixture,
) -> None:
    site = Site()
    site.interrupt("task_stop")
    with pytest.raises(KeyboardInterrupt):
        site.leave_by(KeyboardInterrupt())
    assert site.calls == ["stop task-2"]
    assert lines(caplog) == [
        "fake:qpu: interrupted; may go on: task-2, task-3; again: qrmi task stop fake:qpu ID; "
        "not released (KeyboardInterrupt); again: qrmi release fake:qpu token-1"
    ]


def test_the_line_does_not_name_the_schedulers_token(caplog: pytest.LogCaptureFixture) -> None:
    site = Site(config={"QRMI_JOB_ACQUISITION_TOKEN": "from-slurm"})
    site.interrupt("task_stop")
    with pytest.raises(KeyboardInterrupt):
        site.leave_by(KeyboardInterrupt(), tasks=1)
    assert lines(caplog) == [
        "qpu: interrupted; may go on: task-1; again: qrmi task stop qpu task-1"
    ]


def test_a_cell_that_was_interrupted_twice_can_be_run_again() -> None:
    site = Site()
    site.interrupt("task_stop")
    with pytest.raises(KeyboardInterrupt):
        site.leave_by(KeyboardInterrupt(), tasks=1)
    site.leave_by(None, tasks=0)
    assert site.calls == ["stop task-2", "release", "release"]
    assert site.vendor.tokens == []


def test_an_interrupt_during_the_release_repeats_it_and_stops_the_tasks(
    caplog: pytest.LogCaptureFixture,
) -> None:
    site = Site()
    site.interrupt("release")
    with pytest.raises(KeyboardInterrupt):
        site.leave_by(None)
    assert site.calls == ["release", "stop task-2", "stop task-3", "release and cancel"]
    assert site.vendor.tokens == []
    assert lines(caplog) == ["fake:qpu: interrupted; asked to stop task-2, task-3"]


def test_a_second_interrupt_during_the_release_gives_the_line_to_repeat_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    site = Site()
    site.interrupt("release", "release")
    with pytest.raises(KeyboardInterrupt):
        site.leave_by(None, tasks=0)
    assert site.calls == ["release", "release and cancel"]
    assert lines(caplog)[0].endswith("again: qrmi release fake:qpu token-1")


def test_an_interrupt_of_a_release_that_stops_nothing_gives_the_line_to_repeat_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    site = Site(stop_on_interrupt=False)
    site.interrupt("release")
    with pytest.raises(KeyboardInterrupt):
        site.leave_by(None, tasks=0)
    assert lines(caplog)[0].endswith("again: qrmi release fake:qpu token-1")


@pytest.mark.parametrize("error", [ValueError("mine"), None], ids=["failed", "normal"])
def test_a_release_that_fails_gives_the_line_to_repeat_it_and_hides_no_error(
    error: Exception | None, caplog: pytest.LogCaptureFixture
) -> None:
    site = Site()
    site.vendor.faults["release"] = [TransportError("down")]
    with pytest.raises(type(error) if error else TransportError):
        site.leave_by(error, tasks=0)
    expected = "not released (down [resource qpu]); again: qrmi release fake:qpu token-1"
    assert lines(caplog) == [expected]


def test_a_task_that_cannot_be_stopped_is_named_and_keeps_no_other_from_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    site = Site()
    site.vendor.faults["task_stop"] = [TransportError("down")]
    site.vendor.faults["release"] = [TransportError("down")]
    with pytest.raises(KeyboardInterrupt):
        site.leave_by(KeyboardInterrupt())
    assert site.calls == ["stop task-2", "stop task-3", "release and cancel"]
    (line,) = lines(caplog)
    assert "asked to stop task-3; may go on: task-2 (down [resource qpu, task task-2]); " in line
    assert "again: qrmi task stop fake:qpu task-2; not released" in line
    assert line.endswith("again: qrmi release fake:qpu token-1")


def test_stopping_ends_in_time_and_leaves_some_for_the_release(
    caplog: pytest.LogCaptureFixture,
) -> None:
    site = Site()
    site.on_call = lambda name: site.clock.sleep(6) if name == "task_stop" else None
    with pytest.raises(KeyboardInterrupt):
        site.leave_by(KeyboardInterrupt(), tasks=9)
    assert site.calls == ["stop task-2", "stop task-3", "stop task-4", "release and cancel"]
    assert site.clock() < 20
    assert "may go on: task-5, task-6" in lines(caplog)[0]


def test_tasks_of_helper_threads_are_stopped_and_those_of_other_blocks_are_not() -> None:
    site = Site()
    inside, left = threading.Event(), threading.Event()

    def other() -> None:
        with site.qpu:
            site.qpu.run(PAYLOAD)
            inside.set()
            assert left.wait(20)

    with ThreadPoolExecutor() as pool:
        with pytest.raises(KeyboardInterrupt), site.qpu:
            pool.submit(site.qpu.run, PAYLOAD).result(20)
            staying = pool.submit(other)
            assert inside.wait(20)
            raise KeyboardInterrupt
        left.set()
        staying.result(20)
    assert site.calls == ["stop task-2", "release"]


def test_an_inner_block_stops_its_own_tasks_alone() -> None:
    site = Site()
    with site.qpu:
        site.qpu.run(PAYLOAD)
        with pytest.raises(KeyboardInterrupt):
            site.leave_by(KeyboardInterrupt(), tasks=1)
        assert site.calls == ["stop task-3"]
    assert site.calls == ["stop task-3", "release"]


def test_tasks_of_a_batch_are_stopped_too() -> None:
    site = Site()
    with pytest.raises(KeyboardInterrupt), site.qpu:
        site.qpu.batch_add(site.qpu.batch_open(), [PAYLOAD, PAYLOAD])
        raise KeyboardInterrupt
    assert site.calls == ["stop task-2", "stop task-3", "release and cancel"]


@pytest.mark.slow
def test_a_block_forgets_the_tasks_that_have_ended() -> None:
    site = Site()
    with pytest.raises(KeyboardInterrupt), site.qpu:
        first = site.qpu.run(PAYLOAD)
        site.vendor.reports = [Observation(TaskStatus.Completed)]
        for _ in range(2500):
            site.qpu.run(PAYLOAD).wait()
        (block,) = site.qpu._blocks._open
        assert len(block.tasks) < 1500
        raise KeyboardInterrupt
    assert site.calls == [f"stop {first.id}", "release and cancel"]


def test_a_forked_child_stops_its_own_tasks_alone(tmp_path: Path) -> None:
    site = Site()

    def child() -> int:
        site.qpu.run(PAYLOAD)
        site.qpu.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
        print(site.calls)
        return 0

    with site.qpu:
        site.qpu.run(PAYLOAD)
        ended = Forked(child, tmp_path, os.environ).wait()
    assert ended.output == "['stop task-3']\n", ended.errors
    assert site.calls == ["release"]


SCRIPT = """
import signal, sys
from qrmi_core import Observation, Payload, QuantumResource, TaskStatus
from qrmi_core.testing import FakeVendor

vendor = FakeVendor([Observation(TaskStatus.Running)])

class Driver(vendor.driver()):
    def task_stop(self, task_id):
        print("stop", flush=True)

    def release(self, token, *, cancel_pending):
        print("release", cancel_pending, flush=True)

if len(sys.argv) > 1:
    signal.signal(signal.SIGTERM, eval(sys.argv[1]))
with QuantumResource("qpu", "fake", {}, driver_class=Driver) as qpu:
    task = qpu.run(Payload.QiskitPrimitive(input="{}", program_id="sampler"))
    print("ready", flush=True)
    task.result()
"""


@pytest.mark.parametrize(
    ("number", "handler", "status", "printed", "line"),
    [
        (signal.SIGINT, [], -2, "stop\nrelease True\n", "qpu: interrupted; asked to stop task-2"),
        (signal.SIGTERM, [], -15, "", None),
        (
            signal.SIGTERM,
            ["signal.default_int_handler"],
            -2,
            "stop\nrelease True\n",
            "qpu: interrupted; asked to stop task-2",
        ),
        (
            signal.SIGTERM,
            ["lambda number, frame: sys.exit(128 + number)"],
            143,
            "release False\n",
            "qpu: left by SystemExit; unfinished: task-2; fetch or stop: qrmi task result qpu "
            "task-2; qrmi task stop qpu task-2",
        ),
    ],
    ids=["SIGINT", "SIGTERM", "as SIGINT", "as an exit"],
)
def test_a_script_that_gets_a_signal(
    number: int, handler: list[str], status: int, printed: str, line: str | None
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *handler],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as script:
        assert script.stdout
        assert script.stdout.readline() == "ready\n"
        script.send_signal(number)
        out, err = script.communicate(timeout=60)
    assert (script.returncode, out) == (status, printed)
    assert err.splitlines()[:1] == ([line] if line else [])
