"""Reading requests: bodies, filters and pages."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from qrmi_emulator.bodies import MOST_BYTES
from qrmi_emulator.faces.pasqal.cloud.envelope import invalid, refused, success
from qrmi_emulator.times import epoch

_MOST_PAGE: Final = 100


async def json_of(request: Request) -> Any:
    """Return the JSON of a request, which may be compressed.

    Raises:
        Refused: The body is not JSON, or too large.
    """
    content = await request.body()
    try:
        if request.headers.get("content-encoding") == "gzip":
            decoder = zlib.decompressobj(31)
            content = decoder.decompress(content, MOST_BYTES)
            if decoder.unconsumed_tail:
                raise refused(413, "Payload too large")
            if not decoder.eof:
                raise invalid("the body ends in the middle")
        return json.loads(content)
    except (ValueError, RecursionError, zlib.error) as error:
        raise invalid("the body is not JSON") from error


async def object_of(request: Request) -> dict[str, Any]:
    """Return the JSON object of a request.

    Raises:
        Refused: The body is not a JSON object.
    """
    body = await json_of(request)
    if not isinstance(body, dict):
        raise invalid("the body is not a JSON object")
    return body


def tags_of(tags: Any) -> list[str]:
    """Return tags of a body.

    Raises:
        Refused: They are not a list of texts.
    """
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise invalid("tags is not a list of texts")
    return tags


def values_of(request: Request, name: str) -> set[str]:
    """Return the values of a filter, whose name may have brackets."""
    query = request.query_params
    return {*query.getlist(name), *query.getlist(f"{name}[]")}


def page(
    request: Request, found: Sequence[Any], document: Callable[[Any], dict[str, Any]]
) -> Response:
    """Return the page of a list that a request asks for.

    Args:
        request: The request.
        found: All entries.
        document: Returns the document of an entry.

    Raises:
        Refused: The limit or the offset is out of range.
    """
    limit = number_of(request.query_params.get("limit"))
    limit = _MOST_PAGE if limit is None else limit
    start = number_of(request.query_params.get("offset")) or 0
    if not 1 <= limit <= _MOST_PAGE or start < 0:
        raise invalid(f"limit is not from 1 to {_MOST_PAGE}, or offset is negative")
    shown = found[start : start + limit]
    pagination = {"total": len(found), "start": start, "end": start + len(shown)}
    return success([document(each) for each in shown], pagination=pagination)


def number_of(text: str | None) -> int | None:
    """Return a number of a query, None if it is not given.

    Raises:
        Refused: It is not a whole number.
    """
    if text is None:
        return None
    try:
        return int(text)
    except ValueError as error:
        raise invalid(f"not a whole number: {text:.40}") from error


def date_of(text: str | None) -> float | None:
    """Return a date of a query in seconds since the epoch, None if it is not given.

    Raises:
        Refused: It is not a date and time.
    """
    try:
        return None if text is None else epoch(text)
    except ValueError as error:
        raise invalid(str(error)) from error
