"""One SQLite file shared by the threads of a program and by several programs, which never stops the program."""

from __future__ import annotations

import datetime as dt
import logging
import os
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from cxr_viewer.core.errors import CxrError

_log = logging.getLogger(__name__)

ResultT = TypeVar("ResultT")
Migration = Sequence[str]
"""Statements that lead from one schema version to the next."""

_BUSY_TIMEOUT_S = 10.0
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_NO_ROOM = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY}
_NOT_USABLE = {
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_AUTH,
}


class _ForeignError(Exception):
    """The file is a database, but not one this program can work with."""


class Database:
    """A schema-versioned SQLite file (WAL) with a pool of connections.

    Readers never wait for the writer; writers of all threads and programs go one after the other. A damaged file is
    renamed and a new one begun. Where the file cannot be kept at all (read-only folder, full disk, written by a newer
    version of the program) the data lives in a temporary file until :meth:`close`. Each of these leaves a sentence in
    :meth:`take_notices`.

    Args:
        path: the file; its folder is made when needed, readable by its owner only.
        migrations: ``migrations[n]`` leads from schema ``n`` to ``n + 1``.
        application_id: SQLite application id, to tell the program's own files.
        what: what the file holds, for sentences, e.g. ``"study list"``.
    """

    def __init__(self, path: Path, migrations: Sequence[Migration], application_id: int, what: str) -> None:
        self._path = path
        self._migrations = migrations
        self._application_id = application_id
        self._what = what
        self._idle: list[sqlite3.Connection] = []
        self._generation = 0
        self._lock = threading.RLock()
        self._writing = threading.Lock()
        self._temporary: Path | None = None
        self._notices: list[str] = []
        self._closed = False
        self._begin()

    @property
    def path(self) -> Path:
        """The file in use, which is a temporary one where the wanted one could not be kept."""
        return self._path

    def take_notices(self) -> tuple[str, ...]:
        """Sentences for the reader since the last call."""
        with self._lock:
            notices, self._notices = tuple(self._notices), []
        return notices

    def read(self, work: Callable[[sqlite3.Connection], ResultT]) -> ResultT:
        """Run ``work`` on one unchanging snapshot of the data.

        Raises:
            CxrError: the file is busy or cannot be read.
        """
        return self._guarded(lambda: self._transaction("BEGIN", work))

    def write(self, work: Callable[[sqlite3.Connection], ResultT]) -> ResultT:
        """Run ``work`` as one transaction, all or nothing. May be run twice when the file turns out damaged.

        Raises:
            CxrError: another program keeps the file busy, the disk is full, ...
        """
        with self._writing:
            try:
                return self._guarded(lambda: self._transaction("BEGIN IMMEDIATE", work))
            except CxrError as error:
                if not (isinstance(error.__cause__, sqlite3.Error) and self._carried_over(_code(error.__cause__))):
                    raise
            return self._guarded(lambda: self._transaction("BEGIN IMMEDIATE", work))

    def close(self) -> None:
        """Close every connection. Safe to call twice; later calls of ``read`` and ``write`` raise CxrError."""
        with self._lock:
            self._closed = True
            self._drop_idle()
            if self._temporary is not None:
                shutil.rmtree(self._temporary, ignore_errors=True)
                self._temporary = None

    def _guarded(self, attempt: Callable[[], ResultT]) -> ResultT:
        generation = self._generation
        try:
            return attempt()
        except sqlite3.DatabaseError as error:
            if _code(error) not in _DAMAGED:
                raise self._fault(error) from error
            self._set_aside_if_damaged(generation)
        try:
            return attempt()
        except sqlite3.DatabaseError as error:
            raise self._fault(error) from error

    def _transaction(self, begin: str, work: Callable[[sqlite3.Connection], ResultT]) -> ResultT:
        with self._connection() as connection:
            connection.execute(begin)
            try:
                result = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # the first fault is the one to tell
                    connection.execute("ROLLBACK")
                raise
        return result

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            if self._closed:
                raise CxrError(f"The {self._what} is closed.", code="library-closed")
            generation = self._generation
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = self._connect()
        try:
            yield connection
        except sqlite3.Error:
            connection.close()
            raise
        except BaseException:
            self._put_back(connection, generation)
            raise
        self._put_back(connection, generation)

    def _put_back(self, connection: sqlite3.Connection, generation: int) -> None:
        with self._lock:
            if not self._closed and generation == self._generation:
                self._idle.append(connection)
                return
        connection.close()

    def _drop_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        try:
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA foreign_keys = ON")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    # ------------------------------------------------------------ beginning, and beginning anew

    def _begin(self) -> None:
        try:
            self._open()
        except _ForeignError as error:
            self._keep_temporarily(str(error))
        except sqlite3.DatabaseError as error:
            if _code(error) in _DAMAGED:
                self._set_aside_if_damaged(self._generation)
            else:
                _log.warning("the %s cannot be opened: %s", self._what, error)
                self._keep_temporarily(f"The {self._what} cannot be kept on this disk, ")
        except OSError as error:
            _log.warning("the %s cannot be opened: %s", self._what, error.strerror)
            self._keep_temporarily(f"The folder of the {self._what} cannot be written, ")

    def _open(self) -> None:
        """Make the file if needed and bring its schema up to date."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))  # names of patients: the owner's eyes only
        with closing(self._connect()) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN IMMEDIATE")
            self._migrate(connection)
            connection.execute("COMMIT")

    def _migrate(self, connection: sqlite3.Connection) -> None:
        version = _pragma(connection, "user_version")
        if version > len(self._migrations):
            raise _ForeignError(f"The {self._what} was written by a newer version of this program, ")
        if version == 0 and connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise _damage("tables without a schema version")
        if version and _pragma(connection, "application_id") != self._application_id:
            raise _damage("not this program's file")
        for migration in self._migrations[version:]:
            for statement in migration:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(self._migrations)}")
        connection.execute(f"PRAGMA application_id = {self._application_id}")

    def _set_aside_if_damaged(self, generation: int) -> None:
        """Rename the file and begin a new one, unless another thread or program has done so already."""
        with self._lock:
            if generation != self._generation:
                return
            self._generation += 1
            self._drop_idle()
            if self._is_sound():
                return
            try:
                kept = self._rename()
                self._open()
            except (OSError, sqlite3.Error) as error:
                _log.warning("the damaged %s cannot be set aside: %s", self._what, type(error).__name__)
                self._keep_temporarily(f"The {self._what} is damaged and cannot be replaced, ")
                return
            _log.warning("the damaged %s was set aside", self._what)
            self._notices.append(
                f"The {self._what} was damaged. It was set aside as {kept.name} and a new one begun; "
                "your image files are untouched."
            )

    def _is_sound(self) -> bool:
        try:
            self._open()
            with closing(self._connect()) as connection:
                return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
        except (sqlite3.Error, OSError):
            return False

    def _rename(self) -> Path:
        stamp = dt.datetime.now().strftime("%Y%m%d-%H%M%S-%f")
        kept = self._path.with_name(f"{self._path.stem}.damaged-{stamp}{self._path.suffix}")
        self._path.replace(kept)
        for ending in ("-wal", "-shm"):
            side = self._path.with_name(self._path.name + ending)
            if side.exists():
                side.replace(kept.with_name(kept.name + ending))
        return kept

    def _keep_temporarily(self, reason: str) -> None:
        self._temporary = Path(tempfile.mkdtemp(prefix="cxr-viewer-"))
        self._path = self._temporary / self._path.name
        self._generation += 1
        self._drop_idle()
        self._open()
        self._notices.append(f"{reason}so what is added now is forgotten when the program ends.")

    def _carried_over(self, code: int) -> bool:
        """Where nothing more can be written, go on with a copy in a temporary file; False where that fails too."""
        with self._lock:
            if code not in _NO_ROOM or self._temporary is not None or self._closed:
                return False
            folder = Path(tempfile.mkdtemp(prefix="cxr-viewer-"))
            try:
                with closing(self._connect()) as full, closing(sqlite3.connect(folder / self._path.name)) as copy:
                    full.backup(copy)
            except (sqlite3.Error, OSError) as error:
                _log.warning("the %s cannot be copied either: %s", self._what, error)
                shutil.rmtree(folder, ignore_errors=True)
                return False
            self._temporary, self._path = folder, folder / self._path.name
            self._generation += 1
            self._drop_idle()
            self._open()
            reason = "is full" if code == sqlite3.SQLITE_FULL else "cannot be written any more"
            self._notices.append(
                f"The disk of the {self._what} {reason}, so what is added now is forgotten when the program ends. "
                "Make room on it, then start the program again."
            )
            return True

    def _fault(self, error: sqlite3.DatabaseError) -> Exception:
        code = _code(error)
        if code in _BUSY:
            return CxrError(
                f"The {self._what} is busy in another window of the program.",
                hint="Close the other window or try again in a moment.",
                detail=str(error),
                code="library-busy",
            )
        if code in _NOT_USABLE | _DAMAGED:
            return CxrError(
                f"The {self._what} could not be read or written.",
                hint="Check that the disk is not full and that its folder can be written.",
                detail=str(error),
                code="library-unusable",
            )
        return error  # a defect of the program, not of the file


def _code(error: sqlite3.Error) -> int:
    """The primary SQLite result code, 0 for errors of the Python module itself."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _damage(detail: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(detail)
    error.sqlite_errorcode = sqlite3.SQLITE_NOTADB
    return error
