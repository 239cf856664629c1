"""The published package `qrmi`, reimplemented: scripts written for it run unchanged.

Its top-level names are here, its front ends in `qrmi.primitives` and `qrmi.pulser`. The README of
the distribution ``qrmi-compat`` lists the differences.
"""

import logging

from qrmi_core.plugin import conflict

if _found := conflict("qrmi-compat", "qrmi"):
    raise ImportError(_found)

from qrmi._core import (
    AuthenticationFailedError,
    Config,
    ConfigError,
    EnvVarNotSetError,
    InvalidInputError,
    Payload,
    QrmiError,
    QRMIService,
    QuantumResource,
    ResourceCapacity,
    ResourceDef,
    ResourceNotFoundError,
    ResourceProvider,
    ResourceStatus,
    ResourceStatusCode,
    ResourceType,
    Target,
    TaskNotFoundError,
    TaskNotReadyError,
    TaskResult,
    TaskStatus,
    UnsupportedFunctionError,
    UnsupportedPayloadError,
    UnsupportedResourceTypeError,
    set_log_callback,
)
from qrmi._job import get_job_qpu_resources_and_types

__all__ = [
    "AuthenticationFailedError",
    "Config",
    "ConfigError",
    "EnvVarNotSetError",
    "InvalidInputError",
    "Payload",
    "QRMIService",
    "QrmiError",
    "QuantumResource",
    "ResourceCapacity",
    "ResourceDef",
    "ResourceNotFoundError",
    "ResourceProvider",
    "ResourceStatus",
    "ResourceStatusCode",
    "ResourceType",
    "Target",
    "TaskNotFoundError",
    "TaskNotReadyError",
    "TaskResult",
    "TaskStatus",
    "UnsupportedFunctionError",
    "UnsupportedPayloadError",
    "UnsupportedResourceTypeError",
    "get_job_qpu_resources_and_types",
    "logger",
    "set_log_callback",
]

logger = logging.getLogger("qrmi")
"""The published package's logger; the records of this one are those of ``qrmi_core``."""
