"""The trials of a run, which Optuna's storage keeps in the run's SQLite file."""

from __future__ import annotations

import os
import sqlite3
import warnings
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy.pool import QueuePool

from se_search.cost import Cost
from se_search.errors import RunError
from se_search.record import Assignment, Configuration, Evaluation, TrialRecord
from se_search.run_config import Direction

OPTUNA_STUDY = "se-search"  # the name of the Optuna study in the file
RECORD_FIELDS = tuple(field.name for field in fields(TrialRecord))
BUSY_SECONDS = 60  # how long to wait for another process that is writing

optuna.logging.set_verbosity(optuna.logging.WARNING)


def read_records(path: Path) -> list[TrialRecord]:
    """Read the trials that have been assigned a training, by number.

    A search may be writing to the file meanwhile. The file may lie in a folder that is read-only.

    Args:
        path: the run's SQLite file.

    Raises:
        RunError: the file is not there, or holds no Optuna study of se-search.
    """
    if not path.is_file():
        raise RunError(f"{path} is not there: no trials have been stored")
    pool = _connect(path, _choose_mode(path))
    try:
        # The check would import Alembic's migrations, which takes longer than reading the trials.
        storage = RDBStorage(
            f"sqlite:///{path}",
            {"pool": pool},
            skip_compatibility_check=True,
            skip_table_creation=True,
        )
        trials = storage.get_all_trials(
            storage.get_study_id_from_name(OPTUNA_STUDY), deepcopy=False
        )
        storage.remove_session()
    except Exception as cause:  # sqlite3, SQLAlchemy and Optuna each raise their own
        raise RunError(f"{path} can't be read as the trials of a run: {_reason(cause)}") from cause
    finally:
        pool.dispose()
    return [
        _make_record(trial.number, trial.state, trial.user_attrs)
        for trial in sorted(trials, key=lambda trial: trial.number)
        if "candidate" in trial.user_attrs
    ]


class TrialStore:
    """The trials of one run, open for writing by one process: the one that asks and tells.

    Everything but the sampler's parameters stands in user attributes under the field names of
    TrialRecord, so that Optuna's dashboard shows it. Close the store, or enter it in a ``with``.

    Attributes:
        optuna_study: what asks for a trial.
    """

    def __init__(
        self, path: Path, objectives: Sequence[str], directions: Sequence[Direction]
    ) -> None:
        """Open the Optuna study in the SQLite file ``path``, or create both.

        Trials that a dead process left RUNNING become WAITING: they are trained anew.

        Raises:
            RunError: the file can't be opened, or holds trials of other objectives.
        """
        self._objectives = tuple(objectives)
        self._pool = _connect(path, "rwc")
        try:
            _use_write_ahead_log(path)
            self._storage = RDBStorage(f"sqlite:///{path}", {"pool": self._pool})
            self.optuna_study = optuna.create_study(
                study_name=OPTUNA_STUDY,
                storage=self._storage,
                directions=list(directions),
                load_if_exists=True,
            )
            self._refuse_others(path, directions)
        except RunError:
            self._pool.dispose()
            raise
        except Exception as cause:  # sqlite3, SQLAlchemy, Alembic and Optuna each raise their own
            self._pool.dispose()
            raise RunError(f"{path} can't be opened for trials: {_reason(cause)}") from cause
        with warnings.catch_warnings():
            # Experimental, and the only way to have the dashboard name the objectives.
            warnings.simplefilter("ignore", ExperimentalWarning)
            self.optuna_study.set_metric_names(list(objectives))
        # One process writes, so what stands in the file need not be read back after each write.
        self._trial_ids: dict[int, int] = {}
        self._attributes: dict[int, dict[str, Any]] = {}
        self._records: dict[int, TrialRecord] = {}
        for trial in self.optuna_study.get_trials(deepcopy=False):
            self._attributes[trial.number] = dict(trial.user_attrs)
            state = trial.state
            if state == TrialState.RUNNING:
                state = TrialState.WAITING
                self._storage.set_trial_state_values(self._trial_id(trial.number), state)
            if "candidate" in trial.user_attrs:
                self._note(trial.number, state)

    def __enter__(self) -> TrialStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def records(self) -> list[TrialRecord]:
        """All trials, by number."""
        return [self._records[number] for number in sorted(self._records)]

    def record(self, number: int) -> TrialRecord:
        """Return one trial, which must have been assigned."""
        return self._records[number]

    def count(self, *states: str) -> int:
        """Count the trials in any of the states."""
        return sum(record.state in states for record in self._records.values())

    def assign(
        self,
        trial: optuna.Trial,
        assignment: Assignment[Configuration],
        cost: Cost,
        promoted: bool = False,
    ) -> TrialRecord:
        """Note what a trial that has just been asked for will train."""
        candidate = assignment.candidate
        attributes = {
            "key": candidate.key,
            "placement": candidate.placement,
            "seed": assignment.seed,
            "epochs": assignment.epochs,
            "params": cost.params,
            "added_params": cost.added_params,
            "added_params_pct": round(cost.added_params_pct, 4),
            "macs": cost.macs,
            "added_macs": cost.added_macs,
            "promoted": promoted,
            "candidate": str(candidate),  # last: a trial that has it has been assigned
        }
        self._set_attributes(trial.number, attributes)
        return self._note(trial.number, TrialState.RUNNING)

    def restart(self, trial: optuna.Trial) -> TrialRecord:
        """Note that a trial that waited is trained again, with what it was assigned."""
        return self._note(trial.number, TrialState.RUNNING)

    def complete(self, number: int, evaluation: Evaluation) -> TrialRecord:
        """Note what a full training handed back."""
        self._set_evaluation(number, evaluation)
        attributes = self._attributes[number]
        self.optuna_study.tell(number, [attributes[name] for name in self._objectives])
        return self._note(number, TrialState.COMPLETE)

    def prune(self, number: int, evaluation: Evaluation) -> TrialRecord:
        """Note what a shorter training handed back.

        Optuna is told no values, so that its own front compares full trainings alone.
        """
        self._set_evaluation(number, evaluation)
        self.optuna_study.tell(number, state=TrialState.PRUNED)
        return self._note(number, TrialState.PRUNED)

    def fail(self, number: int, reason: str) -> TrialRecord:
        """Note that a training handed nothing back."""
        self._set_attributes(number, {"reason": reason})
        self.optuna_study.tell(number, state=TrialState.FAIL)
        return self._note(number, TrialState.FAIL)

    def release(self, number: int) -> TrialRecord:
        """Note that a training was broken off: the trial keeps its number and waits."""
        self._storage.set_trial_state_values(self._trial_id(number), TrialState.WAITING)
        return self._note(number, TrialState.WAITING)

    def close(self) -> None:
        """Close the file; SQLite then folds its log into it."""
        self._storage.remove_session()
        self._pool.dispose()

    def _refuse_others(self, path: Path, directions: Sequence[Direction]) -> None:
        # Optuna opens an Optuna study of other directions without a word.
        stored = [direction.name.lower() for direction in self.optuna_study.directions]
        if stored != list(directions):
            raise RunError(
                f"{path} holds trials whose objectives are to {', '.join(stored)}, "
                f"not to {', '.join(directions)}"
            )

    def _trial_id(self, number: int) -> int:
        if number not in self._trial_ids:
            study_id = self._storage.get_study_id_from_name(OPTUNA_STUDY)
            found = self._storage.get_trial_id_from_study_id_trial_number(study_id, number)
            self._trial_ids[number] = found
        return self._trial_ids[number]

    def _set_attributes(self, number: int, attributes: dict[str, Any]) -> None:
        for key, value in attributes.items():
            self._storage.set_trial_user_attr(self._trial_id(number), key, value)
        self._attributes.setdefault(number, {}).update(attributes)

    def _set_evaluation(self, number: int, evaluation: Evaluation) -> None:
        self._set_attributes(
            number,
            {
                "accuracy": evaluation.accuracy,
                "loss": evaluation.loss,
                "seconds": round(evaluation.seconds, 3),
                "history": [dict(row) for row in evaluation.history],
            },
        )

    def _note(self, number: int, state: TrialState) -> TrialRecord:
        self._records[number] = _make_record(number, state, self._attributes[number])
        return self._records[number]


def _make_record(number: int, state: TrialState, attributes: Mapping[str, Any]) -> TrialRecord:
    known = {name: attributes.get(name) for name in RECORD_FIELDS}
    known |= {"number": number, "state": state.name, "promoted": bool(attributes.get("promoted"))}
    return TrialRecord(**known)  # type: ignore[arg-type]  # the writer's types


def _connect(path: Path, mode: str) -> QueuePool:
    """Return connections that are closed by ``dispose``, also where making a storage fails."""
    uri = f"{path.absolute().as_uri()}?mode={mode}"

    def connect() -> Any:  # SQLAlchemy's type of a connection does not fit sqlite3's
        return sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, check_same_thread=False)

    return QueuePool(connect)


def _choose_mode(path: Path) -> str:
    """Return how to open a file for reading, as a part of SQLite's URI."""
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        # For writing, although nothing is written: a read-only connection would leave the files
        # of SQLite's write-ahead log behind.
        return "rw"
    if path.with_name(f"{path.name}-wal").exists():
        return "ro"  # somebody else is writing, or was killed, and the log has newer trials
    return "ro&immutable=1"  # without a log, and none can be made: SQLite must not ask for one


def _use_write_ahead_log(path: Path) -> None:
    """Let the dashboard and reports read while the coordinator writes; the file remembers it."""
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


def _reason(error: BaseException) -> str:
    """Return what SQLite says, which Optuna and SQLAlchemy wrap in errors of their own."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error)
