"""An S3 store for the vendors whose jobs read and write objects: moto's, in this process.

moto keeps objects in memory, once for the process, and checks neither signatures nor the life of a
presigned URL. Here both are checked as S3 does, each store sees its own buckets only, and its
objects are also written to a database, from which a restarted emulator fills moto again.
"""

from __future__ import annotations

import calendar
import datetime
import hmac
import io
import json
import re
import secrets
import sqlite3
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

import attrs
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from qrmi_emulator.bodies import allow_body
from qrmi_emulator.files import StorageError, transaction
from qrmi_emulator.threads import in_thread

ALGORITHM: Final = "AWS4-HMAC-SHA256"
_BUCKET: Final = re.compile(r"/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/|$)")
_HEADER: Final = re.compile(
    rf"{ALGORITHM}\s+Credential=([^,\s]+),\s*SignedHeaders=([^,\s]+),\s*Signature=([0-9a-f]+)\s*"
)
_MOST_OBJECT_BYTES: Final = 2**30
_MOST_SECONDS: Final = 604800
_SKEW_SECONDS: Final = 900
_FORM: Final = "application/x-www-form-urlencoded"
_UNKNOWN: Final = ("NoSuchBucket", "The specified bucket does not exist")
_NO_UPLOAD: Final = ("NoSuchUpload", "The specified multipart upload does not exist.")
_USUAL: Final = {
    400: ("InvalidRequest", "The request is invalid."),
    401: ("AccessDenied", "Request has expired"),
    403: ("AccessDenied", "Access Denied"),
    404: _UNKNOWN,
    405: ("MethodNotAllowed", "The specified method is not allowed against this resource."),
    413: ("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size."),
    408: ("RequestTimeout", "The connection was idle for too long."),
    429: ("SlowDown", "Please reduce your request rate."),
    503: ("SlowDown", "Please reduce your request rate."),
}


class Denied(Exception):
    """A request that S3 refuses before it reads the object."""

    def __init__(self, status: int, code: str, message: str, **more: object) -> None:
        super().__init__(code)
        self.status, self.code, self.message, self.more = status, code, message, more


def error(path: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """Return S3's error response; 401, which S3 does not have, stands for an expired URL."""
    code, message = _USUAL.get(status, ("InternalError", "We encountered an internal error."))
    return _error_response(path, Denied(403 if status == 401 else status, code, message), headers)


def is_presigned(scope: Scope) -> bool:
    """Return True if a request has its signature in the query."""
    return b"X-Amz-Signature=" in scope.get("query_string", b"")


@attrs.frozen
class _Claim:
    """The signature of a request; `life` is in seconds, None for one in a header."""

    key: str
    date: str
    region: str
    time: str
    names: tuple[str, ...]
    signature: str
    life: int | None

    @property
    def at(self) -> float:
        try:
            return calendar.timegm(time.strptime(self.time, "%Y%m%dT%H%M%SZ"))
        except ValueError as error:
            raise Denied(403, "AccessDenied", "X-Amz-Date is not a date") from error


class ObjectStore:
    """A store with one bucket and one key pair, to begin with.

    Args:
        home: Folder for its database.
        bucket: The bucket that is there from the beginning.
        access_key: Id of the key.
        secret_key: The key.
        clock: Returns the time, in seconds since the epoch.
    """

    def __init__(
        self,
        home: Path,
        *,
        bucket: str,
        access_key: str,
        secret_key: str,
        clock: Callable[[], float],
    ) -> None:
        self.bucket = bucket
        self.access_key = access_key
        self.secret_key = secret_key
        self._path = home / "objects.db"
        self._clock = clock
        # One thread: moto's objects and the database's connection belong to it.
        self._thread = ThreadPoolExecutor(1, "qrmi-emulator-s3")
        self._app: Any = None
        self._buckets: set[str] = {bucket}

    def owns(self, path: str) -> bool:
        """Return True if a path belongs to the bucket or an object in it."""
        return path == f"/{self.bucket}" or path.startswith(f"/{self.bucket}/")

    def matches(self, scope: Scope) -> bool:
        """Return True if a request is one to S3: of the bucket, or signed and of any other."""
        if self.owns(scope["path"]):
            return True
        authorization = dict(scope["headers"]).get(b"authorization", b"")
        is_signed = authorization.startswith(ALGORITHM.encode()) or is_presigned(scope)
        return is_signed and bool(_BUCKET.match(scope["path"]))

    async def respond(self, request: Request) -> Response:
        """Return the response of S3 to a request."""
        scope = request.scope
        try:
            self._check(request)
            allow_body(request, _MOST_OBJECT_BYTES)
            body = await request.body()
            return await in_thread(self._thread, self._serve, scope, body)
        except sqlite3.Error as error:
            raise StorageError(f"the objects cannot be read: {error}") from error
        except Denied as denied:
            return _error_response(scope["path"], denied)

    async def close(self) -> None:
        """Give moto's memory back; the database keeps everything."""
        await in_thread(self._thread, self._close)
        self._thread.shutdown()

    # Signatures

    def _check(self, request: Request) -> None:
        claim = self._claim(request)
        if not hmac.compare_digest(claim.key.encode(), self.access_key.encode()):
            raise Denied(
                *(403, "InvalidAccessKeyId"),
                "The AWS Access Key Id you provided does not exist in our records.",
            )
        now = self._clock()
        if claim.life is None:
            if abs(now - claim.at) > _SKEW_SECONDS:
                message = (
                    "The difference between the request time and the current time is too large"
                )
                raise Denied(403, "RequestTimeTooSkewed", message)
        elif claim.at > now + _SKEW_SECONDS:
            raise Denied(403, "AccessDenied", "Request is not yet valid")
        elif now > claim.at + claim.life:
            times = {"Expires": _time(claim.at + claim.life), "ServerTime": _time(now)}
            more = {"X-Amz-Expires": claim.life, **times}
            raise Denied(403, "AccessDenied", "Request has expired", **more)
        if not hmac.compare_digest(self._signature(request, claim), claim.signature):
            raise Denied(
                *(403, "SignatureDoesNotMatch"),
                "The request signature we calculated does not match the signature you provided.",
            )

    def _claim(self, request: Request) -> _Claim:
        query = dict(parse_qsl(request.scope["query_string"].decode("latin-1")))
        life: int | None = None
        if "X-Amz-Signature" in query:
            names, signature = query.get("X-Amz-SignedHeaders", ""), query["X-Amz-Signature"]
            credential, at = query.get("X-Amz-Credential", ""), query.get("X-Amz-Date", "")
            expires = query.get("X-Amz-Expires", "")
            if query.get("X-Amz-Algorithm") != ALGORITHM or not expires.isdecimal():
                raise _bad_query("Query-string authentication needs its parameters")
            life = int(expires)
            if life > _MOST_SECONDS:
                raise _bad_query("X-Amz-Expires must be less than a week (in seconds)")
        elif found := _HEADER.fullmatch(request.headers.get("authorization", "")):
            credential, names, signature = found.groups()
            at = request.headers.get("x-amz-date", "")
        elif "AWSAccessKeyId" in query or request.headers.get("authorization"):
            message = "The authorization mechanism you have provided is not supported."
            raise Denied(400, "InvalidRequest", f"{message} Please use {ALGORITHM}.")
        else:
            raise Denied(403, "AccessDenied", "Access Denied")
        scope = credential.split("/")
        if len(scope) != 5 or scope[3:] != ["s3", "aws4_request"] or not at.startswith(scope[1]):
            raise _bad_query("The credential is mal-formed")
        key, date, region = scope[:3]
        return _Claim(key, date, region, at, tuple(names.lower().split(";")), signature, life)

    def _signature(self, request: Request, claim: _Claim) -> str:
        from botocore.auth import S3SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        class AllHeadersSigned(S3SigV4Auth):  # type: ignore[misc]
            def payload(self, _request: Any) -> str:
                return "UNSIGNED-PAYLOAD"

            def headers_to_sign(self, request: Any) -> Any:
                # All that were signed, also those that botocore itself would not sign.
                return request.headers

        scope = request.scope
        query = re.sub(r"(^|&)X-Amz-Signature=[^&]*", "", scope["query_string"].decode("latin-1"))
        named = {name: ",".join(request.headers.getlist(name)) for name in claim.names}
        raw = scope["raw_path"].decode("latin-1")
        signed = AWSRequest(
            request.method, f"http://{request.headers['host']}{raw}?{query.lstrip('&')}", named
        )
        signed.context["timestamp"] = claim.time
        auth = AllHeadersSigned(Credentials(self.access_key, self.secret_key), "s3", claim.region)
        text = auth.string_to_sign(signed, auth.canonical_request(signed))
        found: str = auth.signature(text, signed)
        return found

    # Objects, in the thread

    def _serve(self, scope: Scope, body: bytes) -> Response:
        self._open()
        found = _BUCKET.match(scope["path"])
        bucket = found[1] if found else ""
        is_new = scope["method"] == "PUT" and scope["path"].strip("/") == bucket
        if bucket not in self._buckets and not is_new:
            raise Denied(404, *_UNKNOWN)
        upload = dict(parse_qsl(scope["query_string"].decode("latin-1"))).get("uploadId")
        if upload and bucket in self._buckets and not self._has_upload(bucket, upload):
            raise Denied(404, *_NO_UPLOAD)
        from werkzeug.test import run_wsgi_app

        chunks, status, headers = run_wsgi_app(self._app, _environ(scope, body), buffered=True)
        code = int(status.partition(" ")[0])
        if scope["method"] not in ("GET", "HEAD") and code < 400:
            try:
                with transaction(self._db):
                    self._keep(bucket)
            except StorageError:
                self._close()  # moto is filled again, with what is kept
                raise
        return Response(b"".join(chunks), code, {name.lower(): value for name, value in headers})

    def _has_upload(self, bucket: str, upload: str) -> bool:
        # moto itself reports an unknown one as a defect.
        return upload in self._moto.buckets[bucket].multiparts

    def _open(self) -> None:
        """Fill moto with the objects of the database."""
        if self._app is not None:
            return
        from moto.core import DEFAULT_ACCOUNT_ID
        from moto.moto_server.werkzeug_app import create_backend_app
        from moto.s3.models import FakeKey, s3_backends

        self._tracked = FakeKey.instances_tracked
        self._owners = s3_backends.bucket_accounts
        self._moto = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
        self._db = sqlite3.connect(self._path, isolation_level=None)
        # The end of the machine may lose something, that of the process does not.
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute("CREATE TABLE IF NOT EXISTS buckets (name TEXT PRIMARY KEY)")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS objects (bucket TEXT, name TEXT, etag TEXT, changed TEXT,"
            " metadata TEXT, content BLOB, PRIMARY KEY (bucket, name))"
        )
        self._db.execute("INSERT OR IGNORE INTO buckets VALUES (?)", (self.bucket,))
        self._buckets = {name for (name,) in self._db.execute("SELECT name FROM buckets")}
        for name in self._buckets:
            self._moto.create_bucket(name, "us-east-1")
        self._kept: dict[str, dict[str, Any]] = {name: {} for name in self._buckets}
        for bucket, name, etag, changed, metadata, content in self._db.execute(
            "SELECT * FROM objects"
        ):
            made = self._moto.put_object(bucket, name, content, etag=etag)
            made.last_modified = datetime.datetime.fromisoformat(changed)
            made.set_metadata(json.loads(metadata), replace=True)
            self._kept[bucket][name] = made
        self._app = create_backend_app("s3")

    def _keep(self, bucket: str) -> None:
        """Write the changes of a bucket to the database."""
        is_there = bucket in self._moto.buckets
        known = self._kept.setdefault(bucket, {})
        found = {}
        if is_there:
            self._buckets.add(bucket)
            self._db.execute("INSERT OR IGNORE INTO buckets VALUES (?)", (bucket,))
            found = {key.name: key for key in self._moto.buckets[bucket].keys.values()}
        for name, key in list(known.items()):
            if found.get(name) is not key:
                self._db.execute(
                    "DELETE FROM objects WHERE (bucket, name) = (?, ?)", (bucket, name)
                )
                del known[name]
                key.dispose()
        for name in found.keys() - known.keys():
            key = known[name] = found[name]
            values = (bucket, name, key.etag.strip('"'), key.last_modified.isoformat())
            self._db.execute(
                "INSERT INTO objects VALUES (?, ?, ?, ?, ?, ?)",
                (*values, json.dumps(dict(key.metadata)), key.value),
            )
        if not is_there:
            self._buckets.discard(bucket)
            self._db.execute("DELETE FROM buckets WHERE name = ?", (bucket,))
            del self._kept[bucket]
        # moto keeps all that ever were, to reset them; here nothing is reset.
        self._tracked.clear()

    def _close(self) -> None:
        if self._app is None:
            return
        for name in self._buckets:
            # One that was deleted a moment ago may be gone already.
            self._moto.buckets.pop(name, None)
            self._owners.pop(name, None)
            for key in self._kept[name].values():
                key.dispose()
        self._db.close()
        self._app = None


def _environ(scope: Scope, body: bytes) -> dict[str, Any]:
    """Return a request in the form of WSGI."""
    query = scope["query_string"].decode("latin-1")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode().decode("latin-1"),
        "RAW_URI": scope["raw_path"].decode("latin-1") + (f"?{query}" if query else ""),
        "QUERY_STRING": query,
        "SERVER_NAME": "s3.amazonaws.com",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        key = name.decode("latin-1").upper().replace("-", "_")
        key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
        environ[key] = value.decode("latin-1")
    # moto takes the bucket from some hosts' names.
    environ["HTTP_HOST"] = "s3.amazonaws.com"
    environ["CONTENT_LENGTH"] = str(len(body))
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    # moto would treat the content as a form then, and store nothing.
    if environ.get("CONTENT_TYPE", "").startswith(_FORM) and scope["method"] == "PUT":
        environ["CONTENT_TYPE"] = "application/octet-stream"
    return environ


def _error_response(
    path: str, denied: Denied, headers: Mapping[str, str] | None = None
) -> Response:
    parts = {"Code": denied.code, "Message": denied.message, **denied.more, "Resource": path}
    parts["RequestId"] = secrets.token_hex(8).upper()
    text = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in parts.items())
    return Response(
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{text}</Error>',
        denied.status,
        dict(headers or {}),
        media_type="application/xml",
    )


def _bad_query(message: str) -> Denied:
    return Denied(400, "AuthorizationQueryParametersError", message)


def _time(seconds: float) -> str:
    return f"{datetime.datetime.fromtimestamp(seconds, datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"
