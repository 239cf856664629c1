"""The program of a task: a Pulser sequence, or an analog program of CUDA-Q."""

from __future__ import annotations

import re
from typing import Any

import attrs

from qrmi_core.plugin import (
    InvalidInputError,
    PasqalCloud,
    read_content,
    read_count,
    read_object,
)
from qrmi_pasqal.documents import parsed

_CUDAQ = frozenset({"setup", "hamiltonian"})
_READ = ("variables", "device")
_VARIABLE = re.compile(r'"variable"\s*:')


@attrs.frozen
class Sequence:
    """A payload's sequence, checked.

    Args:
        text: The JSON as it came, or as it was encoded from a mapping.
        content: The same, parsed; of a large one as far as is needed here.
        runs: How often to run it.
    """

    text: str = attrs.field(repr=False)
    content: dict[str, Any] = attrs.field(repr=False)
    runs: int

    @property
    def is_cudaq(self) -> bool:
        """True for CUDA-Q's form of an analog program, False for Pulser's."""
        return self.content.keys() >= _CUDAQ


def read_sequence(payload: PasqalCloud, *, emulated: bool = False) -> Sequence:
    """Read and check a payload's sequence; a text that was encoded twice is decoded once.

    Args:
        payload: The payload.
        emulated: True for an emulator, which accepts more runs than the device that the sequence is
            written for.

    Raises:
        InvalidInputError: It cannot be read, is not a JSON object, still has variables, or is to
            run more often than its device allows.
    """
    try:
        text = payload.sequence
        if not isinstance(text, str):
            text = read_content(text).decode()
        content = parsed(text, *_READ)
        if isinstance(content, str):
            text, content = content, parsed(content, *_READ)
    except (UnicodeDecodeError, UnicodeEncodeError) as error:
        raise InvalidInputError(f"the sequence is not UTF-8 text: {error.reason}") from None
    except RecursionError:
        raise InvalidInputError("the sequence is nested too deeply") from None
    except ValueError as error:
        raise InvalidInputError(f"the sequence is not JSON: {error}; {_ADVICE}") from None
    if not isinstance(content, dict):
        raise InvalidInputError(f"the sequence must be a JSON object; {_ADVICE}")
    if content.get("variables") and _VARIABLE.search(text):
        names = ", ".join(map(str, content["variables"]))
        raise InvalidInputError(
            f"the sequence has variables without values ({names}); "
            "give them values first: sequence.build(...)"
        )
    limit = read_count(read_object(content, "device").get("max_runs"))
    if limit is not None and payload.job_runs > limit and not emulated:
        raise InvalidInputError(
            f"`job_runs` is {payload.job_runs}, but the device of the sequence does at most "
            f"{limit} runs"
        )
    return Sequence(text, content, payload.job_runs)


_ADVICE = "give what Pulser's sequence.to_abstract_repr() returns"
