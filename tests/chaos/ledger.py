"""The journal of a client: its intentions and their outcomes, one JSON line each."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


class Journal:
    """A file of events, which every thread and child of a client appends to.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, event: str, **fields: Any) -> None:
        """Append an event; it is whole or missing, however the process ends."""
        os.write(self._file, json.dumps({"event": event, **fields}).encode() + b"\n")


def read(path: Path) -> list[dict[str, Any]]:
    """Return the events of a journal; an absent file has none."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
