"""The clients of a run as processes: scripts, and the command `qrmi`."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from chaos import plan as plans
from chaos.emulator import QRMI
from chaos.ledger import Journal
from chaos.programs import document

MOST_SECONDS = 240.0
"""The limit for a client, above the sum of the limits of its waits."""
_RELEASES = 6
_STARTED = re.compile(r"\btask (\S+) started on ")


class Client:
    """A client, which runs one process after another; its journal has the outcome.

    Args:
        plan: Its plan.
        folder: A folder of its own.
        config: The configuration of its resource.
        results: The folder to save results in.
        environment: Its environment.
    """

    def __init__(
        self,
        plan: plans.ClientPlan,
        folder: Path,
        config: Mapping[str, Any],
        results: Path,
        environment: Mapping[str, str],
    ) -> None:
        self.plan = plan
        self.folder = folder
        self._environment = environment
        self._result = results / f"{plan.number}.json"
        folder.mkdir()
        self._numbers = [*range(len(plan.endings)), *range(plans.FORKED, plans.FORKED + plan.forks)]
        inputs = {n: document(plan.resource_type, plan.number, n) for n in self._numbers}
        for name, content in (
            ("plan", attrs.asdict(plan)),
            ("config", config),
            ("inputs", inputs),
            ("input", inputs[0]),
            ("results", str(results)),
        ):
            path = folder / f"{name}.json"
            path.touch(0o600)  # The configuration contains secrets.
            path.write_text(json.dumps(content))
        self.journal = Journal(folder / "journal")
        self.began = time.monotonic()
        self._steps = 0
        self._task_id = ""
        self._token = ""
        self._continue_at: float | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._next()

    @property
    def ended(self) -> bool:
        """True if the client neither runs nor will run again."""
        return self._process is None

    def step(self) -> None:
        """Check the process, and start the next one when it has ended."""
        if self._process is None:
            return
        now = time.monotonic()
        if self._continue_at is not None and now >= self._continue_at:
            self._process.send_signal(signal.SIGCONT)
            self._continue_at = None
        status = self._process.poll()
        if status is None and now > self.began + MOST_SECONDS:
            self.journal.write("hung", text=f"step {self._steps} ({' '.join(self._command)})")
            self._process.send_signal(
                signal.SIGUSR1 if self.plan.style == "script" else signal.SIGTERM
            )
            time.sleep(1)
            self._process.kill()
            status = self._process.wait()
        if status is not None:
            self._process, self._continue_at = None, None
            self._note(status)

    def send(self, number: int) -> bool:
        """Send a signal to the process; return False if it has ended."""
        if self._process is None:
            return False
        self.journal.write("signal", number=number)
        self._process.send_signal(number)
        return True

    def stop(self, seconds: float) -> bool:
        """Pause the process for a while; return False if it has ended."""
        if self._process is None:
            return False
        self._process.send_signal(signal.SIGSTOP)
        self._continue_at = time.monotonic() + seconds
        self.began += seconds
        return True

    def _next(self) -> None:
        """Start the next process of the plan, if any."""
        name = plans.RESOURCES[self.plan.resource_type]
        match self.plan.style, self._steps:
            case "script", 0:
                python = [sys.executable, "-W", "ignore::DeprecationWarning"]
                self._run([*python, "-m", "chaos.script", self.folder])
            case "run", 0:
                self.journal.write("acquiring")
                self.journal.write("intend", n=0)
                self._run([QRMI, "run", name, self.folder / "input.json", self._result], 60)
            case "task", 0:
                self.journal.write("intend", n=0)
                self._run([QRMI, "task", "start", name, self.folder / "input.json"], 20)
            case "task", 1 if self._task_id:
                if self.plan.endings[0] == "stop":
                    self.journal.write("stopping", n=0)
                    self._run([QRMI, "task", "stop", name, self._task_id], 20)
                elif self.plan.endings[0] != "leave":
                    self._run([QRMI, "task", "result", name, self._task_id, self._result], 60)
            case "hold", 0:
                self.journal.write("acquiring")
                self._run([QRMI, "acquire", name], 20)
            case "hold", step if self._token and step < _RELEASES:
                self._run([QRMI, "release", name, self._token], 30)

    def _run(self, command: list[object], timeout: float | None = None) -> None:
        if timeout is not None:
            command += ["--config", self.folder / "config.json", "--timeout", timeout]
        self._command = [*map(str, command)]
        out, err = (self.folder / f"{self._steps}.{name}" for name in ("out", "err"))
        with out.open("wb") as output, err.open("wb") as errors:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )

    def _note(self, status: int) -> None:
        """Record the exit status of a process, and the ids and tokens in its output."""
        step, self._steps = self._steps, self._steps + 1
        self.journal.write("exit", status=status, step=step)
        if self.plan.style == "script":
            return
        out, err = (
            (self.folder / f"{step}.{name}").read_text(errors="replace") for name in ("out", "err")
        )
        for line in err.splitlines():
            if started := _STARTED.search(line):
                self._task_id = started[1]
                self.journal.write("task", n=0, id=self._task_id)
            if " was not released: " in line:
                self.journal.write("unreleased", token=line.split()[-1].strip("'"), kind="warning")
        if self.plan.style in ("run", "task") and step == 0 and not self._task_id:
            self._note_without_task(status, err)
        if self.plan.style == "run" and status == 0:
            self.journal.write("result", n=0, text=self._saved())
        if self.plan.style == "hold" and step == 0 and out.strip():
            self._token = out.split()[-1]
            self.journal.write("acquired", token=self._token)
        elif self.plan.style == "hold" and step:
            self.journal.write(
                "unreleased" if status else "released", token=self._token, kind="exit"
            )
            if not status:
                return
        self._next()

    def _note_without_task(self, status: int, err: str) -> None:
        if status == 6 or "the task may have been submitted" in err:
            self.journal.write("uncertain", n=0, text=err[-1000:])
        elif status >= 0:
            self.journal.write("refused", n=0, kind=f"exit status {status}", text=err[-1000:])

    def _saved(self) -> str:
        return self._result.read_text()[:10_000] if self._result.exists() else ""
