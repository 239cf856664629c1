"""A run: concurrent clients, planned faults, a calm end, and the comparison."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from chaos import audit, plan, processes
from chaos.clients import MOST_SECONDS, Client
from chaos.disks import Disk
from chaos.emulator import EmulatorProcess
from chaos.script import CHILD_SECONDS
from chaos.stores import Contents, contents

CLIENTS = 6
"""Clients that run at the same time."""
CALM_SECONDS = 150.0
"""How long tasks may take to end after the last client."""
_STACK_LINES = 10
_TESTS = Path(__file__).parents[1]
_SIGNALS = {
    "kill-client": signal.SIGKILL,
    "interrupt-client": signal.SIGINT,
    "terminate-client": signal.SIGTERM,
}


class Run:
    """A run, cleaned up at the end of the context.

    Args:
        seed: The seed of its plan.
        seconds: Duration of the faults.

    Attributes:
        folder: The folder of the run.
        done: The counts of clients, faults and submissions.
    """

    def __init__(self, seed: int, seconds: float) -> None:
        self.seed = seed
        self.seconds = seconds
        self.done: Counter[str] = Counter()
        self._mark = secrets.token_hex(8)
        self._live: list[Client] = []
        self._started = 0
        self._free_at: dict[str, float] = {}

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="qrmi-chaos-"))
        self.folder.chmod(0o755)  # munged's socket must be accessible to every user.
        for name in ("home", "tmp", "clients"):
            (self.folder / name).mkdir()
        self._disks = {name: self._disk(name) for name in ("emulator", "local")}
        environment = self._environment()
        self._emulator = EmulatorProcess(
            self._disks["emulator"].folder / "state", self.folder, environment
        )
        self._local = self._disks["local"].folder / "store"
        self._results = {
            True: self._disks["local"].folder / "results",
            False: self.folder / "results",
        }
        for results in self._results.values():
            results.mkdir()
        return self

    def __exit__(self, *_error: object) -> None:
        processes.end_all(self._mark)
        for disk in self._disks.values():
            disk.unmount()
        shutil.rmtree(self.folder, ignore_errors=True)

    def go(self) -> audit.Findings:
        """Run, and return the findings."""
        self._emulator.wait_until_listening()
        began = time.monotonic()
        due = plan.faults(self.seed, self.seconds)
        fault = next(due, None)
        while (now := time.monotonic() - began) < self.seconds:
            while fault is not None and now >= fault.at:
                self._cause(fault)
                fault = next(due, None)
            while len(self._live) < CLIENTS:
                self._start_client()
            self._step()
            time.sleep(0.03)
        return self._end()

    def _step(self) -> None:
        self._emulator.step()
        for client in self._live:
            client.step()
        self._live = [client for client in self._live if not client.ended]
        for name, at in list(self._free_at.items()):
            if time.monotonic() >= at:
                self._disks[name].free()
                del self._free_at[name]

    def _start_client(self) -> None:
        self._started += 1
        drawn = plan.client(self.seed, self._started)
        self.done[f"clients: {drawn.style} on {drawn.resource_type}"] += 1
        folder = self.folder / "clients" / str(drawn.number)
        results = self._results[drawn.saves_on_disk]
        self._live.append(Client(drawn, folder, self._config(drawn), results, self._environment()))

    def _config(self, drawn: plan.ClientPlan) -> dict[str, Any]:
        if drawn.resource_type == "local":
            known = {
                "QRMI_LOCAL_HOME": str(self._local),
                "QRMI_LOCAL_SLOTS": "2",
                "QRMI_LOCAL_IDLE_SECONDS": "5",
                "QRMI_LOCAL_LEASE_SECONDS": "15",
                "QRMI_LOCAL_SEED": str(drawn.number),
            }
            entry: dict[str, Any] = {"name": "aer", "type": "local", "environment": known}
        else:
            config = json.loads(self._emulator.config_file.read_text())
            wanted = (drawn.resource_type, plan.RESOURCES[drawn.resource_type])
            entry = next(e for e in config["resources"] if (e["type"], e["name"]) == wanted)
        return {"resources": [entry]}

    def _cause(self, fault: plan.Fault) -> None:
        """Inject a fault, and count it if that was possible."""
        emulator = self._emulator
        clients = [client for client in self._live if not client.ended]
        chosen = clients[int(fault.pick * len(clients))] if clients else None
        match fault.kind:
            case "kill-emulator":
                happened = emulator.kill(fault.seconds / 2)
            case "stop-emulator":
                happened = emulator.stop(fault.seconds)
            case "kill-worker":
                happened = self._kill_worker(fault)
            case "stop-client":
                happened = chosen is not None and chosen.stop(fault.seconds)
            case "fill-disk":
                self._disks[fault.store].fill(fault.left_bytes)
                self._free_at[fault.store] = time.monotonic() + 2 * fault.seconds
                happened = True
            case kind if kind in _SIGNALS:
                happened = chosen is not None and chosen.send(_SIGNALS[kind])
            case _:
                happened = emulator.hit(fault)
        what = (
            f"{fault.kind} ({fault.store})"
            if fault.kind in ("fill-disk", "kill-worker")
            else fault.kind
        )
        self.done[f"faults: {what}{'' if happened else ', not delivered'}"] += 1

    def _kill_worker(self, fault: plan.Fault) -> bool:
        home = str(self._disks[fault.store].folder)
        found = [
            process
            for process in processes.marked(self._mark)
            if "qrmi_local.worker" in process.command and home in process.command
        ]
        return bool(found) and found[int(fault.pick * len(found))].send(signal.SIGKILL)

    def _end(self) -> audit.Findings:
        """Stop the faults, wait for clients and tasks, and compare."""
        for disk in self._disks.values():
            disk.free()
        self._free_at.clear()
        self._wait(lambda: not self._live, 2 * MOST_SECONDS)
        self._emulator.wait_until_listening()
        self._emulator.calm()
        # Children outlive a killed script.
        self._wait(lambda: not self._scripts(), CHILD_SECONDS)
        hung = [self._stack(process) for process in self._scripts()]
        self._wait(lambda: not self._contents().pending, CALM_SECONDS)
        problem = self._emulator.end()
        accounts = audit.accounts(self.folder / "clients")
        found = audit.audit(accounts, self._contents())
        found.hung += hung + ([problem] if problem else [])
        self._check_output(found)
        self._count(accounts)
        return found

    def _wait(self, done: Callable[[], bool], seconds: float) -> bool:
        end = time.monotonic() + seconds
        while not done():
            if time.monotonic() > end:
                return False
            self._step()
            time.sleep(0.1)
        return True

    def _scripts(self) -> list[processes.Process]:
        return [p for p in processes.marked(self._mark) if "chaos.script" in p.command]

    def _stack(self, process: processes.Process) -> str:
        """Kill a process that hangs, and return its stack."""
        errors = Path(process.command.split()[-1]) / "0.err"
        before = errors.stat().st_size
        process.send(signal.SIGUSR1)
        time.sleep(1)
        process.send(signal.SIGKILL)
        stack = errors.read_bytes()[before:].decode(errors="replace").splitlines()
        where = "\n".join(stack[1:_STACK_LINES])  # the innermost calls come first
        return f"a forked child of client {errors.parent.name} in\n{where}"

    def _contents(self) -> Contents:
        return contents(self._emulator.home, self._local)

    def _check_output(self, found: audit.Findings) -> None:
        for path in sorted((self.folder / "clients").glob("*/*.err")):
            where = f"client {path.parent.name}, {path.name}"
            is_script = json.loads((path.parent / "plan.json").read_text())["style"] == "script"
            audit.check_text(path.read_text(errors="replace"), where, found, is_script=is_script)
        for where, path in self._logs():
            audit.check_text(path.read_text(errors="replace"), where, found)
        found.raw += [f"the emulator ended by itself: {status}" for status in self._emulator.deaths]

    def _logs(self) -> Iterator[tuple[str, Path]]:
        yield "emulator", self._emulator.errors
        for where, path in (
            ("worker of the emulator", self._emulator.home / "tasks" / "worker.log"),
            ("worker of the local store", self._local / "worker.log"),
        ):
            if path.exists():
                yield where, path

    def _count(self, accounts: list[audit.ClientAccount]) -> None:
        for client in accounts:
            self.done["submissions"] += len(client.of("intend"))
            self.done["tasks with a known id"] += len(client.ids)
            self.done["results"] += len(client.of("result", "saved"))
            self.done["forks"] += len(client.of("forked"))
            self.done["acquisitions"] += len(client.of("acquired"))
        self.done["starts of the emulator"] = self._emulator.starts
        self.done["starts of the emulator that failed"] = self._emulator.unstarted

    def _disk(self, name: str) -> Disk:
        folder = self.folder / f"disk-{name}"

        def writers() -> Iterator[int]:
            for process in processes.marked(self._mark):
                if str(folder) in process.command:
                    yield process.pid

        return Disk(folder, writers)

    def _environment(self) -> dict[str, str]:
        passed = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return {
            **passed,
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            "PYTHONPATH": str(_TESTS),
            "OMP_NUM_THREADS": "1",
            processes.MARK: self._mark,
        }


def keep(run: Run, target: Path) -> None:
    """Copy a run's folder, with the clients' journals and output."""
    with contextlib.suppress(shutil.Error):
        shutil.copytree(run.folder, target, ignore=shutil.ignore_patterns("filler", "socket"))
