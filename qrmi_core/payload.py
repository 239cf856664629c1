"""Payloads, the programs of tasks. Their contents are passed on as they are, never parsed."""

from __future__ import annotations

import io
import json
import logging
import operator
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Final, Self, SupportsIndex

import attrs

from qrmi_core.errors import InvalidInputError
from qrmi_core.values import Value

_log = logging.getLogger(__name__)

Content = str | bytes | Path
"""Text or UTF-8 bytes are the content itself; a path names the file that holds it."""


def to_content(value: object) -> Content:
    """Convert the argument of a payload to a content, as an attrs converter.

    Text and bytes are the content itself, an ``os.PathLike`` names a file, and a mapping is
    encoded as JSON once.

    Raises:
        InvalidInputError: The mapping cannot be written as JSON.
        TypeError: The argument has another type.
    """
    match value:
        case str() | bytes():
            return value
        case os.PathLike():
            return Path(os.fsdecode(value))
        case Mapping():
            try:
                return json.dumps(value, separators=(",", ":"), allow_nan=False)
            except (RecursionError, TypeError, ValueError) as error:
                raise InvalidInputError(f"cannot be written as JSON: {error}") from None
    raise TypeError(
        f"a content must be str, bytes, a path or a mapping, not {type(value).__name__}"
    )


def content_repr(value: Content) -> str:
    """Return how a payload prints a content: the name of its file, or its length alone."""
    return str(value) if isinstance(value, Path) else f"<{len(value)} long>"


def open_content(value: Content) -> BinaryIO:
    """Open a content for reading bytes, for a driver that streams it.

    Raises:
        InvalidInputError: The file cannot be read.
    """
    try:
        match value:
            case Path():
                return value.open("rb")
            case bytes():
                return io.BytesIO(value)
            case str():
                return io.BytesIO(value.encode())
    except OSError as error:
        raise InvalidInputError(f"cannot read {content_repr(value)}: {error.strerror}") from error
    except UnicodeEncodeError as error:
        raise InvalidInputError(f"the text cannot be encoded as UTF-8: {error.reason}") from None


def read_content(value: Content) -> bytes:
    """Return the bytes of a content, read from its file if it is a path.

    Raises:
        InvalidInputError: The file cannot be read.
    """
    if isinstance(value, bytes):
        return value
    with open_content(value) as stream:
        return stream.read()


_KEY: Final = "key"


class Payload(Value):
    """Base class of all payloads; the published kinds are nested in it.

    A further kind is a frozen attrs class derived from this one. Its fields are the keys of an
    input file, under the name in the field's metadata if there is one
    (``metadata={"key": ...}``); a field without a default is required.

    Attributes:
        kind: The name of the kind, for ``--payload``, readers of results and messages; by default
            the name of the class.
    """

    kind: ClassVar[str] = "Payload"

    QiskitPrimitive: ClassVar[type[QiskitPrimitive]]
    PasqalCloud: ClassVar[type[PasqalCloud]]
    IQMServer: ClassVar[type[IQMServer]]
    AliceBobFelis: ClassVar[type[AliceBobFelis]]
    Oqtopus: ClassVar[type[Oqtopus]]

    def __init_subclass__(cls) -> None:
        cls.kind = vars(cls).get("kind", cls.__name__)

    def __new__(cls, *_args: object, **_kwargs: object) -> Self:
        if cls is Payload:
            raise TypeError("use one of the kinds, such as Payload.QiskitPrimitive")
        return super().__new__(cls)

    @classmethod
    def required_keys(cls) -> tuple[str, ...]:
        """Return the keys that an input file of this kind must have."""
        return tuple(key for key, field in cls._fields().items() if field.default is attrs.NOTHING)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Self:
        """Make a payload from the keys of an input file; log one warning for all unknown keys.

        Args:
            mapping: Strings, numbers, booleans and None as Python values; objects and lists either
                so, or as the JSON text that they were written in.

        Raises:
            InvalidInputError: A required key is missing, or a value is malformed.
        """
        fields = cls._fields()
        missing = [key for key in cls.required_keys() if key not in mapping]
        if missing:
            raise InvalidInputError(f"an input of kind {cls.kind} needs {', '.join(missing)}")
        if unknown := [key for key in mapping if key not in fields]:
            _log.warning(
                "an input of kind %s has unknown keys, which are ignored: %s",
                *(cls.kind, ", ".join(map(repr, unknown))),
            )
        given = {fields[key].alias or key: value for key, value in mapping.items() if key in fields}
        try:
            return cls(**given)
        except (TypeError, ValueError) as error:
            raise InvalidInputError(f"an input of kind {cls.kind}: {error}") from error

    @classmethod
    def _fields(cls) -> dict[str, attrs.Attribute[Any]]:
        kind: Any = cls  # an attrs class, but for this base
        fields: tuple[attrs.Attribute[Any], ...] = attrs.fields(kind)
        return {field.metadata.get(_KEY, field.name): field for field in fields if field.init}


def _a(kind: type) -> Any:
    """Return a validator that names the field and the kind of value that it must have."""

    def check(_payload: object, field: attrs.Attribute[Any], value: object) -> None:
        if not isinstance(value, kind):
            key = field.metadata.get(_KEY, field.name)
            raise TypeError(f"`{key}` must be a {kind.__name__}, not {type(value).__name__}")

    return check


@attrs.frozen(eq=False, repr=False)
class QiskitPrimitive(Payload):
    """The input of a Qiskit primitive.

    Args:
        input: The primitive's parameters as JSON: text, bytes, a file, or a mapping. An input file
            has them under the key ``parameters``.
        program_id: The primitive, such as ``sampler`` or ``estimator``.
    """

    input: Content = attrs.field(
        converter=to_content, repr=content_repr, metadata={_KEY: "parameters"}
    )
    program_id: str = attrs.field(validator=_a(str))


def _runs(value: SupportsIndex) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"`job_runs` must be an integer, not {type(value).__name__}")
    runs = operator.index(value)
    if runs < 1:
        raise InvalidInputError(f"`job_runs` must be at least 1, not {runs}")
    return runs


@attrs.frozen(eq=False, repr=False)
class PasqalCloud(Payload):
    """A Pulser pulse sequence, for Pasqal's cloud and for machines on premises.

    Args:
        sequence: The sequence in Pulser's abstract representation (JSON): text, bytes, a file, or
            a mapping.
        job_runs: How often to run it (shots), at least 1.
    """

    sequence: Content = attrs.field(converter=to_content, repr=content_repr)
    job_runs: int = attrs.field(converter=_runs)


@attrs.frozen(eq=False, repr=False)
class IQMServer(Payload):
    """A job for an IQM server.

    Args:
        iqmjson: The body of the request as JSON: text, bytes, a file, or a mapping.
        job_type: The type of the job, such as ``circuit``.
        use_timeslot: True to use the account's timeslot queue; None leaves it to the service.
        tag: The user's label of the job, or None.
    """

    iqmjson: Content = attrs.field(converter=to_content, repr=content_repr)
    job_type: str = attrs.field(validator=_a(str))
    use_timeslot: bool | None = attrs.field(validator=attrs.validators.optional(_a(bool)))
    tag: str | None = attrs.field(validator=attrs.validators.optional(_a(str)))


@attrs.frozen(eq=False, repr=False)
class AliceBobFelis(Payload):
    """A program for Alice & Bob's Felis.

    Args:
        human_qir: The program in QIR: text, bytes, or a file.
        input_params: The parameters that the target takes, as JSON: text, bytes, a file, or a
            mapping.
    """

    human_qir: Content = attrs.field(converter=to_content, repr=content_repr)
    input_params: Content = attrs.field(converter=to_content, repr=content_repr)


@attrs.frozen(eq=False, repr=False)
class Oqtopus(Payload):
    """A job for OQTOPUS.

    Args:
        job_spec: The description of the job as JSON: text, bytes, a file, or a mapping.
    """

    job_spec: Content = attrs.field(converter=to_content, repr=content_repr)


for _kind in (QiskitPrimitive, PasqalCloud, IQMServer, AliceBobFelis, Oqtopus):
    _kind.__qualname__ = f"Payload.{_kind.__name__}"
    setattr(Payload, _kind.__name__, _kind)
