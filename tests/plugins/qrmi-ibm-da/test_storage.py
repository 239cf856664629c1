"""The store: moto's S3 as a second implementation, failing multipart uploads, and memory."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given, strategies as st

from qrmi_core import Payload, QrmiError, ServiceError
from qrmi_core.plugin import HttpClient
from qrmi_core.testing import Fault
from qrmi_ibm_da.settings import SystemSettings
from qrmi_ibm_da.storage import NO_OBJECT, Signer, Store
from support.faulty_server import cut_after, cut_before, status
from support.processes import said
from support.resources import Make
from support.system_service import ACCESS_KEY, BUCKET, REGION, SECRET_KEY, SystemService, s3_error

PART = 5 << 20
CONTENT = bytes(range(256)) * (50_000)  # 12.8 MB


def store_at(url: str, **more: str) -> Store:
    keys = {
        "ENDPOINT": "http://127.0.0.1:1",
        "IAM_ENDPOINT": "http://127.0.0.1:1",
        "IAM_APIKEY": "k",
        "SERVICE_CRN": "crn",
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "S3_ENDPOINT": url,
        "S3_BUCKET": BUCKET,
        "S3_REGION": REGION,
        "S3_PART_BYTES": str(PART),
        **more,
    }
    settings = SystemSettings.from_mapping(
        {f"QRMI_IBM_QS_{name}": text for name, text in keys.items()}
        | {"QRMI_HTTP_FIRST_PAUSE_SECONDS": "0.01"}
    )
    return Store(settings, HttpClient("http://127.0.0.1:1", settings=settings))


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """Start moto's S3 with a bucket."""
    from moto.moto_server.werkzeug_app import create_backend_app
    from werkzeug.serving import make_server

    server = make_server("127.0.0.1", 0, create_backend_app("s3"), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    urllib.request.urlopen(urllib.request.Request(f"{url}/{BUCKET}", method="PUT")).close()
    yield url
    server.shutdown()
    thread.join()
    server.server_close()


def test_objects_of_another_implementation(moto: str) -> None:
    store = store_at(moto)
    for key, content in (("small", b"{}"), ("empty", b""), ("large", CONTENT)):
        store.put(key, content)
        assert b"".join(store.get(key)) == content
        assert store.read(key) == content
        store.delete(key)
        store.delete(key)
        with pytest.raises(ServiceError) as caught:
            store.read(key)
        assert caught.value.vendor_code == NO_OBJECT


def test_a_presigned_url_is_all_that_the_service_needs(moto: str) -> None:
    store = store_at("http://127.0.0.1:1", S3_ENDPOINT_FOR_QSAPI=f"{moto}/")
    url = store.service_url("PUT", "results", 60)
    request = urllib.request.Request(url, b"the result", method="PUT")
    request.add_header(
        "Content-Type", "application/octet-stream"
    )  # moto drops the content of forms
    urllib.request.urlopen(request).close()
    assert store_at(moto).read("results") == b"the result"


def test_a_missing_bucket_of_another_implementation(moto: str) -> None:
    with pytest.raises(QrmiError, match=r"NoSuchBucket.*S3_BUCKET"):
        store_at(moto, S3_BUCKET="nobody-made-this").put("a", b"")


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=20),
    st.sampled_from(["http://s3.example:9000", "https://s3.example/prefix", "https://[::1]:9000"]),
)
def test_every_name_is_one_segment_of_the_address(name: str, endpoint: str) -> None:
    signer = Signer(endpoint, "b", "us-east", "id", "secret")
    url = signer.url("GET", name, 60)
    path = url.partition("?")[0].removeprefix(f"{endpoint}/b/")
    assert "/" not in path
    assert unquote(path) == name


def test_signing_leaves_no_trace(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    signer = Signer("http://s3.example", "b", "us-east", "an-id", "a-secret")
    assert "X-Amz-Signature=" in signer.url("GET", "k", 60)
    assert not caplog.records
    assert "an-id" not in repr(signer)
    logging.getLogger("botocore.auth").warning("what others log is left alone")
    assert len(caplog.records) == 1


# --- uploads in parts ---


def test_a_part_that_is_lost_is_sent_again(service: SystemService) -> None:
    service.fail("S3 PUT input", cut_before, status(503), cut_after)
    store_at(service.store_url).put("input_1", CONTENT)
    assert service.objects == {"input_1": CONTENT}


def test_an_upload_that_fails_leaves_no_parts(
    service: SystemService, caplog: pytest.LogCaptureFixture
) -> None:
    store = store_at(service.store_url)
    service.fail("S3 PUT input", *[s3_error(403, "AccessDenied")] * 4)
    with pytest.raises(QrmiError, match="AccessDenied"):
        store.put("input_1", CONTENT)
    assert not service.uploads
    service.fail("S3 PUT input", *[s3_error(403, "AccessDenied")] * 4)
    service.fail("S3 DELETE input", *[status(500)] * 4)
    with pytest.raises(QrmiError, match="AccessDenied"):
        store.put("input_1", CONTENT)
    assert "may still be in the bucket" in caplog.text
    assert not service.objects


def _then(*faults: Fault) -> list[Fault]:
    """Return faults for the completion alone, which is the second POST."""
    return [lambda _request, respond: respond(), *faults]


def test_a_completion_without_an_answer_is_looked_up(service: SystemService) -> None:
    service.fail("S3 POST input", *_then(cut_after))
    store_at(service.store_url).put("input_1", CONTENT)
    assert service.objects == {"input_1": CONTENT}
    assert service.counted()["S3 HEAD input"] == 1


def test_a_completion_that_fails_in_a_good_answer_is_an_error(service: SystemService) -> None:
    said = b"  <Error><Code>InternalError</Code><Message>sorry</Message></Error>"
    service.fail("S3 POST input", *_then(status(200, said)))
    with pytest.raises(ServiceError, match="put the parts together: InternalError: sorry"):
        store_at(service.store_url).put("input_1", CONTENT)
    assert not service.objects
    assert not service.uploads


@pytest.mark.parametrize("answer", [b"", b"{}", b"<html>", b"<a><b/></a>"])
def test_a_begin_that_makes_no_sense_is_an_error(service: SystemService, answer: bytes) -> None:
    service.fail("S3 POST input", *[status(200, answer)] * 4)
    with pytest.raises(ServiceError, match="no id of an upload"):
        store_at(service.store_url).put("input_1", CONTENT)


# --- memory ---

_CHILD = """
import json, re, sys

def peak():
    # Not ru_maxrss, which begins with that of the process that made this one.
    with open("/proc/self/status") as status:
        return int(re.search(r"VmHWM:\\s+(\\d+)", status.read())[1]) << 10

from qrmi_core import Payload, QuantumResource
settings = json.loads(sys.stdin.read())
how, size = sys.argv[1], int(sys.argv[2])
qpu = QuantumResource("ibm_rensselaer", "ibm-quantum-system", settings)
small = Payload.QiskitPrimitive('{"pubs": []}', "sampler")
qpu.run(small).result(30)
idle = peak()
if how == "input":
    text = '{"pubs": [["' + "x" * size + '", null, 10]]}'
    qpu.run(Payload.QiskitPrimitive(text, "sampler")).wait(60)
else:
    task = qpu.task(sys.argv[4])
    if how == "value":
        assert len(task.result(60).value) == size
    else:
        task.save_result(sys.argv[3], 60)
print(peak() - idle)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "size", "times"),
    [("input", 50_000_000, 2), ("value", 100_000_000, 2), ("save", 100_000_000, 0)],
)
@pytest.mark.parametrize("part", [5 << 20, 64 << 20])
def test_the_peak_of_memory(
    service: SystemService, make: Make, tmp_path: object, how: str, size: int, times: int, part: int
) -> None:
    arguments = [how, str(size), f"{tmp_path}/result"]
    if how != "input":
        task = make().run(Payload.QiskitPrimitive('{"pubs": []}', "sampler"))
        small, service.result = service.result, b"9" * size
        service.finish_all()
        service.result = small
        arguments.append(task.id)
    settings = json.dumps(service.settings(S3_PART_BYTES=str(part)))
    peak = int(said(sys.executable, "-c", _CHILD, *arguments, input=settings))
    assert peak <= times * size + 60_000_000


_COMMAND = """
import re, sys
from qrmi_core.cli import run
try:
    run()
finally:
    with open("/proc/self/status") as status:
        print(int(re.search(r"VmHWM:\\s+(\\d+)", status.read())[1]) << 10, file=sys.stderr)
"""


@pytest.mark.slow
def test_the_peak_of_memory_of_the_command(service: SystemService, tmp_path: Path) -> None:
    resource = {"name": "ibm_rensselaer", "type": "direct-access"}
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"resources": [resource | {"environment": service.settings()}]}))
    config.chmod(0o600)
    peaks = []
    for given_bytes, result_bytes in ((10, 10), (10, 100_000_000), (50_000_000, 10)):
        service.result = b"9" * result_bytes
        file, output = tmp_path / "input.json", tmp_path / "result.json"
        params = f'{{"pubs": [["{"x" * given_bytes}", null, 10]]}}'
        file.write_text(f'{{"program_id": "sampler", "parameters": {params}}}')
        words = ["run", "--config", config, "ibm_rensselaer", file, output]
        done = subprocess.run(
            [sys.executable, "-c", _COMMAND, *words],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert output.stat().st_size == result_bytes
        peaks.append(int(done.stderr.splitlines()[-1]))
    idle, result, given_ = peaks
    assert result <= idle + 60_000_000
    assert given_ <= 2 * 50_000_000 + 60_000_000
