"""The body of a submission."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from qrmi_core.plugin import QiskitPrimitive
from qrmi_ibm_common.primitives import read_input


@attrs.frozen
class Body:
    """The body of a submission, in pieces."""

    pieces: tuple[bytes, ...] = attrs.field(repr=False)

    def __len__(self) -> int:
        return sum(map(len, self.pieces))

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.pieces)


def prepare(
    payload: QiskitPrimitive, fields: Mapping[str, Any], *, resource_id: str, submission: str
) -> Body:
    """Check a payload and make the body of its submission.

    Args:
        payload: The payload.
        fields: Further fields of the body.
        resource_id: The resource that the payload is for.
        submission: The tag of the submission.

    Raises:
        InvalidInputError: See `read_input`.
    """
    program_id, content = read_input(payload, resource_id=resource_id, submission=submission)
    head = json.dumps({"program_id": program_id, **fields}, separators=(",", ":")).encode()
    return Body((head[:-1] + b',"params":', content, b"}"))
