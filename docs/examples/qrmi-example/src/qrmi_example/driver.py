"""The driver: what the core asks, in the service's words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from qrmi_core import (
    Driver,
    InvalidInputError,
    Observation,
    Payload,
    ResourceStatus,
    ResourceStatusCode,
    Settings,
)
from qrmi_example.api import STATES, CoinApi
from qrmi_example.payload import Coin
from qrmi_example.settings import CoinSettings


class CoinDriver(Driver):
    """A coin. The service needs no acquisition, and finds a submission again by its tag."""

    settings_class = CoinSettings
    payloads = (Coin,)

    def __init__(self, resource_id: str, resource_type: str, settings: Settings) -> None:
        super().__init__(resource_id, resource_type, settings)
        assert isinstance(settings, CoinSettings)
        self._endpoint = settings.endpoint
        self._api = CoinApi(settings)

    def close(self) -> None:
        self._api.close()

    def metadata(self) -> Mapping[str, str]:
        return {"endpoint": self._endpoint}

    def status(self) -> ResourceStatus:
        device = self._api.device()
        online = device.get("online") is True
        return ResourceStatus(
            ResourceStatusCode.Online if online else ResourceStatusCode.Offline,
            pending_job_count=device.get("waiting"),
        )

    def task_start(self, payload: Payload, *, submission: str, acquisition: str | None) -> str:  # noqa: ARG002
        assert isinstance(payload, Coin)
        if not payload.program.strip():
            raise InvalidInputError("the program is empty; write for instance: flip 2")
        return self._api.start(tag=submission, shots=payload.shots, program=payload.program)

    def find_submission(self, submission: str) -> str | None:
        return self._api.find(tag=submission)

    def task_status(self, task_id: str) -> Observation:
        task = self._api.task(task_id)
        word = str(task.get("state"))
        # A word that is not in the table is None: the core says so once and goes on waiting.
        return Observation(STATES.get(word), reason=task.get("reason"), raw=word)

    def task_result(self, task_id: str) -> Iterator[bytes]:
        return self._api.result(task_id)

    def task_stop(self, task_id: str) -> None:
        self._api.stop(task_id)
