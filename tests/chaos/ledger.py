"""The journal of a client: its intentions and their outcomes, as JSON lines."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


class Journal:
    """A file of events, to which every thread and child of a client appends.

    Args:
        path: Path of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, event: str, **fields: Any) -> None:
        """Append an event, which is written completely or not at all, however the process ends."""
        os.write(self._file, json.dumps({"event": event, **fields}).encode() + b"\n")


def read(path: Path) -> list[dict[str, Any]]:
    """Return the events of a journal; a missing file has no events."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
