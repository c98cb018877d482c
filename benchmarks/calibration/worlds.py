"""Spaces whose trainings are looked up: simulated ones with known accuracies, and tables."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.nas_bench_se.table import NASBenchSE, QueryError
from se_search.benchmark.table import TableSpace
from se_search.benchmark.table_file import read_table
from se_search.seeds import derive_seed

Array = NDArray[np.float64]

NUM_STAGES, LEVELS = 4, ("none", "r4", "r8", "r16", "r32")
# Shares of the variance of true accuracy: additive, of pairs of stages, of each network by itself.
SHAPES = {
    "additive": (1.0, 0.0, 0.0),
    "interactions": (0.6, 0.4, 0.0),
    "rough": (0.5, 0.3, 0.2),
}
# Points, as measured of SE placements: networks differ about as much as seeds do.
TRUE_SD = 0.35
SEED_SDS = (0.2, 0.4)
NUM_SIMULATED_SEEDS = 24
POINTS = 100.0  # points in a share
MOST_SD_BINS, FEWEST_IN_BIN = 10, 100


@dataclass(frozen=True)
class World:
    """A space whose trainings are looked up.

    Attributes:
        name: for people.
        space: the candidates; each has been trained with every seed.
        truth: ``(size,)`` true accuracies; None: they are not known, and held-back seeds judge.
        num_seen: number of seeds of a candidate that a search may see; the others are held back.
    """

    name: str
    space: TableSpace
    truth: Array | None
    num_seen: int

    @cached_property
    def seed_sds(self) -> Array:
        """``(size,)``: standard deviations over seeds, pooled over rows of similar accuracy."""
        variances = self.space.accuracies.var(axis=1, ddof=1)
        order = np.argsort(self.space.mean_accuracies, kind="stable")
        num_bins = int(np.clip(self.space.size // FEWEST_IN_BIN, 1, MOST_SD_BINS))
        found = np.zeros(self.space.size)
        for own in np.array_split(order, num_bins):
            found[own] = np.sqrt(variances[own].mean())
        return found

    def order_seeds(self, run: int) -> NDArray[np.intp]:
        """Return ``(size, k)``: the columns of each candidate in the order of a run's seeds."""
        rng = np.random.default_rng(derive_seed("seeds", self.name, run))
        shape = self.space.accuracies.shape
        return np.asarray(np.argsort(rng.random(shape), axis=1))


def simulate(shape: str, seed_sd: float, seed: int) -> World:
    """Return a made-up space of 625 SE placements with known true accuracies.

    Args:
        shape: one of ``SHAPES``.
        seed_sd: standard deviation of a training about the true accuracy, in points.
        seed: of all draws.
    """
    rng = np.random.default_rng(derive_seed("world", shape, seed_sd, seed))
    codes = np.array(list(product(range(len(LEVELS)), repeat=NUM_STAGES)))
    pairs = [(one, two) for one in range(NUM_STAGES) for two in range(one)]
    own = rng.normal(0.3, 1.0, (NUM_STAGES, len(LEVELS)))  # SE helps more often than not
    own[:, 0] = 0.0
    joint = rng.normal(size=(len(pairs), len(LEVELS), len(LEVELS)))
    parts = np.array(
        [
            sum(own[stage, codes[:, stage]] for stage in range(NUM_STAGES)),
            sum(joint[at, codes[:, i], codes[:, j]] for at, (i, j) in enumerate(pairs)),
            rng.normal(size=len(codes)),
        ]
    )
    parts = (parts - parts.mean(axis=1, keepdims=True)) / parts.std(axis=1, keepdims=True)
    truth = 0.9 + TRUE_SD / POINTS * (np.sqrt(SHAPES[shape]) @ parts)
    noise = rng.normal(0, seed_sd / POINTS, (len(codes), NUM_SIMULATED_SEEDS))
    widths = np.array([0, 16, 8, 4, 2])[codes] * 4.0 ** np.arange(NUM_STAGES)
    costs = 150_000 + 40 * widths.sum(axis=1)
    rows = [tuple(LEVELS[code] for code in row) for row in codes]
    columns = [f"x_stage{stage + 2}" for stage in range(NUM_STAGES)]
    space = TableSpace(f"{shape} {seed_sd:g}", columns, rows, costs, truth[:, None] + noise)
    return World(f"{shape}, seeds {seed_sd:g}", space, truth, NUM_SIMULATED_SEEDS // 2)


def restrict(space: TableSpace, num_seen: int) -> World:
    """Return the world of a table's rows that have been trained with all of its seeds."""
    whole = np.flatnonzero(~np.isnan(space.accuracies).any(axis=1))
    rows = [space.candidate_at(int(index)).values for index in whole]
    kept = TableSpace(space.name, space.columns, rows, space.costs[whole], space.accuracies[whole])
    return World(space.name, kept, None, num_seen)


def read_nas_bench_se() -> TableSpace | None:
    """Return NAS-Bench-SE with the largest number of seeds, up to 5, that 100 networks have.

    None: fewer than 100 networks have two seeds.
    """
    table = NASBenchSE.read()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "nas_bench_se.csv"
        for seeds in range(5, 1, -1):
            try:
                if table.to_benchmark_csv(path, epochs=2, seeds=seeds) >= FEWEST_IN_BIN:
                    return read_table(path)
            except QueryError:
                continue
    return None
