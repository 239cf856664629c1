"""A local Slurm cluster whose QPUs are emulated, for tests and for trying things out.

    python tests/support/cluster.py up DIR
    . DIR/environment
    sbatch --comment=qpu=fake_fez --wrap 'printenv QRMI_JOB_QPU_RESOURCES'
    python tests/support/cluster.py down DIR

It runs as the user who starts it, listens on loopback only and writes only to DIR. Slurm and MUNGE
must be installed (Debian and Ubuntu: apt install slurm-wlm munge; for the shim libslurm-dev and a C
compiler too).
"""

from __future__ import annotations

import argparse
import contextlib
import getpass
import json
import os
import re
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from support.processes import running

MODES = ("scripts", "shim", "both", "none")
ENDED = frozenset(
    ("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "TIMEOUT")
)
# Distributions install daemons here, and not every user has it on PATH.
_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
_PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged")
_START_SECONDS = 20.0
_COMMAND_SECONDS = 60.0
_TRIES = 3
_LOOK_SECONDS = 0.1

_T = TypeVar("_T")


def missing(mode: str = "scripts") -> str:
    """Return the reason why no cluster can be started here, or an empty text.

    Args:
        mode: One of `MODES`.
    """
    absent = [name for name in _PROGRAMS if shutil.which(name, path=_PATH) is None]
    if mode in ("shim", "both"):
        headers = [Path(prefix, "include/slurm/spank.h") for prefix in ("/usr", "/usr/local")]
        absent += [] if any(path.exists() for path in headers) else ["slurm/spank.h"]
        absent += [] if shutil.which("cc") else ["cc"]
    if not absent:
        return ""
    return (
        f"not installed: {', '.join(absent)} (Debian and Ubuntu: apt install slurm-wlm munge "
        "libslurm-dev gcc; as root `make test-slurm` does it)"
    )


def wait_for(what: Callable[[], _T], why: str | Callable[[], str], seconds: float = 30.0) -> _T:
    """Poll a condition until it is true, and return its value; fail when the time is up."""
    end = time.monotonic() + seconds
    while not (found := what()):
        if time.monotonic() > end:
            text = why if isinstance(why, str) else why()
            raise AssertionError(f"not within {seconds} s: {text}")
        time.sleep(_LOOK_SECONDS)
    return found


class Job:
    """A submitted job.

    Args:
        cluster: The cluster it was submitted to.
        job_id: Its id, in the form Slurm's commands accept.
        output: The file with its output; None without one.
    """

    def __init__(self, cluster: Cluster, job_id: str, output: Path | None = None) -> None:
        self.cluster = cluster
        self.id = job_id
        self._output = output

    def show(self) -> str:
        """Return the job as Slurm last reported it, on one line."""
        return self.cluster.jobs()[self.id]

    def field(self, name: str) -> str:
        """Return one of the values that Slurm reports."""
        return field(self.show(), name)

    @property
    def state(self) -> str:
        """The job's state, under Slurm's name."""
        return self.field("JobState")

    @property
    def output(self) -> str:
        """The output so far."""
        assert self._output
        return self._output.read_text() if self._output.exists() else ""

    def wait(self, *states: str, seconds: float = 40.0) -> Self:
        """Wait until the job is in one of these states; by default until it has ended."""
        wanted = frozenset(states) or ENDED
        wait_for(
            lambda: self.state in wanted,
            lambda: f"job {self.id} {' or '.join(sorted(wanted))}: {self.show()}\n{self.logs()}",
            seconds,
        )
        return self

    def wait_for_text(self, text: str, seconds: float = 40.0) -> str:
        """Wait until the job has printed a text, and return all its output."""
        wait_for(
            lambda: text in self.output,
            lambda: f"{text!r} from job {self.id}: {self.output!r} {self.show()}\n{self.logs()}",
            seconds,
        )
        return self.output

    def logs(self) -> str:
        """Return the last lines of the daemons' logs."""
        return self.cluster.tail()


class Cluster:
    """The daemons of a cluster; a context manager that starts MUNGE, while `start` starts Slurm.

    Attributes:
        folder: Folder of all its files.
        environment: The environment for Slurm's commands.
        nodes: Names of the nodes.
        munge_socket: Socket of its munged.
        logs: Folder of the daemons' logs.

    Args:
        folder: An existing folder that every user of the cluster can enter.
        nodes: Number of nodes.
        cpus: Processors of each node.
        debug: Log level of slurmd and slurmctld.
    """

    def __init__(
        self, folder: Path, *, nodes: int = 1, cpus: int = 64, debug: str = "debug3"
    ) -> None:
        self.folder = folder
        self.nodes = [f"n{number}" for number in range(1, nodes + 1)]
        self.logs = folder / "log"
        self.munge_socket = folder / "run/munge.socket"
        self.environment = {
            "PATH": _PATH,
            "SLURM_CONF": str(folder / "etc/slurm.conf"),
            "HOME": str(folder / "home"),
            "LANG": "C.UTF-8",
        }
        self._cpus = cpus
        self._debug = debug
        self._stack = contextlib.ExitStack()
        self._slurmds: dict[str, contextlib.ExitStack] = {}
        self._jobs: dict[str, str] = {}
        self._looked = 0.0
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            for name in ("etc", "state", "spool", "log", "run", "munge", "home", "jobs"):
                path = self.folder / name
                path.mkdir(exist_ok=True)
                path.chmod(0o755)
            # Jobs of every user write their output here.
            (self.folder / "jobs").chmod(0o1777)
            (self.folder / "munge").chmod(0o700)
            stack.enter_context(self._munged())
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    # The daemons

    def start(self, lines: Iterable[str] = (), plugstack: Iterable[str] = ()) -> None:
        """Start Slurm, and return when all nodes are idle.

        Args:
            lines: Additional lines of slurm.conf.
            plugstack: Lines of plugstack.conf.
        """
        (self.folder / "etc/plugstack.conf").write_text("".join(f"{x}\n" for x in plugstack))
        lines = list(lines)
        for attempt in range(1, _TRIES + 1):
            # Another process may take a port between the check and its use.
            self._write_configuration(lines)
            try:
                with contextlib.ExitStack() as stack:
                    stack.enter_context(self._slurmctld())
                    stack.callback(self._stop_slurmds)
                    for node in self.nodes:
                        self.start_slurmd(node)
                    self.wait_until_idle()
                    stack.callback(self._end_jobs)
                    self._stack.enter_context(stack.pop_all())
                return
            except AssertionError:
                if attempt == _TRIES or "Address already in use" not in self.tail():
                    raise

    def start_slurmd(self, node: str) -> None:
        """Start a node's daemon, or restart it if it has ended."""
        stack = contextlib.ExitStack()
        log = self.logs / f"slurmd.{node}.out"
        log.unlink(missing_ok=True)
        pid_file = self.folder / f"run/slurmd.{node}.pid"
        pid_file.unlink(missing_ok=True)
        stack.enter_context(
            running(
                [_program("slurmd"), "-D", "-N", node],
                log=log,
                ready=lambda: pid_file.exists() and bool(pid_file.read_text().strip()),
                seconds=_START_SECONDS,
                environment=self.environment,
                folder=self.folder,
            )
        )
        self._slurmds[node] = stack

    def kill_slurmd(self, node: str) -> None:
        """Kill a node's daemon, like a crash."""
        os.kill(int((self.folder / f"run/slurmd.{node}.pid").read_text()), signal.SIGKILL)
        self._slurmds.pop(node).close()

    def _stop_slurmds(self) -> None:
        for stack in self._slurmds.values():
            stack.close()
        self._slurmds.clear()

    def _slurmctld(self) -> contextlib.AbstractContextManager[None]:
        log = self.logs / "slurmctld.out"
        log.unlink(missing_ok=True)

        def ready() -> bool:
            assert "fatal:" not in log.read_text(), f"slurmctld does not start: {log.read_text()}"
            return self.run("scontrol", "ping").returncode == 0

        return running(
            [_program("slurmctld"), "-D", "-c"],
            log=log,
            ready=ready,
            seconds=_START_SECONDS,
            environment=self.environment,
            folder=self.folder,
        )

    def _munged(self) -> contextlib.AbstractContextManager[None]:
        key = self.folder / "munge/key"
        key.touch(0o600)
        key.write_bytes(secrets.token_bytes(128))
        command = [
            _program("munged"),
            "--foreground",
            f"--socket={self.munge_socket}",
            f"--key-file={key}",
            f"--pid-file={self.folder / 'run/munged.pid'}",
            f"--seed-file={self.folder / 'munge/seed'}",
            "--num-threads=4",
        ]
        probe = ["munge", "--no-input", f"--socket={self.munge_socket}"]
        return running(
            command,
            log=self.logs / "munged.log",
            ready=lambda: subprocess.run(probe, capture_output=True, check=False).returncode == 0,
        )

    def _write_configuration(self, lines: Iterable[str]) -> None:
        host = socket.gethostname().partition(".")[0]
        ports = _free_ports(1 + len(self.nodes))
        user = getpass.getuser()
        base = self.folder
        nodes = [
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port}"
            f" CPUs={self._cpus} RealMemory=1000 State=UNKNOWN"
            for node, port in zip(self.nodes, ports[1:], strict=True)
        ]
        text = f"""\
ClusterName=qtest
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={ports[0]}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthType=auth/munge
AuthInfo=socket={self.munge_socket},cred_expire=5
CredType=cred/munge
StateSaveLocation={base}/state
SlurmdSpoolDir={base}/spool/%n
SlurmctldPidFile={base}/run/slurmctld.pid
SlurmdPidFile={base}/run/slurmd.%n.pid
SlurmctldLogFile={base}/log/slurmctld.log
SlurmdLogFile={base}/log/slurmd.%n.log
SlurmctldDebug={self._debug}
SlurmdDebug={self._debug}
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
KillWait=2
MinJobAge=3600
PlugStackConfig={base}/etc/plugstack.conf
"""
        partition = (
            f"PartitionName=main Nodes={','.join(self.nodes)} Default=YES MaxTime=INFINITE "
            "DefaultTime=5 State=UP"
        )
        text += "".join(f"{line}\n" for line in [*lines, *nodes, partition])
        (base / "etc/slurm.conf").write_text(text)
        for node in self.nodes:
            (base / "spool" / node).mkdir(exist_ok=True)

    def _end_jobs(self) -> None:
        self.run("scancel", "--full", "--signal=KILL", "--user", getpass.getuser())
        self.run("scancel", "--state=PENDING", "--user", getpass.getuser())
        with contextlib.suppress(AssertionError):
            wait_for(lambda: not self.command("squeue", "-h"), "no job is left", 15.0)
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                variables = (process / "environ").read_bytes().split(b"\0")
                ours = f"SLURM_CONF={self.environment['SLURM_CONF']}".encode() in variables
                step = (process / "comm").read_text().strip() == "slurmstepd"
                if ours and (step or any(x.startswith(b"SLURM_JOB_ID=") for x in variables)):
                    os.kill(int(process.name), signal.SIGKILL)

    def tail(self) -> str:
        """Return the last lines of all daemon logs, without the debug lines."""
        texts = []
        for path in sorted(self.logs.iterdir()):
            lines = path.read_text(errors="replace").splitlines()
            texts.append(
                "\n".join([f"== {path.name}", *[x for x in lines if "debug" not in x][-9:]])
            )
        return "\n".join(texts)

    # What users do

    def run(
        self,
        *command: str,
        user: int | None = None,
        seconds: float = _COMMAND_SECONDS,
        **more: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command with the cluster's environment.

        Args:
            command: The program and its arguments.
            user: User id to run it as; by default the user who started the cluster.
            seconds: Time limit in seconds.
            more: Additional environment variables.
        """
        return subprocess.run(
            command,
            env={**self.environment, **more},
            cwd=self.folder / "jobs",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            **({} if user is None else {"user": user, "group": user, "extra_groups": []}),
        )

    def command(self, *command: str, **how: Any) -> str:
        """Run a command that must succeed, and return its output."""
        done = self.run(*command, **how)
        assert done.returncode == 0, f"{shlex.join(command)}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def submit(self, script: str, *options: str, user: int | None = None, **more: str) -> Job:
        """Submit a batch job.

        Args:
            script: Lines of the script, for `sh`.
            options: Options of `sbatch`.
            user: See `run`.
            more: See `run`.
        """
        output = self.folder / "jobs" / secrets.token_hex(4)
        done = subprocess.run(
            ["sbatch", "--parsable", f"--output={output}", *options],
            input=f"#!/bin/sh\n{script}\n",
            env={**self.environment, **more},
            cwd=self.folder / "jobs",
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
            check=False,
            **({} if user is None else {"user": user, "group": user, "extra_groups": []}),
        )
        assert done.returncode == 0, done.stderr
        return self.job(done.stdout.strip().partition(";")[0], output)

    def jobs(self) -> dict[str, str]:
        """Return the last report of each job, by job id.

        All waiting threads share one poll. A task of a job array is also listed under ``ID_INDEX``.
        """
        with self._lock:
            if time.monotonic() > self._looked + _LOOK_SECONDS:
                lines = self.command("scontrol", "show", "job", "-o", "-a").splitlines()
                for line in lines:
                    found = re.match(r"JobId=(\d+)(?: ArrayJobId=(\d+) ArrayTaskId=(\d+))?", line)
                    if found:
                        self._jobs[found[1]] = line
                        if found[3]:
                            self._jobs[f"{found[2]}_{found[3]}"] = line
                self._looked = time.monotonic()
            return self._jobs

    def job(self, job_id: str, output: Path | None = None) -> Job:
        """Return a job that was submitted before."""
        with self._lock:
            self._looked = 0.0
        return Job(self, job_id, output)

    def node_states(self) -> dict[str, str]:
        """Return the state of each node."""
        lines = self.command("sinfo", "-h", "-N", "-o", "%N %T").splitlines()
        return dict(line.split(maxsplit=1) for line in lines)

    def wait_until_idle(self, seconds: float = _START_SECONDS) -> None:
        """Wait until every node is idle: none is drained, and no job is left."""

        def idle() -> bool:
            states = self.node_states()
            return set(states) == set(self.nodes) and set(states.values()) == {"idle"}

        wait_for(
            idle,
            lambda: f"idle nodes: {self.command('scontrol', 'show', 'node', '-o')}\n{self.tail()}",
            seconds,
        )


class Plugin:
    """The Slurm integration, installed for a cluster that is not running yet.

    Attributes:
        folder: Folder of the files that `qrmi-slurm setup` wrote.
        config: The site's `qrmi_config.json`.
        settings: The integration's settings.
        state: Folders of the records: one per node, or one for all nodes.
        accounting: The accounting file.
        log: The log file.

    Args:
        cluster: The cluster.
        mode: One of `MODES`.
        python: The interpreter that Slurm starts.
        own_state: True to give each node its own folder of records, like a separate host.
    """

    def __init__(
        self,
        cluster: Cluster,
        mode: str,
        *,
        python: Path | str = sys.executable,
        own_state: bool = False,
    ) -> None:
        self.cluster = cluster
        self.mode = mode
        self.folder = cluster.folder / "qrmi"
        self.config = self.folder / "qrmi_config.json"
        self.settings = self.folder / "slurm.toml"
        self.accounting = self.folder / "accounting.jsonl"
        self.log = self.folder / "qrmi-slurm.log"
        self._python = python
        self._own_state = own_state
        for folder in (self.folder, cluster.folder / "records"):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o755)

    @property
    def state(self) -> list[Path]:
        names = self.cluster.nodes if self._own_state else ["all"]
        return [self.cluster.folder / "records" / name for name in names]

    def install(self, config: Mapping[str, Any], **settings: str | int | float) -> None:
        """Write the site's configuration, and run `qrmi-slurm setup`.

        Args:
            config: The content of `qrmi_config.json`.
            settings: The integration's settings, without the paths.
        """
        self.write_config(config)
        self.write_settings(**settings)
        if self.mode == "none":
            return
        self.program("setup", "--folder", str(self.folder))
        if self.mode in ("shim", "both"):
            self.program("build-shim", "--output", str(self.folder / "spank_qrmi.so"))
        shutil.copy(self.folder / "job_submit.lua", self.cluster.folder / "etc")
        if self._own_state:
            self._split()

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write `qrmi_config.json`, readable only by the user who runs the daemons."""
        with open(self.config, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            json.dump(config, file, indent=2)

    def write_settings(self, **settings: str | int | float) -> None:
        """Write the integration's settings."""
        for path, state in zip(self._settings_files(), self.state, strict=True):
            values: dict[str, str | int | float] = {
                "config": str(self.config),
                "state": str(state),
                "accounting": str(self.accounting),
                "log": str(self.log),
                "log_level": "debug",
                "slurm_bin": str(Path(_program("scontrol")).parent),
                **settings,
            }
            path.write_text("".join(f"{k} = {json.dumps(v)}\n" for k, v in values.items()))

    def _settings_files(self) -> list[Path]:
        if self._own_state:
            return [self.folder / f"{node}.toml" for node in self.cluster.nodes]
        return [self.settings]

    def _split(self) -> None:
        """Make the scripts read the settings of their own node, as separate hosts would."""
        for name in ("prolog", "task-prolog", "epilog", "qrmi-slurm"):
            path = self.folder / name
            text = path.read_text()
            first = str(self._settings_files()[0])
            assert first in text
            node = f'{self.folder}/"$SLURMD_NODENAME".toml'
            path.write_text(text.replace(first, node))

    def lines(self) -> tuple[list[str], list[str]]:
        """Return the lines for slurm.conf and plugstack.conf, as in the samples."""
        if self.mode == "none":
            return [], []
        lines = _sample(self.folder / "slurm.conf.sample")
        if self.mode == "shim":
            lines = [x for x in lines if not x.startswith(("Prolog=", "TaskProlog=", "Epilog="))]
        shim = self.mode in ("shim", "both")
        return lines, _sample(self.folder / "plugstack.conf.sample") if shim else []

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `qrmi-slurm` like an administrator."""
        command = [str(self._python), "-I", "-m", "qrmi_slurm", "--settings"]
        return self.cluster.run(*command, str(self._settings_files()[0]), *arguments)

    def program(self, *arguments: str) -> str:
        """Run `qrmi-slurm`, which must succeed, and return its output."""
        done = self.run(*arguments)
        assert done.returncode == 0, f"qrmi-slurm {arguments[0]}: {done.stdout}{done.stderr}"
        return done.stdout


def _sample(path: Path) -> list[str]:
    lines = path.read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def field(line: str, name: str) -> str:
    """Return a value from a line of `scontrol -o`."""
    found = re.search(rf"(?:^| ){re.escape(name)}=(.*?)(?= [A-Z][A-Za-z0-9:/_]*=|$)", line)
    assert found, f"no {name} in {line}"
    return found[1]


def _program(name: str) -> str:
    found = shutil.which(name, path=_PATH)
    assert found, missing()
    return found


def _free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


# --- the script -----------------------------------------------------------------------------------


def _up(folder: Path, nodes: int, mode: str) -> None:
    """Start a cluster in a background process, and return when it accepts jobs."""
    if problem := missing(mode):
        sys.exit(problem)
    if folder.exists() and any(folder.iterdir()):
        sys.exit(f"{folder} is not empty; name a folder that is not there")
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    ready, told = os.pipe()
    if os.fork():
        os.close(told)
        with os.fdopen(ready) as stream:
            answer = stream.read()
        if answer != "up":
            sys.exit(answer or f"the cluster does not start: {folder}/cluster.log")
        return
    os.setsid()
    os.close(ready)
    log = os.open(folder / "cluster.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with os.fdopen(told, "w") as stream:
        try:
            with _site(folder, nodes, mode):
                (folder / "pid").write_text(str(os.getpid()))
                stream.write("up")
                stream.close()
                stop.wait()
        except Exception as error:
            if not stream.closed:
                stream.write(str(error))
            raise
        finally:
            (folder / "pid").unlink(missing_ok=True)


@contextlib.contextmanager
def _site(folder: Path, nodes: int, mode: str) -> Iterator[None]:
    from qrmi_emulator import Emulator

    with contextlib.ExitStack() as stack:
        cluster = stack.enter_context(Cluster(folder, nodes=nodes, debug="info"))
        emulator = stack.enter_context(
            Emulator(state=folder / "emulator", munge_socket=str(cluster.munge_socket))
        )
        others = [("ibm-quantum-compute-service", "fake_marrakesh")]
        plugin = Plugin(cluster, mode)
        plugin.install(emulator.config(others))
        path = cluster.environment["PATH"]
        (folder / "environment").write_text(
            f"export SLURM_CONF={shlex.quote(cluster.environment['SLURM_CONF'])}\n"
            f"export PATH={shlex.quote(f'{Path(sys.executable).parent}:{path}')}\n"
        )
        cluster.start(*plugin.lines())
        yield


def _down(folder: Path) -> None:
    """Stop the cluster, but keep its logs and accounting."""
    try:
        pid = int((folder / "pid").read_text())
        os.kill(pid, signal.SIGTERM)
    except (OSError, ValueError):
        sys.exit(f"no cluster runs in {folder}")
    wait_for(lambda: not Path("/proc", str(pid)).exists(), f"the end of process {pid}", 60)


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    up = verbs.add_parser("up", help="start a cluster with an emulator's QPUs")
    up.add_argument("--nodes", type=int, choices=(1, 2), default=1)
    up.add_argument("--mode", choices=MODES, default="scripts", help="how jobs get their QPUs")
    down = verbs.add_parser("down", help="stop it")
    for verb in (up, down):
        verb.add_argument("folder", type=Path, metavar="DIR")
    given = parser.parse_args()
    folder = given.folder.absolute()
    if given.verb == "up":
        _up(folder, given.nodes, given.mode)
    else:
        _down(folder)


if __name__ == "__main__":
    main()
