"""A resource as a Qiskit backend."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from qiskit import QuantumCircuit, generate_preset_pass_manager, transpile
from qiskit.circuit import ForLoopOp, Measure, Parameter
from qiskit.circuit.library import RZZGate
from qiskit.primitives.containers.bindings_array import BindingsArray
from qiskit.providers import BackendV2
from qiskit.transpiler import Target

from qrmi_core import (
    InvalidResponseError,
    QuantumResource,
    TransportError,
    UnsupportedFunctionError,
)
from qrmi_core.driver import Driver
from qrmi_core.testing import FakeVendor
from qrmi_qiskit import InvalidArgumentError, QRMIBackend, SamplerV2, get_backend, get_target
from qrmi_qiskit.backend import isa_defect
from support.fakes import fake_resource
from support.local_store import MakeResource

DATE = "2024-01-01T00:00:00+00:00"
FRACTIONAL = {"rx", "rzz"}


def device(*, simulator: bool = False, error: float = 0.01) -> dict[str, Any]:
    """Return the documents of a device with three qubits in a row and fractional gates."""
    pairs = [[0, 1], [1, 0], [1, 2], [2, 1]]
    gates = {"cz": (2, []), "rzz": (2, ["t"]), "sx": (1, []), "rz": (1, ["t"]), "rx": (1, ["t"])}
    places = {1: [[0], [1], [2]], 2: pairs}
    number = {"date": DATE, "unit": ""}
    return {
        "configuration": {
            "backend_name": "small",
            "backend_version": "1.2.3",
            "n_qubits": 3,
            "basis_gates": list(gates),
            "gates": [
                {
                    "name": name,
                    "parameters": parameters,
                    "qasm_def": f"gate {name}",
                    "coupling_map": places[width],
                }
                for name, (width, parameters) in gates.items()
            ],
            "coupling_map": pairs,
            "supported_instructions": [*gates, "measure", "reset", "delay", "if_else"],
            "local": False,
            "simulator": simulator,
            "conditional": False,
            "open_pulse": False,
            "memory": True,
            "max_shots": 1000,
            "online_date": DATE,
            "dt": 0.5,
            "dtm": 0.5,
            "meas_map": [[0, 1, 2]],
        },
        "properties": {
            "backend_name": "small",
            "backend_version": "1.2.3",
            "last_update_date": DATE,
            "general": [],
            "qubits": [
                [
                    {**number, "name": "T1", "unit": "us", "value": 100.0},
                    {**number, "name": "readout_error", "value": error},
                ]
                for _ in range(3)
            ],
            "gates": [
                {
                    "gate": name,
                    "name": f"{name}{place}",
                    "qubits": place,
                    "parameters": [{**number, "name": "gate_error", "value": error}],
                }
                for name, (width, _) in gates.items()
                for place in places[width]
            ],
        },
    }


class Described:
    """An in-memory vendor whose resource has a given target."""

    def __init__(self) -> None:
        self.vendor = FakeVendor()
        self.text = json.dumps(device())
        driver = self.vendor.driver()
        documents = self

        class DescribedDriver(driver):  # type: ignore[misc, valid-type]
            def target(self) -> bytes:
                documents.vendor.called("target")
                return documents.text.encode()

        self.qpu = QuantumResource("small", "fake", {}, driver_class=DescribedDriver)


@pytest.fixture
def described() -> Described:
    return Described()


def test_a_backend_has_what_the_documents_say(described: Described) -> None:
    backend = get_backend(described.qpu)
    assert isinstance(backend, BackendV2)
    assert isinstance(backend, QRMIBackend)
    assert (backend.name, backend.backend_version, backend.num_qubits) == ("small", "1.2.3", 3)
    assert backend.resource is described.qpu
    assert backend.target.dt == backend.dt == pytest.approx(0.5e-9)
    assert backend.dtm == pytest.approx(0.5e-9)
    assert backend.meas_map == [[0, 1, 2]]
    assert backend.max_circuits is None
    assert backend.target["cz"][(0, 1)].error == 0.01
    assert backend.target["measure"][(0,)].error == 0.01
    assert backend.qubit_properties(0).t1 == pytest.approx(1e-4)
    assert backend.configuration().max_shots == backend.max_shots == 1000
    assert backend.properties().readout_error(0) == 0.01
    status = backend.status()
    assert (status.operational, status.pending_jobs, status.status_msg) == (True, 0, "online")
    assert "small" in repr(backend)
    with pytest.raises(AttributeError, match="no_such_thing"):
        _ = backend.no_such_thing


def test_fractional_gates_are_there_on_demand(described: Described) -> None:
    assert FRACTIONAL.isdisjoint(get_target(described.qpu).operation_names)
    assert get_target(described.qpu, use_fractional_gates=True).operation_names >= FRACTIONAL
    assert get_backend(described.qpu, True).target.operation_names >= FRACTIONAL


def test_a_simulator_has_all_of_its_gates(aer: QuantumResource) -> None:
    target = get_target(aer)
    assert isinstance(target, Target)
    assert target.operation_names >= {"rx", "rzz", "h", "cx", "measure", "if_else"}
    assert get_backend(aer).get_translation_stage_plugin() is None


def test_circuits_are_transpiled_for_it_with_and_without_fractional_gates(
    described: Described,
) -> None:
    theta = Parameter("theta")
    circuit = QuantumCircuit(2)
    circuit.rx(theta, 0)
    circuit.rzz(0.3, 0, 1)
    circuit.measure_all()
    for fractional in (False, True):
        backend = get_backend(described.qpu, fractional)
        for isa in (
            transpile(circuit, backend, seed_transpiler=1),
            generate_preset_pass_manager(
                optimization_level=1, backend=backend, seed_transpiler=1
            ).run(circuit),
        ):
            assert bool(FRACTIONAL & isa.count_ops().keys()) is fractional
            SamplerV2(described.qpu).run([(isa, [0.1])])
    assert len(described.vendor.tasks) == 4


@pytest.mark.slow
def test_loops_that_are_left_are_transpiled_for_an_ideal_simulator(aer: QuantumResource) -> None:
    circuit = QuantumCircuit(1, 1)
    with circuit.for_loop(range(3)):
        circuit.measure(0, 0)
        with circuit.if_test((circuit.clbits[0], 1)):
            circuit.break_loop()
        circuit.x(0)
        circuit.delay(1.5, 0, "us")
        circuit.continue_loop()
    isa = transpile(circuit, get_backend(aer), optimization_level=1)
    data = SamplerV2(aer).run([isa], shots=10).result(60)[0].data
    assert data.c.get_counts() == {"1": 10}


def test_a_refresh_fetches_the_device_as_it_is_now(described: Described) -> None:
    backend = get_backend(described.qpu)
    described.text = json.dumps(device(error=0.5))
    assert backend.target["cz"][(0, 1)].error == 0.01
    assert described.vendor.calls["target"] == 1
    backend.refresh()
    assert backend.target["cz"][(0, 1)].error == 0.5
    described.text = json.dumps(device(error=0.25))
    assert backend.properties().readout_error(0) == 0.5
    assert backend.properties(refresh=True).readout_error(0) == 0.25
    assert described.vendor.calls["target"] == 3


def test_what_is_faulty_is_not_offered_and_is_refused(described: Described) -> None:
    documents = device()
    properties = documents["properties"]
    faulty = {"date": DATE, "unit": "", "name": "operational", "value": 0}
    coupling = next(gate for gate in properties["gates"] if gate["qubits"] == [0, 1])
    coupling["parameters"].append(faulty)
    described.text = json.dumps(documents)
    backend = get_backend(described.qpu)
    assert (0, 1) not in backend.target[coupling["gate"]]
    circuit = QuantumCircuit(3)
    circuit.sx(2)
    circuit.cz(1, 2)
    backend.check_faulty(circuit)
    circuit.cz(0, 1)
    with pytest.raises(ValueError, match=r"cz uses the coupling \(0, 1\), which is faulty"):
        backend.check_faulty(circuit)
    properties["qubits"][2].append(faulty)
    described.text = json.dumps(documents)
    backend.refresh()
    assert (2,) not in backend.target["sx"]
    with pytest.raises(InvalidArgumentError, match="sx uses qubit 2, which is faulty"):
        backend.check_faulty(circuit)


def test_a_backend_serves_the_check_of_circuits_without_a_further_request(
    described: Described, bell: QuantumCircuit
) -> None:
    isa = transpile(bell, get_backend(described.qpu), seed_transpiler=1)
    for _ in range(3):
        SamplerV2(described.qpu).run([isa])
    assert described.vendor.calls["target"] == 1


def test_a_backend_runs_nothing_and_says_what_does(described: Described, bell: Any) -> None:
    with pytest.raises(UnsupportedFunctionError, match=r"SamplerV2\(resource\)"):
        get_backend(described.qpu).run([bell])


def circuit_of(*steps: tuple[Any, ...], width: int = 3) -> QuantumCircuit:
    circuit = QuantumCircuit(width, 1)
    for name, *arguments in steps:
        getattr(circuit, name)(*arguments)
    return circuit


def conditional(gate: str) -> QuantumCircuit:
    circuit = QuantumCircuit(3, 1)
    with circuit.if_test((circuit.clbits[0], 1)):
        getattr(circuit, gate)(2)
    return circuit


@pytest.mark.parametrize(
    ("circuit", "message"),
    [
        (circuit_of(("h", 0)), "no h on qubit 0"),
        (circuit_of(("cz", 0, 2)), "no cz on qubit 0, qubit 2"),
        (circuit_of(("sx", 0), width=4), "4 qubits, the device 3"),
        (circuit_of(("rzz", 2.0, 0, 1)), "angles from 0 to pi/2, not for 2"),
        (circuit_of(("rzz", -0.1, 0, 1)), "not for -0.1"),
        (conditional("x"), "no x on qubit 2"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_circuit_that_the_device_cannot_execute_is_refused(
    described: Described, circuit: QuantumCircuit, message: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=message) as refused:
        SamplerV2(described.qpu).run([circuit])
    assert "transpile" in str(refused.value)
    assert not described.vendor.tasks


def test_every_value_of_an_angle_is_looked_at(described: Described) -> None:
    theta = Parameter("theta")
    circuit = circuit_of(("rzz", 2 * theta, 0, 1), ("barrier",), ("measure", 0, 0))
    good = np.linspace(0, math.pi / 4, 5)[:, None]
    SamplerV2(described.qpu).run([(circuit, good)])
    with pytest.raises(InvalidArgumentError, match="not for 1.6"):
        SamplerV2(described.qpu).run([(circuit, [[0.1], [0.8]])])
    assert len(described.vendor.tasks) == 1


def turned(angle: Callable[[Any], Any]) -> QuantumCircuit:
    circuit = QuantumCircuit(3, 1)
    with circuit.for_loop((1, 2)) as turn:
        circuit.rzz(angle(turn), 0, 1)
    circuit.measure(0, 0)
    return circuit


@pytest.mark.parametrize("values", [None, [0.2]])
def test_every_round_of_a_loop_is_looked_at(values: Any) -> None:
    target = Target(num_qubits=3)
    target.add_instruction(RZZGate(Parameter("a")), {(0, 1): None})
    target.add_instruction(Measure(), {(0,): None})
    target.add_instruction(ForLoopOp, name="for_loop")
    factor = Parameter("factor") if values else 0.2
    given = BindingsArray({"factor": values} if values else {})
    assert isa_defect(turned(lambda turn: factor * turn), given, target) is None
    defect = isa_defect(turned(lambda turn: factor * 5 * turn), given, target)
    assert defect == "the device has rzz for angles from 0 to pi/2, not for 2"


def test_loops_in_loops_are_looked_at() -> None:
    target = Target(num_qubits=2)
    target.add_instruction(RZZGate(Parameter("a")), {(0, 1): None})
    target.add_instruction(ForLoopOp, name="for_loop")
    circuit = QuantumCircuit(2)
    with circuit.for_loop((1, 2)) as outer, circuit.for_loop((1, 9)) as inner:
        circuit.rzz(outer * inner * 0.1, 0, 1)
    defect = isa_defect(circuit, BindingsArray(), target)
    assert defect == "the device has rzz for angles from 0 to pi/2, not for 1.8"


def test_boxes_and_gates_of_the_circuits_own_are_refused(described: Described) -> None:
    boxed = QuantumCircuit(3, 1)
    with boxed.box():
        boxed.sx(1)
    other = QuantumCircuit(1, name="sx")
    other.h(0)
    own = QuantumCircuit(3, 1)
    own.append(other.to_gate(), [2])
    turned = QuantumCircuit(3, 1)
    other = QuantumCircuit(1, name="sx")
    other.rx(Parameter("theta"), 0)
    turned.append(other.to_gate(), [2])
    for circuit, message in (
        (turned.assign_parameters([0.3]), "^pub 0: sx on qubit 2 is defined by the circuit"),
        (boxed, "^pub 0: the device has no box on qubit .*: put its body into the circuit"),
        (own, "^pub 0: sx on qubit 2 is defined by the circuit and not the device's: rename it"),
    ):
        with pytest.raises(InvalidArgumentError, match=message):
            SamplerV2(described.qpu).run([circuit])
    assert not described.vendor.tasks


def test_a_gate_with_the_devices_own_definition_is_the_devices(described: Described) -> None:
    same = QuantumCircuit(1, name="rz")
    theta = Parameter("theta")
    same.p(theta, 0)
    circuit = QuantumCircuit(3, 1)
    circuit.append(same.to_gate(), [2])
    SamplerV2(described.qpu).run([(circuit, [0.3])])
    assert len(described.vendor.tasks) == 1


def test_a_simulators_circuits_are_not_checked(described: Described) -> None:
    described.text = json.dumps(device(simulator=True))
    SamplerV2(described.qpu).run([circuit_of(("h", 0))])
    assert len(described.vendor.tasks) == 1


def test_a_simulator_may_have_no_properties(described: Described) -> None:
    documents = device(simulator=True)
    described.text = json.dumps(documents | {"properties": None})
    backend = get_backend(described.qpu)
    assert backend.properties() is None
    assert backend.num_qubits == 3


NO_BACKEND = r"cannot be used as a Qiskit backend: "


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "[" * 100_000,
        '{"configuration": null, "properties": null}',
        '{"configuration": {}}',
    ],
)
def test_a_target_of_another_kind_is_an_error_of_the_backend_alone(
    described: Described, bell: QuantumCircuit, text: str
) -> None:
    described.text = text
    with pytest.raises(InvalidResponseError, match=f"small {NO_BACKEND}"):
        get_backend(described.qpu)


def test_a_resource_without_a_target_runs_circuits_unchecked(bell: QuantumCircuit) -> None:
    vendor = FakeVendor()
    driver = vendor.driver()
    driver.target = Driver.target  # type: ignore[method-assign]
    qpu = QuantumResource("fake", "fake", {}, driver_class=driver)
    SamplerV2(qpu).run([bell])
    assert len(vendor.tasks) == 1
    with pytest.raises(UnsupportedFunctionError, match=f"fake {NO_BACKEND}it has no target"):
        get_backend(qpu)


def test_a_vendor_out_of_reach_is_that_error_and_nothing_is_sent(bell: QuantumCircuit) -> None:
    vendor = FakeVendor()
    vendor.faults["target"] = [TransportError("the network is down")]
    qpu = fake_resource(vendor)
    with pytest.raises(TransportError, match="the network is down"):
        SamplerV2(qpu).run([bell])
    assert not vendor.tasks
    SamplerV2(qpu).run([bell])
    assert len(vendor.tasks) == 1


def test_the_snapshots_of_devices_are_backends(local: MakeResource) -> None:
    backend = get_backend(local("fake_fez"))
    assert backend.num_qubits == 156
    assert backend.get_translation_stage_plugin() == "ibm_dynamic_circuits"
    assert len(backend.coupling_map.get_edges()) > 156
