"""What becomes of an operation that meets a fault, and whether that gives a secret away."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable

import pytest

from qrmi_core import QrmiError

# What every token begins with, a credential of MUNGE, and what a presigned URL is good for.
_SECRET = re.compile("eyJ|MUNGE:|X-Amz-Signature=[0-9a-f]{8}")


def attempt(
    operation: Callable[[], object], seconds: float = 30.0
) -> tuple[object, QrmiError | None]:
    """What an operation gives, or the typed error that it raises, within so many seconds."""
    begun = time.monotonic()
    told: object = None
    failure: QrmiError | None = None
    try:
        told = operation()
    except QrmiError as error:
        failure = error
    assert time.monotonic() - begun < seconds
    assert failure is None or str(failure)
    return told, failure


def no_secret(
    caplog: pytest.LogCaptureFixture, failure: BaseException | None, secrets: Iterable[str]
) -> None:
    """Neither what was logged nor an error with its causes shows one of the secrets."""
    secrets = tuple(secrets)
    assert secrets
    assert all(secrets)
    said = [caplog.text]
    seen: list[BaseException] = []
    while failure is not None:
        assert failure not in seen, "a cause is its own cause"
        seen.append(failure)
        said.append(f"{failure} {failure!r} {vars(failure)}")
        failure = failure.__cause__ or failure.__context__
    for text in said:
        assert not [secret for secret in secrets if secret in text]
        assert not _SECRET.search(text)
