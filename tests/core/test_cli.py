"""The command, from its arguments to its exit status."""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
import pty
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import click
import pytest

from qrmi_core import (
    AuthenticationFailedError,
    BatchInterruptedError,
    BatchSubmissionError,
    CallTimeoutError,
    ConfigError,
    DriverDefectError,
    EnvVarNotSetError,
    InvalidArgumentError,
    InvalidInputError,
    InvalidResponseError,
    NotAcquiredError,
    Observation,
    PermissionDeniedError,
    PluginError,
    QrmiError,
    ResourceBusyError,
    ResourceNotFoundError,
    ServiceError,
    SubmissionUncertainError,
    TaskCancelledError,
    TaskFailedError,
    TaskNotFoundError,
    TaskNotReadyError,
    TaskStatus,
    TransportError,
    UnsupportedFunctionError,
    UnsupportedPayloadError,
    UnsupportedResourceTypeError,
    WaitTimeoutError,
)
from qrmi_core.cli import app, main
from qrmi_core.cli.completion import names
from qrmi_core.commands import exits
from qrmi_core.redaction import one_line
from qrmi_core.testing import FakeVendor
from support import cli_help
from support.sites import DRIVER, add_distribution

ROOT = Path(__file__).parents[2]
INPUT = {"program_id": "sampler", "parameters": {"pubs": []}}
RESULT = b'{"counter": {"00": 1}}'


@pytest.fixture
def vendor(site: Path, no_settings: Path, monkeypatch: pytest.MonkeyPatch) -> FakeVendor:
    """Provide a vendor of resource type `fake`, whose tasks complete at the first poll."""
    add_distribution(
        site, "fake", drivers={"fake": "qrmi_test_fake:Driver"}, modules={"qrmi_test_fake": DRIVER}
    )
    importlib.invalidate_caches()
    module: ModuleType = importlib.import_module("qrmi_test_fake")
    vendor: FakeVendor = module.vendor
    vendor.reports = [Observation(TaskStatus.Completed)]
    work = no_settings / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    Path("input.json").write_text(json.dumps(INPUT))
    return vendor


@attrs.frozen
class Ended:
    status: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The one-line error message."""
        (line,) = (line for line in self.err.splitlines() if line.startswith("qrmi: error: "))
        return line.removeprefix("qrmi: error: ")


@pytest.fixture
def qrmi(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    def run(*arguments: str) -> Ended:
        status = main(arguments)
        captured = capsys.readouterr()
        return Ended(status, captured.out, captured.err)

    return run


Qrmi = Callable[..., Ended]


# The frame


def test_the_version_is_printed(qrmi: Qrmi) -> None:
    ended = qrmi("--version")
    assert re.fullmatch(r"qrmi \d+\.\d+\.\d+\n", ended.out)


def test_the_version_needs_nothing_heavy() -> None:
    code = (
        "import sys; from qrmi_core.cli import main; main(['--version'])\n"
        "print({'attr', 'attrs', 'requests', 'rich', 'stevedore', 'tenacity'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1] == "set()"


def test_without_arguments_there_is_help(qrmi: Qrmi) -> None:
    ended = qrmi()
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith("Usage: qrmi")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "No such command 'nonsense'. (see qrmi --help)"),
        (["task"], "Missing command. (see qrmi task --help)"),
        (["run"], "Missing argument 'NAME'. (see qrmi run --help)"),
        (["status", "--colour", "x"], "--colour"),
        (["--timeout", "-1", "plugins"], "Invalid value for '--timeout'"),
        (["status", "x", "y"], "unexpected extra argument"),
    ],
)
def test_wrong_usage_is_one_line(qrmi: Qrmi, arguments: list[str], message: str) -> None:
    ended = qrmi(*arguments)
    assert (ended.status, ended.out) == (2, "")
    assert message in ended.error
    assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--json", "--config", "c.json", "status", "qpu"],
        ["status", "--json", "--config", "c.json", "qpu"],
        ["status", "qpu", "--json", "--config=c.json"],
        ["--config", "nothing.json", "status", "qpu", "--json", "--config", "c.json"],
    ],
)
def test_common_options_stand_before_and_after_the_command(
    vendor: FakeVendor, qrmi: Qrmi, arguments: list[str]
) -> None:
    write_config({"name": "qpu", "type": "fake", "environment": {}})
    assert qrmi(*arguments).data["status"] == "online"


@pytest.mark.parametrize("level", ["info", "INFO"])
def test_more_is_said_on_request(
    vendor: FakeVendor, qrmi: Qrmi, monkeypatch: pytest.MonkeyPatch, level: str
) -> None:
    assert "qrmi: info: " not in qrmi("task", "start", "fake:q", "input.json").err
    assert "qrmi: info: task" in qrmi("task", "start", "fake:q", "input.json", "-v").err
    monkeypatch.setenv("QRMI_LOG_LEVEL", level)
    assert "qrmi: info: task" in qrmi("task", "start", "fake:q", "input.json").err


def test_an_unknown_log_level_is_an_error(qrmi: Qrmi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QRMI_LOG_LEVEL", "loud")
    ended = qrmi("plugins")
    assert ended.status == 2
    assert "QRMI_LOG_LEVEL is 'loud'" in ended.error


STATUSES = {
    BatchInterruptedError: 130,
    BatchSubmissionError: 5,
    TaskFailedError: 1,
    ConfigError: 2,
    EnvVarNotSetError: 2,
    InvalidArgumentError: 2,
    InvalidInputError: 2,
    PluginError: 2,
    UnsupportedFunctionError: 2,
    UnsupportedPayloadError: 2,
    UnsupportedResourceTypeError: 2,
    NotAcquiredError: 2,
    ResourceNotFoundError: 2,
    TaskNotFoundError: 2,
    TaskCancelledError: 3,
    ResourceBusyError: 4,
    WaitTimeoutError: 4,
    AuthenticationFailedError: 5,
    CallTimeoutError: 5,
    InvalidResponseError: 5,
    PermissionDeniedError: 5,
    QrmiError: 5,
    ServiceError: 5,
    TaskNotReadyError: 5,
    TransportError: 5,
    SubmissionUncertainError: 6,
    DriverDefectError: 70,
}


def test_every_error_has_a_status() -> None:
    def tree(kind: type[QrmiError]) -> Iterator[type[QrmiError]]:
        yield kind
        for child in kind.__subclasses__():
            yield from tree(child)

    ours = {kind for kind in tree(QrmiError) if kind.__module__.startswith("qrmi_core.")}
    assert ours == set(STATUSES)


@pytest.mark.parametrize("kind", STATUSES, ids=lambda kind: kind.__name__)
def test_an_error_is_one_line_and_a_status(
    vendor: FakeVendor, qrmi: Qrmi, kind: type[QrmiError]
) -> None:
    vendor.faults["status"] = [kind("what happened\nand \x1b[31mwhat to do")]
    ended = qrmi("status", "fake:qpu")
    assert (ended.status, ended.out) == (STATUSES[kind], "")
    # A driver has no reason to raise an interrupt, so nothing is added to one.
    named = "" if issubclass(kind, KeyboardInterrupt) else " [resource qpu]"
    assert ended.error.startswith(f"what happened and [31mwhat to do{named}")
    assert len(ended.err.splitlines()) == 1


def test_a_defect_shows_its_traceback_to_those_who_ask(vendor: FakeVendor, qrmi: Qrmi) -> None:
    for arguments, shown in ((["-vv"], True), (["-v"], False), ([], False)):
        vendor.faults["status"] = [KeyError("backends")]
        ended = qrmi("status", "fake:qpu", *arguments)
        assert ended.status == 70
        assert "KeyError: 'backends'; please report this to the authors" in ended.error
        assert "-vv shows where" in ended.error
        assert ("Traceback" in ended.err) is shown


@pytest.mark.parametrize("seconds", ["nan", "-1", "soon"])
def test_a_timeout_that_is_not_a_time_is_a_mistake_of_the_caller(qrmi: Qrmi, seconds: str) -> None:
    ended = qrmi("status", "fake:qpu", "--timeout", seconds)
    assert (ended.status, ended.out) == (2, "")
    assert "--timeout" in ended.err


def test_lines_have_no_control_characters() -> None:
    assert one_line(" a\r\n\tb\x1b[2Jc\u202e ") == "a b [2Jc"


# run


def test_run_writes_the_result_and_says_the_id(vendor: FakeVendor, qrmi: Qrmi) -> None:
    ended = qrmi("run", "fake:qpu", "input.json", "out.json")
    assert (ended.status, ended.out) == (0, "")
    assert Path("out.json").read_bytes() == RESULT
    assert ended.err.startswith("qrmi: task task-2 started on fake:qpu\nqrmi: Completed (")
    (task,) = vendor.tasks.values()
    assert json.loads(task.payload.input) == INPUT["parameters"]  # type: ignore[attr-defined]


def test_without_output_the_result_goes_to_standard_output_unchanged(
    vendor: FakeVendor, qrmi: Qrmi
) -> None:
    for output in ([], ["-"]):
        assert qrmi("run", "fake:qpu", "input.json", *output).out.encode() == RESULT


def test_the_output_may_be_no_file(vendor: FakeVendor, qrmi: Qrmi) -> None:
    assert qrmi("run", "fake:qpu", "input.json", os.devnull).status == 0


def test_changes_of_state_are_told_with_the_place_in_the_queue(
    vendor: FakeVendor, qrmi: Qrmi
) -> None:
    vendor.reports = [
        Observation(TaskStatus.Queued, queue_position=3),
        Observation(TaskStatus.Running),
        Observation(TaskStatus.Completed),
    ]
    lines = qrmi("run", "fake:qpu", "input.json").err.splitlines()
    told = [line.partition(" (")[0] for line in lines[1:]]
    assert told == ["qrmi: Queued, 3 before it", "qrmi: Running", "qrmi: Completed"]


def test_run_acquires_before_and_releases_after(vendor: FakeVendor, qrmi: Qrmi) -> None:
    calls: list[str] = []
    vendor.on_call = calls.append
    qrmi("run", "fake:qpu", "input.json", "out.json")
    assert calls == ["acquire", "task_start", "task_status", "task_result", "release"]
    (task,) = vendor.tasks.values()
    assert task.acquisition == "token-1"
    assert vendor.tokens == []


def test_the_schedulers_acquisition_is_used_and_kept(
    vendor: FakeVendor, qrmi: Qrmi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QRMI_JOB_QPU_RESOURCES", "qpu")
    monkeypatch.setenv("QRMI_JOB_QPU_TYPES", "fake")
    monkeypatch.setenv("qpu_QRMI_JOB_ACQUISITION_TOKEN", "scheduled")
    assert qrmi("run", "qpu", "input.json", "out.json").status == 0
    assert vendor.calls["acquire"] == vendor.calls["release"] == 0
    assert [task.acquisition for task in vendor.tasks.values()] == ["scheduled"]


@pytest.mark.parametrize("final", [TaskStatus.Failed, TaskStatus.Cancelled])
def test_a_task_that_ends_badly_gives_its_reason(
    vendor: FakeVendor, qrmi: Qrmi, final: TaskStatus
) -> None:
    vendor.reports = [Observation(final, reason="the ion left")]
    ended = qrmi("run", "fake:qpu", "input.json", "out.json")
    assert ended.status == {TaskStatus.Failed: 1, TaskStatus.Cancelled: 3}[final]
    assert "the ion left" in ended.error
    assert not Path("out.json").exists()
    assert vendor.tokens == []
    assert vendor.calls["task_stop"] == 0


def test_time_out_stops_the_task_and_releases(vendor: FakeVendor, qrmi: Qrmi) -> None:
    vendor.reports = [Observation(TaskStatus.Running)]
    ended = qrmi("run", "fake:qpu", "input.json", "--timeout", "0.3")
    assert ended.status == 4
    assert "task task-2 is still running after 0.3 s" in ended.error
    assert "task task-2 was asked to stop" in ended.err
    assert vendor.calls["task_stop"] == 1
    assert vendor.tokens == []


def test_keep_leaves_the_task_and_says_how_to_get_it(vendor: FakeVendor, qrmi: Qrmi) -> None:
    vendor.reports = [Observation(TaskStatus.Running)]
    ended = qrmi("run", "fake:qpu", "input.json", "--timeout", "0.3", "--keep")
    assert ended.status == 4
    assert "qrmi: task task-2 is kept: qrmi task result fake:qpu task-2" in ended.err
    assert vendor.calls["task_stop"] == 0
    assert vendor.tokens == []


def test_a_stop_that_fails_is_told_with_the_command_to_repeat(
    vendor: FakeVendor, qrmi: Qrmi
) -> None:
    vendor.reports = [Observation(TaskStatus.Running)]
    vendor.faults["task_stop"] = [TransportError("the network is down")]
    vendor.faults["release"] = [TransportError("the network is down")]
    ended = qrmi("run", "fake:qpu", "input.json", "--timeout", "0.3")
    assert ended.status == 4
    assert "could not be stopped: the network is down" in ended.err
    assert "qrmi task stop fake:qpu task-2" in ended.err
    assert "qrmi release fake:qpu token-1" in ended.err


def test_a_busy_resource_is_waited_for_and_that_is_shown(vendor: FakeVendor, qrmi: Qrmi) -> None:
    vendor.faults["acquire"] = [ResourceBusyError("taken by alice")] * 2
    ended = qrmi("run", "fake:qpu", "input.json", "out.json")
    assert ended.status == 0
    assert ended.err.count("qrmi: waiting: taken by alice") == 1


def test_a_resource_that_stays_busy_is_a_time_out(vendor: FakeVendor, qrmi: Qrmi) -> None:
    vendor.tokens.append("of somebody else")
    ended = qrmi("run", "fake:qpu", "input.json", "--timeout", "0.3")
    assert ended.status == 4
    assert "held by another" in ended.error
    assert vendor.tasks == {}


def test_an_uncertain_submission_has_its_status(vendor: FakeVendor, qrmi: Qrmi) -> None:
    vendor.lost_responses["task_start"] = [TransportError("reset", uncertain=True)]
    ended = qrmi("run", "fake:qpu", "input.json")
    assert ended.status == 6
    assert "tasks created about then: task-2" in ended.error
    assert vendor.tokens == []


def test_an_output_that_cannot_be_written_is_found_before_submitting(
    vendor: FakeVendor, qrmi: Qrmi
) -> None:
    for output in ("nowhere/out.json", "."):
        ended = qrmi("run", "fake:qpu", "input.json", output)
        assert ended.status == 2
        assert output in ended.error
    assert vendor.calls.total() == 0


def test_a_full_disk_is_one_line_and_the_task_is_findable(vendor: FakeVendor, qrmi: Qrmi) -> None:
    ended = qrmi("run", "fake:qpu", "input.json", "/dev/full")
    assert ended.status == 2
    assert ended.error == "/dev/full: No space left on device"
    assert "qrmi: task task-2 is kept: qrmi task result fake:qpu task-2" in ended.err


def test_a_lost_connection_leaves_the_task_findable(vendor: FakeVendor, qrmi: Qrmi) -> None:
    vendor.faults["task_result"] = [PermissionDeniedError("not yours")]
    ended = qrmi("run", "fake:qpu", "input.json", "out.json")
    assert ended.status == 5
    assert "qrmi task result fake:qpu task-2" in ended.err
    assert not Path("out.json").exists()


@pytest.mark.parametrize("arguments", [["input.json"], ["missing.json"], ["."]])
def test_bad_input_submits_nothing(vendor: FakeVendor, qrmi: Qrmi, arguments: list[str]) -> None:
    Path("input.json").write_text('{"sequence": "{}", "job_runs": 3}')
    for command in (["run"], ["task", "start"]):
        assert qrmi(*command, "fake:qpu", *arguments).status == 2
    assert vendor.calls.total() == 0


def test_json_sums_the_run_up(vendor: FakeVendor, qrmi: Qrmi) -> None:
    data = qrmi("--json", "run", "fake:qpu", "input.json", "out.json").data
    assert (data["task"], data["resource"], data["status"]) == ("task-2", "fake:qpu", "Completed")
    assert [move["status"] for move in data["history"]] == ["Completed"]
    assert data["usage"]["quantum_seconds"] == 1.5


def test_json_without_output_leaves_standard_output_to_the_result(
    vendor: FakeVendor, qrmi: Qrmi
) -> None:
    ended = qrmi("--json", "run", "fake:qpu", "input.json")
    assert ended.out.encode() == RESULT
    assert json.loads(ended.err.splitlines()[-1])["status"] == "Completed"


# task


def test_a_task_goes_step_by_step(vendor: FakeVendor, qrmi: Qrmi) -> None:
    vendor.reports = [Observation(TaskStatus.Queued, queue_position=1)] * 2 + [
        Observation(TaskStatus.Completed)
    ]
    task_id = qrmi("task", "start", "fake:qpu", "input.json").out.strip()
    assert task_id == "task-1"
    assert qrmi("task", "status", "fake:qpu", task_id).out == "Queued\n"
    data = qrmi("task", "status", "fake:qpu", task_id, "--json").data
    assert data["queue_position"] == 1
    assert qrmi("task", "result", "fake:qpu", task_id, "out.json").status == 0
    assert Path("out.json").read_bytes() == RESULT
    assert qrmi("task", "result", "fake:qpu", task_id).out.encode() == RESULT
    data = qrmi("task", "result", "fake:qpu", task_id, "out.json", "--json").data
    assert data == {"task": task_id, "status": "Completed", "output": "out.json"}
    assert qrmi("task", "logs", "fake:qpu", task_id).out == "log of task-1\n"
    assert "quantum seconds  1.5" in qrmi("task", "usage", "fake:qpu", task_id).out
    assert qrmi("task", "usage", "fake:qpu", task_id, "--json").data["quantum_seconds"] == 1.5
    assert task_id in qrmi("task", "list", "fake:qpu").out
    assert qrmi("task", "list", "fake:qpu", "--json").data[0]["status"] == "Completed"
    assert qrmi("task", "stop", "fake:qpu", task_id).status == 0
    assert vendor.calls["acquire"] == 0


def test_counts_of_a_task_are_printed(site: Path, vendor: FakeVendor, qrmi: Qrmi) -> None:
    add_distribution(
        site,
        "reading",
        groups={"qrmi.readers": {"QiskitPrimitive": "qrmi_test_reading:json.loads"}},
        modules={"qrmi_test_reading": "import json"},
    )
    vendor.result = b'[{"1": 2, "0": 3}, {"00": 1}]'
    task = qrmi("task", "start", "fake:qpu", "input.json").out.strip()
    assert qrmi("task", "counts", "fake:qpu", task).out.splitlines() == [
        "CIRCUIT  BITS  COUNT",
        "0        0     3",
        "0        1     2",
        "1        00    1",
    ]
    assert qrmi("task", "counts", "fake:qpu", task, "--json").data == {
        "task": task,
        "counts": [{"1": 2, "0": 3}, {"00": 1}],
    }


def test_the_program_of_a_task_is_printed_where_the_vendor_gives_it_back(
    vendor: FakeVendor, qrmi: Qrmi, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = qrmi("task", "start", "fake:qpu", "input.json").out.strip()
    ended = qrmi("task", "input", "fake:qpu", task_id)
    assert ended.status == 2
    assert "task_input" in ended.error
    driver = importlib.import_module("qrmi_test_fake").Driver
    monkeypatch.setattr(
        driver, "task_input", lambda _self, task_id: f'{{"of": "{task_id}"}}'.encode()
    )
    assert qrmi("task", "input", "fake:qpu", task_id).out == f'{{"of": "{task_id}"}}\n'
    data = qrmi("--json", "task", "input", "fake:qpu", task_id).data
    assert data == {"task": task_id, "input": f'{{"of": "{task_id}"}}'}


def test_start_can_print_json(vendor: FakeVendor, qrmi: Qrmi) -> None:
    data = qrmi("task", "start", "fake:qpu", "input.json", "--json").data
    assert data == {"task": "task-1", "resource": "fake:qpu"}


def test_waiting_for_a_result_has_a_time_out_and_leaves_the_task(
    vendor: FakeVendor, qrmi: Qrmi
) -> None:
    vendor.reports = [Observation(TaskStatus.Running)]
    qrmi("task", "start", "fake:qpu", "input.json")
    ended = qrmi("task", "result", "fake:qpu", "task-1", "--timeout", "0")
    assert (ended.status, ended.out) == (4, "")
    assert vendor.calls["task_stop"] == 0


def test_an_unknown_task_is_one_line(vendor: FakeVendor, qrmi: Qrmi) -> None:
    for command in ("status", "result", "logs", "stop", "usage"):
        ended = qrmi("task", command, "fake:qpu", "nope")
        assert (ended.status, ended.out) == (2, "")
        assert "no task nope" in ended.error


# Many tasks


@pytest.fixture
def inputs(vendor: FakeVendor) -> list[str]:
    names = ["a.json", "b.json", "sub/c.json"]
    Path("sub").mkdir()
    for name in names:
        Path(name).write_text(json.dumps(INPUT))
    return names


def test_run_takes_several_inputs_and_saves_their_results(
    vendor: FakeVendor, qrmi: Qrmi, inputs: list[str]
) -> None:
    ended = qrmi("run", "fake:qpu", *inputs, "--into", "results", "--json")
    assert ended.status == 0
    assert [row["input"] for row in ended.data] == inputs
    assert {row["status"] for row in ended.data} == {"Completed"}
    assert {row["task"] for row in ended.data} == set(vendor.tasks)
    for name in "abc":
        assert Path(f"results/{name}.result.json").read_bytes() == RESULT
    assert all(f"task {task_id} started on fake:qpu" in ended.err for task_id in vendor.tasks)
    assert {task.acquisition for task in vendor.tasks.values()} == {"token-1"}
    assert vendor.tokens == []


def test_one_task_that_fails_keeps_no_other_result_from_being_saved(
    vendor: FakeVendor, qrmi: Qrmi, inputs: list[str]
) -> None:
    def fail_one(function: str) -> None:
        failing = function == "task_start" and vendor.calls[function] == 2
        status = TaskStatus.Failed if failing else TaskStatus.Completed
        vendor.reports = [Observation(status, reason="the ion left")]

    vendor.on_call = fail_one
    ended = qrmi("run", "fake:qpu", *inputs, "--into", ".", "--json")
    assert ended.status == 1
    assert "the ion left" in ended.error
    saved = {Path(row["output"]) for row in ended.data if row["status"] == "Completed"}
    assert saved == {*Path().glob("*.result.json")}
    assert sorted(row["status"] for row in ended.data) == ["Completed", "Completed", "Failed"]
    assert vendor.calls["task_stop"] == 0


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["a.json", "b.json", "sub/c.json"], "--into FOLDER"),
        (["a.json", "sub/../a.json", "--into", "."], "the result of sub/../a.json"),
        (["a.json", "-", "--into", "."], "the result of -"),
        (["a.json", "a.result.json", "--into", "."], "the result of a.json"),
        (["a.json", "wrong.json", "--into", "."], "wrong.json: is empty"),
        (["a.json", "b.json", "--into", "a.json"], "a.json: File exists"),
    ],
    ids=["no folder", "same name", "standard input", "an INPUT", "wrong input", "no folder"],
)
def test_several_inputs_are_checked_before_anything_is_submitted(
    vendor: FakeVendor, qrmi: Qrmi, inputs: list[str], files: list[str], message: str
) -> None:
    Path("wrong.json").touch()
    ended = qrmi("run", "fake:qpu", *files)
    assert ended.status == 2
    assert message in ended.error
    assert vendor.calls["task_start"] == vendor.calls["acquire"] == 0


def test_inputs_without_a_task_are_named_and_tasks_that_go_on(
    vendor: FakeVendor, qrmi: Qrmi, inputs: list[str]
) -> None:
    vendor.faults["task_start"] = [ServiceError("no")]
    ended = qrmi("run", "fake:qpu", *inputs, "--into", ".", "--json")
    assert ended.status == 5
    assert ended.error.startswith("no [resource qpu]")
    missing = [row["input"] for row in ended.data if row["task"] is None]
    assert f"qrmi: without a task: {', '.join(missing)}" in ended.err
    for task_id in vendor.tasks:
        assert task_id in ended.err.partition("kept: qrmi task ")[2]
    assert vendor.calls["task_stop"] == 0
    assert vendor.tokens == []


def test_time_out_stops_all_tasks(vendor: FakeVendor, qrmi: Qrmi, inputs: list[str]) -> None:
    vendor.reports = [Observation(TaskStatus.Running)]
    ended = qrmi("run", "fake:qpu", *inputs, "--into", ".", "--timeout", "0.3")
    assert ended.status == 4
    assert "3 of 3 tasks have not ended in 0.3 s" in ended.error
    assert vendor.calls["task_stop"] == 3
    assert vendor.tokens == []
    assert "may go on" not in ended.err


def test_wait_prints_the_states_of_tasks_in_the_order_given(vendor: FakeVendor, qrmi: Qrmi) -> None:
    for _ in range(3):
        qrmi("task", "start", "fake:qpu", "input.json")
    ended = qrmi("task", "wait", "fake:qpu", "task-3", "task-1", "task-3", "--json")
    assert ended.status == 0
    assert ended.data == [
        {"task": "task-3", "status": "Completed"},
        {"task": "task-1", "status": "Completed"},
    ]


@pytest.mark.parametrize(
    ("finals", "status", "message"),
    [
        ([TaskStatus.Cancelled, TaskStatus.Failed], 1, "task task-2 failed: the ion left"),
        ([TaskStatus.Completed, TaskStatus.Cancelled], 3, "task task-2 was cancelled"),
        ([TaskStatus.Completed, TaskStatus.Running], 4, "task task-2 is not finished"),
    ],
)
def test_wait_has_the_status_of_the_worst_task(
    vendor: FakeVendor, qrmi: Qrmi, finals: list[TaskStatus], status: int, message: str
) -> None:
    for final in finals:
        vendor.reports = [Observation(final, reason="the ion left")]
        qrmi("task", "start", "fake:qpu", "input.json")
    ended = qrmi("task", "wait", "fake:qpu", "task-1", "task-2", "--timeout", "0")
    assert ended.status == status
    assert message in ended.error
    rows = [line.split() for line in ended.out.splitlines()[1:]]
    assert rows == [[f"task-{number}", final.name] for number, final in enumerate(finals, 1)]
    again = "1 of 2 tasks have not ended; again: qrmi task wait fake:qpu task-2"
    assert (again in ended.err) == (status == 4)


# resources


def write_config(*entries: dict[str, Any]) -> Path:
    path = Path("c.json")
    path.write_text(json.dumps({"resources": entries}))
    path.chmod(0o600)
    return path


def test_resources_come_from_the_job_the_files_and_discovery(
    vendor: FakeVendor, qrmi: Qrmi, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_config(
        {"name": "qpu", "type": "fake", "environment": {}},
        {"name": "any", "type": "fake", "environment": {}, "is_dynamic": True},
        {"name": "other", "type": "else", "environment": {}},
    )
    monkeypatch.setenv("QRMI_JOB_QPU_RESOURCES", "mine")
    monkeypatch.setenv("QRMI_JOB_QPU_TYPES", "fake")
    rows = qrmi("resources", "--type", "fake", "--config", "c.json", "--json").data
    assert [(row["name"], row["source"]) for row in rows] == [
        ("mine", "job"),
        ("qpu", "c.json"),
        ("any:fake_idle", "c.json"),
        ("any:fake_busy", "c.json"),
        ("fake:fake_idle", "discovery"),
        ("fake:fake_busy", "discovery"),
    ]
    assert rows[5]["num_qubits"] == 5
    names = qrmi("resources", "--config", "c.json").out
    assert "other" in names
    for row in rows:
        assert qrmi("status", row["name"], "--config", "c.json").status == 0


def test_resources_are_filtered(vendor: FakeVendor, qrmi: Qrmi) -> None:
    rows = qrmi("resources", "--type", "fake", "--filter", "num_qubits=3", "--json").data
    assert [row["name"] for row in rows] == ["fake:fake_busy"]
    ended = qrmi("resources", "--filter", "num_qubits=x")
    assert ended.status == 2
    assert vendor.calls["discover"] == 1


def test_a_broken_driver_hides_no_resource(site: Path, vendor: FakeVendor, qrmi: Qrmi) -> None:
    add_distribution(site, "bad", drivers={"bad": "no_such_module:Driver"})
    ended = qrmi("resources")
    assert ended.status == 0
    assert "fake:fake_idle" in ended.out
    assert "qrmi: warning: bad: " in ended.err
    assert qrmi("resources", "--type", "bad").status == 2


def test_an_account_that_is_out_of_reach_hides_no_resource(vendor: FakeVendor, qrmi: Qrmi) -> None:
    write_config(
        {"name": "away", "type": "fake", "environment": {}, "is_dynamic": True},
        {"name": "qpu", "type": "fake", "environment": {}},
    )
    vendor.faults["discover"] = [TransportError("no route")]
    ended = qrmi("resources", "--config", "c.json")
    assert ended.status == 0
    assert "qrmi: warning: away: no route" in ended.err
    assert {"qpu", "fake:fake_idle"} <= set(ended.out.split())


def test_a_dynamic_entry_can_be_checked(vendor: FakeVendor, qrmi: Qrmi) -> None:
    write_config({"name": "any", "type": "fake", "environment": {}, "is_dynamic": True})
    for name in ("any", "any:fake_idle"):
        ended = qrmi("config", "check", name, "--config", "c.json")
        assert "checked: any (c.json)" in ended.out
    assert vendor.calls["discover"] == 0


def test_a_dynamic_entry_runs_on_the_least_busy_and_the_task_is_found_again(
    vendor: FakeVendor, qrmi: Qrmi
) -> None:
    write_config({"name": "any", "type": "fake", "environment": {}, "is_dynamic": True})
    ended = qrmi("run", "any", "input.json", "out.json", "--config", "c.json")
    assert "started on any:fake_idle" in ended.err
    again = qrmi("task", "status", "any:fake_idle", "task-2", "--config", "c.json")
    assert again.out == "Completed\n"


def test_target_is_printed_as_it_came(vendor: FakeVendor, qrmi: Qrmi) -> None:
    assert qrmi("target", "fake:qpu").out == '{"num_qubits": 2}\n'
    assert qrmi("target", "fake:qpu", "--json").data == {"num_qubits": 2}


def test_acquire_prints_the_token_that_release_takes(vendor: FakeVendor, qrmi: Qrmi) -> None:
    token = qrmi("acquire", "fake:qpu").out.strip()
    assert vendor.tokens == [token]
    assert qrmi("acquire", "fake:qpu", "--timeout", "0").status == 4
    assert qrmi("release", "fake:qpu", token).status == 0
    assert vendor.tokens == []
    assert qrmi("acquire", "fake:qpu", "--json").data["held"] is True


# plugins

GROUPS_OF_FUNCTIONS = {
    "Bad": "qrmi.readers",
    "bad-type": "qrmi.qiskit",
    "bad-vendor": "qrmi.emulator.faces",
}


def test_plugins_are_listed_without_importing_them(
    site: Path, vendor: FakeVendor, qrmi: Qrmi
) -> None:
    add_distribution(
        site,
        "bad",
        drivers={"bad": "qrmi_test_bad:Driver"},
        commands={"worse": "qrmi_test_bad:worse"},
        groups={
            group: {name: "qrmi_test_bad:worst"} for name, group in GROUPS_OF_FUNCTIONS.items()
        },
        modules={"qrmi_test_bad": "import sys; sys.exit(3)"},
    )
    rows = {row["name"]: row for row in qrmi("plugins", "--json").data}
    assert rows["bad"]["distribution"] == "bad"
    assert rows["worse"]["kind"] == "command"
    assert {name: rows[name]["kind"] for name in GROUPS_OF_FUNCTIONS} == {
        "Bad": "reader",
        "bad-type": "qiskit",
        "bad-vendor": "face",
    }
    ended = qrmi("plugins", "--check", "--json")
    assert ended.status == 2
    rows = {row["name"]: row for row in ended.data}
    assert rows["fake"]["error"] is None
    assert "it exits on import" in rows["bad"]["error"]
    for name in ("worse", *GROUPS_OF_FUNCTIONS):
        assert "it exits on import" in rows[name]["error"]
    assert re.search("fake .* ok", qrmi("plugins", "--check").out)


COMMAND = """
import sys
import click
@click.command()
@click.argument("word")
def hello(word):
    if word == "exit":
        sys.exit(9)
    if word == "prompt":
        raise click.Abort
    click.echo(f"hello {word}")
"""


def test_further_commands_are_plugins_and_a_broken_one_is_named_when_it_is_called(
    site: Path, qrmi: Qrmi
) -> None:
    add_distribution(
        site,
        "good",
        commands={"hello": "qrmi_test_hello:hello"},
        modules={"qrmi_test_hello": COMMAND},
    )
    add_distribution(
        site,
        "bad",
        commands={"bad": "qrmi_test_bad:hello", "odd": "os:stat", "run": "os:stat"},
        modules={"qrmi_test_bad": "import a_module_nobody_has"},
    )
    assert qrmi("hello", "you").out == "hello you\n"
    assert qrmi("hello", "prompt").status == 130
    with pytest.raises(SystemExit, match="9"):
        qrmi("hello", "exit")
    listed = qrmi("--help")
    assert (listed.status, listed.err) == (0, "")
    further = listed.out.partition("Commands of plugins:\n")[2]
    assert re.search(r"^  bad +From bad.$", further, re.MULTILINE)
    assert re.search(r"^  hello +From good.$", further, re.MULTILINE)
    ended = qrmi("bad")
    assert ended.status == 2
    assert "plugin bad (qrmi_test_bad:hello of bad 1.0)" in ended.error
    assert "a_module_nobody_has is not installed" in ended.error
    assert "plugin command odd is not a click command" in qrmi("odd").error
    assert qrmi("run").error.startswith("Missing argument")
    rows = {row["name"]: row for row in qrmi("plugins", "--check", "--json").data}
    assert "run is already a command of qrmi" in rows["run"]["error"]


# config check

ACME = """
import attrs
from qrmi_core import Settings, setting
from qrmi_core.settings import to_count
from qrmi_core.testing import FakeVendor

@attrs.frozen(kw_only=True)
class AcmeSettings(Settings):
    endpoint: str = setting("QRMI_ACME_NEW_ENDPOINT", help="Where.")
    token: str = setting("QRMI_ACME_NEW_TOKEN", help="Key.", secret=True)
    slots: int = setting("QRMI_ACME_NEW_SLOTS", help="Places.", default=1, converter=to_count)
    project: str | None = setting(
        "QRMI_ACME_NEW_PROJECT", help="Project.", default=None, needed_by=("task_start",)
    )

vendor = FakeVendor()
Driver = vendor.driver()
Driver.settings_class = AcmeSettings
"""
ACME_GOOD = {
    "QRMI_ACME_NEW_ENDPOINT": "https://x",
    "QRMI_ACME_NEW_TOKEN": "s3cret",
    "QRMI_ACME_NEW_PROJECT": "p",
}


@pytest.fixture
def acme(site: Path, vendor: FakeVendor) -> None:
    add_distribution(
        site, "acme", drivers={"acme": "qrmi_test_acme:Driver"}, modules={"qrmi_test_acme": ACME}
    )


def entry(name: str, environment: dict[str, str], kind: str = "acme") -> dict[str, Any]:
    return {"name": name, "type": kind, "environment": environment}


def test_a_configuration_that_is_right_passes(acme: None, qrmi: Qrmi) -> None:
    write_config(entry("a", ACME_GOOD), entry("b", {k.lower(): v for k, v in ACME_GOOD.items()}))
    ended = qrmi("config", "check", "--config", "c.json")
    assert ended.status == 0
    assert "checked: a (c.json), b (c.json)" in ended.out
    assert "0 errors, 0 warnings" in ended.out


def test_every_wrong_key_of_every_resource_is_named(acme: None, qrmi: Qrmi) -> None:
    write_config(
        entry("a", {"QRMI_ACME_OLD_ENDPOINT": "x", "QRMI_ACME_NEW_SLOTS": "s"}),
        entry("b", {**ACME_GOOD, "QRMI_ACME_NEW_SLOT": "2"}),
        entry("c", {}, "direct-access-of-old"),
        entry("d", {k: v for k, v in ACME_GOOD.items() if not k.endswith("PROJECT")}),
    ).chmod(0o644)
    ended = qrmi("config", "check", "--config", "c.json")
    assert ended.status == 2
    for words in (
        "error: c.json: a: settings: missing QRMI_ACME_NEW_ENDPOINT, QRMI_ACME_NEW_TOKEN",
        "QRMI_ACME_NEW_SLOTS: 's' is not a whole number",
        "another type or generation: QRMI_ACME_OLD_ENDPOINT",
        "b: unknown key QRMI_ACME_NEW_SLOT; did you mean QRMI_ACME_NEW_SLOTS?",
        "c: no plugin for resource type 'direct-access-of-old'",
        "warning: c.json: d: QRMI_ACME_NEW_PROJECT is not set, which task_start needs",
        "warning: c.json: others can read the file",
    ):
        assert words in ended.out
    assert "s3cret" not in ended.out + ended.err
    one = qrmi("config", "check", "b", "--config", "c.json", "--json").data
    assert [finding["resource"] for finding in one["findings"]] == [None, "b"]


def test_settings_are_checked_as_the_scheduler_uses_them_and_as_jobs_get_them(
    acme: None, qrmi: Qrmi
) -> None:
    url = {"QRMI_ACME_NEW_ENDPOINT": "https://x", "QRMI_ACME_NEW_PROJECT": "p"}
    token, typo = {"QRMI_ACME_NEW_TOKEN": "s3cret"}, {"QRMI_ACME_NEW_TOKNE": "s3cret"}
    write_config(
        entry("a-1", url) | {"scheduler_environment": token},
        entry("b", url | {"qrmi_acme_new_token": "x"}) | {"scheduler_environment": token},
        entry("c", url) | {"scheduler_environment": typo},
        entry("d", {"QRMI_ACME_NEW_SLOTS": "s3cret"}) | {"user_credentials": True},
        entry("e", url | token) | {"user_credentials": True},
        entry("f", url) | {"scheduler_environment": token, "is_dynamic": True},
    )
    ended = qrmi("config", "check", "--config", "c.json")
    assert ended.status == 2
    only = "only the scheduler has, so that each job's user must set"
    left = "user_credentials leaves to each user"
    assert ended.out.splitlines()[:-2] == [
        f"warning: c.json: a-1: {only} a_1_QRMI_ACME_NEW_TOKEN",
        "error: c.json: c: settings: missing QRMI_ACME_NEW_TOKEN",
        "error: c.json: c: unknown key QRMI_ACME_NEW_TOKNE; did you mean QRMI_ACME_NEW_TOKEN?",
        "error: c.json: d: settings: QRMI_ACME_NEW_SLOTS: 's3cret' is not a whole number of at "
        "least 1",
        f"note: c.json: d: {left} d_QRMI_ACME_NEW_ENDPOINT, d_QRMI_ACME_NEW_TOKEN, "
        "d_QRMI_ACME_NEW_PROJECT",
        f"warning: c.json: f: {only} <id>_QRMI_ACME_NEW_TOKEN",
    ]
    assert ended.out.splitlines()[-1] == "3 errors, 2 warnings"


LAB = """
import attrs
from qrmi_core.plugin import Settings, setting, to_url
from qrmi_core.testing import FakeVendor

@attrs.frozen(kw_only=True)
class LabSettings(Settings):
    url: str = setting("QRMI_LAB_URL", help="Where.", converter=to_url)

    @classmethod
    def prefixes(cls, resource_id):
        return super().prefixes(resource_id.partition(":")[0])

Driver = FakeVendor().driver()
Driver.settings_class = LabSettings
"""


@pytest.fixture
def lab(site: Path, vendor: FakeVendor) -> None:
    add_distribution(
        site, "lab", drivers={"lab": "qrmi_test_lab:Driver"}, modules={"qrmi_test_lab": LAB}
    )


def test_a_prefix_of_the_settings_class_is_that_of_the_check(
    lab: None, qrmi: Qrmi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QRMI_JOB_QPU_RESOURCES", "my-site:q1,my-site:q2")
    monkeypatch.setenv("QRMI_JOB_QPU_TYPES", "lab,lab")
    monkeypatch.setenv("my_site_QRMI_LAB_URL", "https://x")
    assert qrmi("config", "check").out.endswith("0 errors, 0 warnings\n")
    monkeypatch.setenv("my_site_QRMI_LAB_ULR", "x")
    found = qrmi("config", "check", "--json").data["findings"]
    typo = "unknown key my_site_QRMI_LAB_ULR; did you mean QRMI_LAB_URL?"
    assert [(each["resource"], each["message"]) for each in found] == [
        ("my-site:q1", typo),
        ("my-site:q2", typo),
    ]
    write_config(entry("my-site:q3", {}, "lab") | {"user_credentials": True})
    ended = qrmi("config", "check", "--config", "c.json")
    assert "to each user my_site_QRMI_LAB_URL\n" in ended.out


MALFORMED = (
    *("x", "x.org/v1", "htps://x", "https://", "https:///v1", "https://x:port", "https://x:99999"),
    *("https://[::1", "https://my host", "https://x/a b", "https://<host>/v1", "https://$HOST"),
)


@pytest.mark.parametrize("url", MALFORMED)
@pytest.mark.parametrize("users", [False, True])
def test_a_malformed_address_is_an_error(lab: None, qrmi: Qrmi, url: str, users: bool) -> None:
    write_config(entry("q", {"QRMI_LAB_URL": url}, "lab") | {"user_credentials": users})
    ended = qrmi("config", "check", "--config", "c.json")
    assert "error: c.json: q: settings: QRMI_LAB_URL: " in ended.out
    assert ended.status == 2


def test_the_jobs_environment_is_checked(
    acme: None, qrmi: Qrmi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QRMI_JOB_QPU_RESOURCES", "q,q_2")
    monkeypatch.setenv("QRMI_JOB_QPU_TYPES", "acme,acme")
    for name in ("q", "q_2"):
        for key, value in ACME_GOOD.items():
            monkeypatch.setenv(f"{name}_{key}", value)
    assert qrmi("config", "check").status == 0
    monkeypatch.setenv("q_QRMI_ACME_NEW_TOKNE", "x")
    monkeypatch.delenv("q_2_QRMI_ACME_NEW_TOKEN")
    data = qrmi("config", "check", "--json").data
    assert [(finding["resource"], finding["message"]) for finding in data["findings"]] == [
        ("q", "unknown key q_QRMI_ACME_NEW_TOKNE; did you mean QRMI_ACME_NEW_TOKEN?"),
        ("q_2", "settings: missing q_2_QRMI_ACME_NEW_TOKEN"),
    ]
    monkeypatch.setenv("QRMI_JOB_QPU_TYPES", "acme")
    ended = qrmi("config", "check")
    assert ended.status == 2
    assert "do not match" in ended.out


def test_a_resource_of_the_environment_alone_is_checked_by_type_and_id(
    acme: None, qrmi: Qrmi
) -> None:
    ended = qrmi("config", "check", "acme:q")
    assert ended.status == 2
    assert "missing q_QRMI_ACME_NEW_ENDPOINT, q_QRMI_ACME_NEW_TOKEN" in ended.out


def test_a_file_that_cannot_be_used_is_an_error_and_so_is_an_unknown_name(
    acme: None, qrmi: Qrmi
) -> None:
    write_config(entry("a", ACME_GOOD), entry("a", ACME_GOOD))
    ended = qrmi("config", "check", "--config", "c.json")
    assert ended.status == 2
    assert "error: c.json: a: the name is there twice" in ended.out
    assert qrmi("config", "check", "--config", "nothing.json").status == 2
    write_config(entry("a", ACME_GOOD))
    ended = qrmi("config", "check", "nope", "--config", "c.json")
    assert ended.status == 2
    assert "there is no resource nope (known: a;" in ended.error


# As a process

SLOW = """
import os, time
from qrmi_core import Observation, TaskStatus
from qrmi_core.testing import FakeVendor

def called(name):
    with open("calls", "a") as log:
        print(name, file=log, flush=True)
    if name == os.environ.get("SLOW_CALL"):
        time.sleep(float(os.environ["SLOW_SECONDS"]))

status = getattr(TaskStatus, os.environ.get("FAKE_STATUS", "Running"))
vendor = FakeVendor(
    reports=[Observation(status)],
    on_call=called,
    result=b"x" * int(os.environ.get("FAKE_SIZE", 5)),
)
Driver = vendor.driver()
"""


@pytest.fixture
def process(site: Path, vendor: FakeVendor, tmp_path: Path) -> Callable[..., Any]:
    add_distribution(
        site, "slow", drivers={"slow": "qrmi_test_slow:Driver"}, modules={"qrmi_test_slow": SLOW}
    )

    def start(
        *arguments: str,
        stdout: Any = subprocess.PIPE,
        stderr: Any = subprocess.PIPE,
        program: Sequence[str] = (),
        **variables: str,
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*program, sys.executable, "-c", "from qrmi_core.cli import run; run()", *arguments],
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)]),
                "XDG_CACHE_HOME": str(tmp_path / "cache"),
                **variables,
            },
            stdout=stdout,
            stderr=stderr,
            text=True,
        )

    return start


def called(name: str) -> bool:
    return Path("calls").exists() and name in Path("calls").read_text().split()


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"]
)
def test_a_signal_stops_the_task_and_releases(
    process: Callable[..., Any], number: signal.Signals, status: int
) -> None:
    running = process("run", "slow:qpu", "input.json", "out.json")
    wait_until(lambda: called("task_status"))
    running.send_signal(number)
    out, err = running.communicate(timeout=20)
    assert (running.returncode, out) == (status, "")
    assert called("task_stop")
    assert called("release")
    assert "task task-2 was asked to stop" in err
    assert err.splitlines()[-1] == "qrmi: error: interrupted"


def test_a_signal_stops_all_tasks_of_a_run(process: Callable[..., Any], inputs: list[str]) -> None:
    running = process("run", "slow:qpu", *inputs, "--into", ".")
    wait_until(lambda: called("task_status"))
    running.terminate()
    _, err = running.communicate(timeout=20)
    assert running.returncode == 143
    assert Path("calls").read_text().split().count("task_stop") == 3
    assert called("release")
    assert err.splitlines()[-1] == "qrmi: error: interrupted"


def test_a_signal_while_tasks_are_submitted_waits_for_their_ids_and_stops_them(
    process: Callable[..., Any], inputs: list[str]
) -> None:
    slow = {"SLOW_CALL": "task_start", "SLOW_SECONDS": "0.4"}
    running = process("run", "slow:qpu", *inputs, "--into", ".", **slow)
    wait_until(lambda: called("task_start"))
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=20)
    calls = Path("calls").read_text().split()
    assert running.returncode == 130
    assert calls.count("task_start") == calls.count("task_stop") == err.count("started on")
    assert "without a task: " in err
    assert called("release")


def test_keep_leaves_the_task_on_a_signal(process: Callable[..., Any]) -> None:
    running = process("run", "slow:qpu", "input.json", "--keep")
    wait_until(lambda: called("task_status"))
    running.terminate()
    _, err = running.communicate(timeout=20)
    assert running.returncode == 143
    assert not called("task_stop")
    assert "qrmi task result slow:qpu task-2" in err


@pytest.mark.slow
def test_a_signal_during_the_submission_waits_for_the_id_and_stops_the_task(
    process: Callable[..., Any],
) -> None:
    slow = {"SLOW_CALL": "task_start", "SLOW_SECONDS": "1"}
    running = process("run", "slow:qpu", "input.json", **slow)
    wait_until(lambda: called("task_start"))
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=20)
    assert running.returncode == 130
    assert "the response under way is waited for" in err
    assert "task task-2 started" in err
    assert called("task_stop")
    assert called("release")


def test_a_second_signal_during_the_submission_leaves_and_tells_the_tag(
    process: Callable[..., Any],
) -> None:
    slow = {"SLOW_CALL": "task_start", "SLOW_SECONDS": "30"}
    running = process("run", "slow:qpu", "input.json", **slow)
    wait_until(lambda: called("task_start"))
    running.send_signal(signal.SIGTERM)
    assert any("is waited for" in line for line in iter(running.stderr.readline, ""))
    running.send_signal(signal.SIGTERM)
    _, err = running.communicate(timeout=20)
    assert running.returncode == 143
    assert re.search("may have been submitted; its tag is [0-9a-f]{32}", err.splitlines()[-1])
    assert called("release")


def test_a_signal_during_a_start_tells_the_id(process: Callable[..., Any]) -> None:
    slow = {"SLOW_CALL": "task_start", "SLOW_SECONDS": "0.5"}
    running = process("task", "start", "slow:qpu", "input.json", **slow)
    wait_until(lambda: called("task_start"))
    running.terminate()
    _, err = running.communicate(timeout=20)
    assert running.returncode == 143
    assert "task task-1 started on slow:qpu" in err


def test_a_reader_that_goes_away_is_no_error_to_tell(process: Callable[..., Any]) -> None:
    done = {"FAKE_STATUS": "Completed", "FAKE_SIZE": "3000000"}
    running = process("run", "slow:qpu", "input.json", **done)
    running.stdout.read(10)
    running.stdout.close()
    err = running.stderr.read()
    assert running.wait(timeout=20) == 141
    assert [line for line in err.splitlines() if "started" not in line] == [
        line for line in err.splitlines() if "Completed (" in line
    ]
    running.stderr.close()


@pytest.mark.slow
def test_the_resource_is_released_although_nobody_reads_the_messages(
    process: Callable[..., Any],
) -> None:
    running = process("run", "slow:qpu", "input.json", "--timeout", "1")
    running.stderr.close()
    running.stdout.close()
    assert running.wait(timeout=20) == 4
    assert called("task_stop")
    assert called("release")


@pytest.mark.parametrize("arguments", [["plugins"], ["run", "slow:qpu", "input.json"]])
def test_standard_output_that_is_full_is_one_line(
    process: Callable[..., Any], arguments: list[str]
) -> None:
    with Path("/dev/full").open("w") as full:
        running = process(*arguments, stdout=full, FAKE_STATUS="Completed")
        _, err = running.communicate(timeout=20)
    assert running.returncode == 2
    assert err.splitlines()[-1] == "qrmi: error: No space left on device"
    assert ("qrmi task result slow:qpu task-2" in err) is (arguments[0] == "run")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("run slow:qpu input.json >&-", "standard output is closed"),
        ("run slow:qpu - <&-", "standard input: cannot be read: it is closed"),
    ],
)
def test_streams_that_are_closed_are_one_line(
    process: Callable[..., Any], line: str, message: str
) -> None:
    running = process(FAKE_STATUS="Completed", program=["sh", "-c", f'"$0" "$@" {line}'])
    _, err = running.communicate(timeout=20)
    assert running.returncode == 2
    assert err.splitlines()[-1] == f"qrmi: error: {message}"


def test_the_output_may_be_a_pipe(process: Callable[..., Any]) -> None:
    os.mkfifo("pipe")
    with subprocess.Popen(["cat", "pipe"], stdout=subprocess.PIPE) as reader:
        running = process("run", "slow:qpu", "input.json", "pipe", FAKE_STATUS="Completed")
        _, err = running.communicate(timeout=20)
        assert (running.returncode, reader.communicate(timeout=20)[0]) == (0, b"xxxxx"), err


@pytest.mark.slow
def test_a_terminal_gets_a_live_line(process: Callable[..., Any]) -> None:
    terminal, end = pty.openpty()
    running = process("run", "slow:qpu", "input.json", "--timeout", "1", stderr=end, TERM="xterm")
    os.close(end)
    shown = b""
    # On Linux, reading from a terminal without a writer is an error.
    with contextlib.suppress(OSError):
        while piece := os.read(terminal, 1000):
            shown += piece
    os.close(terminal)
    running.communicate(timeout=20)
    assert running.returncode == 4
    assert b"task task-2 started on slow:qpu" in shown
    assert re.search(rb"Running, \d+ s", shown)
    assert b"Running (" not in shown


# Completion


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["ru"], {"run"}),
        (["task", "st"], {"start", "status", "stop"}),
        (["status", "--js"], {"--json"}),
        (["status", ""], {"qpu", "any:", "mine", "fake:"}),
        (["run", "qp"], {"qpu"}),
        (["--config", "nothing.json", "run", "qp"], set()),
        (["config", "check", "a"], {"any:"}),
    ],
)
def test_shells_complete_commands_options_and_names(
    process: Callable[..., Any], words: list[str], found: set[str]
) -> None:
    path = write_config(
        {"name": "qpu", "type": "fake", "environment": {}},
        {"name": "any", "type": "fake", "environment": {}, "is_dynamic": True},
    )
    running = process(
        _QRMI_COMPLETE="zsh_complete",
        COMP_WORDS=shlex.join(["qrmi", *words]),
        COMP_CWORD=str(len(words)),
        QRMI_CONFIG=str(path),
        QRMI_JOB_QPU_RESOURCES="mine",
        QRMI_JOB_QPU_TYPES="fake",
    )
    out, err = running.communicate(timeout=20)
    assert err == ""
    # zsh expects three lines per item: its type, itself and a description.
    assert found <= set(out.splitlines()[1::3])
    if words != ["status", ""]:
        assert found == set(out.splitlines()[1::3])


@pytest.mark.parametrize("offline", [True, False])
def test_ids_are_completed_where_discovery_contacts_nobody(
    site: Path, no_settings: Path, offline: bool
) -> None:
    source = f"""
        from qrmi_core import ResourceInfo
        from qrmi_core.testing import FakeVendor

        class Driver(FakeVendor().driver()):
            discovers_offline = {offline}

            @classmethod
            def discover(cls, settings, filters):
                return [ResourceInfo("heads"), ResourceInfo("tails")]
    """
    add_distribution(
        site,
        "here",
        drivers={"here": "qrmi_test_here:Driver"},
        modules={"qrmi_test_here": source},
    )
    command = click.Command("status", params=[click.Argument(["name"])])
    for incomplete, ids in (("he", ["heads", "tails"]), ("here:t", ["tails"]), ("x", [])):
        items = names(click.Context(command), command.params[0], incomplete)
        found = [item.value for item in items if item.value.startswith("here:")]
        expected = [f"here:{resource_id}" for resource_id in ids]
        assert found == (expected if offline else ["here:"] * "here:".startswith(incomplete))


def test_bash_completes_behind_a_colon(process: Callable[..., Any]) -> None:
    # bash's words for `qrmi status fake:`, and for `qrmi status fa`
    for words, found in ((["fake", ":"], ""), (["fak"], "fake:")):
        running = process(
            _QRMI_COMPLETE="bash_complete",
            COMP_WORDS="\n".join(["qrmi", "status", *words]),
            COMP_CWORD=str(1 + len(words)),
        )
        out, err = running.communicate(timeout=20)
        assert (out, err) == (f"plain,{found}\n", "")


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_the_script_for_bash_is_bash(process: Callable[..., Any]) -> None:
    script, _ = process(_QRMI_COMPLETE="bash_source").communicate(timeout=20)
    assert "complete -o nosort -F _qrmi_completion qrmi" in script
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


# Documentation


def test_the_documentation_has_the_help_of_every_command() -> None:
    page = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    assert cli_help.with_help(page) == page, "run tests/support/cli_help.py"


def test_the_documentation_has_the_exit_statuses() -> None:
    page = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    told = {int(number) for number in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    ours = {status for _, status in exits.STATUSES} | {0, 130, 143}
    assert told == ours


def test_an_exception_that_is_logged_is_named_without_its_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    try:
        raise KeyError("s3cr3t")
    except KeyError:
        record = logging.makeLogRecord(
            {"levelname": "ERROR", "msg": "no", "exc_info": sys.exc_info()}
        )
    app._Handler().emit(record)
    assert capsys.readouterr().err == "qrmi: error: no (KeyError)\n"
