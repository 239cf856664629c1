"""The names of the extension module of the published package."""

from qrmi._errors import (
    AuthenticationFailedError,
    ConfigError,
    EnvVarNotSetError,
    InvalidInputError,
    QrmiError,
    ResourceNotFoundError,
    TaskNotFoundError,
    TaskNotReadyError,
    UnsupportedFunctionError,
    UnsupportedPayloadError,
    UnsupportedResourceTypeError,
)
from qrmi._job import Config, QRMIService, ResourceDef
from qrmi._records import set_log_callback
from qrmi._resource import QuantumResource, ResourceProvider
from qrmi._types import ResourceType
from qrmi_core import (
    Payload,
    ResourceCapacity,
    ResourceStatus,
    ResourceStatusCode,
    Target,
    TaskResult,
    TaskStatus,
)

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
    "set_log_callback",
]
