"""Pubs run on qrmi-local's Qiskit engine, in this process."""

from __future__ import annotations

import json
from typing import Any

from qiskit_ibm_runtime import RuntimeEncoder
from qiskit_ibm_runtime.decoders.result_decoder import ResultDecoder

from qrmi_local.engines import qiskit as engine

HEADER = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'


def encoded(pubs: list[Any], **fields: Any) -> bytes:
    """Return the input of a primitive with these pubs."""
    document = {"pubs": pubs, "version": 2, "support_qiskit": True, "options": {}} | fields
    return json.dumps(document, cls=RuntimeEncoder).encode()


def sample(*pubs: Any, on: str = "aer", seed: int | None = 7, **fields: Any) -> Any:
    """Return the sampler's result of pubs."""
    result = engine.run(on, "sampler", encoded(list(pubs), **fields), seed=seed)
    return ResultDecoder.decode(result.decode())


def estimate(*pubs: Any, on: str = "aer", seed: int | None = 7, **fields: Any) -> Any:
    """Return the estimator's result of pubs."""
    result = engine.run(on, "estimator", encoded(list(pubs), **fields), seed=seed)
    return ResultDecoder.decode(result.decode())
