"""Resources and their discovery, with the published signatures."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import qrmi_core
from qrmi._errors import TaskCancelledError, TaskFailedError
from qrmi._types import ResourceType, type_string
from qrmi_core import ResourceInfo, TaskResult
from qrmi_core.plugin import parse_filters, recast


class QuantumResource(qrmi_core.QuantumResource):
    """A quantum computer, or a simulator that stands in for one.

    Args:
        resource_id: The vendor's name of the resource.
        resource_type: The type: a member, or its string.
        config: Settings with unprefixed keys; without it the environment is read.
        how: Further arguments of `qrmi_core.QuantumResource`.

    Raises:
        EnvVarNotSetError: Variables are not set; all are named.
        ConfigError: Settings are missing or malformed; all are named.
        UnsupportedResourceTypeError: No installed plugin has this type.
    """

    def __init__(
        self,
        resource_id: str,
        resource_type: ResourceType | str,
        config: Mapping[str, str] | None = None,
        **how: Any,
    ) -> None:
        super().__init__(resource_id, type_string(resource_type), config, **how)

    @classmethod
    def from_config(
        cls, resource_id: str, resource_type: ResourceType | str, config: Mapping[str, str]
    ) -> QuantumResource:
        """Make a resource of a mapping of settings; the environment is not read."""
        if not isinstance(config, Mapping):
            raise TypeError(f"config must be a mapping, not {type(config).__name__}")
        return cls(resource_id, resource_type, config)

    def resource_type(self) -> ResourceType:  # type: ignore[override]  # as it is published
        """Return the type."""
        return ResourceType.of(str(super().resource_type()))

    def is_accessible(self) -> bool:
        """Return True if the resource takes work now; deprecated, use `status`."""
        warnings.warn(
            "is_accessible() is deprecated, use status() instead", DeprecationWarning, stacklevel=2
        )
        return super().is_accessible()

    def release(self, id: str, *, cancel_pending: bool = False) -> None:
        """End a reservation; one that has ended or is unknown is not an error.

        Args:
            id: The token that `acquire` returned; with an empty one nothing happens.
            cancel_pending: True to cancel the tasks that are still queued under it.
        """
        if id != "":
            super().release(id, cancel_pending=cancel_pending)

    def task_result(self, task_id: str, timeout: float | None = None) -> TaskResult:
        """Wait for a task and return its result.

        Args:
            task_id: The task's id.
            timeout: Seconds to wait for the end; None for ever, 0 polls once.

        Raises:
            TaskNotReadyError: It failed or was cancelled, or the time is up.
            TaskNotFoundError: The vendor has no such task.
        """
        try:
            return super().task_result(task_id, timeout)
        except qrmi_core.TaskFailedError as error:
            raise _not_ready(error, TaskFailedError) from error
        except qrmi_core.TaskCancelledError as error:
            raise _not_ready(error, TaskCancelledError) from error


def _not_ready(
    error: qrmi_core.QrmiError, kind: type[TaskFailedError] | type[TaskCancelledError]
) -> qrmi_core.QrmiError:
    again = recast(error, kind)
    again.resource_id, again.task_id = error.resource_id, error.task_id
    return again


_HIDES_SIMULATORS = frozenset(
    {
        ResourceType.IBMQuantumSystem,
        ResourceType.IBMDirectAccess,
        ResourceType.IBMQiskitRuntimeService,
        ResourceType.IBMQuantumComputeService,
    }
)


class ResourceProvider(qrmi_core.ResourceProvider):
    """The resources that one account reaches.

    Args:
        resource_type: The type: a member, or its string.
        environment: Settings with unprefixed keys.

    Raises:
        UnsupportedResourceTypeError: Resources of this type cannot be discovered.
        ConfigError: Settings are missing or malformed; all are named.
    """

    resource_class = QuantumResource

    def __init__(self, resource_type: ResourceType | str, environment: Mapping[str, str]) -> None:
        kind = type_string(resource_type)
        super().__init__(kind, environment)
        self._hides = ResourceType.of(kind) in _HIDES_SIMULATORS

    def infos(self, filters: str | None = None) -> list[ResourceInfo]:
        """Return the vendor's facts about each resource, the least busy first.

        Args:
            filters: As `qrmi_core.ResourceProvider.infos`; IBM's simulators are left out unless
                ``is_simulator`` says otherwise.
        """
        if self._hides and "is_simulator" not in parse_filters(filters):
            filters = f"{filters or ''}&is_simulator=false"
        return super().infos(filters)
