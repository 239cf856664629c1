"""Signals to the command at any moment: exit statuses, and acquisitions left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from qrmi_core.commands import signals as module
from qrmi_core.commands.signals import Interrupted, Signals
from support.sites import add_distribution

ROOT = Path(__file__).parents[2]
BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["INT", "TERM"])

DRIVER = """
import os
from qrmi_core import Observation, TaskStatus, TransportError
from qrmi_core.testing import FakeVendor

def note(text):
    with open(os.environ["NOTES"], "a") as notes:
        print(text, file=notes, flush=True)

class Dropped:
    def __del__(self):
        os.kill(os.getpid(), int(os.environ["SIGNAL"]))

def called(name):
    note(name)
    if name == os.environ.get("HELD"):
        open(os.environ["NOTES"] + ".gate").close()  # until the test opens its end
    if name == os.environ.get("FAILS"):
        raise TransportError("the gateway is down")
    if name == os.environ.get("DROPPED"):
        Dropped()

vendor = FakeVendor(
    reports=[Observation(getattr(TaskStatus, os.environ.get("STATE", "Completed")))],
    on_call=called,
)

class Driver(vendor.driver()):
    def acquire(self, **how):
        token = super().acquire(**how)
        note(f"has {token}")
        return token

    def release(self, token, **how):
        super().release(token, **how)
        note(f"lost {token}")
"""

# Signals arrive at audit events, such as imports and opened files: an exception from an audit hook
# is raised by the audited operation.
PROGRAM = """
import os, sys
moments = [int(word) for word in os.environ["MOMENTS"].split()]
seen = 0
def hook(event, arguments):
    global seen
    seen += 1
    if seen in moments:
        os.kill(os.getpid(), int(os.environ["SIGNAL"]))
from qrmi_core.cli import run
sys.addaudithook(hook)
try:
    run()
finally:
    moments.clear()
    if "COUNT" in os.environ:
        with open(os.environ["COUNT"], "w") as file:
            print(seen, file=file)
"""


class Run:
    """A process of the command, with the notes of its driver."""

    def __init__(self, site: Path, folder: Path, *arguments: str, **variables: str) -> None:
        folder.mkdir()
        self.folder = folder
        self._notes = folder / "notes"
        (folder / "input.json").write_text(
            json.dumps({"program_id": "sampler", "parameters": {"pubs": []}})
        )
        os.mkfifo(folder / "notes.gate")
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments],
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)]),
                "XDG_CACHE_HOME": str(site),
                "NOTES": str(self._notes),
                "MOMENTS": "",
                **variables,
            },
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def notes(self) -> list[str]:
        return self._notes.read_text().splitlines() if self._notes.exists() else []

    def until(self, note: str) -> None:
        deadline = time.monotonic() + 60
        while note not in self.notes():
            assert time.monotonic() < deadline
            assert self.process.poll() is None, self.end()
            time.sleep(0.01)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def waits(self) -> None:
        """Wait until the command reports that it still waits for a response after a signal."""
        assert self.process.stderr
        line = self.process.stderr.readline()
        while "is waited for" not in line:
            assert line, self.end()
            line = self.process.stderr.readline()

    def go_on(self) -> None:
        """Let the driver's held call continue."""
        (self.folder / "notes.gate").open("w").close()

    def end(self) -> tuple[int, str, str]:
        """Return the exit status as a shell shows it, and the two outputs."""
        out, err = self.process.communicate(timeout=60)
        status = self.process.returncode
        return (128 - status if status < 0 else status), out, err


@pytest.fixture
def start(site: Path, no_settings: Path, tmp_path: Path) -> Iterator[Callable[..., Run]]:
    add_distribution(
        site, "held", drivers={"held": "qrmi_test_held:Driver"}, modules={"qrmi_test_held": DRIVER}
    )
    runs: list[Run] = []

    def start(*arguments: str, **variables: str) -> Run:
        runs.append(Run(site, tmp_path / uuid.uuid4().hex, *arguments, **variables))
        return runs[-1]

    yield start
    for run in runs:
        run.process.kill()
        run.process.communicate()


RUN = ("run", "held:qpu", "input.json", "out.json")
AGAIN = "qrmi: warning: held:qpu was not released; again: qrmi release held:qpu token-1"


@BOTH
def test_one_signal_during_the_release_of_a_run_does_not_break_it_off(
    start: Callable[..., Run], number: int
) -> None:
    run = start(*RUN, HELD="release")
    run.until("release")
    run.signal(number)
    run.waits()
    run.go_on()
    status, _, err = run.end()
    assert status == 128 + number
    assert run.notes()[-1] == "lost token-1"
    assert "not released" not in err
    assert err.splitlines()[-1] == "qrmi: error: interrupted"
    assert (run.folder / "out.json").exists()


def test_a_result_that_a_signal_kept_from_being_printed_is_kept(start: Callable[..., Run]) -> None:
    run = start(*RUN[:3], HELD="release")
    run.until("release")
    run.signal(signal.SIGTERM)
    run.waits()
    run.go_on()
    status, out, err = run.end()
    assert (status, out) == (143, "")
    assert "task task-2 is kept: qrmi task result held:qpu task-2" in err


@BOTH
def test_two_signals_during_the_release_give_the_line_to_repeat_it(
    start: Callable[..., Run], number: int
) -> None:
    run = start("run", "held:qpu", "input.json", "--config", "a b.json", HELD="release")
    run.until("release")
    run.signal(number)
    run.waits()
    run.signal(number)
    status, _, err = run.end()
    assert status == 128 + number
    assert run.notes()[-1] == "release", "it is not tried again"
    assert err.splitlines()[-2:] == [
        AGAIN.replace("held:qpu token", "--config 'a b.json' held:qpu token"),
        "qrmi: error: interrupted",
    ]


def test_a_second_signal_while_the_task_is_stopped_names_all_that_is_left(
    start: Callable[..., Run],
) -> None:
    run = start(*RUN, HELD="task_stop", STATE="Running")
    run.until("task_status")
    run.signal(signal.SIGINT)
    run.until("task_stop")
    run.signal(signal.SIGINT)
    status, _, err = run.end()
    assert status == 130
    assert err.splitlines()[-3:] == [
        AGAIN,
        "qrmi: warning: task task-2 may go on: qrmi task stop held:qpu task-2",
        "qrmi: error: interrupted",
    ]


def test_what_is_left_does_not_name_the_schedulers_token(start: Callable[..., Run]) -> None:
    job = {"qpu_QRMI_JOB_ACQUISITION_TOKEN": "from-slurm"}
    run = start(*RUN, HELD="task_stop", STATE="Running", **job)
    run.until("task_status")
    run.signal(signal.SIGINT)
    run.until("task_stop")
    run.signal(signal.SIGINT)
    status, _, err = run.end()
    assert status == 130
    assert "task task-1 may go on" in err
    assert "release" not in err
    assert "from-slurm" not in err


def test_a_signal_counts_although_the_release_fails(start: Callable[..., Run]) -> None:
    run = start(*RUN, HELD="release", FAILS="release")
    run.until("release")
    run.signal(signal.SIGTERM)
    run.waits()
    run.go_on()
    status, _, err = run.end()
    assert status == 143
    assert err.splitlines()[-2:] == [
        AGAIN,
        "qrmi: error: interrupted; the gateway is down [resource qpu]",
    ]


@BOTH
def test_a_signal_during_acquire_leaves_nothing_acquired(
    start: Callable[..., Run], number: int
) -> None:
    run = start("acquire", "held:qpu", HELD="acquire")
    run.until("acquire")
    run.signal(number)
    run.waits()
    run.go_on()
    status, out, err = run.end()
    assert (status, out) == (128 + number, "")
    assert run.notes()[-1] == "lost token-1"
    assert "not released" not in err


def test_signals_during_the_release_of_acquire_give_the_line_to_repeat_it(
    start: Callable[..., Run],
) -> None:
    run = start("acquire", "held:qpu", HELD="release", DROPPED="acquire", SIGNAL="15")
    run.waits()  # the first is deferred
    run.until("release")
    run.signal(signal.SIGTERM)
    run.waits()
    run.signal(signal.SIGTERM)
    status, out, err = run.end()
    assert (status, out) == (143, "")
    assert AGAIN in err.splitlines()


@pytest.mark.slow
@BOTH
def test_the_command_release_is_not_broken_off_by_one_signal(
    start: Callable[..., Run], number: int
) -> None:
    for signals, last in ((1, "lost token-1"), (2, "release")):
        run = start("release", "held:qpu", "token-1", HELD="release")
        run.until("release")
        run.signal(number)
        run.waits()
        if signals == 2:
            run.signal(number)
        else:
            run.go_on()
        status, _, err = run.end()
        assert (status, run.notes()[-1]) == (128 + number, last)
        assert (AGAIN in err.splitlines()) is (signals == 2)


def test_a_token_that_cannot_be_printed_is_released(start: Callable[..., Run]) -> None:
    run = start("acquire", "held:qpu", HELD="acquire")
    assert run.process.stdout
    run.until("acquire")
    run.process.stdout.close()
    run.process.stdout = None
    run.go_on()
    assert run.end()[0] == 141
    assert run.notes()[-1] == "lost token-1"


@BOTH
def test_a_signal_in_a_callback_of_python_is_not_lost(
    start: Callable[..., Run], number: int
) -> None:
    run = start(*RUN, DROPPED="task_status", STATE="Running", SIGNAL=str(int(number)))
    status, _, err = run.end()
    assert status == 128 + number
    assert "Exception ignored" not in err
    assert run.notes()[-1] == "lost token-1"


@pytest.mark.slow
@BOTH
def test_signals_at_any_moment_end_in_the_documented_status_and_leave_nothing_silently(
    start: Callable[..., Run], number: int
) -> None:
    assert start(*RUN).end()[0] == 0  # which may write bytecode, at moments of its own
    whole = start(*RUN, COUNT="count")
    assert whole.end()[0] == 0
    events = int((whole.folder / "count").read_text())
    assert events > 500
    step = events // 16
    plans = [
        " ".join(str(moment + further) for further in (0, 40)[: 1 + moment % 2])
        for moment in range(1, events, step | 1)
    ]

    def check(plan: str) -> str | None:
        run = start(*RUN, MOMENTS=plan, SIGNAL=str(int(number)))
        status, _, err = run.end()
        notes = run.notes()
        left = {note[4:] for note in notes if note.startswith("has")} - {
            note[5:] for note in notes if note.startswith("lost")
        }
        silent = [token for token in left if f"qrmi release held:qpu {token}" not in err]
        fine = status == 128 + number and not re.search("Traceback|ignored|defect", err)
        return None if fine and not silent else f"{plan} of {events}: {status}, {silent}\n{err}"

    with ThreadPoolExecutor(2) as pool:
        failures = [*filter(None, pool.map(check, plans))]
    assert not failures, "\n".join(failures)


# The context itself


def test_a_block_that_does_not_end_is_broken_off_after_the_grace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.02)
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(Interrupted), Signals() as signals, signals.fragile():
        signal.raise_signal(signal.SIGTERM)
        time.sleep(60)
    assert signal.getsignal(signal.SIGALRM) is before


def test_a_signal_takes_effect_after_a_block_that_fails_and_keeps_its_error() -> None:
    with pytest.raises(Interrupted) as caught, Signals() as signals, signals.fragile():
        signal.raise_signal(signal.SIGTERM)
        raise ValueError("mine")
    assert isinstance(caught.value.__cause__, ValueError)
    assert caught.value.__notes__ == ["mine"]
    assert signals.received == signal.SIGTERM


def test_signals_are_ignored_while_the_command_finishes() -> None:
    with Signals() as signals:
        signals.finish()
        signal.raise_signal(signal.SIGINT)
    assert signals.received is None


def test_other_exceptions_of_callbacks_are_shown_as_usual(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", shown.append)

    class Broken:
        def __del__(self) -> None:
            raise ValueError("mine")

    with Signals():
        Broken()
    assert [type(each.exc_value) for each in shown] == [ValueError]
