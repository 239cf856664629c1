"""IBM's program `noise-learner`: the noise of layers of gates, in its two forms of input.

The service learns the noise from experiments. Here it is known: a simulator of a device has a
channel behind each gate and an error of each measurement, taken from the device's snapshot. The
result is that channel, twirled over the Pauli group, as a Pauli-Lindblad model, without the
statistical error of an experiment. Qubits that idle have no noise in the simulator, so their rates
are 0; so are all on the ideal simulator.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from pydantic import ValidationError
from qiskit import QuantumCircuit
from qiskit.quantum_info import PTM, PauliList
from qiskit_aer.noise.device import basic_device_gate_errors, basic_device_readout_errors

from qrmi_local.engines import EngineError, one_line
from qrmi_local.engines._devices import device_of, part_of
from qrmi_local.engines._encoding import encode, errors_of, first_of
from qrmi_local.engines._options import log_review
from qrmi_local.engines._pubs import program_of

try:
    from ibm_quantum_schemas.common import F64TensorModel
    from ibm_quantum_schemas.noise_learner_v2 import version_0_1 as layers_schema
    from ibm_quantum_schemas.noise_learner_v3 import version_0_1, version_0_2, version_0_3
    from qiskit_ibm_runtime.noise_learner_v3.find_learning_protocol import find_learning_protocol
    from samplomatic.transpiler import generate_boxing_pass_manager
    from samplomatic.utils import undress_box
except ImportError as error:
    raise EngineError("noise-learner needs qiskit-ibm-runtime 0.51 or newer") from error

_MODULE: Final = "qiskit_ibm_runtime.utils.noise_learner_result"
_BOXES: Final[Mapping[str, Any]] = {
    "v0.1": version_0_1,
    "v0.2": version_0_2,
    "v0.3": version_0_3,
}
# Gates of a layer as (name, parameters, qubits), and all qubits that are twirled with it.
_Gate = tuple[str, tuple[float, ...], tuple[int, ...]]
_Layer = tuple[tuple[_Gate, ...], tuple[int, ...]]
# By Paulis and the places of their qubits.
_Rates = dict[tuple[str, tuple[int, ...]], float]


def run(resource_id: str, document: dict[str, Any], *, seed: int | None) -> bytes:
    """Return the noise of the layers of circuits, or of the boxes, of an input.

    Args:
        resource_id: The resource.
        document: The program's input, of version 2, or 3 where it has a `schema_version`.
        seed: Of no effect, since nothing is drawn.

    Raises:
        EngineError: The input is not of the schema, or its circuits cannot be executed.
    """
    del seed
    if "schema_version" in document:
        return _boxes(resource_id, document)
    return _layers(resource_id, document)


def _layers(resource_id: str, document: Mapping[str, Any]) -> bytes:
    circuits = document.get("circuits")
    if not isinstance(circuits, list) or not circuits:
        raise EngineError("circuits is not a list of at least one circuit")
    options = _validated(layers_schema.OptionsModel, document.get("options") or {}, "options")
    log_review("noise-learner", document)
    found: Counter[_Layer] = Counter()
    programs: dict[_Layer, Any] = {}
    for index, form in enumerate(circuits):
        with errors_of(f"circuit {index}"):
            circuit = program_of(device_of(resource_id), form).circuit
            for layer, body in _layers_of(circuit, options.twirling_strategy):
                found[layer] += 1
                programs.setdefault(layer, body)
    ordered = sorted(found, key=lambda layer: (-found[layer], -len(layer[0])))
    data = []
    for layer in ordered[: options.max_layers_to_learn]:
        gates, qubits = layer
        rates = _rates(resource_id, gates, qubits)
        labels = [_label(term, places, len(qubits)) for term, places in rates]
        error = {
            "generators": PauliList(labels),
            "rates": np.array(list(rates.values()), dtype=float),
        }
        value = {
            "circuit": programs[layer],
            "qubits": list(qubits),
            "error": _typed("PauliLindbladError", error),
        }
        data.append(_typed("LayerError", value))
    shown = layers_schema.InputOptionsModel.model_fields
    used = {name: value for name, value in options.model_dump().items() if name in shown}
    return encode({"data": data, "metadata": {"backend": resource_id, "input_options": used}})


def _layers_of(circuit: Any, strategy: str) -> Iterator[tuple[_Layer, Any]]:
    """Yield the layers of a circuit's gates of two qubits, each with a circuit of its qubits."""
    boxing = generate_boxing_pass_manager(
        enable_measures=False, twirling_strategy=strategy.replace("-", "_")
    )
    for instruction in boxing.run(circuit).data:
        if instruction.name != "box":
            continue
        body = undress_box(instruction.operation).body
        places = [circuit.find_bit(qubit).index for qubit in instruction.qubits]
        where = dict(zip(body.qubits, places, strict=True))
        gates, qubits = _gates(body, where), tuple(sorted(places))
        if not gates:
            continue
        small = QuantumCircuit(len(qubits))
        for inner in body.data:
            if len(inner.qubits) > 1 and inner.name != "barrier":
                small.append(inner.operation, [qubits.index(where[q]) for q in inner.qubits])
        yield (gates, qubits), small


def _boxes(resource_id: str, document: Mapping[str, Any]) -> bytes:
    version = document["schema_version"]
    schema = _BOXES.get(version) if isinstance(version, str) else None
    if schema is None:
        raise EngineError(f"schema_version is none of: {', '.join(_BOXES)}")
    # The client says the program's version, too, which is not part of the schema.
    fields = {name: value for name, value in document.items() if name != "version"}
    model = _validated(schema.ParamsModel, fields, "the input")
    log_review("noise-learner", document)
    try:
        circuit = model.instructions.to_quantum_circuit()
    except Exception as error:
        raise EngineError(f"instructions cannot be read: {one_line(error)}") from error
    data = []
    for index, instruction in enumerate(circuit.data):
        with errors_of(f"instruction {index}"):
            data.append(_box(resource_id, instruction, model.options.layer_pair_depths))
    return str(schema.NoiseLearnerV3ResultsModel(data=data).model_dump_json()).encode()


def _box(resource_id: str, instruction: Any, depths: Sequence[int]) -> dict[str, Any]:
    protocol = find_learning_protocol(instruction)
    if protocol is None:
        raise EngineError("the box is neither one layer of Clifford gates nor of measurements")
    # The circuit has loose bits of the register of the device's qubits.
    places = [qubit._index for qubit in instruction.qubits]
    if None in places:
        raise EngineError("the box has qubits outside of the device's register")
    qubits = tuple(sorted(places))
    body = undress_box(instruction.operation).body
    if protocol.value == "trex":
        rates = _readout_rates(resource_id, qubits)
        metadata: dict[str, Any] = {"fraction_kept": 1.0, "success_rates": {}}
    else:
        gates = _gates(body, dict(zip(body.qubits, places, strict=True)))
        rates = _rates(resource_id, gates, qubits)
        metadata = {
            "fraction_kept": dict.fromkeys(depths, 1.0),
            "success_rates": {depth: {} for depth in depths},
        }
    array = np.array(list(rates.values()), dtype=float)
    return {
        "generators_sparse": [[(term, list(indices))] for term, indices in rates],
        "num_qubits": len(qubits),
        "rates": F64TensorModel.from_numpy(array),
        "rates_std": F64TensorModel.from_numpy(np.zeros_like(array)),
        "metadata": {
            "learning_protocol": "trex" if protocol.value == "trex" else "lindblad",
            "post_selection": metadata,
        },
    }


def _gates(body: Any, where: Mapping[Any, int]) -> tuple[_Gate, ...]:
    return tuple(
        sorted(
            (
                inner.name,
                tuple(map(float, inner.operation.params)),
                tuple(where[qubit] for qubit in inner.qubits),
            )
            for inner in body.data
            if len(inner.qubits) > 1 and inner.name != "barrier"
        )
    )


def _rates(resource_id: str, gates: Sequence[_Gate], qubits: Sequence[int]) -> _Rates:
    """Return the rates of all Paulis of one qubit and of two coupled ones, by places in `qubits`.

    A term has its letters in the order of its places.
    """
    device = device_of(resource_id)
    pairs = {tuple(sorted(pair)) for _, _, pair in gates}
    if device.backend is not None:
        coupled = device.backend.target.build_coupling_map() or ()
        pairs |= {tuple(sorted(pair)) for pair in coupled if set(pair) <= set(qubits)}
    place = {qubit: index for index, qubit in enumerate(qubits)}
    rates: _Rates = {(pauli, (index,)): 0.0 for index in range(len(qubits)) for pauli in "XYZ"}
    for low, high in sorted(pairs):
        for first, second in itertools.product("XYZ", repeat=2):
            rates[first + second, (place[low], place[high])] = 0.0
    for name, _, (one, other) in gates:
        for label, rate in _gate_rates(resource_id, name, one, other).items():
            # The right letter of a label is the gate's first qubit.
            term = sorted(
                (place[qubit], letter)
                for qubit, letter in ((one, label[1]), (other, label[0]))
                if letter != "I"
            )
            key = "".join(letter for _, letter in term), tuple(index for index, _ in term)
            rates[key] += rate
    return rates


@functools.lru_cache(maxsize=1024)
def _gate_rates(resource_id: str, name: str, one: int, other: int) -> dict[str, float]:
    """Return the Pauli-Lindblad rates of the channel behind a gate, by labels of its qubits."""
    device = device_of(resource_id)
    if device.backend is None:
        return {}
    labels = ["".join(letters) for letters in itertools.product("IXYZ", repeat=2)]
    part = part_of(device, [one, other], {(name, (0, 1))})
    errors = [
        error
        for gate, places, error in basic_device_gate_errors(target=part.target)
        if (gate, tuple(places)) == (name, (0, 1))
    ]
    if not errors:
        return {}
    fidelities = np.real(np.diag(PTM(errors[0].to_quantumchannel()).data))
    if (fidelities <= 0).any():
        raise EngineError(f"{resource_id} has a {name} on {one}, {other} of no use: all is noise")
    signs = np.array(
        [[-1.0 if _anticommute(a, b) else 1.0 for b in labels] for a in labels], dtype=float
    )
    rates = signs @ np.log(fidelities) / len(labels)
    return {
        label: max(0.0, float(rate))
        for label, rate in zip(labels, rates, strict=True)
        if label != "II"
    }


def _readout_rates(resource_id: str, qubits: Sequence[int]) -> _Rates:
    """Return the rate at which each measured bit is flipped, whatever its value."""
    device = device_of(resource_id)
    rates: _Rates = {("X", (index,)): 0.0 for index in range(len(qubits))}
    if device.backend is not None:
        used = {("measure", (index,)) for index in range(len(qubits))}
        part = part_of(device, list(qubits), used)
        for (index,), error in basic_device_readout_errors(target=part.target):
            flipped = (error.probabilities[0][1] + error.probabilities[1][0]) / 2
            rates["X", (index,)] = -math.log(1 - 2 * min(flipped, 0.499)) / 2
    return rates


def _anticommute(one: str, other: str) -> bool:
    different = sum(a != b and "I" not in (a, b) for a, b in zip(one, other, strict=True))
    return different % 2 == 1


def _label(term: str, places: Sequence[int], width: int) -> str:
    letters = ["I"] * width
    for letter, place in zip(term, places, strict=True):
        letters[-1 - place] = letter
    return "".join(letters)


def _typed(name: str, value: Mapping[str, Any]) -> dict[str, Any]:
    return {"__type__": "_json", "__module__": _MODULE, "__class__": name, "__value__": value}


def _validated(model: Any, values: object, what: str) -> Any:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise EngineError(f"{what} does not follow the schema: {first_of(error)}") from error
