"""Pulser's pulse sequences on `EMU_FREE` (QuTiP) and `EMU_MPS` (emu-mps)."""

from __future__ import annotations

import importlib
import importlib.util
import json
import logging
import random
import warnings
from typing import Any, Final

from qrmi_local.engines import EngineError, MissingExtra, Resource, UnknownResource, one_line

# Levels of an atom -> atoms. These take QuTiP seconds; each further one multiplies time and memory.
MAX_ATOMS: Final = {2: 14, 3: 9}
MAX_MPS_ATOMS: Final = 80
MAX_RUNS: Final = 1_000_000
# Members of `pulser.devices`: one like the analog QPUs, one with local digital gates, one free.
DEVICES: Final = ("AnalogDevice", "DigitalAnalogDevice", "MockDevice")
EXTRAS: Final = {"EMU_FREE": "pulser", "EMU_MPS": "emu-mps"}
ONE_STATE: Final = {"ground-rydberg": "r", "digital": "h"}


def resources() -> list[Resource]:
    """Return the resources whose simulators are installed, of `EMU_FREE` and `EMU_MPS`."""
    found = []
    if _installed("pulser_simulation"):
        found.append(Resource("EMU_FREE", MAX_ATOMS[2], MAX_RUNS))
    if _installed("emu_mps"):
        found.append(Resource("EMU_MPS", MAX_MPS_ATOMS, MAX_RUNS))
    return found


def target(resource_id: str) -> bytes:
    """Return the devices that a sequence can be written for, as Pasqal's API lists them, in JSON.

    Raises:
        UnknownResource: The id is unknown.
    """
    known(resource_id)
    from pulser import devices

    return json.dumps(
        [
            {"device_type": name, "specs": getattr(devices, name).to_abstract_repr()}
            for name in DEVICES
        ],
        separators=(",", ":"),
    ).encode()


def check(job_runs: str, sequence: bytes) -> None:
    """Check that a sequence is ready to run, without Pulser.

    Raises:
        EngineError: It is not, or the number of runs is not positive.
    """
    if not (job_runs.isascii() and job_runs.isdecimal() and 1 <= float(job_runs) <= MAX_RUNS):
        raise EngineError(f"job_runs is not a whole number from 1 to {MAX_RUNS}: {job_runs:.40}")
    try:
        document = json.loads(sequence.decode())
    except (ValueError, RecursionError) as error:
        raise EngineError(f"the sequence is not JSON: {error}") from error
    members = ("version", "register", "channels", "operations", "device")
    if not isinstance(document, dict) or not document.keys() >= set(members):
        raise EngineError(
            "the sequence is not what Sequence.to_abstract_repr() gives: "
            f"it needs {', '.join(members)}"
        )
    if variables := document.get("variables"):
        names = ", ".join(variables) if isinstance(variables, dict) else "some"
        raise EngineError(
            f"the sequence has variables without values ({names}): "
            "send what sequence.build(...) gives"
        )
    register = document["register"]
    if not isinstance(register, list) or not all(
        isinstance(atom, dict) and {"x", "y"} <= atom.keys() for atom in register
    ):
        raise EngineError("the sequence's register does not say where each atom is")
    if not register:
        raise EngineError("the sequence's register has no atoms")


def warm_up(resource_id: str) -> None:
    """Load the simulator, so that the next run takes no time for it.

    Raises:
        UnknownResource: The id is unknown.
    """
    name = known(resource_id).resource_id
    importlib.import_module("pulser_simulation" if name == "EMU_FREE" else "emu_mps")


def run(resource_id: str, job_runs: str, sequence: bytes, *, seed: int | None = None) -> bytes:
    """Simulate a sequence and sample bit strings from its final state.

    Args:
        resource_id: `EMU_FREE` or `EMU_MPS`.
        job_runs: Number of bit strings.
        sequence: Its abstract representation, JSON.
        seed: Equal seeds give equal results.

    Returns:
        `{"counter": {"00": 36, ...}}`; characters in the order of the register.

    Raises:
        EngineError: The sequence cannot be simulated.
        UnknownResource: The id is unknown.
    """
    name = known(resource_id).resource_id
    check(job_runs, sequence)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            counter = _simulate(name, sequence.decode(), int(job_runs), seed)
    except EngineError:
        raise
    except Exception as error:
        raise EngineError(_reason(error)) from error
    ordered = {bits: int(counter[bits]) for bits in sorted(counter)}
    return json.dumps({"counter": ordered}, separators=(",", ":")).encode()


def known(resource_id: str) -> Resource:
    """Return the resource of this id.

    Raises:
        UnknownResource: The id is unknown.
        MissingExtra: Its simulator is not installed.
    """
    name = resource_id.upper()
    if name not in EXTRAS:
        raise UnknownResource(f"there is no Pulser simulator {resource_id!r}")
    for found in resources():
        if found.resource_id == name:
            return found
    raise MissingExtra(f"{name} needs a simulator: pip install 'qrmi-local[{EXTRAS[name]}]'")


def _installed(simulator: str) -> bool:
    return all(importlib.util.find_spec(name) for name in ("pulser", simulator))


def _simulate(name: str, text: str, job_runs: int, seed: int | None) -> Any:
    from pulser import Sequence
    from pulser.sampler import sample

    sequence = Sequence.from_abstract_repr(text)
    basis = _measure(sequence)
    if basis not in sample(sequence).used_bases:
        # No pulse takes an atom out of the state that is measured as 0. The simulators refuse.
        return {"0" * len(sequence.register.qubits): job_runs}
    observable = _bit_strings(basis, job_runs)
    _seed(seed)
    atoms = len(sequence.register.qubits)
    if name == "EMU_MPS":
        return _run_mps(sequence, observable, atoms, seed)
    levels = 3 if len(sequence.get_addressed_bases()) > 1 else 2
    if atoms > MAX_ATOMS[levels]:
        raise EngineError(
            f"{atoms} atoms of {levels} levels are too many for EMU_FREE, which takes "
            f"{MAX_ATOMS[levels]}: use fewer atoms, or EMU_MPS"
        )
    from pulser_simulation import QutipBackendV2, QutipConfig

    config = QutipConfig(observables=[observable], default_num_shots=job_runs)
    return QutipBackendV2(sequence, config=config).run().final_bitstrings


def _run_mps(sequence: Any, observable: Any, atoms: int, seed: int | None) -> Any:
    from emu_mps import MPSBackend, MPSConfig

    if atoms > MAX_MPS_ATOMS:
        raise EngineError(f"{atoms} atoms are too many for EMU_MPS, which takes {MAX_MPS_ATOMS}")
    torch = importlib.import_module("torch")
    torch.manual_seed(torch.seed() if seed is None else seed % 2**63)
    config = MPSConfig(
        observables=[observable],
        default_num_shots=observable.num_shots,
        log_level=logging.WARNING,
    )
    return MPSBackend(sequence, config=config).run().final_bitstrings


def _reason(error: Any) -> str:
    """Describe an error: of a document against its schema, the innermost one alone."""
    while context := getattr(error, "context", None):
        alternatives: dict[Any, list[Any]] = {}
        for inner in context:
            alternatives.setdefault(inner.schema_path[0], []).append(inner)
        # The alternative that was meant is the one with the least wrong: seldom a name out of a
        # list, seldom an expression.
        meant = min(
            alternatives.values(),
            key=lambda found: (len(found), found[0].validator == "enum", bool(found[0].context)),
        )
        error = max(meant, key=lambda found: (bool(found.context), len(found.path)))
    if not hasattr(error, "json_path"):
        return one_line(error)
    message = " ".join(error.message.split())
    if len(message) > 130:  # it starts with what is wrong and ends with why
        message = f"{message[:40]} ... {message[-85:]}"
    found = error.instance if error.validator == "const" else None
    given = "" if found is None else f" {found!r:.20}"
    place = error.json_path.removeprefix("$").removeprefix(".")
    return f"the sequence is not valid at {place[:60]}{given}: {message}"


def _measure(sequence: Any) -> str:
    """Return the basis that is measured; add the measurement where only one is possible."""
    if not sequence.is_measured():
        bases = sequence.get_addressed_bases()
        if len(bases) != 1:
            raise EngineError(
                "the sequence has no measurement, and it addresses "
                f"{' and '.join(bases) or 'no basis'}: add sequence.measure(basis)"
            )
        sequence.measure(bases[0])
    basis: str = sequence.get_measurement_basis()
    return basis


def _bit_strings(basis: str, job_runs: int) -> Any:
    from pulser.backend import BitStrings

    return BitStrings(evaluation_times=[1.0], num_shots=job_runs, one_state=ONE_STATE.get(basis))


def _seed(seed: int | None) -> None:
    """Seed the simulators' generators; None seeds from entropy, also in a forked process."""
    import numpy as np

    random.seed(seed)
    np.random.seed(None if seed is None else seed % 2**32)
