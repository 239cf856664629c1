"""The requests of the service, and the errors of its error responses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from qrmi_core import (
    InvalidInputError,
    InvalidResponseError,
    Observation,
    QrmiError,
    ResourceBusyError,
    TaskCancelledError,
    TaskFailedError,
    TaskNotFoundError,
    TaskNotReadyError,
    TaskStatus,
)
from qrmi_core.credentials import CachedToken, Token
from qrmi_core.http import HttpClient, Response
from qrmi_example.settings import CoinSettings

STATES = {
    "waiting": TaskStatus.Queued,
    "flipping": TaskStatus.Running,
    "done": TaskStatus.Completed,
    "lost": TaskStatus.Failed,
    "stopped": TaskStatus.Cancelled,
}
"""The states of a task by the service's names."""


class CoinApi:
    """The requests, one method each. The client handles retries, time-outs and the key.

    Args:
        settings: The address and the key; time-outs, proxy and certificates.
    """

    def __init__(self, settings: CoinSettings) -> None:
        self._http = HttpClient(
            settings.endpoint,
            policy=settings.http_policy(),
            auth=CachedToken(lambda: Token(settings.token)),
            error=_explain,
            product="qrmi-example/0.1.0",
        )

    def close(self) -> None:
        """Close the connections of this thread."""
        self._http.close()

    def coins(self) -> list[dict[str, Any]]:
        """Return the coins that the key reaches, with their facts."""
        return _items(self._http.request("GET", "/v1/coins"), "coins")

    def coin(self, name: str) -> dict[str, Any]:
        """Return the facts about a coin."""
        return _object(self._http.request("GET", f"/v1/coins/{_segment(name)}"))

    def target(self, name: str) -> bytes:
        """Return the description of a coin for compilers."""
        return self._http.request("GET", f"/v1/coins/{_segment(name)}/target").content

    def reserve(self, name: str) -> str:
        """Reserve a coin, and return the id of the reservation."""
        return _created(self._http.request("POST", f"/v1/coins/{_segment(name)}/reservations"))

    def reservation(self, reservation: str) -> dict[str, Any]:
        """Return the usage of a reservation, without values if it does not exist."""
        path = f"/v1/reservations/{_segment(reservation)}"
        response = self._http.request("GET", path, ok=(404,))
        return {} if response.status_code == 404 else _object(response)

    def unreserve(self, reservation: str, *, cancel: bool) -> None:
        """End a reservation, also one that has ended or does not exist."""
        path = f"/v1/reservations/{_segment(reservation)}"
        self._http.request("DELETE", path, params={"cancel": str(cancel).lower()}, ok=(404,))

    def start(self, task: Mapping[str, Any]) -> str:
        """Create a task, and return its id."""
        return _created(self._http.request("POST", "/v1/tasks", json=task, submission=True))

    def tasks(self, **query: str) -> list[dict[str, Any]]:
        """Return the tasks with these values, the newest first."""
        return _items(self._http.request("GET", "/v1/tasks", params=query), "tasks")

    def task(self, task_id: str) -> dict[str, Any]:
        """Return the state of a task, with its times and its consumption."""
        return _object(self._http.request("GET", _task(task_id), not_found=TaskNotFoundError))

    def result(self, task_id: str) -> Iterator[bytes]:
        """Yield the result in pieces."""
        return self._http.stream(f"{_task(task_id)}/result", not_found=TaskNotFoundError)

    def log(self, task_id: str) -> str:
        """Return the log of a task."""
        path = f"{_task(task_id)}/log"
        lines = _object(self._http.request("GET", path, not_found=TaskNotFoundError))["lines"]
        return "".join(f"{line}\n" for line in lines)

    def stop(self, task_id: str) -> None:
        """Stop a task."""
        self._http.request("DELETE", _task(task_id), not_found=TaskNotFoundError)


def observation(task: Mapping[str, Any]) -> Observation:
    """Return the state of a task; an unknown name becomes None, and the core warns once."""
    word = str(task.get("state"))
    return Observation(STATES.get(word), reason=task.get("reason"), raw=word)


def _task(task_id: str) -> str:
    return f"/v1/tasks/{_segment(task_id)}"


def _segment(name: str) -> str:
    if name in (".", ".."):
        raise InvalidInputError(f"{name!r} is not an id")
    return quote(name, safe="")


def _object(response: Response) -> dict[str, Any]:
    found = response.json()
    if not isinstance(found, dict):
        raise InvalidResponseError(f"{response.call}: the response is not a JSON object")
    return found


def _items(response: Response, key: str) -> list[dict[str, Any]]:
    found = _object(response).get(key)
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise InvalidResponseError(f"{response.call}: the response has no list {key}")
    return found


def _created(response: Response) -> str:
    created = _object(response).get("id")
    if not isinstance(created, str):
        # The task exists, but its id is lost: the core looks for the tag.
        raise InvalidResponseError(f"{response.call}: the response has no id", uncertain=True)
    return created


def _explain(response: Response, error: QrmiError) -> QrmiError:
    """Map an error response, ``{"error": {"code": ..., "message": ...}}``, to an error."""
    problem = response.json()["error"]
    error.vendor_code, error.message = str(problem["code"]), str(problem["message"])
    match error.vendor_code:
        case "in_use":
            return ResourceBusyError(error.message, vendor_code=error.vendor_code)
        case "no_result":
            return _missing_result(problem["task"]["id"], observation(problem["task"]))
    return error


def _missing_result(task_id: str, report: Observation) -> QrmiError:
    match report.status:
        case TaskStatus.Failed:
            return TaskFailedError(f"task {task_id} failed: {report.reason}")
        case TaskStatus.Cancelled:
            return TaskCancelledError(f"task {task_id} was stopped")
    return TaskNotReadyError(f"task {task_id} has no result; its state is {report.raw}")
