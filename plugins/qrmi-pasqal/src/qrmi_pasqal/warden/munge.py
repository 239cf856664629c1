"""MUNGE credentials: proofs of this process's user id, made by the munged of this host."""

from __future__ import annotations

import ctypes
import functools
import os
import shutil
import subprocess

from qrmi_core.plugin import AuthenticationFailedError, ConfigError, current

_OPTION_SOCKET = 8
_PATIENCE_SECONDS = 10.0  # libmunge's own
_C_LIBRARY = ctypes.CDLL(None)


class Munge:
    """Makes credentials: by libmunge where it can be loaded, else by the command ``munge``.

    Used from many threads at once.

    Args:
        socket: Socket of munged; None for the one that libmunge is built for.
        library: Name of the library.
        command: Name of the command.
    """

    def __init__(
        self, socket: str | None = None, *, library: str = "libmunge.so.2", command: str = "munge"
    ) -> None:
        self._socket = socket
        self._library = library
        self._command = command

    def credential(self) -> str:
        """Make a credential for the effective user of this process; it is valid once.

        Raises:
            ConfigError: The library and the command are both missing.
            AuthenticationFailedError: munged does not run, does not respond, or refuses.
        """
        try:
            library = _loaded(self._library)
        except (OSError, AttributeError):  # not there, or not that library
            return self._by_command()
        return self._by_library(library)

    def _by_library(self, library: ctypes.CDLL) -> str:
        context = ctypes.c_void_p(library.munge_ctx_create())
        text = ctypes.c_void_p()
        try:
            failed = self._socket is not None and library.munge_ctx_set(
                context, _OPTION_SOCKET, ctypes.c_char_p(os.fsencode(self._socket))
            )
            if failed or library.munge_encode(ctypes.byref(text), context, None, 0):
                reason = library.munge_ctx_strerror(context) or b"no reason given"
                raise self._refused(reason.decode(errors="replace"))
            assert text.value
            return ctypes.string_at(text.value).decode("ascii")
        finally:
            _C_LIBRARY.free(text)
            library.munge_ctx_destroy(context)

    def _by_command(self) -> str:
        command = shutil.which(self._command)
        if command is None:
            raise ConfigError(
                f"no MUNGE credential can be made: neither the library {self._library} nor the "
                f"command {self._command} can be found; install MUNGE (Debian and Ubuntu: "
                "apt install munge; Red Hat: dnf install munge) with the site's key, and start "
                "munged"
            )
        socket = [] if self._socket is None else [f"--socket={self._socket}"]
        try:
            done = subprocess.run(
                [command, "--no-input", *socket],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=current().clip(_PATIENCE_SECONDS),
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise self._refused("munged does not answer") from None
        except OSError as error:
            raise self._refused(f"{command}: {error.strerror}") from error
        if done.returncode:
            reason = done.stderr.decode(errors="replace").strip()
            raise self._refused(reason.removeprefix("munge: Error: ") or "no reason given")
        return done.stdout.decode("ascii").strip()

    def _refused(self, reason: str) -> AuthenticationFailedError:
        where = f" at {self._socket} (QRMI_MUNGE_SOCKET)" if self._socket else ""
        return AuthenticationFailedError(
            f"munged gives no MUNGE credential: {reason.rstrip('.')}; start munged on this "
            f"host{where}, for example with: systemctl start munge",
            retryable=True,  # a daemon that is started anew is back soon
        )


@functools.cache
def _loaded(name: str) -> ctypes.CDLL:
    library = ctypes.CDLL(name)
    # All other results are int; arguments are pointers of ctypes or int, and need no types.
    library.munge_ctx_create.restype = ctypes.c_void_p
    library.munge_ctx_strerror.restype = ctypes.c_char_p
    return library
