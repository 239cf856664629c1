"""The plan, the comparison, and a run without faults."""

from __future__ import annotations

import builtins
import itertools
import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

import qrmi_core
from chaos import plan
from chaos.audit import ClientAccount, Findings, audit, check_text
from chaos.disks import Disk
from chaos.programs import document, mark_of
from chaos.stores import Contents, Held
from support.munged import MISSING

TESTS = Path(__file__).parents[1]
KIND = "ibm-quantum-compute-service"
SIGKILL = {"event": "signal", "number": 9}


def test_the_same_seed_gives_the_same_plan() -> None:
    def clients(seed: int) -> list[plan.ClientPlan]:
        return [plan.client(seed, number) for number in range(50)]

    assert clients(7) == clients(7) != clients(8)
    assert list(plan.faults(7, 60)) == list(plan.faults(7, 60)) != list(plan.faults(8, 60))


def test_a_longer_run_begins_like_a_shorter_one() -> None:
    short = list(plan.faults(7, 60))
    assert short == list(itertools.islice(plan.faults(7, 600), len(short)))
    assert short[-1].at < 60 < next(plan.faults(7, 600)).at + 60


def test_a_run_of_ten_minutes_meets_every_driver_with_every_fault() -> None:
    clients = [plan.client(7, number) for number in range(200)]
    for resource_type in plan.RESOURCES:
        styles = {each.style for each in clients if each.resource_type == resource_type}
        assert {"script", "run"} <= styles
        assert ("hold" in styles) == (resource_type in plan.ACQUIRED)
    found = {fault.kind for fault in plan.faults(7, 600)}
    assert found > plan.NETWORK
    assert {"kill-emulator", "kill-client", "kill-worker", "fill-disk"} <= found


@pytest.mark.parametrize("resource_type", plan.RESOURCES)
def test_a_program_carries_its_client_and_number(resource_type: str) -> None:
    given = document(resource_type, 41, 3)
    if resource_type == "coin":  # as the service stores it
        given = {"pubs": [["OPENQASM 3.0;", None, given["shots"]]]}
    assert mark_of(json.dumps(given)) == (41, 3)
    assert mark_of("{}") is None


# --- the comparison -----------------------------------------------------------------------------


def account(*events: dict[str, Any], **changes: Any) -> ClientAccount:
    """Return the account of a script that acquires nothing."""
    drawn = attrs.evolve(
        plan.client(7, 1), number=1, resource_type=KIND, style="script", holds="no"
    )
    return ClientAccount(attrs.evolve(drawn, **changes), list(events))


def held(task_id: str = "a", number: int | None = 0, **changes: Any) -> Held:
    """Return a task that the emulator holds."""
    return attrs.evolve(Held(KIND, task_id, 1, number, True), **changes)


def compared(
    client: ClientAccount, *tasks: Held, sessions: list[tuple[str, str]] | None = None
) -> Findings:
    return audit([client], Contents([*tasks], set(), sessions or []))


def wrong(found: Findings) -> dict[str, int]:
    return {kind: len(texts) for kind, texts in found.figures().items() if texts}


INTEND = {"event": "intend", "n": 0}
TASK = {"event": "task", "n": 0, "id": "a"}
REFUSED = {"event": "refused", "n": 0, "kind": "TransportError", "text": "no connection"}
UNCERTAIN = {"event": "uncertain", "n": 0, "text": "lost"}
OTHERS = {"event": "result", "n": 0, "text": '{"data": {"m2x5": 1}}'}
NOT_FOUND = {"event": "failed", "n": 0, "kind": "TaskNotFoundError", "text": "no task a"}


def test_a_task_that_is_known_and_there_is_right() -> None:
    found = compared(account(INTEND, TASK), held())
    assert wrong(found) == {}
    assert not found.allowed


@pytest.mark.parametrize("end", [SIGKILL, UNCERTAIN])
def test_one_task_of_an_open_submission_is_accounted_for(end: dict[str, Any]) -> None:
    client = account(INTEND, end)
    assert wrong(compared(client, held())) == wrong(compared(client)) == {}
    assert sum(compared(client).allowed.values()) == 1
    assert sum(compared(client, held()).allowed.values()) == 2
    assert wrong(compared(client, held("a"), held("b"))) == {"doubled": 1}


@pytest.mark.parametrize(
    ("events", "tasks", "kinds"),
    [
        ([INTEND, TASK], [], {"lost": 1}),
        ([INTEND, TASK], [held("b")], {"lost": 1, "doubled": 1}),
        ([INTEND, TASK], [held("a"), held("b")], {"doubled": 1}),
        ([INTEND, REFUSED], [held()], {"doubled": 1}),
        ([], [held(client=None, number=None)], {"doubled": 1}),
        ([INTEND, TASK, OTHERS], [held()], {"lost": 1}),
        ([INTEND, TASK, NOT_FOUND], [held()], {"lost": 1}),
        ([INTEND, TASK, INTEND | {"n": 1}, TASK | {"n": 1}], [held()], {"lost": 1}),
        ([INTEND, TASK], [held(ended=False)], {"hung": 1}),
        ([INTEND], [], {"raw exceptions": 1}),
        ([{"event": "hung", "text": "step 0"}], [], {"hung": 1}),
        ([INTEND, {"event": "hung", "text": "a forked child"}], [held()], {"hung": 1}),
        ([{"event": "raw", "text": "KeyError"}], [], {"raw exceptions": 1}),
        ([{"event": "exit", "status": 70, "step": 0}], [], {"raw exceptions": 1}),
        ([{"event": "exit", "status": -11, "step": 0}], [], {"raw exceptions": 1}),
    ],
)
def test_what_is_wrong_is_found(
    events: list[dict[str, Any]], tasks: list[Held], kinds: dict[str, int]
) -> None:
    assert wrong(compared(account(*events), *tasks)) == kinds


def test_tasks_of_the_local_store_are_counted_by_client() -> None:
    def local(task_id: str) -> Held:
        return held(task_id, None, resource_type="local")

    client = account(INTEND, TASK, INTEND | {"n": 1}, SIGKILL, resource_type="local")
    assert wrong(compared(client, local("a"), local("b"))) == {}
    assert wrong(compared(client, local("a"), local("b"), local("c"))) == {"doubled": 1}


ACQUIRING = {"event": "acquiring"}
ACQUIRED = {"event": "acquired", "token": "s"}
RELEASED = {"event": "released", "token": "s"}
UNRELEASED = {"event": "unreleased", "token": "s"}
EXIT = {"event": "exit", "status": 0, "step": 0}


@pytest.mark.parametrize(
    ("events", "changes", "is_allowed"),
    [
        ([ACQUIRING, ACQUIRED, RELEASED], {}, False),
        ([ACQUIRING, ACQUIRED], {}, False),
        ([ACQUIRING, ACQUIRED, UNRELEASED, RELEASED, SIGKILL], {}, False),
        ([ACQUIRING, ACQUIRED, UNRELEASED], {}, True),
        ([ACQUIRING, ACQUIRED, SIGKILL], {}, True),
        ([ACQUIRING, SIGKILL], {}, True),
        ([ACQUIRING, {"event": "acquired"}, {"event": "released"}], {"holds": "with"}, False),
        ([ACQUIRING, {"event": "acquired"}, SIGKILL], {"holds": "with"}, True),
        ([ACQUIRING, TASK, EXIT | {"status": 143}], {"style": "run"}, False),
        ([ACQUIRING, TASK, SIGKILL, EXIT | {"status": -9}], {"style": "run"}, True),
    ],
)
def test_an_open_session_needs_a_reason(
    events: list[dict[str, Any]], changes: dict[str, str], is_allowed: bool
) -> None:
    found = compared(account(*events, **changes), held(), sessions=[(KIND, "s")])
    assert bool(found.left_open) is not is_allowed
    sessions = [(KIND, token) for token in "stu"]
    assert len(compared(account(*events, **changes), held(), sessions=sessions).left_open) >= 2


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: {}["missing"], "KeyError"),
        (lambda: _chained("ValueError"), "ValueError"),
        (lambda: _chained("TransportError"), None),
    ],
)
def test_tracebacks_outside_the_tree_are_raw(make: Callable[[], object], kind: str | None) -> None:
    try:
        make()
    except Exception:
        text = traceback.format_exc()
    one_line = " ".join(text.split())
    for logged in (f"before\n{text}after\n", f"qrmi: error: {one_line}\n"):
        found = Findings()
        check_text(logged, "client 1", found)
        assert len(found.raw) == (kind is not None)
        assert kind is None or kind in found.raw[0]


def _chained(name: str) -> None:
    kind = getattr(builtins, name, None) or getattr(qrmi_core, name)
    try:
        raise OSError("the cause")
    except OSError as error:
        raise kind("the end: of it") from error


_TRACEBACK = "Traceback (most recent call last):\n"


def test_an_interrupt_is_no_fault_of_a_script() -> None:
    text = f'{_TRACEBACK}  File "qrmi_core/task.py"\nKeyboardInterrupt\n'
    found = Findings()
    check_text(text, "client 1", found, is_script=True)
    assert not found.raw
    check_text(text, "client 1", found)
    assert len(found.raw) == 1


def test_an_interrupt_before_the_program_began_is_no_fault() -> None:
    finder = "/v/lib/python3.11/site-packages/__editable___qrmi_core_0_1_0_finder.py"
    found = Findings()
    check_text(f'{_TRACEBACK}  File "{finder}", line 5\nKeyboardInterrupt\n', "client 1", found)
    assert not found.raw


# --- disks --------------------------------------------------------------------------------------

WRITER = """
import sys
for _ in sys.stdin:
    try:
        with open("file", "wb", buffering=0) as stream:
            stream.write(bytes(100_000))
            print(stream.write(b"x"), flush=True)
    except OSError as error:
        print(error.strerror, flush=True)
"""


def test_where_nothing_can_be_mounted_files_cannot_grow_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    disk = Disk(tmp_path / "disk", lambda: [writer.pid])
    assert not disk.mounted
    command = [sys.executable, "-c", WRITER]
    with subprocess.Popen(
        command, cwd=disk.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdin
        assert writer.stdout

        def written() -> str:
            writer.stdin.write("\n")  # type: ignore[union-attr]
            writer.stdin.flush()  # type: ignore[union-attr]
            return writer.stdout.readline().strip()  # type: ignore[union-attr]

        assert written() == "1"
        disk.fill(4096)
        assert written() == "File too large"
        disk.free()
        assert written() == "1"
        writer.stdin.close()


# --- a run --------------------------------------------------------------------------------------


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder that munged accepts for its socket, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(bool(MISSING), reason=MISSING)
def test_without_faults_all_is_accounted_for_and_nothing_is_left(folder: Path) -> None:
    # Faults begin after 2 s.
    done = subprocess.run(
        [sys.executable, "-m", "chaos", "--seconds", "2", "--seed", "7"],
        env={**os.environ, "PYTHONPATH": str(TESTS), "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = dict(
        line.strip().split(" ", 1)[::-1] for line in done.stdout.splitlines() if "  " in line
    )
    assert int(lines["submissions"]) >= 6
    assert [lines[kind] for kind in Findings().figures()] == ["0"] * 5
    assert not list(folder.iterdir())
    assert not [
        process
        for process in Path("/proc").glob("[0-9]*")
        if str(folder).encode() in _environment(process)
    ]


def _environment(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:
        return b""
