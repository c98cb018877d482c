"""The trials of a run in a PostgreSQL database, which several runs and several machines share."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.storages import RDBStorage
from sqlalchemy import Connection, Engine, create_engine, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from se_search.errors import RunBusyError, RunError, list_causes
from se_search.shell import mask_passwords
from se_search.store.places import explaining_errors
from se_search.store.storage_url import add_known_password, make_driver_url

CONNECT_SECONDS = 10  # until a server that does not answer is taken to be away
SCHEMA_LOCK = 0x5E5E  # of PostgreSQL's advisory locks: two processes that make tables break both
_OLD_TABLES = "another version of Optuna than this one, {}, has made its tables"
_STAMP = """
    SELECT count(*), count(datetime_complete), max(datetime_start), max(datetime_complete)
    FROM trials JOIN studies ON studies.study_id = trials.study_id
    WHERE study_name = :study
"""


@dataclass(frozen=True, slots=True)
class PostgresStudy:
    """One run's trials in a database of a PostgreSQL server.

    Attributes:
        url: of the database; without a password the environment's counts.
        study: the name of the Optuna study, which no other run of the database has.
    """

    url: str = field(repr=False)
    study: str

    def __str__(self) -> str:
        return f"{mask_passwords(self.url)} (study {self.study})"

    def exists(self) -> bool:
        """Tell whether the study is there."""
        with self._connecting() as connection:
            if not inspect(connection).has_table("studies"):
                return False
            query = text("SELECT 1 FROM studies WHERE study_name = :study")
            return connection.execute(query, {"study": self.study}).first() is not None

    def open_for_reading(self, busy_seconds: float) -> PostgresDatabase:
        """Open the database, whose tables are taken to be there."""
        return PostgresDatabase(self, is_made=True)

    def open_for_writing(self, busy_seconds: float) -> PostgresDatabase:
        """Open the database for the one process that asks and tells.

        Tables that are not there are made, by one process at a time.

        Raises:
            RunBusyError: another process has opened the study for writing.
        """
        writer = _Writer(self)
        try:
            with self._connecting() as connection:
                connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": SCHEMA_LOCK})
                return PostgresDatabase(self, is_made=False, writer=writer)
        except BaseException:
            writer.close()
            raise

    def fetch(self, query: str, busy_seconds: float) -> Sequence[Sequence[Any]]:
        """Return the rows of a query over Optuna's tables, in which ``:study`` is the name."""
        with self._connecting() as connection:
            rows = connection.execute(text(query), {"study": self.study})
            return [tuple(row) for row in rows]

    def stamp(self) -> object:
        """Return what differs once trials have changed."""
        (row,) = self.fetch(_STAMP, 0.0)
        return row

    def explain(self, error: BaseException) -> str:
        """Return the reason of an error in the server's words, without a password."""
        *_, cause = list_causes(error)
        said = " ".join(str(cause).split())
        if isinstance(error, KeyError):  # of Optuna, which does not find the Optuna study
            return "the study is not there"
        if isinstance(error, RuntimeError) and "table schema" in said:
            return f"{_OLD_TABLES.format(optuna.__version__)}; install that version, or a newer one"
        if "no password supplied" in said or "password authentication failed" in said:
            said += ". SE_SEARCH_STORAGE, PGPASSWORD or ~/.pgpass can hold the password"
        return mask_passwords(said)

    def make_engine(self) -> Engine:
        """Return SQLAlchemy's engine of the database; nothing is connected yet.

        Raises:
            RunError: the driver is not installed.
        """
        try:
            return create_engine(make_driver_url(add_known_password(self.url)), **ENGINE)
        except ModuleNotFoundError as cause:
            raise RunError(
                "trials in PostgreSQL need psycopg, which is not installed: "
                "pip install 'se-search[postgresql]' installs it"
            ) from cause

    @contextmanager
    def _connecting(self) -> Iterator[Connection]:
        """Connect to the database; what it refuses is a StorageError."""
        engine = self.make_engine()
        try:
            with explaining_errors(self, "can't be reached"), engine.connect() as connection:
                yield connection
        finally:
            engine.dispose()


# A connection that a restart of the server has broken is replaced before it is used.
ENGINE: dict[str, Any] = {
    "pool_pre_ping": True,
    "connect_args": {
        "connect_timeout": CONNECT_SECONDS,
        "application_name": "se-search",
        "keepalives_idle": 60,
    },
}


class PostgresDatabase:
    """A database that is open; close it, or enter it in a ``with``.

    Attributes:
        storage: Optuna's view of it.
    """

    def __init__(
        self, study: PostgresStudy, *, is_made: bool, writer: _Writer | None = None
    ) -> None:
        self._writer = writer
        study.make_engine().dispose()  # for its error where the driver is not installed
        self.storage = RDBStorage(
            make_driver_url(add_known_password(study.url)),
            engine_kwargs=ENGINE,
            skip_compatibility_check=is_made,
            skip_table_creation=is_made,
        )

    def __enter__(self) -> PostgresDatabase:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, and let another process write."""
        self.storage.remove_session()
        self.storage.engine.dispose()
        if self._writer is not None:
            self._writer.close()


class _Writer:
    """Keeps other processes from writing a study, while the connection lasts."""

    def __init__(self, study: PostgresStudy) -> None:
        self._engine = study.make_engine()
        try:
            self._connection = self._engine.connect()
            key = {"key": zlib.crc32(study.study.encode())}
            query = text("SELECT pg_try_advisory_lock(:key)")
            is_ours = self._connection.execute(query, key).scalar_one()
            self._connection.commit()  # the lock is the session's: no transaction stays open
        except BaseException:
            self._engine.dispose()
            raise
        if not is_ours:
            self.close()
            raise RunBusyError(
                f"another se-search is writing the trials in {study}; wait for it, or stop it"
            )

    def close(self) -> None:
        """Let others write."""
        with suppress(SQLAlchemyError):  # the server has ended the connection, and so the lock
            self._connection.close()
        self._engine.dispose()
