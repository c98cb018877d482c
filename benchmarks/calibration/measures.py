"""Measured numbers with their errors and targets: coverage, reliability, optimism."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.calibration.worlds import Array

SURE = 0.9
NUM_BINS = 10
NUM_RESAMPLES = 200

# The column of the predicted probability of being on each front.
FRONTS = {"true_front": "probability", "held_front": "held_probability"}

# Targets: the least and the greatest value that meet them.
ANY = (-math.inf, math.inf)
COVERAGE = (0.93, 0.97)
SHARE = (0.9, math.inf)
CALIBRATED = (-math.inf, 0.05)
UNBIASED = (-math.inf, 0.03)


@dataclass(frozen=True, slots=True)
class Measurement:
    """A measured number with its Monte-Carlo standard error and its target.

    Attributes:
        group: the searches or noise that it was measured on.
        name: name of the quantity.
        low: the least value that meets the target; minus infinity: there is no lower bound.
        high: the greatest value that meets the target; infinity: there is no upper bound.
        count: number of candidates or claims that it was measured on.
    """

    group: str
    name: str
    value: float
    error: float
    low: float = -math.inf
    high: float = math.inf
    count: int = 0

    @property
    def verdict(self) -> str:
        """``met``; ``open``, where the target is within two standard errors; or ``not met``."""
        if not math.isfinite(self.low) and not math.isfinite(self.high):
            return ""
        if not math.isfinite(self.value):
            return "no data"
        beyond = max(self.low - self.value, self.value - self.high)
        return "met" if beyond <= 0 else "open" if beyond <= 2 * self.error else "not met"

    @property
    def target(self) -> str:
        """The target as text."""
        ends = [f">= {self.low:g}"] * math.isfinite(self.low)
        ends += [f"<= {self.high:g}"] * math.isfinite(self.high)
        return " and ".join(ends)

    def __str__(self) -> str:
        """All of it in one line."""
        line = f"{self.group:34} {self.name:54} {self.value:7.3f} ± {self.error:.3f}"
        return f"{line}  n = {self.count:<6} {self.target:20} {self.verdict}".rstrip()


def measure(group: str, frame: pd.DataFrame) -> list[Measurement]:
    """Return the measurements of pooled searches; their errors treat a search as one draw."""
    is_true = bool((frame["reach_low"] == frame["low"]).all())
    members = frame[frame["front"]]
    figures = [
        _share(group, "coverage, all candidates", _covered(frame), frame, COVERAGE),
        _share(group, "coverage, front members", _covered(members), members, COVERAGE),
    ]
    if not is_true:
        figures += [
            _share(group, "coverage, all, model's noise", _covered(frame, "model"), frame, ANY),
            _share(
                group, "coverage, front, model's noise", _covered(members, "model"), members, ANY
            ),
        ]
    fronts = {"true_front": " (all seeds)", "held_front": " (held back)"}
    if is_true:
        fronts = {"true_front": ""}
    for front, where in fronts.items():
        figures += _reliability(group, where, frame, front, FRONTS[front])
    sure = frame[frame["probability"] >= SURE]
    for front, where in fronts.items():
        figures.append(_share(group, f"sure members on the front{where}", sure[front], sure, SHARE))
    for name, front, judged, target in (
        ("plain means", "plain_front", "mean", ANY),
        ("model", "front", "estimate", UNBIASED),
    ):
        own = frame[frame[front]]
        figures.append(
            _share(
                group, f"optimism of the front, {name}", own[judged] - own["judged"], own, target
            )
        )
    confirmed = frame[frame["confirmed"].notna()]
    if len(confirmed):
        best = confirmed[confirmed["confirmed_front"]]
        for name, own in (("confirmed", confirmed), ("confirmed, selected anew", best)):
            luck = own["confirmed"] - own["last"]
            figures.append(_share(group, f"optimism of the front, {name}", luck, own, UNBIASED))
    return figures


def _covered(frame: pd.DataFrame, ends: str = "reach") -> pd.Series[bool]:
    return frame["judged"].between(frame[f"{ends}_low"], frame[f"{ends}_high"])


def _share(
    group: str, name: str, values: pd.Series[Any], frame: pd.DataFrame, target: tuple[float, float]
) -> Measurement:
    """Return the mean of values over candidates, with its error over searches."""
    numbers = values.to_numpy(np.float64)
    value, error = mean_by_search(numbers, frame["search"].to_numpy())
    return Measurement(group, name, value, error, *target, len(numbers))


def _reliability(
    group: str, where: str, frame: pd.DataFrame, front: str, column: str
) -> list[Measurement]:
    predicted, seen = frame[column].to_numpy(), frame[front].to_numpy(np.float64)
    searches = frame["search"].to_numpy()
    brier, error = mean_by_search((predicted - seen) ** 2, searches)
    ece = calibration_error(predicted, seen)
    resampled = [
        calibration_error(predicted[some], seen[some])
        for some in resample_searches(searches, NUM_RESAMPLES)
    ]
    plain = float(np.mean((frame["plain_front"].to_numpy(np.float64) - seen) ** 2))
    count = len(frame)
    return [
        Measurement(group, f"Brier score{where}", brier, error, -math.inf, plain, count),
        Measurement(
            group,
            f"calibration error{where}",
            ece,
            float(np.std(resampled)),
            *CALIBRATED,
            count,
        ),
    ]


def mean_by_search(values: Array, searches: NDArray[Any]) -> tuple[float, float]:
    """Return the mean of all values and its standard error.

    Searches are independent, the values of one search are not: it is the linearised error of a
    ratio of sums (Cochran 1977, eq. 6.9). NaN where there are too few values.
    """
    if not len(values):
        return math.nan, math.nan
    mean = float(values.mean())
    _, group = np.unique(searches, return_inverse=True)
    sums = np.bincount(group, weights=values - mean)
    number = len(sums)
    if number < 2:
        return mean, math.nan
    return mean, float(np.sqrt(number / (number - 1) * (sums**2).sum()) / len(values))


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
