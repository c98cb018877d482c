"""Scores searches that were replayed on a table against the mean accuracies of all its rows.

Hypervolumes are shares of the whole table's, with the logarithm of cost scaled to 0..1 over the
table. A row counts by its mean accuracy over all seeds of the table, whatever the search has seen,
as soon as it has had a full training. Budgets are counted in full trainings' worth of epochs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from se_search.analysis.pareto import hypervolume, is_non_dominated

REFERENCE_PERCENTILE = 25
NUM_RESAMPLES = 2_000


@dataclass(frozen=True, slots=True)
class Replay:
    """One search that was replayed on a table, its trials in order.

    Attributes:
        table: name of the table.
        sampler: name of the sampler.
        run: its number; runs with equal numbers have equal seeds, whatever the sampler.
        seed: of the search.
        rows: ``(trials,)``, the row of the table that each trial trained.
        seeds: ``(trials,)``, the replicate of each training.
        accuracies: ``(trials,)`` shares, as the search saw them.
        seconds: ``(trials,)`` wall time of the sampler itself.
        epochs: ``(trials,)``, the length of each training.
        full_epochs: length of a full training.
        budget: epochs that the search could spend, in full trainings.
        promotion: the rungs, as text; ``off``: all trainings are full ones.
    """

    table: str
    sampler: str
    run: int
    seed: int
    rows: NDArray[np.int64]
    seeds: NDArray[np.int64]
    accuracies: NDArray[np.float64]
    seconds: NDArray[np.float64]
    epochs: NDArray[np.int64]
    full_epochs: int
    budget: int
    promotion: str = "off"

    @property
    def arm(self) -> str:
        """The sampler's name, followed by its rungs if it has any."""
        return self.sampler if self.promotion == "off" else f"{self.sampler} {self.promotion}"

    @property
    def num_duplicates(self) -> int:
        """The number of trials whose row, replicate and epochs an earlier trial had."""
        trained = np.column_stack([self.rows, self.seeds, self.epochs])
        return len(self.rows) - len(np.unique(trained, axis=0))

    def full(self, budget: int) -> NDArray[np.intp]:
        """Return the numbers of the full trainings that a budget of full trainings pays for."""
        is_paid = np.cumsum(self.epochs) <= budget * self.full_epochs
        return np.flatnonzero(is_paid & (self.epochs == self.full_epochs))


@dataclass(frozen=True)
class Truth:
    """The costs and mean accuracies of a table's rows, by which searches are scored.

    Attributes:
        costs: ``(size,)``, positive.
        accuracies: ``(size,)`` shares: means over all seeds.
    """

    costs: NDArray[np.float64]
    accuracies: NDArray[np.float64]

    @cached_property
    def scaled_costs(self) -> NDArray[np.float64]:
        """``(size,)``: log costs, scaled to 0 for the least and 1 for the greatest."""
        below = np.log(self.costs.max()) - np.log(self.costs)
        return np.asarray(1 - below / (below.max() or 1.0))

    @cached_property
    def reference(self) -> tuple[float, float]:
        """The reference point: the greatest scaled cost and the lower quartile of accuracy."""
        return 1.0, float(np.percentile(self.accuracies, REFERENCE_PERCENTILE))

    @cached_property
    def whole(self) -> float:
        """The hypervolume of all rows."""
        return hypervolume(self.scaled_costs, self.accuracies, self.reference)

    def share(self, rows: NDArray[np.int64]) -> float:
        """Return the hypervolume of some rows as a share of the hypervolume of all rows."""
        own = hypervolume(self.scaled_costs[rows], self.accuracies[rows], self.reference)
        return own / self.whole

    def curve(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the shares of the first row, of the first two, and so on: ``(trials,)``."""
        return np.array([self.share(rows[: end + 1]) for end in range(len(rows))])

    def front(self, rows: NDArray[np.int64]) -> set[int]:
        """Return the rows that no other of these rows dominates."""
        return _front(rows, self.costs, self.accuracies[rows])


class Curve(NamedTuple):
    """A sampler's hypervolume after each trial: ``(trials,)`` means over runs and interval ends."""

    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Score:
    """The score of a replay after some full trainings' worth of epochs.

    A run reports the front by the means of the accuracies that it saw. Without a full training it
    reports nothing, and every score is 0.

    Attributes:
        trials: the budget, in full trainings.
        hypervolume: of the trained rows, as a share of the table's.
        reported_hypervolume: of the reported rows, as a share of the table's.
        precision: share of the reported rows that are on the true front of the trained rows.
        recall: share of the true front of the trained rows that is reported.
        table_precision: share of the reported rows that are on the true front of the table.
        table_recall: share of the true front of the table that is reported.
        optimism: reported minus true accuracy, mean over the reported rows.
        num_rows: number of different trained rows.
    """

    trials: int
    hypervolume: float
    reported_hypervolume: float
    precision: float
    recall: float
    table_precision: float
    table_recall: float
    optimism: float
    num_rows: int


def score(replay: Replay, truth: Truth, budget: int) -> Score:
    """Score the trainings of a replay that a budget of full trainings pays for."""
    full = replay.full(budget)
    if not len(full):
        return Score(budget, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, num_rows=0)
    rows, positions = np.unique(replay.rows[full], return_inverse=True)
    sums = np.bincount(positions, weights=replay.accuracies[full])
    means = sums / np.bincount(positions)
    reported = _front(rows, truth.costs, means)
    true = truth.front(rows)
    best = truth.front(np.arange(len(truth.costs)))
    is_reported = np.isin(rows, list(reported))
    return Score(
        trials=budget,
        hypervolume=truth.share(rows),
        reported_hypervolume=truth.share(rows[is_reported]),
        precision=len(reported & true) / len(reported),
        recall=len(reported & true) / len(true),
        table_precision=len(reported & best) / len(reported),
        table_recall=len(reported & best) / len(best),
        optimism=float(np.mean(means[is_reported] - truth.accuracies[rows[is_reported]])),
        num_rows=len(rows),
    )


def trials_to_reach(curve: NDArray[np.float64], level: float) -> float:
    """Return after how many trials a curve reaches a level; infinity: never."""
    reached = np.flatnonzero(curve >= level)
    return float(reached[0] + 1) if len(reached) else np.inf


def mean_interval(
    groups: Sequence[NDArray[np.float64]], confidence: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean over groups of their runs' means, and its bootstrap interval's ends.

    Percentile bootstrap (Efron 1979). Runs are resampled within each group (a table), since the
    tables are not a random sample of tables.

    Args:
        groups: arrays ``(runs, ...)`` that differ in the number of runs alone.
        confidence: level of the interval, 0..1.

    Returns:
        Three arrays ``(...)``: the mean, and the lower and upper ends of its interval.
    """
    rng = np.random.default_rng(0)
    mean = np.mean([group.mean(axis=0) for group in groups], axis=0)
    resampled = np.zeros((NUM_RESAMPLES, *groups[0].shape[1:]))
    for group in groups:
        weights = rng.multinomial(
            len(group), np.full(len(group), 1 / len(group)), size=NUM_RESAMPLES
        )
        resampled += np.tensordot(weights / len(group), group, axes=1) / len(groups)
    tail = (1 - confidence) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail], axis=0)
    return np.asarray(mean), low, high


def curves_by_arm(
    replays: Sequence[Replay], truths: Mapping[str, Truth]
) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Return the hypervolume curves of all replays, ``(runs, budget)``, by arm and table."""
    found: dict[str, dict[str, list[NDArray[np.float64]]]] = {}
    for replay in replays:
        by_table = found.setdefault(replay.arm, {})
        by_table.setdefault(replay.table, []).append(_curve(replay, truths[replay.table]))
    return {
        arm: {table: np.array(curves) for table, curves in by_table.items()}
        for arm, by_table in found.items()
    }


def _curve(replay: Replay, truth: Truth) -> NDArray[np.float64]:
    """Return the shares after each full training's worth of epochs, ``(budget,)``."""
    full = replay.full(replay.budget)
    shares = np.concatenate([[0.0], truth.curve(replay.rows[full])])
    counts = [len(replay.full(budget)) for budget in range(1, replay.budget + 1)]
    return np.asarray(shares[counts])


def _front(
    rows: NDArray[np.int64], costs: NDArray[np.float64], accuracies: NDArray[np.float64]
) -> set[int]:
    marks = is_non_dominated(np.column_stack([-accuracies, costs[rows]]))
    return set(rows[marks].tolist())
