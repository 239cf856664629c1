"""The database of an emulator's records, from which a restarted one goes on.

What is new is written before it is there. A change of what is there already is tried again where it
cannot be written.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final

import attrs

from qrmi_emulator.files import StorageError, transaction
from qrmi_emulator.records import FaceJob, Record

_log = logging.getLogger(__name__)

lost_change: Final[ContextVar[bool]] = ContextVar("lost_change", default=False)
"""True if a change that this request made is not written yet, nor anything that it made later."""


class RecordFile:
    """An SQLite database of JSON documents, in the order in which they were added.

    Args:
        path: The file, made for the user alone.
    """

    def __init__(self, path: Path) -> None:
        self._unwritten: dict[str, Record] = {}
        self._is_full = False
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

    def write(self, key: str, kind: str, document: Mapping[str, Any]) -> None:
        """Add a document of no face, or replace the one with this id.

        Raises:
            StorageError: It cannot be written.
        """
        self._write([(key, kind, "", json.dumps(document))])

    def add(self, records: Iterable[Record]) -> None:
        """Write records: all or none.

        Raises:
            StorageError: They cannot be written.
        """
        self._write(
            (
                *(record.id, "job" if isinstance(record, FaceJob) else "session", record.face),
                # Their values are those of JSON.
                json.dumps(attrs.asdict(record, recurse=False)),
            )
            for record in records
        )
        lost_change.set(False)

    def change(self, record: Record) -> None:
        """Write a record that has changed, or leave it to `flush` if it cannot be written."""
        is_behind = bool(self._unwritten)
        self._unwritten[record.id] = record
        if is_behind:  # a full disk is not tried with each change
            lost_change.set(True)
        else:
            self.flush()

    def flush(self) -> None:
        """Write the changes that could not be written so far, if there is space."""
        if not self._unwritten:
            return
        try:
            self.add(self._unwritten.values())
        except StorageError as error:
            if not self._is_full:
                _log.error("%s; trying again until there is space", error)
            self._is_full = True
            lost_change.set(True)
        else:
            self._unwritten.clear()
            self._is_full = False

    def delete(self, key: str) -> None:
        """Delete the document with this id.

        Raises:
            StorageError: It cannot be deleted.
        """
        with transaction(self._db):
            self._db.execute("DELETE FROM records WHERE id = ?", (key,))
        self._unwritten.pop(key, None)

    def _write(self, rows: Iterable[tuple[str, str, str, str]]) -> None:
        with transaction(self._db):
            self._db.executemany(
                "INSERT INTO records (id, kind, face, body) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET body = excluded.body",
                rows,
            )

    def close(self) -> None:
        """Close the database."""
        self._db.close()
