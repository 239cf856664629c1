"""The values of the interface: comparable, printable, picklable."""

from __future__ import annotations

import datetime
import enum
from collections.abc import Iterable
from typing import Any, ClassVar

import attrs


class PublishedEnum(enum.IntEnum):
    """An enumeration whose members equal integers and print as ``TaskStatus.Queued``."""

    def __str__(self) -> str:
        return f"{type(self).__name__}.{self.name}"

    __repr__ = __str__

    def __bool__(self) -> bool:
        return True  # a state is something, whatever its number

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)


class TaskStatus(PublishedEnum):
    """The state of a task."""

    Queued = 0
    """Accepted by the vendor, waiting for its turn."""
    Running = 1
    """Being prepared or executed; also any status that the driver does not know."""
    Completed = 2
    """Ended with a result. Final."""
    Failed = 3
    """Ended without a result, for a reason that the vendor gives. Final."""
    Cancelled = 4
    """Ended because somebody stopped it. Final."""


class ResourceStatusCode(PublishedEnum):
    """The availability of a resource."""

    Online = 0
    """Reachable, runs tasks."""
    Offline = 1
    """Not reachable, or retired."""
    Paused = 2
    """Reachable, but does not run tasks for now (maintenance, calibration)."""


class ResourceType(str):
    """The type string of a resource, which names its driver.

    A published constant equals its own string. Any other string is accepted: third-party drivers
    bring types of their own.
    """

    __slots__ = ()

    IBMQuantumSystem: ClassVar[ResourceType]
    IBMDirectAccess: ClassVar[ResourceType]
    IBMQiskitRuntimeService: ClassVar[ResourceType]
    IBMQuantumComputeService: ClassVar[ResourceType]
    PasqalCloud: ClassVar[ResourceType]
    PasqalLocal: ClassVar[ResourceType]
    AliceBobFelis: ClassVar[ResourceType]
    IQMServer: ClassVar[ResourceType]
    OQTOPUS: ClassVar[ResourceType]

    def __repr__(self) -> str:
        return f"ResourceType({str(self)!r})"


_PUBLISHED_TYPES = {
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
for _name, _type in _PUBLISHED_TYPES.items():
    setattr(ResourceType, _name, ResourceType(_type))


class Value:
    """Base class of attrs classes that are compared and printed by their fields.

    They are declared with ``@attrs.frozen(eq=False, repr=False)``. Otherwise attrs would compile
    these methods for each class, which took a third of the time of the import of the core.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        kind: Any = type(self)
        fields: Iterable[attrs.Attribute[Any]] = attrs.fields(kind)
        shown = (_shown(field, getattr(self, field.name)) for field in fields if field.repr)
        return f"{kind.__name__}({', '.join(shown)})"

    def __eq__(self, other: object) -> bool:
        return _compared(self) == _compared(other) if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash(_compared(self))


def _shown(field: attrs.Attribute[Any], value: object) -> str:
    text = field.repr(value) if callable(field.repr) else repr(value)
    return f"{field.name}={text}"


def _compared(value: Any) -> tuple[object, ...]:
    return attrs.astuple(value, recurse=False, filter=lambda field, _value: bool(field.eq))


class _Facts(Value):
    """Base class of values that commands print as JSON."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the fields ready for JSON: times in ISO 8601, states in lower case."""
        facts: Any = self  # an attrs class, but for this base
        return attrs.asdict(facts, value_serializer=_plain)


def _plain(_facts: object, _field: object, value: Any) -> Any:
    match value:
        case PublishedEnum():
            return value.name.lower()
        case datetime.datetime():
            return value.isoformat()
    return value


@attrs.frozen(eq=False, repr=False)
class ResourceCapacity(Value):
    """Slots for tasks.

    Args:
        available_slots: Tasks that could start now; an upper bound where others share the resource.
        max_slots: Tasks that can run at the same time at most.
    """

    available_slots: int
    max_slots: int


@attrs.frozen(eq=False, repr=False)
class ResourceStatus(_Facts):
    """The state of a resource; None where the vendor does not report it.

    Args:
        status: The availability.
        status_reason: The vendor's reason, such as an announced maintenance.
        healthy: True if the vendor considers the device to be in good condition.
        busy: True if it is online but used by others, so that a task will not start at once.
        capacity: Slots for tasks.
        pending_job_count: Tasks waiting for the resource, of all users.
    """

    status: ResourceStatusCode
    status_reason: str | None = None
    healthy: bool | None = None
    busy: bool | None = None
    capacity: ResourceCapacity | None = None
    pending_job_count: int | None = None


@attrs.frozen(eq=False, repr=False)
class Target(Value):
    """The description of a device for compilers.

    Args:
        value: The vendor's text, most often JSON, as it came.
    """

    value: str


@attrs.frozen(eq=False, repr=False)
class TaskResult(Value):
    """The result of a completed task.

    Args:
        value: The vendor's text, as it came.
    """

    value: str = attrs.field(repr=lambda value: f"<{len(value)} characters>")


@attrs.frozen(eq=False, repr=False)
class TaskUsage(_Facts):
    """The consumption and the times of a task; None where the vendor does not report them.

    Args:
        quantum_seconds: Seconds of the quantum processor (of the simulator) used.
        created_at: The time at which the vendor accepted the task.
        started_at: The time at which its execution began.
        finished_at: The time at which it ended.
    """

    quantum_seconds: float | None = None
    created_at: datetime.datetime | None = None
    started_at: datetime.datetime | None = None
    finished_at: datetime.datetime | None = None


@attrs.frozen(eq=False, repr=False)
class TaskEstimate(_Facts):
    """The expected consumption of a task; None where the vendor gives no figure.

    Args:
        quantum_seconds: Seconds of the quantum processor (of the simulator).
        cost: The price, in `currency`.
        currency: The currency's ISO 4217 code, such as ``EUR``, or the vendor's own unit.
    """

    quantum_seconds: float | None = None
    cost: float | None = None
    currency: str | None = None


@attrs.frozen(eq=False, repr=False)
class AcquisitionUsage(_Facts):
    """The consumption under an acquisition; None where the vendor does not report it.

    Args:
        tasks: The number of tasks submitted under it.
        quantum_seconds: Seconds of the quantum processor (of the simulator) that they used.
    """

    tasks: int | None = None
    quantum_seconds: float | None = None


@attrs.frozen(eq=False, repr=False)
class Observation(Value):
    """A driver's report of the state of a task.

    Args:
        status: The state, None for a status of the vendor that the driver does not know.
        reason: The vendor's explanation in words, for failed and cancelled tasks above all.
        code: The vendor's code for the reason.
        raw: The vendor's own status.
        queue_position: Tasks before this one in the queue, 0 for the next to run.
    """

    status: TaskStatus | None = attrs.field(
        validator=attrs.validators.optional(attrs.validators.instance_of(TaskStatus))
    )
    reason: str | None = None
    code: str | None = None
    raw: str | None = None
    queue_position: int | None = None


@attrs.frozen(eq=False, repr=False)
class TaskInfo(Value):
    """One row of a driver's list of tasks.

    Args:
        id: The task's id.
        status: Its state, None for a status that the driver does not know.
        created_at: The time at which the vendor accepted it, None if not reported.
    """

    id: str
    status: TaskStatus | None = None
    created_at: datetime.datetime | None = None


@attrs.frozen(eq=False, repr=False)
class ResourceInfo(_Facts):
    """One resource found by discovery; None where the vendor does not report it.

    Args:
        resource_id: The id for `QuantumResource`.
        num_qubits: Its number of qubits (atoms).
        max_shots: The largest number of shots of one task.
        is_simulator: True for a simulator.
        status: The availability.
        pending_job_count: Tasks waiting for it, of all users; discovery sorts by it.
    """

    resource_id: str
    num_qubits: int | None = None
    max_shots: int | None = None
    is_simulator: bool | None = None
    status: ResourceStatusCode | None = None
    pending_job_count: int | None = None


@attrs.frozen(eq=False, repr=False)
class ResourceDescription(_Facts):
    """Facts about a device that rarely change; None where the vendor does not report one.

    Args:
        num_qubits: The number of qubits (atoms).
        max_shots: The largest number of shots of one task.
        is_simulator: True for a simulator.
        technology: The kind of qubits, such as ``superconducting`` or ``neutral atoms``.
        operations: The native operations, by the vendor's names.
        details: Further facts under the vendor's own names.
    """

    num_qubits: int | None = None
    max_shots: int | None = None
    is_simulator: bool | None = None
    technology: str | None = None
    operations: tuple[str, ...] | None = None
    details: dict[str, str] = attrs.field(factory=dict)
