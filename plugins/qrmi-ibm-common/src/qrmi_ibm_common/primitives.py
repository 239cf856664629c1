"""The programs of IBM's services, and what their inputs may have.

An input may be large, so it is looked through without being taken apart, and sent as it came.
"""

from __future__ import annotations

import codecs
from collections.abc import Collection, Mapping

import attrs
import msgspec

from qrmi_core.errors import InvalidInputError
from qrmi_core.payload import QiskitPrimitive, read_content

_BLOCK_BYTES = 1 << 20

_OPTIONS = frozenset({"dynamical_decoupling", "execution", "experimental", "simulator", "twirling"})


@attrs.frozen
class _Program:
    """A program's input, as far as the service refuses keys that it does not know.

    Args:
        needs: The key that must be there.
        keys: All keys of the input.
        options: All keys of its ``options``.
    """

    needs: str
    keys: frozenset[str]
    options: frozenset[str]


PROGRAMS: Mapping[str, _Program | None] = {
    "sampler": _Program(
        "pubs",
        frozenset({"pubs", "shots", "options", "support_qiskit", "version"}),
        _OPTIONS | {"default_shots"},
    ),
    "estimator": _Program(
        "pubs",
        frozenset({"pubs", "precision", "resilience_level", "options", "support_qiskit"})
        | {"version"},
        _OPTIONS | {"default_precision", "default_shots", "resilience", "seed_estimator"},
    ),
    "noise-learner": _Program(
        "circuits",
        frozenset({"circuits", "options", "version"}),
        frozenset({"experimental", "layer_pair_depths", "max_layers_to_learn"})
        | {"num_randomizations", "shots_per_randomization", "simulator", "support_qiskit"}
        | {"twirling_strategy"},
    ),
    "executor": None,
}
"""The programs; None for one whose input is passed on as it is."""

_SPELLINGS = {"noiselearner": "noise-learner", "noise_learner": "noise-learner"}
_SIMULATOR = frozenset({"basis_gates", "coupling_map", "noise_model", "seed_simulator"})


def read_input(
    payload: QiskitPrimitive, *, programs: Collection[str] = PROGRAMS
) -> tuple[str, bytes]:
    """Check a payload, and give the program as the service spells it, and the input as it came.

    Args:
        payload: The payload.
        programs: Those of the programs that the service has.

    Raises:
        InvalidInputError: The program is not one of the service's, or the input is not JSON or has
            keys that the program does not know.
    """
    program_id = _SPELLINGS.get(payload.program_id, payload.program_id)
    if program_id not in programs:
        raise InvalidInputError(
            f"the service has no program {payload.program_id!r}, but {', '.join(programs)}"
        )
    content = read_content(payload.input)
    _check(program_id, content)
    return program_id, content


def _check(program_id: str, content: bytes) -> None:
    _check_utf8(content)
    params = _members(content, "the input")
    if {"parameters", "program_id"} <= params.keys():
        raise InvalidInputError(
            "the input is a whole input file; give the value of its `parameters` alone"
        )
    program = PROGRAMS[program_id]
    # The third version of the noise learner's input is another one.
    if program is None or (program_id == "noise-learner" and "schema_version" in params):
        return
    if program.needs not in params:
        raise InvalidInputError(f"the input of {program_id} needs `{program.needs}`")
    _check_keys(program_id, params, program.keys, "")
    options = _inner(params, "options", "options")
    _check_keys(program_id, options, program.options, "options.")
    simulator = _inner(options, "simulator", "options.simulator")
    _check_keys(program_id, simulator, _SIMULATOR, "options.simulator.")


def _check_keys(
    program_id: str, members: Mapping[str, object], known: frozenset[str], where: str
) -> None:
    unknown = sorted(members.keys() - known)
    if unknown:
        names = ", ".join(f"`{where}{name}`" for name in unknown)
        raise InvalidInputError(
            f"{program_id} does not know {names}; the service would refuse it. "
            f"Known there: {', '.join(sorted(known))}"
        )


def _inner(members: Mapping[str, msgspec.Raw], name: str, where: str) -> dict[str, msgspec.Raw]:
    inner = members.get(name)
    if inner is None or bytes(inner) == b"null":
        return {}
    return _members(inner, f"`{where}`")


def _members(content: bytes | msgspec.Raw, what: str) -> dict[str, msgspec.Raw]:
    """The members of a JSON object, the values unread; the whole is checked all the same."""
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
