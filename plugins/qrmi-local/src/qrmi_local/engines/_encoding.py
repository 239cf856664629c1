"""The runtime's encoding of values in JSON, and errors about inputs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from qrmi_local.engines import EngineError, one_line

try:
    from qiskit_ibm_runtime import RuntimeDecoder, RuntimeEncoder
except ImportError:  # where releases differ
    from qiskit_ibm_runtime.utils import RuntimeDecoder, RuntimeEncoder


def decode(name: str, part: object) -> Any:
    """Decode a part of an input.

    Raises:
        EngineError: It is not in the runtime's encoding.
    """
    try:
        return json.loads(json.dumps(part), cls=RuntimeDecoder)
    except Exception as error:
        raise EngineError(f"its {name} cannot be decoded: {one_line(error)}") from error


def encode(document: Any) -> bytes:
    """Return a result in the runtime's encoding."""
    return json.dumps(document, cls=RuntimeEncoder, separators=(",", ":")).encode()


def first_of(error: Any) -> str:
    """Return the first problem of an error of pydantic."""
    found = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, found['loc']))}: {one_line(ValueError(found['msg']))}"


@contextmanager
def errors_of(what: str) -> Iterator[None]:
    """Raise the errors of libraries as an `EngineError` of one line that names the pub."""
    try:
        yield
    except Exception as error:
        raise EngineError(f"{what}: {one_line(error)}") from error
