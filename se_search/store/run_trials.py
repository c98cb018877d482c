"""Finds where a run keeps its trials: in a file of its folder, unless it was told a database."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from se_search.errors import RunChangedError, RunError
from se_search.store.database import SQLiteFile
from se_search.store.places import TrialsPlace
from se_search.store.run_folder import RunFolder
from se_search.store.storage_url import check_url, remove_password


def find_trials(folder: RunFolder) -> TrialsPlace:
    """Return where the trials of a run are.

    Raises:
        RunError: the run's configuration can't be read, or has no URL of a PostgreSQL database.
    """
    return make_place(folder, folder.read_config().get("storage"))


def make_place(folder: RunFolder, storage: Mapping[str, Any] | None) -> TrialsPlace:
    """Return a place from what a run's configuration says of its storage; see ``find_trials``."""
    if storage is None:
        return SQLiteFile(folder.database)
    from se_search.store.postgres import PostgresStudy  # its libraries take a tenth of a second

    where = f"{folder.config_file}: storage"
    for key in ("url", "study"):
        if not isinstance(storage, Mapping) or not isinstance(storage.get(key), str):
            raise RunError(f"{where} has no text {key!r}: it takes url and study")
    return PostgresStudy(check_url(storage["url"], f"{where}.url"), storage["study"])


def choose_storage(
    folder: RunFolder, recorded: Mapping[str, Any], url: str | None, *, is_asked: bool
) -> dict[str, str] | None:
    """Return what a run's configuration says of its storage; None: the folder's SQLite file.

    A new run in a database gets a name there that no other one has, whatever its folder is called.

    Args:
        folder: of the run.
        recorded: its configuration; empty if it has not started yet.
        url: of a database, with or without its password; None: none was given.
        is_asked: whether the command asks for it; else it is for new runs alone.

    Raises:
        RunChangedError: the trials that the run has are elsewhere.
    """
    before: dict[str, str] | None = recorded.get("storage")
    now = None if url is None else remove_password(url)
    if not recorded:
        name = f"{folder.path.absolute().name}-{secrets.token_hex(4)}"
        return None if now is None else {"url": now, "study": name}
    if is_asked and (before is None or before["url"] != now):
        there = str(folder.database) if before is None else before["url"]
        raise RunChangedError(
            f"{folder.path} has its trials in {there}, not in {now}; go on without --storage, or "
            f"take another --name. Where a database has moved, {folder.config_file} is to say so "
            "(storage.url)"
        )
    return before
