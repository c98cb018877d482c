"""The search loop: asks for trials, hands them to an executor, and tells what came of them.

It is handed its store, sampler, cost function and executor, so that tests, and benchmarks on
tables of finished trainings, run the real loop without a training.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import partial
from typing import Generic, Protocol, TypeVar

import optuna

from se_search.analysis.pareto import summarize
from se_search.cost import Cost
from se_search.errors import TooManyFailuresError
from se_search.record import (
    ENDED_WELL,
    Assignment,
    CandidateT,
    Configuration,
    Evaluation,
    Failure,
    Rung,
    Stop,
    TrialRecord,
)
from se_search.search.candidate_space import CandidateSpace
from se_search.search.promotion import Ladder, Promotion
from se_search.search.samplers import CandidateSampler
from se_search.space.bound import Parameter
from se_search.space.schema import Choice
from se_search.store.trials import TrialStore

TrainedT = TypeVar("TrainedT", bound=Configuration, contravariant=True)


class Executor(Protocol, Generic[TrainedT]):
    """Trains assignments, several at a time."""

    def has_room(self) -> bool:
        """Tell whether another assignment can start now."""

    def submit(self, number: int, assignment: Assignment[TrainedT]) -> None:
        """Start trial ``number``."""

    def wait(self, timeout: float) -> list[tuple[int, Evaluation | Failure]]:
        """Return what has ended; block for at most ``timeout`` seconds if nothing has."""

    def kill(self) -> None:
        """End all that runs, at once."""


class Ending(IntEnum):
    """How the loop ended."""

    FINISHED = 0
    STOPPED = 1
    SETTLED = 2


@dataclass(frozen=True, slots=True)
class Progress:
    """Where the study stands, after each change.

    Attributes:
        completed: trainings that ended well, of any length.
        shorter: those of them that were shorter than a full one.
        best_accuracy: of full trainings, as front_size.
    """

    total: int
    completed: int
    failed: int
    running: int
    best_accuracy: float | None
    front_size: int
    shorter: int = 0
    changed: TrialRecord | None = None


@dataclass(frozen=True, slots=True)
class Budget:
    """What a study may spend.

    Attributes:
        num_trials: the study's total of trials, whatever their epochs; failed ones and those of
            earlier runs are included.
        epochs: of a full training.
        first_seed: of each candidate's first training; the next one takes the next seed.
        max_failures: the study stops after so many failed trials in a row.
        rungs: what candidates are trained with in turn, up to full trainings; empty: one of those.
    """

    num_trials: int
    epochs: int
    first_seed: int
    max_failures: int
    rungs: tuple[Rung, ...] = ()

    def __post_init__(self) -> None:
        """Check that the rungs end at full trainings."""
        assert not self.rungs or self.rungs[-1].epochs == self.epochs

    @property
    def ladder(self) -> Ladder:
        """The rungs, with the seeds of their trainings."""
        return Ladder(self.rungs or (Rung(self.epochs, 1),), self.first_seed)


def run_search(
    *,
    space: CandidateSpace[CandidateT],
    store: TrialStore,
    sampler: CandidateSampler[CandidateT],
    executor: Executor[CandidateT],
    count_cost: Callable[[CandidateT], Cost],
    objectives: tuple[str, ...],
    budget: Budget,
    promotion: Promotion = Promotion(),  # noqa: B008  # frozen
    tolerance: float | None = None,
    stop: Callable[[], Stop] = lambda: Stop.NO,
    observe: Callable[[Progress], None] = lambda _: None,
    keep: Callable[[int, Evaluation], None] = lambda *_: None,
) -> Ending:
    """Run trials until the study has ``budget.num_trials`` of them, or is asked to stop.

    Args:
        space: the candidates.
        store: where the trials stand; what is in it already counts.
        sampler: proposes candidates.
        executor: trains them.
        count_cost: prices them, exactly.
        objectives: of the study, accuracy first.
        budget: how much to spend.
        promotion: who climbs from one of the budget's rungs to the next.
        tolerance: the search ends when no candidate, were it known exactly, is expected to raise
            the front by more than this accuracy (0..1), averaged over its costs; None: it spends
            its budget.
        stop: asked about twice a second.
        observe: told of every change.
        keep: handed each evaluation that is complete, for what the store does not hold.

    Raises:
        TooManyFailuresError: ``budget.max_failures`` trials in a row failed.
    """
    store.optuna_study.sampler = sampler
    promotion = replace(promotion, score=promotion.score or sampler.score)
    running: set[int] = set()
    failures_in_a_row: list[str] = []

    def report(changed: TrialRecord | None) -> None:
        observe(_make_progress(store, objectives, budget, len(running), changed))

    def is_settled() -> bool:
        if tolerance is None or store.count("WAITING"):
            return False
        gain = sampler.expected_gain(store.optuna_study)
        if gain is None or gain >= tolerance:
            return False
        # What is due to climb goes first.
        due = budget.ladder.next_promotion(store.records, objectives[1:], promotion)
        return due is None

    report(None)
    while True:
        if stop() == Stop.NOW:
            executor.kill()
            for number in sorted(running):
                store.release(number)
            return Ending.STOPPED
        may_start = stop() == Stop.NO and len(failures_in_a_row) < budget.max_failures
        while may_start and executor.has_room() and _has_budget(store, budget) and not is_settled():
            record, assignment = _ask(
                store, space, sampler, count_cost, objectives, budget.ladder, promotion
            )
            executor.submit(record.number, assignment)
            running.add(record.number)
            report(record)
        if not running:
            break
        for number, outcome in executor.wait(timeout=0.5):
            running.discard(number)
            record = _tell(store, number, outcome, budget.epochs)
            if record.reason is not None:
                failures_in_a_row.append(record.reason)
            else:
                failures_in_a_row.clear()
                if isinstance(outcome, Evaluation):
                    keep(number, outcome)
            report(record)
    if len(failures_in_a_row) >= budget.max_failures:
        raise TooManyFailuresError(
            f"{len(failures_in_a_row)} trials in a row failed; the last one: "
            f"{failures_in_a_row[-1]}"
        )
    if stop():
        return Ending.STOPPED
    return Ending.SETTLED if _has_budget(store, budget) else Ending.FINISHED


def _has_budget(store: TrialStore, budget: Budget) -> bool:
    """Tell whether a trial may start: one that waits has been counted already."""
    return store.count("RUNNING", "FAIL", *ENDED_WELL) < budget.num_trials


def _ask(
    store: TrialStore,
    space: CandidateSpace[CandidateT],
    sampler: CandidateSampler[CandidateT],
    count_cost: Callable[[CandidateT], Cost],
    objectives: tuple[str, ...],
    ladder: Ladder,
    promotion: Promotion,
) -> tuple[TrialRecord, Assignment[CandidateT]]:
    """Ask for the next trial: one that was broken off, else a promotion, else a proposal.

    What it does depends on the study's trials alone, so that a continued study goes on as an
    undisturbed one would have.
    """
    chosen = None
    if not store.count("WAITING"):
        chosen = ladder.next_promotion(store.records, objectives[1:], promotion)
    sampler.planned = None if chosen is None else space.parse(chosen[0])
    try:
        trial = store.optuna_study.ask()
        if "candidate" in trial.user_attrs:
            record = store.restart(trial)
            candidate = space.parse(record.candidate)
            return record, Assignment(candidate, record.seed, record.epochs)
        candidate = space.choose(partial(_suggest, trial))
    finally:
        sampler.planned = None
    if chosen is None:
        epochs, seed = ladder.next_training([r for r in store.records if r.key == candidate.key])
    else:
        epochs, seed = chosen[1]
    assignment = Assignment(candidate, seed, epochs)
    cost = count_cost(candidate)
    return store.assign(trial, assignment, cost, promoted=chosen is not None), assignment


def _suggest(trial: optuna.Trial, parameter: Parameter) -> Choice:
    choice: Choice = trial.suggest_categorical(parameter.name, parameter.choices)  # type: ignore[assignment]  # one of the choices
    return choice


def _tell(
    store: TrialStore, number: int, outcome: Evaluation | Failure, full_epochs: int
) -> TrialRecord:
    if isinstance(outcome, Failure):
        return store.fail(number, outcome.reason)
    # Optuna would take an infinite value as a good one.
    if not (math.isfinite(outcome.accuracy) and math.isfinite(outcome.loss)):
        return store.fail(number, f"accuracy {outcome.accuracy}, loss {outcome.loss}: not finite")
    if store.record(number).epochs < full_epochs:
        return store.prune(number, outcome)
    return store.complete(number, outcome)


def _make_progress(
    store: TrialStore,
    objectives: tuple[str, ...],
    budget: Budget,
    num_running: int,
    changed: TrialRecord | None,
) -> Progress:
    summaries = summarize(store.records, objectives)
    return Progress(
        total=budget.num_trials,
        completed=store.count(*ENDED_WELL),
        shorter=store.count("PRUNED"),
        failed=store.count("FAIL"),
        running=num_running,
        best_accuracy=max((summary.accuracy for summary in summaries), default=None),
        front_size=sum(summary.on_front for summary in summaries),
        changed=changed,
    )
