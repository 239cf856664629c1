"""IBM's own client on the emulator and in its local mode, with generated circuits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, note, reject
from qiskit import transpile
from qiskit.exceptions import QiskitError
from qiskit.primitives.containers.sampler_pub import SamplerPub
from qiskit_ibm_runtime import QiskitRuntimeService, SamplerV2

from qrmi_emulator import Emulator
from support.differential import COMPARED, generated
from support.differential.circuits import Features, measured
from support.differential.machines import SHOTS, check_counts, has_own_gates, shown, snapshot
from support.differential.reference import Noise, Simulation

NAME = "fake_manila"
# Its local mode adds two readout errors to a bit that is written twice.
FEATURES = Features(control=(), delays=("dt",), dynamic=False)

pytestmark = [
    pytest.mark.timeout(7200),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning"),
]


@pytest.fixture(scope="session")
def modes(emulator: Emulator) -> dict[str, Any]:
    """Return the client's backends for one device: the service's and a local one."""
    settings = emulator.settings_for("ibm-quantum-compute-service")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IAM_URL", emulator.url)
        patch.setenv("QISKIT_FUNCTIONS_EXPERIMENTAL", "1")
        service = QiskitRuntimeService(
            channel="ibm_quantum_platform",
            token=settings["QRMI_IBM_QCS_IAM_APIKEY"],
            instance=settings["QRMI_IBM_QCS_SERVICE_CRN"],
            url=f"{emulator.url}/experimental/api/v1",
        )
        yield {"the service": service.backend(NAME), "local mode": snapshot(NAME)}


@generated(3, 60)
@given(circuit=measured(FEATURES))
def test_samples_are_those_expected_in_all_modes(modes: dict[str, Any], circuit: Any) -> None:
    bound = circuit.assign_parameters(dict.fromkeys(circuit.parameters, 0.7))
    try:
        isa = transpile(bound, modes["local mode"], optimization_level=1)
    except QiskitError:
        reject()
    if isa.parameters or has_own_gates(
        isa
    ):  # It left a loop's parameter, which the service would reject.
        reject()
    pub = SamplerPub.coerce((isa, None, SHOTS))
    note(shown(pub))
    expected = {(): Simulation(isa, Noise(modes["local mode"])).distribution()}
    for mode, backend in modes.items():
        [result] = SamplerV2(mode=backend).run([pub]).result()
        check_counts(f"in {mode}", pub, expected, result.data)
    assert np.sum(expected[()]) == pytest.approx(1)
    COMPARED["circuits of IBM's client"] += 1
