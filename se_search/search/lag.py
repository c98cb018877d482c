"""The trials of a search as its next one sees them: with results up to a fixed lag.

Which of several workers is faster is chance. So that chance does not choose what is trained, trial
n of a search of lag L is asked for by the results of trials 0 to n - L. Those are waited for; the
results of later trials are not looked at, even where they are there. A search that was killed, that
goes on with other workers, or on another day, thus makes the same trials as an undisturbed one.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from se_search.record import TrialRecord
from se_search.search.study_view import StudyView
from se_search.store.trial_attributes import ATTRIBUTE, attributes_of

UNDER_WAY = ("RUNNING", "WAITING")
# Trials of the lag for each worker. One would have all workers wait for the slowest training. Where
# durations vary threefold and one training in ten takes three times as long, three keep up to eight
# workers busy for 97 % of the time, but 64 workers for 88 %, and four 64 workers for 99 %
# (benchmarks/busy_workers.py).
TRIALS_A_WORKER, TRIALS_A_WORKER_OF_MANY = 3, 4
FEW_WORKERS = 8
RESULTS = ("accuracy", "loss", "seconds", "reason", "split_seed", "split_hash")


def choose_lag(num_workers: int) -> int:
    """Return the lag of a new search: 3 trials for each worker, 4 where there are more than 8."""
    few = num_workers <= FEW_WORKERS
    return num_workers * (TRIALS_A_WORKER if few else TRIALS_A_WORKER_OF_MANY)


@dataclass(frozen=True, slots=True)
class View:
    """The trials of a search, those from some number on without results, as if they ran still.

    Attributes:
        records: all trials, by number.
        num_known: number of trials, counted from the first, that have ended and show their results.
    """

    records: Sequence[TrialRecord]
    num_known: int

    @classmethod
    def of(cls, records: Sequence[TrialRecord], num_known: int) -> View | None:
        """Return the view of all trials, by number; None: one of the known has not ended."""
        known, hidden = records[:num_known], records[num_known:]
        if any(record.state in UNDER_WAY for record in known):
            return None
        return cls([*known, *map(_as_running, hidden)], num_known)

    @property
    def failures_in_a_row(self) -> list[TrialRecord]:
        """The trials that have failed since the last one that has ended well, by number."""
        row: list[TrialRecord] = []
        for record in reversed(self.records[: self.num_known]):
            if record.state != "FAIL":
                break
            row.insert(0, record)
        return row

    def show(self, study: Study) -> Any:  # what Optuna's samplers take for a Study
        """Return the Optuna study of these trials, as a sampler is to see it."""
        trials = study.get_trials(deepcopy=False)
        return StudyView(study, hide_results(trials, self.num_known))


def hide_results(trials: Sequence[FrozenTrial], num_known: int) -> list[FrozenTrial]:
    """Return an Optuna study's trials, those from number ``num_known`` on as if they ran still."""
    return [t if t.number < num_known else _as_running_trial(t) for t in trials]


def _as_running(record: TrialRecord) -> TrialRecord:
    nothing: dict[str, Any] = dict.fromkeys(RESULTS)
    return replace(record, state="RUNNING", **nothing)


def _as_running_trial(trial: FrozenTrial) -> FrozenTrial:
    running = copy.copy(trial)
    running.state = TrialState.RUNNING
    running.values = None
    running.datetime_complete = None
    hidden = (*RESULTS, "history")
    known = {k: v for k, v in attributes_of(trial).items() if k not in hidden}
    running.user_attrs = {ATTRIBUTE: known}
    return running
