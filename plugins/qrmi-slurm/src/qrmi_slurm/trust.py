"""Paths that root must not use, since another user could have created or could change them."""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False  # for type checkers; importing typing takes longer than everything else here
if TYPE_CHECKING:
    from collections.abc import Iterator

_FIRST_GROUP_OF_USERS = 1000
_MOST_LINKS = 40


class Untrusted(Exception):
    """A path that another user could have created or could change."""


def check(path: str, *, strict: bool = False) -> None:
    """Check that only root and the current user can change a path and the targets of its links.

    Every parent folder is checked. A missing path is trusted if its folder is.

    Args:
        path: A file or folder.
        strict: True for a path that is only read: also reject daemons' groups, which may write to
            folders such as /var/log, and missing files that any user could create.

    Raises:
        Untrusted: Another user can; the message names the path and the remedy.
        OSError: The path cannot be examined.
    """
    open_folder = False
    for name in _steps(path):
        try:
            found = os.lstat(name)
        except FileNotFoundError:
            if strict and open_folder:
                raise Untrusted(f"others may make {name}; choose another folder") from None
            continue
        if found.st_uid not in (0, os.geteuid()):
            raise Untrusted(f"{name} belongs to user {found.st_uid}; chown it to root")
        if stat.S_IFMT(found.st_mode) not in (stat.S_IFDIR, stat.S_IFREG, stat.S_IFLNK):
            raise Untrusted(f"{name} is not a file; name another in slurm.toml")
        if stat.S_ISLNK(found.st_mode):
            continue
        open_folder = _others_may_write(found, strict)
        # In a folder such as /tmp, users create their own files but cannot change others.
        if open_folder and not (stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX):
            raise Untrusted(f"others may write to {name}; chmod go-w {name}")


def problem(path: str) -> str | None:
    """Return the reason not to read a path, as the end of a sentence, or None.

    Returns None if the path may be read.
    """
    try:
        check(path, strict=True)
    except Untrusted as error:
        return f"is not used: {error}"
    except OSError as error:
        return f"cannot be used: {error.strerror}"
    return None


def _others_may_write(found: os.stat_result, strict: bool) -> bool:
    own = found.st_gid == os.getegid()
    if strict:
        # With an access control list, these bits apply to more than the group.
        group = os.geteuid() == 0 or not own
    else:
        group = found.st_gid >= _FIRST_GROUP_OF_USERS and not own
    return bool(found.st_mode & (0o022 if group else 0o002))


def _steps(path: str) -> Iterator[str]:
    """Yield each path on the way to another, including links and their targets."""
    links, reached = 0, "/"
    if not os.path.isabs(path):
        path = os.path.join(os.getcwd(), path)
    ahead = path.split("/")[::-1]
    yield reached
    while ahead:
        name = ahead.pop()
        if name == "..":
            reached = os.path.dirname(reached)
        if name in ("", ".", ".."):
            continue
        step = os.path.join(reached, name)
        yield step
        try:
            target = os.readlink(step)
        except OSError:  # not a link
            reached = step
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(40, "Too many levels of symbolic links", path)
        ahead += target.split("/")[::-1]
        if target.startswith("/"):
            reached = "/"
