"""Plans of looks at a growing number of replicates, and what a claim's tests say at each look.

A plan keeps the chance of a false verdict on a claim at its level however often it has been looked
at: each look may spend a share of alpha (Lan and DeMets 1983, function of Pocock's type), in each
of the two directions by itself. The information of a look is its number of replicates. Two tests
must both have crossed their critical values: sign flips, enumerated given the earlier looks
(:mod:`se_search.analysis.sign_paths`), and Student's t at the nominal levels of jointly normal sums
(:mod:`se_search.analysis.sequential_boundaries`; the significance level approach of Jennison and
Turnbull 2000, sec. 3.3 and 4.4).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from se_search.analysis.claims import Claim, Region
from se_search.analysis.paired_tests import paired_t_p, sd_of
from se_search.analysis.power import ALPHA
from se_search.analysis.replicates import DECIMALS, Floats
from se_search.analysis.sequential_boundaries import nominal_levels
from se_search.analysis.sign_paths import crossing_look
from se_search.analysis.statistics import t_quantile
from se_search.errors import RunError

LOOKS = (8, 12, 16, 20)
SPENDING = "Lan and DeMets, Pocock's type"
FUTILE = 0.1  # conditional power below which a claim is given up
NUM_PATHS = 2_000  # of a conditional power: its standard error at 0.1 is 0.007
FINE_STEPS = 40  # levels alpha / 1 to alpha / 40 are exact: families of so many claims
COARSE_STEP = 1.25  # ratio of neighbouring levels beyond them: p-values are rounded up to a level
CLOSE_STEP = 1.1  # ratio of levels between alpha and alpha / 10, where p-values are looked at

Outcome = Literal["supported", "refuted", "undecided"]


@dataclass(frozen=True, slots=True)
class LookPlan:
    """At how many replicates claims are looked at, and at which level.

    Attributes:
        looks: numbers of replicates, ascending; the last one ends the plan.
        alpha: chance of a false verdict on a claim, two-sided; each direction has half of it.

    Raises:
        RunError: the looks do not ascend from 2 on, the last one is beyond 20 replicates, or alpha
            is not between 0 and 1.
    """

    looks: tuple[int, ...] = LOOKS
    alpha: float = ALPHA

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise RunError(f"alpha {self.alpha} is not between 0 and 1")
        steps = (1, *self.looks)
        if len(steps) < 2 or any(a >= b for a, b in itertools.pairwise(steps)):
            raise RunError(f"looks {list(self.looks)} are not two or more replicates, ascending")
        if self.looks[-1] > LOOKS[-1]:
            raise RunError(
                f"{self.looks[-1]} replicates are more than the {LOOKS[-1]} of the last look"
            )

    @classmethod
    def until(cls, num_replicates: int | None) -> LookPlan:
        """Return the plan whose last look is at a number of replicates; None: the whole plan.

        Raises:
            RunError: the number is below 2 or beyond the last look of the whole plan.
        """
        if num_replicates is None:
            return cls()
        return cls((*(look for look in LOOKS if look < num_replicates), num_replicates))

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> LookPlan:
        """Read what ``to_json`` returned.

        Raises:
            KeyError, TypeError: it is something else.
            RunError: the plan is not a possible one, or spends otherwise.
        """
        if data["spending"] != SPENDING:
            raise RunError(f"a plan that spends {data['spending']!r}; known is {SPENDING!r}")
        return cls(tuple(data["looks"]), data["alpha"])

    def to_json(self) -> dict[str, Any]:
        """Return plain data, from which ``from_json`` makes an equal plan."""
        return {"looks": list(self.looks), "alpha": self.alpha, "spending": SPENDING}

    def __str__(self) -> str:
        if self.is_fixed:
            return f"one look, at {self.looks[0]} replicates"
        return f"looks at {', '.join(map(str, self.looks[:-1]))} and {self.looks[-1]} replicates"

    @property
    def is_fixed(self) -> bool:
        """Whether there is a single look: nothing is spent before the end."""
        return len(self.looks) == 1

    def num_reached(self, num_replicates: int) -> int:
        """Return how many looks a number of replicates has reached."""
        return sum(look <= num_replicates for look in self.looks)

    def nominal(self, look: int) -> float:
        """Return the one-sided level of the t test at a look, which is counted from 0."""
        return nominal_levels(self.looks, self.alpha / 2)[look]

    def confidence(self, look: int) -> float:
        """Return the level of Student's interval that is a repeated 95 % interval at a look.

        Such intervals hold the truth at all looks at once in ``1 - alpha`` of cases (Jennison and
        Turnbull 1989).
        """
        return 1 - (self.alpha if self.is_fixed else 2 * self.nominal(look))


class Reading(NamedTuple):
    """What the looks at a claim have brought so far.

    Attributes:
        look: number of the look that the reading is of, from 0.
        is_futile: whether the claim was given up there: a decision by the last look had become
            unlikely.
    """

    look: int
    outcome: Outcome
    is_futile: bool


def read_looks(claim: Claim, differences: Floats, plan: LookPlan) -> Reading:
    """Look at a claim until it is decided or futile, or no further look has been reached.

    What comes after the look that ends it is left out of account.

    Args:
        claim: about A and B.
        differences: ``(n,)``: A - B of each replicate in their order, in shares; at least as many
            as the first look needs.
        plan: the looks.
    """
    reached = plan.num_reached(len(differences))
    last = reached - 1
    assert reached, f"{len(differences)} replicates reach no look of {plan}"
    level = plan.alpha / 2
    support = _first_inside(claim.region, differences, plan, last, level)
    refutes = [_first_inside(r, differences, plan, last, level) for r in claim.outside]
    refute = min((look for look in refutes if look is not None), default=None)
    for look in range(reached):
        if look == support:
            return Reading(look, "supported", False)
        if look == refute:
            return Reading(look, "refuted", False)
        is_last = look == len(plan.looks) - 1
        if not is_last and conditional_power(claim, differences, plan, look) < FUTILE:
            return Reading(look, "undecided", True)
    return Reading(last, "undecided", False)


def sequential_p(region: Region, differences: Floats, plan: LookPlan, look: int) -> float:
    """Return the p-value of the hypothesis that the true difference is outside of a region.

    It is two-sided, for comparison with alpha, and holds however many looks there were: the least
    level at which the plan would have established the region by this look (repeated p-values,
    Jennison and Turnbull 2000, sec. 9.5). At alpha and below, the plan establishes the region at
    all levels from the p-value to alpha, so that p-values of several claims can be combined by
    Holm's method as others can.

    Args:
        region: where the difference is to be shown to lie.
        differences: ``(n,)`` shares, in the order of the replicates.
        plan: the looks, more than one.
        look: number of the look, from 0.
    """

    def establishes(level: float) -> bool:
        return _first_inside(region, differences, plan, look, level) is not None

    half = plan.alpha / 2
    if establishes(half):
        best = half
        for level in _levels_below(half, 2.0 ** -plan.looks[look]):
            if not establishes(level):
                break
            best = level
        return 2 * best
    level = half * COARSE_STEP
    while level < 0.5:
        if establishes(level):
            return 2 * level
        level *= COARSE_STEP
    return 1.0


def conditional_power(claim: Claim, differences: Floats, plan: LookPlan, look: int) -> float:
    """Return the chance that a later look decides a claim, if the trend goes on.

    The remaining differences are drawn from the normal distribution with the mean and the standard
    deviation that the differences up to the look have; the t tests are applied to them.

    Args:
        claim: about A and B.
        differences: ``(n,)`` shares, in the order of the replicates.
        plan: the looks.
        look: number of the look, from 0, not the last.
    """
    seen = differences[: plan.looks[look]]
    mean, sd = float(seen.mean()), sd_of(seen)
    rng = np.random.default_rng(look)
    new = mean + sd * rng.standard_normal((NUM_PATHS, plan.looks[-1] - len(seen)))
    paths = np.concatenate([np.broadcast_to(seen, (NUM_PATHS, len(seen))), new], axis=1)
    is_decided = np.zeros(NUM_PATHS, bool)
    for later in range(look + 1, len(plan.looks)):
        own = paths[:, : plan.looks[later]]
        reach = t_quantile(1 - plan.nominal(later), own.shape[1] - 1) / math.sqrt(own.shape[1])
        means, margins = own.mean(axis=1), reach * own.std(axis=1, ddof=1)
        for region in (claim.region, *claim.outside):
            is_decided |= _hold(region, means - margins, means + margins)
    return float(is_decided.mean())


def _hold(region: Region, lows: Floats, highs: Floats) -> NDArray[np.bool_]:
    return np.asarray((lows > region.low) & (highs < region.high))


def _first_inside(
    region: Region, differences: Floats, plan: LookPlan, last: int, level: float
) -> int | None:
    """Return the first look by which both tests place the difference inside a region."""
    found = 0
    for shifted in _sides(region, differences):
        t = _first_t(shifted, plan, last, level)
        if t is None:
            return None
        flips = crossing_look(shifted, plan.looks[: last + 1], plan.looks[-1], level)
        if flips is None:
            return None
        found = max(found, t, flips)
    return found


def _sides(region: Region, differences: Floats) -> Iterator[Floats]:
    """Yield differences whose mean is above 0 if the true one is on the inner side of a limit."""
    if region.low > -math.inf:
        yield np.round(differences - region.low, DECIMALS)
    if region.high < math.inf:
        yield np.round(region.high - differences, DECIMALS)


def _first_t(differences: Floats, plan: LookPlan, last: int, level: float) -> int | None:
    levels = nominal_levels(plan.looks, level)
    for look in range(last + 1):
        if paired_t_p(differences[: plan.looks[look]], "greater") <= levels[look]:
            return look
    return None


def _levels_below(half: float, lowest: float) -> Iterator[float]:
    """Yield levels in descending order: exact ones for families, close ones, a coarser grid."""
    exact = [half / step for step in range(2, FINE_STEPS + 1)]
    close = [half / CLOSE_STEP**step for step in range(1, 25)]
    yield from sorted({*exact, *close}, reverse=True)
    level = half / FINE_STEPS / COARSE_STEP
    while level > lowest / COARSE_STEP:
        yield level
        level /= COARSE_STEP
