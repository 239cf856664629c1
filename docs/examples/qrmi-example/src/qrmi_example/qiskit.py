"""A coin as a Qiskit backend, for `qrmi_qiskit.get_backend`."""

from __future__ import annotations

import json
from typing import Any

from qiskit import QuantumCircuit
from qiskit.circuit import Measure
from qiskit.circuit.library import HGate
from qiskit.primitives import BitArray, DataBin, PrimitiveResult, SamplerPubResult
from qiskit.providers import BackendV2, Options
from qiskit.transpiler import Target

from qrmi_core import QuantumResource, counts_of
from qrmi_core.plugin import InvalidInputError
from qrmi_example.payload import Coin
from qrmi_qiskit import TaskJob


class CoinJob(TaskJob):
    """A task of a coin as a Qiskit job."""

    def decode(self, text: str) -> PrimitiveResult:
        """Return the text of a task's result as a sampler result."""
        return PrimitiveResult(
            [
                SamplerPubResult(DataBin(meas=BitArray.from_counts(counts)))
                for counts in counts_of(self.task, text)
            ]
        )


class CoinBackend(BackendV2):  # type: ignore[misc]
    """A coin as a Qiskit backend: a gate ``h`` on each qubit, and measurements.

    Args:
        resource: The resource.
        shots: The default number of shots.
    """

    def __init__(self, resource: QuantumResource, *, shots: int = 1024) -> None:
        super().__init__(name=resource.resource_id())
        self.resource = resource
        self.options.shots = shots
        self._target = Target(num_qubits=json.loads(resource.target().value)["coins"])
        self._target.add_instruction(HGate())
        self._target.add_instruction(Measure())

    @property
    def target(self) -> Target:
        """The instructions that a coin can execute."""
        return self._target

    @property
    def max_circuits(self) -> int:
        """The maximum number of circuits in one task."""
        return 1

    @classmethod
    def _default_options(cls) -> Options:
        return Options(shots=1024)

    def run(self, run_input: QuantumCircuit, shots: int | None = None, **_options: Any) -> CoinJob:
        """Submit a circuit as a task.

        Args:
            run_input: A circuit for `target`, with one ``h`` for each qubit.
            shots: Number of shots; by default the backend's.

        Raises:
            InvalidInputError: The circuit contains more than flips and measurements.
        """
        operations = [instruction.operation.name for instruction in run_input.data]
        flips = operations.count("h")
        if flips != run_input.num_qubits or {*operations} - {"h", "measure", "barrier"}:
            raise InvalidInputError("a coin runs one h for each qubit, and measurements")
        payload = Coin(f"flip {flips}", shots=shots or self.options.shots)
        return CoinJob(self.resource, self.resource.task_start(payload))
