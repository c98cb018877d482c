"""Tells apart what networks, replicates and their rest contribute to the table's accuracies.

An accuracy is a mean, plus what its network adds, plus what its replicate adds, plus a rest: how
the replicate likes the network, and noise. All figures are in points, per cent of the images.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TAIL = 0.025  # of a 95 % interval, on each side
NUM_DRAWS = 20_000  # for the interval of a standard deviation
NUM_RESAMPLES = 1_000  # of the networks, for a correlation's interval


class Estimate(NamedTuple):
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Spread:
    """Standard deviations of the parts of an accuracy, in points.

    Attributes:
        networks: of what a network adds in every replicate.
        levels: of what a replicate adds to all networks.
        rest: of what is left, from one network and replicate to another.
    """

    networks: Estimate
    levels: Estimate
    rest: Estimate


@dataclass(frozen=True, slots=True)
class Correlations:
    """Correlations over networks of validation and test accuracies.

    Intervals hold for other networks of the space in these replicates (bootstrap over networks).

    Attributes:
        single: of one training each, within a replicate; mean over the replicates.
        means: of the means over all replicates.
        apart: of validation means over half of the replicates and test means over the others;
            mean over all ways to choose the half (rounded down).
    """

    single: Estimate
    means: Estimate
    apart: Estimate


def measure_spread(accuracies: Floats, seed: int = 0, num_draws: int = NUM_DRAWS) -> Spread:
    """Return the standard deviations of a two-way random layout with one training a cell.

    Estimates are those of the analysis of variance (0 where it gives a negative variance);
    intervals are generalized ones (Weerahandi 1993, J. Am. Stat. Assoc. 88): each mean square is
    divided by a draw of its own chi-squared distribution.

    Args:
        accuracies: ``(networks, replicates)`` shares, at least two of each and no gap.
        seed: of the draws.
        num_draws: from which the intervals are read.
    """
    n, k = accuracies.shape
    points = 100 * accuracies
    rows, columns = points.mean(axis=1), points.mean(axis=0)
    rest = points - rows[:, None] - columns + points.mean()
    degrees = np.array([n - 1, k - 1, (n - 1) * (k - 1)])
    squares = np.array([k * rows.var() * n, n * columns.var() * k, (rest**2).sum()])
    rng = np.random.default_rng(seed)
    draws = squares / rng.chisquare(degrees, (num_draws, 3))

    def estimate(means: Floats) -> Floats:
        networks = (means[..., 0] - means[..., 2]) / k
        levels = (means[..., 1] - means[..., 2]) / n
        return np.asarray(np.sqrt(np.maximum([networks, levels, means[..., 2]], 0)))

    values = estimate(squares / degrees)
    lows, highs = np.quantile(estimate(draws), [TAIL, 1 - TAIL], axis=1)
    return Spread(*(Estimate(*map(float, part)) for part in zip(values, lows, highs, strict=True)))


def measure_mean(differences: Floats) -> Estimate:
    """Return the mean of differences over replicates with Student's interval.

    Args:
        differences: ``(replicates,)`` points, at least two.
    """
    from scipy.special import stdtrit

    mean = float(differences.mean())
    half = float(stdtrit(len(differences) - 1, 1 - TAIL)) * standard_error(differences)
    return Estimate(mean, mean - half, mean + half)


def standard_error(differences: Floats) -> float:
    """Return the standard error of the mean of ``(replicates,)`` differences."""
    return float(differences.std(ddof=1)) / math.sqrt(len(differences))


def effects_of(accuracies: pd.DataFrame, levels: pd.Series[str]) -> pd.DataFrame:
    """Return what each level of a stage adds to none there, in points: levels x replicates.

    It is the difference of means over the networks with the level and over those with none. In
    whole balanced parts all other stages are balanced, and no model of them is needed.

    Args:
        accuracies: networks x replicates, as shares.
        levels: of the stage in each of these networks, ``none`` among them.
    """
    means = 100 * accuracies.groupby(levels).mean()
    return (means - means.loc["none"]).drop("none")


def find_whole_parts(networks: pd.DataFrame, size: int) -> pd.DataFrame:
    """Return those of some networks whose balanced part has all of its networks.

    Args:
        networks: with a column ``part``.
        size: number of networks of a whole part.
    """
    return networks[networks.groupby("part")["part"].transform("size") == size]


def correlate(validation: Floats, test: Floats, seed: int = 0) -> Correlations:
    """Return how validation accuracies go with test accuracies over networks.

    Args:
        validation: ``(networks, replicates)`` accuracies, at least two replicates.
        test: of the same trainings.
        seed: of the resamples.
    """
    n, k = validation.shape
    whole = tuple(range(k))
    halves = list(combinations(whole, k // 2))
    pairs: dict[str, list[tuple[tuple[int, ...], tuple[int, ...]]]] = {
        "single": [((seed,), (seed,)) for seed in whole],
        "means": [(whole, whole)],
        "apart": [(half, tuple(r for r in whole if r not in half)) for half in halves],
    }
    chosen = np.random.default_rng(seed).integers(n, size=(NUM_RESAMPLES, n))
    return Correlations(
        **{
            name: _estimate_correlation(validation, test, some, chosen)
            for name, some in pairs.items()
        }
    )


def _estimate_correlation(
    validation: Floats,
    test: Floats,
    pairs: Sequence[tuple[tuple[int, ...], tuple[int, ...]]],
    chosen: NDArray[np.intp],
) -> Estimate:
    """Return the mean correlation over some pairs of sets of replicates."""
    values, draws = [], []
    for ours, theirs in pairs:
        x, y = validation[:, ours].mean(axis=1), test[:, theirs].mean(axis=1)
        values.append(_correlation(x, y))
        draws.append(_correlation(x[chosen], y[chosen]))
    low, high = np.quantile(np.mean(draws, axis=0), [TAIL, 1 - TAIL])
    return Estimate(float(np.mean(values)), float(low), float(high))


def _correlation(x: Floats, y: Floats) -> Floats:
    """Return Pearson's correlation along the last axis."""
    x = x - x.mean(axis=-1, keepdims=True)
    y = y - y.mean(axis=-1, keepdims=True)
    return np.asarray((x * y).sum(-1) / np.sqrt((x**2).sum(-1) * (y**2).sum(-1)))
