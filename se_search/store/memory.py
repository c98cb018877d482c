"""Holds the trials of a search that is read once and forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from optuna.storages import InMemoryStorage

from se_search.run_config import DIRECTIONS
from se_search.store.database import SQLiteFile
from se_search.store.trial_attributes import Known
from se_search.store.trials import TrialStore


class MemoryStore(TrialStore):
    """Trials in memory: what a replay asks and tells without a file, ten times faster."""

    def __init__(self, objectives: Sequence[str]) -> None:
        self.place = SQLiteFile(Path("memory"))  # names the Optuna study
        self._objectives = tuple(objectives)
        self._storage = InMemoryStorage()
        self._open_study([DIRECTIONS[name] for name in objectives])

    def _read_known(self) -> list[Known]:
        return []

    def close(self) -> None:
        """Do nothing: there is no file."""
