"""The service's exchanges, and what its words mean."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from qrmi_core import (
    InvalidResponseError,
    QrmiError,
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
"""The service's words for the states of a task."""


class CoinApi:
    """The requests, one method each. Retries, time-outs and the key are the client's business.

    Args:
        settings: The address and the key; time-outs, proxy and certificates.
    """

    def __init__(self, settings: CoinSettings) -> None:
        self._http = HttpClient(
            settings.endpoint,
            policy=settings.http_policy(),
            auth=CachedToken(lambda: Token(settings.token)),
            error=_explained,
            product="qrmi-example/0.1.0",
        )

    def close(self) -> None:
        """Close the connections of this thread."""
        self._http.close()

    def device(self) -> dict[str, Any]:
        """What the service tells about the coin."""
        return self._get("/v1/device")

    def start(self, *, tag: str, shots: int, program: str) -> str:
        """Create a task and give its id."""
        body = {"tag": tag, "shots": shots, "program": program}
        answer = self._http.request("POST", "/v1/tasks", json=body, submission=True).json()
        try:
            return str(answer["id"])
        except (KeyError, TypeError) as error:
            # The task exists, but its id is lost: the core looks for the tag.
            raise InvalidResponseError("the answer has no id", uncertain=True) from error

    def find(self, *, tag: str) -> str | None:
        """The id of the task that carries this tag, None if there is none."""
        found = self._get("/v1/tasks", tag=tag).get("tasks")
        return str(found[0]["id"]) if found else None

    def task(self, task_id: str) -> dict[str, Any]:
        """The state of a task."""
        return self._get(f"/v1/tasks/{task_id}")

    def result(self, task_id: str) -> Iterator[bytes]:
        """The result in pieces."""
        return self._http.stream(f"/v1/tasks/{task_id}/result", not_found=TaskNotFoundError)

    def stop(self, task_id: str) -> None:
        """Stop a task."""
        self._http.request("DELETE", f"/v1/tasks/{task_id}", not_found=TaskNotFoundError)

    def _get(self, path: str, **params: str) -> dict[str, Any]:
        answer = self._http.request("GET", path, params=params, not_found=TaskNotFoundError).json()
        if not isinstance(answer, dict):
            raise InvalidResponseError(f"GET {path}: the answer is not a JSON object")
        return answer


def _explained(response: Response, error: QrmiError) -> QrmiError:
    """The error that an error answer is, ``{"error": {"code": ..., "message": ...}}``."""
    problem = response.json()["error"]
    code, message = str(problem["code"]), str(problem["message"])
    match STATES.get(code):
        case TaskStatus.Failed:
            error = TaskFailedError(f"the coin failed: {message}")
        case TaskStatus.Cancelled:
            error = TaskCancelledError(f"the task was stopped: {message}")
        case TaskStatus.Queued | TaskStatus.Running:
            error = TaskNotReadyError(f"the task has not ended: {message}")
        case _:
            error.message = message
    error.vendor_code = code
    return error
