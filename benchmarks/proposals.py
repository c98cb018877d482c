"""Measures how long the sampler ``pareto`` takes to decide, late in a search of a large space.

    python benchmarks/proposals.py

Prints the median and the longest time of a decision among 100,842 made-up candidates, after 1,000
and more finished trainings and with one running. The first decision fits the model anew.
"""

from __future__ import annotations

import statistics
import time
from itertools import product

import numpy as np

from se_search.benchmark.table import TableSpace
from se_search.search.history import History
from se_search.search.pool import PoolSource
from se_search.search.proposer import Proposer
from se_search.surrogate.features import Factors
from se_search.surrogate.trainings import Trainings

LEVELS = (7, 7, 7, 7, 7, 6)
NUM_FINISHED, NUM_TIMED, NUM_TRAININGS_A_FIT = 1_000, 40, 200


def make_space(rng: np.random.Generator) -> TableSpace:
    """Return all combinations of six columns whose effects on the accuracy add up."""
    rows = list(product(*("abcdefg"[:count] for count in LEVELS)))
    codes = np.array([["abcdefg".index(level) for level in row] for row in rows])
    effects, prices = rng.normal(0, 0.005, (6, 7)), rng.uniform(1, 100, (6, 7))
    columns = np.arange(len(LEVELS))
    accuracies = 0.9 + effects[columns, codes].sum(axis=1)
    noisy = accuracies[:, None] + rng.normal(0, 0.002, (len(rows), 1))
    costs = 1_000 + prices[columns, codes].sum(axis=1).round()
    return TableSpace("made-up", [f"x_{column}" for column in columns], rows, costs, noisy)


def main() -> None:
    """Time decisions and print their seconds."""
    rng = np.random.default_rng(0)
    space = make_space(rng)
    factors = Factors(space.describe_levels())
    source = PoolSource(space, lambda row: (space.count_cost(row).params,), seed=0)
    proposer = Proposer(factors, source, lambda codes: True, seed=0)
    source.make(space.codes()[:0], space.codes()[:0])  # prices are looked up once a search
    chosen = rng.choice(space.size, NUM_FINISHED + NUM_TIMED + 1, replace=False)
    codes = space.codes()[chosen]
    seconds = []
    for count in range(NUM_FINISHED, NUM_FINISHED + NUM_TIMED):
        trainings = Trainings(
            codes[:count], np.zeros(count, np.int64), space.accuracies[chosen[:count], 0]
        )
        running = codes[count : count + 1]
        history = History(trainings, (1,), running, np.zeros(1, np.int64), codes[:0])
        started = time.perf_counter()
        proposer.decide(history)
        seconds.append(time.perf_counter() - started)
    usual, longest = statistics.median(seconds), max(seconds)
    print(f"{space.size:,} candidates, {NUM_FINISHED:,} finished trainings")
    print(f"a decision: {usual:.2f} s (median of {NUM_TIMED})")
    print(f"fitting the model anew: {longest:.1f} s, every {NUM_TRAININGS_A_FIT} trainings")
    print(f"both, a decision: {usual + longest / NUM_TRAININGS_A_FIT:.2f} s")


if __name__ == "__main__":
    main()
