"""IBM's Direct Access API and its S3 store, seen by plain clients."""

from __future__ import annotations

import json
import logging
import socket
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from botocore.exceptions import ClientError

from qrmi_emulator import Emulator
from support.direct_access_client import DirectAccessClient
from support.runtime_client import BELL

LOCAL_FILE = {"type": "s3_compatible", "presigned_url": "file:///etc/hostname"}


@pytest.fixture(scope="module")
def system() -> Iterator[Emulator]:
    with Emulator(["ibm-da"]) as running:
        yield running


@pytest.fixture
def client(system: Emulator) -> Iterator[DirectAccessClient]:
    made = DirectAccessClient(system)
    system.clear_requests()
    yield made
    system.clear_faults()
    system.change(lanes=5, lanes_held="undeleted", reserved=None)
    system.set_resource("aer", status="online")
    made.clear()
    made.close()


def code(answer: requests.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    document = answer.json()
    assert document["status_code"] == status
    assert document["trace"]
    (error,) = document["errors"]
    assert error["message"]
    assert error["more_info"]
    assert isinstance(error["code"], str)
    return str(error["code"])


def s3_code(answer: requests.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    return answer.text.partition("<Code>")[2].partition("</Code>")[0]


def refused(error: pytest.ExceptionInfo[ClientError]) -> tuple[int, str]:
    answer = error.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


# The system


def test_versions_need_no_token(system: Emulator) -> None:
    assert requests.get(f"{system.url}/version", timeout=10).json() == {"version": "2025-08-15"}
    versions = requests.get(f"{system.url}/versions", timeout=10).json()["versions"]
    assert versions[-1] == "2025-08-15"


@pytest.mark.parametrize("path", ["/v1/backends", "/v1/jobs", "/v1/jobs/x", "/v1/backends/x"])
def test_all_else_needs_a_token_and_the_instance(client: DirectAccessClient, path: str) -> None:
    client.http.headers["Service-CRN"] = "crn:v1:other"
    assert code(client("GET", path), 401) == "1200"
    client.http.headers["Authorization"] = "Bearer no"
    assert code(client("GET", path), 401) == "1201"


def test_a_doubled_slash_and_an_encoded_name_are_no_trouble(client: DirectAccessClient) -> None:
    assert client("GET", "//v1/backends/%61er").json()["name"] == "aer"


def test_backends_and_their_documents(client: DirectAccessClient) -> None:
    known = {each["name"]: each for each in client("GET", "/v1/backends").json()["backends"]}
    assert known["ibm_rensselaer"]["status"] == "online"
    assert known["ibm_rensselaer"]["locked"] is False
    for kind in ("configuration", "properties"):
        document = client("GET", f"/v1/backends/ibm_rensselaer/{kind}").json()
        assert document["backend_name"] == "ibm_rensselaer"
        assert client("GET", f"/v1/backends/aer/{kind}").json()["backend_name"]
    lanes = client("GET", "/v1/backends/aer/lanes").json()
    assert lanes == {"hpc_workload_manager": {"lanes": 5}, "ibm_quantum_compute": {"lanes": 0}}
    for path in ("", "/configuration", "/properties", "/lanes"):
        assert code(client("GET", f"/v1/backends/nowhere{path}"), 404) == "1216"
    assert code(client("GET", "/v1/nothing"), 404) == ""


@pytest.mark.parametrize(
    ("condition", "word"),
    [("paused", "paused"), ("offline", "offline"), ("maintenance", "offline")],
)
def test_a_backend_that_is_not_online_takes_no_jobs(
    system: Emulator, client: DirectAccessClient, condition: str, word: str
) -> None:
    system.set_resource("aer", status=condition, reason="calibration")
    known = client("GET", "/v1/backends/aer").json()
    assert (known["status"], known["message"]) == (word, "calibration")
    assert "locked" not in known
    answer = client("POST", "/v1/jobs", client.job("x"))
    assert code(answer, 400) == "1004"
    assert "calibration" in answer.text


# Jobs


@pytest.mark.slow
def test_a_job_goes_its_way_through_s3(system: Emulator, client: DirectAccessClient) -> None:
    job_id = client.submit(shots=200, log_level="debug")
    assert client.show(job_id)["status"] in ("Running", "Completed")
    job = client.wait(job_id)
    assert job["status"] == "Completed"
    for key in ("created_time", "end_time"):
        assert job[key].endswith("Z")
        assert len(job[key]) == len("2026-11-22T21:18:04.756994Z")
    assert job["usage"]["quantum_nanoseconds"] == job["metrics"]["circuits_execution_time_ns"] > 0
    assert (job["timeout_secs"], job["log_level"], job["backend"]) == (900, "debug", "aer")
    assert set(job["storage"]) == {"input", "results", "logs"}
    samples = json.loads(client.get(f"results_{job_id}.json"))["results"][0]["data"]["c"]["samples"]
    counts = Counter(samples)
    assert set(counts) == {"0x0", "0x3"}
    assert counts.total() == 200
    assert b"sampler on aer completed after" in client.get(f"logs_{job_id}.json")
    service = [
        (each["method"], each["path"].rpartition("/")[2], each["status"])
        for each in system.requests()
        if each["agent"] == "ibm-quantum-system"
    ]
    assert service == [
        ("GET", f"input_{job_id}.json", 200),
        ("PUT", f"results_{job_id}.json", 200),
        ("PUT", f"logs_{job_id}.json", 200),
    ]
    assert job_id in requests.get(f"{system.url}/", timeout=10).text
    assert client("DELETE", f"/v1/jobs/{job_id}").status_code == 204
    assert code(client("GET", f"/v1/jobs/{job_id}"), 404) == "1291"
    assert code(client("DELETE", f"/v1/jobs/{job_id}"), 404) == "1291"
    assert code(client("POST", f"/v1/jobs/{job_id}/cancel"), 404) == "1291"
    assert client.get(f"results_{job_id}.json"), "the objects stay"


@pytest.mark.slow
def test_equal_seeds_give_equal_results(client: DirectAccessClient) -> None:
    jobs = [client.submit(seed=5), client.submit(seed=5), client.submit(seed=6)]
    for job in jobs:
        assert client.wait(job)["status"] == "Completed"
    first, second, third = (client.get(f"results_{job}.json") for job in jobs)
    assert first == second != third


def test_jobs_are_listed_oldest_first_until_deleted(client: DirectAccessClient) -> None:
    assert client("GET", "/v1/jobs").json() == {"jobs": []}
    jobs = [client.submit() for _ in range(3)]
    assert [job["id"] for job in client("GET", "/v1/jobs").json()["jobs"]] == jobs


def test_ids_are_the_clients(system: Emulator, client: DirectAccessClient) -> None:
    name = "a/b c"
    client.put("input", json.dumps({"pubs": [["OPENQASM 3.0;", None, 1]], "version": 2}))
    body = client.job(name)
    body["storage"]["input"]["presigned_url"] = client.presigned("get", "input")
    del body["storage"]["logs"]
    system.fault("job-queued")
    assert client("POST", "/v1/jobs", body).status_code == 204
    assert code(client("POST", "/v1/jobs", body), 409) == "1231"
    assert client("GET", "/v1/jobs/a%2Fb%20c").json()["id"] == name
    system.act(name, "fail", reason="why", code=7)
    assert client.wait("a%2Fb%20c")["reason_code"] == 7
    assert client("DELETE", "/v1/jobs/a%2Fb%20c").status_code == 204
    system.fault("job-queued")
    assert client("POST", "/v1/jobs", body).status_code == 204, "it may be used again"


@pytest.mark.parametrize(
    "fields",
    [
        {"id": ""},
        {"id": 5},
        {"id": "x" * 257},
        {"backend": None},
        {"program_id": None},
        {"timeout_secs": 0},
        {"timeout_secs": 1.5},
        {"timeout_secs": True},
        {"timeout_secs": None},
        {"log_level": "loud"},
        {"storage": None},
        {"storage": {"input": {"type": "s3_compatible", "presigned_url": "http://h/b/k"}}},
        {"storage": {"input": {"type": "ibmcloud_cos"}, "results": {}}},
        {"storage": {"input": LOCAL_FILE, "results": LOCAL_FILE}},
    ],
)
def test_the_form_of_a_job_is_looked_at_before_the_token(
    client: DirectAccessClient, fields: dict[str, Any]
) -> None:
    client.http.headers["Authorization"] = "Bearer no"
    assert code(client("POST", "/v1/jobs", {**client.job("x"), **fields}), 400) == "1337"
    assert code(client("POST", "/v1/jobs", client.job("x")), 401) == "1201"


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"[" * 60_000])
def test_what_is_no_job_is_refused(client: DirectAccessClient, content: bytes) -> None:
    answer = client.http.post(f"{client.url}/v1/jobs", data=content, timeout=10)
    assert code(answer, 400) == "1337"


def test_a_body_that_is_too_large_is_refused(client: DirectAccessClient) -> None:
    answer = client.http.post(f"{client.url}/v1/jobs", data=b" " * 2**21, timeout=10)
    assert answer.status_code == 413


def test_a_submission_is_refused_in_the_order_of_the_service(
    system: Emulator, client: DirectAccessClient
) -> None:
    system.change(lanes=1)
    system.fault("job-queued")
    job_id = client.submit()
    body = client.job(job_id, program_id="noise-learner")
    system.change(reserved="a*")
    assert code(client("POST", "/v1/jobs", {**body, "backend": "nowhere"}), 404) == "1216"
    assert client("GET", "/v1/backends/aer").json()["locked"] is True
    assert code(client("POST", "/v1/jobs", body), 423) == "1233"
    system.change(reserved=None)
    assert code(client("POST", "/v1/jobs", body), 429) == "1232"
    system.change(lanes=2)
    assert code(client("POST", "/v1/jobs", body), 409) == "1231"
    assert code(client("POST", "/v1/jobs", {**body, "id": "other"}), 400) == "1337"
    assert len(client("GET", "/v1/jobs").json()["jobs"]) == 1


@pytest.mark.slow
def test_only_deletion_frees_a_lane(system: Emulator, client: DirectAccessClient) -> None:
    system.change(lanes=1)
    job_id = client.submit()
    client.wait(job_id)
    body = client.job(client.upload())
    assert code(client("POST", "/v1/jobs", body), 429) == "1232"
    assert client("POST", "/v1/jobs", {**body, "backend": "fake_lagos"}).status_code == 204
    assert client("DELETE", f"/v1/jobs/{job_id}").status_code == 204
    assert client("POST", "/v1/jobs", {**body, "id": "second"}).status_code == 204


def test_a_lane_may_be_free_once_its_job_has_ended(
    system: Emulator, client: DirectAccessClient
) -> None:
    system.change(lanes=1, lanes_held="running")
    system.fault("job-queued")
    first = client.submit()
    body = client.job(client.upload())
    assert code(client("POST", "/v1/jobs", body), 429) == "1232"
    system.act(first, "cancel")
    client.wait(first)
    assert client("POST", "/v1/jobs", body).status_code == 204


def test_cancel_and_delete_have_their_rules(system: Emulator, client: DirectAccessClient) -> None:
    system.fault("job-queued")
    job_id = client.submit()
    assert code(client("DELETE", f"/v1/jobs/{job_id}"), 409) == "1337"
    assert client("POST", f"/v1/jobs/{job_id}/cancel").status_code == 204
    assert client.show(job_id)["status"] == "Cancelled"
    assert code(client("POST", f"/v1/jobs/{job_id}/cancel"), 409) == "1306"
    assert client("DELETE", f"/v1/jobs/{job_id}").status_code == 204


@pytest.mark.parametrize(
    ("kind", "status", "number"),
    [
        ("job-failed", "Failed", 1517),
        ("job-too-long", "Cancelled", 1305),
        ("job-cancelled", "Cancelled", None),
    ],
)
def test_a_job_meets_its_fate(
    system: Emulator, client: DirectAccessClient, kind: str, status: str, number: int | None
) -> None:
    more: dict[str, Any] = {"code": 1517, "reason": "no"} if kind == "job-failed" else {}
    system.fault(kind, seconds=0.1, **more)
    job = client.wait(client.submit())
    assert job["status"] == status
    assert job.get("reason_code") == number
    assert job["reason_message"]
    client.get(f"logs_{job['id']}.json")


def test_a_job_that_stays_running_is_released(system: Emulator, client: DirectAccessClient) -> None:
    system.fault("job-queued")
    job_id = client.submit()
    client.wait(client.submit())
    assert client.show(job_id)["status"] == "Running"
    system.act(job_id, "release")
    assert client.wait(job_id)["status"] == "Completed"


@pytest.mark.parametrize(
    ("content", "number"),
    [
        (b"{}", 5203),
        (b"no", 5203),
        (json.dumps({"pubs": [["OPENQASM 3.0; x", None, 1]], "version": 2}).encode(), 1506),
    ],
)
def test_an_input_that_cannot_be_run_fails_the_job(
    client: DirectAccessClient, content: bytes, number: int
) -> None:
    job_id = str(uuid.uuid4())
    client.put(f"input_{job_id}.json", content)
    assert client("POST", "/v1/jobs", client.job(job_id)).status_code == 204
    job = client.wait(job_id)
    assert (job["status"], job["reason_code"]) == ("Failed", number)
    assert job["reason_message"]
    assert job["reason_solution"]


@pytest.mark.parametrize(
    "options",
    [
        {"execution": {"meas_type": "kerneled"}},
        {"execution": {"new_flag": 1}},
        {"simulator": {"basis_gates": ["sx"]}},
    ],
)
def test_options_that_cannot_be_simulated_fail_the_job(
    client: DirectAccessClient, options: dict[str, Any]
) -> None:
    job = client.wait(with_options(client, options))
    assert job["status"] == "Failed"
    [name] = [name for group in options.values() for name in group]
    assert name in job["reason_message"]


def test_options_are_applied_or_have_no_effect_as_the_log_says(client: DirectAccessClient) -> None:
    wrong = {"type": "roerror", "operations": ["measure"], "probabilities": [[0, 1], [0, 1]]}
    noise = {"simulator": {"noise_model": {"errors": [wrong]}}, "twirling": {"strategy": "all"}}
    job_id = with_options(client, noise)
    assert client.wait(job_id)["status"] == "Completed"
    [result] = json.loads(client.get(f"results_{job_id}.json"))["results"]
    assert set(result["data"]["c"]["samples"]) == {"0x3"}
    log = client.get(f"logs_{job_id}.json").decode()
    assert log.count("no effect on a local simulator: twirling.strategy\n") == 1


def test_the_first_job_of_an_emulator_may_fail_before_it_is_executed() -> None:
    with Emulator(["ibm-da"]) as fresh:
        client = DirectAccessClient(fresh)
        job = client.wait(with_options(client, {"new_option": 1}))
        assert job["status"] == "Failed"
        assert b"failed" in client.get(f"logs_{job['id']}.json")
        client.close()


def with_options(client: DirectAccessClient, options: dict[str, Any]) -> str:
    """Submit a circuit with options, and return the job's id."""
    job_id = str(uuid.uuid4())
    document = {"pubs": [[BELL]], "version": 2, "options": options, "support_qiskit": False}
    client.put(f"input_{job_id}.json", json.dumps(document))
    assert client("POST", "/v1/jobs", client.job(job_id)).status_code == 204
    return job_id


def test_an_executor_is_taken_and_says_what_its_input_lacks(client: DirectAccessClient) -> None:
    job = client.wait(client.submit(program_id="executor"))
    assert (job["program_id"], job["status"]) == ("executor", "Failed")
    assert job["reason_message"]
    assert isinstance(job["reason_code"], int)


# The store


@pytest.mark.slow
def test_what_the_service_cannot_read_or_write_fails_the_job_without_its_url(
    client: DirectAccessClient,
) -> None:
    cases = {
        "HTTP 404 NoSuchKey": ("input", client.presigned("get", "nothing")),
        "HTTP 404 NoSuchBucket": ("results", client.presigned("put", "x", bucket="no-bucket")),
        "HTTP 403 SignatureDoesNotMatch": ("results", client.presigned("put", "x") + "0"),
        "no response": ("input", "http://127.0.0.1:1/b/k?X-Amz-Signature=secret"),
    }
    for wanted, (member, url) in cases.items():
        body = client.job(client.upload())
        body["storage"][member]["presigned_url"] = url
        assert client("POST", "/v1/jobs", body).status_code == 204
        job = client.wait(body["id"])
        assert (job["status"], job["reason_code"]) == ("Failed", 5203)
        assert wanted in job["reason_message"]
        assert "http:" not in job["reason_message"]
        client("DELETE", f"/v1/jobs/{body['id']}")


@pytest.mark.slow
@pytest.mark.parametrize("member", ["input", "results"])
def test_a_url_that_has_expired_fails_the_job(client: DirectAccessClient, member: str) -> None:
    body = client.job(client.upload())
    what = "get" if member == "input" else "put"
    url = client.presigned(what, f"{member}_{body['id']}.json", seconds=1)
    deadline = time.monotonic() + 10
    while "expired" not in (answer := requests.request(what, url, timeout=10)).text:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert s3_code(answer, 403) == "AccessDenied"
    body["storage"][member]["presigned_url"] = url
    assert client("POST", "/v1/jobs", body).status_code == 204
    assert "HTTP 403 AccessDenied" in client.wait(body["id"])["reason_message"]


@pytest.mark.parametrize("kind", ["reset", "reset-after", "truncated", "latency", "status"])
def test_the_service_tries_again(system: Emulator, client: DirectAccessClient, kind: str) -> None:
    for path in ("*/input_*", "*/results_*", "*/logs_*"):
        system.fault(kind, path=path, method="GET" if "input" in path else "PUT", delay=0.1)
    job = client.wait(client.submit())
    assert job["status"] == "Completed", job
    assert client.get(f"results_{job['id']}.json")
    assert system.info()["faults"] == []


def test_objects_of_many_kinds_of_clients(client: DirectAccessClient) -> None:
    large = b"0123456789abcdef" * 2**20
    client.s3.put_object(Bucket=client.bucket, Key="dir/a b+é", Body=large)
    assert client.get("dir/a b+é") == large
    part = client.s3.get_object(Bucket=client.bucket, Key="dir/a b+é", Range="bytes=5-9")
    assert part["Body"].read() == b"56789"
    upload = client.s3.create_multipart_upload(Bucket=client.bucket, Key="parts")["UploadId"]
    place = {"Bucket": client.bucket, "Key": "parts", "UploadId": upload}
    tags = [
        client.s3.upload_part(**place, PartNumber=number, Body=large[: 6 * 2**20])["ETag"]
        for number in (1, 2)
    ]
    parts = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1)]
    client.s3.complete_multipart_upload(**place, MultipartUpload={"Parts": parts})
    assert len(client.get("parts")) == 12 * 2**20
    names = {each["Key"] for each in client.s3.list_objects_v2(Bucket=client.bucket)["Contents"]}
    assert {"dir/a b+é", "parts"} <= names
    client.s3.delete_object(Bucket=client.bucket, Key="parts")
    with pytest.raises(ClientError) as error:
        client.get("parts")
    assert refused(error) == (404, "NoSuchKey")


def test_an_upload_that_was_aborted_takes_no_parts(
    client: DirectAccessClient, capfd: pytest.CaptureFixture[str]
) -> None:
    upload = client.s3.create_multipart_upload(Bucket=client.bucket, Key="gone")["UploadId"]
    place = {"Bucket": client.bucket, "Key": "gone", "UploadId": upload}
    client.s3.abort_multipart_upload(**place)
    parts = {"Parts": [{"PartNumber": 1, "ETag": '"0"'}]}
    for call in (
        lambda: client.s3.upload_part(**place, PartNumber=1, Body=b"x"),
        lambda: client.s3.complete_multipart_upload(**place, MultipartUpload=parts),
        lambda: client.s3.abort_multipart_upload(**place),
    ):
        with pytest.raises(ClientError) as error:
            call()
        assert refused(error) == (404, "NoSuchUpload")
    assert "Traceback" not in capfd.readouterr().err


def test_a_client_that_leaves_during_a_latency_is_no_defect(
    system: Emulator, client: DirectAccessClient, caplog: pytest.LogCaptureFixture
) -> None:
    system.fault("latency", delay=0.5, path="*/late")
    url = urlsplit(client.presigned("put", "late"))
    with socket.create_connection((url.hostname, url.port)) as leaving:
        head = f"PUT {url.path}?{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\n"
        leaving.sendall(f"{head}Content-Length: 1000\r\n\r\nx".encode())
    noted = []
    deadline = time.monotonic() + 30
    while not noted and time.monotonic() < deadline:
        noted = [each for each in system.requests() if each["path"].endswith("/late")]
        time.sleep(0.05)
    assert [(each["fault"], each["status"]) for each in noted] == [("latency", None)]
    client.put("k", b"v")
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_form_is_stored_as_it_is(client: DirectAccessClient) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    url = client.presigned("put", "form")
    answer = requests.put(url, data=b"a=b", headers=headers, timeout=10)
    assert answer.status_code == 200
    assert client.get("form") == b"a=b"


def test_a_wrong_key_signature_or_bucket_is_denied_as_s3_does(
    system: Emulator, client: DirectAccessClient
) -> None:
    client.put("k", b"v")
    with pytest.raises(ClientError) as error:
        client.s3.get_object(Bucket="no-bucket", Key="k")
    assert refused(error) == (404, "NoSuchBucket")
    url = client.presigned("get", "k")
    get = lambda address: requests.get(address, timeout=10)  # noqa: E731
    assert get(url).content == b"v"
    assert s3_code(get(url.partition("?")[0]), 403) == "AccessDenied"
    assert s3_code(get(url.replace("Expires=900", "Expires=901")), 403) == "SignatureDoesNotMatch"
    assert s3_code(get(url.replace("/k?", "/form?")), 403) == "SignatureDoesNotMatch"
    assert s3_code(requests.put(url, b"x", timeout=10), 403) == "SignatureDoesNotMatch"
    other = url.replace(client.settings["AWS_ACCESS_KEY_ID"], "OTHER")
    assert s3_code(get(other), 403) == "InvalidAccessKeyId"
    long = client.presigned("get", "k", seconds=604801)
    assert s3_code(get(long), 400) == "AuthorizationQueryParametersError"
    client.s3._request_signer._credentials.secret_key = "wrong"
    with pytest.raises(ClientError) as error:
        client.get("k")
    assert refused(error) == (403, "SignatureDoesNotMatch")


@pytest.mark.parametrize(
    ("fault", "wanted"),
    [
        ({"kind": "status", "status": 404}, (404, "NoSuchBucket")),
        ({"kind": "status", "status": 403}, (403, "AccessDenied")),
        ({"kind": "status", "status": 503}, (503, "SlowDown")),
        ({"kind": "status", "status": 500}, (500, "InternalError")),
    ],
)
def test_a_fault_of_the_store_is_in_its_form(
    system: Emulator, client: DirectAccessClient, fault: dict[str, Any], wanted: tuple[int, str]
) -> None:
    client.put("k", b"v")
    system.fault(path="*/k", **fault)
    with pytest.raises(ClientError) as error:
        client.get("k")
    assert refused(error) == wanted
    assert client.get("k") == b"v"


def test_a_url_expires_on_demand(system: Emulator, client: DirectAccessClient) -> None:
    client.put("k", b"v")
    system.fault("expired-token", path="*/k")
    assert client.get("k") == b"v", "what is signed in a header does not expire"
    answer = requests.get(client.presigned("get", "k"), timeout=10)
    assert s3_code(answer, 403) == "AccessDenied"
    assert "expired" in answer.text


def test_no_signature_is_noted_or_logged(
    system: Emulator, client: DirectAccessClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        job_id = client.upload()
        body = client.job(job_id)
        caplog.clear()
        assert client("POST", "/v1/jobs", body).status_code == 204
        client.wait(job_id)
    secrets = [
        place["presigned_url"].rpartition("X-Amz-Signature=")[2]
        for place in body["storage"].values()
    ]
    secrets += [client.settings["AWS_SECRET_ACCESS_KEY"], client.settings["IAM_APIKEY"]]
    said = caplog.text + json.dumps(system.requests())
    assert not [secret for secret in secrets if secret in said]


@pytest.mark.slow
def test_jobs_and_objects_outlive_the_emulator(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with Emulator(["ibm-da"], state=folder) as emulator:
        client = DirectAccessClient(emulator)
        done = client.submit()
        client.wait(done)
        emulator.fault("job-queued", seconds=1)
        going = client.submit()
        for _ in range(2):
            client.put("twice", b"v" * 1000)
        client.put("gone", b"")
        client.s3.delete_object(Bucket=client.bucket, Key="gone")
        before = client.s3.head_object(Bucket=client.bucket, Key="twice")
        client.close()
    with Emulator(["ibm-da"], state=folder) as emulator:
        client = DirectAccessClient(emulator)
        assert client.get(f"results_{done}.json")
        assert client.wait(going)["status"] == "Completed"
        assert client.get(f"results_{going}.json")
        after = client.s3.head_object(Bucket=client.bucket, Key="twice")
        for key in ("ETag", "LastModified", "ContentLength", "ContentType"):
            assert after[key] == before[key]
        with pytest.raises(ClientError):
            client.get("gone")
        client.close()


def test_stores_in_one_process_do_not_see_each_other(
    system: Emulator, client: DirectAccessClient
) -> None:
    client.put("k", b"v")
    with Emulator(["ibm-da"]) as emulator:
        other = DirectAccessClient(emulator)
        with pytest.raises(ClientError) as error:
            other.s3.get_object(Bucket=client.bucket, Key="k")
        assert refused(error) == (404, "NoSuchBucket")
        other.close()
    assert client.get("k") == b"v"


@pytest.mark.parametrize("kind", ["ibm-quantum-system", "direct-access"])
def test_a_configuration_has_the_keys_of_its_type(system: Emulator, kind: str) -> None:
    entries = system.config([(kind, "fake_lagos")])["resources"]
    environment = next(entry for entry in entries if entry["name"] == "fake_lagos")["environment"]
    prefix, api = (
        ("QRMI_IBM_QS_", "QSAPI") if kind != "direct-access" else ("QRMI_IBM_DA_", "DAAPI")
    )
    keys = ("ENDPOINT", "IAM_ENDPOINT", "IAM_APIKEY", "SERVICE_CRN", "AWS_ACCESS_KEY_ID")
    keys += ("AWS_SECRET_ACCESS_KEY", "S3_ENDPOINT", "S3_BUCKET", "S3_REGION")
    assert set(environment) == {
        *(prefix + key for key in keys),
        f"{prefix}S3_ENDPOINT_FOR_{api}",
        "QRMI_JOB_TIMEOUT_SECONDS",
    }
