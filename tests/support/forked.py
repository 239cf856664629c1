"""Programs run in forked children, which saves the time to start Python."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

import attrs


@attrs.frozen
class Ended:
    """The end of a process.

    Args:
        status: Its exit status; negative for the signal that killed it.
        output: Its standard output.
        errors: Its standard error.
    """

    status: int
    output: str
    errors: str


class Forked:
    """A function that runs in a child process.

    Args:
        function: Returns the exit status.
        folder: Folder for the output.
        environment: Environment of the process.
    """

    def __init__(
        self, function: Callable[[], int], folder: Path, environment: Mapping[str, str]
    ) -> None:
        folder.mkdir(exist_ok=True)
        self._files = [folder / f"{os.urandom(6).hex()}.{name}" for name in ("out", "err")]
        self.pid = os.fork()
        if self.pid == 0:
            self._child(function, environment)

    def _child(self, function: Callable[[], int], environment: Mapping[str, str]) -> None:
        status = 70
        try:
            for number, path in zip((1, 2), self._files, strict=True):
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
                os.dup2(descriptor, number)
            sys.stdout = os.fdopen(1, "w")
            sys.stderr = os.fdopen(2, "w")
            os.environ.clear()
            os.environ.update(environment)
            status = function()
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to the process."""
        os.kill(self.pid, number)

    def wait(self) -> Ended:
        """Wait until the process has ended."""
        _, status = os.waitpid(self.pid, 0)
        out, err = (path.read_text() if path.exists() else "" for path in self._files)
        return Ended(os.waitstatus_to_exitcode(status), out, err)
