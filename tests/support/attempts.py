"""Run an operation under a fault, and check that its result and log reveal no secret."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable

import pytest

from qrmi_core import QrmiError

# The prefix of every token, a MUNGE credential, and the signature of a presigned URL.
_SECRET = re.compile("eyJ|MUNGE:|X-Amz-Signature=[0-9a-f]{8}")


def attempt(
    operation: Callable[[], object], seconds: float = 30.0
) -> tuple[object, QrmiError | None]:
    """Return the result of an operation, or the `QrmiError` it raised, within a time limit."""
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
    """Assert that neither the log nor the error and its causes contain a secret."""
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
