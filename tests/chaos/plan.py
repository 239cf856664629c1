"""The plan of a run, generated from a seed: its clients and its faults."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

import attrs

RESOURCES: Final = {
    "ibm-quantum-compute-service": "aer",
    "ibm-quantum-system": "fake_lagos",
    "pasqal-cloud": "EMU_FREE",
    "pasqal-local": "PASQAL_LOCAL",
    "coin": "heads",
    "local": "aer",
}
"""The resource of each type that the clients use."""
ACQUIRED: Final = frozenset({"ibm-quantum-compute-service", "pasqal-local", "coin", "local"})
"""The types whose resources can be acquired."""
FORKED: Final = 8
"""The number of the first task that a forked child of a client submits."""
MOST_TASKS: Final = 16
"""More than the number of any task of a client."""

_ENDINGS: Final = ("result", "result", "save", "stop", "leave")
_PAUSE_SECONDS: Final = 1.2
_FAULTS: Final = {
    "kill-emulator": 1,
    "kill-client": 4,
    "kill-worker": 2,
    "stop-emulator": 1,
    "stop-client": 1,
    "interrupt-client": 2,
    "terminate-client": 2,
    "fill-disk": 1,
    "reset": 1,
    "reset-after": 3,
    "truncated": 1,
    "malformed": 1,
    "latency": 1,
    "status": 1,
    "outage": 1,
}
"""Kinds of faults, and how often each occurs in proportion. The last seven are the emulator's."""
NETWORK: Final = frozenset(list(_FAULTS)[8:])
"""The faults of the emulator's responses."""


@attrs.frozen(kw_only=True)
class ClientPlan:
    """A client process, or a few commands one after another.

    Args:
        number: The client's number.
        resource_type: The type of its resource, a key of `RESOURCES`.
        style: ``script``, or the commands: ``run``, ``task`` (start, then result or stop), ``hold``
            (acquire, then release).
        holds: How a script acquires: ``no``, ``with`` or ``acquire``.
        threads: Threads of a script that submit side by side on one resource object.
        endings: The last step of each task: ``result``, ``save``, ``stop``, ``leave``.
        forks: Children that a script forks; each submits a task.
        exits_on_term: True if a script turns SIGTERM into `SystemExit`.
        saves_on_disk: True if results are saved on the local store's disk, which may be full.
    """

    number: int
    resource_type: str
    style: str
    holds: str
    threads: int
    endings: tuple[str, ...] = attrs.field(converter=tuple)
    forks: int
    exits_on_term: bool
    saves_on_disk: bool


@attrs.frozen(kw_only=True)
class Fault:
    """A fault of the run.

    Args:
        at: Seconds since the beginning of the run.
        kind: A key of the table of faults.
        store: The store whose disk or worker is affected: ``emulator`` or ``local``.
        pick: Selects one of the running clients or workers, as a fraction of their number.
        seconds: Duration of the fault.
        left_bytes: The free space of a full disk.
        method: The method of the requests that a fault of the emulator hits.
        status: The HTTP status of an error.
    """

    at: float
    kind: str
    store: str
    pick: float
    seconds: float
    left_bytes: int
    method: str
    status: int


def client(seed: int, number: int) -> ClientPlan:
    """Return a client's plan."""
    draw = random.Random(f"{seed}/client/{number}")
    resource_type = draw.choice(list(RESOURCES))
    acquired = resource_type in ACQUIRED
    styles = ["script", "script", "run"]
    if resource_type != "pasqal-local":  # which accepts tasks under an acquisition only
        styles.append("task")
    if acquired:
        styles.append("hold")
    style = draw.choice(styles)
    holds = draw.choice(("no", "with", "acquire")) if acquired else "no"
    if resource_type == "pasqal-local":
        holds = draw.choice(("with", "acquire"))
    threads = draw.choice((1, 1, 2, 3))
    tasks = draw.randint(threads, 6) if style == "script" else 1
    return ClientPlan(
        number=number,
        resource_type=resource_type,
        style=style,
        holds=holds,
        threads=threads,
        endings=tuple(draw.choice(_ENDINGS) for _ in range(tasks)),
        forks=draw.choice((0, 0, 1, 2)),
        exits_on_term=draw.random() < 0.5,
        saves_on_disk=draw.random() < 0.5,
    )


def faults(seed: int, seconds: float) -> Iterator[Fault]:
    """Yield the faults of a run in order; the faults of a longer run start with the same ones."""
    draw = random.Random(f"{seed}/faults")
    at = 2.0
    while (at := at + draw.expovariate(1 / _PAUSE_SECONDS)) < seconds:
        yield Fault(
            at=at,
            kind=draw.choices(list(_FAULTS), list(_FAULTS.values()))[0],
            store=draw.choice(("emulator", "local")),
            pick=draw.random(),
            seconds=draw.uniform(0.2, 4.0),
            left_bytes=draw.choice((0, 0, 4096, draw.randrange(2**16))),
            method=draw.choice(("*", "POST", "POST")),
            status=draw.choice((429, 500, 502, 503)),
        )
