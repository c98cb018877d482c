"""Numbers measured on candidates, with bootstrap intervals over the candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from se_search.analysis.least_squares import Floats
from se_search.analysis.rungs import interval_of_resamples, kendall_tau_b, weighted_taus

MOST_UNKNOWN = 0.025  # share of resamples without a value from which on there is no interval


@dataclass(frozen=True, slots=True)
class Measured:
    """A number with the ends of its 95 % interval."""

    value: float
    low: float
    high: float


def measure(value: float, resamples: Floats, scale: float = 1.0) -> Measured | None:
    """Return a value with its interval, both multiplied by a scale.

    None: the value is NaN, or too many of its resamples are.
    """
    if np.isnan(value) or np.isnan(resamples).mean() > MOST_UNKNOWN:
        return None
    low, high = interval_of_resamples(resamples)
    return Measured(scale * value, scale * low, scale * high)


def measure_tau(x: Floats, y: Floats, draws: Floats) -> Measured | None:
    """Return Kendall's tau-b of points; ``draws`` are those of ``resample``."""
    return measure(kendall_tau_b(x, y), weighted_taus(x, y, draws))


def measure_slope(
    scores: Floats, means: Floats, noise: float | None, draws: Floats
) -> tuple[Measured | None, Floats]:
    """Return the slope of scores on true accuracies, and its resamples.

    The noise of the means lowers a slope by least squares; its variance is taken off that of the
    means (Fuller 1987, Measurement Error Models, sec. 1.2).
    """
    if noise is None:
        return None, np.zeros(0)

    def fit(counts: Floats) -> Floats:
        total = counts.sum(axis=1)
        mean_x, mean_y = counts @ means / total, counts @ scores / total
        variance = (counts @ means**2 / total - mean_x**2) * len(means) / (len(means) - 1)
        product = (counts @ (means * scores) / total - mean_x * mean_y) * len(means)
        left = variance - noise
        slopes = np.full_like(left, np.nan)
        np.divide(product / (len(means) - 1), left, out=slopes, where=left > 0)
        return np.asarray(slopes)

    resamples = fit(draws)
    return measure(float(fit(np.ones((1, len(means))))[0]), resamples), resamples


def measure_lead(
    scores: Floats, means: Floats, others: Sequence[Floats], draws: Floats
) -> Measured | None:
    """Return by how much tau of scores and means exceeds the greatest absolute tau of others."""

    def lead(counts: Floats) -> Floats:
        tau = weighted_taus(scores, means, counts)
        rivals = [np.abs(weighted_taus(own, means, counts)) for own in others]
        return np.asarray(tau - np.max([np.zeros_like(tau), *rivals], axis=0))

    return measure(float(lead(np.ones((1, len(means))))[0]), lead(draws))


def find_agreement(table: Floats) -> float | None:
    """Return the median tau-b between two rows; None: there is one row, or all are ties."""
    taus = [kendall_tau_b(a, b) for a, b in combinations(table, 2)]
    known = [tau for tau in taus if not np.isnan(tau)]
    return float(np.median(known)) if known else None


def contrast(values: Floats, carries: NDArray[np.bool_], counts: Floats) -> Floats:
    """Return the mean of the marked values less that of the others, for each row of counts."""

    def mean(rows: NDArray[np.bool_]) -> Floats:
        total = counts[:, rows].sum(axis=1)
        sums = counts[:, rows] @ values[rows]
        means = np.full_like(total, np.nan)
        np.divide(sums, total, out=means, where=total > 0)
        return np.asarray(means)

    return np.asarray(mean(carries) - mean(~carries))
