"""The search loop: asks the sampler for trials, and tells it how their trainings ended.

It is handed its store, sampler, cost function and executor, so that tests, and benchmarks on
tables of finished trainings, run the real loop without a training.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import partial
from typing import Generic

import optuna

from se_search.analysis.pareto import summarize
from se_search.cost import Cost
from se_search.errors import AllFailedError, TooManyFailuresError
from se_search.execution.drive import drive
from se_search.execution.executor import Executor
from se_search.execution.storing import Room
from se_search.record import (
    ENDED_WELL,
    Assignment,
    CandidateT,
    Effort,
    EpochRow,
    Evaluation,
    Failure,
    Progress,
    Rung,
    Stop,
    TrialRecord,
)
from se_search.search.candidate_space import CandidateSpace
from se_search.search.climb import Climb
from se_search.search.lag import View
from se_search.search.planning import Plan, Planner
from se_search.search.promotion import Promotion
from se_search.search.rotation import Rotation
from se_search.search.samplers import CandidateSampler
from se_search.search.settling import Settling
from se_search.space.parameters import Parameter
from se_search.space.schema import Choice
from se_search.store.trials import TrialStore


class Ending(IntEnum):
    """How a search ended.

    With all its trials, by a stop, because the front has settled, or because every candidate
    within the limits has been trained.
    """

    FINISHED = 0
    STOPPED = 1
    SETTLED = 2
    EXHAUSTED = 3


@dataclass(frozen=True, slots=True)
class Budget:
    """What a search may spend.

    Attributes:
        num_trials: the run's total of trials, whatever their epochs; failed trials and those of
            earlier commands are included.
        epochs: of a full training.
        max_failures: the search stops after this many failed trials in a row, of all that the run
            has had, in the order of their numbers.
        rungs: what candidates are trained with in turn, up to full trainings; empty: one full
            training each.
    """

    num_trials: int
    epochs: int
    max_failures: int
    rungs: tuple[Rung, ...] = ()

    def __post_init__(self) -> None:
        """Check that the rungs end at full trainings."""
        assert not self.rungs or self.rungs[-1].epochs == self.epochs

    @property
    def climb(self) -> Climb:
        """The rungs; a search without is of one training each."""
        return Climb(self.rungs or (Rung(self.epochs, 1),))


def run_search(
    *,
    space: CandidateSpace[CandidateT],
    store: TrialStore,
    sampler: CandidateSampler[CandidateT],
    executor: Executor[CandidateT],
    count_cost: Callable[[CandidateT], Cost],
    objectives: tuple[str, ...],
    budget: Budget,
    rotation: Rotation[CandidateT],
    lag: int,
    promotion: Promotion = Promotion(),  # noqa: B008  # frozen
    probes: Sequence[Assignment[CandidateT]] = (),
    is_settled: Callable[[Sequence[TrialRecord]], bool] | None = None,
    stop: Callable[[], Stop] = lambda: Stop.NO,
    observe: Callable[[Progress], None] | None = None,
    keep: Callable[[int, Evaluation], None] = lambda *_: None,
    advance: Callable[[TrialRecord, EpochRow], None] = lambda *_: None,
    room: Room = Room(),  # noqa: B008  # frozen
) -> Ending:
    """Run trials until the store has ``budget.num_trials`` of them, or a stop is asked for.

    Args:
        space: the candidates.
        store: holds the trials; those that it has already count.
        sampler: proposes candidates.
        executor: trains them.
        count_cost: returns what a candidate costs, exactly.
        objectives: names of the objectives, accuracy first.
        budget: how much to spend.
        rotation: which replicate each training takes.
        lag: what trial n trains is chosen by the results of trials 0 to ``n - lag`` alone, so that
            which trials are made does not depend on which training is faster. At most ``lag``
            trainings run at a time; with 1 all results are known.
        promotion: how candidates are chosen for the next of the budget's rungs.
        probes: full trainings that are made before all others, in their order, as far as the run
            does not have them; the control of a probe's replicate comes before it.
        is_settled: is handed trials that have all ended and tells whether the search may end; see
            ``Settling``. None: the search spends its budget.
        stop: asked before each start, and at least every half second.
        observe: told of every change; None: nobody is.
        keep: handed each finite evaluation with its trial's number, for what the store lacks,
            before the store has it.
        advance: told of each epoch of a trial that runs.
        room: what is done when results can't be stored.

    Raises:
        InfrastructureError: a fault of the machine stopped the search.
        TooManyFailuresError: the last ``budget.max_failures`` trials failed, and the search is to
            have more.
    """
    assert lag >= 1
    store.optuna_study.sampler = sampler
    promotion = replace(promotion, score=promotion.score or sampler.score)
    if sampler.fills_blocks:
        rotation = replace(rotation, num_replicates=1)
    planner = Planner(budget.climb, rotation, promotion, objectives[1:], budget.epochs, probes)
    trials = _Trials(
        *(space, store, sampler, count_cost, objectives, budget, planner, lag),
        *(None if is_settled is None else Settling(is_settled), observe, keep, advance),
    )
    trials.report(None)
    # Failures are counted here, in the order of the trials; drive would count as they come.
    if drive(trials, executor, max_failures=None, stop=stop, room=room) != Stop.NO:
        return Ending.STOPPED
    return trials.ending()


def refuse_all_failed(records: Sequence[TrialRecord]) -> None:
    """Refuse the trials of a search that has ended if every one failed.

    Raises:
        AllFailedError: there are trials, and all failed; the message has the most frequent reason.
    """
    if not records or any(record.state != "FAIL" for record in records):
        return
    reasons = Counter(record.reason for record in records)
    reason, count = reasons.most_common(1)[0]
    if len(records) == 1:
        raise AllFailedError(f"the only trial failed, so there is no front: {reason}")
    raise AllFailedError(
        f"all {len(records)} trials failed, so there is no front; the most frequent reason "
        f"({count} of {len(records)}): {reason}"
    )


@dataclass(frozen=True, slots=True)
class _Trials(Generic[CandidateT]):
    """The trials of a search, as work for ``drive``; see ``run_search`` for its attributes.

    What begins next depends on the stored trials alone, and on results up to the lag, so that a
    continued search goes on as an undisturbed one. Where these results let no trial begin, because
    nothing is left to propose, the front has settled or too many trials have failed, one result
    more is waited for, until all are known: only then the search ends.

    Attributes:
        ruled_out: by number of a trial, how many results are known not to let it begin.
    """

    space: CandidateSpace[CandidateT]
    store: TrialStore
    sampler: CandidateSampler[CandidateT]
    count_cost: Callable[[CandidateT], Cost]
    objectives: tuple[str, ...]
    budget: Budget
    planner: Planner[CandidateT]
    lag: int
    settling: Settling | None
    observe: Callable[[Progress], None] | None
    keep: Callable[[int, Evaluation], None]
    tell: Callable[[TrialRecord, EpochRow], None]
    ruled_out: dict[int, int] = field(default_factory=dict)

    def begin(self) -> tuple[int, Assignment[CandidateT]] | None:
        """Begin a trial that was broken off, the next that is due, or the sampler's proposal."""
        with self.store.explaining_errors():
            if not self.has_budget():
                return None
            if self.store.count("WAITING"):
                record, assignment = self._restart()
            else:
                view = self._find_view()
                if view is None:
                    return None
                record, assignment = self._ask(view)
        self.report(record)
        return record.number, assignment

    def advance(self, number: int, row: EpochRow) -> None:
        """Tell how far a training has come; nothing is decided by it."""
        self.tell(self.store.record(number), row)

    def end(self, number: int, outcome: Evaluation | Failure) -> None:
        """Store how a training ended."""
        with self.store.explaining_errors():
            if isinstance(outcome, Evaluation):
                self.keep(number, outcome)  # first: a trial that has ended well has all its files
            if isinstance(outcome, Failure):
                record = self.store.fail(number, outcome)
            elif self.store.record(number).epochs < self.budget.epochs:
                record = self.store.prune(number, outcome)
            else:
                record = self.store.complete(number, outcome)
        self.report(record)

    def release(self, number: int, effort: Effort | None) -> None:
        """Store that a training was broken off: its trial waits for the next command."""
        with self.store.explaining_errors():
            self.store.release(number, effort)

    def has_results(self) -> bool:
        """Tell whether any training has ended well, those of earlier commands too."""
        return self.store.count(*ENDED_WELL) > 0

    def has_budget(self) -> bool:
        """Tell whether a trial may start: one that waits has been counted already."""
        num_begun = self.store.count("RUNNING", "FAIL", *ENDED_WELL)
        return num_begun < self.budget.num_trials

    def report(self, changed: TrialRecord | None) -> None:
        """Tell the observer, if there is one, how far the search has come."""
        if self.observe is None:
            return
        store = self.store
        summaries = summarize(store.records, self.objectives)
        self.observe(
            Progress(
                total=self.budget.num_trials,
                completed=store.count(*ENDED_WELL),
                shorter=store.count("PRUNED"),
                failed=store.count("FAIL"),
                running=store.count("RUNNING"),
                best_accuracy=max((summary.accuracy for summary in summaries), default=None),
                front_size=sum(summary.on_front for summary in summaries),
                changed=changed,
            )
        )

    def ending(self) -> Ending:
        """Return how the search has ended by itself, as nothing runs.

        Raises:
            TooManyFailuresError: by too many failures in a row.
        """
        if not self.has_budget():
            return Ending.FINISHED
        records = self.store.records
        view = View(records, len(records))
        row = view.failures_in_a_row
        if len(row) >= self.budget.max_failures:
            raise TooManyFailuresError(
                f"{len(row)} trainings in a row failed; the last one: {row[-1].reason}. "
                "A larger --max-failures goes on"
            )
        return Ending.SETTLED if self._is_settled(view) else Ending.EXHAUSTED

    def _find_view(self) -> View | None:
        """Return the trials as the next one is chosen by them; None: it can't begin (now)."""
        records = self.store.records
        number = len(records)
        fewest = max(0, number + 1 - self.lag, self.ruled_out.get(number, -1) + 1)
        for num_known in range(fewest, number + 1):
            view = View.of(records, num_known)
            if view is None:
                return None
            if self._may_follow(view):
                return view
            self.ruled_out[number] = num_known
        return None

    def _may_follow(self, view: View) -> bool:
        """Tell whether these results let another trial begin."""
        return (
            len(view.failures_in_a_row) < self.budget.max_failures
            and not self._is_settled(view)
            and not self._is_exhausted(view)
        )

    def _is_settled(self, view: View) -> bool:
        """Tell whether the search may end, as nothing is due."""
        return (
            self.settling is not None
            and self.settling.holds(view.records)
            and not self.planner.has_due(view.records)
        )

    def _is_exhausted(self, view: View) -> bool:
        """Tell whether nothing is due or can be proposed."""
        has_next = self.sampler.has_next(view.show(self.store.optuna_study))
        return not has_next and not self.planner.has_due(view.records)

    def _restart(self) -> tuple[TrialRecord, Assignment[CandidateT]]:
        """Begin a trial that was broken off, the first that waits."""
        record = self.store.restart(self.store.optuna_study.ask())
        candidate = self.space.parse(record.candidate)
        return record, Assignment(candidate, record.seed, record.epochs)

    def _ask(self, view: View) -> tuple[TrialRecord, Assignment[CandidateT]]:
        store, sampler = self.store, self.sampler
        plan = self._plan_ahead(view)

        def admit(proposal: CandidateT) -> CandidateT:
            nonlocal plan
            plan = self.planner.plan(view.records, proposal, sampler.role)
            return plan.assignment.candidate

        sampler.see = view.show
        sampler.planned = None if plan is None else plan.assignment.candidate
        sampler.admit = admit
        trial = store.optuna_study.ask()
        _ = trial.relative_params  # has the sampler propose
        assert plan is not None, "the sampler hands its proposal to admit"
        assignment, role = plan
        if assignment.candidate in self.space:
            self.space.choose(partial(_suggest, trial))
        cost = self.count_cost(assignment.candidate)
        return store.assign(trial, assignment, cost, role), assignment

    def _plan_ahead(self, view: View) -> Plan[CandidateT] | None:
        """Return what comes before a proposal: a probe, a control that is due, or a promotion."""
        plan = self.planner.plan_ahead(view.records)
        chosen = None if plan is not None else self.planner.next_promotion(view.records)
        if chosen is None:
            return plan
        text, step = chosen
        return self.planner.plan(view.records, self.space.parse(text), "promotion", step)


def _suggest(trial: optuna.Trial, parameter: Parameter) -> Choice:
    choice: Choice = trial.suggest_categorical(parameter.name, parameter.choices)  # type: ignore[assignment]  # one of the choices
    return choice
