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
        resource_id: The vendor's name for the resource.
        resource_type: The type: a member, or its string.
        config: Settings with unprefixed keys; by default they are read from the environment.
        how: Additional arguments of `qrmi_core.QuantumResource`.

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
        """Create a resource from a mapping of settings; the environment is not read."""
        if not isinstance(config, Mapping):
            raise TypeError(f"config must be a mapping, not {type(config).__name__}")
        return cls(resource_id, resource_type, config)

    def resource_type(self) -> ResourceType:  # type: ignore[override]  # as it is published
        """Return the type."""
        return ResourceType.of(str(super().resource_type()))

    def is_accessible(self) -> bool:
        """Return True if the resource accepts work now; deprecated, use `status`."""
        warnings.warn(
            "is_accessible() is deprecated, use status() instead", DeprecationWarning, stacklevel=2
        )
        return super().is_accessible()

    def release(self, id: str, *, cancel_pending: bool = False) -> None:
        """End a reservation, which may have ended already or be unknown.

        Args:
            id: The token that `acquire` returned; an empty one is ignored.
            cancel_pending: True to cancel the tasks that are still queued under it.
        """
        if id != "":
            super().release(id, cancel_pending=cancel_pending)

    def task_result(self, task_id: str, timeout: float | None = None) -> TaskResult:
        """Wait for a task, and return its result.

        Args:
            task_id: The task's id.
            timeout: Seconds to wait; None to wait for ever, 0 to poll once.

        Raises:
            TaskNotReadyError: The task failed, was cancelled or has not ended in time.
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
    """The resources that an account can use.

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
        """Return the vendor's information about each resource, the least busy first.

        Args:
            filters: Filters of `qrmi_core.ResourceProvider.infos`; IBM's simulators are left out
                unless ``is_simulator`` says otherwise.
        """
        if self._hides and "is_simulator" not in parse_filters(filters):
            filters = f"{filters or ''}&is_simulator=false"
        return super().infos(filters)
