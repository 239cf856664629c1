"""Every fault in every operation of a resource on the emulator."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from qrmi_core import Payload, PollingPolicy, QrmiError, QuantumResource
from qrmi_core.acquisition import Acquisitions
from qrmi_emulator import Emulator
from support.attempts import attempt
from support.resources import quick

CALL_SECONDS = 3.0
"""Time limit of a call, in seconds."""
FAULTS: dict[str, dict[str, Any]] = {
    "latency": {"kind": "latency", "delay": 0.1},
    "429": {"kind": "status", "status": 429, "retry_after": 0},
    "503 with Retry-After": {"kind": "status", "status": 503, "retry_after": 0},
    "503": {"kind": "status", "status": 503},
    "500": {"kind": "status", "status": 500},
    "502": {"kind": "status", "status": 502},
    "reset": {"kind": "reset"},
    "reset after": {"kind": "reset-after"},
    "truncated": {"kind": "truncated"},
    "malformed": {"kind": "malformed"},
    "expired token": {"kind": "expired-token"},
}
STAYING = [fault for fault in FAULTS if fault != "latency"]
"""The faults that still break an operation if they persist."""
_SECRET = ("APIKEY", "SECRET_ACCESS_KEY", "PASSWORD", "CLIENT_SECRET")


@attrs.frozen
class Bench:
    """A resource with a finished task, an unfinished task, and an acquisition."""

    qpu: QuantumResource
    finished: str
    running: str
    payload: Payload
    token: str = ""

    def attempt(
        self, operation: str, caplog: pytest.LogCaptureFixture
    ) -> tuple[object, QrmiError | None]:
        """Return the result or the error of an operation, and keep its log."""
        qpu = self.qpu
        # by another object, since one object has one acquisition
        second = Acquisitions(qpu._channel, None)
        operations: dict[str, Callable[[], object]] = {
            "task_start": lambda: qpu.task_start(self.payload, timeout=CALL_SECONDS),
            "task_status": lambda: qpu.task_status(self.running),
            "task_result": lambda: qpu.task_result(self.finished),
            "task_logs": lambda: qpu.task_logs(self.finished),
            "task_usage": lambda: qpu.task_usage(self.finished),
            "task_stop": lambda: qpu.task_stop(self.running),
            "acquisition_usage": lambda: qpu.acquisition_usage(self.token),
            "acquire": lambda: second.acquire(None),
            "release": lambda: second.release(self.token, cancel_pending=False),
        }
        with caplog.at_level(logging.DEBUG):
            return attempt(operations.get(operation) or getattr(qpu, operation), CALL_SECONDS + 1)


def impatient(emulator: Emulator, name: str, kind: str, **settings: str) -> QuantumResource:
    """Return a resource on the emulator that gives up early."""
    limit = {"QRMI_HTTP_CALL_TIMEOUT_SECONDS": str(CALL_SECONDS)}
    # task_result waits through outages of at most this long.
    polling = PollingPolicy(max_outage_seconds=0.2)
    return quick(name, kind, emulator.settings_for(kind) | limit | settings, polling=polling)


def number_of_jobs(emulator: Emulator) -> int:
    return sum(emulator.info()["jobs"].values())


def secrets_of(emulator: Emulator, kind: str) -> list[str]:
    """Return the secrets in the settings of a resource type."""
    return [text for key, text in emulator.settings_for(kind).items() if key.endswith(_SECRET)]
