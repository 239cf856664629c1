"""The store's SQLite database: its folder, its connections, and the meaning of its errors."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from qrmi_core.plugin import ConfigError, Lock, QrmiError, ServiceError, TransportError, current

_T = TypeVar("_T")

_VERSION = 1
_BUSY_SECONDS = 30.0
# SQLite waits in C, where no signal and no deadline is seen.
_SLICE_SECONDS = 0.1
# The file systems behind FUSE and virtiofs are unknown; the rollback journal works everywhere.
_NETWORK_FILE_SYSTEMS = re.compile(
    r"9p|afs|beegfs|ceph|cifs|fhgfs|fuse(?:\.(?!fuse-overlayfs$).*)?|glusterfs|gpfs|lustre|nfs4?"
    r"|orangefs|panfs|pvfs2|smb[23]|smbfs|virtiofs|wekafs"
)

# Another try may succeed, when files were deleted or other processes have ended.
_EXHAUSTED = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE),
    *(errno.EAGAIN, errno.ENOMEM, errno.EIO),
}
_EXHAUSTED_SQLITE = {
    *(sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM),
}

_SCHEMA = """
CREATE TABLE tasks (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    resource TEXT NOT NULL,
    argument TEXT NOT NULL,
    seed INTEGER,
    acquisition TEXT,
    status INTEGER NOT NULL,
    reason TEXT,
    slot INTEGER,
    pid INTEGER,
    created REAL NOT NULL,
    started REAL,
    finished REAL
);
CREATE INDEX tasks_by_status ON tasks (status, number);
CREATE TABLE acquisitions (
    token TEXT PRIMARY KEY,
    resource TEXT NOT NULL,
    exclusive INTEGER NOT NULL,
    expires REAL
);
"""


class Database:
    """A database in a private folder, both made when first needed.

    Each thread of each process has its own connection, also after a fork.

    Args:
        home: The folder; its subfolders `folders` are made with it.
        journal_mode: ``wal`` or ``delete``, for a database that does not exist yet; by default
            WAL where the file system can have it.
        create: True to make missing files and folders.
        folders: Names of the subfolders.
    """

    def __init__(
        self, home: Path, *, journal_mode: str | None, create: bool, folders: tuple[str, ...]
    ) -> None:
        self.path = home / "store.db"
        self._home = home
        self._journal_mode = journal_mode
        self._create = create
        self._folders = [home / name for name in folders]
        # By process and thread. A forked child must not even close its parent's.
        self._connections: dict[tuple[int, int], tuple[int, sqlite3.Connection]] = {}
        self._finalizer = weakref.finalize(self, _close_all, self._connections)
        with _in_use:
            _databases.add(self)

    def close_all(self) -> None:
        """Close the connections of all threads; none may be in use."""
        _close_all(self._connections)

    def close(self) -> None:
        """Close this thread's connection; the database can be used again afterwards."""
        with _in_use:
            _, connection = self._connections.pop(_key(), (0, None))
            if connection:
                connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Return this thread's connection, which alone may write until the end of the block."""
        with self._begun(lambda db: db.execute("BEGIN IMMEDIATE")) as db:
            yield db

    @contextmanager
    def connected(self) -> Iterator[sqlite3.Connection]:
        """Return this thread's connection, for reading one state until the end of the block."""
        with self._begun(_begin_to_read) as db:
            yield db

    @contextmanager
    def _begun(self, begin: Callable[[sqlite3.Connection], object]) -> Iterator[sqlite3.Connection]:
        with self.explained(), ExitStack() as held:

            def enter() -> sqlite3.Connection:
                db = self._connection()
                begin(db)
                held.enter_context(_in_use)
                return db

            try:
                db = self._patiently(enter)
                yield db
                self._patiently(lambda: db.execute("COMMIT"))
            except BaseException:
                _, used = self._connections.get(_key(), (0, None))
                # On a full disk SQLite has rolled back already.
                if used and used.in_transaction:
                    with _in_use:
                        used.execute("ROLLBACK")
                raise

    def _patiently(self, step: Callable[[], _T]) -> _T:
        """Repeat a step while others keep the database locked, in slices that can be interrupted.

        Raises:
            TransportError: The time was up, of this or of the whole operation.
        """
        start = time.monotonic()
        seconds = current().clip(_BUSY_SECONDS)
        while True:
            try:
                with _in_use:
                    return step()
            except sqlite3.OperationalError as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
                waited = time.monotonic() - start
                if waited >= seconds:
                    raise TransportError(
                        f"the store in {self._home} was locked by others for {waited:.1f} s; "
                        "try again"
                    ) from error
            time.sleep(0.001)  # outside of the lock, for other threads

    def _connection(self) -> sqlite3.Connection:
        key = _key()
        self.make_home()
        known, connection = self._connections.get(key, (0, None))
        if connection is None or known != self._inode():
            if connection:
                connection.close()
            connection = self._open()
            self._connections[key] = (self._inode(), connection)
        return connection

    def _inode(self) -> int:
        # Somebody may delete the folder while we have the database open.
        try:
            return self.path.stat().st_ino
        except FileNotFoundError:
            return 0

    def _open(self) -> sqlite3.Connection:
        # SQLite makes the files beside the database with the same mode. The file is not opened
        # where it exists: closing it again would drop the locks that SQLite has on it.
        if self._create:
            with suppress(FileExistsError):
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        db = sqlite3.connect(
            f"{self.path.as_uri()}?mode=rw",
            uri=True,
            timeout=_SLICE_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            if _version(db) == 0:
                self._set_up(db)
            if _version(db) != _VERSION:
                raise ConfigError(
                    f"the store in {self._home} is of another version of qrmi-local; "
                    "install that one, or set QRMI_LOCAL_HOME to another folder"
                )
            if db.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
                db.execute("PRAGMA synchronous = NORMAL")
        except BaseException:
            db.close()
            raise
        return db

    def _set_up(self, db: sqlite3.Connection) -> None:
        lock = os.open(self._home / "setup.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if _version(db) != 0:
                return
            mode = self._journal_mode or ("delete" if on_network(self._home) else "wal")
            try:
                db.execute(f"PRAGMA journal_mode = {mode}")
                db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")
            except sqlite3.OperationalError:
                if mode != "wal" or _version(db) != 0:
                    raise
                # A file system without shared memory, whatever it is called.
                db.execute("PRAGMA journal_mode = delete")
                db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")
        finally:
            os.close(lock)

    def make_home(self) -> None:
        """Make the folder and its subfolders.

        Raises:
            ConfigError: It cannot be made, or others can read it.
            OSError: The disk is full, or the like; see `explained`.
        """
        if not self._create:
            return
        try:
            if all(folder.is_dir() for folder in self._folders) and _is_private(self._home):
                return
            self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
            private = _is_private(self._home)
            if private:
                for folder in self._folders:
                    folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            if error.errno in _EXHAUSTED:
                raise
            raise ConfigError(
                f"the store's folder {self._home} cannot be made: {error.strerror}; "
                "set QRMI_LOCAL_HOME to a folder of yours"
            ) from error
        if not private:
            raise ConfigError(
                f"the store's folder {self._home} must be yours alone: chmod 700 it, "
                "or set QRMI_LOCAL_HOME to another"
            )

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Name the folder and the remedy in errors of the system.

        Raises:
            ConfigError: The folder cannot be used.
            ServiceError: The disk is full, or anything else; `retryable` if that may pass.
        """
        try:
            yield
        except QrmiError:
            raise
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code == sqlite3.SQLITE_FULL:
                raise self._full() from error
            if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
                raise self._unusable(error) from error
            raise self._failed(error, retryable=code in _EXHAUSTED_SQLITE) from error
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise self._full() from error
            if error.errno in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
                raise ConfigError(
                    f"the file system of {self._home} has no file locks; "
                    "set QRMI_LOCAL_HOME to a folder on a disk of this machine"
                ) from error
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR):
                raise self._unusable(error.strerror) from error
            reason = error.strerror or error
            raise self._failed(reason, retryable=error.errno in _EXHAUSTED) from error

    def _unusable(self, reason: object) -> ConfigError:
        return ConfigError(
            f"the store in {self._home} cannot be used: {reason}; "
            "set QRMI_LOCAL_HOME to a folder of yours"
        )

    def _failed(self, reason: object, *, retryable: bool) -> ServiceError:
        return ServiceError(
            f"the store in {self._home} cannot be used: {reason}", retryable=retryable
        )

    def _full(self) -> ServiceError:
        return ServiceError(
            f"no space left for the store in {self._home}: run `qrmi local prune`, free some, "
            "or set QRMI_LOCAL_HOME to another disk",
            retryable=True,
        )


def on_network(path: Path, mounts: Path = Path("/proc/mounts")) -> bool:
    """Return True if the system lists a folder's file system as one of a network.

    Args:
        path: An existing folder.
        mounts: The table of mounted file systems.
    """
    best, kind = "", ""
    target = str(path.resolve())
    with suppress(OSError):
        for line in mounts.read_text(errors="replace").splitlines():
            _, mounted, file_system, *_ = line.split(" ")
            folder = mounted.replace("\\040", " ")
            inside = target == folder or target.startswith(folder.rstrip("/") + "/")
            # Of several mounts on one folder the last is seen.
            if inside and len(folder) >= len(best):
                best, kind = folder, file_system
    return _NETWORK_FILE_SYSTEMS.fullmatch(kind) is not None


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _is_private(folder: Path) -> bool:
    found = folder.stat()
    return found.st_uid == os.geteuid() and not found.st_mode & 0o077


def _close_all(connections: dict[tuple[int, int], tuple[int, sqlite3.Connection]]) -> None:
    with _in_use:
        for key in [key for key in connections if key[0] == os.getpid()]:
            connections.pop(key)[1].close()


def _key() -> tuple[int, int]:
    return os.getpid(), threading.get_ident()


def _begin_to_read(db: sqlite3.Connection) -> None:
    if not db.in_transaction:
        db.execute("BEGIN")
    # Takes the lock that is held while reading.
    db.execute("SELECT 1 FROM sqlite_master").fetchone()


# Held by a thread while it is in a database. SQLite has locks of its own and notes which locks its
# process has on which file. In a child they would be as they were when it was forked, for ever; so
# no thread is in a database at that moment, and none is open.
_in_use = Lock(reentrant=True)
_databases: weakref.WeakSet[Database] = weakref.WeakSet()


def _before_fork() -> None:
    _in_use.acquire()
    for database in list(_databases):
        database.close_all()


def _after_fork() -> None:
    _in_use.release()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork)
