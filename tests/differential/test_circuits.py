"""Generated circuits on simulators, compared with computed distributions and expectation values."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, strategies as st

from qrmi_core import QuantumResource
from support.differential import generated
from support.differential.circuits import estimates, samples
from support.differential.machines import Machine, snapshot
from support.differential.reference import Noise

MakeResource = Callable[[str], QuantumResource]
# with if, for and switch; with while; without control flow; with other gates
SNAPSHOTS = ["fake_manila", "fake_fractional", "fake_belem", "fake_essex"]

pytestmark = pytest.mark.timeout(7200)


@pytest.fixture(scope="session")
def aer(local: MakeResource) -> Machine:
    return Machine(local("aer"))


@pytest.fixture(scope="session", params=SNAPSHOTS)
def device(local: MakeResource, request: pytest.FixtureRequest) -> Machine:
    return Machine(local(request.param), Noise(snapshot(request.param)))


@pytest.fixture(scope="session")
def face(service: MakeResource) -> Machine:
    return Machine(service("fake_manila"), Noise(snapshot("fake_manila")))


@generated(12, 750)
@given(data=st.data())
def test_samples_of_the_ideal_simulator(aer: Machine, data: st.DataObject) -> None:
    aer.check_samples(data.draw(samples(aer.features)))


@generated(8, 400)
@given(data=st.data())
def test_estimates_of_the_ideal_simulator(aer: Machine, data: st.DataObject) -> None:
    aer.check_estimates(data.draw(estimates(aer.features)))


@generated(2, 45)
@given(data=st.data())
def test_samples_of_noisy_devices(device: Machine, data: st.DataObject) -> None:
    device.check_samples(data.draw(samples(device.features)))


@generated(1, 30)
@given(data=st.data())
def test_estimates_of_noisy_devices(device: Machine, data: st.DataObject) -> None:
    device.check_estimates(data.draw(estimates(device.features)))


@generated(3, 60)
@given(data=st.data())
def test_samples_of_a_device_of_the_service(face: Machine, data: st.DataObject) -> None:
    face.check_samples(data.draw(samples(face.features)))


@generated(2, 40)
@given(data=st.data())
def test_estimates_of_a_device_of_the_service(face: Machine, data: st.DataObject) -> None:
    face.check_estimates(data.draw(estimates(face.features)))
