"""Qiskit's sampler on Pasqal's machines and emulators, through qiskit-pasqal-provider.

It requires the extra ``pasqal`` and runs analog circuits: one ``HamiltonianGate`` of
``qiskit_pasqal_provider.providers.gate``, with or without parameters.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

try:
    from pulser.devices import DigitalAnalogDevice
    from pulser.json.abstract_repr.deserializer import deserialize_device
    from qiskit_pasqal_provider.providers.pulse_utils import (
        gen_seq,
        get_register_from_circuit,
        place_register,
    )
    from qiskit_pasqal_provider.providers.sampler import SamplerV2 as _PasqalSampler
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"qrmi_qiskit.pasqal needs {error.name}: pip install 'qrmi-qiskit[pasqal]'",
        name=error.name,
    ) from error
from qiskit.primitives import BitArray, DataBin, PrimitiveResult, SamplerPubResult

from qrmi_core import (
    InvalidArgumentError,
    InvalidResponseError,
    UnsupportedFunctionError,
    UnsupportedPayloadError,
    counts_of,
)
from qrmi_core.plugin import PasqalCloud
from qrmi_qiskit.checks import whole
from qrmi_qiskit.job import TaskJob

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

    from qrmi_core import QuantumResource

DEFAULT_SHOTS: Final = 1024
"""The number of shots of a circuit if nothing else sets it."""

_SHOTS = whole(1)


class QRMIPasqalJob(TaskJob):
    """A pulse-sequence task as a Qiskit job.

    Its result has one pub. ``data.counts`` has the counts in Pasqal's order, the first atom on the
    left; ``data.meas`` has them in Qiskit's order, the first atom on the right.
    """

    def decode(self, text: str) -> PrimitiveResult:
        (counts,) = counts_of(self.task, text)
        width = len(next(iter(counts)))
        reversed_counts = {bits[::-1]: count for bits, count in counts.items()}
        data = DataBin(
            counts=Counter(counts), meas=BitArray.from_counts(reversed_counts, num_bits=width)
        )
        metadata = {
            "backend_name": self.task.resource_id,
            "job_id": self.job_id(),
            "shots": sum(counts.values()),
        }
        return PrimitiveResult([SamplerPubResult(data)], metadata)


class QRMIPasqalBackend:
    """A resource that runs pulse sequences, as a backend for qiskit-pasqal-provider's sampler.

    `qrmi_qiskit.get_backend` returns it for Pasqal's resource types and emulators.

    Args:
        resource: A resource that accepts `Payload.PasqalCloud`.
        default_shots: Shots of a circuit for which none are given.

    Raises:
        UnsupportedPayloadError: The resource does not run pulse sequences.
    """

    def __init__(self, resource: QuantumResource, *, default_shots: int = DEFAULT_SHOTS) -> None:
        kinds = resource.payloads()
        if not issubclass(PasqalCloud, kinds):
            raise UnsupportedPayloadError(
                f"{resource.resource_id()} ({resource.resource_type()}) does not run pulse "
                f"sequences; it takes {', '.join(kind.kind for kind in kinds) or 'nothing'}",
                resource_id=resource.resource_id(),
            )
        self.resource = resource
        self.name = self.backend_name = resource.resource_id()
        self._default_shots = default_shots
        self._device: Any = None

    @property
    def device(self) -> Any:
        """The Pulser device, fetched once; see `get_device`."""
        if self._device is None:
            self._device = get_device(self.resource)
        return self._device

    def run(
        self,
        run_input: QuantumCircuit,
        shots: int | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> QRMIPasqalJob:
        """Submit one task.

        Args:
            run_input: An analog circuit.
            shots: Number of shots.
            values: Parameter values, by name.

        Raises:
            InvalidArgumentError: The circuit, its parameters or the shots are wrong.
        """
        runs = self._default_shots if shots is None else _SHOTS("shots", shots)
        sequence = self._sequence(run_input, dict(values or {}))
        payload = PasqalCloud(sequence=sequence, job_runs=runs)
        return QRMIPasqalJob(self.resource, self.resource.task_start(payload))

    def _sequence(self, circuit: QuantumCircuit, values: dict[str, Any]) -> str:
        """Return the circuit as a pulse sequence, in Pulser's abstract representation."""
        names = {parameter.name for parameter in circuit.parameters}
        if names != values.keys():
            raise InvalidArgumentError(
                f"the circuit has the parameters {', '.join(sorted(names)) or 'none'}, and there "
                f"are values for {', '.join(sorted(values)) or 'none'}"
            )
        device = self.device
        try:
            register = place_register(get_register_from_circuit(circuit), device)
            sequence = gen_seq(analog_register=register, device=device, circuit=circuit)
            if values:
                sequence = sequence.build(**values)
            text: str = sequence.to_abstract_repr()
        except Exception as error:
            raise InvalidArgumentError(
                f"the circuit cannot be made a pulse sequence for {self.name}: {error}"
            ) from error
        return text


class SamplerV2(_PasqalSampler):  # type: ignore[misc]
    """qiskit-pasqal-provider's sampler on a resource.

    Args:
        resource: A resource that accepts `Payload.PasqalCloud`.
        options: ``default_shots``, by default `DEFAULT_SHOTS`.

    Raises:
        UnsupportedPayloadError: The resource does not run pulse sequences.
        InvalidArgumentError: An option is unknown or wrong.
    """

    def __init__(
        self, resource: QuantumResource, *, options: Mapping[str, Any] | None = None
    ) -> None:
        given = dict(options or {})
        shots = _SHOTS("option `default_shots`", given.pop("default_shots", DEFAULT_SHOTS))
        if given:
            raise InvalidArgumentError(
                f"option `{next(iter(given))}` is unknown (known: default_shots)"
            )
        super().__init__(QRMIPasqalBackend(resource, default_shots=shots))

    def run(self, pubs: Any, *, shots: int | None = None) -> QRMIPasqalJob:
        """Submit one task.

        Args:
            pubs: One pub: an analog circuit, or a tuple of a circuit and its parameter values.
            shots: Number of shots; by default ``default_shots``.

        Raises:
            InvalidArgumentError: The pub is wrong.
            QrmiError: The task could not be submitted; see `QuantumResource.task_start`.
        """
        try:
            circuit, values = self._coerce_pubs(pubs)
        except (AttributeError, TypeError, ValueError) as error:
            raise InvalidArgumentError(f"pubs: {error}") from error
        backend: QRMIPasqalBackend = self.backend()
        return backend.run(run_input=circuit, values=values, shots=shots)

    def job(self, job_id: str) -> QRMIPasqalJob:
        """Return the job with an id, also if another process started it; sends no request."""
        return QRMIPasqalJob(self.backend().resource, job_id)


def get_device(resource: QuantumResource) -> Any:
    """Return the Pulser device for which to write sequences.

    For a QPU, it is the device in its target that has the QPU's name, or else the first one. For an
    emulator (with ``emu`` in its name), and for a resource without a target, it is Pulser's virtual
    ``DigitalAnalogDevice``, without a request.

    Raises:
        InvalidResponseError: The target lists no device that Pulser can read.
    """
    # Emulators run sequences for any device; their targets list the real ones.
    if "emu" in resource.resource_id().lower():
        return DigitalAnalogDevice
    try:
        text = resource.target().value
    except UnsupportedFunctionError:
        return DigitalAnalogDevice
    try:
        listed = {entry["device_type"]: entry["specs"] for entry in reversed(json.loads(text))}
        specs = listed.get(resource.resource_id()) or next(reversed(listed.values()))
        return deserialize_device(specs if isinstance(specs, str) else json.dumps(specs))
    except Exception as error:
        raise InvalidResponseError(
            f"the target of {resource.resource_id()} lists no device that Pulser can read: "
            f"{type(error).__name__}: {error}",
            resource_id=resource.resource_id(),
        ) from error
