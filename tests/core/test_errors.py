"""The tree of errors."""

from __future__ import annotations

from qrmi_core.errors import AuthenticationFailedError, ServiceError, recast


def test_an_error_of_another_kind_tells_the_same() -> None:
    error = ServiceError(
        "it failed", status_code=400, vendor_code="E1", request_id="r-1", retry_after=3.0
    )
    error.details = {"more": "words"}
    new = recast(error, AuthenticationFailedError, "check the key")
    assert new.message == "it failed; check the key"
    assert (new.status_code, new.vendor_code, new.request_id) == (400, "E1", "r-1")
    assert (new.retry_after, new.details) == (3.0, {"more": "words"})
    assert recast(error, ServiceError).message == "it failed"
