"""Values, payloads, errors, output files and the list of public names."""

from __future__ import annotations

import ast
import copy
import datetime
import json
import os
import pickle
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, strategies as st

import qrmi_core
from qrmi_core import (
    AcquisitionUsage,
    InvalidInputError,
    Observation,
    Payload,
    ResourceCapacity,
    ResourceDef,
    ResourceStatus,
    ResourceStatusCode,
    ResourceType,
    Target,
    TaskResult,
    TaskStatus,
    TaskUsage,
    Transition,
    errors,
    plugin,
)
from qrmi_core.files import atomic_output, check_writable, replace_file
from qrmi_core.payload import open_content, read_content

NOW = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
VALUES = [
    ResourceStatus(ResourceStatusCode.Paused, "calibration", capacity=ResourceCapacity(1, 2)),
    Target("{}"),
    TaskResult("{}"),
    TaskUsage(1.5, NOW),
    AcquisitionUsage(3, 1.5),
    Observation(TaskStatus.Failed, "why", "1517", "ERROR", 3),
    Transition(TaskStatus.Queued, NOW),
    ResourceDef("name", "local", False, {"KEY": "value"}, {"KEY": "other"}, True, False),
    Payload.QiskitPrimitive("{}", "sampler"),
    Payload.QiskitPrimitive(Path("input.json"), "sampler"),
    Payload.PasqalCloud(b"{}", 100),
    ResourceType.IBMDirectAccess,
    TaskStatus.Queued,
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_values_are_comparable_printable_and_picklable(value: object) -> None:
    twin = pickle.loads(pickle.dumps(value))
    assert twin == value == copy.deepcopy(value)
    assert type(twin) is type(value)
    assert repr(twin) == repr(value)


def test_statuses_are_integers_that_print_their_names() -> None:
    assert [int(status) for status in TaskStatus] == [0, 1, 2, 3, 4]
    assert str(TaskStatus.Queued) == repr(TaskStatus.Queued) == "TaskStatus.Queued"
    assert f"{TaskStatus.Completed}" == "TaskStatus.Completed"
    assert f"{TaskStatus.Failed:>20}" == "   TaskStatus.Failed"
    assert TaskStatus.Completed in (2,)
    assert {TaskStatus.Queued: "x"}[0] == "x"  # type: ignore[index]
    assert str(ResourceStatusCode.Online) == "ResourceStatusCode.Online"


def test_each_published_type_equals_its_string() -> None:
    constants = {name: value for name, value in vars(ResourceType).items() if name[0].isupper()}
    assert constants == {
        "IBMQuantumSystem": "ibm-quantum-system",
        "IBMDirectAccess": "direct-access",
        "IBMQiskitRuntimeService": "qiskit-runtime-service",
        "IBMQuantumComputeService": "ibm-quantum-compute-service",
        "PasqalCloud": "pasqal-cloud",
        "PasqalLocal": "pasqal-local",
        "AliceBobFelis": "alice-bob-felis",
        "IQMServer": "iqm-server",
        "OQTOPUS": "oqtopus",
    }


def test_a_status_as_a_dict_has_the_published_six_keys() -> None:
    assert json.loads(json.dumps(VALUES[0].to_dict())) == {  # type: ignore[attr-defined]
        "status": "paused",
        "status_reason": "calibration",
        "healthy": None,
        "busy": None,
        "capacity": {"available_slots": 1, "max_slots": 2},
        "pending_job_count": None,
    }
    assert next(iter(VALUES[0].to_dict())) == "status"  # type: ignore[attr-defined]


def test_usage_as_a_dict_is_ready_for_json() -> None:
    usage = json.loads(json.dumps(TaskUsage(1.5, created_at=NOW).to_dict()))
    assert usage["created_at"] == "2026-01-02T00:00:00+00:00"
    assert usage["finished_at"] is None


def test_a_definition_does_not_print_its_secrets() -> None:
    secret = {"KEY": "hunter2"}
    assert "hunter2" not in repr(ResourceDef("n", "t", False, secret, secret))


def test_the_schedulers_settings_replace_the_others_however_they_are_written() -> None:
    entry = ResourceDef(
        *("n", "t", False),
        {"QRMI_X_KEY": "job's", "QRMI_X_TOKEN_FILE": "/job", "QRMI_X_URL": "u", "qrmi_x_id": "1"},
        {"QRMI_X_KEY": "site's", "QRMI_X_TOKEN": "t", "QRMI_X_ID": "2"},
    )
    assert entry.scheduler_settings() == {
        "QRMI_X_URL": "u",
        "QRMI_X_KEY": "site's",
        "QRMI_X_TOKEN": "t",
        "QRMI_X_ID": "2",
    }
    assert entry.environment["QRMI_X_KEY"] == "job's"


# Payloads


def test_payloads_take_positional_and_keyword_arguments_and_match() -> None:
    payload = Payload.PasqalCloud("{}", 7)
    assert payload == Payload.PasqalCloud(sequence="{}", job_runs=7)
    assert isinstance(payload, Payload)
    match payload:
        case Payload.PasqalCloud(sequence, runs):
            assert (sequence, runs) == ("{}", 7)
    assert type(payload).__qualname__ == "Payload.PasqalCloud"
    with pytest.raises(TypeError, match="one of the kinds"):
        Payload()


def test_text_and_bytes_are_passed_on_as_they_came(tmp_path: Path) -> None:
    odd = '{"b": 1e400,  "a":1.0, "a":2}'
    assert read_content(Payload.QiskitPrimitive(odd, "sampler").input) == odd.encode()
    data = odd.encode()
    assert read_content(Payload.QiskitPrimitive(data, "sampler").input) is data
    file = tmp_path / "input.json"
    file.write_text(odd)
    for path in (file, os.fspath(file)):
        payload = Payload.QiskitPrimitive(Path(path), "sampler")
        assert read_content(payload.input) == odd.encode()
        with open_content(payload.input) as stream:
            assert stream.read() == odd.encode()


def test_a_mapping_is_encoded_once() -> None:
    payload = Payload.QiskitPrimitive({"pubs": [["é", None]]}, "sampler")
    assert payload.input == '{"pubs":[["\\u00e9",null]]}'
    endless: dict[str, Any] = {}
    endless["x"] = {"y": [endless]}
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    for bad in ({"x": object()}, {"x": float("nan")}, {"x": deep}, endless):
        with pytest.raises(InvalidInputError, match="JSON"):
            Payload.QiskitPrimitive(bad, "sampler")


@pytest.mark.parametrize("value", [None, 5, ["x"]])
def test_other_types_are_refused(value: Any) -> None:
    with pytest.raises(TypeError, match=type(value).__name__):
        Payload.QiskitPrimitive(value, "sampler")


@pytest.mark.parametrize(("runs", "error"), [(0, InvalidInputError), (-1, InvalidInputError)])
def test_shots_are_at_least_one(runs: int, error: type[Exception]) -> None:
    with pytest.raises(error, match="at least 1"):
        Payload.PasqalCloud("{}", runs)


@pytest.mark.parametrize("runs", [1.0, "10", True, None])
def test_shots_are_integers(runs: Any) -> None:
    with pytest.raises(TypeError):
        Payload.PasqalCloud("{}", runs)


def test_a_payload_does_not_print_its_content() -> None:
    assert "xyzzy" not in repr(Payload.QiskitPrimitive("xyzzy" * 1000, "sampler"))


def test_a_missing_file_is_an_error_that_names_it() -> None:
    with pytest.raises(InvalidInputError, match=r"nowhere\.json: No such file"):
        read_content(Path("nowhere.json"))
    with pytest.raises(InvalidInputError, match="UTF-8"):
        read_content("\ud800")


def test_a_payload_is_made_of_an_input_file() -> None:
    made = Payload.QiskitPrimitive.from_mapping({"parameters": "{}", "program_id": "sampler"})
    assert made == Payload.QiskitPrimitive("{}", "sampler")
    assert Payload.PasqalCloud.from_mapping(
        {"sequence": "{}", "job_runs": 5, "more": 1}
    ) == Payload.PasqalCloud("{}", 5)
    with pytest.raises(InvalidInputError, match="program_id"):
        Payload.QiskitPrimitive.from_mapping({"parameters": "{}"})


PUBLISHED = {
    "QiskitPrimitive": {"parameters": '{"pubs": []}', "program_id": "sampler"},
    "PasqalCloud": {"sequence": '{"a": 1}', "job_runs": 5},
    "IQMServer": {"iqmjson": "{}", "job_type": "circuit", "use_timeslot": True, "tag": "mine"},
    "AliceBobFelis": {"human_qir": "define void @main()", "input_params": "{}"},
    "Oqtopus": {"job_spec": "{}"},
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_payload_is_made_of_an_input_file(name: str) -> None:
    kind: type[Payload] = getattr(Payload, name)
    values = PUBLISHED[name]
    made = kind.from_mapping(values)
    assert kind.kind == name
    assert kind.required_keys() == tuple(values)
    assert list(attrs.asdict(made).values()) == list(values.values())
    with pytest.raises(InvalidInputError, match=f"{name} needs {next(iter(values))}"):
        kind.from_mapping({})


def test_a_third_party_adds_a_kind_of_its_own() -> None:
    @attrs.frozen
    class Coin(Payload):
        flips: int = attrs.field(converter=int)
        label: str | None = attrs.field(default=None, metadata={"key": "name"})

    assert Coin.kind == "Coin"
    assert Coin.required_keys() == ("flips",)
    assert Coin.from_mapping({"flips": 3}) == Coin(3)
    assert Coin.from_mapping({"flips": 3, "name": "mine"}) == Coin(3, label="mine")
    with pytest.raises(InvalidInputError, match="Coin: .*'many'"):
        Coin.from_mapping({"flips": "many"})


def test_unknown_keys_of_an_input_file_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    Payload.PasqalCloud.from_mapping({"sequence": "{}", "job_runs": 5, "shots": 1, "more": 2})
    (record,) = caplog.records
    assert record.getMessage().endswith("ignored: 'shots', 'more'")


# Errors

ERRORS = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and value.__module__ == errors.__name__
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_errors_are_in_the_tree_that_is_drawn_and_pickle(error: type[errors.QrmiError]) -> None:
    assert issubclass(error, errors.QrmiError)
    assert issubclass(error, RuntimeError)
    drawn = errors.__doc__
    assert drawn is not None
    depth = {
        line.split("── ")[-1].split()[0]: line.index("── ") // 4
        for line in drawn.splitlines()
        if "── " in line
    }
    parent = error.__bases__[0]
    if error is not errors.QrmiError:
        assert depth[error.__name__] == depth[parent.__name__] + 1
    made = error("it broke", resource_id="fez")
    made.vendor_code = "1517"
    twin = pickle.loads(pickle.dumps(made))
    assert (type(twin), str(twin), twin.__dict__) == (error, str(made), made.__dict__)
    assert str(made) == "it broke [resource fez, code 1517]"


def test_context_that_the_message_tells_is_not_repeated() -> None:
    assert str(errors.QrmiError("task 17 broke", task_id="17")) == "task 17 broke"


# Output files


def test_an_output_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with pytest.raises(ValueError, match="mine"), atomic_output(target) as stream:
        stream.write(b"half")
        raise ValueError("mine")
    assert list(tmp_path.iterdir()) == []
    with atomic_output(target) as stream:
        stream.write(b"whole")
        assert not target.exists()
    assert target.read_bytes() == b"whole"
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(target.stat().st_mode) == 0o666 & ~umask


def test_an_output_keeps_the_mode_of_the_file_it_replaces_and_follows_links(
    tmp_path: Path,
) -> None:
    target = tmp_path / "out"
    target.write_text("old")
    target.chmod(0o600)
    link = tmp_path / "link"
    link.symlink_to(target)
    with atomic_output(link) as stream:
        stream.write(b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_writing_a_file_leaves_the_umask_of_the_process_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mask changes affect all threads, so files of other threads would get the temporary one."""
    former = os.umask(0o027)
    try:
        with monkeypatch.context() as watched:
            watched.setattr(os, "umask", lambda _mask: pytest.fail("the umask was set"))
            with atomic_output(tmp_path / "new") as stream:
                stream.write(b"content")
            replace_file(tmp_path / "own", b"content")
            check_writable(tmp_path / "other")
    finally:
        os.umask(former)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"new": 0o640, "own": 0o600}


@pytest.mark.parametrize("name", ["missing/out", "", "file/out"])
def test_an_unwritable_output_is_found_out_before(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match=str(tmp_path)):
        check_writable(tmp_path / name)
    with pytest.raises(OSError, match=str(tmp_path)), atomic_output(tmp_path / name):
        pass


def test_a_device_is_written_to_directly() -> None:
    check_writable("/dev/null")
    with atomic_output("/dev/null") as stream:
        stream.write(b"gone")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


# Public names


@pytest.mark.parametrize("module", [qrmi_core, plugin], ids=["core", "plugin"])
def test_the_public_names_are_those_that_type_checkers_see(module: Any) -> None:
    stub = ast.parse(Path(module.__file__).with_suffix(".pyi").read_text())
    names = [alias.asname for line in stub.body for alias in getattr(line, "names", ())]
    assert sorted(module.__all__) == sorted(names)
    for name in names:
        assert getattr(module, name) is not None
    assert set(dir(module)) == set(names)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = module.nonsense
    namespace: dict[str, object] = {}
    exec(f"from {module.__name__} import *", namespace)
    assert {*names} <= {*namespace}


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = (
        "import sys; before = set(sys.modules); import qrmi_core;"
        "print(*sorted(set(sys.modules) - before))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {name.split(".")[0] for name in out.stdout.split()} - sys.stdlib_module_names
    assert heavy == {"qrmi_core"}


@given(st.dictionaries(st.text(), st.none() | st.integers() | st.text()))
def test_any_mapping_survives_the_encoding(mapping: Mapping[str, Any]) -> None:
    content = Payload.QiskitPrimitive(mapping, "sampler").input
    assert isinstance(content, str)
    assert json.loads(content) == mapping
