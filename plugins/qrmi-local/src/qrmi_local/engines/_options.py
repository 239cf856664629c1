"""The options of IBM's programs, and the effect that each has on a local simulator.

Imports no simulator, so that an input is checked before its task is submitted. The README has the
same table.
"""

from __future__ import annotations

import difflib
import functools
import logging
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

import attrs

from qrmi_local.engines import EngineError

APPLIED: Final = "applied"
NO_EFFECT: Final = "no effect, warns"
REFUSED: Final = "refused"


@attrs.frozen
class Option:
    """The effect of an option.

    Attributes:
        effect: `APPLIED`, `NO_EFFECT` or `REFUSED`.
        usual: The value that every simulation has. It is accepted without a warning, as None is.
        reason: Why another value is refused.
    """

    effect: str
    usual: Any = None
    reason: str = ""

    def differs(self, value: object) -> bool:
        """Return True if a value asks for something else than every simulation has."""
        return value is not None and (type(value), value) != (type(self.usual), self.usual)


_APPLIED: Final = Option(APPLIED)
_IGNORED: Final = Option(NO_EFFECT)
_SWITCH: Final = Option(NO_EFFECT, usual=False)
_OF_JOB: Final = Option(REFUSED, reason="it belongs to the job, not to its input")
_OF_CLIENT: Final = Option(REFUSED, reason="it belongs to the local mode of IBM's client")

_JOB: Final = {
    "max_execution_time": _OF_JOB,
    **{
        f"environment.{name}": _OF_JOB
        for name in ("image", "job_tags", "log_level", "max_execution_time", "private")
    },
}
_EXPERIMENTAL: Final = {"experimental": Option(REFUSED, usual={}, reason="its effect is unknown")}
_DECOUPLING: Final = {
    "dynamical_decoupling.enable": _SWITCH,
    "dynamical_decoupling.sequence_type": _IGNORED,
    "dynamical_decoupling.extra_slack_distribution": _IGNORED,
    "dynamical_decoupling.scheduling_method": _IGNORED,
    "dynamical_decoupling.skip_reset_qubits": _SWITCH,
}
_TWIRLING: Final = {
    "twirling.enable_gates": _SWITCH,
    "twirling.enable_measure": _SWITCH,
    **{
        f"twirling.{name}": _IGNORED
        for name in ("group", "num_randomizations", "shots_per_randomization", "strategy")
    },
}
_EXECUTION: Final = {
    "execution.init_qubits": Option(
        REFUSED, usual=True, reason="each shot begins with all qubits in state 0"
    ),
    "execution.rep_delay": _IGNORED,
    "execution.scheduler_timing": Option(
        REFUSED, usual=False, reason="a simulation has no schedule"
    ),
    "execution.stretch_values": Option(REFUSED, usual=False, reason="a simulation has no schedule"),
}
_CLIENTS: Final = {
    f"simulator.{name}": _OF_CLIENT
    for name in ("angle_decimals", "layer_noise_model", "warn_absent")
}
_SIMULATOR: Final = {
    "simulator.noise_model": _APPLIED,
    "simulator.seed_simulator": _APPLIED,
    "simulator.coupling_map": _APPLIED,
    "simulator.basis_gates": _APPLIED,
    **_CLIENTS,
}
_RESILIENCE: Final = {
    "resilience.measure_mitigation": _SWITCH,
    "resilience.measure_noise_learning.num_randomizations": _IGNORED,
    "resilience.measure_noise_learning.shots_per_randomization": _IGNORED,
    "resilience.zne_mitigation": _SWITCH,
    "resilience.zne.amplifier": _IGNORED,
    "resilience.zne.noise_factors": _IGNORED,
    "resilience.zne.extrapolator": _IGNORED,
    "resilience.zne.extrapolated_noise_factors": _IGNORED,
    "resilience.pec_mitigation": _SWITCH,
    "resilience.pec.max_overhead": _IGNORED,
    "resilience.pec.noise_gain": _IGNORED,
    "resilience.layer_noise_learning.max_layers_to_learn": _IGNORED,
    "resilience.layer_noise_learning.shots_per_randomization": _IGNORED,
    "resilience.layer_noise_learning.num_randomizations": _IGNORED,
    "resilience.layer_noise_learning.layer_pair_depths": _IGNORED,
    "resilience.layer_noise_model": _IGNORED,
}
_KNOWN_NOISE: Final = Option(REFUSED, reason="the noise that is learned is the resource's own")
_CHECKS: Final = {
    "enable": _SWITCH,
    "strategy": Option(NO_EFFECT, usual="node"),
    "x_pulse_type": Option(NO_EFFECT, usual="xslow"),
}

OPTIONS: Final[Mapping[str, Mapping[str, Option]]] = {
    "sampler": {
        "default_shots": _APPLIED,
        **_SIMULATOR,
        "execution.meas_type": Option(
            REFUSED, usual="classified", reason="a simulation of circuits has no signals"
        ),
        **_EXECUTION,
        **_DECOUPLING,
        **_TWIRLING,
        **_EXPERIMENTAL,
        **_JOB,
    },
    "estimator": {
        "default_shots": _APPLIED,
        "default_precision": _APPLIED,
        "seed_estimator": _APPLIED,
        **_SIMULATOR,
        **_EXECUTION,
        "resilience_level": Option(NO_EFFECT, usual=0),
        **_RESILIENCE,
        **_DECOUPLING,
        **_TWIRLING,
        **_EXPERIMENTAL,
        **_JOB,
    },
    "executor": {
        **dict.fromkeys(("simulator.seed_simulator", *_CLIENTS), _OF_CLIENT),
        **_EXECUTION,
        **_EXPERIMENTAL,
        **_JOB,
    },
    "noise-learner": {
        "max_layers_to_learn": _APPLIED,
        "twirling_strategy": _APPLIED,
        "shots_per_randomization": Option(NO_EFFECT, usual=128),
        "num_randomizations": Option(NO_EFFECT, usual=32),
        "layer_pair_depths": Option(NO_EFFECT, usual=[0, 1, 2, 4, 16, 32]),
        "support_qiskit": Option(NO_EFFECT, usual=True),
        "simulator.noise_model": _KNOWN_NOISE,
        "simulator.seed_simulator": _IGNORED,
        "simulator.coupling_map": _KNOWN_NOISE,
        "simulator.basis_gates": _KNOWN_NOISE,
        **_CLIENTS,
        **_EXECUTION,
        **{
            f"{group}.{name}": option
            for group in (
                *("bit_flip_checks.pre_circuit", "bit_flip_checks.post_circuit"),
                "post_selection",
            )
            for name, option in _CHECKS.items()
        },
        **_EXPERIMENTAL,
        **_JOB,
    },
}
"""Program -> full name of an option in qiskit-ibm-runtime -> its effect here."""

_INPUTS: Final[Mapping[str, frozenset[str]]] = {
    "sampler": frozenset({"pubs", "shots", "options", "support_qiskit", "version"}),
    "estimator": frozenset(
        {"pubs", "precision", "resilience_level", "options", "support_qiskit", "version"}
    ),
}
# Programs whose inputs have the options of this group without the group.
_FLAT: Final = {"executor": "execution.", "noise-learner": "execution."}


# Unknown names in a message, and the most characters of each. A search for a name that is close
# takes long.
_NAMED, _SHOWN = 10, 100

_log = logging.getLogger(__name__)


def log_review(program_id: str, document: Mapping[str, Any]) -> None:
    """Check the options of an input as `review` does, and log its warning."""
    if warning := review(program_id, document):
        _log.warning(warning)


def review(program_id: str, document: Mapping[str, Any]) -> str | None:
    """Check the options of an input, and return a warning of those without effect, if any.

    Args:
        program_id: One of `OPTIONS`.
        document: The input.

    Raises:
        EngineError: The input has keys or options that are unknown here, or one whose value cannot
            be simulated.
    """
    unknown = document.keys() - _INPUTS.get(program_id, document.keys())
    if unknown:
        known = _INPUTS[program_id]
        raise EngineError(f"unknown in the input of {program_id}: {_named(unknown, known)}")
    options = document.get("options") or {}
    if not isinstance(options, dict):
        raise EngineError("options is not an object")
    wire, groups = _wire(program_id)
    given = dict(_leaves(options, groups, ""))
    unknown = given.keys() - wire.keys()
    if unknown:
        raise EngineError(
            f"unknown to local simulators in options of {program_id}: {_named(unknown, wire)}"
        )
    if "resilience_level" in wire:
        given.setdefault("resilience_level", document.get("resilience_level"))
    asked = {name for name, value in given.items() if wire[name].differs(value)}
    for name in sorted(asked):
        option = wire[name]
        if option.effect == REFUSED:
            usual = "" if option.usual is None else f"; the one value possible is {option.usual!r}"
            raise EngineError(f"options.{name} cannot be simulated: {option.reason}{usual}")
    _check_simulator(options.get("simulator") or {})
    ignored = sorted(name for name in asked if wire[name].effect == NO_EFFECT)
    if not ignored:
        return None
    return f"these options have no effect on a local simulator: {', '.join(ignored)}"


@functools.cache
def _wire(program_id: str) -> tuple[Mapping[str, Option], Collection[str]]:
    """Return the options of a program's input by name, and the names of their groups."""
    prefix = _FLAT.get(program_id, "")
    wire = {name.removeprefix(prefix): option for name, option in OPTIONS[program_id].items()}
    return wire, {name[:end] for name in wire for end, char in enumerate(name) if char == "."}


def _leaves(
    values: Mapping[str, Any], groups: Collection[str], path: str
) -> Iterator[tuple[str, Any]]:
    """Yield the options that are set, with their full names; `groups` are those of groups."""
    for key, value in values.items():
        name = f"{path}{key}"
        if name not in groups:
            yield name, value
        elif isinstance(value, dict):
            yield from _leaves(value, groups, f"{name}.")
        elif value is not None:
            raise EngineError(f"options.{name} is not an object")


def _check_simulator(simulator: Mapping[str, Any]) -> None:
    noise, gates, pairs = map(simulator.get, ("noise_model", "basis_gates", "coupling_map"))
    if noise is not None and not isinstance(noise_errors(noise), list):
        raise EngineError(
            "options.simulator.noise_model is not a noise model in the form of its to_dict()"
        )
    if gates is not None and not (
        isinstance(gates, list) and all(isinstance(name, str) for name in gates)
    ):
        raise EngineError("options.simulator.basis_gates is not a list of names")
    if pairs is not None and not (isinstance(pairs, list) and all(map(_is_pair, pairs))):
        raise EngineError("options.simulator.coupling_map is not a list of pairs of qubits")


def noise_errors(form: object) -> object:
    """Return the errors of a noise model, which comes in the runtime's encoding or as it is."""
    if isinstance(form, dict) and form.get("__type__") == "NoiseModel":
        form = form.get("__value__")
    return form.get("errors") if isinstance(form, dict) else None


def _is_pair(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(type(qubit) is int and qubit >= 0 for qubit in value)
    )


def _named(unknown: Collection[str], known: Collection[str]) -> str:
    """Return the first of the names with the known ones that they are close to."""
    texts = []
    for name in sorted(unknown)[:_NAMED]:
        group, dot, own = name.rpartition(".")
        path = group + dot
        siblings = {each[len(path) :].partition(".")[0] for each in known if each.startswith(path)}
        near = difflib.get_close_matches(own, siblings, n=1)
        texts.append(f"{name} (did you mean {path}{near[0]}?)" if near else f"{name:.{_SHOWN}}")
    more = len(unknown) - len(texts)
    return ", ".join(texts) + (f" and {more} more" if more else "")
