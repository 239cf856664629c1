"""The simulators: what runs where, chosen by resource id.

An engine is a module with `resources()`, `known(resource_id)`, `target(resource_id)`, `check(...)`,
`warm_up(resource_id)` and `run(...)`. This package and its engine modules import no simulator until
one of the latter two (or Pulser's `target`) is called.
"""

from __future__ import annotations

import importlib
from types import ModuleType

import attrs


class EngineError(Exception):
    """What is wrong with the user's input: one line, in the simulator's words where it has any."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class UnknownResource(LookupError):
    """No engine has a resource of this id."""


class MissingExtra(UnknownResource):
    """The engine's simulator is not installed; the message tells how to install it."""


@attrs.frozen
class Resource:
    """What an engine offers under one id.

    Attributes:
        resource_id: Its name, for example `fake_lagos`.
        num_qubits: Qubits of the device, or the most that the simulator takes.
        max_shots: Most shots of one circuit or runs of one sequence.
    """

    resource_id: str
    num_qubits: int
    max_shots: int


def engine_for(resource_id: str) -> ModuleType:
    """The engine module that runs a resource, `engines.qiskit` or `engines.pulser`.

    Raises:
        UnknownResource: The id is of no engine's kind.
    """
    if resource_id == "aer" or resource_id.startswith("fake_"):
        return importlib.import_module("qrmi_local.engines.qiskit")
    if resource_id.upper() in ("EMU_FREE", "EMU_MPS"):
        return importlib.import_module("qrmi_local.engines.pulser")
    raise UnknownResource(
        f"there is no local resource {resource_id!r}; there are aer, fake_*, EMU_FREE and EMU_MPS"
    )


def one_line(error: BaseException) -> str:
    """An exception's message in one line of at most 500 characters, or its type if it has none."""
    message = " ".join(str(getattr(error, "message", None) or error).split())
    quote = message[:1]
    if quote in ("'", '"') and message.count(quote) == 2 and message.endswith(quote):
        message = message[1:-1]
    return message[:500] or type(error).__name__
