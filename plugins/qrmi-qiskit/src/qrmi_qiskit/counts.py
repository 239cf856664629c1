"""Counts in the results of Qiskit's primitives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from qiskit.primitives import BitArray, PrimitiveResult

from qrmi_qiskit import vendor


def primitive_counts(text: str) -> Iterator[dict[str, int]]:
    """Yield the counts of each sampler pub, and of each of its sets of parameter values.

    The registers of a circuit are joined, with the first one on the right.

    Raises:
        TypeError: The result is from another primitive.
    """
    found = json.loads(text, cls=vendor.find("RuntimeDecoder"))
    pubs = found if isinstance(found, PrimitiveResult) else found["results"]
    for pub in pubs:
        registers = (pub["data"] if isinstance(pub, dict) else pub.data).values()
        bits = BitArray.concatenate_bits([_register(value) for value in registers])
        for index in np.ndindex(bits.shape):
            yield bits.get_counts(index)


def _register(value: Any) -> BitArray:
    """Return the bits of a register, which results for other languages store as numbers."""
    if isinstance(value, dict):
        return BitArray.from_samples(value["samples"], value["num_bits"])
    if not isinstance(value, BitArray):
        raise TypeError(f"it holds {type(value).__name__} in place of bits")
    return value
