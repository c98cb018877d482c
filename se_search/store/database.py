"""Opens the SQLite file of a run for Optuna, and says in a sentence why that fails."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import RDBStorage
from sqlalchemy.pool import QueuePool

from se_search.errors import StorageError, list_causes
from se_search.store.file_systems import find_network_file_system
from se_search.store.files import describe_free

BUSY_SECONDS = 30.0  # how long to wait for another process that is writing
NO_LOCKS = (sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_IOERR)  # errors of a file that can't be locked
# Optuna takes a URL and never connects to it: connections come from a pool, because a URL can't
# hold each name that a folder can have, and Optuna fills in what stands in braces.
_URL = "sqlite:///trials.db"

optuna.logging.set_verbosity(optuna.logging.WARNING)


class Database:
    """The SQLite file of a run, open; close it, or enter it in a ``with``.

    Args:
        path: the file.
        mode: how SQLite opens it, as a part of its URI.
        busy_seconds: how long to wait for another process that is writing.
        is_made: whether Optuna's tables are taken to be there, and to be this version's.

    Attributes:
        storage: Optuna's view of the file.
    """

    def __init__(self, path: Path, mode: str, busy_seconds: float, *, is_made: bool) -> None:
        self._pool = _connect(path, mode, busy_seconds)
        try:
            self.storage = RDBStorage(
                _URL,
                {"pool": self._pool},
                skip_compatibility_check=is_made,
                skip_table_creation=is_made,
            )
        except BaseException:
            self._pool.dispose()
            raise

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; SQLite then folds its log into it."""
        self.storage.remove_session()
        self._pool.dispose()


@dataclass(frozen=True, slots=True)
class SQLiteFile:
    """A run's trials in a SQLite file of the run's folder.

    Attributes:
        path: the file.
        study: the name of the Optuna study in it.
        find_network: returns the kind of network file system that a folder lies on, or None.
    """

    path: Path
    study: str = "se-search"
    find_network: Callable[[Path], str | None] = field(
        default=find_network_file_system, repr=False, compare=False
    )

    def __str__(self) -> str:
        return str(self.path)

    def exists(self) -> bool:
        """Tell whether the file is there."""
        return self.path.is_file()

    def open_for_reading(self, busy_seconds: float = BUSY_SECONDS) -> Database:
        """Open the file, also in a folder that is read-only; nothing is made or checked."""
        # The check would import Alembic's migrations, which takes longer than reading the trials.
        return Database(self.path, _choose_mode(self.path), busy_seconds, is_made=True)

    def open_for_writing(self, busy_seconds: float = BUSY_SECONDS) -> Database:
        """Open the file with all of Optuna's tables; they are made where they are not there.

        A new file gets its name when it has its tables: Optuna adds missing ones also where it is
        told to read alone, and two processes that make them at once break each other.
        """
        kind = self.find_network(self.path.parent)
        if not self.path.exists():
            _make(self.path, busy_seconds, kind)
        _choose_journal(self.path, busy_seconds, kind)
        return Database(self.path, "rwc", busy_seconds, is_made=False)

    def fetch(self, query: str, busy_seconds: float = BUSY_SECONDS) -> list[tuple[Any, ...]]:
        """Return the rows of a query over Optuna's tables, in which ``:study`` is the name."""
        with closing(_open_connection(self.path, _choose_mode(self.path), busy_seconds)) as opened:
            return opened.execute(query, {"study": self.study}).fetchall()

    def stamp(self) -> object:
        """Return what differs once trials have changed."""
        log = self.path.with_name(f"{self.path.name}-wal")
        return [_stamp(path) for path in (self.path, log)]

    def explain(self, error: BaseException) -> str:
        """Return the reason of an error in SQLite's words, which others wrap in their own."""
        return _explain(self.path, error)


def _make(path: Path, busy_seconds: float, kind: str | None) -> None:
    """Make a file with all of Optuna's tables."""
    draft = path.with_name(f"{path.name}.new")
    for rest in ("", "-wal", "-shm"):  # of a process that was killed
        draft.with_name(draft.name + rest).unlink(missing_ok=True)
    _choose_journal(draft, busy_seconds, kind)
    Database(draft, "rwc", busy_seconds, is_made=False).close()
    draft.replace(path)


def _choose_journal(path: Path, busy_seconds: float, kind: str | None) -> None:
    """Have SQLite write ahead into a log, with which others read while one writes.

    On a network file system it keeps a rollback journal instead: the log needs memory that all
    processes share, which those of other machines do not (https://sqlite.org/wal.html).

    Args:
        path: the file.
        busy_seconds: how long to wait for another process that is writing.
        kind: of the network file system; None: the file is on a local one.
    """
    wanted = "WAL" if kind is None else "DELETE"
    try:
        with closing(_open_connection(path, "rwc", busy_seconds)) as connection:
            connection.execute(f"PRAGMA journal_mode={wanted}")  # the file remembers it
            if kind is not None:  # a lock is taken, which not every such file system has
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("ROLLBACK")
    except sqlite3.OperationalError as cause:
        if kind is not None:
            refuse_without_locks(path, kind, cause)
        raise


def refuse_without_locks(path: Path, kind: str, error: sqlite3.OperationalError) -> None:
    """Refuse a file on a network file system that can't lock it, with what to do instead.

    Raises:
        StorageError: the error says that.
    """
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in NO_LOCKS:
        raise StorageError(
            f"{path} lies on a network file system ({kind}) without the locks that SQLite needs: "
            f"{error}. Take a --runs-dir on a local disk, or a --storage postgresql://..."
        ) from error


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _explain(path: Path, error: BaseException) -> str:
    """Return the reason in SQLite's words, which others wrap in errors of their own."""
    *_, error = list_causes(error)
    text = str(error)
    if isinstance(error, KeyError):  # of Optuna, which does not find the Optuna study
        return "it holds no trials of se-search"
    if "database is locked" in text or "database table is locked" in text:
        return f"it is locked. Close {_name_holders(path)}, and repeat the command"
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return f"{text} ({describe_free(path)})"
    if isinstance(error, RuntimeError) and "table schema" in text:
        return (
            f"another version of Optuna than this one, {optuna.__version__}, has made its tables; "
            "install that version, or a newer one"
        )
    return text


def _name_holders(path: Path) -> str:
    """Name the processes that have a file open, as far as the system tells."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            is_holder = any(
                os.path.samefile(file, path) for file in (process / "fd").iterdir()
            ) and process.name != str(os.getpid())
            if is_holder:
                found.append(f"{(process / 'comm').read_text().strip()} (process {process.name})")
        except OSError:  # ended meanwhile, or somebody else's
            continue
    return " and ".join(found) or (
        "the program that has it open (another se-search, a dashboard, a database browser)"
    )


def _connect(path: Path, mode: str, busy_seconds: float) -> QueuePool:
    """Return connections that are closed by ``dispose``, also where making a storage fails."""
    absolute = path.absolute()  # whatever folder the process works in later

    def connect() -> Any:  # SQLAlchemy's type of a connection does not fit sqlite3's
        return _open_connection(absolute, mode, busy_seconds)

    return QueuePool(connect)


def _open_connection(path: Path, mode: str, busy_seconds: float) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, timeout=busy_seconds, check_same_thread=False)


def _choose_mode(path: Path) -> str:
    """Return how to open a file for reading, as a part of SQLite's URI."""
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        # For writing, although nothing is written: a read-only connection would leave the files
        # of SQLite's write-ahead log behind.
        return "rw"
    if path.with_name(f"{path.name}-wal").exists():
        return "ro"  # somebody else is writing, or was killed, and the log has newer trials
    return "ro&immutable=1"  # without a log, and none can be made: SQLite must not ask for one
