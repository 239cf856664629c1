"""Results in all the forms that Pasqal's services return, as one form of text."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from qrmi_core.plugin import InvalidResponseError, Response, ServiceError
from qrmi_pasqal import documents

_MEMBERS = frozenset({"counter", "raw", "serialised_results"})
_COUNTER = re.compile(rb'\{\s*+(?:"[01]++"\s*+:\s*+[0-9]++\s*+(?:,\s*+(?=")|(?=\})))++\}')
_PIECE_BYTES = 1 << 16


def read_result(response: Response, *keys: str) -> Iterator[bytes] | None:
    """Return a job's result in a response, in pieces; None without one.

    That of a large response is passed on byte by byte if it has a counter; all others are made by
    `result_text`, whose errors these are.

    Args:
        response: The response.
        keys: The keys that lead to the result, as `result_text` takes it.
    """
    large = len(response.content) >= documents.LARGE
    view = _as_it_came(response.content, keys) if large else None
    if view is None:
        found = response.json()
        for key in keys:
            if not isinstance(found, dict) or key not in found:
                raise response.invalid(f"the response has no `{key}`; check the base URL")
            found = found[key]
        text = result_text(found)
        return None if text is None else iter((text,))
    return (bytes(view[at : at + _PIECE_BYTES]) for at in range(0, len(view), _PIECE_BYTES))


def _as_it_came(document: Any, keys: tuple[str, ...]) -> memoryview | None:
    """Return the one result in a document, if it has a counter of bit strings."""
    try:
        for key in keys:
            document = documents.members(document)[key]
        found = documents.members(document)
        if found.keys().isdisjoint(_MEMBERS):
            (document,) = found.values()  # by the job's id
            found = documents.members(document)
        counter = found["counter"]
    except (ValueError, LookupError, RecursionError):
        return None
    return memoryview(document) if _COUNTER.fullmatch(memoryview(counter)) else None


def result_text(found: Any) -> bytes | None:
    """Return a job's result as JSON, ``{"counter": {"00": 5, ...}, ...}``; None without one.

    The counter is sorted, and made of the other members where the service leaves it out. Further
    members are kept as they came.

    Args:
        found: A job's result, or one by the job's id, or a list of one.

    Raises:
        ServiceError: These are the results of several jobs.
        InvalidResponseError: The value is not a result.
    """
    if not found:
        return None
    if isinstance(found, list) and all(isinstance(shot, str) for shot in found):
        found = {"raw": found}
    if isinstance(found, dict) and _is_counter(found):
        found = {"counter": found}
    if isinstance(found, dict) and found.keys() & _MEMBERS:
        return _of_members(found)
    parts = list(found.values()) if isinstance(found, dict) else found
    if not isinstance(parts, list) or not all(isinstance(part, dict | None) for part in parts):
        raise InvalidResponseError("the service returned something else than a result")
    if len(parts) > 1:
        raise several_jobs(len(parts))
    return result_text(parts[0])


def several_jobs(number: int) -> ServiceError:
    """Return the error of a batch of several jobs that is used as a task."""
    return ServiceError(
        f"the batch has {number} jobs, not one as a task has; `batch_tasks` returns the task of "
        "each"
    )


def _of_members(members: dict[str, Any]) -> bytes | None:
    counter = members.get("counter")
    if isinstance(counter, dict) and not _is_counter(counter):
        return result_text(counter)  # by the job's id
    counter = counter or _counted(members.get("raw")) or _serialised(members)
    if not counter:
        return None
    if not _is_counter(counter):
        raise InvalidResponseError("the result does not count bit strings")
    others = {name: value for name, value in members.items() if name != "counter"}
    ordered = {"counter": dict(sorted(counter.items())), **others}
    return json.dumps(ordered, separators=(",", ":")).encode()


def _is_counter(value: object) -> bool:
    return isinstance(value, dict) and all(
        re.fullmatch("[01]+", bits) and isinstance(count, int) and count >= 0
        for bits, count in value.items()
    )


def _counted(shots: object) -> dict[str, int] | None:
    if not shots:
        return None
    if not isinstance(shots, list) or not all(isinstance(shot, str) for shot in shots):
        raise InvalidResponseError("the raw result is not a list of bit strings")
    return Counter(shots)


def _serialised(members: dict[str, Any]) -> Any:
    """Return the counts at the end, in the string form of Pulser's results."""
    text = members.get("serialised_results")
    if not text:
        return None
    try:
        results = json.loads(text)
        return results["results"][results["tagmap"]["bitstrings"]][-1]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise InvalidResponseError(
            f"the serialised results are not those of Pulser ({type(error).__name__})"
        ) from None
