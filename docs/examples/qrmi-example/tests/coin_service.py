"""The imaginary service on loopback."""

from __future__ import annotations

import datetime
import random
import re
import urllib.parse
from collections import Counter
from typing import Any

from qrmi_core.testing import LoopbackVendor, VendorRequest, VendorResponse

TOKEN = "a-key-for-the-coin"

COINS: dict[str, dict[str, Any]] = {
    "heads": {"online": True, "waiting": 3, "coins": 20, "max_shots": 100000, "simulator": False},
    "tails": {"online": True, "waiting": 0, "coins": 5, "max_shots": 1000, "simulator": True},
}
FINAL = {"done", "lost", "stopped"}
SECONDS_OF_A_TASK = 0.25


class Refused(Exception):
    """An error response.

    Args:
        status: HTTP status code.
        code: The service's code for the problem.
        message: The explanation for people.
        more: Further keys of the response's object ``error``.
    """

    def __init__(self, status: int, code: str, message: str, **more: object) -> None:
        self.status = status
        self.error = {"code": code, "message": message, **more}


class CoinService(LoopbackVendor):
    """The service; a context manager.

    Attributes:
        tasks: The tasks by id, without their results.
        results: The counts of finished tasks, by id.
        reservations: The coin of each reservation by id; None after its end.
    """

    def __init__(self) -> None:
        super().__init__(tokens={TOKEN})
        self.tasks: dict[str, dict[str, Any]] = {}
        self.results: dict[str, dict[str, int]] = {}
        self.reservations: dict[str, str | None] = {}

    def ids(self) -> set[str]:
        return {*COINS, *self.tasks, *self.reservations}

    def respond(self, request: VendorRequest) -> VendorResponse:
        try:
            return VendorResponse(200, self._routed(request))
        except Refused as refused:
            headers = {"Retry-After": "0"} if refused.status == 409 else {}
            return VendorResponse(refused.status, {"error": refused.error}, headers)

    def unauthorized(self, request: VendorRequest) -> VendorResponse:
        problem = {"code": "unauthorized", "message": "the key is unknown"}
        return VendorResponse(401, {"error": problem})

    def _routed(self, request: VendorRequest) -> object:
        for method, pattern, function in _ROUTES:
            match = re.fullmatch(pattern, request.path)
            if match and method == request.method:
                ids = map(urllib.parse.unquote, match.groups())
                return function(self, request.json(), request.query, *ids)  # type: ignore[operator]
        raise Refused(404, "no_such_address", f"there is no {request.path}")

    # one method per resource of the API

    def coins(self, _body: object, _query: object) -> object:
        return {"coins": [{"name": name, **facts} for name, facts in COINS.items()]}

    def coin(self, _body: object, _query: object, name: str) -> object:
        return {"name": name, **self._coin(name)}

    def target(self, _body: object, _query: object, name: str) -> object:
        return {"coins": self._coin(name)["coins"], "moves": ["flip", "spin"]}

    def reserve(self, _body: object, _query: object, name: str) -> object:
        self._coin(name)
        if name in self.reservations.values():
            raise Refused(409, "in_use", f"{name} is in somebody's hand")
        reservation = f"hand-{len(self.reservations) + 1}"
        self.reservations[reservation] = name
        return {"id": reservation}

    def reservation(self, _body: object, _query: object, reservation: str) -> object:
        if reservation not in self.reservations:
            raise Refused(404, "no_such_reservation", f"there is no reservation {reservation}")
        tasks = [each for each in self.tasks.values() if each["reservation"] == reservation]
        return {"tasks": len(tasks), "seconds": sum(each["seconds"] for each in tasks)}

    def unreserve(self, _body: object, query: dict[str, str], reservation: str) -> object:
        self.reservation(None, None, reservation)
        self.reservations[reservation] = None
        for task in self.tasks.values():
            cancel = query["cancel"] == "true" and task["state"] == "waiting"
            if cancel and task["reservation"] == reservation:
                self._end(task, "stopped")
        return {}

    def start(self, body: dict[str, Any], _query: object) -> object:
        self._coin(body["coin"])
        task_id = f"coin-{len(self.tasks) + 1}"
        self.tasks[task_id] = {
            **body,
            "id": task_id,
            "state": "waiting",
            "reason": None,
            "created": _now(),
            "started": None,
            "ended": None,
            "seconds": 0.0,
        }
        return {"id": task_id}

    def list_tasks(self, _body: object, query: dict[str, str]) -> object:
        found = (
            task
            for task in self.tasks.values()
            if all(task[key] == value for key, value in query.items())
        )
        return {"tasks": [*found][::-1]}

    def task(self, _body: object, _query: object, task_id: str) -> object:
        """Return the task's current state, and let it end before the next request."""
        task = self._task(task_id)
        found = {**task}
        if task["state"] == "waiting":
            task |= {"state": "flipping", "started": _now()}
            self._flip(task)
        return found

    def result(self, _body: object, _query: object, task_id: str) -> object:
        task = self._task(task_id)
        if task["state"] != "done":
            raise Refused(409, "no_result", f"the coin is {task['state']}", task=task)
        return {"counts": self.results[task_id]}

    def log(self, _body: object, _query: object, task_id: str) -> object:
        task = self._task(task_id)
        return {"log": f"{task['shots']} times: {task['program']}\n{task['state']}\n"}

    def stop(self, _body: object, _query: object, task_id: str) -> object:
        task = self._task(task_id)
        if task["state"] not in FINAL:
            self._end(task, "stopped")
        return {}

    def _coin(self, name: str) -> dict[str, Any]:
        if name not in COINS:
            raise Refused(404, "no_such_coin", f"there is no coin {name}")
        return COINS[name]

    def _task(self, task_id: str) -> dict[str, Any]:
        if task_id not in self.tasks:
            raise Refused(404, "no_such_task", f"there is no task {task_id}")
        return self.tasks[task_id]

    def _flip(self, task: dict[str, Any]) -> None:
        match str(task["program"]).split():
            case ["flip", number]:
                bits = ("".join(random.choices("01", k=int(number))) for _ in range(task["shots"]))
                self.results[task["id"]] = dict(Counter(bits))
                self._end(task, "done")
            case ["spin"]:
                pass  # until it is stopped
            case _:
                self._end(task, "lost", "the coin fell off the table")

    def _end(self, task: dict[str, Any], state: str, reason: str | None = None) -> None:
        seconds = SECONDS_OF_A_TASK if task["started"] else 0.0
        task |= {"state": state, "reason": reason, "ended": _now(), "seconds": seconds}


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat()


_ROUTES = [
    ("GET", r"/v1/coins", CoinService.coins),
    ("GET", r"/v1/coins/([^/]+)", CoinService.coin),
    ("GET", r"/v1/coins/([^/]+)/target", CoinService.target),
    ("POST", r"/v1/coins/([^/]+)/reservations", CoinService.reserve),
    ("GET", r"/v1/reservations/([^/]+)", CoinService.reservation),
    ("DELETE", r"/v1/reservations/([^/]+)", CoinService.unreserve),
    ("POST", r"/v1/tasks", CoinService.start),
    ("GET", r"/v1/tasks", CoinService.list_tasks),
    ("GET", r"/v1/tasks/([^/]+)", CoinService.task),
    ("GET", r"/v1/tasks/([^/]+)/result", CoinService.result),
    ("GET", r"/v1/tasks/([^/]+)/log", CoinService.log),
    ("DELETE", r"/v1/tasks/([^/]+)", CoinService.stop),
]
