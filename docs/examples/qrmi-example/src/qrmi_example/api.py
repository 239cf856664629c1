"""The requests of the service, and the errors of its error responses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from qrmi_core.plugin import (
    HttpClient,
    Observation,
    QrmiError,
    ResourceBusyError,
    ResourceNotFoundError,
    Response,
    StaticToken,
    TaskNotFoundError,
    TaskStatus,
    missing_result,
    path_segment,
    read_text,
)
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
    """The service's requests, one per method. The client handles retries, time-outs and the key.

    Args:
        settings: The address and the key; time-outs, proxy and certificates.
    """

    def __init__(self, settings: CoinSettings) -> None:
        self._http = HttpClient(
            settings.endpoint,
            settings=settings,
            auth=StaticToken(settings.token),
            error=_explain,
            product="qrmi-example/0.1.0",
        )

    def close(self) -> None:
        """Close the connections of this thread."""
        self._http.close()

    def coins(self) -> list[dict[str, Any]]:
        """Return the coins that the key may use, with all their fields."""
        return _named(self._http.request("GET", "/v1/coins"), "coins", "name")

    def coin(self, name: str) -> dict[str, Any]:
        """Return a coin's entry."""
        return self._http.request("GET", _coin(name)).object()

    def target(self, name: str) -> bytes:
        """Return the description of a coin for compilers."""
        return self._http.request("GET", f"{_coin(name)}/target").content

    def reserve(self, name: str) -> str:
        """Reserve a coin, and return the id of the reservation."""
        return self._http.request("POST", f"{_coin(name)}/reservations").created_id()

    def reservation(self, reservation: str) -> dict[str, Any]:
        """Return the usage of a reservation, without values if it does not exist."""
        return self._http.request("GET", _reservation(reservation), ok=(404,)).object()

    def unreserve(self, reservation: str, *, cancel: bool) -> None:
        """End a reservation, also one that has ended or does not exist."""
        params = {"cancel": str(cancel).lower()}
        self._http.request("DELETE", _reservation(reservation), params=params, ok=(404,))

    def start(self, task: Mapping[str, Any]) -> str:
        """Create a task, and return its id."""
        return self._http.request("POST", "/v1/tasks", json=task, submission=True).created_id()

    def tasks(self, **query: str) -> list[dict[str, Any]]:
        """Return the tasks with these values, newest first."""
        return _named(self._http.request("GET", "/v1/tasks", params=query), "tasks", "id")

    def task(self, task_id: str) -> dict[str, Any]:
        """Return the state of a task, with its times and its consumption."""
        return self._http.request("GET", _task(task_id), not_found=TaskNotFoundError).object()

    def result(self, task_id: str) -> Iterator[bytes]:
        """Yield the result in pieces."""
        return self._http.stream(f"{_task(task_id)}/result", not_found=TaskNotFoundError)

    def log(self, task_id: str) -> str:
        """Return the log of a task."""
        path = f"{_task(task_id)}/log"
        return self._http.request("GET", path, not_found=TaskNotFoundError).text("log")

    def stop(self, task_id: str) -> None:
        """Stop a task."""
        self._http.request("DELETE", _task(task_id), not_found=TaskNotFoundError)


def observation(task: Mapping[str, Any]) -> Observation:
    """Return the state of a task; an unknown name becomes None, and the core warns once."""
    state = read_text(task.get("state"))
    return Observation(STATES.get(state or ""), reason=read_text(task.get("reason")), raw=state)


def _coin(name: str) -> str:
    return f"/v1/coins/{path_segment(name, ResourceNotFoundError)}"


def _reservation(reservation: str) -> str:
    return f"/v1/reservations/{path_segment(reservation, ResourceNotFoundError)}"


def _task(task_id: str) -> str:
    return f"/v1/tasks/{path_segment(task_id)}"


def _named(response: Response, key: str, name: str) -> list[dict[str, Any]]:
    """Return a list of objects that each have a name or an id."""
    found = response.items(key)
    if not all(isinstance(each.get(name), str) and each[name] for each in found):
        raise response.invalid(f"an entry of `{key}` has no `{name}`")
    return found


def _explain(response: Response, error: QrmiError) -> None:
    """Map an error response, ``{"error": {"code": ..., "message": ...}}``, to an error."""
    problem = response.object("error")
    error.vendor_code, error.message = problem["code"], problem["message"]
    if error.vendor_code == "in_use":
        raise ResourceBusyError(error.message, vendor_code=error.vendor_code)
    if error.vendor_code == "no_result":
        raise missing_result(problem["task"]["id"], observation(problem["task"]))
