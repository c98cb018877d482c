"""What a fixed lag costs a search: idle workers, and results that a proposal does not know.

    python benchmarks/busy_workers.py

Durations of trainings are made up: they vary threefold, and one in ten takes three times as long.
Printed is how busy workers are at several lags; and, from searches with the product's loop and
default sampler on a simulated clock, for 1, 2, 8 and 64 workers, the hypervolume that is found on a
made-up table of 625 candidates in 8 replicates, as a share of the table's. A line for one worker at
a lag of 1 has all results known.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence
from itertools import product

import numpy as np

from benchmarks.calibration.searches import OBJECTIVES
from benchmarks.simulated_workers import SimulatedWorkers, draw_duration, simulate_busy_share
from se_search.benchmark.scores import Truth
from se_search.benchmark.table import TableRow, TableSpace, TableTrainings
from se_search.record import TrialRecord
from se_search.search.candidate_set import WholeSpace
from se_search.search.lag import choose_lag
from se_search.search.loop import Budget, run_search
from se_search.search.registry import SAMPLERS, Setup
from se_search.search.rotation import Rotation
from se_search.store.memory import MemoryStore

LEVELS, NUM_SLOTS, NUM_REPLICATES = "abcde", 4, 8
# Of accuracies: what a level adds, what a replicate does to all, and the rest; networks differ by
# 0.2 points, replicates by 0.19, the rest is 0.28 (docs/how_it_searches.md).
EFFECT_SD, LEVEL_SD, NOISE_SD = 0.001, 0.0019, 0.0028
WORKERS = (2, 4, 8, 16, 32, 64)
FACTORS = (1, 2, 3, 4, 5)  # trials of the lag for each worker
COMPARED = (1, 2, 8, 64)  # workers
TRAININGS_A_WORKER, FEWEST_TRAININGS = 40, 200
NUM_SEEDS = 5  # of durations


def make_table() -> TableSpace:
    """Return all combinations of four choices whose effects on the accuracy and cost add up."""
    rng = np.random.default_rng(0)
    rows = list(product(LEVELS, repeat=NUM_SLOTS))
    codes = np.array([[LEVELS.index(level) for level in row] for row in rows])
    slots = np.arange(NUM_SLOTS)
    truth = 0.8 + rng.normal(0, EFFECT_SD, (NUM_SLOTS, len(LEVELS)))[slots, codes].sum(axis=1)
    noise = rng.normal(0, NOISE_SD, (len(rows), NUM_REPLICATES))
    accuracies = truth[:, None] + rng.normal(0, LEVEL_SD, NUM_REPLICATES) + noise
    prices = rng.uniform(100, 10_000, (NUM_SLOTS, len(LEVELS)))
    costs = 100_000 + prices[slots, codes].sum(axis=1).round()
    return TableSpace("made-up", [f"x_{slot}" for slot in slots], rows, costs, accuracies)


def measure_hypervolume(
    num_workers: int, lag: int, checkpoints: Sequence[int], seed: int
) -> tuple[list[float], float]:
    """Search the table; return the share of its hypervolume after some trials, and the time taken.

    The time is that of the simulated clock, in durations of the shortest training.
    """
    space = make_table()
    trainings = TableTrainings(space, seed)
    workers = SimulatedWorkers[TableRow](
        trainings, lambda number: draw_duration(seed, number), num_workers
    )
    records = search(
        *(space, workers, "pareto", max(checkpoints), lag, seed),
        num_replicates=trainings.num_replicates,
        offered=trainings.list_replicates,
        most_replicates=trainings.count_replicates,
    )
    rows = np.array([space.parse(record.candidate).index for record in records], np.int64)
    truth = Truth(space.costs, space.mean_accuracies)
    return [truth.share(rows[:count]) for count in checkpoints], workers.now


def search(
    space: TableSpace,
    workers: SimulatedWorkers[TableRow],
    sampler: str,
    num_trials: int,
    lag: int,
    seed: int,
    *,
    num_replicates: int,
    offered: Callable[[TableRow], Sequence[int]] | None = None,
    most_replicates: Callable[[TableRow], int] | None = None,
) -> list[TrialRecord]:
    """Search a table with the product's loop; return the trials, by number."""
    setup = Setup(
        *(space, WholeSpace(space), seed, space.count_cost, OBJECTIVES, 1),
        most_replicates=most_replicates,
    )
    with MemoryStore(OBJECTIVES) as store:
        run_search(
            space=space,
            store=store,
            sampler=SAMPLERS[sampler](setup),
            executor=workers,
            count_cost=space.count_cost,
            objectives=OBJECTIVES,
            budget=Budget(num_trials, epochs=1, max_failures=1),
            rotation=Rotation(num_replicates, first_seed=0, offered=offered),
            lag=lag,
        )
        return store.records


def print_busy_shares() -> None:
    """Print a line for each number of workers, a column for each lag."""
    print("Share of the workers' time in which they train, by trials of the lag for each worker")
    print("workers  " + "".join(f"{factor:>8}" for factor in FACTORS) + "   product")
    for num_workers in WORKERS:
        lags = [factor * num_workers for factor in FACTORS] + [choose_lag(num_workers)]
        num_trials = FEWEST_TRAININGS + TRAININGS_A_WORKER * num_workers
        shares = [
            statistics.fmean(
                simulate_busy_share(num_workers, lag, num_trials, seed) for seed in range(NUM_SEEDS)
            )
            for lag in lags
        ]
        print(f"{num_workers:7}  " + "".join(f"{share:8.3f}" for share in shares[:-1])
              + f"  {shares[-1]:8.3f}", flush=True)  # fmt: skip


def print_hypervolumes(checkpoints: Sequence[int], num_runs: int) -> None:
    """Print a line for each number of workers and lag, a column for each number of trials."""
    print(f"\nShare of the table's hypervolume after so many trials, mean of {num_runs} searches,")
    print("and the time until the last training has ended, in shortest trainings")
    print("workers  lag" + "".join(f"{count:>8}" for count in checkpoints) + "    time")
    for num_workers in COMPARED:
        for lag in dict.fromkeys((choose_lag(num_workers), 1)):
            if lag == 1 and num_workers > 1:
                continue  # workers would wait for each other
            runs = [
                measure_hypervolume(num_workers, lag, checkpoints, seed) for seed in range(num_runs)
            ]
            shares = [
                statistics.fmean(column) for column in zip(*(r[0] for r in runs), strict=True)
            ]
            time = statistics.fmean(run[1] for run in runs)
            print(f"{num_workers:7} {lag:4}" + "".join(f"{share:8.3f}" for share in shares)
                  + f"{time:8.0f}", flush=True)  # fmt: skip


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="searches with the default sampler")
    parser.add_argument("--trials", type=int, nargs="+", default=[25, 50, 100, 200])
    options = parser.parse_args()
    print_busy_shares()
    print_hypervolumes(options.trials, options.runs)


if __name__ == "__main__":
    main()
