"""The contract of drivers, and tests of the coin's own behaviour."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable

import pytest

from coin_service import COINS, SECONDS_OF_A_TASK, TOKEN, CoinService
from qrmi_core import (
    AuthenticationFailedError,
    InvalidInputError,
    QuantumResource,
    ResourceBusyError,
    ResourceNotFoundError,
    ResourceProvider,
    ServiceError,
    TaskCancelledError,
    TaskFailedError,
    TaskNotFoundError,
    TaskStatus,
    UnsupportedFunctionError,
)
from qrmi_core.testing import DriverContract, Faults, HttpFaultContract
from qrmi_example import Coin

MakeCoin = Callable[..., QuantumResource]


class CoinHooks:
    """The contract's hooks for the coin."""

    type_strings = ("coin",)
    secrets = (TOKEN,)
    unknown_task_id = "coin-0"
    submission = "POST /v1/tasks"

    @pytest.fixture(autouse=True)
    def _coin(self, coin: MakeCoin, service: CoinService) -> None:
        self.coin, self.service = coin, service

    def resource(self) -> QuantumResource:
        return self.coin()

    def payload(self) -> Coin:
        return Coin("flip 2", shots=100)

    def failing_payload(self) -> Coin:
        return Coin("throw hard", shots=1)

    def slow_payload(self) -> Coin:
        return Coin("spin", shots=1)

    def wrong_credentials(self) -> QuantumResource:
        return self.coin(token="a-wrong-key")

    def vendor(self) -> CoinService:
        return self.service

    def received(self, task_id: str) -> object:
        return self.service.tasks[task_id]

    def task_ids(self) -> list[str]:
        return list(self.service.tasks)


class TestCoinContract(CoinHooks, DriverContract):
    pass


class TestCoinFaults(CoinHooks, HttpFaultContract):
    pass


# The resource


def test_the_least_busy_coin_is_found(service: CoinService) -> None:
    settings = {"QRMI_COIN_ENDPOINT": service.url, "QRMI_COIN_TOKEN": TOKEN}
    provider = ResourceProvider("coin", settings)
    assert [info.resource_id for info in provider.infos()] == ["tails", "heads"]
    assert [info.num_qubits for info in provider.infos("is_simulator=false")] == [20]
    assert service.requests == ["GET /v1/coins"] * 2


def test_the_target_is_passed_on_as_it_comes(coin: MakeCoin) -> None:
    assert json.loads(coin().target().value) == {"coins": 20, "moves": ["flip", "spin"]}


def test_the_status_has_the_length_of_the_queue(coin: MakeCoin) -> None:
    assert coin().status().pending_job_count == COINS["heads"]["waiting"]


def test_an_unknown_coin_is_an_error_with_the_services_code(coin: MakeCoin) -> None:
    with pytest.raises(ResourceNotFoundError) as caught:
        coin("edge").status()
    assert caught.value.vendor_code == "no_such_coin"
    assert caught.value.resource_id == "edge"


# Reservations


def test_a_reserved_coin_is_busy_for_others_until_it_is_released(coin: MakeCoin) -> None:
    with coin(), pytest.raises(ResourceBusyError, match="somebody's hand"):
        coin().acquire(timeout=0)
    coin().acquire(timeout=0)


def test_a_release_may_cancel_what_is_waiting(service: CoinService, coin: MakeCoin) -> None:
    heads = coin()
    token = heads.acquire()
    task = heads.run(Coin("flip 1", shots=1))
    heads.release(token, cancel_pending=True)
    assert service.tasks[task.id]["reservation"] == token
    assert task.wait(10) is TaskStatus.Cancelled


# Tasks


def test_the_result_counts_the_shots(coin: MakeCoin) -> None:
    task = coin().run(Coin("flip 3", shots=50))
    counts = json.loads(task.result(timeout=10).value)["counts"]
    assert sum(counts.values()) == 50
    assert all(len(bits) == 3 for bits in counts)
    assert task.counts() == [counts]


def test_a_task_has_logs_usage_and_a_place_in_the_list(coin: MakeCoin) -> None:
    heads = coin()
    first, last = (heads.run(Coin("flip 1", shots=7)) for _ in range(2))
    assert first.wait(10) is TaskStatus.Completed
    assert first.logs() == "7 times: flip 1\ndone\n"
    usage = first.usage()
    assert usage.quantum_seconds == SECONDS_OF_A_TASK
    assert usage.created_at <= usage.started_at <= usage.finished_at  # type: ignore[operator]
    found = [(info.id, info.status) for info in heads.task_list()]
    assert found == [(last.id, TaskStatus.Queued), (first.id, TaskStatus.Completed)]


def test_a_task_without_a_result_says_why(coin: MakeCoin) -> None:
    lost, stopped = coin().run(Coin("throw", shots=1)), coin().run(Coin("spin", shots=1))
    stopped.stop()
    with pytest.raises(TaskFailedError, match="fell off the table"):
        lost.result(timeout=10)
    with pytest.raises(TaskCancelledError):
        stopped.result(timeout=10)


def test_a_name_is_the_services_label_and_not_its_tag(service: CoinService, coin: MakeCoin) -> None:
    task = coin().run(Coin("flip 1", shots=1), name="mine")
    assert service.tasks[task.id]["label"] == "mine"
    assert service.tasks[task.id]["tag"] != "mine"
    with pytest.raises(UnsupportedFunctionError, match="tags"):
        coin().run(Coin("flip 1", shots=1), tags=["mine"])


@pytest.mark.parametrize("shots", [0, -1, True, "2"])
def test_shots_are_a_whole_number_of_at_least_1(shots: object) -> None:
    with pytest.raises(InvalidInputError, match="shots"):
        Coin("flip 1", shots=shots)  # type: ignore[arg-type]


def test_an_empty_program_is_refused_before_anything_is_sent(
    service: CoinService, coin: MakeCoin
) -> None:
    with pytest.raises(InvalidInputError, match="empty"):
        coin().run(Coin(" ", shots=1))
    assert service.requests == []


# Faults


def test_a_submission_without_an_answer_is_one_task(service: CoinService, coin: MakeCoin) -> None:
    service.fail("POST /v1/tasks", Faults.lost_after)
    task = coin().run(Coin("flip 1", shots=1))
    assert list(service.tasks) == [task.id]


def test_a_service_that_is_overloaded_is_asked_again(service: CoinService, coin: MakeCoin) -> None:
    service.fail("", Faults.response(503), Faults.response(429, Retry_After="0"))
    assert coin().status().pending_job_count == 3
    assert service.requests == ["GET /v1/coins/heads"] * 3


def test_an_error_has_the_services_words(service: CoinService, coin: MakeCoin) -> None:
    problem = {"code": "broken", "message": "the table shakes"}
    service.fail("GET /v1/coins/*", Faults.response(501, {"error": problem}))
    with pytest.raises(ServiceError, match="the table shakes") as caught:
        coin().status()
    assert (caught.value.status_code, caught.value.vendor_code) == (501, "broken")


def test_a_wrong_key_is_an_error_that_does_not_show_it(coin: MakeCoin) -> None:
    with pytest.raises(AuthenticationFailedError) as caught:
        coin(token="a-wrong-key").status()
    assert "a-wrong-key" not in str(caught.value)


@pytest.mark.parametrize("id", ["../device", "..", ".", "a/b", "a?b", "a%2Fb", "a#b", "ä"])
def test_an_id_reaches_no_other_address(service: CoinService, coin: MakeCoin, id: str) -> None:
    heads = coin()
    for call in (
        heads.task_status,
        lambda id: heads.task_result(id, timeout=0),
        heads.task_stop,
        heads.task_logs,
        heads.task_usage,
        heads.release,
        heads.acquisition_usage,
    ):
        with contextlib.suppress(TaskNotFoundError, ResourceNotFoundError):
            call(id)
    known = re.compile("(GET|DELETE) /v1/(tasks|reservations)/[^/]+(/result|/log)?")
    assert all(known.fullmatch(request) for request in service.requests), service.requests


@pytest.mark.parametrize("name", ["../tasks", "..", "heads/target"])
def test_a_name_reaches_no_other_address(service: CoinService, coin: MakeCoin, name: str) -> None:
    for call in (coin(name).status, coin(name).target, coin(name).acquire):
        with pytest.raises(ResourceNotFoundError):
            call()
    known = re.compile("(GET|POST) /v1/coins/[^/]+(/target|/reservations)?")
    assert all(known.fullmatch(request) for request in service.requests), service.requests
