"""The one writer: trial records in an Optuna study, kept in the run's SQLite file."""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.trial import TrialState

from se_search.cost import Cost
from se_search.errors import RunError
from se_search.record import Assignment, Configuration, Evaluation, TrialRecord
from se_search.run_config import Direction
from se_search.store.trial_reader import STUDY_NAME, make_record

optuna.logging.set_verbosity(optuna.logging.WARNING)


class TrialStore:
    """The trials of one study. One process writes: the coordinator, which asks and tells.

    Everything but the sampler's parameters stands in user attributes under the field names of
    TrialRecord, so that Optuna's dashboard shows it and ``store.reader`` finds it without Optuna.
    """

    def __init__(
        self, path: Path, objectives: Sequence[str], directions: Sequence[Direction]
    ) -> None:
        """Open the study in the SQLite file ``path``, or create both.

        Trials that a dead coordinator left RUNNING become WAITING: they are trained anew.

        Raises:
            RunError: the file can't be opened, or is no Optuna storage of these objectives.
        """
        try:
            _use_write_ahead_log(path)
            self._storage = optuna.storages.RDBStorage(
                f"sqlite:///{path}", engine_kwargs={"connect_args": {"timeout": 60}}
            )
            self.study = optuna.create_study(
                study_name=STUDY_NAME,
                storage=self._storage,
                directions=list(directions),
                load_if_exists=True,
            )
        except Exception as cause:  # sqlite3, SQLAlchemy, Alembic and Optuna each raise their own
            raise RunError(f"{path} can't be opened as a study: {cause}") from cause
        # Optuna takes other directions than the stored ones without a word.
        stored = [direction.name.lower() for direction in self.study.directions]
        if stored != list(directions):
            raise RunError(f"{path} holds a study of {stored}, not of {list(directions)}")
        with warnings.catch_warnings():
            # Experimental, and the only way to have the dashboard name the objectives.
            warnings.simplefilter("ignore", ExperimentalWarning)
            self.study.set_metric_names(list(objectives))
        self._objectives = tuple(objectives)
        # One process writes, so what stands in the file need not be read back after each write.
        self._trial_ids: dict[int, int] = {}
        self._attributes: dict[int, dict[str, Any]] = {}
        self._records: dict[int, TrialRecord] = {}
        for trial in self.study.get_trials(deepcopy=False):
            self._attributes[trial.number] = dict(trial.user_attrs)
            state = trial.state
            if state == TrialState.RUNNING:
                state = TrialState.WAITING
                self._storage.set_trial_state_values(self._trial_id(trial.number), state)
            if "candidate" in trial.user_attrs:
                self._note(trial.number, state)

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
        self.study.tell(number, [attributes[name] for name in self._objectives])
        return self._note(number, TrialState.COMPLETE)

    def prune(self, number: int, evaluation: Evaluation) -> TrialRecord:
        """Note what a shorter training handed back.

        Optuna is told no values, so that its own front compares full trainings alone.
        """
        self._set_evaluation(number, evaluation)
        self.study.tell(number, state=TrialState.PRUNED)
        return self._note(number, TrialState.PRUNED)

    def fail(self, number: int, reason: str) -> TrialRecord:
        """Note that a training handed nothing back."""
        self._set_attributes(number, {"reason": reason})
        self.study.tell(number, state=TrialState.FAIL)
        return self._note(number, TrialState.FAIL)

    def release(self, number: int) -> TrialRecord:
        """Note that a training was broken off: the trial keeps its number and waits."""
        self._storage.set_trial_state_values(self._trial_id(number), TrialState.WAITING)
        return self._note(number, TrialState.WAITING)

    def close(self) -> None:
        """Close the file; SQLite then folds its log into it."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    def _trial_id(self, number: int) -> int:
        if number not in self._trial_ids:
            study_id = self._storage.get_study_id_from_name(STUDY_NAME)
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
        self._records[number] = make_record(number, state.name, self._attributes[number])
        return self._records[number]


def _use_write_ahead_log(path: Path) -> None:
    """Let the dashboard and reports read while the coordinator writes; the file remembers it."""
    connection = sqlite3.connect(path, timeout=60)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()
