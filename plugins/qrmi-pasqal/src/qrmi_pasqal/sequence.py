"""What a task is asked to run: a Pulser sequence, or an analog program of CUDA-Q."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import attrs

from qrmi_core.plugin import InvalidInputError, PasqalCloud, read_content

_CUDAQ = frozenset({"setup", "hamiltonian"})
_VARIABLE = re.compile(r'"variable"\s*:')


@attrs.frozen
class Sequence:
    """A payload's sequence, checked.

    Args:
        text: The JSON as it came, or as it was encoded from a mapping.
        content: The same, parsed.
    """

    text: str = attrs.field(repr=False)
    content: Mapping[str, Any] = attrs.field(repr=False)

    @property
    def is_cudaq(self) -> bool:
        """Whether this is CUDA-Q's form of an analog program, and not Pulser's."""
        return self.content.keys() >= _CUDAQ

    def check_runs(self, runs: int) -> None:
        """Refuse more runs than the device does that the sequence is written for.

        Raises:
            InvalidInputError: These are too many.
        """
        device = self.content.get("device")
        limit = device.get("max_runs") if isinstance(device, Mapping) else None
        if isinstance(limit, int) and not isinstance(limit, bool) and runs > limit:
            raise InvalidInputError(
                f"`job_runs` is {runs}, but the device of the sequence does at most {limit} runs"
            )


def read_sequence(payload: PasqalCloud) -> Sequence:
    """Read and check a payload's sequence; a text that was encoded twice is decoded once.

    Raises:
        InvalidInputError: It cannot be read, is not a JSON object, or still has variables.
    """
    try:
        text = read_content(payload.sequence).decode()
        content = _parsed(text)
        if isinstance(content, str):
            text, content = content, _parsed(content)
    except UnicodeDecodeError as error:
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
    return Sequence(text, content)


_ADVICE = "give what Pulser's sequence.to_abstract_repr() returns"


def _parsed(text: str) -> Any:
    return json.loads(text, parse_constant=_refuse)


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is not a JSON number")
