"""Times one network against another so that what the machine does meanwhile cancels."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Run = Callable[[int], float]
"""Runs a network on a batch that many times and returns the seconds that one run took."""

CONFIDENCE = 0.95
MIN_ROUNDS = 10  # with fewer than 6 the order statistics have no 95 % interval of a median


@dataclass(frozen=True, slots=True)
class PairedTiming:
    """By how much slower one network is than another that ran before and after it.

    Attributes:
        plain_ms: median time of a batch through the network that it is compared with.
        plain_spread_pct: interquartile range of these times, in per cent of their median.
        added_pct: median over the rounds of what a batch takes longer, in per cent of the other
            network's time in that round.
        low: lower end of the 95 % interval of that median, in per cent.
        high: upper end of the 95 % interval of that median, in per cent.
        quartiles: first and third quartile over the rounds, in per cent.
        rounds: number of rounds.
        peak_bytes: greatest memory of weights and activations; see ``Loaded.measure_memory``.
    """

    plain_ms: float
    plain_spread_pct: float
    added_pct: float
    low: float
    high: float
    quartiles: tuple[float, float]
    rounds: int
    peak_bytes: int

    @property
    def limit(self) -> float:
        """The end of the 95 % interval that is farthest from 0, in per cent, not negative."""
        return max(abs(self.low), abs(self.high))


def time_pairs(plain: Run, other: Run, rounds: int, number: int, peak_bytes: int) -> PairedTiming:
    """Time two networks in turns: plain, other, plain, other, ..., plain.

    Each time of the other network is set against the mean of the two times around it, so that a
    steady drift (a clock that throttles, a cache that fills) cancels, and a median over rounds
    passes over what disturbs single ones.

    Args:
        plain: runs the network that it is compared with.
        other: runs the network that is timed.
        rounds: how often the other network is timed, at least ``MIN_ROUNDS``.
        number: runs that make up one time.
        peak_bytes: memory of the other network, which is kept beside the times.
    """
    assert rounds >= MIN_ROUNDS
    around = [plain(number)]
    between = []
    for _ in range(rounds):
        between.append(other(number))
        around.append(plain(number))
    base = np.array(around)
    added = 100 * (2 * np.array(between) / (base[:-1] + base[1:]) - 1)
    low, high = median_interval(added.tolist())
    first, middle, third = np.percentile(base, [25, 50, 75]).tolist()
    quarter, median, rest = np.percentile(added, [25, 50, 75]).tolist()
    return PairedTiming(
        plain_ms=1000 * middle,
        plain_spread_pct=100 * (third - first) / middle,
        added_pct=median,
        low=low,
        high=high,
        quartiles=(quarter, rest),
        rounds=rounds,
        peak_bytes=peak_bytes,
    )


def median_interval(values: list[float]) -> tuple[float, float]:
    """Return an interval that holds the median with a probability of 95 % or more.

    Its ends are order statistics, so that nothing is assumed of the distribution (David & Nagaraja
    2003, sec. 7.1). With fewer than six values it is their range, which holds it less surely.
    """
    ordered, count = sorted(values), len(values)
    rank, mass = 0, 0.0  # the interval is from the rank-th lowest value to the rank-th highest
    for cut in range(count // 2):
        mass += math.comb(count, cut) / 2**count
        if 2 * mass > 1 - CONFIDENCE:
            break
        rank = cut + 1
    at = max(1, rank) - 1
    return ordered[at], ordered[count - 1 - at]
