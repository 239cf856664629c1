"""Output files that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


def check_writable(path: str | os.PathLike[str]) -> None:
    """Find out before any work is done whether `atomic_output` could write here.

    Raises:
        OSError: It could not.
    """
    target = Path(path)
    if _is_special(target):
        # Not opened: whoever reads a pipe takes the closing for its end.
        if not os.access(target, os.W_OK):
            raise PermissionError(13, "Permission denied", str(target))
        return
    descriptor, name = _temporary(target)
    os.close(descriptor)
    os.unlink(name)


@contextmanager
def atomic_output(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Write a file that replaces `path` when the block ends well, and leaves no trace otherwise.

    A path that is no regular file, such as ``/dev/null`` or a pipe, is written to directly.

    Raises:
        OSError: The file cannot be written.
    """
    target = Path(path)
    if _is_special(target):
        with target.open("wb") as stream:
            yield stream
        return
    # Through a link the file behind it is replaced, as an ordinary write would do.
    target = target.resolve()
    descriptor, name = _temporary(target)
    try:
        with os.fdopen(descriptor, "w+b") as stream:
            yield stream
            stream.flush()
            os.fsync(descriptor)
        os.chmod(name, _mode(target))
        os.replace(name, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(name)
        raise


def _is_special(path: Path) -> bool:
    return path.exists() and not path.is_file() and not path.is_dir()


def _temporary(target: Path) -> tuple[int, str]:
    if target.is_dir():
        raise IsADirectoryError(21, "Is a directory", str(target))
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(13, "Permission denied", str(target))
    try:
        return tempfile.mkstemp(prefix=f".{target.name[:100]}.", dir=target.resolve().parent)
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(target)) from error


def _mode(target: Path) -> int:
    """The mode of the file replaced, or that of a new file."""
    with suppress(OSError):
        return target.stat().st_mode & 0o777
    umask = os.umask(0o077)
    os.umask(umask)
    return 0o666 & ~umask
