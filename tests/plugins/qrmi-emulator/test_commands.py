"""The command `qrmi emulator`: serving as a process, and the others in this one."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import attrs
import pytest
import requests

from qrmi_core.cli import main
from qrmi_emulator import Emulator
from qrmi_emulator.faults import JOB_FAULTS, REQUEST_FAULTS
from qrmi_emulator.records import CONDITIONS
from qrmi_emulator.settings import EmulatorSettings

QRMI = Path(sys.executable).with_name("qrmi")
README = Path(__file__).parents[3] / "plugins/qrmi-emulator/README.md"


class Qrmi(Protocol):
    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture
def qrmi(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Qrmi:
    """The command, for a user whose home folder is the test's."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", "")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        capsys.readouterr()
        status = main(["emulator", *arguments])
        return subprocess.CompletedProcess(arguments, status, *capsys.readouterr())

    return run


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """URL and configuration file of a served emulator, whose state is in the default place."""
    config = tmp_path / "qrmi_config.json"
    process = subprocess.Popen(
        [
            *(QRMI, "emulator", "serve", "--vendor", "ibm-runtime", "--config-out", config),
            *("--resource", "qiskit-runtime-service:fake_lagos", "--token-seconds", "60"),
        ],
        env={**os.environ, "HOME": str(tmp_path), "XDG_STATE_HOME": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line.startswith("listening on http://127.0.0.1:"), process.communicate()
        yield line.split()[-1], config
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert errors == ""


@pytest.mark.slow
def test_it_serves_and_lets_faults_happen(served: tuple[str, Path], qrmi: Qrmi) -> None:
    url, config = served
    names = [entry["name"] for entry in json.loads(config.read_text())["resources"]]
    assert names == ["fake_fez", "fake_lagos"]
    done = qrmi(
        *("fault", "status", "--path", "*/versions", "--status", "502"),
        *("--retry-after", "3", "--count", "0"),
    )
    assert done.returncode == 0, done.stderr
    for _ in range(2):
        answer = requests.get(f"{url}/api/v1/versions", timeout=10)
        assert answer.status_code == 502
        assert answer.headers["Retry-After"] == "3"
    assert qrmi("clear").returncode == 0
    assert requests.get(f"{url}/api/v1/versions", timeout=10).status_code == 200
    assert qrmi("change", "plan", "open").returncode == 0
    assert qrmi("change", "seed", "none").returncode == 0
    info = json.loads(qrmi("info").stdout)
    assert info["settings"]["plan"] == "open"
    assert info["settings"]["token_seconds"] == 60
    done = qrmi("resource", "fake_fez", "paused", "--reason", "x", "--queue-length", "7")
    assert done.returncode == 0, done.stderr
    info = json.loads(qrmi("info").stdout)
    paused = {"status": "paused", "reason": "x", "queue_length": 7}
    assert info["resources"] == {"fake_fez": paused}
    for wrong in (
        ("resource", "nowhere", "offline"),
        ("resource", "fake_fez", "asleep"),
        ("change", "plan", "gold"),
        ("fault", "fire"),
        ("fault", "latency", "--delay", "nan"),
        ("fault", "status", "--retry-after", "1\n2"),
        ("change", "token-seconds", "NaN"),
        ("job", "nowhere", "cancel"),
        ("serve",),
    ):
        done = qrmi(*wrong)
        assert done.returncode not in (0, 70)
        assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_the_normal_end_and_a_second_server_waits_for_neither_port_nor_state(
    tmp_path: Path, qrmi: Qrmi, sent: signal.Signals
) -> None:
    process = subprocess.Popen(
        [QRMI, "emulator", "serve", "--state", tmp_path / "one"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    port = process.stdout.readline().strip().rpartition(":")[2]
    same_state = qrmi("serve", "--state", str(tmp_path / "one"))
    assert same_state.returncode == 2
    assert "another emulator uses" in same_state.stderr
    same_port = qrmi("serve", "--state", str(tmp_path / "two"), "--port", port)
    assert same_port.returncode == 2
    assert f"cannot listen on 127.0.0.1, port {port}: Address already in use" in same_port.stderr
    process.send_signal(sent)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")


def test_without_a_server_the_commands_say_so(qrmi: Qrmi) -> None:
    done = qrmi("info")
    assert done.returncode not in (0, 70)
    assert "qrmi emulator serve" in done.stderr


@pytest.mark.slow
def test_an_address_for_others_is_warned_of(qrmi: Qrmi) -> None:
    done = qrmi("serve", "--host", "0.0.0.0", "--resource", "nothing")
    assert done.returncode not in (0, 70)
    assert "warning: 0.0.0.0 can be reached from other machines" in done.stderr
    assert "TYPE:ID" in done.stderr


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--port", "99999", "port is more than 65535"),
        ("--host", "nowhere.invalid", "cannot listen on nowhere.invalid"),
        ("--host", "a..b", "cannot listen on a..b"),
        ("--token-seconds", "nan", "token_seconds is not a finite number"),
    ],
)
def test_what_cannot_be_served_is_a_usage_error(
    qrmi: Qrmi, option: str, value: str, message: str
) -> None:
    done = qrmi("serve", option, value)
    assert done.returncode == 2
    assert f"error: {message}" in done.stderr.splitlines()[-1]


def test_an_unknown_fault_is_told_those_there_are(qrmi: Qrmi) -> None:
    done = qrmi("fault", "nope")
    assert done.returncode == 2
    assert done.stderr == (
        "qrmi: error: there is no fault 'nope'; there are: "
        f"{', '.join(REQUEST_FAULTS | JOB_FAULTS)}\n"
    )


def test_clients_of_every_address_are_pointed_to_the_host(tmp_path: Path) -> None:
    with Emulator(host="0.0.0.0", state=tmp_path / "state") as running:
        environment = running.config()["resources"][0]["environment"]
        assert environment["QRMI_IBM_QCS_IAM_ENDPOINT"] == (
            f"http://{socket.gethostname()}:{running.url.rpartition(':')[2]}"
        )
        assert running.info()["faults"] == []


def test_the_readme_has_all_settings_and_faults() -> None:
    text = README.read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([^`]+)` \| (.+?) \|", text, re.MULTILINE))
    for field in attrs.fields(EmulatorSettings):
        mark = " *" if field.metadata["changeable"] else ""
        assert rows[f"--{field.name.replace('_', '-')}"] == field.metadata["help"] + mark
    for kind, meaning in (REQUEST_FAULTS | JOB_FAULTS | CONDITIONS).items():
        assert rows[kind] == meaning
