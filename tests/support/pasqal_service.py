"""A fake of Pasqal Cloud's authentication and REST API on loopback, as far as they are public.

It executes nothing: status requests move a task from pending to running to its final state, which
the text of its sequence selects.
"""

from __future__ import annotations

import json
import re
import uuid
from typing import Any
from urllib.parse import parse_qsl

from qrmi_core.testing import Fault, LoopbackVendor, VendorRequest, VendorResponse
from support.faulty_server import Handler, status

PASSWORD = "a-password-that-is-secret"
SIGNATURE = "a-signature-that-is-secret"
PROJECT = "00000000-0000-4000-8000-000000000001"
COUNTER = {"10": 64, "00": 36}
RESULT = '{"counter":{"00":36,"10":64}}'
SPECS = json.dumps({"name": "FRESNEL", "version": "1", "max_runs": 500, "channels": []})
_HIDDEN = ("looks", "end", "jobs")
_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FINAL = {"DONE", "ERROR", "CANCELED", "TIMED_OUT"}
_CORE = "/core-fast/api/"
_PUBLIC = (["devices"], ["devices", "public-specs"])


def device(name: str, **more: Any) -> dict[str, Any]:
    """Return the service's description of a device."""
    return {
        "device_type": name,
        "status": "UP",
        "availability": "ACTIVE",
        "max_atom_num": 80,
        "average_queue_time": 0,
        "is_emulator": name.startswith("EMU_"),
        **more,
    }


DEVICES = [
    device("FRESNEL", max_atom_num=100, average_queue_time=120),
    device("FRESNEL_CAN1", status="DOWN"),
    device("FRESNEL_OLD", availability="RETIRED", max_atom_num=20),
    device("EMU_FREE", max_atom_num=12),
]


def refusal(code: int, message: str, vendor_code: object = None) -> Fault:
    """Return an error response in the API's format."""
    body = {
        "status": "fail" if code < 500 else "error",
        "message": "Something is wrong.",
        "code": code if vendor_code is None else vendor_code,
        "data": {"description": message},
    }
    return status(code, body)


class PasqalService(LoopbackVendor):
    """The service; a context manager.

    Attributes:
        forms: The form of every request for a token.
        headers: The headers of every request to the API and to the store of results.
        bodies: The body of every submission.
        batches: The batches by id, oldest first.
        cudaq: The jobs of CUDA-Q by id.
        files: Contents of result files, in place of the default.
        full_results: True if that route exists; otherwise results are available as files only.
        cancels_cudaq: True if the route that cancels batches accepts CUDA-Q jobs.
        devices: The devices.
        page: Maximum number of entries on a page of a list.
        looks: Number of status requests during which a task is pending, and then as many while it
            runs.
        token_seconds: The reported lifetime of tokens in seconds; None omits it.
        tokens: The valid tokens.
    """

    secrets = (PASSWORD, SIGNATURE, "token-")

    def __init__(self) -> None:
        super().__init__(tokens=())
        self.host = self.url
        self.forms: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[dict[str, Any]] = []
        self.batches: dict[str, dict[str, Any]] = {}
        self.cudaq: dict[str, dict[str, Any]] = {}
        self.files: dict[str, object] = {}
        self.result: object = {"counter": COUNTER}
        self.full_results = True
        self.cancels_cudaq = True
        self.devices = DEVICES
        self.page = 100
        self.looks = 1
        self.token_seconds: float | None = 3600
        # a new one each time, since tokens are cached by user and ports are reused
        self.password = f"{PASSWORD}-{uuid.uuid4().hex}"

    def settings(self, **more: str) -> dict[str, str]:
        """Return the settings of a resource of this service; keywords add or replace some.

        Empty values are omitted.
        """
        found = {
            "QRMI_PASQAL_CLOUD_BASE_URL": self.host,
            "QRMI_PASQAL_CLOUD_AUTH_ENDPOINT": f"{self.host}/oauth/token",
            "QRMI_PASQAL_CLOUD_PROJECT_ID": PROJECT,
            "PASQAL_USERNAME": "me@example.org",
            "PASQAL_PASSWORD": self.password,
            **{
                name if name.startswith(("QRMI_", "PASQAL_")) else f"QRMI_PASQAL_CLOUD_{name}": text
                for name, text in more.items()
            },
        }
        return {name: text for name, text in found.items() if text}

    def ids(self) -> set[str]:
        jobs = {job["id"] for batch in self.batches.values() for job in batch["jobs"]}
        return {*self.batches, *self.cudaq, *jobs}

    def job_of(self, batch_id: str) -> dict[str, Any]:
        job: dict[str, Any] = self.batches[batch_id]["jobs"][0]
        return job

    def finish_all(self) -> None:
        """End every task."""
        for task in self.tasks():
            task["status"] = task["end"]

    def tasks(self) -> list[dict[str, Any]]:
        return [*self.batches.values(), *self.cudaq.values()]

    def start(self, kind: dict[str, dict[str, Any]], text: str) -> dict[str, Any]:
        """Create a batch or CUDA-Q job, whose text selects its final state."""
        ends = {"fail": "ERROR", "endless": "RUNNING", "late": "TIMED_OUT", "many": "DONE"}
        task_id = str(uuid.uuid4())
        number = len(self.batches) + len(self.cudaq)
        kind[task_id] = {
            "id": task_id,
            "status": "PENDING",
            "end": next((end for word, end in ends.items() if word in text), "DONE"),
            "looks": self.looks,
            "created_at": f"2099-01-01T12:{number // 60:02}:{number % 60:02}.000Z",
        }
        return kind[task_id]

    def look(self, task: dict[str, Any]) -> dict[str, Any]:
        """Return the status for a status request, then advance the task."""
        seen = {key: value for key, value in task.items() if key not in _HIDDEN}
        if task["status"] in {"PENDING", "RUNNING"} and task["status"] != task["end"]:
            task["looks"] -= 1
            if task["looks"] <= 0:
                task["looks"] = self.looks
                task["status"] = task["end"] if task["status"] == "RUNNING" else "RUNNING"
        return seen

    # Handling of requests

    def path(self, request: VendorRequest) -> list[str]:
        return request.path.removeprefix(_CORE).strip("/").split("/")

    def log_entry(self, request: VendorRequest) -> str:
        path = self.path(request)
        if path[0] != "oauth":
            self.headers.append({k.lower(): v for k, v in request.headers.items()})
        line = f"{request.method} {'/'.join(path)}"
        return f"{line}?{request.query_string}" if request.query_string else line

    def kinds(self, request: VendorRequest) -> tuple[str]:
        return (self.kind(f"{request.method} {'/'.join(self.path(request))}"),)

    def needs_token(self, request: VendorRequest) -> bool:
        path = self.path(request)
        public = ("oauth", "files") + (("v1",) if path[1:] in _PUBLIC else ())
        return path[0] not in public

    def unauthorized(self, request: VendorRequest) -> VendorResponse:
        return _Handler(self, request).refuse(401, "the token is not valid")

    def respond(self, request: VendorRequest) -> VendorResponse:
        return _Handler(self, request).route(self.path(request), request.query_string, request.body)


class _Handler(Handler):
    service: PasqalService

    def give(self, data: object, **more: object) -> VendorResponse:
        return self.answer(
            200, {"status": "success", "message": "OK.", "code": "200", "data": data, **more}
        )

    def refuse(self, code: int, message: str) -> VendorResponse:
        return self.as_by(refusal(code, message))

    def route(self, path: list[str], query: str, body: bytes) -> VendorResponse:
        service = self.service
        asked = dict(parse_qsl(query))
        match [self.command, *path]:
            case ["POST", "oauth", "token"]:
                return self.token(dict(parse_qsl(body.decode(), keep_blank_values=True)))
            case ["GET", "files", job_id]:
                return self.file(job_id, query)
            case ["GET", "v1", "devices"]:
                wanted = asked.get("device_type")
                found = [d for d in service.devices if wanted in (None, d["device_type"])]
                return self.page(found, asked)
            case ["GET", "v1", "devices", "public-specs"]:
                return self.give([{"device_type": "FRESNEL", "specs": SPECS}])
            case ["GET", "v1", "devices", "specs", name]:
                if any(d["device_type"] == name for d in service.devices):
                    return self.give({"device_type": name, "specs": SPECS})
                else:
                    return self.refuse(404, "no such device")
            case ["POST", "v1", "batches"]:
                return self.create(json.loads(body))
            case ["GET", "v1", "batches"]:
                return self.list(asked, self.filter(query))
            case ["POST", "v1", "cudaq", "job"]:
                wanted = json.loads(body)
                service.bodies.append(wanted)
                job = service.start(service.cudaq, json.dumps(wanted["sequence"]))
                return self.give({"id": job["id"], "status": "PENDING"})
            case ["GET", "v1", "cudaq", "job", job_id] if job_id in service.cudaq:
                seen = service.look(service.cudaq[job_id])
                done = seen["status"] == "DONE"
                return self.give({**seen, "result": service.result if done else None})
            case ["PATCH", "v2", "batches", task_id, "cancel"]:
                return self.cancel(task_id)
            case ["POST", "v2", "batches", batch_id, "jobs"] if batch_id in service.batches:
                return self.add(service.batches[batch_id], json.loads(body))
            case ["PATCH", "v2", "batches", batch_id, "complete"] if batch_id in service.batches:
                service.batches[batch_id]["open"] = False
                return self.give({})
            case ["GET", "v2", "jobs"] if "batch_id" not in asked:
                jobs = [job for batch in service.batches.values() for job in batch["jobs"]]
                found = [job for job in jobs if job["id"] in self.filter(query)]
                return self.page([service.look(job) for job in found], asked)
            case ["GET", "v2", "jobs"]:
                batch = service.batches.get(asked["batch_id"], {"jobs": []})
                return self.page([{"id": job["id"]} for job in batch["jobs"]], asked)
            case [_, _, "batches", batch_id, *rest] if batch_id in service.batches:
                return self.batch(service.batches[batch_id], rest)
            case ["GET", _, "jobs", job_id, *rest] if job_id in service.ids():
                batch, job = next(
                    (batch, job)
                    for batch in service.batches.values()
                    for job in batch["jobs"]
                    if job["id"] == job_id
                )
                return self.job(batch, job, rest)
            case _:
                return self.refuse(404, "not found")

    def token(self, form: dict[str, str]) -> VendorResponse:
        service = self.service
        service.forms.append(form)
        secret = form.get("password", form.get("client_secret"))
        if secret != service.password:
            words = {"error": "invalid_grant", "error_description": "Wrong email or password."}
            return self.answer(403, words)
        token = f"token-{uuid.uuid4().hex}"
        service.tokens.add(token)
        lifetime = {} if service.token_seconds is None else {"expires_in": service.token_seconds}
        return self.answer(200, {"access_token": token, "token_type": "Bearer", **lifetime})

    def file(self, job_id: str, query: str) -> VendorResponse:
        if "Authorization" in self.headers or SIGNATURE not in query:
            return self.answer(
                403, f"<Error>{query}</Error>".encode(), {"Content-Type": "text/xml"}
            )
        else:
            return self.answer(200, self.service.files.get(job_id, self.service.result))

    def filter(self, query: str) -> set[str]:
        """The ids of the filter of a list."""
        return {value for name, value in parse_qsl(query) if name == "id"}

    def page(self, found: list[Any], asked: dict[str, str]) -> VendorResponse:
        start = int(asked.get("offset", 0))
        end = min(start + min(self.service.page, int(asked.get("limit", 100))), len(found))
        pagination = {"total": len(found), "start": start, "end": end}
        return self.give(found[start:end], pagination=pagination)

    def create(self, wanted: dict[str, Any]) -> VendorResponse:
        service = self.service
        service.bodies.append(wanted)
        if not any(d["device_type"] == wanted["device_type"] for d in service.devices):
            return self.refuse(422, f"device {wanted['device_type']} is not known")
        batch = service.start(service.batches, wanted["sequence_builder"] or "")
        jobs = [{"id": str(uuid.uuid4()), "batch_id": batch["id"], **job} for job in wanted["jobs"]]
        batch |= {
            "tags": wanted.get("tags"),
            "project_id": wanted["project_id"],
            "device_type": wanted["device_type"],
            "sequence_builder": wanted["sequence_builder"],
            "open": wanted.get("open", False),
            "job_ids": [job["id"] for job in jobs],
            "jobs": jobs,
        }
        return self.give(service.look(dict(batch)))

    def add(self, batch: dict[str, Any], wanted: list[dict[str, Any]]) -> VendorResponse:
        if not batch["open"]:
            return self.refuse(400, "the batch is closed")
        for job in wanted:
            added = self.service.start({}, job["sequence"]) | job | {"batch_id": batch["id"]}
            batch["jobs"].append(added)
            batch["job_ids"].append(added["id"])
        return self.give(self.service.look(batch))

    def list(self, asked: dict[str, str], ids: set[str]) -> VendorResponse:
        if any(not _UUID.fullmatch(each) for each in ids):
            return self.refuse(422, "an id is not a UUID")
        found = [
            # Polling all of them is a look at each.
            self.service.look(batch)
            if ids
            else {key: value for key, value in batch.items() if key not in _HIDDEN}
            for batch in self.service.batches.values()
            if (not ids or batch["id"] in ids)
            and asked.get("tag") in (None, *(batch["tags"] or ()))
            and asked.get("device_type") in (None, batch["device_type"])
            and asked.get("project_id") in (None, batch["project_id"])
        ]
        return self.page(found, asked)

    def batch(self, batch: dict[str, Any], rest: list[str]) -> VendorResponse:
        service = self.service
        done = batch["status"] == "DONE"
        match rest:
            case []:
                return self.give(service.look(batch))
            case ["full_results"] if service.full_results:
                return self.give(
                    {job["id"]: service.result for job in batch["jobs"]} if done else {}
                )
            case _:
                return self.refuse(404, "not found")

    def job(self, batch: dict[str, Any], job: dict[str, Any], rest: list[str]) -> VendorResponse:
        if rest == ["results_link"]:
            link = f"{self.service.host}/files/{job['id']}?X-Amz-Signature={SIGNATURE}"
            return self.give(
                {"results_link": link if job.get("status", batch["status"]) == "DONE" else None}
            )
        state = self.service.look(job) if "end" in job else {**job, "status": batch["status"]}
        return self.give(
            {
                **state,
                "created_at": "2026-01-01T12:00:00.000Z",
                "start_timestamp": "2026-01-01T12:00:01Z",
                "end_timestamp": "2026-01-01T12:00:03Z",
                "errors": ["the laser is off", "try later"] if batch["status"] == "ERROR" else None,
            }
        )

    def cancel(self, task_id: str) -> VendorResponse:
        service = self.service
        tasks = {**service.batches, **(service.cudaq if service.cancels_cudaq else {})}
        task = tasks.get(task_id)
        if task is None:
            return self.refuse(404, "Batch not found")
        elif task["status"] in _FINAL:
            return self.refuse(400, "the batch is in a final state")
        else:
            task["status"] = task["end"] = "CANCELED"
            return self.give(service.look(task))
