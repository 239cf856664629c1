"""What a task is asked to run. Contents are passed on and not parsed."""

from __future__ import annotations

import io
import json
import operator
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Self, SupportsIndex

import attrs

from qrmi_core.errors import InvalidInputError

Content = str | bytes | Path
"""Text or UTF-8 bytes are the content itself, a path is a file that holds it."""


def to_content(value: object) -> Content:
    """An attrs converter for the content of a payload.

    ``str`` and ``bytes`` are taken as they are, an ``os.PathLike`` names a file, and a mapping is
    encoded as JSON once.

    Raises:
        InvalidInputError: The mapping cannot be written as JSON.
        TypeError: It is none of these.
    """
    match value:
        case str() | bytes():
            return value
        case os.PathLike():
            return Path(os.fsdecode(value))
        case Mapping():
            try:
                return json.dumps(value, separators=(",", ":"), allow_nan=False)
            except (TypeError, ValueError) as error:
                raise InvalidInputError(f"cannot be written as JSON: {error}") from None
    raise TypeError(
        f"a content must be str, bytes, a path or a mapping, not {type(value).__name__}"
    )


def describe(value: Content) -> str:
    """How a payload prints a content: the file's name, or the length alone."""
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
        raise InvalidInputError(f"cannot read {describe(value)}: {error.strerror}") from error
    except UnicodeEncodeError as error:
        raise InvalidInputError(f"the text cannot be encoded as UTF-8: {error.reason}") from None


def read_content(value: Content) -> bytes:
    """The bytes of a content, read from its file if it is a path.

    Raises:
        InvalidInputError: The file cannot be read.
    """
    if isinstance(value, bytes):
        return value
    with open_content(value) as stream:
        return stream.read()


class Payload:
    """Base of all payloads; its published kinds are nested here.

    A third party derives an attrs class with `kind`, `required_keys` and `from_mapping`.

    Attributes:
        kind: The name of the kind, for ``--payload`` and messages.
        required_keys: Keys of an input file that make it one of this kind.
    """

    kind: ClassVar[str] = ""
    required_keys: ClassVar[tuple[str, ...]] = ()

    QiskitPrimitive: ClassVar[type[QiskitPrimitive]]
    PasqalCloud: ClassVar[type[PasqalCloud]]

    def __new__(cls, *_args: object, **_kwargs: object) -> Self:
        if cls is Payload:
            raise TypeError("use one of the kinds, such as Payload.QiskitPrimitive")
        return super().__new__(cls)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Self:
        """Make the payload of an input file, whose values may be verbatim JSON text.

        Raises:
            InvalidInputError: A value is missing or malformed.
        """
        return cls(**cls._required(mapping))

    @classmethod
    def _required(cls, mapping: Mapping[str, Any]) -> dict[str, Any]:
        missing = [key for key in cls.required_keys if key not in mapping]
        if missing:
            raise InvalidInputError(f"a {cls.kind} input needs {', '.join(missing)}")
        return {key: mapping[key] for key in cls.required_keys}


@attrs.frozen
class QiskitPrimitive(Payload):
    """The input of a Qiskit primitive.

    Args:
        input: The primitive's parameters as JSON: text, bytes, a file, or a mapping.
        program_id: The primitive, such as ``sampler`` or ``estimator``.
    """

    kind = "QiskitPrimitive"
    required_keys = ("parameters", "program_id")

    input: Content = attrs.field(converter=to_content, repr=describe)
    program_id: str = attrs.field(validator=attrs.validators.instance_of(str))

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Self:
        """Make it of ``{"program_id": ..., "parameters": {...}}``."""
        values = cls._required(mapping)
        if not isinstance(values["program_id"], str):
            raise InvalidInputError("`program_id` must be a string, such as sampler")
        return cls(input=values["parameters"], program_id=values["program_id"])


def _runs(value: SupportsIndex) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"`job_runs` must be an integer, not {type(value).__name__}")
    runs = operator.index(value)
    if runs < 1:
        raise InvalidInputError(f"`job_runs` must be at least 1, not {runs}")
    return runs


@attrs.frozen
class PasqalCloud(Payload):
    """A Pulser pulse sequence, for Pasqal's cloud and for machines on premises.

    Args:
        sequence: The sequence in Pulser's abstract representation (JSON): text, bytes, a file, or
            a mapping.
        job_runs: How often to run it (shots), at least 1.
    """

    kind = "PasqalCloud"
    required_keys = ("sequence", "job_runs")

    sequence: Content = attrs.field(converter=to_content, repr=describe)
    job_runs: int = attrs.field(converter=_runs)


Payload.QiskitPrimitive = QiskitPrimitive
Payload.PasqalCloud = PasqalCloud
for _kind in (QiskitPrimitive, PasqalCloud):
    _kind.__qualname__ = f"Payload.{_kind.__name__}"
