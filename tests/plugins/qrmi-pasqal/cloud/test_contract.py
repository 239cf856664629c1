"""The contract of all drivers, with batches and with jobs of CUDA-Q."""

from __future__ import annotations

import uuid

import pytest

from qrmi_core import Payload, QuantumResource
from qrmi_core.testing import DriverContract, HttpFaultContract
from support.faulty_server import status
from support.pasqal_service import PASSWORD, SIGNATURE, PasqalService, refusal
from support.resources import Make


class _Hooks:
    type_strings = ("pasqal-cloud",)
    submission = "POST v1/batches"
    secrets = (PASSWORD, "token-", SIGNATURE)

    @pytest.fixture(autouse=True)
    def _here(self, service: PasqalService, make: Make) -> None:
        self._make = make
        self._service = service

    def resource(self) -> QuantumResource:
        return self._make()

    def wrong_credentials(self) -> QuantumResource:
        return self._make(PASQAL_PASSWORD="a-wrong-password")

    def vendor(self) -> PasqalService:
        return self._service

    def received(self, task_id: str) -> object:
        return self._service.bodies[-1]

    def task_ids(self) -> set[str]:
        return {task["id"] for task in self._service.tasks()}

    def _payload(self, name: str) -> Payload:
        return Payload.PasqalCloud({"version": "1", "name": name}, 100)

    def payload(self) -> Payload:
        return self._payload("short")

    def failing_payload(self) -> Payload:
        return self._payload("fail")

    def slow_payload(self) -> Payload:
        return self._payload("endless")


class TestBatches(_Hooks, DriverContract):
    requests_of_a_round = 5  # pages of 100 ids

    def many_tasks(self, qpu: QuantumResource, number: int) -> list[str]:
        batches = self._service.batches
        batch = batches[qpu.task_start(self.payload())]
        ids = [str(uuid.uuid4()) for _ in range(number)]
        batches |= {task_id: {**batch, "id": task_id} for task_id in ids}
        return ids


class TestBatchesWhoseResultsAreFiles(_Hooks, DriverContract):
    @pytest.fixture(autouse=True)
    def _without_the_route(self, service: PasqalService) -> None:
        service.full_results = False


class TestCudaq(_Hooks, DriverContract):
    def _payload(self, name: str) -> Payload:
        return Payload.PasqalCloud({"setup": {"name": name}, "hamiltonian": {}}, 100)

    @pytest.mark.skip("jobs of CUDA-Q carry no tag, are not listed and share no batch")
    def without(self) -> None:
        """Replace a test; test_exchange tests the behaviour of these jobs."""

    test_a_submission_is_found_again_by_its_tag = without  # type: ignore[assignment]
    test_a_submission_without_a_response_is_one_task = without  # type: ignore[assignment]
    test_options_are_honoured_or_refused = without  # type: ignore[assignment]
    test_the_name_and_the_tags_of_users_may_be_used_twice = without  # type: ignore[assignment]
    test_threads_get_the_tasks_that_they_submitted = without  # type: ignore[assignment]
    test_the_list_has_the_newest_task_first = without  # type: ignore[assignment]
    test_a_batch_accepts_tasks_until_it_is_closed = without  # type: ignore[assignment]
    test_polls_together_report_what_single_polls_report = without  # type: ignore[assignment]
    test_an_unknown_batch_is_an_error = without  # type: ignore[assignment]
    test_an_id_that_looks_like_an_address_is_an_unknown_batch = without  # type: ignore[assignment]


class TestFaults(_Hooks, HttpFaultContract):
    operations = HttpFaultContract.operations | {
        "task_result by its link": lambda tests, qpu, id: tests.by_its_link(qpu, id),
    }
    faults = HttpFaultContract.faults | {
        "500 in words": refusal(500, "something broke", "E1"),
        "another list": status(200, {"data": [1]}),
        "another object": status(200, {"data": {"strange": 1}}),
        "no data": status(200, {"status": "success"}),
        "422 in words": status(
            422, {"detail": [{"loc": ["body"], "msg": "wrong", "input": "token-x"}]}
        ),
    }
    survived = HttpFaultContract.survived | {"500 in words"}
    # There the result has a second source; of a stop no more than an object is promised.
    harmless = frozenset({("task_result", "404"), ("task_stop", "another object")}) | {
        ("task_result by its link", fault) for fault in ("404", "truncated", "stalled")
    }

    def by_its_link(self, qpu: QuantumResource, task_id: str) -> object:
        self._service.full_results = False
        return qpu.task_result(task_id, timeout=2)

    def expire_credentials(self) -> bool:
        self._service.tokens.clear()
        return True


class TestCudaqFaults(TestFaults):
    operations = {  # noqa: RUF012
        name: operation
        for name, operation in HttpFaultContract.operations.items()
        if name in ("task_start", "task_status", "task_result", "task_stop")
    }

    # That there is no batch of this id is a 404 already.
    harmless = TestFaults.harmless | {
        (operation, fault)
        for operation in ("task_status", "task_result", "task_stop")
        for fault in ("404", "truncated", "stalled", "malformed")
    }

    def _payload(self, name: str) -> Payload:
        return Payload.PasqalCloud({"setup": {"name": name}, "hamiltonian": {}}, 100)

    def finds_submissions(self) -> bool:
        return False
