"""Settings of a resource of IBM Quantum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import attrs

from qrmi_core.plugin import HttpSettings, one_of, setting, to_bool, to_count, to_url
from qrmi_ibm_common.settings import LOG_LEVELS, to_version, to_word

API_VERSION = "2026-04-15"
"""The version of the API that this driver is written for; responses differ between versions."""

MAX_TAGS, MAX_TAG_CHARACTERS = 6, 86  # the service takes 8, and the driver has two of its own
MAX_COST_SECONDS = 10800


def to_api_url(text: str) -> str:
    """Convert the address of the API; the path may be left out."""
    url = to_url(text)
    return url + {"": "/api/v1", "/api": "/v1"}.get(urlsplit(url).path, "")


def to_mode(text: str) -> str:
    """Convert the mode of execution; ``none`` is another word for ``job``."""
    word = one_of("dedicated", "batch", "job", "auto", "none")(text.strip())
    return "job" if word == "none" else word


def to_tags(text: str) -> tuple[str, ...]:
    """Convert tags separated by commas."""
    return checked_tags(tuple(tag.strip() for tag in text.split(",") if tag.strip()))


def checked_tags(tags: tuple[str, ...]) -> tuple[str, ...]:
    """Return tags; raise `ValueError` if the service would refuse them."""
    if len(tags) > MAX_TAGS or any(len(tag) > MAX_TAG_CHARACTERS for tag in tags):
        raise ValueError(
            f"a list of at most {MAX_TAGS} tags of at most {MAX_TAG_CHARACTERS} characters, "
            "separated by commas"
        )
    return tags


def _ibm(
    name: str,
    help: str,
    default: Any = attrs.NOTHING,
    converter: Callable[[str], Any] | None = None,
    secret: bool = False,
) -> Any:
    """Declare a setting under its names of both generations, the newest first."""
    names = (f"QRMI_IBM_QCS_{name}", f"QRMI_IBM_QRS_{name}")
    return setting(*names, help=help, default=default, converter=converter, secret=secret)


@attrs.frozen(eq=False, repr=False, kw_only=True)
class RuntimeSettings(HttpSettings):
    """Settings of a resource of IBM Quantum; time-outs, proxy and the like are in the base class.

    Args:
        endpoint: Address of the API, ``.../api/v1``.
        iam_endpoint: Address of IBM Cloud's IAM.
        api_key: IBM Cloud API key.
        service_crn: The instance, sent with every call.
        session_mode: ``dedicated``, ``batch``, ``job`` or ``auto``.
        session_max_ttl_seconds: The longest time for which a session lasts.
        session_id: A session to join.
        timeout_seconds: Limit of execution for each task; None for the scheduler's or the plan's.
        calibration_id: The calibration to use.
        log_level: The level of what the service logs of a task.
        private: True if the service is to keep neither input nor result.
        tags: Put on every task.
        api_version: The version of the API to request.
    """

    endpoint: str = _ibm(
        "ENDPOINT",
        "Address of the API, such as `https://quantum.cloud.ibm.com/api/v1`; `/api/v1` is put "
        "behind an address with no path, or with `/api`.",
        converter=to_api_url,
    )
    iam_endpoint: str = _ibm(
        "IAM_ENDPOINT",
        "Address of IBM Cloud's IAM, `https://iam.cloud.ibm.com`.",
        converter=to_url,
    )
    api_key: str = _ibm("IAM_APIKEY", "IBM Cloud API key.", converter=to_word, secret=True)
    service_crn: str = _ibm("SERVICE_CRN", "CRN of the instance.", converter=to_word)
    session_mode: str = _ibm(
        "SESSION_MODE",
        "What `acquire` opens: a `dedicated` session (the default), a `batch`, nothing (`job`), or "
        "`auto`, a dedicated session or else a batch where the plan has none.",
        "dedicated",
        to_mode,
    )
    session_max_ttl_seconds: int = _ibm(
        "SESSION_MAX_TTL",
        "Seconds that a session lasts at most; 28800 by default.",
        28800,
        to_count,
    )
    session_id: str | None = _ibm(
        "SESSION_ID",
        "Session to join: `acquire` gives it if it is alive, else a new one. Not used in mode "
        "`job`.",
        None,
        to_word,
    )
    timeout_seconds: int | None = _ibm(
        "TIMEOUT_SECONDS",
        "Seconds that a task may execute at most; by default `QRMI_JOB_TIMEOUT_SECONDS`, else the "
        "plan's limit. The service's limit is 10800.",
        None,
        to_count,
    )
    calibration_id: str | None = _ibm(
        "CALIBRATION_ID",
        "Calibration to run tasks with, and to describe in `target`.",
        None,
        to_word,
    )
    log_level: str = _ibm(
        "LOG_LEVEL",
        "What the service logs: `critical`, `error`, `warning`, `info` or `debug` (the default).",
        "debug",
        one_of(*LOG_LEVELS),
    )
    private: bool = _ibm(
        "PRIVATE",
        "`true`: the service deletes a task's input at its end, and its result once it was read.",
        False,
        to_bool,
    )
    tags: tuple[str, ...] = _ibm(
        "TAGS", "Tags for every task, separated by commas, at most 6.", (), to_tags
    )
    api_version: str = _ibm(
        "API_VERSION",
        f"Version of the API to request; {API_VERSION} by default.",
        API_VERSION,
        to_version,
    )
