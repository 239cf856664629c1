"""The self-test, with scripts that print canned output as Slurm's commands."""

from __future__ import annotations

import getpass
import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from qrmi_slurm import check, cli, records
from qrmi_slurm.check.finding import Finding
from qrmi_slurm.job import Job
from qrmi_slurm.log import Secrets
from qrmi_slurm.records import Acquisition, Folder, Record

WRAPPER = """#!/bin/sh
exec "{python}" -I -m qrmi_slurm --settings "{settings}" {verb} "$@"
"""
HOOK = WRAPPER.replace("exec ", "/usr/bin/setsid ")
SLURM = """#!/bin/sh
answer="{folder}/answers/$(basename "$0").$(echo "$*" | cut -d' ' -f1,2 | tr ' ' .)"
[ -f "$answer" ] || {{ echo "no such thing: $*" >&2; exit 1; }}
cat "$answer"
"""
ME = f"{getpass.getuser()}({os.geteuid()})"
SECRET = "the-key-of-the-site"


class Bench:
    """A healthy node, until a test changes something.

    Attributes:
        folder: Folder of all files.
        conf: Output of `scontrol show config`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("bin", "answers", "hooks", "log", "etc"):
            (folder / name).mkdir()
        self.settings = folder / "slurm.toml"
        self.set()
        self.write("qrmi_config.json", "", 0o600)
        self.configure({"name": "aer", "type": "local", "environment": {}})
        for verb in ("prolog", "task-prolog", "epilog", "qrmi-slurm"):
            text = (HOOK if verb in ("prolog", "epilog") else WRAPPER).format(
                python=sys.executable, settings=self.settings, verb=verb
            )
            self.write(f"hooks/{verb}", text, 0o755)
        for name in ("scontrol", "squeue", "srun"):
            self.write(f"bin/{name}", SLURM.format(folder=folder), 0o755)
        self.conf = {
            "SLURM_VERSION": "22.05.8",
            "SlurmdUser": ME,
            "PrologFlags": "Alloc",
            "Prolog": str(folder / "hooks/prolog"),
            "TaskProlog": str(folder / "hooks/task-prolog"),
            "Epilog": str(folder / "hooks/epilog"),
            "PrEpPlugins": "prep/script",
            "PrologEpilogTimeout": "65534",
            "BatchStartTimeout": "135 sec",
            "UnkillableStepTimeout": "60 sec",
            "JobRequeue": "1",
            "JobSubmitPlugins": "lua",
            "GresTypes": "qpu",
            "SLURM_CONF": str(folder / "etc/slurm.conf"),
            "PluginDir": str(folder / "plugins"),
            "PlugStackConfig": str(folder / "etc/plugstack.conf"),
        }
        self.answer("scontrol.show.licenses", "LicenseName=aer Total=1 Used=0 Free=1 Remote=no\n")
        self.answer(
            "scontrol.show.node", "NodeName=n1 Arch=x SlurmdStartTime=2999-01-01T00:00:00\n"
        )
        self.answer("squeue.--noheader.--all", "")
        self.answer("srun.--help", "--qpu=NAMES\n")

    def write(self, name: str, text: str, mode: int = 0o644) -> Path:
        path = self.folder / name
        path.write_text(text)
        path.chmod(mode)
        return path

    def set(self, **values: object) -> None:
        """Change settings of the integration."""
        usual = {
            "config": f"{self.folder}/qrmi_config.json",
            "state": f"{self.folder}/state",
            "accounting": f"{self.folder}/log/accounting.jsonl",
            "log": f"{self.folder}/log/qrmi-slurm.log",
            "slurm_bin": f"{self.folder}/bin",
        }
        lines = [f"{key} = {json.dumps(value)}" for key, value in (usual | values).items()]
        self.write("slurm.toml", "\n".join(lines))

    def configure(self, *entries: dict[str, Any]) -> None:
        (self.folder / "qrmi_config.json").write_text(json.dumps({"resources": entries}))

    def answer(self, command: str, text: str) -> None:
        self.write(f"answers/{command}", text)

    def shim(self, *lines: str) -> None:
        """Use the shim instead of the scripts."""
        for name in ("Prolog", "TaskProlog", "Epilog"):
            self.conf[name] = "(null)"
        (self.folder / "plugins").mkdir(exist_ok=True)
        self.write("plugins/spank_qrmi.so", "")
        line = f"required spank_qrmi.so {self.folder}/hooks/qrmi-slurm"
        self.write("etc/plugstack.conf", "\n".join(lines or [line]))

    def record(self, job_id: int, **acquisition: Any) -> None:
        """Write a record of a job."""
        state = str(self.folder / "state")
        records.prepare(state)
        job = Job(job_id, 0, os.geteuid(), os.getegid(), getpass.getuser(), "cluster", "n1")
        acquired = Acquisition("aer", "aer", "local", records.HELD, records.now(), "token")
        for name, value in acquisition.items():
            setattr(acquired, name, value)
        with records.locked(state, job_id, 0, seconds=1, create=True) as folder:
            assert folder
            folder.write(Record(job, [acquired]))

    def start(self) -> None:
        """Let `scontrol` print the configuration."""
        lines = [f"{name} = {value}" for name, value in self.conf.items()]
        text = "\n".join(["Configuration data as of now", *lines, "", "Slurmctld(primary) is UP"])
        self.answer("scontrol.show.config", text)

    def check(self, *arguments: str) -> tuple[int, list[str]]:
        """Return the exit status and the output lines of the command."""
        self.start()
        done = subprocess.run(
            [
                *(sys.executable, "-I", "-m", "qrmi_slurm"),
                *("--settings", self.settings, "check", *arguments),
            ],
            env={"PATH": os.defpath, "HOME": str(self.folder), "SECRET_OF_THE_USER": "x"},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.stderr == ""
        assert SECRET not in done.stdout
        return done.returncode, done.stdout.splitlines()

    def found(self) -> list[Finding]:
        """Return the findings of a check in this process, without the status of resources."""
        self.start()
        return list(check.look(str(self.settings), Secrets(), offline=True))

    def wrong(self) -> list[str]:
        """Return warnings and errors, except those about this machine's Python and systemd."""
        lines = [str(finding) for finding in self.found() if finding.mark != "ok"]
        return [line for line in lines if not line.startswith(_OF_THE_MACHINE)]


_OF_THE_MACHINE = (
    "warning sweep: this machine was not started by systemd",
    "warning sweep: qrmi-slurm-sweep.timer",
    "error   Python: task-prolog, which runs as the job's user, cannot pass",
)


@pytest.fixture
def bench() -> Iterator[Bench]:
    # The folder must be open to every user, unlike pytest's own folders.
    with tempfile.TemporaryDirectory(prefix="qrmi-slurm-") as folder:
        os.chmod(folder, 0o755)
        yield Bench(Path(folder).resolve())


def test_where_all_is_well_every_finding_is_ok(bench: Bench) -> None:
    status, lines = bench.check("--offline")
    assert bench.wrong() == []
    assert any(line.startswith("ok      versions: Python 3.") for line in lines)
    for words in (
        "ok      plugins: ",
        "ok      versions: Slurm 22.05.8",
        "ok      slurm.conf: PrologFlags Alloc: tasks wait for the prolog",
        f"ok      Prolog {bench.folder}/hooks/prolog: runs prolog",
        f"ok      TaskProlog {bench.folder}/hooks/task-prolog: runs task-prolog",
        "ok      slurm.conf: licence aer, for 1 at a time",
        "ok      plugstack: the shim is not in use",
        f"ok      permissions: {bench.folder}/qrmi_config.json is -rw-------",
        "ok      configuration: aer, local",
        "ok      sweep: ended jobs have left nothing; jobs that have QPUs now: 0",
    ):
        assert any(line.startswith(words) for line in lines), words
    assert status in (0, 1)  # depends on where Python is installed on this machine
    assert lines[-1].endswith("warnings")


def test_the_status_and_the_json_tell_of_errors(bench: Bench) -> None:
    bench.conf["PrologFlags"] = "(null)"
    status, lines = bench.check("--offline", "--json")
    told = json.loads("\n".join(lines))
    assert status == 1
    assert told["errors"] >= 1
    (finding,) = [one for one in told["findings"] if "PrologFlags" in one["message"]]
    assert finding["mark"] == "error"
    assert finding["about"] == "slurm.conf"
    assert finding["remedy"] == "add PrologFlags=Alloc, and restart slurmctld and the slurmds"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PrologFlags", "Alloc,NoHold", "error   slurm.conf: with PrologFlags=NoHold tasks start"),
        ("Prolog", "(null)", "error   slurm.conf: Prolog is not set, and not the script"),
        ("Epilog", "/bin/true", "error   slurm.conf: Epilog is /bin/true, and not the script"),
        ("TaskProlog", "/nowhere/x", "error   TaskProlog /nowhere/x: cannot be read: No such file"),
        ("PrologEpilogTimeout", "100", "error   slurm.conf: PrologEpilogTimeout 100 s: a prolog"),
        ("BatchStartTimeout", "10 sec", "warning slurm.conf: BatchStartTimeout 10 s: a batch job"),
        ("JobSubmitPlugins", "(null)", "warning slurm.conf: without JobSubmitPlugins=lua"),
        ("PrEpPlugins", "prep/other", "error   slurm.conf: PrEpPlugins is prep/other"),
        ("SLURM_VERSION", "23.11.4", "warning versions: Slurm 23.11.4 is newer than 22.05.8"),
        ("SLURM_VERSION", "21.08.8-2", "warning versions: Slurm 21.08.8-2 is older than 22.05.8"),
        ("SlurmdUser", "other(54321)", "error   permissions: this runs as user"),
        (
            "SlurmdDebug",
            "debug2",
            "warning slurm.conf: with SlurmdDebug=debug2 slurmd logs the acq",
        ),
    ],
)
def test_a_line_of_slurm_conf_that_is_wrong_is_told_with_what_to_do(
    bench: Bench, name: str, value: str, words: str
) -> None:
    bench.conf[name] = value
    (line,) = [line for line in bench.wrong() if line.startswith(words)]
    assert "; " in line


def test_who_is_not_the_user_of_slurmd_gets_no_advice_from_what_that_one_sees(
    bench: Bench,
) -> None:
    (bench.folder / "state").mkdir(mode=0o777)
    bench.conf["SlurmdUser"] = "other(54321)"
    assert not [line for line in bench.wrong() if "state" in line]


def test_hooks_of_a_later_slurm_are_numbered_and_may_be_patterns(bench: Bench) -> None:
    bench.write("hooks/prolog.d.10", "#!/bin/sh\n", 0o755)
    del bench.conf["Prolog"], bench.conf["Epilog"]
    bench.conf["Prolog[0]"] = f"{bench.folder}/hooks/prolog*"
    bench.conf["Epilog[0]"] = "/bin/true"
    bench.conf["Epilog[1]"] = f"{bench.folder}/hooks/epilog"
    assert bench.wrong() == []


def test_a_script_of_the_site_that_calls_ours_will_do(bench: Bench) -> None:
    script = bench.write("etc/prolog", "#!/bin/sh\n/etc/qrmi/slurm/prolog\n", 0o755)
    bench.conf["Prolog"] = str(script)
    assert bench.wrong() == []


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        (HOOK, 0o644, "is not executable; chmod 755"),
        (
            "#!/usr/bin/env python3\n# qrmi\n",
            0o755,
            "has no absolute interpreter, but /usr/bin/env",
        ),
        ("#!python3\n# qrmi\n", 0o755, "has no absolute interpreter, but python3"),
        (
            "#!/opt/nothing/python\n# qrmi\n",
            0o755,
            "its interpreter /opt/nothing/python does not exist",
        ),
        ("exec qrmi\n", 0o755, "its first line names no interpreter after #!"),
        (HOOK, 0o777, "others may write to"),
        (HOOK.replace("-I ", ""), 0o755, "starts Python without -I"),
        (HOOK.replace("{python}", "/opt/x/python"), 0o755, "runs /opt/x/python, and this check"),
        (HOOK.replace("{settings}", "/etc/x.toml"), 0o755, "reads /etc/x.toml, and this check"),
    ],
)
def test_a_hook_that_cannot_do_its_work_is_told(
    bench: Bench, text: str, mode: int, words: str
) -> None:
    if "{verb}" in text:
        text = text.format(python=sys.executable, settings=bench.settings, verb="prolog")
    path = bench.write("hooks/prolog", text, mode)
    (line,) = bench.wrong()
    assert line.split(None, 1)[1].startswith(f"Prolog {path}: ")
    assert words in line


def test_a_controller_that_does_not_answer_is_one_error(bench: Bench) -> None:
    (bench.folder / "bin/scontrol").write_text("#!/bin/sh\necho down >&2\nexit 1\n")
    (line,) = bench.wrong()
    assert line.startswith("error   Slurm: the controller does not send its configuration: ")
    assert "scontrol: down" in line


def test_requeueing_needs_jobs_that_are_requeued(bench: Bench) -> None:
    bench.set(when_unavailable="requeue")
    bench.conf["JobRequeue"] = "0"
    (line,) = bench.wrong()
    assert "JobRequeue=0" in line


def test_a_resource_without_a_licence_is_told_with_the_line_to_add(bench: Bench) -> None:
    entries = [{"name": name, "type": "local", "environment": {}} for name in ("aer", "b", "c")]
    bench.configure(*entries)
    (line,) = bench.wrong()
    assert line.startswith("error   slurm.conf: no licence for b, c: each job")
    assert "Licenses=b:1,c:1" in line
    bench.conf["JobSubmitPlugins"] = ""
    assert any(line.startswith("warning slurm.conf: no licence for b, c") for line in bench.wrong())


def test_a_job_submit_script_that_does_not_call_ours_or_is_of_old_is_told(bench: Bench) -> None:
    _, lines = bench.check("--offline")
    missing = f"ok      slurm.conf: JobSubmitPlugins lua; {bench.folder}/etc/job_submit.lua is not"
    assert any(line.startswith(missing) for line in lines)
    script = bench.write("etc/job_submit.lua", "return slurm.SUCCESS\n")
    (line,) = bench.wrong()
    assert line.startswith(f"error   slurm.conf: {script} does not call qrmi.lua")
    bench.write("etc/qrmi.lua", 'local known = { "aer" }\n')
    script.write_text(f'local qrmi = dofile("{bench.folder}/etc/qrmi.lua")\n')
    assert bench.wrong() == []
    bench.write("etc/qrmi.lua", 'local known = { "old", "b" }\n')
    (line,) = bench.wrong()
    assert f"{script} lacks aer and still has b, old; run `qrmi-slurm setup`" in line


ODD = {
    "PrologEpilogTimeout": "soon",
    "BatchStartTimeout": "10 min",
    "UnkillableStepTimeout": "-",
    "SLURM_VERSION": "",
    "SlurmdUser": "",
    "PlugStackConfig": "/nowhere",
    "SLURM_CONF": "",
    "Prolog": "/",
}


@pytest.mark.parametrize("name", ODD)
def test_a_configuration_that_is_not_understood_ends_no_check(bench: Bench, name: str) -> None:
    bench.conf[name] = ODD[name]
    assert bench.found()[-1].about == "sweep"


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"#!", b"#!\n", b"#! \nqrmi", b"#!\xff\xfe\nqrmi", b"\x7fELF"),
        b"#!/bin/sh\nexec '/opt/python -m qrmi_slurm prolog\n",
        b"#!/bin/sh\nexec -m qrmi_slurm --settings\n",
    ],
)
def test_a_hook_that_is_not_understood_ends_no_check(bench: Bench, text: bytes) -> None:
    (bench.folder / "hooks/prolog").write_bytes(text)
    assert bench.found()[-1].about == "sweep"


def a_folder(path: Path) -> None:
    if path.exists():
        path.unlink()
    path.mkdir()


def a_link_to_itself(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(path.name)


def a_link_to_nothing(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to("nothing")


def no_text(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00" * 9)


PLACES = [
    *("slurm.toml", "qrmi_config.json", "state", "log/accounting.jsonl", "log/qrmi-slurm.log"),
    *("hooks/prolog", "hooks/task-prolog", "bin/scontrol", "etc/plugstack.conf"),
    "etc/job_submit.lua",
]


@pytest.mark.parametrize("how", [a_folder, a_link_to_itself, a_link_to_nothing, no_text])
@pytest.mark.parametrize("name", PLACES)
def test_whatever_is_in_place_of_a_file_ends_no_check(
    bench: Bench, name: str, how: Callable[[Path], None]
) -> None:
    how(bench.folder / name)
    found = bench.found()
    assert found[-1].about == "sweep"
    assert any(finding.about == "Python" for finding in found)


@pytest.mark.parametrize(
    "function",
    [
        *("resources.plugins", "resources.settings", "slurm_conf.version", "slurm_conf.flags"),
        *("slurm_conf.hooks", "slurm_conf.limits", "slurm_conf.licences", "plugstack.shim"),
        *("permissions.settings", "permissions.configuration", "permissions.commands"),
        *("permissions.state", "permissions.outputs", "permissions.python"),
        *("leftovers.left", "leftovers.timer"),
    ],
)
def test_a_check_that_fails_is_a_finding_and_keeps_no_other(
    bench: Bench, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_arguments: object, **_named: object) -> Iterator[Finding]:
        yield from ()
        raise PermissionError(13, "Permission denied", "/somewhere")

    before = bench.found()
    monkeypatch.setattr(f"qrmi_slurm.check.{function}", failing)
    found = bench.found()
    (failed,) = [finding for finding in found if "could not be checked" in finding.message]
    assert failed.mark == "error"
    assert "Permission denied: '/somewhere'" in failed.message
    kept = [finding for finding in found if finding is not failed]
    assert kept == [finding for finding in before if finding in kept]
    assert len(kept) > len(before) / 2


# The shim


def test_the_shim_alone_will_do(bench: Bench) -> None:
    bench.shim()
    assert bench.wrong() == []


def test_it_may_be_in_an_included_file(bench: Bench) -> None:
    bench.shim("# qrmi", "include d/*.conf", "include ../nothing/*")
    (bench.folder / "etc/d").mkdir()
    wrapper = bench.folder / "hooks/qrmi-slurm"
    bench.write("etc/d/q.conf", f"required {bench.folder}/plugins/spank_qrmi.so {wrapper}  # x\n")
    assert bench.wrong() == []


def test_the_shim_beside_the_scripts_is_a_warning(bench: Bench) -> None:
    scripts = {name: bench.conf[name] for name in ("Prolog", "TaskProlog", "Epilog")}
    bench.shim()
    bench.conf |= scripts
    (line,) = bench.wrong()
    assert "both the shim and Prolog, TaskProlog, Epilog act" in line


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("optional spank_qrmi.so {wrapper}", "the shim is optional in"),
        ("required spank_qrmi.so", "the shim is to start nothing, which cannot be run"),
        ("required spank_qrmi.so /nowhere/x", "the shim is to start /nowhere/x"),
        ("required /nowhere/spank_qrmi.so {wrapper}", "/nowhere/spank_qrmi.so does not exist"),
        (
            "required spank_qrmi.so {wrapper}\nrequired spank_qrmi.so {wrapper}",
            "the shim is loaded 2 times",
        ),
        (
            "required spank_qrmi.so {wrapper}\noptional x/spank_qrmi.so /etc/qrmi_config.json",
            "loads the published plugin",
        ),
    ],
)
def test_a_line_of_plugstack_that_is_wrong_is_told(bench: Bench, line: str, words: str) -> None:
    bench.shim(line.format(wrapper=bench.folder / "hooks/qrmi-slurm"))
    (found,) = bench.wrong()
    assert found.startswith("error   plugstack: ")
    assert words in found


def test_a_shim_of_another_slurm_is_told_in_slurms_words(bench: Bench) -> None:
    bench.shim()
    bench.answer("srun.--help", "no option of that name\n")
    assert "srun --help has no --qpu" in bench.wrong()[0]
    (bench.folder / "answers/srun.--help").unlink()
    (line,) = bench.wrong()
    assert "srun does not load" in line
    assert "qrmi-slurm build-shim" in line


def test_a_slurmd_that_is_older_than_the_shim_is_to_be_restarted(bench: Bench) -> None:
    bench.shim()
    shown = (
        "NodeName=n1 A=b SlurmdStartTime=2001-01-01T00:00:00\nNodeName=n2 SlurmdStartTime=None\n"
    )
    bench.answer("scontrol.show.node", shown)
    (line,) = bench.wrong()
    assert line.startswith("warning plugstack: slurmd of n1 was started before the shim")


# Permissions


def test_a_configuration_that_others_can_read_is_told_without_its_secrets(bench: Bench) -> None:
    entry = {"name": "aer", "type": "local", "environment": {}}
    bench.configure(entry | {"scheduler_environment": {"QRMI_X_TOKEN": SECRET}})
    assert [line.split("; ")[0] for line in bench.wrong()] == [
        "error   configuration: aer: unknown key QRMI_X_TOKEN",
    ]
    (bench.folder / "qrmi_config.json").chmod(0o640)
    assert any(
        line.startswith("error   permissions: others can read") and "QRMI_X_TOKEN of aer" in line
        for line in bench.wrong()
    )


def test_a_file_with_a_secret_of_the_scheduler_that_others_can_read_is_told(bench: Bench) -> None:
    secret = bench.write("seed", "7")
    entry = {"name": "aer", "type": "local", "environment": {}}
    bench.configure(entry | {"scheduler_environment": {"QRMI_LOCAL_SEED_FILE": str(secret)}})
    (line,) = bench.wrong()
    assert line.startswith(
        f"error   permissions: others can read {secret}, the QRMI_LOCAL_SEED_FILE"
    )
    secret.chmod(0o600)
    assert bench.wrong() == []


@pytest.mark.parametrize(
    "name",
    ["state", "log/accounting.jsonl", "log/qrmi-slurm.log", "qrmi_config.json", "slurm.toml"],
)
def test_what_others_can_write_is_told(bench: Bench, name: str) -> None:
    path = bench.folder / name
    if name == "state":
        path.mkdir()
    elif not path.exists():
        path.touch()
    path.chmod(path.stat().st_mode | stat.S_IWOTH)
    lines = [line for line in bench.wrong() if f"others may write to {path}" in line]
    assert len(lines) == 1
    assert f"chmod go-w {path}" in lines[0]


def test_a_folder_of_records_that_others_can_list_is_told(bench: Bench) -> None:
    (bench.folder / "state").mkdir(0o755)
    (line,) = bench.wrong()
    assert line.startswith(f"error   permissions: {bench.folder}/state is drwxr-xr-x; chmod 711")


def test_a_folder_of_records_that_cannot_be_made_is_told(bench: Bench) -> None:
    bench.set(state=f"{bench.folder}/nothing/state")
    (line,) = bench.wrong()
    assert line.startswith(f"error   permissions: {bench.folder}/nothing/state cannot be made")


def test_a_name_with_line_breaks_makes_no_further_lines(bench: Bench) -> None:
    bench.configure({"name": "a\nb", "type": "local", "environment": {}})
    _, lines = bench.check()
    assert [line for line in lines if not line.startswith(("ok ", "warning ", "error "))] == lines[
        -1:
    ]
    assert lines[-1].endswith("warnings")


def test_a_device_is_not_to_be_changed_for_the_log(bench: Bench) -> None:
    bench.set(log="/dev/null")
    assert bench.wrong() == [
        "error   permissions: /dev/null is not a file; name another in slurm.toml"
    ]


def test_outputs_that_are_no_files_and_tokens_that_all_can_read_are_told(bench: Bench) -> None:
    (bench.folder / "log/qrmi-slurm.log").mkdir()
    bench.write("log/accounting.jsonl", "", 0o644)
    tokens, folder = sorted(bench.wrong(), reverse=True)
    assert "log/accounting.jsonl, which contains tokens" in tokens
    assert "log/qrmi-slurm.log is not a file" in folder


@pytest.mark.skipif(os.geteuid() != 0, reason="jobs of other users need root")
def test_what_jobs_of_all_users_read_must_be_open_to_them(bench: Bench) -> None:
    bench.settings.chmod(0o600)
    (line,) = bench.wrong()
    assert line.startswith(
        "error   settings: task-prolog, which runs as the job's user, cannot pass"
    )
    bench.settings.chmod(0o644)
    bench.record(1, state=records.USER)
    bench.answer("squeue.--noheader.--all", "1 RUNNING 0\n")
    bench.folder.chmod(0o700)
    for about, line in zip(("TaskProlog", "settings", "permissions"), bench.wrong(), strict=True):
        assert line.startswith(f"error   {about}")
        assert f"cannot pass {bench.folder}; chmod o+x {bench.folder}" in line


def test_settings_that_are_wrong_are_told(bench: Bench) -> None:
    bench.set(colour="red")
    (line,) = bench.wrong()
    assert line.startswith(f"error   settings: {bench.settings}: the key colour is unknown")


# The resources


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"type": "nobody"}, "error   configuration: aer: no plugin for resource type 'nobody'"),
        ({"environment": {"QRMI_LOCAL_SEEDS": "1"}}, "aer: unknown key QRMI_LOCAL_SEEDS; did you"),
        ({"environment": {"QRMI_LOCAL_HOME": "a\nb"}}, "aer: QRMI_LOCAL_HOME has several lines"),
        ({"type": "pasqal-local"}, "aer: settings: missing QRMI_WARDEN_URL"),
        ({"colour": "red"}, "warning configuration: {path}: aer: the key colour is unknown"),
        ({"environment": {"K": 1}}, "error   configuration: {path} aer: environment: K must be"),
        ({"name": "a b"}, "a b: no job can ask for this name; use letters, digits"),
    ],
)
def test_a_wrong_entry_is_told(bench: Bench, entry: dict[str, Any], words: str) -> None:
    bench.configure({"name": "aer", "type": "local", "environment": {}} | entry)
    words = words.format(path=bench.folder / "qrmi_config.json")
    assert sum(words in line for line in bench.wrong()) == 1


def test_what_prolog_adds_is_not_missing(bench: Bench) -> None:
    given = {"QRMI_WARDEN_URL": "http://127.0.0.1:9"}
    bench.configure({"name": "aer", "type": "pasqal-local", "environment": given})
    assert bench.wrong() == []


def test_keys_that_users_bring_are_no_error(bench: Bench) -> None:
    entry = {"name": "aer", "type": "pasqal-local", "environment": {}, "user_credentials": True}
    bench.configure(entry)
    _, lines = bench.check("--offline")
    assert bench.wrong() == []
    assert (
        "ok      configuration: aer: user_credentials leaves to each user aer_QRMI_WARDEN_URL"
    ) in lines


def test_resources_are_asked_unless_offline(bench: Bench) -> None:
    given = {"QRMI_LOCAL_HOME": f"{bench.folder}/store", "QRMI_LOCAL_IDLE_SECONDS": "1"}
    url = {"QRMI_WARDEN_URL": "http://127.0.0.1:9", "QRMI_HTTP_ATTEMPTS": "1"}
    mine = {"name": "mine", "type": "local", "environment": {}, "user_credentials": True}
    bench.configure(
        {"name": "aer", "type": "local", "environment": given},
        {"name": "any", "type": "local", "environment": given, "is_dynamic": True},
        {"name": "gone", "type": "pasqal-local", "environment": url},
        mine,
    )
    bench.conf["JobSubmitPlugins"] = ""
    _, lines = bench.check("--json")
    found = {
        finding["about"]: (finding["mark"], finding["message"])
        for finding in json.loads("\n".join(lines))["findings"]
        if finding["about"].startswith("resource ")
    }
    assert found["resource aer"] == ("ok", "online")
    assert found["resource any"] == ("ok", "online")
    assert found["resource gone"][0] == "error"
    assert "127.0.0.1" in found["resource gone"][1]
    assert len(found) == 3


# What is left


def test_what_ended_jobs_have_left_is_told(bench: Bench) -> None:
    bench.record(11)
    bench.record(12)
    bench.record(13, failures=2, error="the vendor does not answer")
    bench.answer("squeue.--noheader.--all", "11 RUNNING 0\n12 COMPLETED 0\n13 COMPLETED 0\n")
    ended, failed = sorted(bench.wrong())[::-1]
    assert failed.startswith("warning sweep: aer of job 13.0 could not be released (2 attempts): ")
    assert "the vendor does not answer; " in failed
    assert ended == "warning sweep: ended jobs have left 12.0; run `qrmi-slurm sweep`"
    assert Folder(str(bench.folder / "state"), 12, 0).read() is not None, "nothing was changed"


def test_a_record_that_cannot_be_read_is_told(bench: Bench) -> None:
    bench.record(11)
    (bench.folder / "state/11.0/record.json").write_text("{")
    (line,) = bench.wrong()
    assert line.startswith("error   sweep: the record of 11.0 cannot be read")


def test_a_wrong_option_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["check", "--everything"])
    assert ended.value.code == 2
    assert "--everything" in capsys.readouterr().err
