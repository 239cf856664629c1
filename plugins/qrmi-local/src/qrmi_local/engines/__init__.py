"""The simulators: what runs where, chosen by resource id.

Each engine is a module with the functions of the protocol `Engine`. This package and its engine
modules import no simulator until `warm_up` or `run` (or Pulser's `target`) is called.
"""

from __future__ import annotations

import importlib
from typing import Protocol, cast

import attrs


class EngineError(Exception):
    """An input that an engine refuses: one line, in the simulator's words where it has any."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class UnknownResource(LookupError):
    """A resource id that no engine has."""


class MissingExtra(UnknownResource):
    """A simulator that is not installed; the message says how to install it."""


@attrs.frozen
class Resource:
    """A resource that an engine offers.

    Attributes:
        resource_id: Its name, for example `fake_lagos`.
        num_qubits: Qubits of the device, or the most that the simulator accepts.
        max_shots: Most shots of one circuit or runs of one sequence.
    """

    resource_id: str
    num_qubits: int
    max_shots: int


class Engine(Protocol):
    """The functions of an engine module.

    A task consists of an argument and its content: for Qiskit the program's id and its input, for
    Pulser the number of runs and the sequence.
    """

    def resources(self) -> list[Resource]:
        """Return the resources whose simulators are installed."""

    def known(self, resource_id: str, /) -> Resource:
        """Return the resource of this id.

        Raises:
            UnknownResource: The id is unknown.
            MissingExtra: Its simulator is not installed.
        """

    def target(self, resource_id: str, /) -> bytes:
        """Return the resource's target, as its vendor serves it, in JSON.

        Raises:
            UnknownResource: The id is unknown.
        """

    def check(self, argument: str, content: bytes, /) -> str | None:
        """Check a task without its simulator, and return a warning if there is one.

        Raises:
            EngineError: The task cannot be executed on any resource of the engine.
        """

    def warm_up(self, resource_id: str, /) -> None:
        """Load the resource's simulator, so that the next run takes no time for it.

        Raises:
            UnknownResource: The id is unknown.
        """

    def run(
        self, resource_id: str, argument: str, content: bytes, /, *, seed: int | None = None
    ) -> bytes:
        """Execute a task in this process and return its result.

        Args:
            resource_id: The resource.
            argument: The program's id, or the number of runs.
            content: The program's input, or the sequence.
            seed: For contents that bring none of their own; equal seeds give equal results.

        Raises:
            EngineError: The task cannot be executed on this resource.
            UnknownResource: The id is unknown.
        """


def engine_for(resource_id: str) -> Engine:
    """Return the engine that runs a resource: `engines.qiskit` or `engines.pulser`.

    Raises:
        UnknownResource: No engine has ids of this form.
    """
    if resource_id == "aer" or resource_id.startswith("fake_"):
        name = "qiskit"
    elif resource_id.upper() in ("EMU_FREE", "EMU_MPS"):
        name = "pulser"
    else:
        raise UnknownResource(
            f"there is no local resource {resource_id!r}; "
            "there are aer, fake_*, EMU_FREE and EMU_MPS"
        )
    return cast(Engine, importlib.import_module(f"qrmi_local.engines.{name}"))


def one_line(error: BaseException) -> str:
    """Return an exception's message in one line of at most 500 characters, or its type's name."""
    message = " ".join(str(getattr(error, "message", None) or error).split())
    quote = message[:1]
    if quote in ("'", '"') and message.count(quote) == 2 and message.endswith(quote):
        message = message[1:-1]
    return message[:500] or type(error).__name__
