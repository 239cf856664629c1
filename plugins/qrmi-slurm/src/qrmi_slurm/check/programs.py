"""Checks of the programs that Slurm starts."""

from __future__ import annotations

import os
import re
import shlex
import stat
import sys
from collections.abc import Iterator

from qrmi_slurm import site, trust
from qrmi_slurm.check.finding import Finding, error, ok, warning

HOOKS = {"Prolog": "prolog", "TaskProlog": "task-prolog", "Epilog": "epilog"}
"""The parameter of slurm.conf -> our verb."""
_HEAD_BYTES = 65536


def look_at_hook(
    name: str, path: str, settings: str | None, slurmd_uid: int
) -> tuple[list[Finding], bool]:
    """Check a program of slurm.conf; return findings, and True if it is or calls our script.

    Args:
        name: Name of the parameter.
        path: Path of the program.
        settings: The file of the integration's settings, None for the default one.
        slurmd_uid: The user who starts prolog and epilog.
    """
    about = f"{name} {path}"
    try:
        with open(path, "rb") as stream:
            head = stream.read(_HEAD_BYTES)
            mode = os.fstat(stream.fileno()).st_mode
    except OSError as failure:
        remedy = "correct slurm.conf, or run `qrmi-slurm setup` on this node too"
        return [error(about, f"cannot be read: {failure.strerror}", remedy)], False
    by_all = name == "TaskProlog" and slurmd_uid == 0
    findings = list(_not_started(about, path, head, mode, by_all))
    if by_all and not findings:
        findings += open_to_all(about, path, "the job's user")
    text = head.decode(errors="replace")
    if "qrmi" not in text:
        return findings, False
    if found := re.search(r"^(?:exec|\S*/setsid) (.*-m qrmi_slurm\b.*)$", text, re.MULTILINE):
        findings += _other_setup(about, shlex.split(found[1]), settings)
    return findings or [ok(about, f"runs {HOOKS[name]}")], True


def _not_started(about: str, path: str, head: bytes, mode: int, by_all: bool) -> Iterator[Finding]:
    if not mode & stat.S_IXUSR or (by_all and mode & 0o005 != 0o005):
        yield error(about, "is not executable", f"chmod 755 {path}")
    elif head.startswith(b"#!"):
        words = head[2:].partition(b"\n")[0].decode(errors="replace").split()
        interpreter = words[0] if words else ""
        # `env` searches PATH, which Slurm does not set.
        if os.path.basename(interpreter) == "env" or not interpreter.startswith("/"):
            yield error(
                about,
                f"has no absolute interpreter, but {' '.join(words) or 'none'}",
                "write #!/bin/sh, or the whole path of another",
            )
        elif not os.path.exists(interpreter):
            yield error(
                about, f"its interpreter {interpreter} does not exist", "correct its first line"
            )
    elif not head.startswith(b"\x7fELF"):
        yield error(about, "its first line names no interpreter after #!", "write #!/bin/sh there")
    yield from in_own_hands(about, path)


def _other_setup(about: str, command: list[str], settings: str | None) -> Iterator[Finding]:
    """Check that a wrapper uses the same Python and settings as this check."""
    interpreter, *options = command
    if "-I" not in options:
        yield error(
            about,
            "starts Python without -I, which then reads files that users or PATH name",
            "run `qrmi-slurm setup` again",
        )
    if interpreter != sys.executable:
        yield warning(
            about,
            f"runs {interpreter}, and this check runs {sys.executable}",
            f"check that one: {interpreter} -I -m qrmi_slurm check",
        )
    given = options[options.index("--settings") + 1] if "--settings" in options[:-1] else site.FILE
    looked_at = os.path.abspath(settings or site.FILE)
    if given != looked_at:
        yield warning(
            about,
            f"reads {given}, and this check {looked_at}",
            f"check those: qrmi-slurm --settings {given} check",
        )


def in_own_hands(about: str, path: str, *, strict: bool = False) -> Iterator[Finding]:
    """Yield an error if another user could change a path; see `trust.check`."""
    try:
        trust.check(path, strict=strict)
    except trust.Untrusted as failure:
        message, _, remedy = str(failure).rpartition("; ")
        yield error(about, message, remedy)
    except OSError as failure:
        yield error(about, f"{path}: {failure.strerror}", "see that root can look at it")


def open_to_all(about: str, path: str, why: str) -> Iterator[Finding]:
    """Check that every user can read a path, as jobs must.

    Args:
        about: The subject of the finding.
        path: The file or folder.
        why: The program that reads the path.
    """
    real = os.path.realpath(path)
    steps = [real]
    while steps[-1] != os.path.dirname(steps[-1]):
        steps.append(os.path.dirname(steps[-1]))
    for step in reversed(steps):
        mode = os.stat(step).st_mode
        needed = 0o001 if stat.S_ISDIR(mode) else 0o004
        if mode & needed != needed:
            right = "o+x" if stat.S_ISDIR(mode) else "o+r"
            yield error(
                about, f"{why} cannot pass {step}", f"chmod {right} {step}, or put it elsewhere"
            )
            return
