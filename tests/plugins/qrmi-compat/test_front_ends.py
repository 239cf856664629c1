"""Qiskit's and Pulser's front ends under the published names."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulser
import pytest
from qiskit import QuantumCircuit
from qiskit.primitives import BaseEstimatorV2, BasePrimitiveJob, BaseSamplerV2
from qiskit.quantum_info import SparsePauliOp

import qrmi
import qrmi.primitives
import qrmi_core
from qrmi import Payload, QuantumResource, ResourceType
from qrmi.primitives import QRMIBaseEstimatorV2, QRMIBaseSamplerV2, RuntimeJobV2
from qrmi.primitives.ibm import EstimatorV2, SamplerV2, get_backend, get_target
from qrmi.primitives.pasqal.sampler import QPPSamplerV2, QRMIPasqalBackend, QRMIPasqalJob
from qrmi.pulser.connection import PulserQRMIConnection
from qrmi_core import Observation
from qrmi_core.testing import FakeClock, FakeVendor
from qrmi_emulator import Emulator
from support.local_store import end_store


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("local") / "store"
    yield folder
    end_store(folder)


def local(home: Path, name: str) -> QuantumResource:
    config = {"QRMI_LOCAL_HOME": str(home), "QRMI_LOCAL_IDLE_SECONDS": "30"}
    return QuantumResource.from_config(name, ResourceType("local"), config)


@pytest.fixture
def bell() -> QuantumCircuit:
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    return circuit


def sent(vendor: FakeVendor) -> dict[str, Any]:
    """Return the last submitted input as JSON."""
    payload = list(vendor.tasks.values())[-1].payload
    assert isinstance(payload, qrmi_core.Payload.QiskitPrimitive)
    assert isinstance(payload.input, str)
    found: dict[str, Any] = json.loads(payload.input)
    return found


def test_the_primitives_are_the_published_classes() -> None:
    assert issubclass(SamplerV2, QRMIBaseSamplerV2)
    assert issubclass(QRMIBaseSamplerV2, BaseSamplerV2)
    assert issubclass(EstimatorV2, QRMIBaseEstimatorV2)
    assert issubclass(QRMIBaseEstimatorV2, BaseEstimatorV2)
    assert issubclass(RuntimeJobV2, BasePrimitiveJob)


def test_shots_are_1024_unless_said(
    vendor: FakeVendor, qpu: QuantumResource, bell: QuantumCircuit
) -> None:
    bell.measure_all()
    for options, shots in (
        (None, 1024),
        ({}, 1024),
        ({"default_shots": 7}, 7),
        ({"run_options": {"default_shots": 9}}, 1024),
    ):
        job = SamplerV2(qpu, options=options).run([bell])
        assert isinstance(job, RuntimeJobV2)
        assert sent(vendor)["pubs"][0][2] == shots
    SamplerV2(qrmi=qpu).run([(bell, None, 5)], shots=6)
    assert sent(vendor)["pubs"][0][2] == 5


def test_the_precision_is_that_of_the_published_package(
    vendor: FakeVendor, qpu: QuantumResource, bell: QuantumCircuit
) -> None:
    EstimatorV2(qpu).run([(bell, SparsePauliOp("ZZ"))])
    assert sent(vendor)["pubs"][0][3] == 0.015625
    EstimatorV2(qpu, options={"default_precision": 0.5}).run([(bell, SparsePauliOp("ZZ"))])
    assert sent(vendor)["pubs"][0][3] == 0.5


def test_run_options_are_options(
    vendor: FakeVendor, qpu: QuantumResource, bell: QuantumCircuit
) -> None:
    bell.measure_all()
    options = {"run_options": {"dynamical_decoupling": {"enable": True}, "new_option": 1}}
    SamplerV2(qpu, options=options).run([bell])
    assert sent(vendor)["options"]["dynamical_decoupling"] == {"enable": True}
    assert sent(vendor)["options"]["new_option"] == 1
    assert options["run_options"].keys() == {"dynamical_decoupling", "new_option"}


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"shots": 5}, qrmi.InvalidInputError),
        ({"nothing": 1}, qrmi.InvalidInputError),
        ({"run_options": {"shots": 1}}, qrmi.InvalidInputError),
        ({"run_options": 5}, TypeError),
        (5, TypeError),
    ],
)
def test_wrong_options_are_refused_when_they_are_given(
    qpu: QuantumResource, options: Any, kind: type[Exception]
) -> None:
    for primitive in (SamplerV2, EstimatorV2):
        with pytest.raises(kind):
            primitive(qpu, options=options)


@pytest.fixture(scope="module")
def system() -> Iterator[Emulator]:
    with Emulator(["ibm-da"]) as running:
        yield running


@pytest.mark.slow
def test_a_job_of_a_system_gives_its_lane_up_when_it_has_told_its_end(
    system: Emulator, bell: QuantumCircuit
) -> None:
    settings = system.settings_for("ibm-quantum-system")
    qpu = QuantumResource.from_config("aer", ResourceType.IBMQuantumSystem, settings)
    bell.measure_all()
    job = SamplerV2(qpu).run([bell])
    told = job.job_id()
    job.result(60)
    assert [info.id for info in qpu.task_list()] == [told]
    unread = SamplerV2(qpu).run([bell])
    unread.wait_for_final_state(60)
    kept = unread.job_id()
    del job, unread
    gc.collect()
    assert [info.id for info in qpu.task_list()] == [kept]
    found = SamplerV2(qpu).job(kept)
    assert found.result(60)[0].data.meas.num_shots == 1024
    del found
    gc.collect()
    assert [info.id for info in qpu.task_list()] == [kept], "it was not submitted by that object"
    system.fault("job-failed", reason="the fridge is warm")
    failed = SamplerV2(qpu).run([bell])
    with pytest.raises(RuntimeError, match="fridge"):
        failed.result(60)
    del failed
    gc.collect()
    assert [info.id for info in qpu.task_list()] == [kept]
    qpu.task_stop(kept)
    qpu.close()


@pytest.mark.slow
def test_it_does_so_at_the_end_of_the_program(system: Emulator, bell: QuantumCircuit) -> None:
    settings = system.settings_for("ibm-quantum-system")
    script = (
        "import json, sys\n"
        "from qiskit import QuantumCircuit\n"
        "from qrmi import QuantumResource, ResourceType\n"
        "from qrmi.primitives.ibm import SamplerV2\n"
        "config = json.loads(sys.stdin.read())\n"
        "qpu = QuantumResource.from_config('aer', ResourceType.IBMQuantumSystem, config)\n"
        "circuit = QuantumCircuit(1)\n"
        "circuit.measure_all()\n"
        "job = SamplerV2(qpu).run([circuit])\n"
        "print(job.result(60)[0].data.meas.get_counts(), len(qpu.task_list()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps(settings),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "{'0': 1024} 1\n", "")
    qpu = QuantumResource.from_config("aer", ResourceType.IBMQuantumSystem, settings)
    assert not qpu.task_list()
    qpu.close()


def test_a_wrong_option_is_a_type_error_as_published(qpu: QuantumResource) -> None:
    for primitive in (SamplerV2, EstimatorV2):
        for options in ({"bogus": 1}, {"run_options": {"twirling": 3}}, {"twirling": 3}):
            with pytest.raises(TypeError, match=r"option `(bogus|twirling)`") as caught:
                primitive(qpu, options=options)
            assert isinstance(caught.value, qrmi.InvalidInputError)


def test_dropping_a_job_stops_nothing_and_it_is_found_again(
    vendor: FakeVendor, qpu: QuantumResource, bell: QuantumCircuit
) -> None:
    bell.measure_all()
    sampler = SamplerV2(qpu)
    job_id = sampler.run([bell]).job_id()
    again = RuntimeJobV2(qpu, job_id, delete_job=True)
    assert isinstance(sampler.job(job_id), RuntimeJobV2)
    assert again.in_final_state() is False
    del again
    gc.collect()
    assert vendor.calls["task_stop"] == 0


@pytest.mark.slow
def test_primitives_backend_and_target_work_on_a_simulator(
    home: Path, bell: QuantumCircuit
) -> None:
    qpu = local(home, "fake_manila")
    backend = get_backend(qpu, use_fractional_gates=False)
    assert backend.num_qubits == get_target(qpu).num_qubits == 5
    aer = local(home, "aer")
    job = EstimatorV2(aer).run([(bell, SparsePauliOp("ZZ"))], precision=0.1)
    assert job.result(60)[0].data.evs == pytest.approx(1, abs=0.5)
    bell.measure_all()
    assert SamplerV2(aer).run([bell]).result()[0].data.meas.num_shots == 1024


def sequence() -> pulser.Sequence:
    register = pulser.Register({"q0": (0.0, 0.0), "q1": (10.0, 0.0)})
    made = pulser.Sequence(register, pulser.DigitalAnalogDevice)
    made.declare_channel("rydberg", "rydberg_global")
    made.add(pulser.Pulse.ConstantPulse(200, 2.0, 0.0, 0.0), "rydberg")
    made.measure("ground-rydberg")
    return made


class PulseVendor(FakeVendor):
    """An in-memory vendor that accepts pulse sequences."""

    def driver(self, **kind: bool) -> Any:
        made = super().driver(**kind)
        made.payloads = (qrmi_core.Payload.PasqalCloud,)
        return made


@pytest.fixture
def pulses() -> tuple[PulseVendor, QuantumResource]:
    vendor, clock = PulseVendor(result=b'{"counter": {"01": 3, "11": 1}}'), FakeClock()
    made = QuantumResource(
        "EMU_FREE", "fake", {}, driver_class=vendor.driver(), clock=clock, sleep=clock.sleep
    )
    return vendor, made


def test_a_connection_submits_and_waits_as_published(
    pulses: tuple[PulseVendor, QuantumResource],
) -> None:
    vendor, qpu = pulses
    connection = PulserQRMIConnection(qpu)
    assert connection.supports_open_batch() is False
    results = connection.submit(sequence(), job_params=[{"runs": 4, "variables": {}}])
    assert vendor.calls["task_status"] == 3  # until it had ended
    assert dict(results.results[0].final_bitstrings) == {"01": 3, "11": 1}


def test_a_connection_without_a_resource_takes_the_only_one_of_the_job(
    monkeypatch: pytest.MonkeyPatch, pulses: tuple[PulseVendor, QuantumResource]
) -> None:
    _, qpu = pulses
    found: list[QuantumResource] = []
    monkeypatch.setattr(
        "qrmi.pulser.connection.QRMIService",
        lambda: type("Service", (), {"resources": staticmethod(lambda: found)})(),
    )
    with pytest.raises(RuntimeError, match="No accessible QRMI resource found"):
        PulserQRMIConnection()
    found.append(qpu)
    assert PulserQRMIConnection().resource is qpu
    found.append(qpu)
    with pytest.raises(ValueError, match="EMU_FREE, EMU_FREE"):
        PulserQRMIConnection()


def test_a_connection_to_what_takes_no_sequences_is_a_value_error(qpu: QuantumResource) -> None:
    with pytest.raises(ValueError):
        PulserQRMIConnection(qpu)


def test_the_older_names_of_pulsers_front_end_are_there() -> None:
    from qrmi.pulser_backend.backend import PulserQRMIBackend, PulserQRMIConnection as older

    assert older is PulserQRMIConnection is qrmi.pulser.PulserQRMIConnection
    assert issubclass(PulserQRMIBackend, pulser.QPUBackend)


@pytest.fixture
def analog() -> QuantumCircuit:
    from qiskit_pasqal_provider.providers.gate import HamiltonianGate, InterpolatePoints

    pulse = HamiltonianGate(
        amplitude=InterpolatePoints(values=[0, 6, 0], duration=1000),
        detuning=InterpolatePoints(values=[0, 0, 0], duration=1000),
        phase=0.0,
        coords=[(0, 0), (0, 8)],
    )
    circuit = QuantumCircuit(2)
    circuit.append(pulse, [0, 1])
    return circuit


@pytest.mark.slow
def test_pasqals_sampler_has_the_published_options(home: Path, analog: QuantumCircuit) -> None:
    qpu = local(home, "EMU_FREE")
    options = {
        "default_shots": 30,
        "run_options": {"poll_interval_seconds": 0.1, "timeout_seconds": 60, "delete_job": True},
    }
    job = QPPSamplerV2(qpu, options=options).run([analog])
    assert isinstance(job, QRMIPasqalJob)
    assert sum(job.result()[0].data.counts.values()) == 30


@pytest.mark.slow
def test_the_backend_serves_the_providers_own_sampler(home: Path, analog: QuantumCircuit) -> None:
    from qiskit_pasqal_provider.providers.sampler import SamplerV2 as ProvidersSampler

    qpu = local(home, "EMU_FREE")
    job = ProvidersSampler(QRMIPasqalBackend(qrmi=qpu)).run([analog], shots=20)
    assert sum(job.result()[0].data.counts.values()) == 20


@pytest.mark.parametrize(
    ("name", "device"), [("Emu_Free", "DigitalAnalogDevice"), ("FRESNEL", "AnalogDevice")]
)
def test_an_emulator_is_not_held_to_the_limits_of_the_machines_that_its_target_lists(
    name: str, device: str, analog: QuantumCircuit
) -> None:
    from qrmi.primitives.pasqal import get_device

    specs = pulser.AnalogDevice.to_abstract_repr()
    listed = json.dumps([{"device_type": "FRESNEL", "specs": specs}]).encode()
    vendor = PulseVendor()
    driver = vendor.driver()
    driver.target = lambda self: self.vendor.called("target") or listed
    qpu = QuantumResource(name, "fake", {}, driver_class=driver)
    QRMIPasqalBackend(qpu).run(analog, shots=5)
    [task] = vendor.tasks.values()
    assert isinstance(task.payload, qrmi_core.Payload.PasqalCloud)
    assert isinstance(task.payload.sequence, str)
    assert json.loads(task.payload.sequence)["device"]["name"] == device
    assert get_device(qpu).name == device
    assert ("target" in vendor.calls) == (name == "FRESNEL")


def test_the_time_to_wait_for_pasqals_result_is_an_option(
    pulses: tuple[PulseVendor, QuantumResource],
) -> None:
    vendor, qpu = pulses
    vendor.reports = [Observation(qrmi.TaskStatus.Running)]
    job_id = qpu.task_start(Payload.PasqalCloud("{}", 3))
    with pytest.raises(TimeoutError):
        QRMIPasqalJob(qpu, job_id, "EMU_FREE", timeout_seconds=5).result()


@pytest.mark.parametrize("options", [{"shots": 1}, {"run_options": {"other": 1}}])
def test_unknown_options_of_pasqals_sampler_are_type_errors(
    pulses: tuple[PulseVendor, QuantumResource], options: dict[str, Any]
) -> None:
    with pytest.raises(TypeError, match="is unknown") as caught:
        QPPSamplerV2(pulses[1], options=options)
    assert isinstance(caught.value, qrmi.InvalidInputError)


def test_an_analog_machine_has_no_target_of_qiskits(
    pulses: tuple[PulseVendor, QuantumResource],
) -> None:
    from qrmi.primitives.pasqal import SamplerV2 as PasqalSampler, get_target as pasqals_target

    assert PasqalSampler is QPPSamplerV2
    with pytest.raises(NotImplementedError, match="EMU_FREE"):
        pasqals_target(pulses[1])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("blocked", "imported", "extra"),
    [
        ("qrmi_qiskit", "qrmi.primitives.ibm", "ibm"),
        ("qiskit", "qrmi.primitives.ibm", "ibm"),
        ("qiskit_pasqal_provider", "qrmi.primitives.pasqal", "pasqal"),
        ("qrmi_pulser", "qrmi.pulser.connection", "pasqal"),
        ("pulser", "qrmi.pulser.connection", "pasqal"),
    ],
)
def test_a_front_end_that_is_not_installed_names_the_extra(
    blocked: str, imported: str, extra: str
) -> None:
    code = f"""
import importlib, importlib.abc, sys
class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {blocked!r}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)
sys.meta_path.insert(0, Blocker())
import qrmi.primitives, qrmi.pulser
assert qrmi.primitives.QRMIService is qrmi.pulser.QRMIService
importlib.import_module({imported!r})
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=100
    )
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ModuleNotFoundError: ")
    assert f"pip install 'qrmi-compat[{extra}]'" in last
