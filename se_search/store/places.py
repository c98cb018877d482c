"""Where the trials of a run can be: in a SQLite file of its folder, or in a PostgreSQL database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage
from sqlalchemy.exc import SQLAlchemyError

from se_search.errors import SESearchError, StorageError
from se_search.store.database import SQLiteFile


class OpenTrials(Protocol):
    """Trials that are open; they are closed by ``close``, or at the end of a ``with`` block."""

    @property
    def storage(self) -> BaseStorage:
        """Optuna's view of them."""

    def __enter__(self) -> OpenTrials: ...

    def __exit__(self, *_: object) -> None: ...

    def close(self) -> None:
        """Close them."""


class TrialsPlace(Protocol):
    """Where the trials of one run are; ``str`` names it without a password."""

    @property
    def study(self) -> str:
        """The name of the Optuna study."""

    def exists(self) -> bool:
        """Tell whether the trials are there."""

    def open_for_reading(self, busy_seconds: float) -> OpenTrials:
        """Open trials that are there; nothing is made."""

    def open_for_writing(self, busy_seconds: float) -> OpenTrials:
        """Open the trials for the one process that writes; what is not there is made."""

    def fetch(self, query: str, busy_seconds: float) -> Sequence[Sequence[Any]]:
        """Return the rows of a query over Optuna's tables, in which ``:study`` is the name."""

    def stamp(self) -> object:
        """Return what differs once trials have changed."""

    def explain(self, error: BaseException) -> str:
        """Return the reason of an error, for a message."""


def as_place(place: Path | TrialsPlace) -> TrialsPlace:
    """Return a place; a path is one of a SQLite file."""
    return SQLiteFile(place) if isinstance(place, Path) else place


@contextmanager
def explaining_errors(
    place: TrialsPlace, sentence: str, *others: type[Exception]
) -> Iterator[None]:
    """Turn errors of the database, SQLAlchemy and Optuna's storage into a StorageError.

    Args:
        place: of the trials.
        sentence: says what can't be done, as ``can't be opened for trials``.
        others: kinds of errors that are meant, too.
    """
    try:
        yield
    except Exception as cause:
        kinds = (sqlite3.Error, SQLAlchemyError, StorageInternalError, *others)
        if isinstance(cause, SESearchError) or not isinstance(cause, kinds):
            raise
        raise StorageError(f"{place} {sentence}: {place.explain(cause)}") from cause
