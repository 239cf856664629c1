"""Starting worker processes where tasks wait for one."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from qrmi_core.plugin import ConfigError, ServiceError, home_folder
from qrmi_local.engines import UnknownResource, engine_for
from qrmi_local.settings import LocalSettings
from qrmi_local.store import TaskStore

_FAILED_STARTS = 3
_LAST_WORDS_BYTES = 500
# The worker finds whatever its starter finds, its own modules first.
_WORKER = """
import os, sys
sys.path += [path for path in sys.argv.pop().split(os.pathsep) if path not in sys.path]
from qrmi_local.worker import main
sys.exit(main(sys.argv[1:]))
"""


def open_store(settings: LocalSettings) -> TaskStore:
    """Return the store that the settings name."""
    return TaskStore(settings.home, None if settings.journal == "auto" else settings.journal)


def can_run(resource: str) -> bool:
    """Return True if this Python has the resource's simulator."""
    try:
        engine_for(resource).known(resource)
    except UnknownResource:
        return False
    return True


def start_workers(store: TaskStore, settings: LocalSettings) -> None:
    """Start the workers that the queue lacks, at most `settings.slots` in all.

    Tasks for whose resource this Python has no simulator are left to others.

    Raises:
        ConfigError: This Python cannot start another, or the store's folder cannot be used.
        ServiceError: The system refuses a further process, the disk is full, or workers end at
            once.
    """
    with store.explained():
        resources = [resource for resource in store.pending() if can_run(resource)]
        slots = store.free_slots(settings.slots, resources)
        try:
            # A worker that has started well empties the file of its slot's lock.
            failed = max((os.fstat(lock).st_size for lock in slots.values()), default=0)
            for slot, lock in slots.items():
                os.pwrite(lock, b".", os.fstat(lock).st_size)
                _start(store, settings, slot, lock)
        finally:
            for lock in slots.values():
                os.close(lock)
    if failed >= _FAILED_STARTS:
        raise ServiceError(
            f"tasks wait, since worker processes end as they start ({failed} in a row); "
            f"the last words in {store.home / 'worker.log'}: {_last_words(store)}"
        )


def _last_words(store: TaskStore) -> str:
    lines = []
    with suppress(OSError), (store.home / "worker.log").open("rb") as log:
        log.seek(max(0, log.seek(0, os.SEEK_END) - _LAST_WORDS_BYTES))
        lines = log.read().decode(errors="replace").splitlines()
    return lines[-1] if lines else "none"


def _home(store: TaskStore) -> Path:
    """Return a home folder for a worker, made in the store if the user's cannot be used.

    Libraries of simulators write there when they are imported, and fail if they cannot.
    """
    with suppress(ConfigError):
        home = home_folder()
        if os.path.isdir(home) and os.access(home, os.W_OK | os.X_OK):
            return home
    home = store.home / "home"
    home.mkdir(mode=0o700, exist_ok=True)
    return home


def _start(store: TaskStore, settings: LocalSettings, slot: int, lock: int) -> None:
    """Start a worker that holds the slot's lock from its first moment on.

    It is not a child of this process, so that nobody has to wait for it, and has no terminal.
    """
    if not sys.executable:
        raise ConfigError("the path of this Python is unknown, so that it cannot start a worker")
    worker = [
        *(sys.executable, "-P", "-c", _WORKER),
        *(str(store.home), str(slot), str(lock)),
        *(str(settings.idle_seconds), str(settings.retention_seconds)),
        os.pathsep.join(map(os.path.abspath, sys.path)),
    ]
    # Threads of a simulator that wait for one another take the processors from other workers.
    environment = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ, "HOME": str(_home(store))}
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
        raise ServiceError(
            f"no worker process could be started: {error}", retryable=True
        ) from error
    finally:
        os.close(log)
