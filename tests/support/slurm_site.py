"""A site with `qrmi-slurm` in a folder: its files, a vendor, and fakes of Slurm's commands."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

# Import once here what the verbs import, instead of once in each process.
from qrmi_slurm import cli, epilog, prolog, sweep, task_prolog  # noqa: F401
from support.filed_vendor import FiledVendor
from support.forked import Ended, Forked

KEY = "key-of-the-site-0815"

_COMMAND = """#!/bin/sh
echo "$(basename "$0") $*" >> "{folder}/called"
if [ -e "{folder}/$(basename "$0").fails" ]; then
    cat "{folder}/$(basename "$0").fails" >&2; exit 1
fi
[ ! -e "{folder}/$(basename "$0").hangs" ] || exec sleep 30
cat "{folder}/$(basename "$0").says" 2> /dev/null
exit 0
"""


class SlurmSite:
    """A site in a folder.

    Args:
        folder: Folder of the site, created here.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.config = folder / "qrmi_config.json"
        self.accounting = folder / "log/accounting.jsonl"
        self.log = folder / "log/qrmi-slurm.log"
        self.settings = folder / "slurm.toml"
        self.bin = folder / "bin"
        self.vendor = FiledVendor(folder / "vendor")
        self.bin.mkdir()
        for name in ("scontrol", "squeue", "scancel"):
            (self.bin / name).write_text(_COMMAND.format(folder=folder))
            (self.bin / name).chmod(0o755)
        self.configure()
        self.resources(self.entry("qpu_a"), self.entry("qpu_b"))

    def configure(self, **more: object) -> None:
        """Write the settings."""
        values: dict[str, object] = {
            "config": str(self.config),
            "state": str(self.state),
            "accounting": str(self.accounting),
            "log": str(self.log),
            "log_level": "debug",
            "slurm_bin": str(self.bin),
            "acquire_timeout_seconds": 1,
            "prolog_limit_seconds": 20,
            "epilog_limit_seconds": 10,
            **more,
        }
        lines = (f"{key} = {json.dumps(value)}" for key, value in values.items())
        self.settings.write_text("\n".join(lines) + "\n")

    def entry(self, name: str, **more: Any) -> dict[str, Any]:
        """Return an entry of the configuration."""
        environment = {
            "QRMI_FILED_TEST_FOLDER": str(self.vendor.folder),
            "QRMI_FILED_TEST_APIKEY": KEY,
            **more.pop("environment", {}),
        }
        return {"name": name, "type": "filed", "environment": environment, **more}

    def resources(self, *entries: dict[str, Any]) -> None:
        """Write the configuration."""
        self.config.write_text(json.dumps({"resources": entries}))
        self.config.chmod(0o600)

    def says(self, command: str, text: str) -> None:
        """Set the output of one of Slurm's commands."""
        (self.folder / f"{command}.says").write_text(text)

    def jobs(self, *lines: tuple[int, str, int]) -> None:
        """Set Slurm's jobs: id, state and number of requeues."""
        self.says("squeue", "".join(f"{job} {state} {run}\n" for job, state, run in lines))

    def fails(self, command: str, text: str) -> None:
        """Make one of Slurm's commands fail."""
        (self.folder / f"{command}.fails").write_text(text)

    def called(self, command: str) -> list[str]:
        """Return the arguments of each call of a command."""
        file = self.folder / "called"
        lines = file.read_text().splitlines() if file.exists() else []
        return [line.partition(" ")[2] for line in lines if line.partition(" ")[0] == command]

    def environment(self, comment: str = "", **more: str) -> dict[str, str]:
        """Return the variables that Slurm sets for a prolog or epilog."""
        return {
            "SLURM_JOB_ID": "71",
            "SLURM_JOB_RESTART_COUNT": "0",
            "SLURM_JOB_UID": str(os.getuid()),
            "SLURM_JOB_GID": str(os.getgid()),
            "SLURM_JOB_USER": "ada",
            "SLURM_CLUSTER_NAME": "qtest",
            "SLURM_NODELIST": "n[1-2]",
            "SLURMD_NODENAME": "n1",
            "SLURM_JOB_COMMENT": comment,
            **more,
        }

    def start(
        self,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        before: Callable[[], object] | None = None,
    ) -> Forked:
        """Start a verb in a child process.

        Args:
            arguments: Arguments of the command line.
            environment: Environment of the process.
            before: Called first in that process.
        """

        def function() -> int:
            if before:
                before()
            return cli.main(["--settings", str(self.settings), *arguments])

        found = self.environment() if environment is None else environment
        return Forked(function, self.folder / "out", found)

    def run(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Ended:
        """Run a verb to its end."""
        return self.start(*arguments, environment=environment).wait()

    def prolog(self, comment: str = "", **more: str) -> Ended:
        """Run the prolog of a job with this comment, as the SPANK plugin does."""
        return self.run("prolog", "--spank", environment=self.environment(comment, **more))

    def epilog(self, **more: str) -> Ended:
        """Run the epilog of a job."""
        return self.run("epilog", environment=self.environment(**more))

    def task(self, **more: str) -> tuple[int, dict[str, str], list[str]]:
        """Run the task prolog, and return its status, the variables it sets and its other output.

        It runs as from the SPANK plugin, which sets secrets as variables.
        """
        environment = {
            "SLURM_JOB_ID": "71",
            "SLURM_JOB_NODELIST": "n[1-2]",
            "SLURMD_NODENAME": "n1",
            **more,
        }
        ended = self.run("task-prolog", "--spank", environment=environment)
        assert ended.errors == ""
        lines = [line for line in ended.output.splitlines() if not line.startswith("unset ")]
        exported = (line.removeprefix("export ") for line in lines if line.startswith("export "))
        printed = [line.removeprefix("print ") for line in lines if line.startswith("print ")]
        variables = dict(line.split("=", 1) for line in exported)
        assert len(variables) + len(printed) == len(lines)
        return ended.status, variables, printed

    def accounts(self) -> list[dict[str, Any]]:
        """Return the lines of the accounting file."""
        if not self.accounting.exists():
            return []
        return [json.loads(line) for line in self.accounting.read_text().splitlines()]

    def records(self) -> list[str]:
        """Return the names in the folder of records."""
        return sorted(os.listdir(self.state)) if self.state.exists() else []
