"""The product's own searches of worlds of known trainings, and searches from before replicates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from se_search.candidate import Candidate
from se_search.cost import count_cost
from se_search.execution.serial import SerialExecutor
from se_search.record import Assignment, Evaluation, Rung, TrialRecord
from se_search.score import Score
from se_search.search.candidate_set import CandidateSet
from se_search.search.history import History, PastTrial
from se_search.search.loop import Budget, run_search
from se_search.search.pareto_sampler import ParetoSampler
from se_search.search.pool import PoolSource
from se_search.search.proposer import Proposer
from se_search.search.registry import SAMPLERS, Setup
from se_search.search.rotation import Rotation, count_replicates
from se_search.space.bound import BoundSpace
from se_search.space.everywhere import nearest_everywhere
from se_search.store.memory import MemoryStore
from se_search.surrogate.features import Factors

OBJECTIVES = ("accuracy", "params")


class Searchable(Protocol):
    """Trainings that can be looked up: a simulated world, or one of a crossed table."""

    @property
    def space(self) -> BoundSpace:
        """The space of the candidates."""

    @property
    def allowed(self) -> CandidateSet[Candidate]:
        """The candidates that may be trained; the plain network is in it."""

    @property
    def epochs(self) -> int:
        """The length of a full training."""

    @property
    def num_replicates(self) -> int | None:
        """How many replicates each candidate can have, numbered from 0; None: any number."""

    def look_up(self, assignment: Assignment[Candidate]) -> float:
        """Return the accuracy of a training, a share."""


def search(
    world: Searchable,
    sampler: str,
    seed: int,
    num_trials: int,
    *,
    rungs: tuple[Rung, ...] = (),
    scores: Sequence[Score] = (),
) -> list[TrialRecord]:
    """Search a world as ``se-search run --sampler SAMPLER --trials NUM_TRIALS`` does.

    The search ends earlier if the world has no further training.

    Args:
        world: where trainings are looked up.
        sampler: name of a sampler.
        seed: of the sampler.
        num_trials: how many trainings.
        rungs: what candidates are trained with in turn; empty: one full training each.
        scores: of cheap rungs, which the sampler ``pareto`` takes before the first training.
    """
    space, plain, most = world.space, Candidate.plain(world.space.backbone), world.num_replicates
    num_replicates = count_replicates(num_trials)
    everywhere = nearest_everywhere(space)
    setup = Setup(
        space,
        world.allowed,
        seed,
        count_cost,
        OBJECTIVES,
        world.epochs,
        control=plain,
        first=(everywhere,) if everywhere in world.allowed else (),
        most_replicates=None if most is None else lambda _: most,
    )
    rotation = Rotation(
        num_replicates if most is None else min(num_replicates, most),
        first_seed=0,
        control=plain,
        offered=None if most is None else lambda _: range(most),
    )
    chosen = SAMPLERS[sampler](setup)
    if scores:
        assert isinstance(chosen, ParetoSampler)
        chosen.take_scores(scores)
    with MemoryStore(OBJECTIVES) as store:
        run_search(
            space=space,
            store=store,
            sampler=chosen,
            executor=SerialExecutor(trainer(world)),
            count_cost=count_cost,
            objectives=OBJECTIVES,
            budget=Budget(num_trials, world.epochs, max_failures=1, rungs=rungs),
            rotation=rotation,
            lag=1,
        )
        return store.records


def search_one_seed(world: Searchable, seed: int, num_trials: int) -> list[TrialRecord]:
    """Search a world as se-search did before it knew replicates.

    All first trainings share a seed, a candidate's next training takes the next seed, there is no
    control, and the model takes the trainings for independent: each record names a replicate of
    its own, whatever it was trained in. The search ends earlier if the world has no further
    training.
    """
    space, most = world.space, world.num_replicates
    factors = Factors(space.describe_levels())
    source = PoolSource(
        space, lambda candidate: (count_cost(candidate).params,), seed, world.allowed
    )
    proposer = Proposer(
        factors,
        source,
        lambda codes: True,  # the source has the allowed ones alone
        seed,
        has_replicates=False,
        most_replicates=None if most is None else lambda _: most,
    )
    records: list[TrialRecord] = []
    past: list[PastTrial] = []
    counts: Counter[str] = Counter()
    train = trainer(world)
    for number in range(num_trials):
        history = History.of(past, world.epochs, factors.num_slots)
        if not proposer.has_next(history):
            break
        codes = proposer.decide(history).codes
        candidate = space.with_codes(codes)
        accuracy = train(Assignment(candidate, counts[candidate.key], world.epochs)).accuracy
        counts[candidate.key] += 1
        past.append(PastTrial(np.asarray(codes), "finished", world.epochs, number, accuracy))
        records.append(make_record(number, candidate, number, world.epochs, accuracy))
    return records


def trainer(world: Searchable) -> Callable[[Assignment[Candidate]], Evaluation]:
    """Return what looks up a training of a world, in place of training."""

    def train(assignment: Assignment[Candidate]) -> Evaluation:
        return Evaluation(world.look_up(assignment), loss=0.0, history=(), correct=b"", seconds=0.0)

    return train


def make_record(
    number: int, candidate: Candidate, seed: int, epochs: int, accuracy: float
) -> TrialRecord:
    """Return the record of a full training."""
    cost = count_cost(candidate)
    return TrialRecord(
        number=number,
        state="COMPLETE",
        candidate=str(candidate),
        key=candidate.key,
        placement=candidate.placement,
        seed=seed,
        epochs=epochs,
        accuracy=accuracy,
        loss=0.0,
        params=cost.params,
        added_params=cost.added_params,
        added_params_pct=cost.added_params_pct,
        macs=cost.macs,
        added_macs=cost.added_macs,
        seconds=0.0,
        reason=None,
    )
