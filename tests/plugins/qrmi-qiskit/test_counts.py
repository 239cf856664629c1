"""Counts in sampler results, in both formats that services write."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from qiskit.primitives import BitArray, DataBin, PrimitiveResult, PubResult, SamplerPubResult

from qrmi_core import InvalidResponseError, Payload, QuantumResource
from qrmi_core.testing import FakeClock, FakeVendor
from qrmi_qiskit import vendor


def counts_of(found: Any) -> list[dict[str, int]]:
    """Return the counts of a task with this result."""
    clock = FakeClock()
    text = json.dumps(found, cls=vendor.find("RuntimeEncoder"))
    driver = FakeVendor(result=text.encode()).driver()
    qpu = QuantumResource("fake", "fake", {}, driver_class=driver, clock=clock, sleep=clock.sleep)
    return qpu.run(Payload.QiskitPrimitive("{}", "sampler")).counts()


def sampled(**registers: BitArray) -> PrimitiveResult:
    """Return a sampler result of one pub."""
    shape = next(iter(registers.values())).shape
    return PrimitiveResult([SamplerPubResult(DataBin(**registers, shape=shape))])


def test_counts_of_a_pub() -> None:
    assert counts_of(sampled(meas=BitArray.from_samples([0, 3, 3], 2))) == [{"00": 1, "11": 2}]


def test_registers_are_joined_the_first_on_the_right() -> None:
    found = sampled(a=BitArray.from_samples([1, 1], 1), b=BitArray.from_samples([0, 2], 2))
    assert counts_of(found) == [{"001": 1, "101": 1}]


def test_sets_of_values_are_counted_apart() -> None:
    bits = BitArray(np.array([[[0], [1]], [[1], [1]]], dtype=np.uint8), num_bits=1)
    assert counts_of(sampled(meas=bits)) == [{"0": 1, "1": 1}, {"1": 2}]


def test_the_form_for_other_languages_is_read_too() -> None:
    pub = {
        "data": {
            "a": {"samples": ["0x1", "0x1"], "num_bits": 1},
            "b": {"samples": ["0x0", "0x2"], "num_bits": 2},
        }
    }
    assert counts_of({"results": [pub, pub]}) == [{"001": 1, "101": 1}] * 2


@pytest.mark.parametrize(
    "found",
    [
        PrimitiveResult([PubResult(DataBin(evs=np.array(0.5), stds=np.array(0.1)))]),
        {"results": [{"data": {"evs": 0.5}}]},
        {"results": None},
        [],
    ],
)
def test_what_is_not_sampled_has_no_counts(found: Any) -> None:
    with pytest.raises(InvalidResponseError, match="cannot be read as counts"):
        counts_of(found)
