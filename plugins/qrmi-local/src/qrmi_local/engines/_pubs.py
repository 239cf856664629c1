"""The pubs of primitives: their circuits, as they are kept, with their sets of values."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from qiskit.primitives.containers.bindings_array import BindingsArray
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.primitives.containers.sampler_pub import SamplerPub

from qrmi_local.engines import EngineError, _wide
from qrmi_local.engines._circuits import CircuitProgram
from qrmi_local.engines._devices import WHOLE, Device, device_of, places_of
from qrmi_local.engines._encoding import decode

# Circuits that are kept as they were read, since tasks tend to come with the same ones; and the
# most characters of the text of one.
KEPT, KEPT_LENGTH = 16, 2**17

_log = logging.getLogger(__name__)


def compiled_program(device: Device, form: object, num_qubits: int = 0) -> CircuitProgram:
    """Return the circuit of a pub, once it is sure that it was compiled for the device.

    Raises:
        EngineError: It uses a gate or qubits that the options exclude.
    """
    program = program_of(device, form, num_qubits)
    device.compiled.check(lambda: places_of(program.circuit))
    return program


def program_of(device: Device, form: object, num_qubits: int = 0) -> CircuitProgram:
    """Return the circuit of a pub, as it came."""
    text = form if isinstance(form, str) else json.dumps(form)
    read = _read if len(text) <= KEPT_LENGTH else _read.__wrapped__
    return read(device.resource.resource_id, text, isinstance(form, str), num_qubits)


@functools.lru_cache(maxsize=KEPT)
def _read(resource_id: str, text: str, is_qasm: bool, num_qubits: int) -> CircuitProgram:
    form = text if is_qasm else _circuit_of(json.loads(text))
    return device_of(resource_id).load(form, num_qubits)


def _circuit_of(form: object) -> Any:
    try:
        return decode("circuit", form)
    except EngineError as error:
        raise EngineError(
            f"{str(error).rstrip('.')}. QPY lacks some gates of Qiskit's library, which must be "
            "decomposed, and units of delays: give them as whole numbers of dt"
        ) from error


def bindings(program: CircuitProgram, values: Any) -> BindingsArray:
    """Return the values by parameter name; they come by position, by name or not at all."""
    if values is None:
        return BindingsArray()
    if not isinstance(values, BindingsArray):
        if not isinstance(values, Mapping):
            values = {program.parameters: values}
        values = BindingsArray(values)
    if 0 in values.shape:
        raise EngineError("the array of parameter values is empty, and the circuit has parameters")
    if not all(np.isfinite(array).all() for array in values.data.values()):
        raise EngineError("its parameter values are not all finite")
    return values


def used(pub: SamplerPub | EstimatorPub, circuit: Any) -> BindingsArray:
    """Return the pub's values of the parameters that a circuit has left."""
    everything = pub.circuit.parameters
    left = {parameter.name for parameter in circuit.parameters}
    columns = [i for i, parameter in enumerate(everything) if parameter.name in left]
    names = tuple(everything[i].name for i in columns)
    values = pub.parameter_values.as_array(everything)[..., columns]
    return BindingsArray({names: values}, shape=pub.parameter_values.shape)


def bind(pub: SamplerPub | EstimatorPub, circuit: Any) -> list[Any]:
    """Return a flat circuit with each of a pub's sets of values, once if it has no parameters.

    Aer would read the parameters of some gates as 0.
    """
    if not circuit.num_parameters:
        return [circuit.copy()]
    values = used(pub, circuit).as_array(circuit.parameters)
    return [circuit.assign_parameters(row) for row in values.reshape(-1, circuit.num_parameters)]


def bind_wide(pub: SamplerPub | EstimatorPub) -> Iterator[Any]:
    """Yield a wide circuit with each of its sets of values."""
    _log.warning(
        "more than %d entangled qubits: as a matrix product state of bond dimension %d at most, "
        "with the errors of measurements and without those of gates",
        *(WHOLE, _wide.MAX_BOND),
    )
    for index in np.ndindex(pub.parameter_values.shape):
        yield pub.parameter_values.bind(pub.circuit, index)


def first_set(*values: Any) -> Any:
    """Return the first value that is not None, or None."""
    return next((value for value in values if value is not None), None)


def limit_shots(shots: int, device: Device) -> None:
    """Raise `EngineError` if the resource accepts fewer shots."""
    check_shots(shots, device.resource.max_shots, device)


def check_shots(shots: int, most: int, device: Device) -> None:
    """Raise `EngineError` if there are more than the most shots."""
    if shots > most:
        raise EngineError(f"{shots} shots; {device.resource.resource_id} takes at most {most}")
