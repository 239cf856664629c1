"""A job's program: compute an expectation value with Qiskit, on the job's QPU."""

from qiskit import QuantumCircuit, generate_preset_pass_manager
from qiskit.quantum_info import SparsePauliOp

from qrmi_core import resources_from_job
from qrmi_qiskit import EstimatorV2, get_backend

[qpu] = resources_from_job()
bell = QuantumCircuit(2)
bell.h(0)
bell.cx(0, 1)
isa = generate_preset_pass_manager(optimization_level=1, backend=get_backend(qpu)).run(bell)
correlation = SparsePauliOp("ZZ").apply_layout(isa.layout)
job = EstimatorV2(qpu).run([(isa, correlation)], precision=0.05)
print(f"value={job.result(timeout=100)[0].data.evs:.3f}")
