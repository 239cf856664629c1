"""Reading and writing the objects of users by presigned URLs.

By the standard library: other HTTP clients log the paths that they request, and a presigned URL has
its signature there.
"""

from __future__ import annotations

import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

_TIMEOUT_SECONDS: Final = 60.0
_BLOCK_BYTES: Final = 2**20
_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504, 507})
# Loopback addresses need no proxy, whatever the environment says.
_OPENER: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class TransferError(Exception):
    """An object could not be read or written.

    Attributes:
        is_passing: True if a second attempt may succeed.
    """

    def __init__(self, message: str, *, is_passing: bool) -> None:
        super().__init__(message)
        self.is_passing = is_passing


def download(url: str, path: Path, *, agent: str, most_bytes: int) -> None:
    """Read an object into a file.

    Args:
        url: The presigned URL.
        path: The file.
        agent: The `User-Agent`.
        most_bytes: The largest size that is accepted.

    Raises:
        TransferError: It cannot be read, or is too large.
    """
    with _sent(urllib.request.Request(url, headers={"User-Agent": agent})) as response:
        announced = int(response.headers.get("Content-Length") or -1)
        size = 0
        with _written(path) as write:
            while block := response.read(_BLOCK_BYTES):
                size += len(block)
                if size > most_bytes:
                    raise TransferError(f"larger than {most_bytes} bytes", is_passing=False)
                write(block)
        if announced not in (-1, size):
            raise TransferError(f"cut after {size} of {announced} bytes", is_passing=True)


def upload(url: str, path: Path, *, agent: str, content_type: str) -> None:
    """Write a file to an object; a missing file makes an empty object.

    Args:
        url: The presigned URL.
        path: The file.
        agent: The `User-Agent`.
        content_type: Of the object.

    Raises:
        TransferError: It cannot be written.
    """
    headers = {"User-Agent": agent, "Content-Type": content_type}
    try:
        file = path.open("rb")
    except FileNotFoundError:
        with _sent(urllib.request.Request(url, b"", headers, method="PUT")):
            return
    with file:
        headers["Content-Length"] = str(os.fstat(file.fileno()).st_size)
        with _sent(urllib.request.Request(url, file, headers, method="PUT")):
            return


@contextmanager
def _written(path: Path) -> Iterator[Callable[[bytes], None]]:
    """Return a function that writes a part of a file, which is complete at the end of the block."""

    def write(block: bytes) -> None:
        try:
            file.write(block)
        except OSError as error:
            raise _unkept(error) from error

    try:
        file = path.open("wb", buffering=0)
    except OSError as error:
        raise _unkept(error) from error
    with file:
        yield write


def _unkept(error: OSError) -> TransferError:
    return TransferError(f"it cannot be kept ({error.strerror})", is_passing=True)


@contextmanager
def _sent(request: urllib.request.Request) -> Iterator[Any]:
    try:
        with _OPENER.open(request, timeout=_TIMEOUT_SECONDS) as response:
            yield response
    except urllib.error.HTTPError as error:
        with error:
            code = re.search(rb"<Code>(\w{1,60})</Code>", error.read(4096))
        what = f"HTTP {error.code}" + (f" {code[1].decode()}" if code else "")
        raise TransferError(what, is_passing=error.code in _PASSING) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        # A ValueError is of a malformed header. Not its text, which may have the URL in it.
        reason = getattr(error, "reason", error)
        raise TransferError(f"no response ({type(reason).__name__})", is_passing=True) from None
