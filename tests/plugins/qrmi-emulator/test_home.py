"""The emulator of users whose home folder is missing or cannot be used, and behind a proxy."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from qrmi_core import QuantumResource
from qrmi_emulator import Emulator
from support.accounts import as_stranger, needs_root, strangers_folder
from support.munged import MISSING
from support.socket_server import SocketServer, answer

QRMI = Path(sys.executable).with_name("qrmi")

PULSES = """
import pulser
from qrmi_core import Payload, QuantumResource
from qrmi_emulator import Emulator

sequence = pulser.Sequence(pulser.Register({"a": (0, 0)}), pulser.MockDevice)
sequence.declare_channel("g", "rydberg_global")
sequence.add(pulser.Pulse.ConstantPulse(500, 6.283, 0, 0), "g")
payload = Payload.PasqalCloud(sequence=sequence.to_abstract_repr(), job_runs=10)
with Emulator(["pasqal-cloud"]) as emulator:
    settings = emulator.settings_for("pasqal-cloud")
    task = QuantumResource("EMU_FREE", "pasqal-cloud", config=settings).run(payload)
    print(task.result(timeout=60).value)
"""


@pytest.fixture
def own() -> Iterator[Path]:
    """Give a folder of the user without a passwd entry."""
    with strangers_folder() as folder:
        yield folder


@needs_root
@pytest.mark.parametrize(
    "arguments", [("serve",), ("info",), ("clear",), ("resource", "ibm_x", "online")]
)
@pytest.mark.parametrize("environment", [{}, {"HOME": ""}, {"XDG_STATE_HOME": "relative"}])
def test_a_user_without_a_home_folder_is_told_to_name_one(
    arguments: tuple[str, ...], environment: dict[str, str]
) -> None:
    ended = as_stranger(QRMI, "emulator", *arguments, environment=environment)
    assert ended.returncode == 2
    assert ended.stderr == (
        "qrmi: error: user id 54321 has no home folder: set HOME to the absolute path of one, "
        "or give --state a folder of yours\n"
    )


@needs_root
@pytest.mark.parametrize("home", ["/root", "/etc/passwd"])
def test_a_home_folder_that_cannot_be_written_is_a_wrong_setting(home: str) -> None:
    ended = as_stranger(QRMI, "emulator", "serve", environment={"HOME": home})
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"qrmi: error: {home}")
    assert ended.stderr.endswith("; give --state a folder of yours\n")
    assert ended.stderr.count("\n") == 1


@needs_root
def test_a_user_without_a_home_folder_can_name_a_state(own: Path) -> None:
    ended = as_stranger(QRMI, "emulator", "info", "--state", own, environment={})
    assert ended.returncode == 5
    assert f"no emulator runs with {own}" in ended.stderr


@pytest.mark.slow
@needs_root
def test_pulses_run_without_a_home_folder(own: Path) -> None:
    ended = as_stranger(sys.executable, "-c", PULSES, environment={"TMPDIR": str(own)})
    assert '{"1":10}' in ended.stdout.replace(" ", ""), ended.stderr


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_clients_do_not_ask_a_proxy_for_the_emulator(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for no_proxy in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(no_proxy, raising=False)
    with SocketServer([answer(403)]) as proxy, Emulator() as emulator:
        monkeypatch.setenv(name, proxy.url)
        for entry in emulator.config()["resources"]:
            if entry["type"] == "pasqal-local" and MISSING:
                continue  # its requests need a credential of MUNGE
            qpu = QuantumResource(entry["name"], entry["type"], config=entry["environment"])
            assert qpu.is_accessible(), entry["type"]
        assert emulator.info()
        assert not proxy.requests
