"""The contract that every driver keeps, and what is peculiar to the coin."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from coin_service import TOKEN, CoinService
from qrmi_core import AuthenticationFailedError, InvalidInputError, QuantumResource
from qrmi_core.testing import DriverContract
from qrmi_example import Coin


@pytest.fixture
def service() -> Iterator[CoinService]:
    """The service on loopback."""
    with CoinService() as service:
        yield service


def coin(service: CoinService, token: str = TOKEN) -> QuantumResource:
    """A resource of that service."""
    return QuantumResource(
        "heads", "coin", {"QRMI_COIN_ENDPOINT": service.url, "QRMI_COIN_TOKEN": token}
    )


class TestCoinContract(DriverContract):
    type_strings = ("coin",)
    secrets = (TOKEN,)
    unknown_task_id = "coin-0"

    @pytest.fixture(autouse=True)
    def _service(self, service: CoinService) -> None:
        self.service = service

    def resource(self) -> QuantumResource:
        return coin(self.service)

    def payload(self) -> Coin:
        return Coin("flip 2", shots=100)

    def failing_payload(self) -> Coin:
        return Coin("throw hard", shots=1)

    def slow_payload(self) -> Coin:
        return Coin("spin", shots=1)


def test_the_result_counts_the_shots(service: CoinService) -> None:
    result = coin(service).run(Coin("flip 3", shots=50)).result(timeout=10)
    counts = json.loads(result.value)["counts"]
    assert sum(counts.values()) == 50
    assert all(len(word) == 3 for word in counts)


def test_a_submission_without_an_answer_is_one_task(service: CoinService) -> None:
    service.lose_answers = 1
    task = coin(service).run(Coin("flip 1", shots=1))
    assert list(service.tasks) == [task.id]


def test_a_wrong_key_is_an_error_that_does_not_show_it(service: CoinService) -> None:
    with pytest.raises(AuthenticationFailedError) as caught:
        coin(service, "a-wrong-key").status()
    assert "a-wrong-key" not in str(caught.value)


@pytest.mark.parametrize("shots", [0, -1, True, "2"])
def test_shots_are_a_whole_number_of_at_least_1(shots: object) -> None:
    with pytest.raises(InvalidInputError, match="shots"):
        Coin("flip 1", shots=shots)  # type: ignore[arg-type]


def test_an_empty_program_is_refused_before_anything_is_sent(service: CoinService) -> None:
    with pytest.raises(InvalidInputError, match="empty"):
        coin(service).run(Coin(" ", shots=1))
    assert not service.tasks
