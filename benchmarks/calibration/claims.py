"""Measures how often a claim is supported whose difference lies on its margin."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np

from benchmarks.calibration.measures import Measurement
from benchmarks.calibration.worlds import POINTS, Array, restrict
from se_search.analysis.claims import Claim
from se_search.analysis.power import ALPHA
from se_search.analysis.verdicts import p_values_of
from se_search.benchmark.table import TableSpace
from se_search.seeds import derive_seed

NUM_PAIRS = (3, 6, 10)
CLAIM_SD = 0.3  # points


def boundary_cases() -> list[tuple[Claim, float]]:
    """Return claims of each kind, each with the difference in points at which it stops to hold."""
    return [
        (Claim.parse("a beats b"), 0.0),
        (Claim.parse("a beats b by 0.2"), 0.2),
        (Claim.parse("a is not worse than b by more than 0.2"), -0.2),
        (Claim.parse("a equals b within 0.2"), 0.2),
        (Claim.parse("a equals b within 1"), -1.0),
    ]


def false_verdicts(
    claim: Claim,
    difference: float,
    noise: tuple[Array, Array],
    num_pairs: int,
    count: int,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the share of simulated studies that support a claim, and its standard error.

    Args:
        claim: about a and b.
        difference: the true difference, in points, on the claim's margin.
        noise: deviations of trainings of a, and of b, in points with mean 0; drawn with
            replacement.
        num_pairs: number of trainings of each of the two.
        count: number of simulated studies.
        seed: of the draws.
    """
    rng = np.random.default_rng(derive_seed("claim", str(claim), num_pairs, seed))
    a, b = (rng.choice(own, (count, num_pairs)) for own in noise)
    differences = (difference + a - b) / POINTS
    share = float(np.mean([p_values_of(claim, row).support <= ALPHA for row in differences]))
    return share, math.sqrt(max(share * (1 - share), 1 / count) / count)


def made_up_noises(count: int = 100_000) -> dict[str, tuple[Array, Array]]:
    """Return noise of a and of b by name: both normal; or a's left-skewed, twice as wide as b's."""
    rng = np.random.default_rng(derive_seed("noise"))
    normal = rng.normal(0, CLAIM_SD, count)
    skewed = 2 * CLAIM_SD * (4 - rng.gamma(4, size=count)) / 2  # a skew of -1
    return {"normal": (normal, normal), "left-skewed a": (skewed - skewed.mean(), normal)}


def table_noise(space: TableSpace) -> Array:
    """Return the deviations of seeds from their row's mean, in points, in a table's better half."""
    accuracies = restrict(space, 1).space.accuracies
    means = accuracies.mean(axis=1, keepdims=True)
    own = (accuracies - means)[means[:, 0] >= np.median(means)]
    seeds = accuracies.shape[1]
    return np.asarray(POINTS * own.ravel() * np.sqrt(seeds / (seeds - 1)))


def measure_claims(
    noises: Mapping[str, tuple[Array, Array]], count: int, pairs: Sequence[int] = NUM_PAIRS
) -> list[Measurement]:
    """Return the shares of false verdicts for each kind of noise, number of pairs and claim."""
    measurements = []
    for name, noise in noises.items():
        for num_pairs, (claim, difference) in product(pairs, boundary_cases()):
            share, error = false_verdicts(claim, difference, noise, num_pairs, count)
            text = f"false '{claim}', n = {num_pairs}"
            measurements.append(
                Measurement(f"{name} noise", text, share, error, -math.inf, ALPHA, count)
            )
    return measurements
