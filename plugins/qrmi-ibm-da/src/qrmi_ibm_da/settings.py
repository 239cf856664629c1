"""Settings of an on-premises quantum computer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from qrmi_core.plugin import ConfigError, HttpSettings, one_of, setting, to_bool, to_count, to_url
from qrmi_ibm_common.settings import LOG_LEVELS, to_version, to_word

API_VERSION = "2025-08-15"
"""The version of the API that this driver is written for."""

MAX_URL_SECONDS = 604800
"""The longest time for which a presigned URL can be valid, in version 4 of the signature."""
URL_MARGIN_SECONDS = 86400
"""The default time by which a URL outlives the limit of its task, which is machine time."""
MIN_PART_BYTES = 5 << 20
"""The smallest part of a multipart upload that S3 accepts."""
_PART_BYTES = 64 << 20

_STORE = {
    "access_key_id": "AWS_ACCESS_KEY_ID",
    "secret_access_key": "AWS_SECRET_ACCESS_KEY",
    "s3_endpoint": "S3_ENDPOINT",
    "s3_bucket": "S3_BUCKET",
    "s3_region": "S3_REGION",
}
"""The settings of the store, which come together or not at all."""


def to_lifetime(text: str) -> int:
    """Convert the lifetime of a presigned URL."""
    if (seconds := to_count(text)) > MAX_URL_SECONDS:
        raise ValueError(f"a whole number of seconds up to {MAX_URL_SECONDS}")
    return seconds


def to_part_size(text: str) -> int:
    """Convert the size of a multipart upload's part."""
    if (size := to_count(text)) < MIN_PART_BYTES:
        raise ValueError(f"a whole number of bytes, at least {MIN_PART_BYTES}")
    return size


def _ibm(
    name: str,
    help: str,
    default: Any = attrs.NOTHING,
    converter: Callable[[str], Any] | None = None,
    secret: bool = False,
    needed_by: tuple[str, ...] = (),
    older: str | None = None,
) -> Any:
    """Declare a setting under its names of both generations, newest first."""
    names = (f"QRMI_IBM_QS_{name}", f"QRMI_IBM_DA_{older or name}")
    return setting(
        *names, help=help, default=default, converter=converter, secret=secret, needed_by=needed_by
    )


def _store(
    name: str, help: str, converter: Callable[[str], Any] = to_word, secret: bool = False
) -> Any:
    needed_by = ("task_start", "task_result", "task_logs")
    return _ibm(name, help, None, converter, secret, needed_by)


@attrs.frozen(eq=False, repr=False, kw_only=True)
class SystemSettings(HttpSettings):
    """Settings of a quantum computer; time-outs and proxy are settings of the base class.

    Args:
        endpoint: Address of the API.
        iam_endpoint: Address of IBM Cloud's IAM.
        api_key: IBM Cloud API key.
        service_crn: CRN of the service instance, sent with every request.
        access_key_id: Access key of the store.
        secret_access_key: Secret of that access key.
        s3_endpoint: Address of the store, as this machine sees it.
        s3_bucket: The bucket.
        s3_region: Region of the signatures.
        s3_service_endpoint: Address of the store, as the service sees it.
        default_timeout_seconds: Machine time of a task if the job has no limit.
        url_lifetime_seconds: Lifetime of the service's URLs; None to derive it from a task's limit.
        part_bytes: Inputs larger than this are uploaded in parts of this size.
        delete_objects: True to delete a task's objects in `task_stop`.
        delete_finished: True to delete a job when its result has been read.
        log_level: Log level for the service's log of a task.
        api_version: The version of the API to request.
    """

    endpoint: str = _ibm(
        "ENDPOINT", "Address of the API; `/v1/...` is put behind it.", converter=to_url
    )
    iam_endpoint: str = _ibm(
        "IAM_ENDPOINT",
        "Address of IBM Cloud's IAM, `https://iam.cloud.ibm.com`.",
        converter=to_url,
    )
    api_key: str = _ibm("IAM_APIKEY", "IBM Cloud API key.", converter=to_word, secret=True)
    service_crn: str = _ibm("SERVICE_CRN", "CRN of the instance.", converter=to_word)
    access_key_id: str | None = _store(
        "AWS_ACCESS_KEY_ID", "Access key of the store (HMAC credentials at IBM COS).", secret=True
    )
    secret_access_key: str | None = _store(
        "AWS_SECRET_ACCESS_KEY", "Secret of the access key.", secret=True
    )
    s3_endpoint: str | None = _store(
        "S3_ENDPOINT", "Address of the S3 store as this machine sees it.", to_url
    )
    s3_bucket: str | None = _store("S3_BUCKET", "Bucket of the tasks' objects; it must exist.")
    s3_region: str | None = _store(
        "S3_REGION", "Region of the signatures, such as `us-east-1`; as the store is set up."
    )
    s3_service_endpoint: str | None = _ibm(
        "S3_ENDPOINT_FOR_QSAPI",
        "Address of the store as the service sees it, for the presigned URLs; that of "
        "`S3_ENDPOINT` by default.",
        None,
        to_url,
        older="S3_ENDPOINT_FOR_DAAPI",
    )
    default_timeout_seconds: int = _ibm(
        "DEFAULT_TIMEOUT_SECONDS",
        "Seconds of machine time that a task may take where `QRMI_JOB_TIMEOUT_SECONDS` sets no "
        "limit; 86400 by default.",
        86400,
        to_count,
    )
    url_lifetime_seconds: int | None = _ibm(
        "S3_URL_LIFETIME_SECONDS",
        "Seconds that the service can use a task's URLs, at least the task's limit and at most "
        f"{MAX_URL_SECONDS}; by default a day more than the task's limit, as far as that goes.",
        None,
        to_lifetime,
    )
    part_bytes: int = _ibm(
        "S3_PART_BYTES",
        f"Larger inputs are uploaded in parts of this size; {_PART_BYTES} (64 MiB) by default, at "
        f"least {MIN_PART_BYTES}.",
        _PART_BYTES,
        to_part_size,
    )
    delete_objects: bool = _ibm(
        "S3_DELETE_OBJECTS",
        "`true`: stopping a task removes its input, result and logs from the bucket.",
        False,
        to_bool,
    )
    delete_finished: bool = _ibm(
        "DELETE_FINISHED",
        "`true`: a task is deleted at the service once its result was read, which frees its lane.",
        False,
        to_bool,
    )
    log_level: str = _ibm(
        "LOG_LEVEL",
        "What the service logs: `critical`, `error`, `warning`, `info` or `debug` (the default).",
        "debug",
        one_of(*LOG_LEVELS),
    )
    api_version: str = _ibm(
        "API_VERSION",
        f"Version of the API to request; {API_VERSION} by default.",
        API_VERSION,
        to_version,
    )

    def __attrs_post_init__(self) -> None:
        missing = self.missing_for_store()
        if missing and len(missing) < len(_STORE):
            raise ConfigError(
                f"the settings of the S3 store are not complete: missing {', '.join(missing)}"
            )

    def missing_for_store(self) -> list[str]:
        """Return the keys that are missing for the store to be used."""
        return [f"QRMI_IBM_QS_{name}" for field, name in _STORE.items() if not getattr(self, field)]

    def store(self) -> list[str]:
        """Return the settings of the store: access key, secret, endpoint, bucket and region.

        Raises:
            ConfigError: They are not set.
        """
        if missing := self.missing_for_store():
            raise ConfigError(
                "inputs, results and logs travel through an S3 store, which is not set: missing "
                + ", ".join(missing)
            )
        return [getattr(self, field) for field in _STORE]

    def task_seconds(self) -> int:
        """Return the time limit of a task, in seconds of machine time."""
        return self.job_timeout_seconds or self.default_timeout_seconds

    def url_seconds(self, limit: int) -> int:
        """Return the lifetime of a task's URLs in seconds.

        Args:
            limit: The time limit of the task, in seconds.

        Raises:
            ConfigError: The lifetime is shorter than the time limit of a task.
        """
        if self.url_lifetime_seconds is None:
            return min(limit + URL_MARGIN_SECONDS, MAX_URL_SECONDS)
        if self.url_lifetime_seconds < min(limit, MAX_URL_SECONDS):
            raise ConfigError(
                f"QRMI_IBM_QS_S3_URL_LIFETIME_SECONDS: {self.url_lifetime_seconds} is less than "
                f"the {limit} s that a task may take, so its result could be lost; set it to "
                "more, or leave it out"
            )
        return self.url_lifetime_seconds
