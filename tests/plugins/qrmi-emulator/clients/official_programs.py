"""Runs the programs `executor` and `noise-learner` with IBM's own client. Argument: name."""

import json
import sys
import warnings

import numpy as np
from qiskit import QuantumCircuit, generate_preset_pass_manager
from qiskit.circuit import Parameter
from qiskit.quantum_info import SparsePauliOp
from qiskit_ibm_runtime import (
    Batch,
    Executor,
    NoiseLearner,
    NoiseLearnerV3,
    QiskitRuntimeService,
    QuantumProgram,
)
from qiskit_ibm_runtime.executor_estimator import Estimator
from qiskit_ibm_runtime.executor_sampler import Sampler
from samplomatic import build
from samplomatic.transpiler import generate_boxing_pass_manager
from samplomatic.utils import find_unique_box_instructions

warnings.simplefilter("ignore")
backend = QiskitRuntimeService().backend(sys.argv[1])
manager = generate_preset_pass_manager(backend=backend, initial_layout=[0, 1], optimization_level=1)
found = {}

bell = QuantumCircuit(2)
bell.h(0)
bell.cx(0, 1)
state = manager.run(bell)
bell.measure_all()
bell = manager.run(bell)
turned = QuantumCircuit(2, 1)
turned.ry(Parameter("angle"), 0)
turned.measure(0, 0)
turned = manager.run(turned)

# Circuit items and samplex items, as they stand.
program = QuantumProgram(shots=200)
program.append_circuit_item(bell)
program.append_circuit_item(turned, circuit_arguments=np.array([[0.0], [np.pi], [0.0]]))
boxed = generate_boxing_pass_manager(twirling_strategy="active", inject_noise_targets="none").run(
    bell
)
template, samplex = build(boxed)
program.append_samplex_item(template, samplex=samplex, shape=(5,))
result = Executor(backend).run(program).result()
bits = result[0]["meas"]
found["circuit"] = [list(bits.shape), float(np.mean(bits[:, 0] == bits[:, 1]))]
found["sweep"] = np.mean(result[1]["c"], axis=(1, 2)).tolist()
twirled = result[2]["meas"] ^ result[2]["measurement_flips.meas"]
found["samplex"] = [list(twirled.shape), float(np.mean(twirled[..., 0] == twirled[..., 1]))]
found["chunks"] = len(result.metadata.chunk_timing)

# The client's primitives that are made of it.
with Batch(backend) as batch:
    sampler = Sampler(batch)
    sampler.options.twirling.enable_gates = True
    counts = sampler.run([bell], shots=1000).result()[0].data.meas.get_counts()
    found["sampler"] = (counts.get("00", 0) + counts.get("11", 0)) / sum(counts.values())
    estimator = Estimator(batch)
    ising = SparsePauliOp(["ZZ", "XI", "IX"], [1.0, 0.5, 0.5]).apply_layout(state.layout)
    found["estimator"] = float(estimator.run([(state, ising)], precision=0.03).result()[0].data.evs)

# Noise by layers of circuits, and by boxes.
learned = NoiseLearner(backend, {"max_layers_to_learn": 1}).run([state]).result()
[layer] = learned.data
found["layer"] = {
    "qubits": layer.qubits,
    "gates": [each.operation.name for each in layer.circuit],
    "generators": len(layer.error.generators),
    "rates": layer.error.rates.tolist(),
    "metadata": learned.metadata,
}
boxes = find_unique_box_instructions(boxed)
learned = NoiseLearnerV3(backend).run(boxes).result()
maps = learned.to_pauli_lindblad_maps()
found["boxes"] = [
    [item.metadata["learning_protocol"], each.num_qubits, float(np.sum(each.rates))]
    for item, each in zip(learned.data, maps, strict=True)
]
print(json.dumps(found))
