"""The trials of a run, which Optuna's storage keeps in a SQLite file or in PostgreSQL."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, fields
from pathlib import Path
from types import TracebackType
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from se_search.cost import Cost
from se_search.errors import RunError
from se_search.record import (
    Assignment,
    Configuration,
    Effort,
    Evaluation,
    Failure,
    Role,
    TrialRecord,
)
from se_search.run_config import Direction
from se_search.store.database import BUSY_SECONDS
from se_search.store.places import TrialsPlace, as_place, explaining_errors
from se_search.store.trial_attributes import (
    ATTRIBUTE,
    Known,
    attributes_of,
    is_assigned,
    read_known,
)

RECORD_FIELDS = tuple(field.name for field in fields(TrialRecord))
EFFORT_FIELDS = tuple(field.name for field in fields(Effort))


def read_records(
    place: Path | TrialsPlace, busy_seconds: float = BUSY_SECONDS
) -> list[TrialRecord]:
    """Read the trials that have been assigned a training, by number.

    A search may be writing meanwhile. A SQLite file may lie in a folder that is read-only.

    Args:
        place: where the run's trials are; a path is one of a SQLite file.
        busy_seconds: how long to wait while another process keeps the file locked.

    Raises:
        RunError: the trials are not there, stay locked, or are not of se-search.
    """
    place = as_place(place)
    with explaining_errors(place, "can't be read as the trials of a run", Exception):
        known = read_known(place, busy_seconds) if place.exists() else []
    if not known:  # says what is not there
        return list_records(read_trials(place, busy_seconds))
    return [make_record(*trial) for trial in known if "candidate" in trial[2]]


def list_records(trials: Iterable[FrozenTrial]) -> list[TrialRecord]:
    """Return the records of the trials that have been assigned a training."""
    return [
        make_record(trial.number, trial.state, attributes_of(trial))
        for trial in trials
        if is_assigned(trial)
    ]


def read_trials(place: Path | TrialsPlace, busy_seconds: float = BUSY_SECONDS) -> list[FrozenTrial]:
    """Read all trials as Optuna has them, by number; arguments and errors of ``read_records``."""
    place = as_place(place)
    with explaining_errors(place, "can't be read as the trials of a run", Exception):
        if not place.exists():
            raise RunError(f"{place} is not there: no trials have been stored")
        with place.open_for_reading(busy_seconds) as database:
            storage = database.storage
            study = storage.get_study_id_from_name(place.study)
            trials = storage.get_all_trials(study, deepcopy=False)
    return sorted(trials, key=lambda trial: trial.number)


class TrialStore:
    """The trials of one run, open for writing by one process: the one that asks and tells.

    A method that an error of the database ended can be called again.

    Everything but the sampler's parameters stands in one user attribute (``trial_attributes``).
    Close the store, or enter it in a ``with``.

    Attributes:
        place: where the trials are.
        optuna_study: what asks for a trial.
    """

    def __init__(
        self,
        place: Path | TrialsPlace,
        objectives: Sequence[str],
        directions: Sequence[Direction],
        busy_seconds: float = BUSY_SECONDS,
    ) -> None:
        """Open the Optuna study at a place, or create it; a path is one of a SQLite file.

        Trials that a dead process left RUNNING become WAITING: they are trained anew.

        Raises:
            RunError: the place can't be opened, stays locked for ``busy_seconds``, or holds trials
                of other objectives.
        """
        self.place = as_place(place)
        self._objectives = tuple(objectives)
        with explaining_errors(self.place, "can't be opened for trials", Exception):
            self._database = self.place.open_for_writing(busy_seconds)
        self._storage: BaseStorage = self._database.storage
        try:
            with explaining_errors(self.place, "can't be opened for trials", Exception):
                self._open_study(directions)
        except BaseException:
            self._database.close()
            raise

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
        role: Role,
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
            **_list_latency(cost),
            "role": role,
            "candidate": str(candidate),
        }
        self._set_attributes(trial.number, attributes)
        return self._note(trial.number, TrialState.RUNNING)

    def restart(self, trial: optuna.Trial) -> TrialRecord:
        """Note that a trial that waited is trained again, with what it was assigned."""
        self._efforts.pop(trial.number, None)
        return self._note(trial.number, TrialState.RUNNING)

    def complete(self, number: int, evaluation: Evaluation) -> TrialRecord:
        """Note what a full training handed back."""
        if not self._has_ended(number):
            self._set_evaluation(number, evaluation)
            attributes = self._attributes[number]
            self.optuna_study.tell(number, [attributes[name] for name in self._objectives])
        return self._note(number, TrialState.COMPLETE)

    def prune(self, number: int, evaluation: Evaluation) -> TrialRecord:
        """Note what a shorter training handed back.

        Optuna is told no values, so that its own front compares full trainings alone.
        """
        if not self._has_ended(number):
            self._set_evaluation(number, evaluation)
            self.optuna_study.tell(number, state=TrialState.PRUNED)
        return self._note(number, TrialState.PRUNED)

    def fail(self, number: int, failure: Failure) -> TrialRecord:
        """Note that a training handed nothing back."""
        if not self._has_ended(number):
            effort = self._sum_effort(number, failure.effort)
            self._set_attributes(number, {"reason": failure.reason, **effort})
            self.optuna_study.tell(number, state=TrialState.FAIL)
        return self._note(number, TrialState.FAIL)

    def release(self, number: int, effort: Effort | None = None) -> TrialRecord:
        """Note that a training was broken off: the trial keeps its number and waits.

        Args:
            number: of the trial.
            effort: what it has taken so far, which counts when it is made again.
        """
        if effort is not None:
            self._set_attributes(number, self._sum_effort(number, effort))
        self._storage.set_trial_state_values(self._trial_id(number), TrialState.WAITING)
        return self._note(number, TrialState.WAITING)

    def close(self) -> None:
        """Close what was opened; SQLite then folds its log into its file."""
        self._database.close()

    def explaining_errors(self) -> AbstractContextManager[None]:
        """Turn errors of the database, until the ``with`` block ends, into a RunError."""
        return explaining_errors(self.place, "can't be read or written")

    def _open_study(self, directions: Sequence[Direction]) -> None:
        self.optuna_study = optuna.create_study(
            study_name=self.place.study,
            storage=self._storage,
            directions=list(directions),
            load_if_exists=True,
        )
        self._refuse_others(directions)
        with warnings.catch_warnings():
            # Experimental, and the only way to have the dashboard name the objectives.
            warnings.simplefilter("ignore", ExperimentalWarning)
            self.optuna_study.set_metric_names(list(self._objectives))
        # One process writes, so what stands in the file need not be read back after each write.
        self._trial_ids: dict[int, int] = {}
        self._attributes: dict[int, dict[str, Any]] = {}
        self._efforts: dict[int, Effort] = {}  # before the present command's attempts
        self._records: dict[int, TrialRecord] = {}
        for number, state, attributes in self._read_known():
            self._attributes[number] = attributes
            if state == TrialState.RUNNING:
                state = TrialState.WAITING
                self._storage.set_trial_state_values(self._trial_id(number), state)
            if "candidate" in attributes:
                self._note(number, state)

    def _read_known(self) -> list[Known]:
        return read_known(self.place, BUSY_SECONDS)

    def _refuse_others(self, directions: Sequence[Direction]) -> None:
        # Optuna opens an Optuna study of other directions without a word.
        stored = [direction.name.lower() for direction in self.optuna_study.directions]
        if stored != list(directions):
            raise RunError(
                f"{self.place} holds trials whose objectives are to {', '.join(stored)}, "
                f"not to {', '.join(directions)}"
            )

    def _trial_id(self, number: int) -> int:
        if number not in self._trial_ids:
            study_id = self._storage.get_study_id_from_name(self.place.study)
            found = self._storage.get_trial_id_from_study_id_trial_number(study_id, number)
            self._trial_ids[number] = found
        return self._trial_ids[number]

    def _set_attributes(self, number: int, attributes: Mapping[str, Any]) -> None:
        known = {**self._attributes.get(number, {}), **attributes}
        self._storage.set_trial_user_attr(self._trial_id(number), ATTRIBUTE, known)
        self._attributes[number] = known

    def _set_evaluation(self, number: int, evaluation: Evaluation) -> None:
        effort = self._sum_effort(number, evaluation.effort)
        self._set_attributes(number, {**describe_evaluation(evaluation), **effort})

    def _sum_effort(self, number: int, effort: Effort | None) -> dict[str, float]:
        """Return what attempts took beside what earlier commands spent on the trial."""
        if effort is None:
            return {}
        # By what stood there as the trial began: each of these methods may be called again.
        total = self._efforts.setdefault(number, self._read_effort(number)) + effort
        return {name: round(value, 3) for name, value in asdict(total).items()}

    def _read_effort(self, number: int) -> Effort:
        attributes = self._attributes[number]
        return Effort(**{name: attributes.get(name, 0) for name in EFFORT_FIELDS})

    def _has_ended(self, number: int) -> bool:
        """Tell whether a trial's end is stored: it was, before an error came."""
        return self._storage.get_trial(self._trial_id(number)).state.is_finished()

    def _note(self, number: int, state: TrialState) -> TrialRecord:
        self._records[number] = make_record(number, state, self._attributes[number])
        return self._records[number]


def make_record(number: int, state: TrialState, attributes: Mapping[str, Any]) -> TrialRecord:
    """Return a trial's record, from what its attribute holds."""
    known = {name: attributes.get(name) for name in RECORD_FIELDS}
    known |= {"number": number, "state": state.name}
    return TrialRecord(**known)  # type: ignore[arg-type]  # the writer's types


def _list_latency(cost: Cost) -> dict[str, int | None]:
    if cost.latency is None:
        return {}
    return {"latency": cost.latency, "added_latency": cost.added_latency}


def describe_evaluation(evaluation: Evaluation) -> dict[str, Any]:
    """Return what a trial's attribute holds of its result, but for what earlier attempts took."""
    effort = {} if evaluation.effort is None else asdict(evaluation.effort)
    ran_on = {} if evaluation.ran_on is None else asdict(evaluation.ran_on)
    return {
        "accuracy": evaluation.accuracy,
        "loss": evaluation.loss,
        "seconds": round(evaluation.seconds, 3),
        "split_seed": evaluation.split_seed,
        "split_hash": evaluation.split_hash,
        "history": [dict(row) for row in evaluation.history],
        **{name: value for name, value in ran_on.items() if value is not None},
        **{name: round(value, 3) for name, value in effort.items()},
    }
