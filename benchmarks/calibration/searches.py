"""Trainings in simulated worlds: of the product's own searches, and of those before replicates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import optuna

from benchmarks.calibration.worlds import World
from se_search.candidate import Candidate
from se_search.cost import count_cost
from se_search.execution.serial import SerialExecutor
from se_search.record import Assignment, Evaluation, TrialRecord
from se_search.run_config import DIRECTIONS
from se_search.search.candidate_set import WholeSpace
from se_search.search.history import History, PastTrial
from se_search.search.loop import Budget, run_search
from se_search.search.pool import PoolSource
from se_search.search.proposer import Proposer
from se_search.search.registry import SAMPLERS, Setup
from se_search.search.rotation import Rotation, count_replicates
from se_search.space.everywhere import nearest_everywhere
from se_search.store.trials import TrialStore
from se_search.surrogate.features import Factors

OBJECTIVES = ("accuracy", "params")
EPOCHS = 1  # of a full training; a simulated one takes none


class MemoryStore(TrialStore):
    """Trials of a search that is read once and forgotten: in memory, ten times faster."""

    def __init__(self) -> None:
        self._objectives = OBJECTIVES
        self._storage = optuna.storages.InMemoryStorage()
        self._open_study([DIRECTIONS[name] for name in OBJECTIVES])

    def close(self) -> None:
        """Do nothing: there is no file."""


def search(
    world: World,
    sampler: str,
    seed: int,
    num_trials: int,
    make_store: Callable[[], TrialStore] = MemoryStore,
) -> list[TrialRecord]:
    """Search a world as ``se-search run --sampler SAMPLER --trials NUM_TRIALS`` does.

    Args:
        world: where trainings are looked up.
        sampler: name of a sampler.
        seed: of the sampler.
        num_trials: how many trainings.
        make_store: opens what holds the trials.
    """
    space, plain = world.space, Candidate.plain(world.space.backbone)
    setup = Setup(
        space,
        WholeSpace(space),
        seed,
        count_cost,
        OBJECTIVES,
        EPOCHS,
        control=plain,
        first=(nearest_everywhere(space),),
    )
    with make_store() as store:
        run_search(
            space=space,
            store=store,
            sampler=SAMPLERS[sampler](setup),
            executor=SerialExecutor(trainer(world)),
            count_cost=count_cost,
            objectives=OBJECTIVES,
            budget=Budget(num_trials, EPOCHS, max_failures=1),
            rotation=Rotation(count_replicates(num_trials), first_seed=0, control=plain),
        )
        return store.records


def search_one_seed(world: World, seed: int, num_trials: int) -> list[TrialRecord]:
    """Search a world as se-search did before it knew replicates.

    All first trainings share a seed, a candidate's next training takes the next seed, there is no
    control, and the model takes the trainings for independent: each record names a replicate of
    its own, whatever it was trained in.
    """
    space = world.space
    factors = Factors(space.describe_levels())
    source = PoolSource(space, lambda candidate: (count_cost(candidate).params,), seed)
    proposer = Proposer(factors, source, lambda codes: True, seed, has_replicates=False)
    records: list[TrialRecord] = []
    past: list[PastTrial] = []
    counts: Counter[str] = Counter()
    train = trainer(world)
    for number in range(num_trials):
        codes = proposer.decide(History.of(past, EPOCHS, factors.num_slots)).codes
        candidate = space.with_codes(codes)
        accuracy = train(Assignment(candidate, counts[candidate.key], EPOCHS)).accuracy
        counts[candidate.key] += 1
        past.append(PastTrial(np.asarray(codes), "finished", EPOCHS, number, accuracy))
        records.append(make_record(number, candidate, number, accuracy))
    return records


def trainer(world: World) -> Callable[[Assignment[Candidate]], Evaluation]:
    """Return what looks up a training of a world, in place of training."""

    def train(assignment: Assignment[Candidate]) -> Evaluation:
        accuracy = world.accuracy(world.row_of(assignment.candidate.key), assignment.seed)
        return Evaluation(accuracy, loss=0.0, history=(), correct=b"", seconds=0.0)

    return train


def make_record(number: int, candidate: Candidate, seed: int, accuracy: float) -> TrialRecord:
    """Return the record of a full training."""
    cost = count_cost(candidate)
    return TrialRecord(
        number=number,
        state="COMPLETE",
        candidate=str(candidate),
        key=candidate.key,
        placement=candidate.placement,
        seed=seed,
        epochs=EPOCHS,
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
