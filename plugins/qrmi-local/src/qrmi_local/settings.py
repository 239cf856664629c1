"""Settings of local resources."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

import attrs

from qrmi_core.plugin import (
    ConfigError,
    Settings,
    expand,
    one_of,
    setting,
    state_folder,
    to_count,
    to_seconds,
)

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def to_duration(text: str) -> float:
    """Return the seconds of a text such as ``90``, ``15m``, ``12h`` or ``30d``."""
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([smhd]?)", text.strip().lower())
    if not match:
        raise ValueError("a duration such as 90s, 15m, 12h or 30d")
    return float(match[1]) * _UNITS[match[2]]


def default_home() -> Path:
    """Return the default folder of the store: one for each host, since home folders are shared.

    Raises:
        ValueError: The user has no home folder.
    """
    try:
        state = state_folder()
    except ConfigError as error:
        raise ValueError(f"{error}, or set QRMI_LOCAL_HOME to a folder of yours") from error
    return state / "qrmi" / "local" / socket.gethostname()


def default_slots() -> int:
    """Return the number of processors that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1


def _to_seed(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise ValueError("a whole number of at least 0")
    return int(text)


def _to_home(text: str) -> Path:
    try:
        path = expand(text)
    except ConfigError as error:
        raise ValueError(f"an absolute path: {error}") from None
    if not path.is_absolute():
        raise ValueError("an absolute path")
    return path


@attrs.frozen(kw_only=True)
class LocalSettings(Settings):
    """Settings of a local resource.

    Args:
        home: Folder of the store.
        journal: Journal mode of a store that is made: ``wal``, ``delete`` (rollback), or ``auto``.
        slots: Tasks that may run at the same time, over all resources of the store.
        retention_seconds: How long a finished task is kept.
        idle_seconds: How long a worker without work stays.
        acquisition: ``exclusive`` or ``shared``.
        lease_seconds: Seconds that a detached acquisition lasts; None for the job's time limit, or
            a day without one.
        seed: Seed for inputs without a seed.
    """

    home: Path = setting(
        "QRMI_LOCAL_HOME",
        help="Folder of the store, an absolute path; not to be shared by several hosts.",
        default=attrs.Factory(default_home),
        converter=_to_home,
        prefixed=False,
    )
    journal: str = setting(
        "QRMI_LOCAL_JOURNAL",
        help="Journal of a new store's database: wal, delete (a rollback journal, for every file "
        "system), or auto (the default), which chooses by the file system.",
        default="auto",
        converter=one_of("auto", "wal", "delete"),
        prefixed=False,
    )
    slots: int = setting(
        "QRMI_LOCAL_SLOTS",
        help="Tasks that run at the same time at most; by default one for each processor.",
        default=attrs.Factory(default_slots),
        converter=to_count,
        prefixed=False,
    )
    retention_seconds: float = setting(
        "QRMI_LOCAL_RETENTION",
        help="How long a finished task is kept, such as 12h; 30d by default.",
        default=30 * 86400.0,
        converter=to_duration,
        prefixed=False,
    )
    idle_seconds: float = setting(
        "QRMI_LOCAL_IDLE_SECONDS",
        help="How long a worker process without work stays; 60 by default.",
        default=60.0,
        converter=to_seconds,
        prefixed=False,
    )
    acquisition: str = setting(
        "QRMI_LOCAL_ACQUISITION",
        help="What acquiring means: exclusive (the default) or shared.",
        default="exclusive",
        converter=one_of("exclusive", "shared"),
    )
    lease_seconds: float | None = setting(
        "QRMI_LOCAL_LEASE_SECONDS",
        help="How long an acquisition lasts that outlives its process; by default as long as "
        "QRMI_JOB_TIMEOUT_SECONDS says, else a day.",
        default=None,
        converter=to_seconds,
    )
    seed: int | None = setting(
        "QRMI_LOCAL_SEED",
        help="Seed for inputs that bring none of their own, for results that can be repeated.",
        default=None,
        converter=_to_seed,
    )
