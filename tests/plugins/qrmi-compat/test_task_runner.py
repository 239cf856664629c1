"""`task_runner`: its published arguments and inputs, and truthful exit statuses."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qrmi.tools.task_runner.main import App, _Signals
from qrmi_core import QuantumResource
from qrmi_core.testing import FakeVendor
from qrmi_emulator import Emulator
from support.munged import MISSING, munged
from support.pulses import sequence

COMMAND = [str(Path(sys.executable).with_name("task_runner"))]
PRIMITIVE = {"program_id": "sampler", "parameters": {"pubs": []}, "$schema": "ignored"}
RESULT = '{"counter": {"00": 1}}'


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file with the driver's calls, one per line."""
    path = tmp_path / "calls"
    path.touch()
    monkeypatch.setenv("QRMI_TEST_CALLS", str(path))
    return path


@pytest.fixture
def primitive(tmp_path: Path) -> Path:
    path = tmp_path / "input.json"
    path.write_text(json.dumps(PRIMITIVE))
    return path


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@contextlib.contextmanager
def started(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_result_alone_is_on_standard_output_and_the_task_is_stopped_after_it(
    site: Path, enter_job: Any, primitive: Path, calls: Path
) -> None:
    enter_job(qpu="works")
    done = run("qpu", primitive)
    assert (done.returncode, done.stdout) == (0, RESULT)
    assert " INFO Task ID: " in done.stderr
    made = calls.read_text().split()
    assert made[-2:] == ["task_result", "task_stop"]
    assert "acquire" not in made


def test_a_result_goes_to_the_file(
    site: Path, enter_job: Any, primitive: Path, tmp_path: Path
) -> None:
    enter_job(qpu="works")
    done = run("qpu", primitive, tmp_path / "result.json", SRUN_DEBUG="2")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "result.json").read_text() == RESULT


@pytest.mark.parametrize(
    ("kind", "status", "kept"), [("fails", 1, False), ("cancels", 3, False), ("lost", 5, True)]
)
def test_a_task_without_a_result_is_a_status_of_its_own_and_kept_if_it_has_one(
    site: Path,
    enter_job: Any,
    primitive: Path,
    calls: Path,
    kind: str,
    status: int,
    kept: bool,
) -> None:
    enter_job(qpu=kind)
    done = run("qpu", primitive)
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.splitlines()[-1].startswith("task_runner: error: ")
    assert "Traceback" not in done.stderr
    assert ("task_stop" not in calls.read_text().split()) == kept


@pytest.mark.slow
@pytest.mark.skipif(bool(MISSING), reason=MISSING)
def test_a_qpu_on_premises_is_acquired_where_the_scheduler_has_not(
    enter_job: Any, tmp_path: Path
) -> None:
    enter_job(PASQAL_LOCAL="pasqal-local")
    task = tmp_path / "task.json"
    task.write_text(json.dumps({"sequence": sequence(), "job_runs": 20}))
    who = {"QRMI_JOB_UID": str(os.geteuid()), "QRMI_JOB_ID": "7"}
    with (
        munged() as socket,
        Emulator(["pasqal-local"], munge_socket=str(socket), warden_admin=os.geteuid()) as warden,
    ):
        settings = warden.settings_for("pasqal-local")
        known = {f"PASQAL_LOCAL_{key}": value for key, value in settings.items()}
        done = run("PASQAL_LOCAL", task, **known | who)
        assert done.returncode == 0, done.stderr
        assert "'counter'" in done.stdout or '"counter"' in done.stdout
        sessions = [each["method"] for each in warden.requests() if "/sessions" in each["path"]]
        assert sessions == ["POST", "DELETE"]
        # The scheduler's acquisition is used, and not released.
        qpu = QuantumResource("PASQAL_LOCAL", "pasqal-local", settings | who)
        held = {"PASQAL_LOCAL_QRMI_JOB_ACQUISITION_TOKEN": qpu.acquire()}
        warden.clear_requests()
        assert run("PASQAL_LOCAL", task, **known | who | held).returncode == 0
        assert not [each for each in warden.requests() if "/sessions" in each["path"]]
        # Without the settings to acquire with, it asks for those of a task and explains why.
        nobody = {name: value for name, value in known.items() if "QRMI_JOB" not in name}
        done = run("PASQAL_LOCAL", task, **nobody)
        assert done.returncode == 2
        assert "needs a session of Warden" in done.stderr
        assert "cannot be acquired here" in done.stderr
        qpu.close()


@pytest.mark.parametrize("signals", [1, 2])
def test_a_signal_during_the_release_does_not_leave_it_open_silently(
    signals: int, caplog: pytest.LogCaptureFixture
) -> None:
    vendor = FakeVendor()

    def interrupt(name: str) -> None:
        for _ in range(signals if name == "release" else 0):
            signal.raise_signal(signal.SIGINT)

    vendor.on_call = interrupt
    qpu = QuantumResource("qpu", "fake", {}, driver_class=vendor.driver())
    token = qpu.acquire()
    with pytest.raises(KeyboardInterrupt), _Signals() as context:
        App("qpu", "input.json")._release(context, qpu, token)
    assert vendor.tokens == [token] * (signals - 1)
    assert (f"qrmi release qpu {token}" in caplog.text) is (signals == 2)


def wrong_inputs(folder: Path) -> dict[str, str]:
    texts = {
        "not JSON": "{",
        "a list": "[]",
        "a key is missing": '{"program_id": "sampler"}',
        "another payload": '{"sequence": {}, "job_runs": 3}',
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    return texts


def test_what_is_wrong_beforehand_is_one_line_and_submits_nothing(
    site: Path, enter_job: Any, primitive: Path, calls: Path, tmp_path: Path
) -> None:
    enter_job(qpu="works", unset="ibm-quantum-system")
    attempts: list[tuple[list[object], str]] = [
        (["nobody", primitive], "nobody is not available"),
        (["unset", primitive], "unset_QRMI_IBM_QS_ENDPOINT"),
        (["qpu", tmp_path / "none.json"], "none.json"),
        (["qpu", primitive, tmp_path / "no folder" / "result"], "no folder"),
        *((["qpu", tmp_path / name], "") for name in wrong_inputs(tmp_path)),
    ]
    for arguments, named in attempts:
        done = run(*arguments)
        assert done.returncode == 2, (arguments, done.stderr)
        assert named in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr
    assert "task_start" not in calls.read_text()


def test_outside_a_job_it_says_which_variable_is_not_set(primitive: Path) -> None:
    done = run("qpu", primitive)
    assert done.returncode == 2
    assert "QRMI_JOB_QPU_RESOURCES" in done.stderr


def test_wrong_usage_shows_the_usage() -> None:
    done = run("qpu")
    assert done.returncode == 2
    assert "task_runner [-h] name input [output]" in done.stderr
    assert run("--help").returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGCONT])
def test_a_signal_stops_the_task_and_is_the_status(
    site: Path, enter_job: Any, primitive: Path, calls: Path, number: signal.Signals
) -> None:
    enter_job(qpu="runs")
    with started("qpu", primitive) as process:
        wait_for(calls, "task_status")
        process.send_signal(number)
        if number == signal.SIGCONT:  # as Slurm does; running work must not be interrupted
            process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    expected = {128 + number} | ({128 + signal.SIGTERM} if number == signal.SIGCONT else set())
    assert process.returncode in expected, err
    assert calls.read_text().split()[-1] == "task_stop"
    assert "Traceback" not in err


def wait_for(calls: Path, function: str) -> None:
    end = time.monotonic() + 60
    while function not in calls.read_text().split():
        assert time.monotonic() < end, f"{function} was not called"
        time.sleep(0.02)


def test_a_dotenv_file_of_the_working_directory_is_not_read(
    site: Path, primitive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("QRMI_JOB_QPU_RESOURCES=qpu\nQRMI_JOB_QPU_TYPES=works\n")
    monkeypatch.chdir(tmp_path)
    assert run("qpu", primitive).returncode == 2


def test_app_is_importable_and_runs(
    site: Path, enter_job: Any, primitive: Path, tmp_path: Path
) -> None:
    from qrmi.tools.task_runner.main import App

    enter_job(qpu="works")
    app = App("qpu", str(primitive), str(tmp_path / "result.json"))
    assert (app.task_id, app.is_running) == ("", False)
    app.run()
    assert app.task_id
    assert not app.is_running
    assert (tmp_path / "result.json").read_text() == RESULT
