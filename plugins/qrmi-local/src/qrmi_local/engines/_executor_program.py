"""IBM's program `executor`: circuits, and circuits with randomized parameters, as they stand.

The form of its input and its result are the published schemas, which qiskit-ibm-runtime brings.
"""

from __future__ import annotations

import datetime
import importlib
import math
from typing import Any

import numpy as np
from pydantic import ValidationError
from qiskit.primitives.containers.sampler_pub import SamplerPub

from qrmi_local.engines import EngineError, one_line
from qrmi_local.engines._devices import device_of
from qrmi_local.engines._encoding import errors_of, first_of
from qrmi_local.engines._options import log_review
from qrmi_local.engines._pubs import limit_shots
from qrmi_local.engines._sampler import bits_of

try:
    from qiskit_ibm_runtime.fake_provider.executor.broadcast_sample import broadcast_sample
    from qiskit_ibm_runtime.quantum_program.params_converters import (
        QUANTUM_PROGRAM_PARAMS_CONVERTERS as CONVERTERS,
    )
    from samplomatic.quantum_program import SamplexItem
except ImportError as error:
    raise EngineError("executor needs qiskit-ibm-runtime 0.51 or newer") from error


def run(resource_id: str, document: dict[str, Any], *, seed: int | None) -> bytes:
    """Execute a quantum program and return its result in the version of its own schema.

    Args:
        resource_id: The resource.
        document: The program's input.
        seed: For the randomizations and the simulator.

    Raises:
        EngineError: The input is not of the schema, or cannot be executed.
    """
    version = document.get("schema_version")
    converter = CONVERTERS.get(version) if isinstance(version, str) else None
    if converter is None:
        raise EngineError(f"schema_version is none of: {', '.join(CONVERTERS)}")
    try:
        model: Any = converter.model.model_validate(document)
        program, _ = converter.decoder(model)
    except ValidationError as error:
        raise EngineError(f"the input does not follow {version}: {first_of(error)}") from error
    except Exception as error:
        raise EngineError(f"the quantum program cannot be read: {one_line(error)}") from error
    log_review("executor", document)
    if program.meas_level != "classified":
        raise EngineError(f"meas_level {program.meas_level!r} cannot be simulated: use classified")
    given = model.quantum_program
    sequence = np.random.SeedSequence(seed)
    random = np.random.default_rng(sequence)
    device = device_of(resource_id)
    data, timing = [], []
    schema = importlib.import_module(type(model).__module__)
    tensor = schema.TensorModel if hasattr(schema, "TensorModel") else schema.CompressedTensorModel
    for index, (item, described) in enumerate(zip(program.items, given.items, strict=True)):
        start = datetime.datetime.now(datetime.UTC)
        with errors_of(f"item {index}"):
            arrays: dict[str, Any] = {}
            if isinstance(item, SamplexItem):
                samplex = item.samplex.finalize()
                drawn = broadcast_sample(samplex, item.samplex_arguments, item.shape, random)
                # A template without parameters gets none.
                values = drawn.pop("parameter_values", np.empty((*item.shape, 0)))
                arrays = drawn
            else:
                values = np.asarray(item.circuit_arguments, dtype=float)
                shape = np.broadcast_shapes(values.shape[:-1], getattr(described, "shape", ()))
                values = np.broadcast_to(values, (*shape, values.shape[-1]))
            circuit = device.load(item.circuit)
            parameters = tuple(item.circuit.parameters)
            if values.shape[-1] != len(parameters):
                raise EngineError(
                    f"{values.shape[-1]} values for a circuit with {len(parameters)} parameters"
                )
            pub = SamplerPub.coerce((circuit.circuit, values, program.shots))
            limit_shots(pub.shots, device)
            bits = bits_of(device, circuit, pub, sequence.spawn(1)[0])
            arrays |= {name: array.to_bool_array(order="little") for name, array in bits.items()}
        size = math.prod(pub.shape)
        part = {
            "idx_item": index,
            "size": size,
            "permutation": list(range(len(pub.shape))),
            "element_range": (0, size, 1),
        }
        timing.append(
            {"start": start, "stop": datetime.datetime.now(datetime.UTC), "parts": [part]}
        )
        tensors = {name: tensor.from_numpy(array) for name, array in arrays.items()}
        data.append({"results": tensors, "metadata": None if version == "v0.1" else {}})
    result = schema.QuantumProgramResultModel(
        data=data,
        metadata={"chunk_timing": timing},
        passthrough_data=getattr(given, "passthrough_data", None),
        semantic_role=getattr(given, "semantic_role", None),
    )
    text: str = result.model_dump_json()
    return text.encode()
