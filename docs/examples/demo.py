"""A demonstration: three real jobs on local simulators.

Runs a Qiskit sampler job, a Qiskit estimator job and a Pulser pulse sequence. Each goes through
acquire, start, wait, result and release.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping

import numpy as np
from pulser import Pulse, Register, Sequence
from pulser.devices import AnalogDevice
from qiskit import QuantumCircuit, qasm3
from qiskit.circuit import Parameter
from qiskit_ibm_runtime import RuntimeDecoder
from rich.console import Console
from rich.live import Live
from rich.text import Text

from qrmi_core import Payload, QuantumResource, Task

console = Console()


def ghz() -> Payload:
    """Return a circuit of three qubits that agree: 000 or 111, half of the time each."""
    circuit = QuantumCircuit(3)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.cx(1, 2)
    circuit.measure_all()
    pubs = [[qasm3.dumps(circuit), None, 1000]]
    return Payload.QiskitPrimitive({"pubs": pubs, "version": 2, "options": {}}, "sampler")


def ising() -> Payload:
    """Return a pair of rotated qubits; <ZZ> is 1, and <XX> is the sine of the angle."""
    angle = Parameter("angle")
    circuit = QuantumCircuit(2)
    circuit.ry(angle, 0)
    circuit.cx(0, 1)
    pubs = [[qasm3.dumps(circuit), [{"ZZ": 1.0}, {"XX": 1.0}], [math.pi / 6], 0.005]]
    return Payload.QiskitPrimitive({"pubs": pubs, "version": 2, "options": {}}, "estimator")


def blockade() -> Payload:
    """Return two atoms too close to be excited together: 11 is rare."""
    register = Register.rectangle(1, 2, spacing=6.0, prefix="q").with_automatic_layout(AnalogDevice)
    sequence = Sequence(register, AnalogDevice)
    sequence.declare_channel("rydberg", "rydberg_global")
    sequence.add(Pulse.ConstantPulse(400, 2 * np.pi, 0.0, 0.0), "rydberg")
    sequence.measure("ground-rydberg")
    return Payload.PasqalCloud(sequence=sequence.to_abstract_repr(), job_runs=1000)


class StatusLine:
    """A line of text with the current status of a task."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.start = time.monotonic()

    def __rich__(self) -> Text:
        report = self.task.last_report
        words = self.task.history[-1].status.name if self.task.history else "Submitted"
        if report is not None and report.queue_position is not None:
            words += f", {report.queue_position} before it"
        return Text(f"  {words}, {time.monotonic() - self.start:.1f} s", style="cyan")


def execute(title: str, resource_id: str, payload: Payload) -> str:
    """Run a task from acquisition to release, and return its result."""
    console.print(f"\n[bold]{title}[/] on local:{resource_id}")
    with QuantumResource(resource_id, "local") as qpu:
        console.print(f"  acquired {resource_id}")
        task = qpu.run(payload)
        console.print(f"  started task {task.id}")
        with Live(StatusLine(task), console=console, refresh_per_second=10, transient=True):
            task.wait()
        result = task.result().value
    for move in task.history:
        console.print(f"  {move.at.astimezone():%H:%M:%S.%f} {move.status.name}", highlight=False)
    console.print(f"  released {resource_id}")
    return result


def histogram(counts: Mapping[str, int]) -> None:
    """Draw the counts, the most frequent bit strings first."""
    shots = sum(counts.values())
    for bits, count in sorted(counts.items(), key=lambda item: -item[1])[:16]:
        console.print(f"  {bits} {'█' * round(50 * count / shots)} {count}", highlight=False)


def main() -> None:
    """Run the three jobs and print their results."""
    sampled = json.loads(execute("A GHZ state, sampled", "aer", ghz()), cls=RuntimeDecoder)
    counts = sampled[0].data.meas.get_counts()
    histogram(counts)
    assert set(counts) == {"000", "111"}, counts

    estimated = json.loads(execute("A rotated pair, estimated", "aer", ising()), cls=RuntimeDecoder)
    zz, xx = estimated[0].data.evs
    zz_error, xx_error = estimated[0].data.stds
    # A value above 1 is possible: its error is the requested precision.
    console.print(f"  <ZZ> = {zz:.3f} ± {zz_error:.3f} (exact 1)", highlight=False)
    console.print(
        f"  <XX> = {xx:.3f} ± {xx_error:.3f} (exact {math.sin(math.pi / 6):.3f})", highlight=False
    )
    assert abs(zz - 1) < 0.05, zz
    assert abs(xx - 0.5) < 0.05, xx

    measured = json.loads(execute("A Rydberg blockade, pulse by pulse", "EMU_FREE", blockade()))
    histogram(measured["counter"])
    assert measured["counter"].get("11", 0) < 100, measured


if __name__ == "__main__":
    main()
