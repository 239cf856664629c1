from qrmi_core._version import __version__ as __version__
from qrmi_core.bulk import (
    BatchInterruptedError as BatchInterruptedError,
    BatchSubmissionError as BatchSubmissionError,
    run_all as run_all,
)
from qrmi_core.config import (
    Config as Config,
    ResourceDef as ResourceDef,
    get_job_qpu_resources_and_types as get_job_qpu_resources_and_types,
    open_resource as open_resource,
    resources_from_job as resources_from_job,
)
from qrmi_core.counts import counts_of as counts_of
from qrmi_core.discovery import ResourceProvider as ResourceProvider
from qrmi_core.driver import Driver as Driver
from qrmi_core.errors import (
    AuthenticationFailedError as AuthenticationFailedError,
    CallTimeoutError as CallTimeoutError,
    ConfigError as ConfigError,
    DriverDefectError as DriverDefectError,
    EnvVarNotSetError as EnvVarNotSetError,
    InvalidArgumentError as InvalidArgumentError,
    InvalidInputError as InvalidInputError,
    InvalidResponseError as InvalidResponseError,
    NotAcquiredError as NotAcquiredError,
    PermissionDeniedError as PermissionDeniedError,
    PluginError as PluginError,
    QrmiError as QrmiError,
    ResourceBusyError as ResourceBusyError,
    ResourceNotFoundError as ResourceNotFoundError,
    ServiceError as ServiceError,
    SubmissionUncertainError as SubmissionUncertainError,
    TaskCancelledError as TaskCancelledError,
    TaskFailedError as TaskFailedError,
    TaskNotFoundError as TaskNotFoundError,
    TaskNotReadyError as TaskNotReadyError,
    TransportError as TransportError,
    UnsupportedFunctionError as UnsupportedFunctionError,
    UnsupportedPayloadError as UnsupportedPayloadError,
    UnsupportedResourceTypeError as UnsupportedResourceTypeError,
    WaitTimeoutError as WaitTimeoutError,
)
from qrmi_core.payload import Payload as Payload
from qrmi_core.polling import as_completed as as_completed, poll as poll, wait as wait
from qrmi_core.resource import QuantumResource as QuantumResource
from qrmi_core.retry import PollingPolicy as PollingPolicy
from qrmi_core.settings import Settings as Settings, setting as setting
from qrmi_core.states import Transition as Transition
from qrmi_core.task import Task as Task
from qrmi_core.values import (
    AcquisitionUsage as AcquisitionUsage,
    Observation as Observation,
    ResourceCapacity as ResourceCapacity,
    ResourceDescription as ResourceDescription,
    ResourceInfo as ResourceInfo,
    ResourceStatus as ResourceStatus,
    ResourceStatusCode as ResourceStatusCode,
    ResourceType as ResourceType,
    Target as Target,
    TaskEstimate as TaskEstimate,
    TaskInfo as TaskInfo,
    TaskResult as TaskResult,
    TaskStatus as TaskStatus,
    TaskUsage as TaskUsage,
)
