"""Programs of all kinds can use the library, and do not notice its helper."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from support.c_library import HERE, SOURCES, Build, Run, events, runner

pytestmark = [pytest.mark.native, pytest.mark.slow]

SOURCE = HERE / "programs/host.c"


def until(true: Callable[[], bool]) -> None:
    for _ in range(3000):
        if true():
            return
        time.sleep(0.005)
    pytest.fail("it never came")


def ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.parametrize(
    "case",
    [
        "killed idle",
        "fork idle",
        "threads",
        "small stack",
        "not noticed",
        "changed environment",
        "signals off",
        "closed descriptors",
        "no descriptors",
    ],
)
def test_a_host_works_whatever_its_state(host: Run, case: str) -> None:
    host(case)


@pytest.mark.parametrize("call", ["status", "task_status"])
def test_a_call_that_changes_nothing_is_repeated_when_the_helper_is_killed_in_it(
    host: Run, bench: Path, call: str
) -> None:
    (bench / f"die-in-{call}").touch()
    host("killed in", call)
    assert len(events(bench, call)) == 2


@pytest.mark.parametrize("call", ["acquire", "release", "task_start", "task_stop"])
def test_a_call_that_changes_something_is_not_repeated_when_the_helper_is_killed_in_it(
    host: Run, bench: Path, call: str
) -> None:
    (bench / f"die-in-{call}").touch()
    host("killed in", call)
    assert len(events(bench, call)) == 1


def test_tasks_stay_under_the_acquisition_when_the_helper_is_killed(host: Run, bench: Path) -> None:
    host("acquisition")
    ((_, token),) = (line.split() for line in events(bench, "acquire"))
    assert events(bench, "task_start") == [f"task_start task {token} 2"]
    assert events(bench, "release") == [f"release {token}"]


def test_a_helper_ends_when_idle_and_is_started_again_unnoticed(host: Run) -> None:
    host("idle", environment={"QRMI_HELPER_IDLE_SECONDS": "0.01"})


def test_calls_that_meet_the_end_of_an_idle_helper_succeed(host: Run) -> None:
    host("idle races", environment={"QRMI_HELPER_IDLE_SECONDS": "0.05"})


def test_children_of_a_busy_process_can_call(host: Run) -> None:
    assert host("fork busy", 20).stdout == "20 of 20\n"


def test_a_token_that_the_program_exports_is_released_by_it(host: Run, bench: Path) -> None:
    host("exported token")
    ((_, token),) = (line.split() for line in events(bench, "acquire"))
    assert events(bench, "release") == [f"release {token}"]


def test_a_schedulers_token_is_left_alone(host: Run, bench: Path) -> None:
    host("scheduler's token")
    assert events(bench) == []


def test_the_library_is_loaded_and_unloaded_without_a_trace(build: Build, host: Run) -> None:
    other = build.library("libother.so")
    host("loaded", other)


@pytest.mark.parametrize("how", ["killed", "in order"])
@pytest.mark.parametrize("opted", [False, True])
def test_the_helper_ends_with_its_host_and_releases_if_that_is_wanted(
    build: Build, environment: dict[str, str], bench: Path, how: str, opted: bool
) -> None:
    if opted:
        environment["QRMI_RELEASE_WHEN_KILLED"] = "1"
    words = [build.program(SOURCE, "-ldl"), "leaves", how]
    done = subprocess.run(words, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    helper, token = done.stdout.split()
    until(lambda: ended(int(helper)))
    released = how == "killed" and opted
    assert events(bench, "release") == ([f"release {token}"] if released else [])


def test_a_release_is_finished_when_the_host_is_killed_in_it(
    build: Build, environment: dict[str, str], bench: Path
) -> None:
    (bench / "wait-in-release").touch()
    words = [build.program(SOURCE, "-ldl"), "leaves", "releasing"]
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        helper, _token = program.stdout.readline().split()
        until(lambda: bool(events(bench, "release")))
        program.kill()
    time.sleep(0.05)
    assert not ended(int(helper))
    (bench / "wait-in-release").unlink()
    until(lambda: ended(int(helper)))


def test_ctrl_c_reaches_the_program_and_not_a_call_of_its(
    build: Build, environment: dict[str, str], bench: Path
) -> None:
    (bench / "wait-in-acquire").touch()
    words = [build.program(SOURCE, "-ldl"), "interrupted"]
    with subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as program:
        assert program.stdout is not None
        program.stdout.readline()
        until(lambda: bool(events(bench, "acquire")))
        os.killpg(program.pid, signal.SIGINT)
        (bench / "wait-in-acquire").unlink()
    assert program.returncode == 0


def test_a_pipe_ends_with_the_program(build: Build, environment: dict[str, str]) -> None:
    program = build.program(SOURCE, "-ldl")
    words = ["sh", "-c", f"{program} leaves 'in order' | cat"]
    subprocess.run(words, env=environment, capture_output=True, timeout=20, check=True)


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"PYTHONHOME": "/nonexistent", "PYTHONPATH": "/nonexistent"}, None),
        ({"PYTHONSTARTUP": "/nonexistent", "PYTHONINSPECT": "1", "PYTHONOPTIMIZE": "2"}, None),
        ({"LD_LIBRARY_PATH": "/nonexistent"}, None),
        ({"QRMI_PYTHON": "python3"}, "must be an absolute path"),
        ({"QRMI_PYTHON": "/nonexistent/python"}, "No such file or directory"),
        ({"QRMI_PYTHON": "/bin/true"}, "it ended at once"),
        ({"QRMI_PYTHON": "/usr/bin/python3"}, "No module named 'qrmi_c'"),
    ],
)
def test_a_hostile_environment_is_harmless_or_has_a_clear_reason(
    build: Build, environment: dict[str, str], variables: dict[str, str], reason: str | None
) -> None:
    if reason == "No module named 'qrmi_c'" and not os.path.exists("/usr/bin/python3"):
        pytest.skip("there is no second Python")
    words = [build.program(SOURCE, "-ldl"), "one call"]
    done = subprocess.run(
        words, env={**environment, **variables}, capture_output=True, text=True, check=False
    )
    if reason is None:
        assert done.returncode == 0, done.stderr
    else:
        assert done.returncode == 1
        assert reason in done.stderr


def test_an_interpreter_that_hangs_is_given_up(build: Build, environment: dict[str, str]) -> None:
    slow = build.folder / "hanging"
    slow.write_text("#!/bin/sh\nexec sleep 30\n")
    slow.chmod(0o755)
    library = build.folder / "short"
    library.mkdir(exist_ok=True)
    build.library("short/libqrmi.so", "-DQRMI_START_SECONDS=0")
    words = [build.program(SOURCE, "-ldl"), "one call"]
    more = {"QRMI_PYTHON": str(slow), "LD_LIBRARY_PATH": str(library)}
    # The program's own path comes before that of the environment.
    more["LD_PRELOAD"] = str(library / "libqrmi.so")
    done = subprocess.run(
        words, env={**environment, **more}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "has not started within 0 seconds" in done.stderr


def test_a_static_program_works(build: Build, environment: dict[str, str]) -> None:
    sources = [SOURCE, *sorted((SOURCES / "c").glob("*.c"))]
    program = build.folder / "static"
    build.cc("-std=c11", "-O1", "-static", "-pthread", *sources, "-o", program)
    runner(program, environment)("killed idle")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes programs of root")
def test_a_setuid_program_takes_no_interpreter_from_its_user(
    build: Build, environment: dict[str, str], tmp_path: Path
) -> None:
    with tempfile.TemporaryDirectory(prefix="qrmi-setuid-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        shutil.copy(build.library(), folder)
        (folder / "libqrmi.python").write_text(f"{build.interpreter}\n")
        program = folder / "host"
        build.cc(SOURCE, "-o", program, f"-L{folder}", f"-Wl,-rpath,{folder}", "-lqrmi", "-ldl")
        program.chmod(0o4755)
        evil = folder / "evil"
        evil.write_text(f"#!/bin/sh\ntouch {tmp_path}/evil\n")
        evil.chmod(0o755)
        tmp_path.chmod(0o777)
        done = subprocess.run(
            [program, "one call"],
            env={**environment, "QRMI_PYTHON": str(evil)},
            user=65534,
            capture_output=True,
            text=True,
            check=False,
        )
    assert not (tmp_path / "evil").exists()
    assert done.returncode == 0, done.stderr
