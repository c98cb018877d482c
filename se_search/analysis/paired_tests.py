"""Tests whether the mean of paired differences is 0: sign flips, and Student's t."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from se_search.analysis.replicates import Floats

Alternative = Literal["two-sided", "greater", "less"]

MAX_EXACT = 16  # up to 16 differences all 2^16 sign patterns are gone through
NUM_DRAWN = 2**MAX_EXACT - 1  # with the observed pattern as one more, p is a multiple of 2^-16


def sign_flip_p(
    differences: Floats, alternative: Alternative = "two-sided", *, seed: int = 0
) -> float:
    """Return the p-value of the sign-flip permutation test that the mean of differences is 0.

    Up to 16 differences all sign patterns are counted (Fisher 1935; Pitman 1937); above that
    65,535 drawn ones and the observed one (Phipson and Smyth 2010), so that p is never 0.

    Args:
        differences: ``(n,)``; to test another mean than 0, subtract it.
        alternative: the hypothesis against a mean of 0; ``greater``: the mean is above 0.
        seed: of the drawn patterns.
    """
    if alternative == "less":
        differences = -differences
    exact = len(differences) <= MAX_EXACT
    sums = _all_sums(differences) if exact else _drawn_sums(differences, seed)
    observed = differences.sum()
    if alternative == "two-sided":
        sums, observed = np.abs(sums), abs(observed)
    # Sums of equal numbers in another order differ in their last digits: they are ties.
    reached = int((sums >= observed - 1e-9 * np.abs(differences).sum()).sum())
    return reached / len(sums) if exact else (reached + 1) / (len(sums) + 1)


def smallest_sign_flip_p(n: int) -> float:
    """Return the smallest two-sided p-value that the sign-flip test can give for n differences."""
    return 2.0 ** (1 - n) if n <= MAX_EXACT else 1 / (NUM_DRAWN + 1)


def paired_t_p(differences: Floats, alternative: Alternative = "two-sided") -> float:
    """Return the p-value of Student's paired t test that the mean of differences is 0.

    Where all differences are equal, p is 0 if they lie on the side of the alternative, else 1.

    Args:
        differences: ``(n,)``, at least two.
        alternative: the hypothesis against a mean of 0; ``greater``: the mean is above 0.
    """
    from scipy.special import stdtr  # half a second to import; reading a study does without

    mean, sd, n = float(differences.mean()), sd_of(differences), len(differences)
    if alternative == "less":
        mean = -mean
    elif alternative == "two-sided":
        mean = abs(mean)
    if sd == 0:
        return float(mean <= 0)
    tail = float(stdtr(n - 1, -mean / (sd / math.sqrt(n))))
    return 2 * tail if alternative == "two-sided" else tail


def sd_of(differences: Floats) -> float:
    """Return the standard deviation of differences, and exactly 0 where all are equal."""
    # The mean of equal numbers can miss them by a last digit.
    return float(differences.std(ddof=1)) if np.ptp(differences) else 0.0


def _all_sums(differences: Floats) -> Floats:
    sums = np.zeros(1)
    for difference in differences:
        sums = np.concatenate([sums + difference, sums - difference])
    return sums


def _drawn_sums(differences: Floats, seed: int) -> Floats:
    rng = np.random.default_rng(seed)
    sums = np.zeros(NUM_DRAWN)
    for difference in differences:
        sums += np.where(rng.integers(2, size=NUM_DRAWN, dtype=np.int8), difference, -difference)
    return sums
