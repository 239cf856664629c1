"""Qiskit's sampler for Pasqal, on Pulser's local emulator."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit_pasqal_provider.providers.gate import HamiltonianGate, InterpolatePoints
from qiskit_pasqal_provider.providers.sampler import SamplerV2 as TheirSampler

from qrmi_core import InvalidResponseError, Payload, QuantumResource, UnsupportedPayloadError
from qrmi_core.driver import Driver
from qrmi_core.testing import FakeVendor
from qrmi_qiskit import InvalidArgumentError
from qrmi_qiskit.pasqal import QRMIPasqalBackend, SamplerV2, get_device
from support.fakes import fake_resource
from support.local_store import MakeResource
from support.processes import said

SECONDS = 60.0
AMPLITUDE = Parameter("amplitude")


@pytest.fixture(scope="module")
def emulator(local: MakeResource) -> QuantumResource:
    return local("EMU_FREE")


def analog(values: list[Any], coords: Any = ((0, 0), (0, 20))) -> QuantumCircuit:
    """Return atoms that are too far apart to interact."""
    still = InterpolatePoints(values=[0, 0, 0], duration=1000)
    gate = HamiltonianGate(InterpolatePoints(values=values, duration=1000), still, 0.0, coords)
    circuit = QuantumCircuit(len(coords))
    circuit.append(gate, range(len(coords)))
    return circuit


@pytest.mark.slow
def test_an_analog_circuit_is_sampled(emulator: QuantumResource) -> None:
    sampler = SamplerV2(emulator)
    assert isinstance(sampler, TheirSampler)
    # The area of the pulse is pi: both atoms are excited.
    job = sampler.run([analog([3.14159, 3.14159, 3.14159])], shots=100)
    result = job.result(SECONDS)
    data = result[0].data
    assert sum(data.counts.values()) == 100
    assert data.counts["11"] > 90
    assert data.meas.num_shots == 100
    assert result.metadata["job_id"] == job.job_id()
    assert job.done()
    assert sampler.job(job.job_id()).result(SECONDS)[0].data.counts == data.counts


def test_parameters_get_their_values(emulator: QuantumResource) -> None:
    circuit = analog([AMPLITUDE, AMPLITUDE, AMPLITUDE])
    sampler = SamplerV2(emulator, options={"default_shots": 50})
    [dark, bright] = [
        sampler.run([(circuit, {AMPLITUDE: [value] * 3})]).result(SECONDS)[0].data.counts
        for value in (0.0, 3.14159)
    ]
    assert dark == {"00": 50}
    assert bright["11"] > 45


class Bench:
    """An in-memory vendor that accepts pulse sequences and has this target."""

    def __init__(self, target: bytes | None = None) -> None:
        self.vendor = FakeVendor(result=b'{"counter": {"01": 3, "11": 1}}')
        driver = self.vendor.driver()
        driver.payloads = (Payload.PasqalCloud,)
        driver.target = Driver.target if target is None else lambda _self: target  # type: ignore[method-assign, assignment]
        self.qpu = QuantumResource("FRESNEL", "fake", {}, driver_class=driver)


def test_the_payload_is_the_sequence_and_the_shots() -> None:
    bench = Bench()
    SamplerV2(bench.qpu).run([analog([1, 1, 1])])
    SamplerV2(bench.qpu).run(((analog([1, 1, 1]),),), shots=7)
    first, second = (task.payload for task in bench.vendor.tasks.values())
    assert isinstance(first, Payload.PasqalCloud)
    assert (first.job_runs, second.job_runs) == (1024, 7)
    sequence = json.loads(str(first.sequence))
    assert sequence["device"]["name"] == "DigitalAnalogDevice"
    assert len(sequence["register"]) == 2


def test_counts_are_as_pasqal_writes_them_and_bits_as_qiskit_does() -> None:
    data = SamplerV2(Bench().qpu).run([analog([1, 1, 1])]).result()[0].data
    assert data.counts == {"01": 3, "11": 1}
    # The second atom is excited, which Qiskit writes on the left.
    assert data.meas.get_counts() == {"10": 3, "11": 1}


def test_what_a_qpu_on_premises_gives_is_no_json_and_is_read() -> None:
    bench = Bench()
    bench.vendor.result = b"{'counter': {'01': 3, '11': 1}}"
    data = SamplerV2(bench.qpu).run([analog([1, 1, 1])]).result()[0].data
    assert data.counts == {"01": 3, "11": 1}
    bench.vendor.result = b"{'counter': {'01': -3}}"
    with pytest.raises(InvalidResponseError, match="not a count of a bit string"):
        SamplerV2(bench.qpu).run([analog([1, 1, 1])]).result()


def test_the_device_is_the_one_of_the_resources_name(emulator: QuantumResource) -> None:
    listed = json.loads(emulator.target().value)
    assert get_device(Bench(json.dumps(listed).encode()).qpu).name == listed[0]["device_type"]
    listed[-1]["device_type"] = "FRESNEL"
    target = json.dumps(listed).encode()
    assert get_device(Bench(target).qpu).name == "MockDevice"
    unpacked = [{**entry, "specs": json.loads(entry["specs"])} for entry in listed]
    assert get_device(Bench(json.dumps(unpacked).encode()).qpu).name == "MockDevice"


def test_an_emulator_takes_any_device_so_the_one_without_a_machine_is_chosen() -> None:
    bench = Bench(b"not asked for")
    emulator = QuantumResource("Emu_Free", "fake", {}, driver_class=type(bench.qpu._driver))
    assert get_device(emulator).name == "DigitalAnalogDevice"


@pytest.mark.parametrize("target", [b"", b"{}", b"[]", b'[{"device_type": "A", "specs": "{}"}]'])
def test_a_target_without_a_device_is_an_error(target: bytes) -> None:
    with pytest.raises(InvalidResponseError, match=r"FRESNEL lists no device"):
        get_device(Bench(target).qpu)


@pytest.mark.parametrize(
    ("pubs", "more", "message"),
    [
        ([analog([AMPLITUDE] * 3)], {}, "parameters amplitude, and there are values for none"),
        ([analog([1, 1, 1])] * 2, {}, "exactly one pub"),
        ([(analog([1, 1, 1]), [1.0])], {}, "pubs"),
        ([QuantumCircuit(2)], {}, "at least one analog gate"),
        ([analog([1, 1, 1])], {"shots": 0}, "shots must be a whole number"),
        ([analog([1000, 1000, 1000])], {}, "cannot be made a pulse sequence for FRESNEL"),
    ],
)
def test_a_wrong_input_is_refused_before_it_is_sent(
    pubs: Any, more: dict[str, Any], message: str
) -> None:
    bench = Bench()
    with pytest.raises(InvalidArgumentError, match=message):
        SamplerV2(bench.qpu).run(pubs, **more)
    assert not bench.vendor.tasks


def test_options_are_checked() -> None:
    with pytest.raises(InvalidArgumentError, match="`shots` is unknown"):
        SamplerV2(Bench().qpu, options={"shots": 3})
    with pytest.raises(InvalidArgumentError, match="`default_shots` must be a whole number"):
        SamplerV2(Bench().qpu, options={"default_shots": "3"})


def test_a_resource_without_pulse_sequences_is_refused_at_once() -> None:
    with pytest.raises(UnsupportedPayloadError, match="takes QiskitPrimitive"):
        QRMIPasqalBackend(fake_resource(FakeVendor()))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("imported", "absent"),
    [
        ("qrmi_qiskit", ("pulser", "pasqal_cloud", "qiskit_pasqal_provider", "qiskit_ibm_runtime")),
        ("qrmi_qiskit.pasqal", ("qiskit_ibm_runtime",)),
    ],
)
def test_importing_one_needs_nothing_of_the_other(imported: str, absent: tuple[str, ...]) -> None:
    script = f"import sys\nfor name in {absent!r}: sys.modules[name] = None\nimport {imported}"
    said(sys.executable, "-c", script)


def test_without_the_extra_the_error_says_what_to_install() -> None:
    script = "import sys; sys.modules['pulser.devices'] = None; import qrmi_qiskit.pasqal"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=100, check=False
    )
    assert "pip install 'qrmi-qiskit[pasqal]'" in done.stderr
