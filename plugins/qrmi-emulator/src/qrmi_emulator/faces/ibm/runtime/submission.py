"""The body of a submission to the runtime API, checked as the service checks it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import attrs

from qrmi_emulator.faces.ibm.runtime.errors import invalid, refused
from qrmi_local.engines import EngineError, qiskit as engine

MAX_COST: Final = 10800
_JOB_KEYS: Final = {
    *("program_id", "backend", "params", "tags", "log_level", "cost", "session_id"),
    *("calibration_id", "private", "runtime", "remote_storage"),
}
_LEVELS: Final = ("critical", "error", "warning", "info", "debug")
# Of the noise learner; the simulators have those of the primitives.
_LEARNER_KEYS: Final = {"circuits", "options", "version"}
_LEARNER_OPTIONS: Final = {
    *("max_layers_to_learn", "shots_per_randomization", "num_randomizations"),
    *("layer_pair_depths", "twirling_strategy", "support_qiskit", "simulator", "experimental"),
}
_SIMULATOR_KEYS: Final = {"noise_model", "seed_simulator", "coupling_map", "basis_gates"}
PROGRAMS: Final = (*engine.PROGRAMS, "noise-learner", "executor")


@attrs.frozen(kw_only=True)
class RuntimeSubmission:
    """The body of a submission, after the checks that the service makes before it accepts a job.

    Attributes:
        program: The program's id.
        backend: Name of the backend.
        content: The program's input, JSON.
        session: Id of the session.
        tags: See `tags_of`.
        cost: How long it may run, in seconds.
        private: True if input and result are not kept.
        calibration: Id of the calibration.
    """

    program: str
    backend: str
    content: bytes = attrs.field(repr=False)
    session: str | None
    tags: list[str]
    cost: int | None
    private: bool
    calibration: str | None


def read(body: Mapping[str, Any], backends: Collection[str]) -> RuntimeSubmission:
    """Check the body of a submission.

    Args:
        body: The body.
        backends: The names of the backends.

    Raises:
        Refused: The service would not accept it.
    """
    if unknown := body.keys() - _JOB_KEYS:
        raise invalid(f"unknown fields: {', '.join(sorted(unknown))}")
    backend = body.get("backend")
    if not isinstance(backend, str) or backend not in backends:
        raise refused(
            404, 1216, f"Backend {backend!s:.100} was not found.", "Check the backend's name."
        )
    for name, test, what in _FIELDS:
        value = body.get(name)
        if value is not None and not test(value):
            raise invalid(f"{name} is not {what}")
    program, params = body.get("program_id"), body.get("params")
    params = {} if params is None else params
    if not isinstance(program, str) or program not in PROGRAMS:
        raise invalid(f"program_id {program!r:.60} is none of: {', '.join(PROGRAMS)}")
    if not isinstance(params, dict):
        raise invalid("params is not an object")
    content = json.dumps(params).encode()
    if program in engine.PROGRAMS:
        _check_primitive(program, params, content, engine.known(backend).max_shots)
    elif program == "executor":
        _check_executor(params)
    else:
        _check_learner(params)
    return RuntimeSubmission(
        program=program,
        backend=backend,
        content=content,
        session=body.get("session_id"),
        tags=tags_of(body),
        cost=body.get("cost"),
        private=bool(body.get("private")),
        calibration=body.get("calibration_id"),
    )


def tags_of(body: Mapping[str, Any]) -> list[str]:
    """Return the tags of a body, an empty list by default.

    Raises:
        Refused: They are too many, too long, or not texts.
    """
    tags = body.get("tags")
    tags = [] if tags is None else tags
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise refused(400, 1204, "tags is not a list of texts.")
    if len(tags) > 8:
        raise refused(400, 1204, "There are more than 8 tags.")
    if any(len(tag) > 86 for tag in tags):
        raise refused(400, 1205, "A tag is longer than 86 characters.")
    return tags


def _check_primitive(
    program: str, params: Mapping[str, Any], content: bytes, max_shots: int
) -> None:
    options = _object(params, "options", "options")
    for name, test, what in _OPTION_FIELDS:
        value: Any = options
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None and not test(value):
            raise invalid(f"options.{name} is not {what}")
    if params.get("resilience_level") not in (None, 0, 1, 2):
        raise invalid("resilience_level is none of: 0, 1, 2")
    if program == "sampler":
        pubs = params.get("pubs")
        given = [params.get("shots"), options.get("default_shots")]
        given += [
            pub[2]
            for pub in (pubs if isinstance(pubs, list) else ())
            if isinstance(pub, list) and len(pub) > 2
        ]
        for shots in given:
            if type(shots) is int and shots > max_shots:
                raise invalid(f"{shots} shots are more than the backend's maximum of {max_shots}")
    try:
        engine.check(program, content)
    except EngineError as error:
        raise invalid(str(error)) from error


def _check_learner(params: Mapping[str, Any]) -> None:
    # Its third version is another program under the same id.
    if "schema_version" in params:
        if not isinstance(params.get("instructions"), dict):
            raise invalid("instructions is not an object")
        return
    if params.get("version") not in (None, 2):
        raise invalid("version is not 2")
    options = _object(params, "options", "options")
    simulator = _object(options, "simulator", "options.simulator")
    for where, values, known in (
        ("params", params, _LEARNER_KEYS),
        ("options", options, _LEARNER_OPTIONS),
        ("options.simulator", simulator, _SIMULATOR_KEYS),
    ):
        if unknown := values.keys() - known:
            raise invalid(f"unknown in {where}: {', '.join(sorted(unknown))}")
    if not _is_seed(simulator.get("seed_simulator")):
        raise invalid(f"options.simulator.seed_simulator is not {_WHOLE}")
    if not isinstance(params.get("circuits"), list) or not params["circuits"]:
        raise invalid("circuits is not a list of at least one circuit")


def _check_executor(params: Mapping[str, Any]) -> None:
    if not isinstance(params.get("schema_version"), str):
        raise invalid("schema_version is not a text")
    program = params.get("quantum_program")
    if not isinstance(program, dict) or not isinstance(program.get("items"), list):
        raise invalid("quantum_program is not an object with a list of items")
    if not (type(program.get("shots")) is int and program["shots"] > 0):
        raise invalid("quantum_program.shots is not a whole number of 1 or more")


def _object(values: Mapping[str, Any], name: str, where: str) -> dict[str, Any]:
    found = values.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise invalid(f"{where} is not an object")
    return found


def _is_seed(value: object) -> bool:
    return value is None or (type(value) is int and 0 <= value < 2**63)


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_time(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and value >= 0  # type: ignore[arg-type,operator]


def _is_text(most: int) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and len(value) <= most


def _one_of(*values: str) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and value in values


def _is_number_or_auto(value: object) -> bool:
    return value == "auto" or (type(value) is int and value >= 1)


# Name in a body, predicate of its values, and their description.
_FIELDS: Final[tuple[tuple[str, Callable[[Any], bool], str], ...]] = (
    (
        "log_level",
        lambda value: isinstance(value, str) and value.lower() in _LEVELS,
        f"one of: {', '.join(_LEVELS)}",
    ),
    (
        "cost",
        lambda value: type(value) is int and value >= 0,
        "a whole number of seconds of 0 or more",
    ),
    ("session_id", _is_text(36), "a text of at most 36 characters"),
    ("calibration_id", _is_text(100), "a text of at most 100 characters"),
    ("private", _is_bool, "true or false"),
    (
        "runtime",
        lambda value: (
            isinstance(value, str) and re.fullmatch(r"[^:\s]+:[^:\s]+", value) is not None
        ),
        "an image as name:tag",
    ),
    # Of channel partners, whose storage the emulator could not reach.
    ("remote_storage", lambda _value: False, "for this account"),
)
_OBJECT = "an object"
_WHOLE = "a whole number of 0 or more"
_OPTION_FIELDS: Final[tuple[tuple[str, Callable[[Any], bool], str], ...]] = (
    *(
        (name, lambda value: isinstance(value, dict), _OBJECT)
        for name in ("dynamical_decoupling", "execution", "twirling", "experimental", "resilience")
    ),
    *(
        (name, _is_bool, "true or false")
        for name in (
            *("dynamical_decoupling.enable", "dynamical_decoupling.skip_reset_qubits"),
            *("execution.init_qubits", "twirling.enable_gates", "twirling.enable_measure"),
            *("resilience.measure_mitigation", "resilience.zne_mitigation"),
            "resilience.pec_mitigation",
        )
    ),
    ("dynamical_decoupling.sequence_type", _one_of("XX", "XpXm", "XY4"), "XX, XpXm or XY4"),
    (
        "dynamical_decoupling.extra_slack_distribution",
        _one_of("middle", "edges"),
        "middle or edges",
    ),
    ("dynamical_decoupling.scheduling_method", _one_of("alap", "asap"), "alap or asap"),
    ("execution.rep_delay", _is_time, "a time of 0 or more"),
    # The service has two more, which a simulator of circuits cannot give.
    ("execution.meas_type", _one_of("classified"), "classified, the one that is emulated"),
    (
        "twirling.strategy",
        _one_of("active", "active-circuit", "active-accum", "all"),
        "active, active-circuit, active-accum or all",
    ),
    ("twirling.num_randomizations", _is_number_or_auto, "a whole number of 1 or more, or auto"),
    (
        "twirling.shots_per_randomization",
        _is_number_or_auto,
        "a whole number of 1 or more, or auto",
    ),
    ("seed_estimator", _is_seed, _WHOLE),
    ("simulator.seed_simulator", _is_seed, _WHOLE),
)
