from qrmi_core._imports import broken_dependency as broken_dependency
from qrmi_core.commands.checks import (
    Finding as Finding,
    check_entry as check_entry,
)
from qrmi_core.commands.exits import (
    DEFECT as DEFECT,
    describe as describe,
    status_of as status_of,
)
from qrmi_core.commands.inputs import (
    choose_payload as choose_payload,
    read_input as read_input,
)
from qrmi_core.commands.results import (
    SPOOL_BYTES as SPOOL_BYTES,
    print_result as print_result,
    save_result as save_result,
)
from qrmi_core.commands.signals import Signals as Signals
from qrmi_core.config import (
    FileReport as FileReport,
    first_secret as first_secret,
    inspect_config as inspect_config,
    job_resources as job_resources,
)
from qrmi_core.counts import Reader as Reader
from qrmi_core.deadline import (
    Deadline as Deadline,
    current as current,
    within as within,
)
from qrmi_core.discovery import (
    conditions as conditions,
    parse_filters as parse_filters,
)
from qrmi_core.driver import (
    CONTRACT_VERSION as CONTRACT_VERSION,
    Acquires as Acquires,
    ChoosesIds as ChoosesIds,
    Discovers as Discovers,
    Driver as Driver,
    OpenBatches as OpenBatches,
    Prepares as Prepares,
    offers as offers,
    unsupported as unsupported,
)
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
    recast as recast,
)
from qrmi_core.files import (
    atomic_output as atomic_output,
    check_writable as check_writable,
    lock_file as lock_file,
    replace_file as replace_file,
)
from qrmi_core.folders import (
    config_folder as config_folder,
    expand as expand,
    home_folder as home_folder,
    state_folder as state_folder,
)
from qrmi_core.http.client import HttpClient as HttpClient
from qrmi_core.http.credentials import (
    Auth as Auth,
    CachedToken as CachedToken,
    StaticToken as StaticToken,
    Token as Token,
    read_token as read_token,
)
from qrmi_core.http.proxies import is_loopback as is_loopback
from qrmi_core.http.refusals import ErrorHook as ErrorHook
from qrmi_core.http.response import (
    Response as Response,
    join_documents as join_documents,
)
from qrmi_core.http.settings import HttpSettings as HttpSettings
from qrmi_core.locks import Lock as Lock
from qrmi_core.notes import TaskNotes as TaskNotes
from qrmi_core.options import TaskOptions as TaskOptions
from qrmi_core.outcomes import missing_result as missing_result
from qrmi_core.payload import (
    AliceBobFelis as AliceBobFelis,
    Content as Content,
    IQMServer as IQMServer,
    Oqtopus as Oqtopus,
    PasqalCloud as PasqalCloud,
    Payload as Payload,
    QiskitPrimitive as QiskitPrimitive,
    content_repr as content_repr,
    open_content as open_content,
    read_content as read_content,
    to_content as to_content,
)
from qrmi_core.readers import (
    read_count as read_count,
    read_number as read_number,
    read_object as read_object,
    read_text as read_text,
    read_time as read_time,
)
from qrmi_core.redaction import (
    Redactor as Redactor,
    is_secret as is_secret,
    one_line as one_line,
    without_queries as without_queries,
)
from qrmi_core.registry import (
    conflict as conflict,
    conflicts as conflicts,
    find_driver as find_driver,
    installed as installed,
    load as load,
)
from qrmi_core.settings import (
    Declaration as Declaration,
    Settings as Settings,
    one_of as one_of,
    prefixes as prefixes,
    setting as setting,
    to_bool as to_bool,
    to_count as to_count,
    to_seconds as to_seconds,
    to_url as to_url,
)
from qrmi_core.states import FINAL as FINAL
from qrmi_core.urls import path_segment as path_segment
from qrmi_core.values import (
    AcquisitionUsage as AcquisitionUsage,
    Observation as Observation,
    PublishedEnum as PublishedEnum,
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
