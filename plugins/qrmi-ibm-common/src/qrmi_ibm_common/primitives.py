"""The programs of IBM's services, and the keys that their inputs are known to have.

An input may be large, so it is looked through without being taken apart, and sent as it came.
"""

from __future__ import annotations

import codecs
import functools
import logging
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from qrmi_core.plugin import InvalidInputError, QiskitPrimitive, read_content

if TYPE_CHECKING:
    import msgspec

_log = logging.getLogger(__name__)

_BLOCK_BYTES = 1 << 20
_SHOWN = 500
"""How many characters of unknown names a warning has at most: they come with the input."""

_Keys = Mapping[str, "_Keys | None"]
"""The keys of an object, and of the objects within it; None for a value that is not looked into."""


def _keys(names: str, **objects: _Keys) -> _Keys:
    return {**dict.fromkeys(names.split()), **objects}


_SIMULATOR = _keys("basis_gates coupling_map noise_model seed_simulator")
_DECOUPLING = _keys(
    "enable extra_slack_distribution scheduling_method sequence_type skip_reset_qubits"
)
_RANDOMIZATIONS = "num_randomizations shots_per_randomization"
_TWIRLING = _keys(f"enable_gates enable_measure strategy {_RANDOMIZATIONS}")
_LEARNING = f"layer_pair_depths {_RANDOMIZATIONS}"
_RESILIENCE = _keys(
    "layer_noise_model measure_mitigation pec_mitigation zne_mitigation",
    layer_noise_learning=_keys(f"max_layers_to_learn {_LEARNING}"),
    measure_noise_learning=_keys(_RANDOMIZATIONS),
    pec=_keys("max_overhead noise_gain"),
    zne=_keys("amplifier extrapolated_noise_factors extrapolator noise_factors"),
)
_SAMPLER = _keys(
    "default_shots experimental",
    dynamical_decoupling=_DECOUPLING,
    execution=_keys("init_qubits meas_type rep_delay"),
    simulator=_SIMULATOR,
    twirling=_TWIRLING,
)
_ESTIMATOR = _keys(
    "default_precision default_shots experimental seed_estimator",
    dynamical_decoupling=_DECOUPLING,
    execution=_keys("init_qubits rep_delay"),
    resilience=_RESILIENCE,
    simulator=_SIMULATOR,
    twirling=_TWIRLING,
)
_LEARNER = _keys(
    f"experimental max_layers_to_learn support_qiskit twirling_strategy {_LEARNING}",
    simulator=_SIMULATOR,
)
_CHECKS = _keys("enable strategy x_pulse_type")
_LEARNER_0_1 = _keys(_LEARNING, post_selection=_CHECKS)
_LEARNER_0_2 = {**_LEARNER_0_1, **_keys("init_qubits rep_delay")}
_LEARNER_0_3 = {
    **_LEARNER_0_2,
    "bit_flip_checks": _keys("", pre_circuit=_CHECKS, post_circuit=_CHECKS),
}
_EXECUTOR_0_1 = _keys("init_qubits rep_delay")
_EXECUTOR = {**_EXECUTOR_0_1, **_keys("experimental scheduler_timing stretch_values")}


def _learner(options: _Keys) -> _Keys:
    return _keys("instructions schema_version", options=options)


def _executor(options: _Keys) -> _Keys:
    return _keys("quantum_program schema_version", options=options)


PROGRAMS: Mapping[str, Mapping[str | None, _Keys]] = {
    "sampler": {
        None: _keys("pubs shots support_qiskit version", options=_SAMPLER),
    },
    "estimator": {
        None: _keys("pubs precision resilience_level support_qiskit version", options=_ESTIMATOR),
    },
    "noise-learner": {
        None: _keys("circuits version", options=_LEARNER),
        "v0.1": _learner(_LEARNER_0_1),
        "v0.2": _learner(_LEARNER_0_2),
        "v0.3": _learner(_LEARNER_0_3),
    },
    "executor": {
        "v0.1": _executor(_EXECUTOR_0_1),
        **dict.fromkeys(("v0.2", "v1.0", "v1.1", "v2.0"), _executor(_EXECUTOR)),
    },
}
"""The keys of the programs' inputs, the first of which is required, by their `schema_version`, None
for inputs that have none; as of 0.13 of IBM's published schemas (``ibm-quantum-schemas``), and with
`shots` and `precision` of the API's description. Another version is left to the service."""

_SPELLINGS = {"noiselearner": "noise-learner", "noise_learner": "noise-learner"}


def read_input(
    payload: QiskitPrimitive,
    *,
    resource_id: str,
    submission: str,
    programs: Collection[str] = PROGRAMS,
) -> tuple[str, bytes]:
    """Check a payload; return the program under the service's name, and the unchanged input.

    Unknown keys and options are left to the service. They are logged once per submission.

    Args:
        payload: The payload.
        resource_id: The resource that the payload is for.
        submission: The tag of the submission, which may have several attempts.
        programs: The programs that the service supports.

    Raises:
        InvalidInputError: The program is not one of the service's, or the input is not JSON or not
            an object with what the program needs.
    """
    program_id = _SPELLINGS.get(payload.program_id, payload.program_id)
    if program_id not in programs:
        raise InvalidInputError(
            f"the service has no program {payload.program_id!r}, but {', '.join(programs)}"
        )
    content = read_content(payload.input)
    if unknown := ", ".join(_unknown(program_id, content)):
        _warn(resource_id, submission, program_id, unknown)
    return program_id, content


@functools.lru_cache(maxsize=256)
def _warn(resource_id: str, submission: str, program_id: str, unknown: str) -> None:
    """Log unknown names; the cache leaves out further attempts of the same submission."""
    shown = unknown if len(unknown) <= _SHOWN else f"{unknown[:_SHOWN]}..."
    _log.warning(
        "submission %s to %s: unknown in the input of %s: %s; the input is passed on, and the "
        "service decides",
        *(submission, resource_id, program_id, shown),
    )


def _unknown(program_id: str, content: bytes) -> Iterator[str]:
    """Check an input, and yield the names in it that are unknown."""
    _check_utf8(content)
    params = _members(content, "the input")
    if {"parameters", "program_id"} <= params.keys():
        raise InvalidInputError(
            "the input is a whole input file; give the value of its `parameters` alone"
        )
    versions = PROGRAMS[program_id]
    version = None
    if len(versions) > 1 and "schema_version" in params:
        version = bytes(params["schema_version"]).decode().strip('"')
    if version not in versions:
        return
    known = versions[version]
    needed = next(iter(known))
    if needed not in params:
        raise InvalidInputError(f"the input of {program_id} needs `{needed}`")
    yield from _unknown_keys(params, known, "")
    # It may be left out, and is then 2.
    if "version" in params and bytes(params["version"]) not in (b"2", b"null"):
        raise InvalidInputError(f"the `version` of the input of {program_id} must be 2")


def _unknown_keys(members: Mapping[str, msgspec.Raw], known: _Keys, where: str) -> Iterator[str]:
    import difflib  # only what submits needs it

    for name in sorted(members.keys() - known.keys()):
        near = difflib.get_close_matches(name, known, n=1) if len(name) < _SHOWN else []
        yield f"{where + name!r}" + (f" (did you mean {where + near[0]!r}?)" if near else "")
    for name, inner in known.items():
        if inner is not None and name in members and not _is_null(members[name]):
            path = f"{where}{name}"
            yield from _unknown_keys(_members(members[name], f"`{path}`"), inner, f"{path}.")


def _is_null(value: msgspec.Raw) -> bool:
    return bytes(memoryview(value)[:5]) == b"null"


def _members(content: bytes | msgspec.Raw, what: str) -> dict[str, msgspec.Raw]:
    """Return the members of a JSON object, which is checked completely, the values unread."""
    import msgspec  # only what submits needs it

    try:
        return msgspec.json.decode(content, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        raise InvalidInputError(f"{what} must be a JSON object") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidInputError(f"{what} is not JSON: {error}") from None


def _check_utf8(content: bytes) -> None:
    if content.isascii():
        return
    decoder = codecs.getincrementaldecoder("utf-8")()
    view = memoryview(content)
    try:
        for start in range(0, len(view), _BLOCK_BYTES):
            decoder.decode(view[start : start + _BLOCK_BYTES])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"the input is not UTF-8: {error.reason}") from None
