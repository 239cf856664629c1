"""Checks of the values that drivers return, and of what errors show."""

from __future__ import annotations

import datetime
import json
import math
import re
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from qrmi_core.driver import Driver
from qrmi_core.payload import Payload, read_content


def wrong_fields(value: Any) -> list[str]:
    """Return the fields of a value of the interface that do not have their declared type.

    Numbers are finite and at least 0, and times have a time zone.
    """
    hints = typing.get_type_hints(type(value))
    return [
        f"{type(value).__name__}.{field.name} is {getattr(value, field.name)!r}"
        for field in attrs.fields(type(value))
        if not _fits(getattr(value, field.name), hints[field.name])
    ]


def _fits(value: Any, hint: Any) -> bool:
    arguments = typing.get_args(hint)
    match typing.get_origin(hint) or hint:
        case types.UnionType:
            return any(_fits(value, each) for each in arguments)
        case types.NoneType:
            return value is None
        case kind if kind in (int, float):
            number = type(value) is int or (kind is float and type(value) is float)
            return number and math.isfinite(value) and value >= 0
        case datetime.datetime:
            return isinstance(value, datetime.datetime) and value.tzinfo is not None
        case kind if kind is tuple:
            return isinstance(value, tuple) and all(_fits(each, arguments[0]) for each in value)
        case kind if kind is dict:
            return isinstance(value, dict) and all(
                _fits(each, kind)
                for item in value.items()
                for each, kind in zip(item, arguments, strict=True)
            )
        case kind if attrs.has(kind):
            return isinstance(value, kind) and not wrong_fields(value)
        case kind:
            return isinstance(value, kind)


def lost_fields(payload: Payload, record: object) -> list[str]:
    """Return the keys of a payload whose values are not in the vendor's record of a task.

    Args:
        payload: The payload; fields that are None are not expected.
        record: The vendor's record, ready for JSON; texts in it may be JSON.
    """
    given = {key: getattr(payload, field.name) for key, field in type(payload)._fields().items()}
    return [
        key for key, value in given.items() if value is not None and not contains(record, value)
    ]


def contains(record: object, value: object) -> bool:
    """Return True if a value is anywhere in a record; texts of both may be JSON."""
    found = list(_values(record))
    return any(form in found for form in _forms(value))


def contains_seconds(record: object, seconds: float) -> bool:
    """Return True if a time is anywhere in a record, in seconds or a unit that fits it."""
    numbers = {float(text) for text in re.findall(r"\d+\.?\d*", json.dumps(record, default=str))}
    return any(seconds * factor in numbers for factor in (1, 1e3, 1e6, 1e9, 1 / 60, 1 / 3600))


def _forms(value: object) -> Iterator[object]:
    """Yield a value of a payload, and the JSON that it may be the text of."""
    if isinstance(value, bytes | Path):
        value = read_content(value).decode()
    yield value
    yield str(value)
    if isinstance(value, str):
        yield from _parsed(value)


def _values(record: object) -> Iterator[object]:
    """Yield a document and every value in it, also within texts that are JSON."""
    yield record
    match record:
        case str():
            for parsed in _parsed(record):
                yield from _values(parsed)
        case Mapping():
            for value in record.values():
                yield from _values(value)
        case list() | tuple():
            for value in record:
                yield from _values(value)


def _parsed(text: str) -> Iterator[object]:
    """Yield the object or list that a JSON text contains."""
    if text.lstrip().startswith(("{", "[", '"')):
        try:
            yield json.loads(text)
        except ValueError:
            return


def secrets_of(driver: Driver[Any, Any], more: Iterable[str] = ()) -> list[str]:
    """Return the values of a driver's secret settings, and further secrets."""
    declared = driver.settings.declarations().items()
    values = (getattr(driver.settings, name) for name, each in declared if each.secret)
    return [*(value for value in values if isinstance(value, str) and value), *more]


def shown_by(error: BaseException | None) -> str:
    """Return the text that an error and its causes show, attributes included."""
    texts = []
    while error is not None:
        texts.append(f"{error} {error!r} {vars(error)} {getattr(error, '__notes__', '')}")
        error = error.__cause__ or error.__context__
    return "\n".join(texts)
