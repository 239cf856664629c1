"""The settings that IBM's plugins share, and the request id to quote to IBM's support."""

from __future__ import annotations

import json

import pytest

from qrmi_core.plugin import Response, ServiceError
from qrmi_ibm_common import describe
from qrmi_ibm_common.settings import to_version, to_word


def test_the_correlation_id_is_kept_and_asked_for_where_there_is_no_trace() -> None:
    problem = {"code": "1216", "message": "backend not found"}
    for trace, asked in (("t-1", "t-1"), ("", "c-1")):
        body = {"errors": [problem], "trace": trace, "correlation_id": "c-1"}
        error = ServiceError("404")
        content = json.dumps(body).encode()
        describe(Response("GET https://quantum.example/x", 404, {}, content), error)
        assert error.request_id == asked
        assert error.details["correlation_id"] == "c-1"


def test_settings() -> None:
    assert to_word(" crn:v1:x ") == "crn:v1:x"
    assert to_version("2025-08-15") == "2025-08-15"
    for convert, text in ((to_word, "a b"), (to_word, "a\nb"), (to_version, "latest")):
        with pytest.raises(ValueError, match="^a "):
            convert(text)
