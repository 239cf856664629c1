"""The database of an emulator's records, from which a restarted one goes on."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


class RecordFile:
    """An SQLite database of JSON documents, in the order in which they were added.

    Args:
        path: The file, made for the user alone.
    """

    def __init__(self, path: Path) -> None:
        # SQLite makes its files as the umask says; their journals get the mode of the file.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        path.chmod(0o600)
        # No request waits for the disk: a crash of the machine may lose something, the end of the
        # process does not.
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = TRUNCATE")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS records"
            " (number INTEGER PRIMARY KEY, id TEXT UNIQUE, kind TEXT, face TEXT, body TEXT)"
        )

    def read(self, kind: str, face: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the ids and documents of one kind and one face, oldest first."""
        for key, body in self._db.execute(
            "SELECT id, body FROM records WHERE kind = ? AND face = ? ORDER BY number",
            (kind, face),
        ):
            yield key, json.loads(body)

    def write(self, key: str, kind: str, document: Mapping[str, Any], face: str = "") -> None:
        """Add a document, or replace the one with this id."""
        self._db.execute(
            "INSERT INTO records (id, kind, face, body) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET body = excluded.body",
            (key, kind, face, json.dumps(document)),
        )

    def delete(self, key: str) -> None:
        """Delete the document with this id."""
        self._db.execute("DELETE FROM records WHERE id = ?", (key,))

    def close(self) -> None:
        """Close the database."""
        self._db.close()
