"""Power of a plan of looks: the chance that it decides a claim, and what difference it finds.

For differences that are normal, with the t tests at the looks' nominal levels. The sign-flip test
agrees with them in all but one or two of 100 experiments.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from se_search.analysis.claims import Claim, Region
from se_search.analysis.comparison import POWER
from se_search.analysis.power import fewest_replicates, power
from se_search.analysis.replicates import Floats
from se_search.analysis.sequential import FUTILE, LookPlan, conditional_power
from se_search.analysis.statistics import t_quantile

NUM_EXPERIMENTS = 10_000  # simulated: the standard error of a power of 0.8 is 0.004
NUM_HALVINGS = 12  # of an interval: its width falls to a four-thousandth
ABOVE = Region(0.0, math.inf)


def expected_sd(error: float, num_images: int) -> float:
    """Return the standard deviation, in shares, of the difference of two independent trainings.

    A training of which a share ``error`` of ``num_images`` test images is wrong varies by
    ``sqrt(error / (2 * num_images))`` if trainings err independently and are calibrated together,
    which is exact for two classes (Jordan 2024, arXiv 2304.01910v4). Measured: 0.40 points where
    this says 0.34 (top-1 at desk scale, 19 networks x 9 seeds), and 0.055 where it says 0.048
    (top-5).
    """
    return math.sqrt(error / num_images)


def plan_power(region: Region, difference: float, sd: float, plan: LookPlan) -> float:
    """Return the chance that a plan establishes that the true difference lies in a region.

    That the plan gives a claim up is allowed for where the region has one limit; where it has two,
    the power is up to 0.03 too large.

    Args:
        region: where the difference is to be established to lie.
        difference: the true difference, in shares.
        sd: standard deviation of the pairs' differences, in shares.
        plan: the looks.
    """
    if plan.is_fixed:
        return power(region, difference, sd, plan.looks[0], plan.alpha)
    if sd == 0:
        return float(region.holds(difference))
    low, high = ((limit - difference) / sd for limit in region)
    limit = low if high == math.inf else high if low == -math.inf else None
    draws = _draw_experiments(plan.looks[-1])
    is_open = np.ones(len(draws), bool)
    is_inside = np.zeros(len(draws), bool)
    for look, count in enumerate(plan.looks):
        means, sds = draws[:, :count].mean(axis=1), draws[:, :count].std(axis=1, ddof=1)
        reach = t_quantile(1 - plan.nominal(look), count - 1) / math.sqrt(count) * sds
        holds = (means - reach > low) & (means + reach < high)
        is_inside |= is_open & holds
        is_open &= ~holds & (means + reach >= low) & (means - reach <= high)
        if limit is not None and look < len(plan.looks) - 1:
            is_open &= np.abs(means - limit) >= _futile_ratios(plan)[look] * sds
    return float(is_inside.mean())


@lru_cache(maxsize=64)
def detectable_difference(plan: LookPlan) -> float:
    """Return the smallest true difference that a plan finds with 80 % power.

    It is in standard deviations of the pairs' differences, for a claim that A beats B; infinite for
    a plan with fewer replicates than any test needs.
    """
    if plan.looks[-1] < fewest_replicates(1, plan.alpha):
        return math.inf
    low, high = 0.0, 4.0
    for _ in range(NUM_HALVINGS):
        middle = (low + high) / 2
        is_found = plan_power(ABOVE, middle, 1.0, plan) >= POWER
        low, high = (low, middle) if is_found else (middle, high)
    return high


@lru_cache(maxsize=8)
def _draw_experiments(num_replicates: int) -> Floats:
    return np.random.default_rng(0).standard_normal((NUM_EXPERIMENTS, num_replicates))


@lru_cache(maxsize=64)
def _futile_ratios(plan: LookPlan) -> tuple[float, ...]:
    """Return, for each look but the last, below which mean a claim of one limit is given up there.

    A mean counts from the limit, without its sign, in standard deviations.
    """
    claim = Claim("A", "beats", "B")
    ratios = []
    for look, count in enumerate(plan.looks[:-1]):
        pattern = np.linspace(-1.0, 1.0, count)
        pattern /= pattern.std(ddof=1)
        low, high = 0.0, 2.0
        for _ in range(NUM_HALVINGS):
            middle = (low + high) / 2
            is_futile = conditional_power(claim, pattern + middle, plan, look) < FUTILE
            low, high = (middle, high) if is_futile else (low, middle)
        ratios.append(low)
    return tuple(ratios)
