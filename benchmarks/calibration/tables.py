"""Searches of tables of finished trainings: what is found, and whether new trainings are foretold.

A table has no plain network and few replicates, so that neither gains nor true accuracies are
known. Its last column is held back from the search, and the model's 95 % intervals for a new
training, noise and replicate included, are held against it.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.calibration.measures import (
    MEAN_ERROR,
    NO_TARGET,
    Measurement,
    Target,
    mean_by_search,
)
from benchmarks.calibration.worlds import Array
from benchmarks.nas_bench_se.table import NASBenchSE, QueryError
from se_search.benchmark.replay import Job, replay
from se_search.benchmark.scores import Truth
from se_search.benchmark.table import TableSpace
from se_search.benchmark.table_file import read_table
from se_search.surrogate.features import Factors
from se_search.surrogate.fitted_model import FittedModel
from se_search.surrogate.trainings import Trainings

NUM_TRIALS = 100
FEWEST_ROWS = 100  # a smaller table is nearly trained whole
TAIL = 0.025
COVERAGE = Target(0.93, 0.97, MEAN_ERROR)


@dataclass(frozen=True, slots=True)
class Foretold:
    """A search of a table.

    Attributes:
        share: of the table's hypervolume that the search found.
        covered: for each candidate that it trained, whether the interval for a new training holds
            the training that was held back.
    """

    share: float
    covered: tuple[bool, ...]


def measure_tables(
    paths: Sequence[Path], num_searches: int, num_trials: int = NUM_TRIALS
) -> list[Measurement]:
    """Return hypervolume and coverage of some tables.

    Args:
        paths: CSV files, as ``se-search benchmark samplers`` takes them, with two or more
            accuracies a row.
        num_searches: of each table.
        num_trials: trainings of a search.
    """
    figures = []
    for path in paths:
        searches = [foretell(path, run, num_trials) for run in range(num_searches)]
        covered = [np.array(search.covered, float) for search in searches]
        runs = np.repeat(np.arange(num_searches), [len(each) for each in covered])
        shares = np.array([search.share for search in searches])
        named = (
            ("share of the hypervolume found", shares, np.arange(num_searches), NO_TARGET),
            ("95 % intervals hold new trainings", np.concatenate(covered), runs, COVERAGE),
        )
        figures += [
            Measurement(path.stem, name, *mean_by_search(values, of), num_searches, target)
            for name, values, of, target in named
        ]
    return figures


def foretell(path: Path, run: int, num_trials: int) -> Foretold:
    """Search a table whose last accuracy is held back, and hold the model's intervals against it.

    Args:
        path: a CSV file of two or more accuracies a row; rows that lack one are left out.
        run: number of the search, which is its seed.
        num_trials: how many trainings.
    """
    frame = pd.read_csv(path)
    accuracies = [name for name in frame if re.fullmatch(r"accuracy_\d+", name)]
    frame = frame.dropna(subset=accuracies)
    last = [name for name in frame if name.partition("@")[0] == accuracies[-1]]
    with tempfile.TemporaryDirectory() as folder:
        seen, whole = Path(folder) / path.name, Path(folder) / f"whole_{path.name}"
        frame.to_csv(whole, index=False)
        frame.drop(columns=last).to_csv(seen, index=False)
        found = replay(Job(seen, "pareto", run, run, num_trials, workers=1))
        space, judge = read_table(seen), read_table(whole)
    rows = np.unique(found.rows)
    lows, highs = predict_trainings(space, found.rows, found.accuracies, rows)
    held_back = judge.accuracies[rows, -1]
    truth = Truth(judge.costs, judge.mean_accuracies)
    covered = (lows <= held_back) & (held_back <= highs)
    return Foretold(truth.share(found.rows), tuple(covered.tolist()))


def predict_trainings(
    space: TableSpace, trained: NDArray[np.int64], accuracies: Array, rows: NDArray[np.int64]
) -> tuple[Array, Array]:
    """Return the ends of 95 % intervals for a new training of each row, ``(m,)``.

    A table has too few columns to tell how far replicates lie apart, so that each training counts
    as a replicate of its own.

    Args:
        space: the table.
        trained: ``(n,)`` rows of the trainings that have been made.
        accuracies: ``(n,)`` shares.
        rows: ``(m,)``.
    """
    codes, number = space.codes(), np.arange(len(trained))
    model = FittedModel.fit(
        Factors(space.describe_levels()),
        Trainings(codes[trained], np.zeros_like(number), number, accuracies),
        (1,),
    )
    draws = model.draw(codes[rows])
    noise = model.measure_noise(draws)
    sd = np.sqrt(noise.level_sd**2 + noise.interaction_sd**2 + noise.training_sd**2)
    new = draws + sd * np.random.default_rng(0).standard_normal(draws.shape)
    low, high = np.quantile(new, [TAIL, 1 - TAIL], axis=0)
    return low, high


def write_nas_bench_se(path: Path) -> Path | None:
    """Write NAS-Bench-SE with the largest number of seeds, up to 5, that 100 networks have.

    Returns:
        None: fewer than 100 networks have two seeds.
    """
    table = NASBenchSE.read()
    for seeds in range(5, 1, -1):
        try:
            if table.to_benchmark_csv(path, epochs=2, seeds=seeds) >= FEWEST_ROWS:
                return path
        except QueryError:
            continue
    return None
