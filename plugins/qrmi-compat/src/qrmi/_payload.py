"""The published payloads."""

from __future__ import annotations

from typing import ClassVar

import attrs

from qrmi_core import payload as core
from qrmi_core.payload import Content, describe, to_content

_text = attrs.validators.instance_of(str)


class Payload(core.Payload):
    """Base of all payloads, which are nested here."""

    QiskitPrimitive: ClassVar[type[QiskitPrimitive]]
    PasqalCloud: ClassVar[type[PasqalCloud]]
    AliceBobFelis: ClassVar[type[AliceBobFelis]]
    IQMServer: ClassVar[type[IQMServer]]
    Oqtopus: ClassVar[type[Oqtopus]]

    def __new__(cls, *_args: object, **_kwargs: object) -> Payload:
        if cls is Payload:
            raise TypeError("use one of the kinds, such as Payload.QiskitPrimitive")
        return super().__new__(cls)


class QiskitPrimitive(core.QiskitPrimitive, Payload):
    """The input of a Qiskit primitive: `input` and `program_id`."""


class PasqalCloud(core.PasqalCloud, Payload):
    """A pulse sequence for Pasqal Cloud and Pasqal Local: `sequence` and `job_runs`."""


@attrs.frozen
class AliceBobFelis(Payload):
    """A program for Alice & Bob's Felis, which needs a plugin of others.

    Args:
        human_qir: The program as text.
        input_params: Its parameters as JSON.
    """

    kind = "AliceBobFelis"
    required_keys = ("human_qir", "input_params")

    human_qir: Content = attrs.field(converter=to_content, repr=describe)
    input_params: Content = attrs.field(converter=to_content, repr=describe)


@attrs.frozen
class IQMServer(Payload):
    """A job for an IQM server, which needs a plugin of others.

    Args:
        iqmjson: The job as JSON.
        job_type: Its type, such as ``circuit``.
        use_timeslot: Whether to run it in a reserved time slot.
        tag: A label.
    """

    kind = "IQMServer"
    required_keys = ("iqmjson", "job_type", "use_timeslot", "tag")

    iqmjson: Content = attrs.field(converter=to_content, repr=describe)
    job_type: str = attrs.field(validator=_text)
    use_timeslot: bool | None = attrs.field(
        validator=attrs.validators.optional(attrs.validators.instance_of(bool))
    )
    tag: str | None = attrs.field(validator=attrs.validators.optional(_text))


@attrs.frozen
class Oqtopus(Payload):
    """A job for OQTOPUS, which needs a plugin of others.

    Args:
        job_spec: The description of the job as JSON.
    """

    kind = "Oqtopus"
    required_keys = ("job_spec",)

    job_spec: Content = attrs.field(converter=to_content, repr=describe)


for _kind in (QiskitPrimitive, PasqalCloud, AliceBobFelis, IQMServer, Oqtopus):
    _kind.__qualname__ = f"Payload.{_kind.__name__}"
    setattr(Payload, _kind.__name__, _kind)
