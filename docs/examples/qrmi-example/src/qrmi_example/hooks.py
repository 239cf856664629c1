"""Functions behind the other entry points; each imports its framework when called."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qrmi_core import QuantumResource
    from qrmi_example.qiskit import CoinBackend


def counts(text: str) -> list[Mapping[str, int]]:
    """Return the counts of a result, ``{"counts": {"00": 36, ...}}``, for `Task.counts`.

    Raises an exception if the text is another kind of result.
    """
    return [json.loads(text)["counts"]]


def backend(resource: QuantumResource, **options: Any) -> CoinBackend:
    """Return a coin as a Qiskit backend, for `qrmi_qiskit.get_backend`."""
    from qrmi_example.qiskit import CoinBackend

    return CoinBackend(resource, **options)
