"""The operations of the C library, on `qrmi_core`."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence

import attrs

import qrmi_core
from qrmi_c.frames import Text
from qrmi_c.records import Records
from qrmi_core import Payload, QuantumResource, ResourceProvider, ResourceStatusCode
from qrmi_core.plugin import Settings, find_driver, installed, job_resources, prefixes

_log = logging.getLogger(__name__)

_TOKEN = "QRMI_JOB_ACQUISITION_TOKEN"
_PUBLISHED = {
    "ibm-quantum-system",
    "qiskit-runtime-service",
    "ibm-quantum-compute-service",
    "pasqal-cloud",
    "pasqal-local",
    "alice-bob-felis",
    "iqm-server",
    "oqtopus",
}
_OWN = ("PYTHON", "LD_")
"""Beginnings of variables that the helper keeps as it was started with."""

Fields = Sequence[bytes | None]


class Refused(Exception):
    """An operation failed.

    Args:
        code: The return code.
        reason: The reason.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


# The first that fits; ConfigError is told apart by what is wrong.
_CODES: tuple[tuple[type[qrmi_core.QrmiError], int], ...] = (
    (qrmi_core.EnvVarNotSetError, 102),
    (qrmi_core.ConfigError, 114),
    (qrmi_core.UnsupportedResourceTypeError, 104),
    (qrmi_core.UnsupportedFunctionError, 105),
    (qrmi_core.UnsupportedPayloadError, 106),
    (qrmi_core.TaskNotReadyError, 107),
    (qrmi_core.TaskFailedError, 107),
    (qrmi_core.TaskCancelledError, 107),
    (qrmi_core.InvalidInputError, 109),
    (qrmi_core.ResourceNotFoundError, 111),
    (qrmi_core.TaskNotFoundError, 112),
    (qrmi_core.AuthenticationFailedError, 113),
)


def code_of(error: BaseException) -> int:
    """Return the return code of an error."""
    if isinstance(error, Refused):
        return error.code
    return next((code for kind, code in _CODES if isinstance(error, kind)), 100)


@attrs.define(eq=False)
class _Opened:
    """A resource of the host.

    Args:
        resource: The resource.
        settings_token: The token in its settings, None without one.
        ours: True if the host acquired that token itself, before this helper was started.
        bare: Makes the same resource without that token.
    """

    resource: QuantumResource
    settings_token: str | None = attrs.field(repr=False)
    ours: bool
    bare: Callable[[], QuantumResource]


class Engine:
    """The operations of the helper for its host.

    Args:
        records: Where log records go.
    """

    def __init__(self, records: Records) -> None:
        self._records = records
        self._opened: dict[bytes, _Opened] = {}
        self._held: dict[str, _Opened] = {}
        self._operations: dict[int, Callable[..., Iterable[Text]]] = {
            1: self._open,
            2: self._free,
            3: self._accessible,
            4: self._status,
            5: self._acquire,
            6: self._release,
            7: self._start,
            8: self._stop,
            9: self._task_status,
            10: self._result,
            11: self._logs,
            12: self._target,
            13: self._metadata,
            14: self._config,
            15: self._resources,
            16: self._service,
            17: self._provider,
            18: self._has_type,
        }

    CHANGING = frozenset({5, 6, 7, 8})
    """Operations that are finished although the host has gone."""

    @property
    def holds(self) -> bool:
        """True while the host has acquired something that it has not released."""
        return bool(self._held)

    def run(self, operation: int, fields: Fields) -> list[Text]:
        """Carry out an operation and return the texts of its reply.

        Raises:
            QrmiError: It failed; see `code_of`.
            Refused: Likewise.
        """
        return list(self._operations[operation](*fields))

    def release_all(self) -> None:
        """Release the acquisitions that the host still holds, and ignore errors."""
        for token, opened in list(self._held.items()):
            try:
                _end(opened, token)
            except Exception:  # the next one is to be tried
                continue

    # Resources

    def _open(
        self,
        number: bytes,
        name: bytes,
        kind: bytes,
        source: bytes,
        token: bytes | None,
        *settings: bytes,
    ) -> Iterable[Text]:
        if number in self._opened:
            return []
        resource_id, resource_type = _text(name, "resource id"), _text(kind, "resource type")
        driver_class = find_driver(resource_type)
        self._records.include(driver_class.__module__)
        settings_class: type[Settings] = driver_class.settings_class
        if source == b"env":
            given = self._take_environment(settings)
            keys = [f"{prefix}{_TOKEN}" for prefix in prefixes(resource_id)]
        else:
            given = _pairs(settings)
            keys = [_TOKEN]
        if token is not None:
            given = {**_without(given, keys), keys[0]: token.decode()}

        def make(given: Mapping[str, str]) -> QuantumResource:
            config, environment = (None, given) if source == b"env" else (given, None)
            return QuantumResource(
                resource_id,
                resource_type,
                config,
                environment=environment,
                driver_class=driver_class,
            )

        try:
            resource = make(given)
        except qrmi_core.EnvVarNotSetError:
            raise
        except qrmi_core.ConfigError as error:
            own = given if source == b"map" else None
            raise Refused(_config_code(settings_class, own), str(error)) from error
        if source == b"env":
            found = settings_class.from_environment(resource_id, given).acquisition_token
        else:
            found = settings_class.from_mapping(given, resource_id).acquisition_token
        opened = _Opened(
            resource,
            found,
            token is not None,
            lambda: make(_without(given, [*keys, *(f"{key}_FILE" for key in keys)])),
        )
        self._opened[number] = opened
        if token is not None:
            self._held[token.decode()] = opened
        return []

    def _take_environment(self, entries: Iterable[bytes]) -> dict[str, str]:
        """Make the host's variables those of this process, and return them."""
        given: dict[str, str] = {}
        for entry in entries:
            name, equals, value = os.fsdecode(entry).partition("=")
            if equals and name and not name.startswith(_OWN):
                given[name] = value
        self._records.choose(given.get("RUST_LOG", ""))
        # Never empty on the way: other threads are reading it.
        os.environ.update(given)
        for name in os.environ.keys() - given.keys():
            if not name.startswith(_OWN):
                os.environ.pop(name, None)
        return given

    def _of(self, number: bytes) -> _Opened:
        return self._opened[number]

    def _free(self, number: bytes) -> Iterable[Text]:
        self._opened.pop(number, None)
        return []

    def _accessible(self, number: bytes) -> Iterable[Text]:
        return [_flag(self._of(number).resource.is_accessible())]

    def _status(self, number: bytes) -> Iterable[Text]:
        status = self._of(number).resource.status()
        capacity = status.capacity
        return [
            _number(int(status.status)),
            _encoded(status.status_reason),
            _flag(status.healthy),
            _flag(status.busy),
            _number(capacity.available_slots if capacity else None),
            _number(capacity.max_slots if capacity else None),
            _number(status.pending_job_count),
        ]

    def _acquire(self, number: bytes) -> Iterable[Text]:
        opened = self._of(number)
        # Not detached: a program that crashes must not leave a resource of this machine reserved.
        token = opened.resource.acquire(timeout=0)
        scheduler = token == opened.settings_token and not opened.ours
        if not scheduler:
            self._held[token] = opened
        return [token.encode(), b"scheduler" if scheduler else None]

    def _release(self, number: bytes, token: bytes, ours: bytes) -> Iterable[Text]:
        if not token:
            return []
        opened, text = self._of(number), _text(token, "acquisition token")
        if ours == b"1" and text == opened.settings_token:
            opened.bare().release(text)
        else:
            opened.resource.release(text)
        self._held.pop(text, None)
        return []

    def _target(self, number: bytes) -> Iterable[Text]:
        return [self._of(number).resource.target().value.encode()]

    def _metadata(self, number: bytes) -> Iterable[Text]:
        for key, value in self._of(number).resource.metadata().items():
            yield key.encode()
            yield value.encode()

    # Tasks

    def _start(self, number: bytes, tag: bytes, *fields: bytes | None) -> Iterable[Text]:
        payload = _payload(int(tag), fields)
        return [self._of(number).resource.task_start(payload, 0).encode()]

    def _stop(self, number: bytes, task: bytes) -> Iterable[Text]:
        self._of(number).resource.task_stop(_text(task, "task's id"))
        return []

    def _task_status(self, number: bytes, task: bytes) -> Iterable[Text]:
        status = self._of(number).resource.task_status(_text(task, "task's id"))
        return [_number(int(status))]

    def _result(self, number: bytes, task: bytes) -> Iterable[Text]:
        stream = io.BytesIO()
        self._of(number).resource.task(_text(task, "task's id")).write_result(stream, 0)
        return [stream.getbuffer()]

    def _logs(self, number: bytes, task: bytes) -> Iterable[Text]:
        return [self._of(number).resource.task_logs(_text(task, "task's id")).encode()]

    # Configuration and discovery

    def _config(self, path: bytes) -> Iterable[Text]:
        config = qrmi_core.Config.load(os.fsdecode(path))
        for entry in config.resources:
            kind = str(entry.resource_type)
            if kind not in _PUBLISHED and not installed(name=kind):
                raise Refused(114, f"{config.path}: {entry.name}: no plugin has the type {kind}")
            yield from (entry.name.encode(), kind.encode(), _flag(entry.is_dynamic))
            yield _number(len(entry.environment))
            for key, value in entry.environment.items():
                yield from (key.encode(), value.encode())

    def _provider(self, kind: bytes, _filters: bytes | None, *pairs: bytes) -> Iterable[Text]:
        _provider(kind, pairs)
        return []

    def _resources(self, kind: bytes, filters: bytes | None, *pairs: bytes) -> Iterable[Text]:
        text = None if filters is None else _text(filters, "filter")
        return [info.resource_id.encode() for info in _provider(kind, pairs).infos(text)]

    def _service(self, *entries: bytes) -> Iterable[Text]:
        environment = self._take_environment(entries)
        for name, kind in job_resources(environment).items():
            try:
                status = QuantumResource(name, kind, environment=environment).status()
            except qrmi_core.QrmiError as error:
                _log_left_out(name, kind, str(error))
                continue
            if status.status is ResourceStatusCode.Online:
                yield from (name.encode(), kind.encode())
            else:
                _log_left_out(name, kind, f"it is {status.status.name.lower()}")

    def _has_type(self, kind: bytes) -> Iterable[Text]:
        return [_flag(bool(installed(name=_text(kind, "resource type"))))]


def _log_left_out(name: str, kind: str, why: str) -> None:
    _log.warning("%s (%s) is left out: %s", name, kind, why)


def _end(opened: _Opened, token: str) -> None:
    resource = opened.bare() if token == opened.settings_token else opened.resource
    resource.release(token)


def _provider(kind: bytes, pairs: Sequence[bytes]) -> ResourceProvider:
    given, resource_type = _pairs(pairs), _text(kind, "resource type")
    try:
        return ResourceProvider(resource_type, given)
    except qrmi_core.ConfigError as error:
        settings_class = find_driver(resource_type).settings_class
        raise Refused(_config_code(settings_class, given), str(error)) from error


def _config_code(settings_class: type[Settings], mapping: Mapping[str, str] | None) -> int:
    """Return the code for settings that are wrong; None for those of the environment."""
    if mapping is None:
        return 103
    absent = settings_class.absent(mapping).values()
    if any(declaration.required for declaration in absent):
        return 108
    return 103 if settings_class.malformed(mapping) else 114


def _payload(tag: int, fields: Fields) -> Payload:
    content = [_checked(field) for field in fields]
    match tag, content:
        case 0, [bytes(program), bytes(program_id)]:
            return Payload.QiskitPrimitive(program, program_id.decode())
        case 1, [bytes(sequence), bytes(runs)]:
            return Payload.PasqalCloud(sequence, int(runs))
        case 2, [bytes(program), bytes(parameters)]:
            return Payload.AliceBobFelis(program, parameters)
        case 3, [bytes(program), bytes(kind), bytes(timeslot), tag_text]:
            label = None if tag_text is None else tag_text.decode()
            return Payload.IQMServer(program, kind.decode(), timeslot == b"1", label)
        case 4, [bytes(specification)]:
            return Payload.Oqtopus(specification)
    raise qrmi_core.InvalidInputError("a text of the payload is NULL")


def _checked(text: bytes | None) -> bytes | None:
    if text is not None and not text.isascii():
        _text(text, "text of the payload")
    return text


def _text(value: bytes, what: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise qrmi_core.InvalidInputError(f"the {what} is not UTF-8") from None


def _pairs(texts: Sequence[bytes]) -> dict[str, str]:
    return {
        _text(key, "key of a setting"): _text(value, "value of a setting")
        for key, value in zip(texts[::2], texts[1::2], strict=True)
    }


def _without(mapping: Mapping[str, str], keys: Iterable[str]) -> dict[str, str]:
    left_out = set(keys)
    return {key: value for key, value in mapping.items() if key not in left_out}


def _encoded(text: str | None) -> bytes | None:
    return None if text is None else text.encode()


def _number(number: int | None) -> bytes | None:
    return None if number is None else b"%d" % number


def _flag(value: bool | None) -> bytes | None:
    return None if value is None else b"1" if value else b"0"
