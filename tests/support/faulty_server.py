"""Common parts of the vendors' fake services, and short names for faults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qrmi_core.testing import Fault, Faults, VendorRequest, VendorResponse


def replaced(body: object) -> Fault:
    """Carry out the request, but return another body than its response's."""

    def fault(_request: VendorRequest, respond: Any) -> VendorResponse:
        respond()
        return VendorResponse(200, body)

    return fault


status = Faults.response
cut_before = Faults.lost_before
cut_after = Faults.lost_after
bad_gateway_after = Faults.bad_gateway_after
truncated = Faults.truncated
malformed = Faults.malformed
silent_after = Faults.silent_after(1.0)


class Handler:
    """One request to a service.

    Args:
        service: The service.
        request: The request.
    """

    def __init__(self, service: Any, request: VendorRequest) -> None:
        self.service = service
        self.request = request
        self.command = request.method
        self.headers = request.headers

    def answer(
        self, code: int, body: object = b"", headers: Mapping[str, str] | None = None
    ) -> VendorResponse:
        """Return a response."""
        return VendorResponse(code, body, headers or {})

    def as_by(self, fault: Fault) -> VendorResponse | None:
        """Return the response that a fault prescribes."""
        return fault(self.request, lambda: None)
