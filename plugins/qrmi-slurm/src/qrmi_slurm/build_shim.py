"""Compilation of the SPANK plugin against the cluster's headers."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from importlib import resources
from pathlib import Path

from qrmi_core import QrmiError

NAME = "spank_qrmi.so"
_SECONDS = 60
# Distributions install daemons here, and not every user has it on PATH.
_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
_COMPILERS = ("cc", "gcc", "clang")
_VERSION = re.compile(rb"^#define SLURM_VERSION_NUMBER 0x([0-9a-fA-F]+)", re.MULTILINE)


class BuildError(QrmiError):
    """The SPANK plugin cannot be built."""


def main(arguments: list[str], _settings: str | None) -> int:
    """Run the verb `build-shim` and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="qrmi-slurm build-shim", description="Compile the SPANK plugin that brings --qpu."
    )
    parser.add_argument("--output", default=NAME, help=f"the file to make ({NAME})", type=Path)
    parser.add_argument("--include", help="folder with slurm/spank.h", type=Path)
    given = parser.parse_args(arguments)
    try:
        version = build(given.output, include=given.include)
    except BuildError as error:
        print(f"qrmi-slurm build-shim: {error}", file=sys.stderr)
        return 1
    print(f"{given.output.absolute()} is for Slurm {version}")
    return 0


def build(output: Path, *, include: Path | None = None) -> str:
    """Compile the plugin, and return the version of Slurm for which it was built.

    Args:
        output: The file to create, in an existing folder.
        include: Folder with `slurm/spank.h`; by default the usual folders.

    Raises:
        BuildError: Headers or compiler are missing, or compiling fails; the message names the
            packages to install.
    """
    headers = _headers(include)
    compiler = _compiler()
    version = _version_of(headers)
    source = (resources.files("qrmi_slurm") / "shim" / "spank_qrmi.c").read_bytes()
    output = output.absolute()
    if not output.parent.is_dir():
        raise BuildError(f"the folder {output.parent} does not exist")
    try:
        # in the same folder, so that the rename replaces a plugin in use atomically
        with tempfile.TemporaryDirectory(prefix=".spank_qrmi.", dir=output.parent) as name:
            made = Path(name, NAME)
            _compile(compiler, headers, source, made)
            made.chmod(0o755)
            made.replace(output)
    except OSError as error:
        raise BuildError(f"cannot write {output}: {error.strerror}") from error
    return version


def _compile(compiler: list[str], headers: Path, source: bytes, made: Path) -> None:
    command = [
        *compiler,
        *("-std=gnu11", "-O2", "-Wall", "-fPIC", "-shared", f"-I{headers}"),
        *("-o", str(made), "-x", "c", "-"),
    ]
    try:
        done = subprocess.run(
            command, input=source, capture_output=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"{compiler[0]} cannot be run: {error}") from error
    if done.returncode or not made.exists():
        raise BuildError(f"{compiler[0]} failed:\n{done.stderr.decode(errors='replace').strip()}")


def _headers(include: Path | None) -> Path:
    if include is not None:
        places = [include]
    else:
        # A Slurm under its own prefix is found through its commands.
        command = shutil.which("scontrol")
        prefixes = [Path(command).resolve().parent.parent] if command else []
        prefixes += [Path("/usr"), Path("/usr/local"), Path("/opt/slurm")]
        places = list(dict.fromkeys(prefix / "include" for prefix in prefixes))
    for place in places:
        if (place / "slurm/spank.h").is_file():
            return place
    raise BuildError(
        f"slurm/spank.h is not in {', '.join(map(str, places))}: install Slurm's headers "
        "(Debian and Ubuntu: libslurm-dev; RHEL, Fedora and SUSE: slurm-devel), or name their "
        "folder by --include"
    )


def _compiler() -> list[str]:
    named = os.environ.get("CC", "").split()
    for command in [named] if named else [[name] for name in _COMPILERS]:
        if shutil.which(command[0]):
            return command
    raise BuildError(
        f"no C compiler was found ({named[0] if named else ', '.join(_COMPILERS)}): install gcc, "
        "or name one by the variable CC"
    )


def _version_of(headers: Path) -> str:
    """Return the version of the headers, which must be the version of the daemons.

    Raises:
        BuildError: The daemon here has another version, and would refuse the plugin.
    """
    try:
        found = _VERSION.search((headers / "slurm/slurm_version.h").read_bytes())
    except OSError:
        found = None
    number = int(found[1], 16) if found else 0
    version = f"{number >> 16}.{number >> 8 & 0xFF:02}.{number & 0xFF}" if number else "unknown"
    # Slurm's clients print their version only if they find a cluster; the daemon always does.
    daemon = shutil.which("slurmd", path=_PATH)
    if number and daemon:
        try:
            printed = subprocess.run(
                [daemon, "-V"], capture_output=True, text=True, timeout=_SECONDS, check=False
            ).stdout
        except (OSError, subprocess.TimeoutExpired):
            printed = ""
        known = re.search(r"\b(\d+\.\d+)\.\d+", printed)
        if known and not version.startswith(f"{known[1]}."):
            raise BuildError(
                f"the headers in {headers} are of Slurm {version}, but {daemon} is of {known[1]}, "
                "which would refuse the plugin: install the headers of that version, or name their "
                "folder by --include"
            )
    return version
