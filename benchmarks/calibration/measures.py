"""Measured numbers with their standard errors, targets and verdicts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.calibration.worlds import Array

NUM_BINS = 10
NUM_RESAMPLES = 200

# The largest standard errors with which a target counts as met.
MEAN_ERROR = 0.01  # coverage, and points of accuracy
RATE_ERROR = 0.02


@dataclass(frozen=True, slots=True)
class Target:
    """The values that a quantity should have.

    Attributes:
        low: the least value that meets the target; minus infinity: there is no lower bound.
        high: the greatest value that meets the target; infinity: there is no upper bound.
        error: the largest standard error with which the target counts as met.
    """

    low: float = -math.inf
    high: float = math.inf
    error: float = RATE_ERROR

    @property
    def is_set(self) -> bool:
        """Whether there is a bound."""
        return math.isfinite(self.low) or math.isfinite(self.high)

    def __str__(self) -> str:
        ends = [f">= {self.low:g}"] * math.isfinite(self.low)
        ends += [f"<= {self.high:g}"] * math.isfinite(self.high)
        return " and ".join(ends)


NO_TARGET = Target()


@dataclass(frozen=True, slots=True)
class Measurement:
    """A measured number.

    Attributes:
        group: the searches or simulated studies that it was measured on.
        name: name of the quantity.
        value: NaN where there are no data.
        error: its standard error, with a search as one draw.
        count: number of searches or simulated studies.
        target: the values that it should have.
    """

    group: str
    name: str
    value: float
    error: float
    count: int
    target: Target = NO_TARGET

    @property
    def verdict(self) -> str:
        """Whether the target is met.

        ``met``: the value is inside and its error small enough; ``open``: the value is inside but
        its error too large, or outside by at most two errors; ``not met``; empty: no target.
        """
        target = self.target
        if not target.is_set:
            return ""
        if not math.isfinite(self.value):
            return "no data"
        beyond = max(target.low - self.value, self.value - target.high)
        if beyond > 0:
            return "open" if beyond <= 2 * self.error else "not met"
        return "met" if self.error <= target.error else "open"

    def __str__(self) -> str:
        """All of it in one line."""
        line = f"{self.group:42} {self.name:60} {self.value:7.3f} ± {self.error:.3f}"
        return f"{line}  n = {self.count:<5} {self.target!s:18} {self.verdict}".rstrip()


def mean_by_search(values: Array, searches: NDArray[Any]) -> tuple[float, float]:
    """Return the mean of all values and its standard error.

    Searches are independent, the values of one search are not: it is the linearised error of a
    ratio of sums (Cochran 1977, eq. 6.9). NaN where there are too few values. Where all values are
    marks that are set, or none is, it is 1 / n for n searches: not 0, which would be too sure.
    """
    if not len(values):
        return math.nan, math.nan
    mean = float(values.mean())
    _, group = np.unique(searches, return_inverse=True)
    sums = np.bincount(group, weights=values - mean)
    number = len(sums)
    if values.min() == values.max() and mean in (0.0, 1.0):
        return mean, 1 / number
    if number < 2:
        return mean, math.nan
    return mean, float(np.sqrt(number / (number - 1) * (sums**2).sum()) / len(values))


def share_of(marks: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the share of independent marks that are set, and its standard error."""
    return mean_by_search(marks.astype(np.float64), np.arange(len(marks)))


def calibration_with_error(
    predicted: Array, seen: Array, searches: NDArray[Any]
) -> tuple[float, float]:
    """Return the calibration error and its standard error over searches drawn with replacement."""
    if not len(predicted):
        return math.nan, math.nan
    resampled = [
        calibration_error(predicted[some], seen[some])
        for some in resample_searches(searches, NUM_RESAMPLES)
    ]
    return calibration_error(predicted, seen), float(np.std(resampled))


def resample_searches(searches: NDArray[Any], count: int) -> Iterator[NDArray[np.intp]]:
    """Yield the positions of all candidates of searches that are drawn with replacement."""
    rng = np.random.default_rng(0)
    places = [np.flatnonzero(searches == one) for one in np.unique(searches)]
    for _ in range(count):
        yield np.concatenate([places[i] for i in rng.integers(len(places), size=len(places))])


def calibration_error(predicted: Array, seen: Array) -> float:
    """Return the expected calibration error over ten bins (Naeini et al. 2015)."""
    bins = reliability_bins(predicted, seen)
    return float((bins[:, 2] * np.abs(bins[:, 0] - bins[:, 1])).sum() / bins[:, 2].sum())


def reliability_bins(predicted: Array, seen: Array) -> Array:
    """Return ``(bins, 3)``: prediction, observed share and count of each tenth that has any."""
    place = np.minimum((predicted * NUM_BINS).astype(np.int64), NUM_BINS - 1)
    return np.array(
        [
            (predicted[own].mean(), seen[own].mean(), own.sum())
            for own in (place == one for one in range(NUM_BINS))
            if own.any()
        ]
    )
