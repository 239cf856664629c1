"""The emulator under faults: a process that is killed and restarted with the same state."""

from __future__ import annotations

import json
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chaos.plan import NETWORK, RESOURCES, Fault

QRMI = Path(sys.executable).with_name("qrmi")
START_SECONDS = 60.0
END_SECONDS = 20.0


class EmulatorProcess:
    """The command `qrmi emulator serve`.

    Args:
        home: The folder of its state.
        folder: A folder for its output and its configuration file.
        environment: Its environment.

    Attributes:
        starts: Number of starts.
        unstarted: Number of starts that failed, on a full disk for example.
        deaths: The exit statuses of crashes after a successful start.
    """

    def __init__(self, home: Path, folder: Path, environment: Mapping[str, str]) -> None:
        self.home = home
        self.errors = folder / "emulator.err"
        self.config_file = folder / "emulator.json"
        self.starts = 0
        self.unstarted = 0
        self.deaths: list[int] = []
        self._output = folder / "emulator.out"
        self._environment = environment
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._start_at = 0.0
        self._listened = False
        self._continue_at: float | None = None

    @property
    def pid(self) -> int | None:
        """The process id, or None between two starts."""
        return self._process.pid if self._process else None

    def step(self) -> None:
        """Restart the process when it is due; continue it when its pause is over."""
        now = time.monotonic()
        if self._process is None:
            if now >= self._start_at:
                self._start()
            return
        if self._continue_at is not None and now >= self._continue_at:
            self._process.send_signal(signal.SIGCONT)
            self._continue_at = None
        self._listened = self._listened or b"listening" in self._output.read_bytes()
        status = self._process.poll()
        if status is not None:
            if self._listened:
                self.deaths.append(status)
            else:
                self.unstarted += 1
            self._process, self._start_at = None, now + 0.5

    def wait_until_listening(self) -> None:
        """Wait until it listens on its port.

        Raises:
            RuntimeError: It does not listen in time.
        """
        end = time.monotonic() + START_SECONDS
        while not self._listened:
            self.step()
            if time.monotonic() > end:
                raise RuntimeError(
                    f"the emulator does not start: {self.errors.read_text()[-2000:]}"
                )
            time.sleep(0.05)

    def kill(self, pause_seconds: float) -> bool:
        """Kill the process, which restarts after a pause; return False if it did not run."""
        if self._process is None:
            return False
        self._process.kill()
        self._process.wait()
        self._process, self._continue_at = None, None
        self._start_at = time.monotonic() + pause_seconds
        return True

    def stop(self, seconds: float) -> bool:
        """Pause the process (SIGSTOP) for a while; return False if it did not run."""
        if self._process is None:
            return False
        self._process.send_signal(signal.SIGSTOP)
        self._continue_at = time.monotonic() + seconds
        return True

    def hit(self, fault: Fault) -> bool:
        """Inject a fault into requests; return False if the emulator did not accept it."""
        values: dict[str, Any] = {"kind": fault.kind, "method": fault.method, "seconds": 10.0}
        if fault.kind == "status":
            values |= {"status": fault.status}
        if fault.kind == "latency":
            values |= {"delay": fault.seconds}
        if fault.kind == "outage":
            values |= {"seconds": fault.seconds, "method": "*"}
        assert fault.kind in NETWORK
        return self._control("POST", values)

    def calm(self) -> None:
        """Remove all pending faults."""
        self._control("DELETE", None)

    def _control(self, method: str, values: object) -> bool:
        try:
            known = json.loads((self.home / "server.json").read_text())
            request = urllib.request.Request(
                f"{known['url']}/control/faults",
                None if values is None else json.dumps(values).encode(),
                {"Authorization": f"Bearer {known['control_key']}"},
                method=method,
            )
            urllib.request.urlopen(request, timeout=1).close()
        except (OSError, ValueError, KeyError):
            return False
        return True

    def end(self) -> str | None:
        """End the emulator as a user would; return a description of any problem, or None."""
        if self._process is None:
            return "the emulator does not run at the end"
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        try:
            status = self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return f"the emulator did not end {END_SECONDS:.0f} s after SIGTERM"
        return f"the emulator ended with status {status} on SIGTERM" if status else None

    def _start(self) -> None:
        self.starts += 1
        self._listened = False
        command: list[object] = [QRMI, "emulator", "serve", "--state", self.home]
        command += ["--config-out", self.config_file, "--port", self._port, "--slots", 1]
        command += ["--session-idle-seconds", 2]
        for resource_type, name in RESOURCES.items():
            if resource_type != "local":
                command += ["--resource", f"{resource_type}:{name}"]
        with self._output.open("wb") as output, self.errors.open("ab") as errors:
            self._process = subprocess.Popen(
                [*map(str, command)],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )


def _free_port() -> int:
    """Return a free port outside the range for outgoing connections."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
