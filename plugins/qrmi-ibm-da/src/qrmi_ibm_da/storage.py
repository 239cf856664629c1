"""The S3 bucket for inputs, results and logs.

botocore computes the signatures, and the core's client transfers the bytes, with the same
time-outs, retries, deadlines, proxies and certificates as all other calls, and without holding
content in memory. Every request uses a presigned URL, signed anew for each attempt.
"""

from __future__ import annotations

import logging
import re
import xml.etree.ElementTree as ET
from collections.abc import Collection, Iterator, Mapping
from contextvars import ContextVar
from urllib.parse import quote, urlencode
from xml.sax.saxutils import escape

import attrs

from qrmi_core.plugin import (
    AuthenticationFailedError,
    ConfigError,
    HttpClient,
    PermissionDeniedError,
    QrmiError,
    Response,
    ServiceError,
    recast,
)
from qrmi_ibm_da.settings import SystemSettings

_log = logging.getLogger(__name__)

NO_OBJECT = "NoSuchKey"
_NO_ACCESS = "AccessDenied"
_CLOCK = "set this machine's clock"
# Messages about a freshly signed URL, from AWS and MinIO.
_WRONG_TIME = re.compile("request has expired|not yet valid|not valid yet", re.IGNORECASE)
_ADVICE: Mapping[str, tuple[type[QrmiError], str]] = {
    "NoSuchBucket": (ConfigError, "create the bucket, or correct QRMI_IBM_QS_S3_BUCKET"),
    _NO_ACCESS: (PermissionDeniedError, "the access key needs to read, write and delete there"),
    "InvalidAccessKeyId": (
        AuthenticationFailedError,
        "check QRMI_IBM_QS_AWS_ACCESS_KEY_ID, and that the endpoint is that store's",
    ),
    "SignatureDoesNotMatch": (
        AuthenticationFailedError,
        "check QRMI_IBM_QS_AWS_SECRET_ACCESS_KEY and QRMI_IBM_QS_S3_REGION, and that no proxy "
        "changes the Host header",
    ),
    "AuthorizationHeaderMalformed": (AuthenticationFailedError, "check QRMI_IBM_QS_S3_REGION"),
    "AuthorizationQueryParametersError": (
        AuthenticationFailedError,
        "check QRMI_IBM_QS_S3_REGION",
    ),
    "RequestTimeTooSkewed": (PermissionDeniedError, _CLOCK),
    "ExpiredToken": (AuthenticationFailedError, "renew the access key"),
}
_OWN_URL_SECONDS = 3600
_MAX_PARTS = 10000
_BINARY = {"Content-Type": "application/octet-stream"}

_signing: ContextVar[bool] = ContextVar("qrmi_s3_signing", default=False)

# botocore must not log our signatures.
logging.getLogger("botocore.auth").addFilter(lambda _record: not _signing.get())


@attrs.frozen
class Signer:
    """A signer of presigned URLs, in path style.

    Args:
        endpoint: Address of the store, from the point of view of the URL's user.
        bucket: The bucket.
        region: Region of the signature.
        access_key_id: The access key.
        secret_access_key: Its secret.
    """

    endpoint: str
    bucket: str
    region: str
    access_key_id: str = attrs.field(repr=False)
    secret_access_key: str = attrs.field(repr=False)

    def url(self, method: str, key: str, seconds: int, params: Mapping[str, str] = {}) -> str:
        """Return a URL for one request.

        Args:
            method: HTTP method.
            key: The object's key.
            seconds: The time for which the URL is valid.
            params: Additional parameters of the request.
        """
        from botocore.auth import S3SigV4QueryAuth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        address = f"{self.endpoint}/{quote(self.bucket)}/{quote(key)}"
        request = AWSRequest(method, f"{address}?{urlencode(params)}" if params else address)
        credentials = Credentials(self.access_key_id, self.secret_access_key)
        token = _signing.set(True)
        try:
            S3SigV4QueryAuth(credentials, "s3", self.region, expires=seconds).add_auth(request)
        finally:
            _signing.reset(token)
        url: str = request.url
        return url


class Store:
    """The objects of one bucket.

    Args:
        settings: Addresses, credentials, sizes.
        http: A client whose settings and connections are used.

    Raises:
        ConfigError: The settings of the store are not set.
    """

    def __init__(self, settings: SystemSettings, http: HttpClient) -> None:
        key_id, secret, endpoint, bucket, region = settings.store()
        self._part_bytes = settings.part_bytes
        self._http = http.sibling(endpoint, error=_explain)
        self._own = Signer(endpoint, bucket, region, key_id, secret)
        self._services = attrs.evolve(self._own, endpoint=settings.s3_service_endpoint or endpoint)

    def service_url(self, method: str, key: str, seconds: int) -> str:
        """Return a URL that the service can use for this number of seconds."""
        return self._services.url(method, key, seconds)

    def get(self, key: str) -> Iterator[bytes]:
        """Yield an object in pieces; it is requested when the first one is needed.

        Raises:
            ServiceError: The vendor code is `NO_OBJECT` if the object does not exist.
        """
        return self._http.stream(
            lambda: self._own.url("GET", key, _OWN_URL_SECONDS), not_found=ServiceError
        )

    def read(self, key: str) -> bytes:
        """Read a small object."""
        return self._call("GET", key).content

    def delete(self, key: str) -> None:
        """Delete an object, which may be missing already."""
        self._call("DELETE", key)

    def put(self, key: str, content: bytes) -> None:
        """Write an object, in parts if it is large."""
        if len(content) <= self._part_bytes:
            self._call("PUT", key, data=content)
            return
        response = self._call("POST", key, {"uploads": ""}, idempotent=True)
        upload = _parsed(response).get("UploadId")
        if not upload:
            raise response.invalid("the store's response has no id of an upload")
        try:
            self._put_parts(key, content, upload)
        except BaseException:
            self._abort(key, upload)
            raise

    def _put_parts(self, key: str, content: bytes, upload: str) -> None:
        # The number of parts is limited, so parts may be larger than set.
        size = max(self._part_bytes, -(-len(content) // _MAX_PARTS))
        view = memoryview(content)
        listed = []
        for number, start in enumerate(range(0, len(view), size), 1):
            params = {"partNumber": str(number), "uploadId": upload}
            response = self._call("PUT", key, params, data=view[start : start + size])
            tag = response.headers.get("ETag")
            if not tag:
                raise response.invalid("the store's response has no ETag")
            listed.append(
                f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(tag)}</ETag></Part>"
            )
        body = f"<CompleteMultipartUpload>{''.join(listed)}</CompleteMultipartUpload>"
        try:
            response = self._call(
                "POST", key, {"uploadId": upload}, data=body.encode(), idempotent=True
            )
        except QrmiError as error:
            # The first attempt may have completed the upload although its response was lost.
            if error.vendor_code == "NoSuchUpload" and self._size(key) == len(content):
                return
            raise
        # The store sends this status before it has assembled the parts.
        if "Code" in (found := _parsed(response)):
            raise ServiceError(
                f"{response.call}: the store could not put the parts together: "
                f"{found['Code']}: {found.get('Message', '')}",
                vendor_code=found["Code"],
                retryable=True,
            )

    def _size(self, key: str) -> int | None:
        response = self._call("HEAD", key, ok=(404,))
        length = response.headers.get("Content-Length", "")
        return int(length) if response.status_code == 200 and length.isdigit() else None

    def _abort(self, key: str, upload: str) -> None:
        try:
            self._call("DELETE", key, {"uploadId": upload})
        except QrmiError as error:
            _log.warning("the parts of %s may still be in the bucket: %s", key, error)

    def _call(
        self,
        method: str,
        key: str,
        params: Mapping[str, str] = {},
        *,
        data: bytes | memoryview | None = None,
        idempotent: bool | None = None,
        ok: Collection[int] = (),
    ) -> Response:
        return self._http.request(
            method,
            lambda: self._own.url(method, key, _OWN_URL_SECONDS, params),
            data=data,
            headers=None if data is None else _BINARY,
            idempotent=idempotent,
            transfer=data is not None,
            ok=ok,
            not_found=ServiceError,
        )


def may_be_missing(error: QrmiError) -> bool:
    """Return True if an object that could not be read may be missing.

    A store reports a missing object only to users who may list the bucket, and denies access to
    others.
    """
    return error.vendor_code == NO_OBJECT or (
        error.vendor_code == _NO_ACCESS and not _is_untimely(error)
    )


def _is_untimely(error: QrmiError) -> bool:
    """Return True if access is denied because the clocks of this machine and the store differ."""
    return error.vendor_code == _NO_ACCESS and bool(_WRONG_TIME.search(error.message))


def _explain(response: Response, error: QrmiError) -> None:
    """Map an error response of the store to an error."""
    found = _parsed(response)
    code = found.get("Code") or (NO_OBJECT if response.status_code == 404 else None)
    if code is None:
        return
    # Some responses repeat the signature and the signed text, so do not show all of it.
    error.message = f"{response.call}: {response.status_code} {code}"
    if message := found.get("Message"):
        error.message += f": {message}"
    error.vendor_code = code
    error.request_id = found.get("RequestId")
    if _is_untimely(error):
        raise recast(error, PermissionDeniedError, _CLOCK)
    if code in _ADVICE:
        raise recast(error, *_ADVICE[code])


def _parsed(response: Response) -> dict[str, str]:
    """Return the texts of the top-level elements of a body; empty unless it is XML."""
    try:
        root = ET.fromstring(response.content)
    except (ET.ParseError, ValueError, LookupError):
        return {}
    return {
        child.tag.rpartition("}")[2]: " ".join(child.text.split()) for child in root if child.text
    }
