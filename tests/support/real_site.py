"""A site with a cluster, the Slurm integration, and the emulator as its vendors."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from qrmi_emulator import Emulator
from support.cluster import Cluster, Job, Plugin, missing

RUNTIME = "ibm-quantum-compute-service"
NOBODY = 65534
_VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
ADMIN_KEY = "an-administrators-key-that-no-job-sees"

# Names of QPUs, one per test, so that no test waits for the licence of another.
USUAL = [
    *("algiers", "almaden", "armonk", "athens", "auckland", "belem", "boeblingen", "bogota"),
    *("brisbane", "brooklyn", "burlington", "cairo", "cambridge", "cusco", "essex", "fez"),
    *("geneva", "guadalupe", "hanoi", "jakarta", "johannesburg", "kawasaki", "kolkata", "kyiv"),
    *("kyoto", "lagos", "lima", "london", "manhattan", "manila", "marrakesh", "melbourne"),
    *("montreal", "mumbai", "nairobi", "osaka", "oslo", "ourense", "paris", "peekskill"),
    *("perth", "poughkeepsie", "prague", "quebec", "quito", "rochester", "rome", "santiago"),
]
REFUSING, SLOW, FLAKY, GHOST, OWN_KEY, LOCAL = (
    "fake_boston",
    "fake_berlin",
    "fake_pittsburgh",
    "ghost",
    "fake_miami",
    "aer",
)


class Site:
    """A site whose cluster accepts jobs with QPUs.

    Attributes:
        folder: Folder of all files.
        cluster: The cluster.
        plugin: The installed integration.
        mode: How jobs get their QPUs: `scripts`, `shim` or `both`.
        vendors: All services.
        vendor: Service of most QPUs.
        refusing: Service that opens no sessions (`REFUSING`).
        slow: Service that takes seconds to open a session (`SLOW`).
        flaky: Service with the faults of one test (`FLAKY`).
        closed_to_others: Reason why other users cannot run jobs; empty if they can.
        config: Content of the site's `qrmi_config.json`.
        local_home: Folder of the resource `LOCAL`.

    Args:
        folder: Folder of all files.
        cluster: The cluster, not yet started.
        plugin: The integration, not yet installed.
        vendors: The services.
    """

    def __init__(
        self, folder: Path, cluster: Cluster, plugin: Plugin, vendors: Sequence[Emulator]
    ) -> None:
        self.folder = folder
        self.cluster = cluster
        self.plugin = plugin
        self.mode = plugin.mode
        self.vendors = vendors
        self.vendor, self.refusing, self.slow, self.flaky = vendors
        self.closed_to_others = ""
        self.config: dict[str, Any] = {}
        self.local_home = folder / "local"
        self._names = iter([f"fake_{name}" for name in USUAL])

    # Asking for QPUs

    def qpu(self) -> str:
        """Return the name of a QPU that no other test uses."""
        return next(self._names)

    def ask(self, *names: str, step: bool = False) -> list[str]:
        """Return the options that ask for QPUs.

        Args:
            names: Names of the QPUs.
            step: True for an `srun` outside of a job.
        """
        if self.mode == "shim":
            return [f"--qpu={','.join(names)}"]
        if step:
            return [f"--licenses={','.join(names)}"]
        return [f"--gres={','.join(f'qpu:{name}' for name in names)}"]

    def held(self, *before: str) -> Held:
        """Return a script that runs the lines `before`, then waits for `Held.go_on`."""
        return Held(self.folder / "go" / secrets.token_hex(4), before)

    # Observing the outcome

    def sessions(self, *names: str) -> list[Any]:
        """Return the sessions of QPUs as their services keep them, oldest first."""
        found = [
            session
            for emulator in self.vendors
            for session in list(emulator.faces[0].state.sessions.values())
            if session.resource in names
        ]
        return sorted(found, key=lambda session: session.created)

    def jobs(self, *names: str) -> list[Any]:
        """Return the jobs that `vendor` received for QPUs."""
        jobs = self.vendor.faces[0].state.jobs.values()
        return [job for job in jobs if job.resource in names]

    def releases(self) -> list[str]:
        """Return the ids of the sessions that requests closed, one id a request."""
        return [
            exchange["path"].split("/")[-2]
            for emulator in self.vendors
            for exchange in emulator.requests()
            if exchange["method"] == "DELETE" and exchange["status"] == 204
        ]

    def assert_released(self, *names: str, times: int = 1) -> list[str]:
        """Assert that QPUs were acquired so often and released as often; return the tokens."""
        done = self.releases()
        tokens = []
        for name in names:
            found = self.sessions(name)
            assert len(found) == times, f"{name}: {len(found)} acquisitions\n{self.log()}"
            for session in found:
                times_released = done.count(session.id)
                assert times_released == 1, (
                    f"{name}: {session.id} released {times_released} times\n{self.log()}"
                )
                assert session.closed is not None
                tokens.append(session.id)
        return tokens

    def assert_ended(self, job: Job, state: str, code: str = "0:0") -> None:
        """Wait for the end of a job, and assert its state and that it left nothing behind."""
        job.wait()
        details = f"{job.output}\n{job.show()}\n{self.log(job.id)}"
        assert (job.state, job.field("ExitCode")) == (state, code), details
        left = [path.name.removeprefix("keys.").partition(".")[0] for path in self.records()]
        assert job.id not in left, details
        self.assert_well()

    def assert_well(self) -> None:
        """Assert that no node is drained."""
        for node, state in self.cluster.node_states().items():
            assert not any(word in state for word in ("drain", "down", "fail")), f"{node}: {state}"

    def log(self, job_id: str = "") -> str:
        """Return the last lines that prolog, epilog and sweep logged, of one job or of all."""
        path = self.plugin.log
        lines = path.read_text().splitlines() if path.exists() else ["no log"]
        found = [line for line in lines if " DEBUG " not in line and f"job {job_id}" in line]
        return "\n".join(found[-20:])

    def accounting(self, job_id: str | None = None) -> list[dict[str, Any]]:
        """Return the entries of the accounting, of one job or of all."""
        path = self.plugin.accounting
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        return [line for line in lines if job_id in (None, str(line["job_id"]))]

    def records(self) -> list[Path]:
        """Return the folders of records that exist."""
        return [path for state in self.plugin.state if state.exists() for path in state.iterdir()]


class Held:
    """Lines of a script that wait until the test lets them go on.

    Attributes:
        script: The lines.

    Args:
        flag: File for whose creation they wait.
        before: Lines of the script in front of the wait.
    """

    def __init__(self, flag: Path, before: Sequence[str]) -> None:
        self._flag = flag
        self.script = "\n".join(
            [*before, "echo here", f"while [ ! -e {flag} ]; do sleep 0.2; done", "echo gone"]
        )

    def go_on(self) -> None:
        """Let the script continue to its end."""
        self._flag.touch()


def variables(output: str) -> dict[str, str]:
    """Return the variables that a job printed with `env`."""
    return dict(line.split("=", 1) for line in output.splitlines() if "=" in line)


def token_of(name: str, output: str) -> str:
    """Return the acquisition token of a QPU that a job printed with `env`."""
    return variables(output)[f"{name}_QRMI_JOB_ACQUISITION_TOKEN"]


def open_python(folder: Path) -> tuple[Path, str]:
    """Create an environment that every user can use, even if the developer's is private.

    It contains a copy of `qrmi_slurm`, which jobs run as their user, and refers to the installed
    packages for everything else.

    Returns:
        The interpreter, and the reason why other users cannot start it; empty if they can.
    """
    own = Path(sys.base_prefix, "bin/python3")
    problem = ""
    if os.geteuid() != 0:
        problem = "only root starts jobs of other users"
    else:
        usual = [own, Path("/usr/bin/python3"), Path("/usr/local/bin/python3")]
        own = next((path for path in usual if _starts_for_others(path)), own)
        if not _starts_for_others(own):
            problem = f"there is no Python {_VERSION} that other users can start"
    subprocess.run([own, "-m", "venv", "--without-pip", folder], check=True)
    package, others = find_spec("qrmi_slurm"), find_spec("attrs")
    assert package
    assert package.origin
    assert others
    assert others.origin
    packages = next((folder / "lib").glob("python*")) / "site-packages"
    shutil.copytree(Path(package.origin).parent, packages / "qrmi_slurm")
    installed = str(Path(others.origin).parents[1])
    (packages / "others.pth").write_text(f"import site; site.addsitedir({installed!r})\n")
    return folder / "bin/python", problem


def _starts_for_others(python: Path) -> bool:
    try:
        done = subprocess.run(
            [python, "-I", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return False
    return done.stdout.strip() == _VERSION


@contextlib.contextmanager
def started(mode: str, *, nodes: int = 2, own_state: bool = False) -> Iterator[Site]:
    """Run a site until the block ends; skip the test if Slurm is not installed.

    Args:
        mode: How jobs get their QPUs: `scripts`, `shim` or `both`.
        nodes: Number of nodes.
        own_state: True if each node has a folder of records of its own.
    """
    if problem := missing(mode):
        pytest.skip(problem)
    with contextlib.ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(prefix="qrmi-slurm-"))
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "go").mkdir()
        cluster = stack.enter_context(Cluster(folder, nodes=nodes))
        vendors = [
            stack.enter_context(
                Emulator(faces, munge_socket=str(cluster.munge_socket), warden_admin=os.geteuid())
            )
            for faces in (["ibm-runtime", "ibm-da", "pasqal-local"], *[["ibm-runtime"]] * 3)
        ]
        python, problem = open_python(folder / "python")
        plugin = Plugin(cluster, mode, python=python, own_state=own_state)
        site = Site(folder, cluster, plugin, vendors)
        site.closed_to_others = problem
        site.refusing.fault("status", path="*/sessions", method="POST", status=403, count=None)
        site.slow.fault("latency", path="*/sessions", method="POST", delay=2.0)
        site.config = _config(site)
        ghost = {"name": GHOST, "type": RUNTIME, "environment": {}}
        plugin.install(
            {"resources": [*site.config["resources"], ghost]},
            acquire_timeout_seconds=5,
            prolog_limit_seconds=30,
            epilog_limit_seconds=10,
        )
        # Slurm still counts the ghost's licence, as if the QPU had just been removed from the file.
        plugin.write_config(site.config)
        lines, plugstack = plugin.lines()
        cluster.start([*lines, "UnkillableStepTimeout=5"], plugstack)
        yield site


def _config(site: Site) -> dict[str, Any]:
    named = [(RUNTIME, f"fake_{name}") for name in USUAL]
    entries = site.vendor.config(named)["resources"]
    for emulator, name in ((site.refusing, REFUSING), (site.slow, SLOW), (site.flaky, FLAKY)):
        entries.append(
            {"name": name, "type": RUNTIME, "environment": emulator.settings_for(RUNTIME)}
        )
    own = {**site.vendor.settings_for(RUNTIME), "QRMI_IBM_QCS_IAM_APIKEY": ADMIN_KEY}
    entries.append({"name": OWN_KEY, "type": RUNTIME, "environment": own, "user_credentials": True})
    entries.append(
        {
            "name": LOCAL,
            "type": "local",
            "environment": {"QRMI_LOCAL_HOME": str(site.local_home)},
            "scheduler_environment": {"QRMI_LOCAL_LEASE_SECONDS": "600"},
        }
    )
    return {"resources": entries}
