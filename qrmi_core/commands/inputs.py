"""INPUT files: JSON objects whose values reach the vendor exactly as they were written."""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qrmi_core.errors import InvalidInputError, UnsupportedPayloadError
from qrmi_core.payload import Payload

_SPACE = " \t\n\r"
_decoder = json.JSONDecoder()


def read_input(name: str) -> dict[str, Any]:
    """Read an INPUT file, ``-`` for standard input; see `split_object`.

    Raises:
        InvalidInputError: It cannot be read, or is not a JSON object.
    """
    title = "standard input" if name == "-" else name
    try:
        if name != "-":
            data = Path(name).read_bytes()
        elif sys.stdin is not None:
            data = sys.stdin.buffer.read()
        else:
            raise OSError(errno.EBADF, "it is closed")
        text = data.decode("utf-8-sig")
        del data  # an input may be large
    except OSError as error:
        raise InvalidInputError(f"{title}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{title}: not UTF-8 text (byte {error.start})") from None
    if not text.strip(_SPACE):
        raise InvalidInputError(f"{title}: is empty")
    try:
        return split_object(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidInputError(f"{title}: {error.msg} ({where})") from None
    except RecursionError:
        raise InvalidInputError(f"{title}: is nested too deeply") from None


def split_object(text: str) -> dict[str, Any]:
    """Return the values of a JSON object: strings, numbers, true, false and null as Python values;
    objects and lists as the very text they were written in.

    Raises:
        json.JSONDecodeError: It is not a JSON object, or a key is there twice.
    """
    values: dict[str, Any] = {}
    position = _after("{", text, _skip(text, 0), "Expecting an object")
    while text[position : position + 1] != "}":
        if values:
            position = _after(",", text, position, "Expecting ',' or '}'")
            if text[position : position + 1] == "}":
                raise json.JSONDecodeError("Illegal trailing comma", text, position)
        if text[position : position + 1] != '"':
            raise json.JSONDecodeError("Expecting a key in double quotes", text, position)
        key, end = _decoder.raw_decode(text, position)
        if key in values:
            raise json.JSONDecodeError(f"Key {key!r} is there twice", text, position)
        position = _after(":", text, _skip(text, end), "Expecting ':' after the key")
        values[key], end = _value(text, position)
        position = _skip(text, end)
    end = _skip(text, position + 1)
    if end != len(text):
        raise json.JSONDecodeError("Unexpected text after the object", text, end)
    return values


def _after(character: str, text: str, position: int, problem: str) -> int:
    """Return the position behind a character and the space that follows it."""
    if text[position : position + 1] != character:
        raise json.JSONDecodeError(problem, text, position)
    return _skip(text, position + 1)


def _skip(text: str, position: int) -> int:
    while text[position : position + 1] in ("\n", " ", "\t", "\r"):
        position += 1
    return position


def _value(text: str, start: int) -> tuple[Any, int]:
    try:
        value, end = _decoder.raw_decode(text, start)
    except json.JSONDecodeError:
        raise
    except ValueError as error:  # a number of thousands of digits
        raise json.JSONDecodeError(str(error), text, start) from None
    if not isinstance(value, dict | list):
        return value, end
    del value  # an input may be large
    return text[start:end], end


def choose_payload(
    values: Mapping[str, Any], kinds: Sequence[type[Payload]], wanted: str | None, resource: str
) -> Payload:
    """Make the payload of an INPUT.

    Args:
        values: What `read_input` gave.
        kinds: The kinds that the resource takes.
        wanted: The kind asked for, None for the one whose required keys are there.
        resource: The resource's name, for messages.

    Raises:
        UnsupportedPayloadError: The resource takes no such kind.
        InvalidInputError: The INPUT fits no kind or several, or a value is wrong.
    """
    takes = "; ".join(f"{kind.kind} with {', '.join(kind.required_keys())}" for kind in kinds)
    if wanted is not None:
        fitting = [kind for kind in kinds if kind.kind.lower() == wanted.lower()]
        if not fitting:
            raise UnsupportedPayloadError(f"{resource} takes no {wanted}, but {takes}")
    else:
        fitting = [
            kind
            for kind in kinds
            if (keys := kind.required_keys()) and all(key in values for key in keys)
        ]
    if not fitting:
        has = ", ".join(values) or "none"
        raise InvalidInputError(f"{resource} cannot run this INPUT: it needs {takes} (has: {has})")
    if len(fitting) > 1:
        names = " and ".join(kind.kind for kind in fitting)
        raise InvalidInputError(f"INPUT fits {names}; choose one with --payload")
    return fitting[0].from_mapping(values)
