"""Validity of all sent inputs under IBM's published schemas (ibm-quantum-schemas)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from ibm_quantum_schemas.estimator.version_0_1 import ParamsModel as EstimatorModel
from ibm_quantum_schemas.sampler.version_0_1 import ParamsModel as SamplerModel
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.quantum_info import SparsePauliOp
from qiskit.transpiler import CouplingMap

from qrmi_qiskit import EstimatorV2, SamplerV2
from qrmi_qiskit.options import EXTRAPOLATORS

quick = settings(
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

flags = st.booleans()
counts = st.integers(1, 10_000)
counts_or_auto = counts | st.just("auto")
amounts = st.floats(0, 100)


def some(**values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Generate some of the options."""
    return st.fixed_dictionaries({}, optional=values)


COMMON = {
    "default_shots": counts,
    "dynamical_decoupling": some(
        enable=flags,
        sequence_type=st.sampled_from(["XX", "XpXm", "XY4"]),
        extra_slack_distribution=st.sampled_from(["middle", "edges"]),
        scheduling_method=st.sampled_from(["alap", "asap"]),
        skip_reset_qubits=flags,
    ),
    "twirling": some(
        enable_gates=flags,
        enable_measure=flags,
        num_randomizations=counts_or_auto,
        shots_per_randomization=counts_or_auto,
        strategy=st.sampled_from(["active", "active-accum", "active-circuit", "all"]),
    ),
    "simulator": some(
        seed_simulator=st.integers(0, 2**40),
        coupling_map=st.sampled_from([[[0, 1]], CouplingMap([[1, 0], [0, 1]]), ((2, 3),)]),
        basis_gates=st.just(["cz", "sx"]),
        noise_model=st.just({"errors": []}),
    ),
    "experimental": st.just({"something": 1}),
}
SAMPLER = some(
    **COMMON,
    execution=some(
        init_qubits=flags,
        rep_delay=amounts,
        meas_type=st.sampled_from(["classified", "kerneled", "avg_kerneled"]),
    ),
)
ESTIMATOR = some(
    **COMMON,
    execution=some(init_qubits=flags, rep_delay=amounts),
    default_precision=st.floats(1e-6, 1),
    resilience_level=st.integers(0, 2),
    seed_estimator=st.integers(0, 2**40),
    resilience=some(
        measure_mitigation=flags,
        measure_noise_learning=some(
            num_randomizations=counts, shots_per_randomization=counts_or_auto
        ),
        zne_mitigation=flags,
        zne=some(
            amplifier=st.sampled_from(["gate_folding", "gate_folding_front", "pea"]),
            noise_factors=st.just(tuple(range(1, 9))),
            extrapolator=st.sampled_from(["linear", ["linear", "exponential"]]),
            extrapolated_noise_factors=st.just([0, 1.5]),
        ),
        pec=some(max_overhead=st.none() | st.floats(1, 100), noise_gain=amounts | st.just("auto")),
        layer_noise_learning=some(
            max_layers_to_learn=st.none() | st.integers(0, 9),
            shots_per_randomization=counts,
            num_randomizations=counts,
            layer_pair_depths=st.just((0, 1, 2)),
        ),
    ),
)


def circuit(parameters: int) -> QuantumCircuit:
    made = QuantumCircuit(2)
    made.h(0)
    for number in range(parameters):
        made.rz(Parameter(f"theta[{number}]"), number % 2)
    return made


shapes = st.lists(st.integers(1, 3), max_size=3).map(tuple)


@quick
@given(options=SAMPLER, shape=shapes, parameters=st.integers(0, 12), shots=st.none() | counts)
def test_a_samplers_input_is_valid(
    bench: Any, options: dict[str, Any], shape: Any, parameters: int, shots: int | None
) -> None:
    measured = circuit(parameters).measure_all(inplace=False)
    pub = (measured, np.zeros((*shape, parameters))) if parameters else (measured,)
    SamplerV2(bench.qpu, options=options).run([pub, measured.assign_parameters([0] * parameters)])
    SamplerModel.model_validate(bench.sent[-1])


@quick
@given(
    options=ESTIMATOR,
    shape=shapes,
    parameters=st.integers(0, 12),
    observables=st.sampled_from(
        ["ZZ", ["ZI", "IX"], SparsePauliOp(["ZZ", "XX"], [1, 0.5]), {"YY": 2.0}]
    ),
    precision=st.none() | st.floats(1e-6, 1),
)
def test_an_estimators_input_is_valid(
    bench: Any,
    options: dict[str, Any],
    shape: Any,
    parameters: int,
    observables: Any,
    precision: float | None,
) -> None:
    shape = (*shape[:-1], 2) if shape else ()
    values = np.zeros((*shape, parameters)) if parameters else None
    EstimatorV2(bench.qpu, options=options).run(
        [(circuit(parameters), observables, values, precision)]
    )
    EstimatorModel.model_validate(bench.sent[-1])


@pytest.mark.parametrize("extrapolator", EXTRAPOLATORS)
def test_as_many_noise_factors_are_asked_for_as_by_the_schema(
    bench: Any, extrapolator: str
) -> None:
    for factors in range(1, 10):
        zne = {"extrapolator": extrapolator, "noise_factors": list(range(1, factors + 1))}
        options = {"resilience": {"zne": zne}}
        theirs = _accepts(EstimatorModel.model_validate, {"pubs": [], "options": options})
        assert _accepts(EstimatorV2, bench.qpu, options=options) is theirs, factors


def _accepts(function: Callable[..., object], *arguments: Any, **more: Any) -> bool:
    try:
        function(*arguments, **more)
    except ValueError:
        return False
    return True


def test_a_noise_model_of_aer_is_valid(bench: Any, bell: QuantumCircuit) -> None:
    from qiskit_aer.noise import NoiseModel, depolarizing_error

    noise = NoiseModel()
    noise.add_all_qubit_quantum_error(depolarizing_error(0.1, 1), ["x"])
    for given_noise in (noise, noise.to_dict(serializable=True)):
        options = {"simulator": {"noise_model": given_noise}}
        SamplerV2(bench.qpu, options=options).run([bell])
        SamplerModel.model_validate(bench.sent[-1])
