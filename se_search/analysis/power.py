"""How many paired replicates it takes to establish in which region a true difference lies.

A region is established by the two tests of :mod:`se_search.analysis.verdicts`, each at half of
alpha: the sign-flip permutation test and Student's paired t.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from se_search.analysis.claims import Region
from se_search.analysis.comparison import POWER
from se_search.analysis.paired_tests import MAX_EXACT
from se_search.analysis.replicates import Floats
from se_search.analysis.statistics import t_quantile

ALPHA = 0.05
MAX_REPLICATES = 10_000
MAX_SIMULATED = 10  # up to 10 pairs the permutation test is coarser than t: power is simulated
NUM_SIMULATED = 4_000
NUM_SDS = 400


def fewest_replicates(num_claims: int = 1, alpha: float = ALPHA) -> int:
    """Return the smallest number of pairs that can decide any claim of a family.

    The sign-flip test's smallest p-value is 2 / 2^n, and Holm's first step multiplies it by the
    number of claims: 6 pairs for one claim at 0.05, 7 for two, 9 for ten.
    """
    return math.ceil(math.log2(2 * num_claims / alpha) - 1e-9)


def replicates_needed(
    regions: Iterable[Region], difference: float, sd: float, n: int, alpha: float = ALPHA
) -> int | None:
    """Return the number of pairs that establish a region with 80 % power.

    Args:
        regions: of which the one that holds ``difference`` is to be established.
        difference: the true difference, in shares.
        sd: standard deviation of the pairs' differences, in shares.
        n: number of pairs so far; the answer is above it.
        alpha: level of the tests.

    Returns:
        ``MAX_REPLICATES + 1`` stands for any number above ``MAX_REPLICATES``. None: no region
        holds the difference, as it lies at a margin.
    """
    region = next((region for region in regions if region.holds(difference)), None)
    if region is None:
        return None

    def suffice(count: int) -> bool:
        return power(region, difference, sd, count, alpha) >= POWER

    low = max(n, fewest_replicates(1, alpha) - 1)
    high = low + 1
    while not suffice(high):
        if high > MAX_REPLICATES:
            return MAX_REPLICATES + 1
        low, high = high, min(2 * high, MAX_REPLICATES + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if suffice(middle) else (middle, high)
    return high


def power(region: Region, difference: float, sd: float, n: int, alpha: float = ALPHA) -> float:
    """Return the chance that ``n`` pairs establish a region, for normal differences.

    Args:
        region: where the difference is to be established to lie.
        difference: the true difference, in shares.
        sd: standard deviation of the pairs' differences, in shares.
        n: number of pairs.
        alpha: level of the tests.

    Returns:
        Up to 10 pairs the power of both tests on simulated differences, to within 0.015; above
        that the power of the t test alone, at the level that ``2^n`` sign flips can reach, which
        is within 0.02 of the power of both tests.
    """
    if n < fewest_replicates(1, alpha):
        return 0.0
    if sd == 0:
        return float(region.holds(difference))
    if n <= MAX_SIMULATED:
        return _simulated_power(region, difference, sd, n, alpha)
    return _t_power(region, difference, sd, n, alpha)


def _simulated_power(region: Region, difference: float, sd: float, n: int, alpha: float) -> float:
    rng = np.random.default_rng(n)
    differences = difference + sd * rng.standard_normal((NUM_SIMULATED, n))
    established = np.ones(NUM_SIMULATED, bool)
    if region.low > -math.inf:
        established &= _are_above(differences - region.low, alpha)
    if region.high < math.inf:
        established &= _are_above(region.high - differences, alpha)
    return float(established.mean())


def _are_above(differences: Floats, alpha: float) -> NDArray[np.bool_]:
    """Mark the rows of ``(rows, n)`` whose mean both tests find above 0, at half of alpha."""
    n = differences.shape[1]
    # The first sign stays: flipping all signs turns a sum into its negative.
    signs = 1.0 - 2 * (np.arange(2 ** (n - 1))[:, None] >> np.arange(n) & 1)
    sums = differences @ np.column_stack([signs[:, -1], signs[:, :-1]]).T
    observed = differences.sum(axis=1, keepdims=True)
    reached = (sums >= observed - 1e-12).sum(axis=1) + (-sums >= observed - 1e-12).sum(axis=1)
    t = differences.mean(axis=1) / (differences.std(axis=1, ddof=1) / math.sqrt(n))
    is_t = t >= t_quantile(1 - alpha / 2, n - 1)
    return np.asarray(is_t & (reached <= alpha / 2 * 2**n))


def _t_power(region: Region, difference: float, sd: float, n: int, alpha: float) -> float:
    """Return the power of one or two one-sided t tests: the mean over sd's distribution.

    From Phillips 1990 (Journal of Pharmacokinetics and Biopharmaceutics 18).
    """
    from scipy.special import chdtri, ndtr

    level = alpha / 2
    if n <= MAX_EXACT:
        level = math.floor(level * 2**n) / 2**n
    shares = (np.arange(NUM_SDS) + 0.5) / NUM_SDS
    sds = np.sqrt(chdtri(n - 1, shares) / (n - 1))
    reach = t_quantile(1 - level, n - 1) * sds
    error = sd / math.sqrt(n)
    chances = ndtr((region.high - difference) / error - reach) - ndtr(
        (region.low - difference) / error + reach
    )
    return float(np.maximum(chances, 0).mean())
