"""Settings of a resource that is reached by HTTP: every figure of an exchange."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

import attrs

from qrmi_core.errors import ConfigError
from qrmi_core.settings import Settings, declaration_of, setting, to_count, to_seconds


def _http(
    name: str,
    help: str,
    default: Any,
    converter: Callable[[str], Any] | None = None,
    validator: Callable[[Any, attrs.Attribute[Any], Any], None] | None = None,
) -> Any:
    secret = name == "PROXY"  # its URL may carry a password
    key = f"QRMI_HTTP_{name}"
    return setting(
        key, help=help, default=default, converter=converter, secret=secret, validator=validator
    )


def _to_proxy(text: str) -> str:
    scheme, credentials = "((https?|socks[45][ah]?)://)?", "(.*@)?"
    host, port = r"(\[[\da-fA-F:.]+\]|[\w.-]+)", r"(:\d{1,5})?/?"
    if not re.fullmatch(scheme + credentials + host + port, text.strip(), re.IGNORECASE):
        raise ValueError("the URL of a proxy, such as http://proxy:3128")
    return text.strip()


def _positive(_settings: object, attribute: attrs.Attribute[Any], value: float) -> None:
    if not value > 0:
        raise ConfigError(f"{declaration_of(attribute).names[0]} must be more than 0, not {value}")


def _file(_settings: object, attribute: attrs.Attribute[Any], value: str | None) -> None:
    if value is not None and not os.path.exists(value):
        raise ConfigError(f"{declaration_of(attribute).names[0]}: file {value} does not exist")


def _seconds(name: str, help: str, default: float) -> Any:
    return _http(name, f"{help}; {default:g} by default.", default, to_seconds, _positive)


@attrs.frozen(eq=False, repr=False, kw_only=True)
class HttpSettings(Settings):
    """Settings of a resource that is reached by HTTP.

    Args:
        connect_timeout_seconds: For a connection to be accepted, per address of the host.
        read_timeout_seconds: For the first byte of a response, and between two bytes.
        transfer_timeout_seconds: For the first byte of the response to a submission, or of a
            result.
        transfer_seconds_per_megabyte: Added to that for each megabyte sent.
        slow_bytes_per_second: The least rate of a submission or a result.
        slow_seconds: How long a submission or a result may be slower before it is aborted.
        call_timeout_seconds: For one call with all its attempts and pauses. A submission or a
            result may take longer as long as it moves, but is not started again after that time.
        attempts: The number of attempts of a call at most; 1 switches retries off.
        first_pause_seconds: Before the second attempt; doubled for each further one, with jitter.
        max_response_bytes: The largest response, decoded, results excepted.
        max_result_bytes: The largest result that is read as a whole, decoded; streams have no
            limit.
        proxy: URL of the proxy; None takes it from the environment (``HTTPS_PROXY``, ...).
            Requests to loopback addresses use none.
        ca_bundle: File or folder of trusted certificates; None takes ``REQUESTS_CA_BUNDLE`` or the
            public ones.
        client_cert: File with the certificate to present.
        client_key: File with its key, if that is not in the same file.

    Raises:
        ConfigError: A number is not positive, or a file does not exist.
    """

    connect_timeout_seconds: float = _seconds(
        "CONNECT_TIMEOUT_SECONDS", "Seconds for a connection to be accepted", 5.0
    )
    read_timeout_seconds: float = _seconds(
        "READ_TIMEOUT_SECONDS",
        "Seconds for the first byte of a response, and between two bytes",
        30.0,
    )
    transfer_timeout_seconds: float = _seconds(
        "TRANSFER_TIMEOUT_SECONDS",
        "Seconds for the first byte of the response to a submission, or of a result",
        60.0,
    )
    transfer_seconds_per_megabyte: float = _seconds(
        "TRANSFER_SECONDS_PER_MEGABYTE", "Seconds added to that for each megabyte sent", 1.0
    )
    slow_bytes_per_second: int = _http(
        "SLOW_BYTES_PER_SECOND",
        "Bytes per second below which a submission or a result is slow; 1000 by default.",
        1000,
        to_count,
        _positive,
    )
    slow_seconds: float = _seconds(
        "SLOW_SECONDS", "Seconds after which a submission or a result that is slow is aborted", 60.0
    )
    call_timeout_seconds: float = _seconds(
        "CALL_TIMEOUT_SECONDS",
        "Seconds for a call with its retries; submissions and results may take longer",
        60.0,
    )
    attempts: int = _http(
        "ATTEMPTS",
        "Attempts of a call at most; 4 by default, 1 switches retries off.",
        4,
        to_count,
        _positive,
    )
    first_pause_seconds: float = _seconds(
        "FIRST_PAUSE_SECONDS",
        "Seconds of pause before the first retry, doubled for each further one",
        0.5,
    )
    max_response_bytes: int = _http(
        "MAX_RESPONSE_BYTES",
        "The largest response, results excepted; 67108864 (64 MiB) by default.",
        64 << 20,
        to_count,
        _positive,
    )
    max_result_bytes: int = _http(
        "MAX_RESULT_BYTES",
        "The largest result, where results are not streamed; 1073741824 (1 GiB) by default.",
        1 << 30,
        to_count,
        _positive,
    )
    proxy: str | None = _http(
        "PROXY",
        "URL of the proxy; by default that of the environment (HTTPS_PROXY). Loopback addresses "
        "are reached without one.",
        None,
        _to_proxy,
    )
    ca_bundle: str | None = _http(
        "CA_BUNDLE",
        "File or folder of trusted certificates, besides REQUESTS_CA_BUNDLE.",
        None,
        validator=_file,
    )
    client_cert: str | None = _http(
        "CLIENT_CERT", "File of the certificate to present.", None, validator=_file
    )
    client_key: str | None = _http(
        "CLIENT_KEY",
        "File of that certificate's key, if it is not in the same file.",
        None,
        validator=_file,
    )

    @client_key.validator
    def _has_certificate(self, _attribute: object, value: str | None) -> None:
        if value and not self.client_cert:
            raise ConfigError(
                "QRMI_HTTP_CLIENT_KEY needs QRMI_HTTP_CLIENT_CERT, the certificate that it "
                "belongs to"
            )
