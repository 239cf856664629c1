"""The published names, their enumerations, payloads, values and errors."""

from __future__ import annotations

import enum
import importlib
import pickle
import sys
from typing import Any

import pytest

import qrmi
import qrmi_core
from qrmi import Payload, ResourceStatusCode, ResourceType, TaskStatus
from qrmi_core.testing import FakeVendor
from support.processes import said

CLASSES = [
    "QuantumResource",
    "ResourceType",
    "TaskStatus",
    "Payload",
    "Target",
    "TaskResult",
    "ResourceStatus",
    "ResourceStatusCode",
    "ResourceCapacity",
    "ResourceDef",
    "ResourceProvider",
    "Config",
    "QRMIService",
]
ERRORS = [
    "QrmiError",
    "EnvVarNotSetError",
    "ConfigError",
    "UnsupportedResourceTypeError",
    "UnsupportedPayloadError",
    "UnsupportedFunctionError",
    "TaskNotReadyError",
    "InvalidInputError",
    "ResourceNotFoundError",
    "TaskNotFoundError",
    "AuthenticationFailedError",
]
FUNCTIONS = ["set_log_callback", "get_job_qpu_resources_and_types"]
TYPES = {
    "IBMQuantumSystem": (0, "ibm-quantum-system"),
    "IBMQiskitRuntimeService": (1, "qiskit-runtime-service"),
    "IBMQuantumComputeService": (2, "ibm-quantum-compute-service"),
    "PasqalCloud": (3, "pasqal-cloud"),
    "PasqalLocal": (4, "pasqal-local"),
    "AliceBobFelis": (5, "alice-bob-felis"),
    "IQMServer": (6, "iqm-server"),
    "OQTOPUS": (7, "oqtopus"),
    "IBMDirectAccess": (100, "direct-access"),
}


def test_a_star_import_gives_every_published_name() -> None:
    namespace: dict[str, Any] = {}
    exec("from qrmi import *", namespace)
    assert {*CLASSES, *ERRORS, *FUNCTIONS, "logger"} == namespace.keys() - {"__builtins__"}
    assert all(isinstance(namespace[name], type) for name in CLASSES + ERRORS)
    assert all(callable(namespace[name]) for name in FUNCTIONS)
    assert namespace["logger"].name == "qrmi"


def test_the_extension_module_has_its_names_too() -> None:
    from qrmi import _core

    assert {*CLASSES, *ERRORS, "set_log_callback"} == set(_core.__all__)


@pytest.mark.parametrize("name", ERRORS)
def test_every_error_is_a_runtime_error_of_the_one_tree(name: str) -> None:
    error = getattr(qrmi, name)
    assert issubclass(error, qrmi.QrmiError)
    assert issubclass(error, RuntimeError)
    assert error("why").args == ("why",)


@pytest.mark.parametrize("name", TYPES)
def test_a_resource_type_is_number_text_and_singleton(name: str) -> None:
    member = getattr(ResourceType, name)
    number, text = TYPES[name]
    assert isinstance(member, enum.Enum)
    assert member == number == int(member)
    assert str(member) == repr(member) == f"{member}" == f"ResourceType.{name}"
    assert ResourceType(text) is ResourceType.of(text) is ResourceType(number) is member
    assert member.type_string == text
    assert pickle.loads(pickle.dumps(member)) is member


def test_a_type_of_others_is_a_member_once_it_is_named() -> None:
    local, coin = ResourceType("local"), ResourceType("coin")
    assert ResourceType("local") is local is pickle.loads(pickle.dumps(local))
    assert local not in (coin, *ResourceType)
    assert str(local) == "ResourceType.local"
    assert local.type_string == "local"
    assert len(list(ResourceType)) == len(TYPES)


@pytest.mark.parametrize("value", ["", None, 8, 2.5])
def test_what_is_no_type_is_refused(value: Any) -> None:
    with pytest.raises(ValueError):
        ResourceType(value)


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (TaskStatus, ["Queued", "Running", "Completed", "Failed", "Cancelled"]),
        (ResourceStatusCode, ["Online", "Offline", "Paused"]),
    ],
)
def test_a_state_is_its_number_prints_itself_and_is_true(
    kind: type[enum.IntEnum], names: list[str]
) -> None:
    for number, name in enumerate(names):
        member = getattr(kind, name)
        assert member == number
        assert number == member
        assert f"{member}" == str(member) == repr(member) == f"{kind.__name__}.{name}"
        assert bool(member)
        assert member in [number]
        assert {member: 1}[member] == 1


PAYLOADS = {
    "QiskitPrimitive": {"input": "{}", "program_id": "sampler"},
    "PasqalCloud": {"sequence": "{}", "job_runs": 5},
    "AliceBobFelis": {"human_qir": "define", "input_params": "{}"},
    "IQMServer": {"iqmjson": "{}", "job_type": "circuit", "use_timeslot": None, "tag": None},
    "Oqtopus": {"job_spec": "{}"},
}


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_payload_takes_its_arguments_by_position_and_by_name(name: str) -> None:
    kind, arguments = getattr(Payload, name), PAYLOADS[name]
    by_position, by_name = kind(*arguments.values()), kind(**arguments)
    for payload in (by_position, by_name):
        assert isinstance(payload, Payload)
        assert isinstance(payload, kind)
        assert type(payload).__qualname__ == f"Payload.{name}"
        assert {key: getattr(payload, key) for key in arguments} == arguments
        with pytest.raises(AttributeError):
            setattr(payload, next(iter(arguments)), "x")
    assert kind.__match_args__ == tuple(arguments)
    with pytest.raises(TypeError):
        kind(*list(arguments.values())[:-1])


def test_a_payload_matches_by_position() -> None:
    match Payload.PasqalCloud("{}", 7):
        case Payload.PasqalCloud(sequence, runs):
            assert (sequence, runs) == ("{}", 7)
        case _:
            pytest.fail("it did not match")


@pytest.mark.parametrize(
    "make",
    [
        lambda: Payload(),
        lambda: Payload.QiskitPrimitive(None, "sampler"),  # type: ignore[arg-type]
        lambda: Payload.QiskitPrimitive("{}", 3),  # type: ignore[arg-type]
        lambda: Payload.PasqalCloud("{}", 1.5),  # type: ignore[arg-type]
        lambda: Payload.IQMServer("{}", "circuit", 1, None),  # type: ignore[arg-type]
        lambda: Payload.Oqtopus(3),
    ],
)
def test_arguments_of_wrong_types_are_type_errors(make: Any) -> None:
    with pytest.raises(TypeError):
        make()


def test_a_payload_does_not_print_what_it_holds() -> None:
    for name, arguments in PAYLOADS.items():
        filled = {key: "s3cret" if value == "{}" else value for key, value in arguments.items()}
        assert "s3cret" not in repr(getattr(Payload, name)(**filled)), name


def test_payloads_of_the_core_are_taken_and_ours_are_the_cores(
    vendor: FakeVendor, qpu: qrmi.QuantumResource
) -> None:
    assert qpu.task_start(qrmi_core.Payload.QiskitPrimitive("{}", "sampler"))
    assert isinstance(Payload.QiskitPrimitive("{}", "sampler"), qrmi_core.Payload.QiskitPrimitive)


def test_every_published_payload_is_accepted_by_a_third_partys_driver_for_it() -> None:
    for name, arguments in PAYLOADS.items():
        driver = FakeVendor().driver()
        driver.payloads = (getattr(qrmi_core.Payload, name),)
        with qrmi.QuantumResource("x", "theirs", {}, driver_class=driver) as qpu:
            assert qpu.task_start(getattr(Payload, name)(**arguments))


def test_importing_it_imports_no_front_end_and_no_client() -> None:
    code = (
        "import sys, qrmi, qrmi.primitives, qrmi.pulser; qrmi.primitives.QRMIService;"
        "print(*{'qiskit', 'pulser', 'numpy', 'requests', 'qrmi_qiskit'} & {*sys.modules})"
    )
    assert said(sys.executable, "-W", "error", "-c", code).split() == []


def test_a_front_end_without_a_plugin_says_what_to_use_instead() -> None:
    with pytest.raises(ModuleNotFoundError, match="iqm-client") as caught:
        importlib.import_module("qrmi.qiskit_iqm")
    assert caught.value.name == "qrmi.qiskit_iqm"
