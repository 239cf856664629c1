"""Frames, what host and helper send each other; `c/internal.h` has the same numbers."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Sequence

import attrs

GREETING = struct.pack("=4sI", b"QRMI", 1)
"""The first bytes of the helper on each connection: a mark, and the version of all that follows."""

REPLY = 0x80000000
LOG = 0x40000000

Text = bytes | memoryview | None
"""One field of a frame; None stands for an absent value."""

_HEADER = struct.Struct("=IIQ")
_NO_VALUE = 2**64 - 1
_MAX_FIELDS = 1_000_000
_MAX_BODY = 2**40
_SMALL = 1 << 20


@attrs.frozen
class Request:
    """A request.

    Args:
        operation: Its number.
        fields: Its texts, None for no value.
    """

    operation: int
    fields: list[bytes | None] = attrs.field(repr=False)


def receive(connection: socket.socket) -> Request | None:
    """Return the next request, None at the end of the connection.

    Raises:
        ValueError: The bytes are not a frame.
    """
    header = _exactly(connection, _HEADER.size)
    if header is None:
        return None
    operation, number, body = _HEADER.unpack(header)
    if number > _MAX_FIELDS or body > _MAX_BODY:
        raise ValueError(f"a frame of {number} fields and {body} bytes")
    # A small frame, such as one with thousands of variables, takes one more read.
    small = body <= _SMALL
    rest = _exactly(connection, 8 * number + (body if small else 0))
    if rest is None:
        return None
    lengths = struct.unpack_from(f"={number}Q", rest)
    if sum(length + 1 for length in lengths if length != _NO_VALUE) != body:
        raise ValueError("a frame whose lengths are not those of its body")
    if small:
        return Request(operation, list(_split(rest[8 * number :], lengths)))
    fields: list[bytes | None] = []
    for length in lengths:
        text = None
        if length != _NO_VALUE:
            text = _exactly(connection, length)
            if text is None or _exactly(connection, 1) is None:
                return None
        fields.append(text)
    return Request(operation, fields)


def _split(body: bytes, lengths: Sequence[int]) -> Iterator[bytes | None]:
    place = 0
    for length in lengths:
        if length == _NO_VALUE:
            yield None
        else:
            yield body[place : place + length]
            place += length + 1


def _exactly(connection: socket.socket, size: int) -> bytes | None:
    """Return this number of bytes, None if the connection ends before."""
    got = connection.recv(size, socket.MSG_WAITALL) if size else b""
    if len(got) == size:
        return got
    pieces = [got]
    missing = size - len(got)
    while missing and pieces[-1]:
        pieces.append(connection.recv(missing, socket.MSG_WAITALL))
        missing -= len(pieces[-1])
    return None if missing else b"".join(pieces)


def send(connection: socket.socket, kind: int, fields: Sequence[Text]) -> None:
    """Send a reply or a log record."""
    lengths = [_NO_VALUE if field is None else len(field) for field in fields]
    texts = [field for field in fields if field is not None]
    body = sum(map(len, texts)) + len(texts)
    start = _HEADER.pack(kind, len(fields), body) + struct.pack(f"={len(lengths)}Q", *lengths)
    if body <= _SMALL:
        connection.sendall(start + b"".join(piece for text in texts for piece in (text, b"\0")))
        return
    connection.sendall(start)
    for text in texts:
        connection.sendall(text)
        connection.sendall(b"\0")
