"""The runtime's encoding, compared with that of qiskit-ibm-runtime."""

from __future__ import annotations

import datetime
import json
from typing import Any

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.primitives import BitArray, DataBin, PrimitiveResult, PubResult, SamplerPubResult
from qiskit_aer.noise import NoiseModel, ReadoutError
from qiskit_ibm_runtime import RuntimeDecoder, RuntimeEncoder

from qrmi_local.engines import EngineError
from qrmi_local.engines._encoding import decode, encode

CIRCUIT = QuantumCircuit(2, 1, metadata={"kept": 1})
CIRCUIT.rx(Parameter("t"), 0)
CIRCUIT.measure(0, 0)
BITS = BitArray(np.array([[[1], [3]]], dtype=np.uint8), 2)
MODEL = NoiseModel()
MODEL.add_readout_error(ReadoutError([[0.9, 0.1], [0.2, 0.8]]), [0])


@pytest.mark.parametrize(
    "value",
    [
        PrimitiveResult(
            [
                SamplerPubResult(DataBin(c=BITS, shape=(1,)), metadata={"shots": 2}),
                PubResult(
                    DataBin(evs=np.array(0.5), stds=np.zeros((2, 1)), shape=()),
                    metadata={"target_precision": 0.1, "circuit_metadata": {}},
                ),
            ],
            metadata={"version": 2},
        ),
        np.array(["0x1", None], dtype=object),
        # What is rare is left to the package.
        {"at": datetime.date(2024, 1, 2), "z": 1j, "n": np.int64(3), "circuit": CIRCUIT},
        MODEL,
    ],
)
def test_values_are_encoded_as_by_the_client(value: Any) -> None:
    expected = json.dumps(value, cls=RuntimeEncoder, separators=(",", ":"))
    assert encode(value).decode() == expected


@pytest.mark.parametrize("value", [CIRCUIT, np.arange(6.0).reshape(2, 3), [1j, {"x": [1]}]])
def test_values_of_the_client_are_decoded(value: Any) -> None:
    text = json.dumps(value, cls=RuntimeEncoder)
    found = decode("value", json.loads(text))
    assert type(found) is type(value)
    assert np.all(found == value)
    assert np.all(found == json.loads(text, cls=RuntimeDecoder))


def test_an_array_of_numbers_and_values_in_values_are_decoded() -> None:
    array = {"__type__": "ndarray", "__value__": [{"__type__": "complex", "__value__": [0, 1]}]}
    assert decode("value", {"in": [array]})["in"][0].tolist() == [1j]


@pytest.mark.parametrize("kind", ["QuantumCircuit", "ndarray", "complex"])
@pytest.mark.parametrize("content", ["", "A", "AAAA", 7.5, None, {}])
def test_what_cannot_be_decoded_is_refused(kind: str, content: object) -> None:
    with pytest.raises(EngineError, match="its value cannot be decoded"):
        decode("value", {"__type__": kind, "__value__": content})
