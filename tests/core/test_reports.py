"""Results and exceptions of drivers: every wrong type is a defect that names the method."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from typing import Any, get_type_hints

import attrs
import pytest

from qrmi_core import (
    DriverDefectError,
    Observation,
    Payload,
    QrmiError,
    QuantumResource,
    ResourceStatus,
    ResourceStatusCode,
    ServiceError,
    Settings,
    SubmissionUncertainError,
    TaskStatus,
    setting,
)
from qrmi_core.driver import CONTRACT, OpenBatches, Prepares
from qrmi_core.errors import ResourceBusyError
from qrmi_core.polling import poll
from qrmi_core.settings import to_count
from qrmi_core.testing import FakeClock, FakeDriver, FakeVendor
from qrmi_core.values import (
    AcquisitionUsage,
    ResourceCapacity,
    ResourceDescription,
    TaskEstimate,
    TaskInfo,
    TaskUsage,
)
from support.fakes import PAYLOAD

ONLINE = ResourceStatusCode.Online

CALLS: dict[str, Callable[[QuantumResource], object]] = {
    "supports": lambda qpu: qpu.acquire(),
    "task_start": lambda qpu: qpu.task_start(PAYLOAD),
    "task_status": lambda qpu: qpu.task_status("t"),
    "task_result": lambda qpu: qpu.task_result(qpu.task_start(PAYLOAD)),
    "status": lambda qpu: qpu.status(),
    "metadata": lambda qpu: qpu.metadata(),
    "target": lambda qpu: qpu.target(),
    "describe": lambda qpu: qpu.describe(),
    "estimate": lambda qpu: qpu.estimate(PAYLOAD),
    "find_submission": lambda qpu: qpu.task_start(PAYLOAD),
    "task_list": lambda qpu: qpu.task_list(),
    "task_logs": lambda qpu: qpu.task_logs("t"),
    "task_usage": lambda qpu: qpu.task_usage("t"),
    "task_input": lambda qpu: qpu.task_input("t"),
    "acquire": lambda qpu: qpu.acquire(),
    "acquisition_usage": lambda qpu: qpu.acquisition_usage("a"),
    "batch_open": lambda qpu: qpu.batch_open(),
    "batch_add": lambda qpu: qpu.batch_add("b", [PAYLOAD, PAYLOAD]),
    "batch_tasks": lambda qpu: qpu.batch_tasks("b"),
    "make_room": lambda qpu: qpu.task_start(PAYLOAD, timeout=0),
}
"""A call of the interface that uses each method of the contract that returns something."""

WRONG: dict[str, tuple[Any, ...]] = {
    "supports": (None, 1),
    "task_start": (None, 5, b"t", ""),
    "task_status": (None, TaskStatus.Running, Observation(TaskStatus.Running, queue_position="1")),
    "task_result": (None, 5, "text", b"bytes", ["text"], [None]),
    "status": (None, ONLINE, ResourceStatus("Online"), ResourceStatus(ONLINE, busy=0)),  # type: ignore[arg-type]
    "metadata": (None, ["a"], {"a": 1}, {1: "a"}, "text"),
    "target": (None, "text", {"num_qubits": 2}),
    "describe": (None, {"num_qubits": 2}, ResourceDescription("2"), ResourceDescription(True)),  # type: ignore[arg-type]
    "estimate": (None, 1.5, TaskEstimate("1.5")),  # type: ignore[arg-type]
    "find_submission": (5, b"t", ""),
    "task_list": (None, ["t"], {"t": "u"}, [TaskInfo(5)], [TaskInfo("t", "Running")]),  # type: ignore[arg-type]
    "task_logs": (None, b"log", ["log"]),
    "task_usage": (None, 1.5, TaskUsage(created_at="2026-01-01")),  # type: ignore[arg-type]
    "task_input": (None, "text", {}),
    "acquire": (None, 5, ""),
    "acquisition_usage": (None, 5, AcquisitionUsage(tasks=1.5)),  # type: ignore[arg-type]
    "batch_open": (None, 5, ""),
    "batch_add": (None, "ab", ["a", 5], ["a"], iter("ab")),
    "batch_tasks": (None, "ab", [5]),
    "make_room": (None, 1),
}


def wrong_driver(method: str, value: object) -> type[FakeDriver]:
    vendor = FakeVendor(reports=[Observation(TaskStatus.Completed)])
    if method == "find_submission":
        vendor.lost_responses["task_start"] = [ServiceError("lost", uncertain=True)]
    if method == "make_room":
        vendor.faults["task_start"] = [ResourceBusyError("full")]

    class Complete(vendor.driver(findable=True), OpenBatches, Prepares):  # type: ignore[misc]
        def batch_open(self) -> str:
            return "b"

        def batch_add(self, batch_id: str, payloads: Sequence[Payload]) -> list[str]:
            return ["a"] * len(payloads)

        def batch_close(self, batch_id: str) -> None: ...

        def batch_tasks(self, batch_id: str) -> list[str]:
            return []

        def give_up(self, submission: str) -> None: ...

    return type("Wrong", (Complete,), {method: lambda *_, **_how: value})


def named_defect(call: Callable[[], object]) -> DriverDefectError:
    """Return the defect that a call raises, or that made its submission uncertain."""
    with pytest.raises((DriverDefectError, SubmissionUncertainError)) as caught:
        call()
    found = caught.value
    return found if isinstance(found, DriverDefectError) else found.__cause__  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("method", "value"), [(name, value) for name in WRONG for value in WRONG[name]]
)
def test_a_wrong_type_is_a_defect_that_names_the_method(method: str, value: object) -> None:
    driver = wrong_driver(method, value)
    clock = FakeClock()
    qpu = QuantumResource("q", "fake", {}, driver_class=driver, clock=clock, sleep=clock.sleep)
    defect = named_defect(lambda: CALLS[method](qpu))
    assert f" for {method}" in defect.message
    assert defect.message.endswith("please report this to the authors of the plugin")
    assert defect.resource_id == "q"


def test_every_method_that_returns_something_is_checked() -> None:
    methods = {
        name: get_type_hints(getattr(home, name)).get("return")
        for home in CONTRACT
        for name, member in vars(home).items()
        if not isinstance(member, type) and callable(getattr(home, name))
    }
    returning = {name for name, kind in methods.items() if kind not in (None, type(None))}
    assert returning - {"task_statuses", "discover"} == WRONG.keys() == CALLS.keys()


@pytest.mark.parametrize("reports", [None, [], {"t": None}, {"t": "running"}])
def test_a_wrong_report_of_several_tasks_is_a_defect_of_each(reports: object) -> None:
    qpu = QuantumResource("q", "fake", {}, driver_class=wrong_driver("task_statuses", reports))
    errors = poll([qpu.task("t"), qpu.task("u")])
    assert len(errors) == 2
    for error in errors.values():
        assert isinstance(error, DriverDefectError)
        assert " for task_statuses" in error.message


def test_a_wrong_field_is_named() -> None:
    full = ResourceCapacity(1, "2")  # type: ignore[arg-type]
    driver = wrong_driver("status", ResourceStatus(ONLINE, capacity=full))
    qpu = QuantumResource("q", "fake", {}, driver_class=driver)
    message = "the driver returned str for status.capacity.max_slots, where the contract has int;"
    with pytest.raises(DriverDefectError, match=message):
        qpu.status()


def test_a_driver_that_cannot_say_what_it_supports_is_defective() -> None:
    def fail(*_: object) -> bool:
        raise KeyError("mode")

    vendor = FakeVendor()
    driver = type("Moody", (vendor.driver(),), {"supports": fail})
    qpu = QuantumResource("q", "fake", {}, driver_class=driver)
    for call in (lambda: qpu.supports("acquire"), qpu.acquire, lambda: qpu.task_start(PAYLOAD)):
        with pytest.raises(DriverDefectError, match="KeyError: 'mode'") as caught:
            call()
        assert caught.value.resource_id == "q"
    assert not vendor.calls["task_start"]


class Word(str):
    """A subclass of `str`, as in numpy."""


def test_right_values_pass_in_all_their_forms() -> None:
    facts = ResourceDescription(2, operations=("h", "x"), details={"a": "b"})
    for method, value in {
        "describe": facts,
        "task_usage": TaskUsage(3),
        "metadata": {},
        "task_result": iter([b"a", b"b"]),
        "task_list": (TaskInfo(id) for id in "tu"),
        "batch_tasks": ("t", "u"),
        "task_logs": "",
        "task_start": Word("t"),
    }.items():
        driver = wrong_driver(method, value)
        assert CALLS[method](QuantumResource("q", "fake", {}, driver_class=driver)) is not None


# Secrets


@attrs.frozen(kw_only=True)
class Secretive(Settings):
    key: str = setting("QRMI_KEY", help="Key.", secret=True)
    pin: int = setting("QRMI_PIN", help="Pin.", secret=True, converter=to_count)
    user: str = setting("QRMI_USER", help="User.")


SECRETS = {"QRMI_KEY": "s3cret/key", "QRMI_PIN": "314159265", "QRMI_USER": "ada"}


class Unprintable(Exception):
    def __str__(self) -> str:
        raise KeyError("message")


def raising(error: BaseException, *methods: str) -> type[FakeDriver]:
    def fail(*_: object, **_how: object) -> None:
        raise error

    members = {"settings_class": Secretive, **dict.fromkeys(methods, fail)}
    return type("Failing", (FakeVendor().driver(),), members)


@pytest.mark.parametrize("method", ["status", "task_start", "__init__"])
@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (RuntimeError("no access: key s3cret/key, pin 314159265"), "RuntimeError: no access"),
        (KeyError("s3cret%2Fkey"), "KeyError"),
        (OSError(5, "bad", "https://h/v1?k=s3cret%2Fkey"), "OSError"),
        (ImportError("s3cret/key", name="acme", path="/x/acme.py"), "module acme"),
    ],
    ids=["text", "encoded", "url", "import"],
)
def test_a_defect_shows_no_secret_of_the_settings(
    method: str, error: Exception, shown: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(QrmiError) as caught:
        driver = raising(error, method)
        CALLS.get(method, CALLS["status"])(QuantumResource("q", "t", SECRETS, driver_class=driver))
    trace = "".join(traceback.format_exception(caught.value))
    for text in (str(caught.value), repr(caught.value), caplog.text, trace):
        assert "s3cret" not in text
        assert "314159265" not in text
    assert shown in str(caught.value)


def test_a_defect_may_have_any_message() -> None:
    for error, shown in (
        (Unprintable(), "Unprintable"),
        (ValueError("one\n\x1b[31mtwo"), "ValueError: one"),
        (ValueError("x" * 9000), "xxx...;"),
    ):
        qpu = QuantumResource("q", "t", SECRETS, driver_class=raising(error, "status"))
        with pytest.raises(DriverDefectError) as caught:
            qpu.status()
        assert shown in caught.value.message
        assert caught.value.message.isprintable()
        assert len(caught.value.message) < 2200
