"""Submission of batches, and refusals before any request."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pulser
import pytest
from pasqal_cloud import RemoteEmuFreeBackend
from pulser import NoiseModel, QPUBackend, Register, Sequence
from pulser.backend import BackendConfig, BitStrings, EmulationConfig, Expectation, StateResult
from pulser.backend.remote import RemoteBackend, RemoteResultsError
from pulser.devices import AnalogDevice, DigitalAnalogDevice, MockDevice

from qrmi_core import InvalidResponseError, QrmiError, ServiceError, WaitTimeoutError
from qrmi_core.testing import FakeVendor
from qrmi_core.values import Observation, TaskStatus
from qrmi_pulser import InvalidArgumentError, UnsupportedError

MakePulse = Callable[..., Sequence]


def test_one_task_for_each_job(bench: Any, pulse: MakePulse) -> None:
    results = QPUBackend(pulse(), bench.connection).run([{"runs": 10}, {"runs": 20}])
    assert [runs for _, runs in bench.sent] == [10, 20]
    assert results.job_ids == list(bench.vendor.tasks)
    assert results.batch_id == "|".join(bench.vendor.tasks)
    assert bench.sent[0][0]["measurement"] == "ground-rydberg"


def test_a_run_fetches_the_devices_once_and_the_next_one_anew(bench: Any, pulse: MakePulse) -> None:
    backend = QPUBackend(pulse(), bench.connection)
    backend.run([{"runs": 10}])
    assert bench.vendor.calls["target"] == 1
    backend.run([{"runs": 10}])
    assert bench.vendor.calls["target"] == 2
    bench.connection.submit(pulse(), job_params=[{"runs": 10}])
    assert bench.vendor.calls["target"] == 3
    assert bench.vendor.calls["task_status"] == 0


def test_the_sequence_is_for_the_device_as_it_is_now(make_bench: Any, pulse: MakePulse) -> None:
    specs = json.loads(AnalogDevice.to_abstract_repr()) | {"max_runs": 77}
    bench = make_bench(target=json.dumps([{"device_type": "X", "specs": specs}]).encode())
    bench.connection.submit(pulse(), job_params=[{"runs": 77}])
    assert bench.sent[0][0]["device"]["max_runs"] == 77
    with pytest.raises(InvalidArgumentError, match="job 1 .* runs is 78, but .* at most 77"):
        bench.connection.submit(pulse(), job_params=[{"runs": 77}, {"runs": 78}])
    with pytest.raises(ValueError, match="77"):
        QPUBackend(pulse(), bench.connection).run([{"runs": 78}])
    assert len(bench.sent) == 1


def test_variables_are_filled_in_for_each_job(bench: Any, pulse: MakePulse) -> None:
    params = [{"runs": 5, "variables": {"amplitude": value}} for value in (1.0, 2.0)]
    QPUBackend(pulse(variable=True), bench.connection).run(params)
    sent = [sequence for sequence, _ in bench.sent]
    assert [sequence["variables"] for sequence in sent] == [{}, {}]
    assert [sequence["operations"][0]["amplitude"]["value"] for sequence in sent] == [1.0, 2.0]


def test_a_register_is_mapped_for_each_job(make_bench: Any) -> None:
    layout = pulser.register.RegisterLayout([(0, 0), (0, 20), (20, 0), (20, 20)])
    sequence = Sequence(layout.make_mappable_register(2), MockDevice)
    sequence.declare_channel("rydberg", "rydberg_global")
    sequence.add(pulser.Pulse.ConstantPulse(100, 1.0, 0.0, 0.0), "rydberg")
    bench = make_bench("EMU_FREE")
    traps = {"q0": 2, "q1": 0}
    bench.connection.submit(
        sequence, job_params=[{"runs": 5, "variables": {"qubits": traps}}], wait=False
    )
    assert [atom["name"] for atom in bench.sent[0][0]["register"]] == ["q0", "q1"]


def test_a_measurement_is_added_where_one_basis_is_addressed(bench: Any, pulse: MakePulse) -> None:
    sequence = pulse(measure=False)
    QPUBackend(sequence, bench.connection).run([{"runs": 5}])
    assert bench.sent[0][0]["measurement"] == "ground-rydberg"
    assert not sequence.is_measured()


def test_published_examples_give_an_empty_list_of_variables(bench: Any, pulse: MakePulse) -> None:
    QPUBackend(pulse(), bench.connection).run([{"runs": 5, "variables": []}])
    assert len(bench.sent) == 1


def test_the_default_shots_of_the_backend_are_used(make_bench: Any, pulse: MakePulse) -> None:
    bench = make_bench("EMU_FREE")
    config = BackendConfig(default_num_shots=33)
    QPUBackend(pulse(), bench.connection, config=config).run()
    for observable in (BitStrings(), BitStrings(num_shots=44)):
        config = EmulationConfig(observables=[observable], default_num_shots=55)
        RemoteEmuFreeBackend(pulse(), bench.connection, config=config).run()
    assert [runs for _, runs in bench.sent] == [33, 55, 44]


def test_emulators_take_any_device_at_no_request(make_bench: Any, pulse: MakePulse) -> None:
    bench = make_bench("emu_free")
    RemoteBackend(pulse(MockDevice), bench.connection).run([{"runs": 10}])
    assert bench.vendor.calls["target"] == 0
    assert bench.sent[0][0]["device"]["name"] == "MockDevice"


def test_another_emulator_than_the_backends_is_told(
    make_bench: Any, pulse: MakePulse, caplog: pytest.LogCaptureFixture
) -> None:
    backend = RemoteEmuFreeBackend(pulse(), make_bench("EMU_MPS").connection)
    backend.run()
    assert "the sequence runs on EMU_MPS, though the backend is for EMU_FREE" in caplog.text
    caplog.clear()
    RemoteEmuFreeBackend(pulse(), make_bench("EMU_FREE").connection).run()
    assert not caplog.text


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (None, "at least one job, not None"),
        ([], "at least one job"),
        ({"runs": 3}, "must be a list"),
        ([3], "job 0 of job_params must be a mapping"),
        ([{"runs": 3}, {}], "job 1 of job_params sets no number of runs"),
        ([{"runs": 0}], "whole number of at least 1, not 0"),
        ([{"runs": True}], "whole number"),
        ([{"runs": "3"}], "whole number"),
        ([{"runs": 3.5}], "whole number"),
        ([{"runs": 10**9}], "at most 2000"),
        ([{"shots": 3}], "shots is unknown"),
        ([{"runs": 3, "variables": {"x": 1}}], "the sequence has none"),
        ([{"runs": 3, "variables": [1]}], "must be a mapping of names"),
    ],
)
def test_wrong_parameters_are_refused(
    bench: Any, pulse: MakePulse, params: Any, message: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=message) as caught:
        bench.connection.submit(pulse(), job_params=params)
    assert isinstance(caught.value, ValueError)
    assert not bench.sent


@pytest.mark.parametrize("variables", [{}, {"amplitud": 1.0}, {"amplitude": [1.0, 2.0]}])
def test_wrong_variables_are_refused(bench: Any, pulse: MakePulse, variables: Any) -> None:
    right = {"runs": 3, "variables": {"amplitude": 1.0}}
    with pytest.raises(InvalidArgumentError, match="job 1 .* cannot be built"):
        bench.connection.submit(
            pulse(variable=True), job_params=[right, {"runs": 3, "variables": variables}]
        )
    assert not bench.sent


def test_a_sequence_without_parameters_is_refused_on_an_emulator_too(
    make_bench: Any, pulse: MakePulse
) -> None:
    bench = make_bench("EMU_FREE")
    with pytest.raises(InvalidArgumentError, match=r"run\(job_params="):
        RemoteBackend(pulse(), bench.connection).run()
    assert not bench.sent


def test_a_sequence_for_another_device_is_refused(bench: Any, pulse: MakePulse) -> None:
    sequence = pulse(DigitalAnalogDevice)
    with pytest.raises(ValueError, match="does not match any"):
        bench.connection.submit(sequence, job_params=[{"runs": 3}])
    with pytest.raises(ValueError, match="does not match any"):
        QPUBackend(sequence, bench.connection).run([{"runs": 3}])
    assert not bench.sent


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"noise_model": NoiseModel(p_false_pos=0.1)}, "noise_model"),
        (
            {"observables": [BitStrings(evaluation_times=[0.5, 1.0])]},
            "evaluation times of bitstrings",
        ),
        ({"default_evaluation_times": "Full"}, "evaluation times of bitstrings"),
        ({"with_modulation": True}, "with_modulation"),
        ({"prefer_device_noise_model": True}, "prefer_device_noise_model"),
        ({"observables": [BitStrings(), StateResult()]}, "observable state"),
        ({"interaction_matrix": [[0.0, 1.0], [1.0, 0.0]]}, "interaction_matrix"),
    ],
)
def test_what_a_task_cannot_carry_is_refused(
    make_bench: Any, pulse: MakePulse, config: dict[str, Any], named: str
) -> None:
    bench = make_bench("EMU_FREE")
    whole = EmulationConfig(**{"observables": [BitStrings()], **config})
    backend = RemoteEmuFreeBackend(pulse(), bench.connection, config=whole)
    with pytest.raises(InvalidArgumentError, match=f"asks for {named}, which a task cannot carry"):
        backend.run()
    assert not bench.sent


def test_open_batches_are_not_supported(bench: Any, pulse: MakePulse) -> None:
    assert bench.connection.supports_open_batch() is False
    with pytest.raises(NotImplementedError):
        QPUBackend(pulse(), bench.connection).open_batch()
    for how in ({"open": True}, {"batch_id": "task-1"}):
        with pytest.raises(UnsupportedError, match="give all jobs"):
            bench.connection.submit(pulse(), job_params=[{"runs": 3}], **how)
    assert not bench.sent


def test_jobs_that_were_submitted_before_an_error_are_named(bench: Any, pulse: MakePulse) -> None:
    def third(function: str) -> None:
        if bench.vendor.calls["task_start"] == 3 and function == "task_start":
            raise ServiceError("the laser is off")

    bench.vendor.on_call = third
    with pytest.raises(ServiceError, match=r"laser is off; 2 of 3 jobs .* batch task-1\|task-2"):
        bench.connection.submit(pulse(), job_params=[{"runs": 3}] * 3)
    bench.connection.cancel_batch_jobs()
    assert all(t.reports[0].status is TaskStatus.Cancelled for t in bench.vendor.tasks.values())


def test_jobs_that_were_submitted_before_an_interrupt_are_logged(
    bench: Any, pulse: MakePulse, caplog: pytest.LogCaptureFixture
) -> None:
    def second(function: str) -> None:
        if bench.vendor.calls["task_start"] == 2 and function == "task_start":
            raise KeyboardInterrupt

    bench.vendor.on_call = second
    with caplog.at_level(logging.ERROR), pytest.raises(KeyboardInterrupt):
        bench.connection.submit(pulse(), job_params=[{"runs": 3}] * 2)
    assert "1 of 2 jobs were submitted before and go on, as batch task-1" in caplog.text


def test_waiting_ends_with_the_last_job(bench: Any, pulse: MakePulse) -> None:
    results = QPUBackend(pulse(), bench.connection).run([{"runs": 3}] * 2, wait=True)
    assert bench.clock.pauses
    assert [each.final_bitstrings for each in results.results] == [{"01": 3}] * 2


def test_waiting_has_a_limit_and_names_the_batch(make_bench: Any, pulse: MakePulse) -> None:
    vendor = FakeVendor(reports=[Observation(TaskStatus.Running)])
    bench = make_bench(vendor=vendor, timeout=600.0)
    with pytest.raises(WaitTimeoutError, match=r"2 of 2 jobs of batch task-1\|task-2") as caught:
        QPUBackend(pulse(), bench.connection).run([{"runs": 3}] * 2, wait=True)
    assert caught.value.status is TaskStatus.Running
    assert 599 <= bench.clock.now <= 601
    # The interval grows: one poll a second would make 1200.
    assert vendor.calls["task_status"] < 200


def test_a_failed_job_ends_the_wait_without_an_error(make_bench: Any, pulse: MakePulse) -> None:
    vendor = FakeVendor(reports=[Observation(TaskStatus.Failed, reason="the laser is off")])
    results = make_bench(vendor=vendor).connection.submit(
        pulse(), wait=True, job_params=[{"runs": 3}]
    )
    with pytest.raises(RemoteResultsError):
        assert results.results


def test_a_look_that_fails_for_good_names_the_batch(bench: Any, pulse: MakePulse) -> None:
    bench.vendor.faults["task_status"] = [ServiceError("no more")]
    with pytest.raises(QrmiError, match="no more; the jobs go on, as batch task-1"):
        bench.connection.submit(pulse(), wait=True, job_params=[{"runs": 3}])


def test_devices_are_those_of_the_target(make_bench: Any, caplog: pytest.LogCaptureFixture) -> None:
    listed = [
        {"device_type": "BROKEN", "specs": "{}"},
        {"device_type": "FRESNEL", "specs": AnalogDevice.to_abstract_repr()},
        {"device_type": "FREE", "specs": json.loads(DigitalAnalogDevice.to_abstract_repr())},
    ]
    bench = make_bench(target=json.dumps(listed).encode())
    found = bench.connection.fetch_available_devices()
    assert found == {"FRESNEL": AnalogDevice, "FREE": DigitalAnalogDevice}
    assert "BROKEN" in caplog.text


@pytest.mark.parametrize(
    "target", [b"no", b"{}1", b"[1]", b'[{"device_type": "A", "specs": "{}"}]']
)
def test_a_target_that_cannot_be_read_is_an_error(make_bench: Any, target: bytes) -> None:
    with pytest.raises(InvalidResponseError, match="MACHINE lists no device") as caught:
        make_bench(target=target).connection.fetch_available_devices()
    assert caught.value.__cause__ is not None


def test_without_a_target_the_sequence_is_sent_as_it_is(make_bench: Any, pulse: MakePulse) -> None:
    bench = make_bench(target=None)
    with pytest.raises(NotImplementedError) as caught:
        bench.connection.fetch_available_devices()
    assert isinstance(caught.value, QrmiError)
    QPUBackend(pulse(), bench.connection).run([{"runs": 10}])
    assert len(bench.sent) == 1


def test_an_unmeasurable_sequence_is_refused(bench: Any) -> None:
    register = Register({"a": (0, 0)}).with_automatic_layout(AnalogDevice)
    with pytest.raises(ValueError):
        bench.connection.submit(Sequence(register, AnalogDevice), job_params=[{"runs": 3}])
    assert not bench.sent


def test_observables_are_named_by_their_tags(make_bench: Any, pulse: MakePulse) -> None:
    from pulser.backend import OperatorRepr

    operator = OperatorRepr.from_operator_repr(
        eigenstates=("r", "g"), n_qudits=2, operations=[(1.0, [({"rr": 1.0}, [0])])]
    )
    config = EmulationConfig(observables=[Expectation(operator, tag_suffix="n")])
    backend = RemoteEmuFreeBackend(pulse(), make_bench("EMU_FREE").connection, config=config)
    with pytest.raises(InvalidArgumentError, match="observable expectation_n"):
        backend.run()
