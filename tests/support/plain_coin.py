"""A right driver of the example's vendor that has little in common with the example's own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from qrmi_core.plugin import (
    Driver,
    Observation,
    ResourceStatus,
    ResourceStatusCode,
    TaskNotFoundError,
    TaskOptions,
    TaskStatus,
    missing_result,
)
from qrmi_example import Coin
from qrmi_example.api import CoinApi, observation
from qrmi_example.settings import CoinSettings


class PlainCoin(Driver[CoinSettings, Coin]):
    """It reserves, lists and stops nothing; it has no times, but ids with slashes and late logs."""

    contract_version = 1
    settings_class = CoinSettings
    payloads = (Coin,)
    _reads = itertools.count()

    def __init__(self, resource_id: str, resource_type: str, settings: CoinSettings) -> None:
        super().__init__(resource_id, resource_type, settings)
        self._api = CoinApi(settings)

    def close(self) -> None:
        self._api.close()

    def status(self) -> ResourceStatus:
        self._api.coin(self.resource_id)
        return ResourceStatus(ResourceStatusCode.Online)

    def task_start(
        self, payload: Coin, *, submission: str, acquisition: str | None, options: TaskOptions
    ) -> str:
        task = {"coin": self.resource_id, "program": payload.program, "shots": payload.shots}
        return f"{self.resource_id}/{self._api.start({**task, 'reservation': None})}"

    def task_status(self, task_id: str) -> Observation:
        return observation(self._task(task_id))

    def task_result(self, task_id: str) -> Iterator[bytes]:
        report = self.task_status(task_id)
        if report.status is not TaskStatus.Completed:
            raise missing_result(task_id, report)
        yield b"".join(self._api.result(self._number(task_id)))

    def task_logs(self, task_id: str) -> str:
        return self._api.log(self._number(task_id)) + "read\n" * next(self._reads)

    def task_stop(self, task_id: str) -> None:
        self._task(task_id)

    def _task(self, task_id: str) -> dict[str, Any]:
        return self._api.task(self._number(task_id))

    def _number(self, task_id: str) -> str:
        coin, _, number = task_id.partition("/")
        if coin != self.resource_id:
            raise TaskNotFoundError(f"{task_id!r} is not the id of a task of {self.resource_id}")
        return number
