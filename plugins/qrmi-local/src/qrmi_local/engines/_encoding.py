"""The runtime's encoding of values in JSON, and errors about inputs.

The usual types are encoded and decoded here, as qiskit-ibm-runtime does. To import it takes more
time and memory than the rest of a worker, so it encodes and decodes the rare types only.
"""

from __future__ import annotations

import base64
import io
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
from qiskit import qpy
from qiskit.primitives import BitArray, DataBin, PrimitiveResult, PubResult, SamplerPubResult

from qrmi_local.engines import EngineError, one_line


def decode(name: str, part: object) -> Any:
    """Decode a part of an input.

    Raises:
        EngineError: It is not in the runtime's encoding.
    """
    try:
        return json.loads(json.dumps(part), object_hook=_decoded)
    except Exception as error:
        raise EngineError(f"its {name} cannot be decoded: {one_line(error)}") from error


def encode(document: Any) -> bytes:
    """Return a result in the runtime's encoding."""
    return json.dumps(document, default=_encoded, separators=(",", ":")).encode()


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


def _decoded(value: dict[str, Any]) -> Any:
    match value:
        case {"__type__": "QuantumCircuit", "__value__": str(text)}:
            return qpy.load(_unpacked(text))[0]
        case {"__type__": "ndarray", "__value__": list(items)}:
            return np.array(items)
        case {"__type__": "ndarray", "__value__": str(text)}:
            return np.load(_unpacked(text))
        case {"__type__": _}:
            return _codecs()[0]().object_hook(value)
    return value


def _encoded(value: Any) -> Any:
    name = type(value).__name__
    content = _CONTENTS.get(type(value))
    if content is None:
        return _codecs()[1]().default(value)
    return {"__type__": name, "__value__": content(value)}


def _array(value: np.ndarray[Any, Any]) -> Any:
    if value.dtype == object:
        return value.tolist()
    stream = io.BytesIO()
    np.save(stream, value, allow_pickle=False)
    return base64.b64encode(zlib.compress(stream.getvalue())).decode()


def _unpacked(text: str) -> io.BytesIO:
    return io.BytesIO(zlib.decompress(base64.b64decode(text)))


def _of_pub(result: Any) -> dict[str, Any]:
    return {"data": result.data, "metadata": result.metadata}


_CONTENTS: Final[dict[type, Callable[[Any], Any]]] = {
    np.ndarray: _array,
    BitArray: lambda bits: {"array": bits.array, "num_bits": bits.num_bits},
    DataBin: lambda data: {
        "field_names": list(data),
        "shape": data.shape,
        "fields": dict(data.items()),
    },
    PubResult: _of_pub,
    SamplerPubResult: _of_pub,
    PrimitiveResult: lambda result: {"pub_results": list(result), "metadata": result.metadata},
}


def _codecs() -> tuple[Any, Any]:
    """Return the decoder and the encoder of qiskit-ibm-runtime."""
    try:
        from qiskit_ibm_runtime import RuntimeDecoder, RuntimeEncoder
    except ImportError:  # where releases differ
        from qiskit_ibm_runtime.utils import RuntimeDecoder, RuntimeEncoder
    return RuntimeDecoder, RuntimeEncoder
