"""Searches of a world: what they train, and the seeds that they may not see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.calibration.worlds import Array, World
from se_search.search.history import History
from se_search.search.pool import PoolSource
from se_search.search.proposer import Proposer
from se_search.seeds import derive_seed
from se_search.surrogate.features import Factors
from se_search.surrogate.trainings import Trainings


@dataclass(frozen=True)
class Search:
    """The trainings of one search, in order.

    Attributes:
        sampler: ``pareto`` or ``random``.
        run: the seed of the search.
        rows: ``(trials,)``, the row of each trained candidate.
        accuracies: ``(trials,)`` shares, as the search saw them.
        held_back: ``(size, h)`` shares of the seeds that the search may not see.
    """

    world: World
    sampler: str
    run: int
    rows: NDArray[np.int64]
    accuracies: Array
    held_back: Array

    def first(self, count: int) -> Search:
        """Return the search as it was after ``count`` trainings."""
        return Search(
            self.world,
            self.sampler,
            self.run,
            self.rows[:count],
            self.accuracies[:count],
            self.held_back,
        )


def search(world: World, sampler: str, run: int, num_trials: int) -> Search:
    """Search a world with ``pareto``, the default sampler, or ``random``, which never repeats.

    Where ``pareto`` proposes another seed of a candidate whose seeds have all been seen, the best
    new candidate is trained instead.
    """
    order = world.order_seeds(run)
    values = np.take_along_axis(world.space.accuracies, order, axis=1)
    seen, held_back = values[:, : world.num_seen], values[:, world.num_seen :]
    propose = _random(world, run) if sampler == "random" else _pareto(world, run)
    rows: list[int] = []
    accuracies: list[float] = []
    counts = np.zeros(world.space.size, np.int64)
    for _ in range(num_trials):
        row = propose(rows, accuracies, counts)
        rows.append(row)
        accuracies.append(float(seen[row, counts[row]]))
        counts[row] += 1
    return Search(world, sampler, run, np.array(rows), np.array(accuracies), held_back)


Propose = Callable[[list[int], list[float], NDArray[np.int64]], int]


def _random(world: World, run: int) -> Propose:
    rng = np.random.default_rng(derive_seed("random", world.name, run))
    order = rng.permutation(world.space.size)
    return lambda rows, accuracies, counts: int(order[len(rows)])


def _pareto(world: World, run: int) -> Propose:
    space = world.space
    factors = Factors(space.describe_levels())
    source = PoolSource(space, lambda row: (space.count_cost(row).params,), run)
    wishing, exploring = (
        Proposer(factors, source, lambda codes: True, run, replicates=replicates)
        for replicates in (world.num_seen > 1, False)
    )
    codes = space.codes()

    def propose(rows: list[int], accuracies: list[float], counts: NDArray[np.int64]) -> int:
        none = codes[:0]
        trainings = Trainings(codes[rows], np.zeros(len(rows), np.int64), np.array(accuracies))
        history = History(trainings, (1,), none, np.zeros(0, np.int64), none)
        row = space.index_of(space.with_codes(wishing.decide(history).codes))
        if counts[row] < world.num_seen:
            return row
        return space.index_of(space.with_codes(exploring.decide(history).codes))

    return propose
