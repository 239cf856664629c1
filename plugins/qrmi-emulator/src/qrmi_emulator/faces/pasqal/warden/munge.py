"""MUNGE credentials, decoded by a munged."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import socket
import stat
import subprocess
import tempfile
import time
import weakref
from pathlib import Path
from typing import Final

from qrmi_core.plugin import replace_file
from qrmi_local.engines import MissingExtra

SYSTEM_SOCKET: Final = "/run/munge/munge.socket.2"
_EXPIRED, _REPLAYED = 15, 17
_START_SECONDS: Final = 10.0
_PATIENCE_SECONDS: Final = 10.0
# Ends a command when the standard input ends, which it does with the emulator, however that ends.
_TIED: Final = 'exec 3<&0; "$@" 3<&- & p=$!; (read -r _ <&3; kill $p) & exec 3<&-; wait $p'
_UID: Final = re.compile(rb"^UID:\s+(\d+)\s*$", re.MULTILINE)
# Where distributions put daemons, which is not on every user's path.
_PATH: Final = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"


class Undecoded(Exception):
    """A credential that cannot be decoded.

    Attributes:
        is_expired: True if it was valid once.
    """

    def __init__(self, *, is_expired: bool) -> None:
        super().__init__("expired" if is_expired else "not decoded")
        self.is_expired = is_expired


class MungeDecoder:
    """A decoder of credentials, by the command `unmunge`.

    It uses the munged of the given socket, else this host's, else its own with a random key.

    Args:
        home: Folder for the files of its own munged; for the user alone.
        socket: The socket of munged.

    Raises:
        MissingExtra: MUNGE is not installed.
    """

    def __init__(self, home: Path, socket: str | None = None) -> None:
        command = shutil.which("unmunge", path=_PATH)
        if command is None:
            raise MissingExtra("there is no MUNGE; on Debian and Ubuntu: apt install munge")
        self._command = command
        self._own: weakref.finalize[[subprocess.Popen[bytes], Path], MungeDecoder] | None = None
        if socket is None:
            socket = SYSTEM_SOCKET if is_listening(SYSTEM_SOCKET) else self._start(home)
        self.socket = socket

    def close(self) -> None:
        """Stop its own munged."""
        if self._own is not None:
            self._own()

    def uid(self, credential: str) -> int:
        """Return the id of the user who made a credential, which may have been used before.

        Raises:
            Undecoded: It is not a valid credential, or munged does not run.
        """
        try:
            done = subprocess.run(
                [
                    *(self._command, f"--socket={self.socket}", "--no-output", "--metadata=-"),
                    *("--keys=UID", "--numeric"),
                ],
                input=credential.encode(),
                capture_output=True,
                timeout=_PATIENCE_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Undecoded(is_expired=False) from error
        found = _UID.search(done.stdout)
        if found is None or done.returncode not in (0, _REPLAYED):
            raise Undecoded(is_expired=done.returncode == _EXPIRED)
        return int(found[1])

    def _start(self, home: Path) -> str:
        daemon = shutil.which("munged", path=_PATH)
        if daemon is None:
            raise MissingExtra("there is no munged; on Debian and Ubuntu: apt install munge")
        folder = _reachable(home)
        socket = str(folder / "socket")
        deadline = time.monotonic() + _START_SECONDS
        while is_listening(socket) and time.monotonic() < deadline:
            time.sleep(0.01)  # that of an emulator that was killed ends
        home.mkdir(mode=0o700, exist_ok=True)
        key = home / "key"
        if not key.exists():
            replace_file(key, secrets.token_hex(64).encode())
        log = home / "log"
        log.touch(0o600)
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [
                    *("/bin/sh", "-c", _TIED, "sh"),
                    *(daemon, "--foreground", "--num-threads=2", f"--socket={socket}"),
                    *(f"--key-file={key}", f"--seed-file={home / 'seed'}"),
                    f"--pid-file={folder / 'pid'}",
                ],
                stdin=subprocess.PIPE,
                stdout=stream,
                stderr=stream,
            )
        self._own = weakref.finalize(self, _end, process, folder)
        while not is_listening(socket):
            if process.poll() is not None or time.monotonic() > deadline:
                reason = " ".join(log.read_text(errors="replace").split()) or "it does not respond"
                self._own()
                raise MissingExtra(f"munged does not start: {reason[-300:]}")
            time.sleep(0.01)
        return socket


def _reachable(home: Path) -> Path:
    """Return the folder of the socket, which every user can enter, as munged requires."""
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"qrmi-munge-{os.geteuid()}-{digest}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise MissingExtra(f"munged cannot be started: {folder} is another user's")
    folder.chmod(0o711)
    return folder


def _end(process: subprocess.Popen[bytes], folder: Path) -> None:
    assert process.stdin
    process.stdin.close()
    process.wait()
    shutil.rmtree(folder, ignore_errors=True)


def is_listening(path: str) -> bool:
    """Return True if a process listens on a socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
    return True
