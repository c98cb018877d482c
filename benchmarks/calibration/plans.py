"""Measures sequential plans: how often a false claim is supported, and what looking early saves.

Differences of pairs are drawn, with no search and no training, and read as ``confirm`` and
``reproduce`` read them.
"""

from __future__ import annotations

import math
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from benchmarks.calibration.measures import (
    RATE_ERROR,
    Measurement,
    Target,
    mean_by_search,
    share_of,
)
from benchmarks.calibration.worlds import POINTS, Array
from se_search.analysis.claims import Claim
from se_search.analysis.power import ALPHA
from se_search.analysis.sequential import LookPlan, read_looks
from se_search.seeds import derive_seed

# Points: the standard deviation of a difference in one replicate that draws its images anew, on
# the default job (16 pairs of no SE and SE everywhere, issue 12).
DIFFERENCE_SD = 0.57
TRUE_DIFFERENCES = (0.0, 0.2, 0.5, 1.0)  # points
NUM_LOOKED_AT = 300  # simulated claims each of which is read look by look
FALSE_SUPPORTED = Target(high=ALPHA, error=RATE_ERROR)


def boundary_cases() -> list[tuple[Claim, float]]:
    """Return claims of each kind, each with the difference in points at which it stops to hold."""
    return [
        (Claim.parse("a beats b"), 0.0),
        (Claim.parse("a beats b by 0.2"), 0.2),
        (Claim.parse("a is not worse than b by more than 0.2"), -0.2),
        (Claim.parse("a equals b within 0.2"), 0.2),
        (Claim.parse("a equals b within 1"), -1.0),
    ]


def measure_plans(count: int, num_looked_at: int = NUM_LOOKED_AT) -> list[Measurement]:
    """Return the shares of false verdicts of the sequential plan, and what it saves.

    Args:
        count: number of simulated claims for each share.
        num_looked_at: number of simulated claims for each mean number of replicates.
    """
    plan = LookPlan()
    figures = [
        Measurement(
            f"{name} differences",
            f"false '{claim}', {plan}",
            *share_of(mark_supported(claim, difference + draw(claim, count, plan), plan)),
            count,
            FALSE_SUPPORTED,
        )
        for (name, draw), (claim, difference) in product(DRAWS.items(), boundary_cases())
    ]
    for difference in TRUE_DIFFERENCES:
        figures += _measure_savings(difference, plan, num_looked_at)
    return figures


def mark_supported(claim: Claim, differences: Array, plan: LookPlan) -> NDArray[np.bool_]:
    """Mark the simulated claims, ``(n,)``, that looking on ends as supported.

    Args:
        claim: about a and b.
        differences: ``(n, replicates)`` of a and b, in points.
        plan: the looks.
    """
    found = np.zeros(len(differences), bool)
    for number in np.flatnonzero(_mark_t(claim, differences / POINTS, plan)):
        reading = read_looks(claim, differences[number] / POINTS, plan)
        found[number] = reading.outcome == "supported"
    return found


def _mark_t(claim: Claim, differences: Array, plan: LookPlan) -> NDArray[np.bool_]:
    """Mark the claims whose t tests reach their critical values: no others can be supported."""
    low, high = claim.region
    shifted = [differences - low] if low > -math.inf else []
    shifted += [high - differences] if high < math.inf else []
    marks = np.ones(len(differences), bool)
    for values in shifted:
        reached = np.zeros(len(values), bool)
        for look, number in enumerate(plan.looks):
            own = values[:, :number]
            t = own.mean(axis=1) / own.std(axis=1, ddof=1) * math.sqrt(number)
            # A rounding error wide: read_looks has the last word.
            reached |= t >= stdtrit(number - 1, 1 - plan.nominal(look)) - 1e-6
        marks &= reached
    return marks


def _measure_savings(difference: float, plan: LookPlan, count: int) -> list[Measurement]:
    """Return the share of decided claims and the mean number of replicates, with and without looks.

    The claim is that a beats b.
    """
    claim, group = Claim.parse("a beats b"), f"true difference {difference:g}"
    drawn = difference + _draw_normal(claim, count, plan)
    fixed = LookPlan((plan.looks[-1],))
    readings = [read_looks(claim, row / POINTS, plan) for row in drawn]
    spent = np.array([plan.looks[reading.look] for reading in readings], float)
    return [
        Measurement(
            group,
            f"replicates of '{claim}', {plan}",
            *mean_by_search(spent, np.arange(count)),
            count,
        ),
        *(
            Measurement(group, f"decided '{claim}', {own}", *_decided(claim, drawn, own), count)
            for own in (plan, fixed)
        ),
    ]


def _decided(claim: Claim, differences: Array, plan: LookPlan) -> tuple[float, float]:
    outcomes = [read_looks(claim, row / POINTS, plan).outcome for row in differences]
    return share_of(np.array([outcome != "undecided" for outcome in outcomes]))


def _draw_normal(claim: Claim, count: int, plan: LookPlan) -> Array:
    rng = np.random.default_rng(derive_seed("normal", claim))
    return rng.normal(0, DIFFERENCE_SD, (count, plan.looks[-1]))


def _draw_skewed(claim: Claim, count: int, plan: LookPlan) -> Array:
    """Draw differences of a left-skewed candidate, its skew is -1, from one half as noisy."""
    rng = np.random.default_rng(derive_seed("skewed", claim))
    shape = (count, plan.looks[-1])
    a = (4 - rng.gamma(4, size=shape)) / 2
    return np.asarray(DIFFERENCE_SD * (2 * a + rng.normal(size=shape)) / math.sqrt(5))


# Differences of pairs about their mean, in points.
DRAWS = {"normal": _draw_normal, "left-skewed": _draw_skewed}
