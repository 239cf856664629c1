"""Driver for the coin service: maps the core's calls to its requests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from typing import Any

from qrmi_core.plugin import (
    Acquires,
    AcquisitionUsage,
    Discovers,
    Driver,
    InvalidInputError,
    Observation,
    ResourceInfo,
    ResourceStatus,
    ResourceStatusCode,
    TaskInfo,
    TaskOptions,
    TaskUsage,
    read_count,
    read_number,
    read_time,
)
from qrmi_example.api import CoinApi, observation
from qrmi_example.payload import Coin
from qrmi_example.settings import CoinSettings


class CoinDriver(Driver[CoinSettings, Coin], Acquires, Discovers):
    """A coin, which users may reserve. Lost submissions are found again by their tag."""

    contract_version = 1
    settings_class = CoinSettings
    payloads = (Coin,)
    task_options = frozenset({"name"})

    def __init__(self, resource_id: str, resource_type: str, settings: CoinSettings) -> None:
        super().__init__(resource_id, resource_type, settings)
        self._api = CoinApi(settings)

    def close(self) -> None:
        self._api.close()

    # The resource

    def metadata(self) -> Mapping[str, str]:
        return {"endpoint": self.settings.endpoint}

    def status(self) -> ResourceStatus:
        coin = self._api.coin(self.resource_id)
        return ResourceStatus(_status(coin), pending_job_count=read_count(coin.get("waiting")))

    def target(self) -> bytes:
        return self._api.target(self.resource_id)

    @classmethod
    def discover(cls, settings: CoinSettings, filters: Mapping[str, str]) -> Iterable[ResourceInfo]:
        with closing(CoinApi(settings)) as api:
            return [
                ResourceInfo(
                    coin["name"],
                    num_qubits=read_count(coin.get("coins")),
                    max_shots=read_count(coin.get("max_shots")),
                    is_simulator=coin.get("simulator"),
                    status=_status(coin),
                    pending_job_count=read_count(coin.get("waiting")),
                )
                for coin in api.coins()
            ]

    # Reservations

    def acquire(self, *, detached: bool, slots: int | None) -> str:
        return self._api.reserve(self.resource_id)

    def release(self, token: str, *, cancel_pending: bool) -> None:
        self._api.unreserve(token, cancel=cancel_pending)

    def acquisition_usage(self, token: str) -> AcquisitionUsage:
        found = self._api.reservation(token)
        return AcquisitionUsage(
            read_count(found.get("tasks", 0)), read_number(found.get("seconds", 0.0))
        )

    # Tasks

    def task_start(
        self, payload: Coin, *, submission: str, acquisition: str | None, options: TaskOptions
    ) -> str:
        if not payload.program.strip():
            raise InvalidInputError("the program is empty; write for instance: flip 2")
        return self._api.start(
            {
                "coin": self.resource_id,
                "tag": submission,
                "label": options.name,
                "reservation": acquisition,
                "shots": payload.shots,
                "program": payload.program,
            }
        )

    def find_submission(self, submission: str) -> str | None:
        return next((task["id"] for task in self._api.tasks(tag=submission)), None)

    def task_status(self, task_id: str) -> Observation:
        return observation(self._api.task(task_id))

    def task_result(self, task_id: str) -> Iterator[bytes]:
        return self._api.result(task_id)

    def task_stop(self, task_id: str) -> None:
        self._api.stop(task_id)

    def task_logs(self, task_id: str) -> str:
        return self._api.log(task_id)

    def task_usage(self, task_id: str) -> TaskUsage:
        task = self._api.task(task_id)
        times = [read_time(task.get(key)) for key in ("created", "started", "ended")]
        return TaskUsage(read_number(task.get("seconds")), *times)

    def task_list(self) -> Iterable[TaskInfo]:
        return [
            TaskInfo(task["id"], observation(task).status, read_time(task.get("created")))
            for task in self._api.tasks(coin=self.resource_id)
        ]


def _status(coin: Mapping[str, Any]) -> ResourceStatusCode:
    return ResourceStatusCode.Online if coin.get("online") is True else ResourceStatusCode.Offline
