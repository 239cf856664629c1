"""Resources of type `local` in a separate store."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Protocol

from qrmi_core import QuantumResource, TaskStatus
from qrmi_local.store import TaskStore
from support.resources import driver_of


class MakeResource(Protocol):
    def __call__(self, resource_id: str = "aer", **settings: str) -> QuantumResource: ...


def end_store(home: Path) -> None:
    """Stop all tasks and remove the folder, upon which workers exit."""
    store = TaskStore(home)
    if store.exists():
        for resource in ("aer", "EMU_FREE"):
            for task in store.tasks_of(resource):
                if task.status < TaskStatus.Completed:
                    store.stop(task.id)
        store.close()
    shutil.rmtree(home, ignore_errors=True)


def maker(home: Path) -> MakeResource:
    """Return a function that makes resources with their store in a folder."""

    def make(resource_id: str = "aer", **settings: str) -> QuantumResource:
        config = {"QRMI_LOCAL_HOME": str(home), "QRMI_LOCAL_IDLE_SECONDS": "30"}
        return QuantumResource(
            resource_id, "local", config | settings, driver_class=driver_of("local")
        )

    return make
