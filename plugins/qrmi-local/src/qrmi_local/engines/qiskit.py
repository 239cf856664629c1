"""Qiskit's primitives on `aer`, an ideal simulator, and `fake_*`, snapshots of noisy devices."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any, Final

from qrmi_local.engines import EngineError, MissingExtra, Resource, UnknownResource, _options

PROGRAMS: Final = ("sampler", "estimator")
# The programs of IBM's service besides the primitives, which need its latest client. Only the
# emulator offers them. Program -> module.
SERVICE_PROGRAMS: Final = {"executor": "_executor_program", "noise-learner": "_noise_learner"}
# Of a pub.
PARTS: Final = {
    "sampler": ("circuit", "parameter values", "number of shots"),
    "estimator": ("circuit", "observables", "parameter values", "precision"),
}
AER: Final = Resource("aer", num_qubits=30, max_shots=1_000_000)
# Name -> parameters, of the gates that both Qiskit's standard library and Aer have.
AER_GATES: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(("id", "x", "y", "z", "h", "s", "sdg", "t", "tdg", "sx", "sxdg"), ()),
    **dict.fromkeys(("cx", "cy", "cz", "ecr", "swap", "csx", "ccx", "ccz", "cswap"), ()),
    **dict.fromkeys(("rx", "ry", "rz", "p", "cp", "crx", "cry", "crz"), ("theta",)),
    **dict.fromkeys(("rxx", "ryy", "rzz", "rzx"), ("theta",)),
    "u": ("theta", "phi", "lam"),
    "cu": ("theta", "phi", "lam", "gamma"),
}
AER_CONTROL: Final = (
    "if_else",
    "while_loop",
    "for_loop",
    "switch_case",
    "break_loop",
    "continue_loop",
)


def resources() -> list[Resource]:
    """Return `aer` and the snapshots of qiskit-ibm-runtime; nothing without the extra `qiskit`."""
    if not _installed():
        return []
    return [AER, *(_resource(resource_id) for resource_id in _snapshots())]


def target(resource_id: str) -> bytes:
    """Return `{"configuration": ..., "properties": ...}` as IBM serves them, in JSON.

    Raises:
        UnknownResource: The id is unknown.
    """
    known(resource_id)
    if resource_id == AER.resource_id:
        documents = {"configuration": _aer_configuration(), "properties": _aer_properties()}
    else:
        folder = _snapshots()[resource_id]
        documents = {
            "configuration": configuration(resource_id),
            "properties": _read(folder, "props") | {"backend_name": resource_id},
        }
    return json.dumps(documents, separators=(",", ":")).encode()


def check(program_id: str, input: bytes) -> str | None:
    """Check a primitive's input without its circuits, and return a warning if there is one.

    The warning names the options that have no effect.

    Raises:
        EngineError: It is not the input of a version 2 sampler or estimator.
    """
    return _options.review(program_id, parse(program_id, input))


def warm_up(resource_id: str) -> None:
    """Load the simulator, so that the next run takes no time for it.

    Raises:
        UnknownResource: The id is unknown.
    """
    known(resource_id)
    from qrmi_local.engines import _primitives

    _primitives.warm_up(resource_id)


def run(resource_id: str, program_id: str, input: bytes, *, seed: int | None = None) -> bytes:
    """Execute a program and return its result in the runtime's encoding.

    Args:
        resource_id: `aer` or one of the snapshots.
        program_id: One of `PROGRAMS` or `SERVICE_PROGRAMS`.
        input: The program's input, JSON.
        seed: For inputs that bring none of their own.

    Raises:
        EngineError: The input cannot be executed on this resource.
        UnknownResource: The id is unknown.
    """
    known(resource_id)
    if program_id in SERVICE_PROGRAMS:
        module = importlib.import_module(f"qrmi_local.engines.{SERVICE_PROGRAMS[program_id]}")
        content: bytes = module.run(resource_id, _object(input), seed=seed)
        return content
    document = parse(program_id, input)
    _options.log_review(program_id, document)
    from qrmi_local.engines import _primitives

    result: bytes = _primitives.run(resource_id, program_id, document, seed=seed)
    return result


def known(resource_id: str) -> Resource:
    """Return the resource of this id.

    Raises:
        UnknownResource: The id is unknown.
        MissingExtra: The extra `qiskit` is not installed.
    """
    if not _installed():
        raise MissingExtra(f"{resource_id} needs Qiskit: pip install 'qrmi-local[qiskit]'")
    if resource_id == AER.resource_id:
        return AER
    if resource_id not in _snapshots():
        raise UnknownResource(f"qiskit-ibm-runtime has no snapshot {resource_id!r}")
    return _resource(resource_id)


def parse(program_id: str, input: bytes) -> dict[str, Any]:
    """Return the input's JSON object, with its outer shape checked.

    Raises:
        EngineError: See `check`.
    """
    if program_id not in PROGRAMS:
        raise EngineError(f"program id {program_id!r} is none of: {', '.join(PROGRAMS)}")
    document = _object(input)
    if (version := document.get("version")) != 2:
        raise EngineError(f"the input's version is {_show(version)}, not 2")
    options = document.get("options") or {}
    if not isinstance(options, dict):
        raise EngineError("options is not an object")
    _check_shots("options.default_shots", options.get("default_shots"))
    if program_id == "sampler":
        _check_shots("shots", document.get("shots"))
    else:
        _check_precision("precision", document.get("precision"))
        _check_precision("options.default_precision", options.get("default_precision"))
    if not isinstance(document.get("support_qiskit", True), bool):
        raise EngineError("support_qiskit is neither true nor false")
    pubs = document.get("pubs")
    if not isinstance(pubs, list) or not pubs:
        raise EngineError("pubs is not a list of at least one pub")
    for index, pub in enumerate(pubs):
        _check_pub(program_id, index, pub)
    return document


def _object(input: bytes) -> dict[str, Any]:
    try:
        document = json.loads(input.decode())
    except (ValueError, RecursionError) as error:
        raise EngineError(f"the input is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise EngineError("the input is not a JSON object")
    return document


def configuration(resource_id: str) -> dict[str, Any]:
    """Return a snapshot's configuration document, under the resource's id."""
    return _read(_snapshots()[resource_id], "conf") | {"backend_name": resource_id}


def _check_pub(program_id: str, index: int, pub: object) -> None:
    names = PARTS[program_id]
    least, most = len(names) - 2, len(names)
    if program_id == "sampler" and isinstance(pub, str):
        pub = [pub]
    if not isinstance(pub, list) or not least <= len(pub) <= most:
        raise EngineError(f"pub {index}: not a list of {least} to {most} parts")
    circuit = pub[0]
    if isinstance(circuit, dict):
        circuit = circuit.get("__value__") if circuit.get("__type__") == "QuantumCircuit" else None
    if not isinstance(circuit, str):
        raise EngineError(
            f"pub {index}: its circuit is neither OpenQASM 3 text nor a QuantumCircuit"
        )
    if len(pub) == most:
        check_last = _check_shots if program_id == "sampler" else _check_precision
        check_last(f"pub {index}: its {names[-1]}", pub[-1])


def _check_shots(what: str, value: object) -> None:
    if value is not None and not (type(value) is int and 0 < value < 2**63):
        raise EngineError(f"{what} is not a positive whole number: {_show(value)}")


def _check_precision(what: str, value: object) -> None:
    if value is None:
        return
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not 0 <= value <= sys.float_info.max
    ):
        raise EngineError(f"{what} is not a finite number of at least 0: {_show(value)}")


def _show(value: object) -> str:
    return "missing" if value is None else json.dumps(value)[:40]


@functools.cache
def _installed() -> bool:
    needed = ("qiskit_aer", "qiskit_ibm_runtime", "qiskit_qasm3_import")
    return all(importlib.util.find_spec(name) for name in needed)


@functools.cache
def _snapshots() -> dict[str, Path]:
    """Resource id -> folder; without importing qiskit-ibm-runtime, which takes over a second."""
    spec = importlib.util.find_spec("qiskit_ibm_runtime")
    return {
        f"fake_{folder.name}": folder
        for place in (spec and spec.submodule_search_locations) or ()
        for folder in sorted(Path(place, "fake_provider", "backends").iterdir())
        if (folder / f"conf_{folder.name}.json").exists()
    }


@functools.cache
def _resource(resource_id: str) -> Resource:
    document = configuration(resource_id)
    return Resource(resource_id, num_qubits=document["n_qubits"], max_shots=document["max_shots"])


def _read(folder: Path, kind: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / f"{kind}_{folder.name}.json").read_bytes())
    return document


def _aer_configuration() -> dict[str, Any]:
    return {
        "backend_name": AER.resource_id,
        "backend_version": "1.0.0",
        "description": "An ideal simulator of circuits",
        "n_qubits": AER.num_qubits,
        "basis_gates": list(AER_GATES),
        "gates": [
            {"name": name, "parameters": list(parameters), "qasm_def": f"gate {name}"}
            for name, parameters in AER_GATES.items()
        ],
        "supported_instructions": [*AER_GATES, "measure", "reset", "delay", *AER_CONTROL],
        "supported_features": ["qasm3"],
        "coupling_map": None,
        "local": True,
        "simulator": True,
        "conditional": True,
        "open_pulse": False,
        "memory": True,
        "max_shots": AER.max_shots,
        # In ns. Delays do nothing here, but circuits carry them in this unit.
        "dt": 1.0,
        "online_date": "2024-01-01T00:00:00+00:00",
    }


def _aer_properties() -> dict[str, Any]:
    date = "2024-01-01T00:00:00+00:00"
    return {
        "backend_name": AER.resource_id,
        "backend_version": "1.0.0",
        "last_update_date": date,
        "general": [],
        "gates": [],
        # A list that is not empty is asked for; this says that a measurement is never wrong.
        "qubits": [
            [{"date": date, "name": "readout_error", "unit": "", "value": 0.0}]
            for _ in range(AER.num_qubits)
        ],
    }
