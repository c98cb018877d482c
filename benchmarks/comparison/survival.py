"""Times to an end that not everybody sees: Kaplan-Meier curves, medians, and their comparison.

A search that has not come to the end when it has made all trainings is censored there.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import CensoredData, ecdf, logrank

Array = NDArray[np.float64]

CONFIDENCE = 0.95
NUM_RESAMPLES = 2_000
FEWEST_PAIRS = 6  # the median of five lies below the largest in 31 of 32 cases: too few for 97.5 %
ROUNDING = 1e-9  # by which a share may miss a half


@dataclass(frozen=True)
class Times:
    """How long each of some searches took, or was watched in vain.

    Attributes:
        times: ``(n,)`` numbers of trainings.
        ended: ``(n,)`` whether the search came to its end; otherwise it is censored at its time.
    """

    times: Array
    ended: NDArray[np.bool_]

    @classmethod
    def of(cls, found: Sequence[int | None], horizon: int) -> Times:
        """Return the times of searches that are None where the end was not seen by the horizon."""
        times = [horizon if time is None else time for time in found]
        return cls(np.array(times, float), np.array([time is not None for time in found], bool))

    def __len__(self) -> int:
        return len(self.times)

    @property
    def censored(self) -> CensoredData:
        """The times as SciPy takes them."""
        return CensoredData(uncensored=self.times[self.ended], right=self.times[~self.ended])


@dataclass(frozen=True)
class Curve:
    """The share of searches that have not ended, by Kaplan and Meier (1958).

    Attributes:
        times: ``(k,)`` ascending times at which the share may fall.
        share: ``(k,)`` from each time on.
        low: ``(k,)`` lower ends of pointwise 95 % intervals.
        high: ``(k,)`` upper ends of pointwise 95 % intervals.
    """

    times: Array
    share: Array
    low: Array
    high: Array


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with the ends of its 95 % interval; infinity: beyond what was watched."""

    value: float
    low: float
    high: float


def survival_curve(found: Times) -> Curve:
    """Return the Kaplan-Meier curve of some searches, with intervals on the log-log scale.

    Where all searches or none have ended, that scale has no interval; there it is the exact
    binomial one (Clopper and Pearson 1934).
    """
    function = ecdf(found.censored).sf
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # no interval at shares of 0 and 1
        interval = function.confidence_interval(CONFIDENCE, method="log-log")
    share, low, high = (
        np.asarray(part, float)
        for part in (
            function.probabilities,
            interval.low.probabilities,
            interval.high.probabilities,
        )
    )
    rare = ((1 - CONFIDENCE) / 2) ** (1 / len(found))
    low, high = np.where(share == 1, rare, low), np.where(share == 1, 1.0, high)
    low, high = np.where(share == 0, 0.0, low), np.where(share == 0, 1 - rare, high)
    return Curve(np.asarray(function.quantiles, float), share, low, high)


def median_time(found: Times) -> Estimate:
    """Return the Kaplan-Meier median with its interval (Brookmeyer and Crowley 1982).

    The interval has the times at which the interval of the share that has not ended holds a half.
    """
    curve = survival_curve(found)
    return Estimate(*(_first(curve.times, part) for part in (curve.share, curve.low, curve.high)))


def ratio_of_medians(one: Times, other: Times) -> Estimate:
    """Return one median over the other, with the percentile interval of a bootstrap over pairs.

    Args:
        one: the times of some searches.
        other: the times of the searches that they are paired with, by position.

    Returns:
        The ratio is NaN where neither median was seen. A resample of which that is so counts as 0
        for the lower end and as infinity for the upper one: its ratio may be anything. Fewer than
        six pairs have an interval from 0 to infinity.
    """
    assert len(one) == len(other)
    own = [_medians(found.times[None], found.ended[None]) for found in (one, other)]
    value = float(_divide(*own)[0])
    if len(one) < FEWEST_PAIRS:
        return Estimate(value, 0.0, math.inf)
    rng = np.random.default_rng(0)
    draws = rng.integers(len(one), size=(NUM_RESAMPLES, len(one)))
    medians = [_medians(found.times[draws], found.ended[draws]) for found in (one, other)]
    ratios = _divide(*medians)
    tail = (1 - CONFIDENCE) / 2
    low = np.quantile(np.nan_to_num(ratios, nan=0.0, posinf=np.inf), tail, method="lower")
    high = np.quantile(np.nan_to_num(ratios, nan=np.inf, posinf=np.inf), 1 - tail, method="higher")
    return Estimate(value, float(low), float(high))


def logrank_p(one: Times, other: Times) -> float:
    """Return the two-sided p-value of equal times (Mantel 1966).

    It is NaN where none has ended, or all at one time, so that no order is seen.
    """
    if not (one.ended.any() or other.ended.any()):
        return math.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a variance of 0
        return float(logrank(one.censored, other.censored).pvalue)


def _first(times: Array, share: Array) -> float:
    """Return the first time at which a share is at most a half; infinity: there is none."""
    at = np.flatnonzero(share <= 0.5 + ROUNDING)
    return float(times[at[0]]) if len(at) else math.inf


def _medians(times: Array, ended: NDArray[np.bool_]) -> Array:
    """Return the Kaplan-Meier medians, ``(m,)``, of times and ends ``(m, n)``."""
    order = np.lexsort((~ended, times))  # ends come before what is censored at their time
    at_risk = times.shape[1] - np.arange(times.shape[1])
    steps = np.where(np.take_along_axis(ended, order, axis=1), 1 - 1 / at_risk, 1.0)
    is_past = np.cumprod(steps, axis=1) <= 0.5 + ROUNDING
    found = np.take_along_axis(
        np.take_along_axis(times, order, axis=1), is_past.argmax(axis=1)[:, None], axis=1
    )
    return np.where(is_past.any(axis=1), found[:, 0], np.inf)


def _divide(one: Array, other: Array) -> Array:
    with np.errstate(invalid="ignore"):  # infinity by infinity is not known
        return np.asarray(one / other)
