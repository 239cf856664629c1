"""The task of the server that moves jobs to their end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from qrmi_emulator.runner import Runner
from qrmi_emulator.settings import EmulatorSettings
from qrmi_emulator.state import State


@pytest.mark.parametrize("turns", range(8))
def test_it_ends_when_it_is_cancelled_while_a_job_becomes_ready(tmp_path: Path, turns: int) -> None:
    async def run() -> None:
        state = State(tmp_path / "state", EmulatorSettings())
        task = asyncio.create_task(Runner(state).run())
        while not state.on_work.__self__._waiters:  # type: ignore[attr-defined]
            await asyncio.sleep(0.01)
        state.on_work()
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task], timeout=10)
        assert task.cancelled()
        state.close()

    asyncio.run(run())
