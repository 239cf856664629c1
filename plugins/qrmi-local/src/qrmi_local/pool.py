"""Starting worker processes where tasks wait for one."""

from __future__ import annotations

import os
import subprocess
import sys

from qrmi_core.errors import ConfigError, ServiceError
from qrmi_local.settings import LocalSettings
from qrmi_local.store import Store


def start_workers(store: Store, settings: LocalSettings) -> None:
    """Start the workers that the queue lacks, at most `settings.slots` in all.

    Raises:
        ConfigError: This Python cannot start another.
        ServiceError: The system refuses a further process.
    """
    slots = store.free_slots(settings.slots)
    try:
        for slot, lock in slots.items():
            _start(store, settings, slot, lock)
    finally:
        for lock in slots.values():
            os.close(lock)


def _start(store: Store, settings: LocalSettings, slot: int, lock: int) -> None:
    """Start a worker that holds the slot's lock from its first moment on.

    It is no child of ours, so nobody has to wait for it, and it belongs to no terminal.
    """
    if not sys.executable:
        raise ConfigError("this Python does not know its own executable and cannot start a worker")
    worker = [
        *(sys.executable, "-P", "-m", "qrmi_local.worker"),
        *(str(store.home), str(slot), str(lock)),
        *(str(settings.idle_seconds), str(settings.retention_seconds)),
    ]
    environment = dict(os.environ)
    if paths := environment.get("PYTHONPATH"):
        # The worker's folder is another.
        environment["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, paths.split(os.pathsep)))
    log = os.open(store.home / "worker.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        subprocess.run(
            ["/bin/sh", "-c", '"$@" &', "sh", *worker],
            check=True,
            pass_fds=[lock],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=environment,
            start_new_session=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise ServiceError(f"no worker process could be started: {error}") from error
    finally:
        os.close(log)
