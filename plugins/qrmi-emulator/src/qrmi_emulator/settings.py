"""The settings: one declaration for Python, the command and the control endpoint."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

import attrs

from qrmi_local.executor import default_slots


def is_finite(value: object) -> bool:
    """Return True for a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _check(_settings: object, field: attrs.Attribute[Any], value: object) -> None:
    kind, least = field.metadata["type"], field.metadata["least"]
    if value is None and field.default is None:
        return
    wanted = (int, float) if kind is float else kind
    if isinstance(value, bool) or not isinstance(value, wanted):
        raise ValueError(f"{field.name} is not of type {kind.__name__}")
    choices = field.metadata["choices"]
    if choices and value not in choices:
        raise ValueError(f"{field.name} is neither {' nor '.join(choices)}")
    if not isinstance(value, int | float):
        return
    if not is_finite(value):
        raise ValueError(f"{field.name} is not a finite number")
    if value < least:
        raise ValueError(f"{field.name} is less than {least}")
    if value > field.metadata["most"]:
        raise ValueError(f"{field.name} is more than {field.metadata['most']}")


def _option(
    default: Any,
    help: str,
    *,
    type: type = float,
    least: float = 0,
    most: float = math.inf,
    choices: tuple[str, ...] = (),
    changeable: bool = False,
) -> Any:
    """Declare a setting; `None` as the default means no limit, or nothing fixed."""
    return attrs.field(
        default=default,
        validator=_check,
        metadata={
            "help": help,
            "type": type,
            "least": least,
            "most": most,
            "choices": choices,
            "changeable": changeable,
        },
    )


def _half_of_memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**21


@attrs.define(kw_only=True)
class EmulatorSettings:
    """Settings of an emulator; those that are changeable may be changed while it runs."""

    host: str = _option("127.0.0.1", "Address to listen on.", type=str)
    port: int = _option(
        0,
        "Port to listen on; 0 for that of the last time, or any free one.",
        type=int,
        most=65535,
    )
    slots: int = _option(
        attrs.Factory(default_slots),
        "Jobs that are executed at the same time; by default one for each processor.",
        type=int,
        least=1,
    )
    job_seconds: float = _option(
        3600.0,
        "Seconds that a job may run; a longer one fails, whatever its own limit is.",
        least=1,
        most=10**9,
    )
    job_mebibytes: int = _option(
        attrs.Factory(_half_of_memory),
        "MiB of memory that a job may need, with its simulator; one that needs more fails. "
        "By default half of the machine's.",
        type=int,
        least=1,
        most=2**43,
    )
    seed: int | None = _option(
        None,
        "Seed for jobs that bring none of their own.",
        type=int,
        most=2**63 - 1,
        changeable=True,
    )
    token_seconds: float = _option(
        3600.0, "How long an access token is valid.", least=1, changeable=True
    )
    plan: str = _option(
        "premium",
        "The account's plan: premium, or open, which has no dedicated sessions.",
        type=str,
        choices=("premium", "open"),
        changeable=True,
    )
    usage_limit_seconds: float | None = _option(
        None,
        "Time on the QPU after which the account may submit no more; without limit by default.",
        changeable=True,
    )
    submissions_per_minute: int | None = _option(
        None,
        "Jobs that may be submitted in a minute; without limit by default.",
        type=int,
        least=1,
        changeable=True,
    )
    session_idle_seconds: float = _option(
        60.0, "How long a session without jobs keeps its device.", changeable=True
    )
    lanes: int = _option(
        5,
        "Execution lanes of each IBM Quantum System; a submission without a free one is refused.",
        type=int,
        changeable=True,
    )
    lanes_held: str = _option(
        "undeleted",
        "Which jobs hold a lane: undeleted, so that only deletion frees it, or running.",
        type=str,
        choices=("undeleted", "running"),
        changeable=True,
    )
    reserved: str | None = _option(
        None,
        "Pattern of the IBM Quantum Systems that are reserved for others; none by default.",
        type=str,
        changeable=True,
    )
    cancel_seconds: float = _option(
        0.0, "How long Pasqal Cloud takes to cancel a job; it says so meanwhile.", changeable=True
    )
    cudaq_ids: str = _option(
        "batch",
        "What the id of a job of CUDA-Q's is on Pasqal Cloud: that of its batch, or of the job "
        "alone.",
        type=str,
        choices=("batch", "job"),
        changeable=True,
    )
    warden: str = _option(
        "2026-06",
        "Version of Warden: 0.1.0, which neither cancels jobs nor has logs, 2026-06, which does, "
        "or 2026-09, whose sessions have slots and are revoked by header.",
        type=str,
        choices=("0.1.0", "2026-06", "2026-09"),
        changeable=True,
    )
    warden_admin: int = _option(
        0,
        "User id that opens and revokes sessions of Warden; root by default.",
        type=int,
        most=2**32 - 2,
        changeable=True,
    )
    warden_slots: int | None = _option(
        None,
        "Slots of the QPU behind Warden 2026-09; they are not counted by default.",
        type=int,
        least=1,
        changeable=True,
    )
    munge_socket: str | None = _option(
        None,
        "Socket of the munged that decodes credentials; by default that of this host, or of one "
        "that the emulator starts.",
        type=str,
    )

    def change(self, values: Mapping[str, object]) -> None:
        """Change some of the changeable settings, all or none.

        Raises:
            ValueError: One is unknown, fixed, or its value is not of its type.
        """
        fields = {
            field.name: field for field in attrs.fields(type(self)) if field.metadata["changeable"]
        }
        for name, value in values.items():
            if name not in fields:
                raise ValueError(f"{name!r} is none of: {', '.join(fields)}")
            _check(self, fields[name], value)
        for name, value in values.items():
            setattr(self, name, value)
