"""QRMI for Python: acquire a quantum computer, run tasks on it, watch them and release it.

Names are imported when they are first used, so that ``import qrmi_core`` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from qrmi_core._version import __version__

if TYPE_CHECKING:
    from qrmi_core.config import (
        Config,
        get_job_qpu_resources_and_types,
        open_resource,
        resources_from_job,
    )
    from qrmi_core.discovery import ResourceProvider
    from qrmi_core.driver import Driver
    from qrmi_core.errors import (
        AuthenticationFailedError,
        CallTimeoutError,
        ConfigError,
        DriverDefectError,
        EnvVarNotSetError,
        InvalidInputError,
        InvalidResponseError,
        NotAcquiredError,
        PermissionDeniedError,
        PluginError,
        QrmiError,
        ResourceBusyError,
        ResourceNotFoundError,
        ServiceError,
        SubmissionUncertainError,
        TaskCancelledError,
        TaskFailedError,
        TaskNotFoundError,
        TaskNotReadyError,
        TransportError,
        UnsupportedFunctionError,
        UnsupportedPayloadError,
        UnsupportedResourceTypeError,
        WaitTimeoutError,
    )
    from qrmi_core.payload import Payload
    from qrmi_core.polling import PollingPolicy, as_completed, wait
    from qrmi_core.resource import QuantumResource
    from qrmi_core.settings import Settings, setting
    from qrmi_core.task import Task, Transition
    from qrmi_core.values import (
        Observation,
        ResourceCapacity,
        ResourceDef,
        ResourceInfo,
        ResourceStatus,
        ResourceStatusCode,
        ResourceType,
        Target,
        TaskInfo,
        TaskResult,
        TaskStatus,
        TaskUsage,
    )

_HOMES = {
    "config": "Config get_job_qpu_resources_and_types open_resource resources_from_job",
    "discovery": "ResourceProvider",
    "driver": "Driver",
    "errors": (
        "AuthenticationFailedError CallTimeoutError ConfigError DriverDefectError"
        " EnvVarNotSetError InvalidInputError InvalidResponseError NotAcquiredError"
        " PermissionDeniedError PluginError QrmiError ResourceBusyError ResourceNotFoundError"
        " ServiceError SubmissionUncertainError TaskCancelledError TaskFailedError"
        " TaskNotFoundError TaskNotReadyError TransportError UnsupportedFunctionError"
        " UnsupportedPayloadError UnsupportedResourceTypeError WaitTimeoutError"
    ),
    "payload": "Payload",
    "polling": "PollingPolicy as_completed wait",
    "resource": "QuantumResource",
    "settings": "Settings setting",
    "task": "Task Transition",
    "values": (
        "Observation ResourceCapacity ResourceDef ResourceInfo ResourceStatus ResourceStatusCode"
        " ResourceType Target TaskInfo TaskResult TaskStatus TaskUsage"
    ),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names.split()}

__all__ = ["__version__", *_HOME_OF]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
