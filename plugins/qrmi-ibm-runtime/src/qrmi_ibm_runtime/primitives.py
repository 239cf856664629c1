"""The body of a submission."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from qrmi_core.payload import QiskitPrimitive
from qrmi_ibm_common.primitives import read_input


@attrs.frozen
class Body:
    """The body of a submission, in pieces."""

    pieces: tuple[bytes, ...] = attrs.field(repr=False)

    def __len__(self) -> int:
        return sum(map(len, self.pieces))

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.pieces)


def prepare(payload: QiskitPrimitive, fields: Mapping[str, Any]) -> Body:
    """Check a payload and make the body of its submission.

    Args:
        payload: The payload.
        fields: What else the body has.

    Raises:
        InvalidInputError: The program is not one of the service's, or the input is not JSON or has
            keys that the program does not know.
    """
    program_id, content = read_input(payload)
    head = json.dumps({"program_id": program_id, **fields}, separators=(",", ":")).encode()
    return Body((head[:-1] + b',"params":', content, b"}"))
