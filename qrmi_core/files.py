"""Files that appear whole or not at all, and locks on files."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


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
    with _temporary(_resolved(target), 0o600) as stream:
        os.unlink(stream.name)


@contextmanager
def atomic_output(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Write a file that replaces `path` when the block ends well, and leaves no trace otherwise.

    A path that is not a regular file, such as ``/dev/null`` or a pipe, is written to directly.

    Raises:
        OSError: The file cannot be written.
    """
    target = Path(path)
    if _is_special(target):
        with target.open("wb") as stream:
            yield stream
        return
    target, mode = _resolved(target), None
    with suppress(OSError):
        mode = target.stat().st_mode & 0o777
    with _replacing(target, mode) as stream:
        yield stream


def replace_file(
    path: str | os.PathLike[str],
    content: bytes,
    *,
    mode: int = 0o600,
    owner: tuple[int, int] | None = None,
) -> None:
    """Write a file that is there whole or not at all; a link in its place is replaced itself.

    Args:
        path: The file.
        content: Its content.
        mode: Its permissions.
        owner: Its user id and group id; None for those of this process.

    Raises:
        OSError: The file cannot be written.
    """
    with _replacing(Path(path), mode, owner) as stream:
        stream.write(content)


def lock_file(path: str | os.PathLike[str]) -> int | None:
    """Lock a file, made for this user alone if it is missing, and return its open descriptor.

    The lock ends when the descriptor is closed in this process and in those that inherited it.

    Returns:
        The descriptor; None if another process, or another descriptor of this one, has the lock.

    Raises:
        OSError: The file system has no locks, or the file cannot be made.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def _replacing(
    target: Path, mode: int | None, owner: tuple[int, int] | None = None
) -> Iterator[BinaryIO]:
    """Write a file beside the target, and replace the target; without a mode the umask counts."""
    stream = _temporary(target, 0o666 if mode is None else 0o600)
    try:
        with stream:
            yield stream
            stream.flush()
            if mode is not None:
                os.fchmod(stream.fileno(), mode)
            if owner is not None:
                os.fchown(stream.fileno(), *owner)
            os.fsync(stream.fileno())
        os.replace(stream.name, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(stream.name)
        raise
    # Not every file system can: then the name may be lost with the power, and the file is whole.
    with suppress(OSError):
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _is_special(path: Path) -> bool:
    return path.exists() and not path.is_file() and not path.is_dir()


def _resolved(path: Path) -> Path:
    """Return the file behind a link, which an ordinary write would write to, if that may be."""
    target = path.resolve()
    if target.is_dir():
        raise IsADirectoryError(21, "Is a directory", str(path))
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(13, "Permission denied", str(path))
    return target


def _temporary(target: Path, mode: int) -> BinaryIO:
    name = target.with_name(f".{target.name[:100]}.{os.urandom(8).hex()}")
    try:
        # The system applies the umask, which a process can only read by setting it for all threads.
        return open(name, "w+b", opener=lambda path, _flags: os.open(path, _FLAGS, mode))
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(target)) from error
