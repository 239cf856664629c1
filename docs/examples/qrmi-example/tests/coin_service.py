"""The imaginary service, on loopback."""

from __future__ import annotations

import json
import random
import threading
import urllib.parse
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

TOKEN = "a-key-for-the-coin"


class CoinService:
    """A server in a thread; a context manager.

    Attributes:
        tasks: What was submitted, by id.
        lose_answers: How many of the next submissions are carried out and not answered.
    """

    def __init__(self) -> None:
        self.tasks: dict[str, dict[str, Any]] = {}
        self.lose_answers = 0
        self.lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.service = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def start(self, task: dict[str, Any]) -> str:
        """Take a task; the result is there when it is next looked at."""
        with self.lock:
            task_id = f"coin-{len(self.tasks) + 1}"
            match str(task["program"]).split():
                case ["flip", number]:
                    words = (
                        "".join(random.choices("01", k=int(number))) for _ in range(task["shots"])
                    )
                    end = {"state": "done", "counts": dict(Counter(words))}
                case ["spin"]:
                    end = {"state": "flipping"}
                case _:
                    end = {"state": "lost", "reason": "the coin fell off the table"}
            self.tasks[task_id] = {
                "id": task_id,
                "tag": task["tag"],
                "state": "waiting",
                "end": end,
            }
            return task_id


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Small answers in two packets would wait for each other otherwise.
    disable_nagle_algorithm = True

    @property
    def service(self) -> CoinService:
        return self.server.service  # type: ignore[attr-defined,no-any-return]

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True

    def answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, status: int, code: str, message: str) -> None:
        self.answer(status, {"error": {"code": code, "message": message}})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.allowed():
            task_id = self.service.start(json.loads(body))
            if self.service.lose_answers:
                self.service.lose_answers -= 1
                self.close_connection = True
            else:
                self.answer(201, {"id": task_id})

    def do_GET(self) -> None:
        if not self.allowed():
            return
        url = urllib.parse.urlsplit(self.path)
        match url.path.split("/")[2:]:
            case ["device"]:
                self.answer(200, {"name": "coin", "online": True, "waiting": 0})
            case ["tasks"]:
                tag = urllib.parse.parse_qs(url.query)["tag"][0]
                found = [task["id"] for task in self.service.tasks.values() if task["tag"] == tag]
                self.answer(200, {"tasks": [{"id": task_id} for task_id in found]})
            case ["tasks", task_id, *rest]:
                task = self.service.tasks.get(task_id)
                if task is None:
                    self.refuse(404, "no_such_task", f"there is no task {task_id}")
                elif rest == ["result"]:
                    self.result(task)
                else:
                    # The first look sees the task wait, the second one sees how it ended.
                    self.answer(200, {key: task.get(key) for key in ("id", "state", "reason")})
                    if task["state"] == "waiting":
                        task |= task["end"]

    def result(self, task: dict[str, Any]) -> None:
        if task["state"] == "done":
            self.answer(200, {"counts": task["counts"]})
        else:
            self.refuse(409, task["state"], task.get("reason") or "there is no result")

    def do_DELETE(self) -> None:
        if not self.allowed():
            return
        task = self.service.tasks.get(self.path.rpartition("/")[2])
        if task is None:
            self.refuse(404, "no_such_task", "there is no such task")
            return
        if task["state"] in {"waiting", "flipping"}:
            task |= {"state": "stopped", "end": {"state": "stopped"}}
        self.answer(200, {})

    def allowed(self) -> bool:
        if self.headers.get("Authorization") == f"Bearer {TOKEN}":
            return True
        self.refuse(401, "unauthorized", "the key is not known")
        return False
