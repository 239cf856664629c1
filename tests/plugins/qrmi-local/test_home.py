"""Local resources of users whose home folder is missing or cannot be used."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qrmi_core import ConfigError, QuantumResource
from qrmi_local.pool import _home
from qrmi_local.settings import LocalSettings
from qrmi_local.store import TaskStore
from support.accounts import STRANGER, as_stranger, needs_root, strangers_folder
from support.resources import driver_of

PULSES = """
import pulser
from qrmi_core import Payload, QuantumResource

sequence = pulser.Sequence(pulser.Register({"a": (0, 0)}), pulser.MockDevice)
sequence.declare_channel("g", "rydberg_global")
sequence.add(pulser.Pulse.ConstantPulse(500, 6.283, 0, 0), "g")
payload = Payload.PasqalCloud(sequence=sequence.to_abstract_repr(), job_runs=10)
print(QuantumResource("EMU_FREE", "local").run(payload).result(timeout=60).value)
"""


def status(home: Path) -> object:
    config = {"QRMI_LOCAL_HOME": str(home)}
    return QuantumResource("aer", "local", config, driver_class=driver_of("local")).status()


@pytest.fixture
def own() -> Iterator[Path]:
    """Give a folder of the user without a passwd entry."""
    with strangers_folder() as folder:
        yield folder


@pytest.mark.slow
@needs_root
@pytest.mark.parametrize("home", [None, "/root", "/etc/passwd"])
def test_a_pulse_task_needs_no_home_folder_but_that_of_the_store(
    own: Path, home: str | None
) -> None:
    environment = {"QRMI_LOCAL_HOME": f"{own}/store", "QRMI_LOCAL_IDLE_SECONDS": "1"}
    if home is not None:
        environment["HOME"] = home
    ended = as_stranger(sys.executable, "-c", PULSES, environment=environment)
    assert ended.stdout == '{"counter":{"1":10}}\n', ended.stderr
    assert [path.name for path in own.iterdir()] == ["store"]
    assert (own / "store/home").stat().st_mode & 0o777 == 0o700


@needs_root
@pytest.mark.parametrize(
    "environment",
    [{}, {"HOME": ""}, {"HOME": "relative"}, {"HOME": "/root"}, {"XDG_STATE_HOME": "/root/x"}],
)
@pytest.mark.parametrize("arguments", [("status", "local:aer"), ("local", "prune")])
def test_a_command_that_needs_a_store_says_how_to_name_one(
    environment: dict[str, str], arguments: tuple[str, ...]
) -> None:
    qrmi = Path(sys.executable).with_name("qrmi")
    ended = as_stranger(qrmi, *arguments, environment=environment)
    assert ended.returncode == 2, ended.stdout
    assert "QRMI_LOCAL_HOME" in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert "defect" not in ended.stderr


@needs_root
def test_a_store_of_somebody_else_is_a_wrong_setting(own: Path) -> None:
    """Check it as root, who could read the store."""
    TaskStore(own / "store").counts()
    os.chown(own / "store", STRANGER, STRANGER)
    with pytest.raises(ConfigError, match="must be yours alone.*QRMI_LOCAL_HOME"):
        status(own / "store")


def below_a_file(folder: Path) -> Path:
    (folder / "file").touch()
    return folder / "file/store"


def a_file(folder: Path) -> Path:
    (folder / "store").touch()
    return folder / "store"


def below_itself(folder: Path) -> Path:
    (folder / "store").symlink_to(folder / "store")
    return folder / "store/x"


def with_a_long_name(folder: Path) -> Path:
    return folder / ("x" * 300)


@pytest.mark.parametrize("place", [below_a_file, a_file, below_itself, with_a_long_name])
def test_a_folder_that_cannot_be_made_is_a_wrong_setting(
    tmp_path: Path, place: Callable[[Path], Path]
) -> None:
    home = place(tmp_path)
    with pytest.raises(ConfigError, match=f"{home.name} cannot be made: .*set QRMI_LOCAL_HOME"):
        status(home)


@needs_root
@pytest.mark.parametrize("at", ["folder", "subfolder"])
def test_a_folder_that_cannot_be_written_is_a_wrong_setting(own: Path, at: str) -> None:
    qrmi = Path(sys.executable).with_name("qrmi")
    environment = {"QRMI_LOCAL_HOME": f"{own}/store"}
    if at == "folder":
        own.chmod(0o500)
    else:
        (own / "store").mkdir(mode=0o500)
        os.chown(own / "store", STRANGER, STRANGER)
    ended = as_stranger(qrmi, "status", "local:aer", environment=environment)
    assert ended.returncode == 2
    assert "set QRMI_LOCAL_HOME to a folder of yours" in ended.stderr


def test_a_worker_has_the_users_home_folder_where_it_can_be_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store = TaskStore(tmp_path / "store")
    store.counts()
    usable = tmp_path / "usable"
    usable.mkdir()
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(usable))
    assert _home(store) == usable
    assert not (store.home / "home").exists()
    for other in ("file", "missing"):
        monkeypatch.setenv("HOME", str(tmp_path / other))
        assert _home(store) == store.home / "home"
        assert (store.home / "home").is_dir()


@pytest.mark.parametrize("value", ["~nobody-has-this-name/x", "relative", "~nobody-has-this-name"])
def test_a_store_in_no_folder_is_a_wrong_setting(value: str) -> None:
    with pytest.raises(ConfigError, match="QRMI_LOCAL_HOME: '.*' is not an absolute path"):
        LocalSettings.from_mapping({"QRMI_LOCAL_HOME": value})
