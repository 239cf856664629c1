"""The driver of Coin on the face of Coin, where the emulator is installed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from qrmi_core import QuantumResource
from qrmi_core.plugin import TaskFailedError, TaskNotFoundError, TaskStatus
from qrmi_example import Coin

emulation = pytest.importorskip("qrmi_emulator")


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[emulation.Emulator]:
    """Serve the face of Coin."""
    with emulation.Emulator(["coin"], state=tmp_path / "state") as running:
        yield running


def coin(emulator: emulation.Emulator) -> QuantumResource:
    return QuantumResource("heads", "coin", emulator.settings_for("coin"))


def test_coins_are_flipped_by_a_simulator(emulator: emulation.Emulator) -> None:
    emulator.fault("reset-after", path="/coin/v1/tasks", method="POST")
    with coin(emulator) as resource:
        result = resource.run(Coin("flip 3", shots=50)).result(timeout=60)
    counts = json.loads(result.value)["counts"]
    assert sum(counts.values()) == 50
    assert all(len(flips) == 3 for flips in counts)
    sent = [(request["method"], request["path"]) for request in emulator.requests()]
    assert sent.count(("POST", "/coin/v1/tasks")) == 1, "the submission was found by its tag"


def test_a_program_that_the_simulator_refuses_fails(emulator: emulation.Emulator) -> None:
    with pytest.raises(TaskFailedError, match="pub 0: not OpenQASM 3"):
        coin(emulator).run(Coin("throw hard", shots=1)).result(timeout=60)


def test_a_task_is_stopped_and_known_after_a_restart(tmp_path: Path) -> None:
    with emulation.Emulator(["coin"], state=tmp_path / "state") as emulator:
        emulator.fault("job-queued")
        task = coin(emulator).run(Coin("flip 1", shots=1))
        task.stop()
    with emulation.Emulator(["coin"], state=tmp_path / "state") as emulator:
        assert coin(emulator).task(task.id).status() is TaskStatus.Cancelled
        with pytest.raises(TaskNotFoundError):
            coin(emulator).task("unknown").status()
