"""Local resources from the user's point of view."""

from __future__ import annotations

import datetime
import json
import sys
import time
from pathlib import Path

import pytest

from qrmi_core import (
    Payload,
    QuantumResource,
    ResourceStatusCode,
    TaskStatus,
)
from qrmi_core.errors import (
    ConfigError,
    InvalidInputError,
    ResourceNotFoundError,
    TaskFailedError,
    TaskNotFoundError,
    TaskNotReadyError,
    UnsupportedPayloadError,
)
from qrmi_local import engines
from qrmi_local.driver import LocalDriver
from qrmi_local.settings import LocalSettings
from support.processes import said

README = Path(__file__).parents[3] / "plugins" / "qrmi-local" / "README.md"


def driver_of(resource: QuantumResource) -> LocalDriver:
    driver = resource._driver
    assert isinstance(driver, LocalDriver)
    return driver


@pytest.mark.slow
def test_a_result_can_be_read_from_another_process(warm, bell) -> None:
    aer = warm()
    task = aer.run(bell)
    script = (
        "import sys; from qrmi_core import QuantumResource\n"
        "r = QuantumResource('aer', 'local', {'QRMI_LOCAL_HOME': sys.argv[1]})\n"
        "sys.stdout.write(r.task_result(sys.argv[2], timeout=60).value)"
    )
    home = str(driver_of(aer).settings.home)
    told = said(sys.executable, "-c", script, home, task.id)
    assert told == task.result(0).value
    assert "PrimitiveResult" in told


@pytest.mark.slow
def test_a_queued_task_that_nobody_serves_is_served_by_a_look(warm, bell) -> None:
    aer = warm()
    task = aer.run(bell)
    assert aer.task_result(task.id, timeout=60)


def test_a_bad_circuit_fails_with_the_simulators_words_and_harms_no_other(warm, bell, bad) -> None:
    aer = warm()
    broken, sound = aer.run(bad), aer.run(bell)
    assert sound.wait(60) is TaskStatus.Completed
    assert broken.wait(60) is TaskStatus.Failed
    with pytest.raises(TaskFailedError, match="no_such_gate"):
        broken.result(0)
    assert "no_such_gate" in broken.logs()


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (Payload.QiskitPrimitive(input="no JSON", program_id="sampler"), "not JSON"),
        (Payload.QiskitPrimitive(input="{}", program_id="sampler"), "version"),
        (Payload.QiskitPrimitive(input="{}", program_id="annealer"), "annealer"),
        (
            Payload.QiskitPrimitive(input=Path("/no/such/file"), program_id="sampler"),
            "/no/such/file",
        ),
    ],
    ids=["no-json", "no-version", "program", "file"],
)
def test_an_input_that_cannot_be_right_is_refused_at_submission(
    warm, payload: Payload, words: str
) -> None:
    aer = warm()
    before = len(aer.task_list())
    with pytest.raises(InvalidInputError, match=words):
        aer.task_start(payload)
    assert len(aer.task_list()) == before


def test_each_resource_takes_the_payload_of_its_simulator(warm, bell) -> None:
    sequence = Payload.PasqalCloud(sequence="{}", job_runs=1)
    with pytest.raises(UnsupportedPayloadError, match="QiskitPrimitive"):
        warm().task_start(sequence)
    with pytest.raises(UnsupportedPayloadError, match="PasqalCloud"):
        warm("EMU_FREE").task_start(bell)


def test_an_unknown_resource_is_told_at_its_first_use(warm, bell) -> None:
    for name in ("nothing", "fake_nothing"):
        resource = warm(name)
        for call in (
            resource.status,
            resource.target,
            resource.acquire,
            lambda resource=resource: resource.task_start(bell),
        ):
            with pytest.raises(ResourceNotFoundError, match=name):
                call()


def test_a_missing_simulator_is_told_with_what_to_install(
    warm, bell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines.qiskit, "_installed", lambda: False)
    aer = warm()
    with pytest.raises(ConfigError, match=r"pip install 'qrmi-local\[qiskit\]'"):
        aer.task_start(bell)
    status = aer.status()
    assert status.status is ResourceStatusCode.Offline
    assert "pip install" in (status.status_reason or "")


def test_a_task_belongs_to_its_resource(warm, bell) -> None:
    task_id = warm().task_start(bell)
    with pytest.raises(TaskNotFoundError, match=task_id):
        warm("EMU_FREE").task_status(task_id)


def test_queued_tasks_know_their_position(make_resource, slow) -> None:
    aer = make_resource(QRMI_LOCAL_SLOTS="1")
    ids = [aer.task_start(slow) for _ in range(4)]
    driver = driver_of(aer)
    looks = driver.task_statuses(ids)
    places = [looks[task_id].queue_position for task_id in ids]
    assert places in ([None, 0, 1, 2], [0, 1, 2, 3])
    with pytest.raises(TaskNotReadyError):
        next(driver.task_result(ids[3]))
    assert aer.status().pending_job_count in (3, 4)
    assert [info.id for info in aer.task_list()] == ids[::-1]


def test_usage_tells_when_and_how_long(warm, bell) -> None:
    before = datetime.datetime.now(datetime.UTC)
    task = warm().run(bell)
    task.wait(60)
    usage = task.usage()
    assert usage.created_at
    assert usage.started_at
    assert usage.finished_at
    assert before <= usage.created_at <= usage.started_at <= usage.finished_at
    assert usage.quantum_seconds == pytest.approx(
        (usage.finished_at - usage.started_at).total_seconds(), abs=1e-3
    )


def test_a_seed_makes_results_repeatable(warm, bell) -> None:
    aer = warm(QRMI_LOCAL_SEED="7")
    assert aer.run(bell).result(60) == aer.run(bell).result(60)


def test_the_target_is_that_of_the_device(warm) -> None:
    assert json.loads(warm("fake_lagos").target().value)["configuration"]["n_qubits"] == 7


def test_discovery_lists_what_is_installed_with_what_waits(home, make_resource, slow) -> None:
    aer = make_resource(QRMI_LOCAL_SLOTS="1")
    for _ in range(3):
        aer.task_start(slow)
    settings = LocalSettings.from_mapping({"QRMI_LOCAL_HOME": str(home)})
    found = {info.resource_id: info for info in LocalDriver.discover(settings, {})}
    assert {"aer", "EMU_FREE", "fake_lagos"} <= set(found)
    assert (found["aer"].pending_job_count or 0) >= 2
    assert found["fake_lagos"].pending_job_count == 0
    assert all(info.is_simulator for info in found.values()), "snapshots run on a simulator too"


@pytest.mark.slow
def test_a_pulse_sequence_runs(warm) -> None:
    from pulser import Pulse, Register, Sequence
    from pulser.devices import MockDevice

    sequence = Sequence(Register({"a": (0, 0), "b": (20, 0)}), MockDevice)
    sequence.declare_channel("ch", "rydberg_global")
    sequence.add(Pulse.ConstantPulse(100, 3.0, 0.0, 0.0), "ch")
    payload = Payload.PasqalCloud(sequence=sequence.to_abstract_repr(), job_runs=50)
    task = warm("EMU_FREE").run(payload)
    result = json.loads(task.result(90).value)
    assert sum(result["counter"].values()) == 50
    assert task.counts() == [result["counter"]]


def test_a_large_result_comes_in_pieces(make_resource, bell) -> None:
    aer = make_resource()
    driver = driver_of(aer)
    store = driver._store
    store.submit("00000000-0000-0000-0000-00000000000a", "aer", "sampler", b"{}")
    lock = store.take_slot(0)
    task = store.claim(0, 2**22 + 1, ["aer"])
    assert task
    store.complete(task, bytes(3_000_000))
    pieces = list(driver.task_result(task.id))
    assert sum(map(len, pieces)) == 3_000_000
    assert max(map(len, pieces)) <= 2**20
    assert lock


def test_a_start_takes_little_time(warm, bell) -> None:
    aer = warm()
    aer.run(bell).wait(60)
    start = time.monotonic()
    aer.task_start(bell)
    assert time.monotonic() - start < 1


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("QRMI_LOCAL_HOME", "relative/folder"),
        ("QRMI_LOCAL_HOME", "~no-such-user/store"),
        ("QRMI_LOCAL_JOURNAL", "truncate"),
        ("QRMI_LOCAL_SLOTS", "0"),
        ("QRMI_LOCAL_RETENTION", "a while"),
        ("QRMI_LOCAL_IDLE_SECONDS", "-1"),
        ("QRMI_LOCAL_ACQUISITION", "both"),
        ("QRMI_LOCAL_LEASE_SECONDS", "0"),
        ("QRMI_LOCAL_SEED", "-1"),
    ],
)
def test_a_malformed_setting_is_named(key: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"{key}: '{value}' is not"):
        LocalSettings.from_mapping({key: value})


def test_the_store_is_in_the_users_state_folder_one_for_each_host(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr("socket.gethostname", lambda: "node7")
    assert LocalSettings.from_mapping({}).home == tmp_path / "qrmi" / "local" / "node7"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/ada")
    assert LocalSettings.from_mapping({}).home == Path("/home/ada/.local/state/qrmi/local/node7")


def test_a_user_without_a_home_folder_is_told_to_name_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_uid: int) -> None:
        raise KeyError

    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    with pytest.raises(ConfigError, match="set QRMI_LOCAL_HOME"):
        LocalSettings.from_mapping({})


def test_the_journal_can_be_chosen(make_resource) -> None:
    aer = make_resource(QRMI_LOCAL_JOURNAL="delete")
    assert aer.task_list() == []
    assert driver_of(aer)._store.journal_mode() == "delete"


def test_a_task_is_found_under_any_case_of_its_resources_name(make_resource) -> None:
    lower, upper = make_resource("emu_free"), make_resource("EMU_FREE")
    driver_of(lower)._store.submit("t", "EMU_FREE", "1", b"{}")
    assert [info.id for info in lower.task_list()] == ["t"]
    assert [info.id for info in upper.task_list()] == ["t"]


def test_the_environments_store_settings_have_no_prefix() -> None:
    settings = LocalSettings.from_environment(
        "aer",
        {"QRMI_LOCAL_HOME": "/x", "QRMI_LOCAL_SLOTS": "3", "aer_QRMI_LOCAL_SEED": "5"},
    )
    assert (settings.home, settings.slots, settings.seed) == (Path("/x"), 3, 5)


def test_the_readme_names_every_setting() -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in README.read_text().splitlines()
        if line.startswith("| `QRMI_LOCAL_")
    ]
    described = {row[0].strip("`"): row[1] for row in rows}
    declared = {
        item.names[0]: "no" if item.prefixed is False else "yes"
        for item in LocalSettings.declarations().values()
        if item.names[0].startswith("QRMI_LOCAL_")
    }
    assert described == declared
