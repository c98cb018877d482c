"""Judges claims about two candidates by their paired trainings.

A claim says in which region the true difference A - B lies; the verdict is about that region and
about what lies outside of it. A direction is established when two tests agree at half of alpha:
the sign-flip permutation test and Student's paired t. One-sided at alpha / 2 is two-sided at
alpha, so a claim is supported when the 95 % interval lies inside its region and refuted when the
interval lies outside, provided that the permutation test agrees. All p-values here are one-sided
ones, doubled, the larger of the two tests', to be compared with alpha.

Why both tests: each has the right level under other conditions. The t test's is right for normal
differences, but for 3 pairs with a skew of 1 it claims wrongly twice as often as it should; the
permutation test's is right for all symmetric differences. Why alpha / 2 for equivalence too,
where alpha is the custom (TOST; Schuirmann 1987): with a skew of 1 (between two trainings it is
smaller, as the skews of both sides partly cancel) false verdicts in one direction reach 8 % at
alpha and 5 % at alpha / 2; for symmetric differences they stay below 2.5 %. The price: with fewer
than 6 pairs (:func:`~se_search.analysis.power.fewest_replicates`) nothing is ever decided at 0.05.

The number of pairs is either fixed beforehand, or grows from look to look under a plan
(:mod:`se_search.analysis.sequential`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from se_search.analysis.claims import Claim, Region
from se_search.analysis.comparison import PairedComparison, compare
from se_search.analysis.paired_tests import paired_t_p, sign_flip_p
from se_search.analysis.power import ALPHA, replicates_needed
from se_search.analysis.replicates import (
    DECIMALS,
    Floats,
    Replicates,
    paired_differences,
    shared_replicates,
)
from se_search.analysis.sequential import LookPlan, Outcome, read_looks, sequential_p
from se_search.analysis.statistics import holm
from se_search.analysis.verdict_sentences import Finding, say_verdict
from se_search.errors import RunError

Ending = Literal["decided", "futile", "spent", "open"]
"""Whether a claim needs trainings: only an open one does; spent: undecided at the last look."""


class PValues(NamedTuple):
    """The two p-values of a claim, of opposite hypotheses.

    Attributes:
        support: of the hypothesis that the claim is false; at most alpha supports the claim.
        refute: of the hypothesis that the claim is true; at most alpha refutes the claim.
    """

    support: float
    refute: float

    def outcome(self, alpha: float) -> Outcome:
        """Return what they decide at a level."""
        if self.support <= alpha:
            return "supported"
        return "refuted" if self.refute <= alpha else "undecided"


@dataclass(frozen=True)
class Verdict:
    """What paired trainings say of a claim.

    Attributes:
        comparison: of the claim's A with its B, over the replicates of the look; its ``interval``
            is a repeated one under a plan of several looks, with ``1 - alpha`` for all of them.
        plan: the looks; None: the number of replicates was fixed beforehand.
        ending: whether the claim is decided, given up as futile, undecided at the end, or open.
        alpha: level of the tests.
        p: p-values of the claim by itself.
        p_family: the p-values after Holm's correction over all claims of the family.
        num_claims: number of claims in the family.
        replicates_needed: for an undecided claim, the number of pairs in all with which the outcome
            that the observed difference points to is reached in 80 % of cases, if that difference
            and its sd are the true ones and their number is fixed; ``MAX_REPLICATES + 1`` stands
            for any larger number. Both are estimates, and poor ones from few pairs. None: the claim
            is decided, or the difference lies at the margin, where no number of pairs would do.
        sentence: the verdict in one sentence, in the terms of the kind of claim.
    """

    claim: Claim
    comparison: PairedComparison
    plan: LookPlan | None
    ending: Ending
    alpha: float
    p: PValues
    p_family: PValues
    num_claims: int
    replicates_needed: int | None
    sentence: str

    @property
    def outcome(self) -> Outcome:
        """The outcome for the claim by itself, at level alpha."""
        return self.p.outcome(self.alpha)

    @property
    def family_outcome(self) -> Outcome:
        """The outcome after Holm's correction over the family.

        Alpha bounds the chance of any false 'supported' in the family, and separately the chance
        of any false 'refuted'.
        """
        return self.p_family.outcome(self.alpha)


@dataclass(frozen=True, slots=True)
class _Judged:
    """A claim by itself, before its family is known."""

    comparison: PairedComparison
    p: PValues
    look: int
    is_futile: bool


Case = tuple[Claim, Replicates, Replicates]


def judge(claim: Claim, a: Replicates, b: Replicates, alpha: float = ALPHA) -> Verdict:
    """Judge one claim on the trainings of its two candidates, whose number was fixed beforehand.

    Raises:
        RunError: A and B share fewer than two seeds, or have numbers of images that differ.
    """
    return judge_all([(claim, a, b)], alpha)[0]


def judge_all(cases: Iterable[Case], alpha: float = ALPHA) -> list[Verdict]:
    """Judge the claims of one study, each by itself and as a family (Holm 1979).

    The numbers of replicates must have been fixed beforehand; else see :func:`judge_looks`.

    Args:
        cases: each claim with the trainings of its A and of its B.
        alpha: chance of a false verdict, for each claim in each of both directions.

    Raises:
        RunError: A and B of a claim share fewer than two seeds, or have numbers of images that
            differ; or alpha is not between 0 and 1.
    """
    if not 0 < alpha < 1:
        raise RunError(f"alpha {alpha} is not between 0 and 1")
    listed = list(cases)
    judged = [_judge_fixed(*case, alpha) for case in listed]
    verdicts = _judge_family([claim for claim, _, _ in listed], judged, None, alpha)
    return [verdict for verdict in verdicts if verdict is not None]


def judge_looks(cases: Iterable[Case | Claim], plan: LookPlan) -> list[Verdict | None]:
    """Judge claims under a plan of looks, each by itself and as a family.

    Each claim is judged at the look that ended it, or at the last look that its replicates have
    reached; later replicates do not count.

    Args:
        cases: each claim with the trainings of its A and of its B, or alone if one of them has
            none.
        plan: the looks, and the chance of a false verdict for each claim in each direction.

    Returns:
        None for a claim whose replicates have not reached the first look. It counts in the family.
    """
    claims: list[Claim] = []
    judged: list[_Judged | None] = []
    for case in cases:
        claims.append(case if isinstance(case, Claim) else case[0])
        judged.append(None if isinstance(case, Claim) else _judge_case(*case, plan))
    return _judge_family(claims, judged, plan, plan.alpha)


def replicates_wanted(case: Case | Claim, plan: LookPlan) -> int | None:
    """Return how many replicates a claim's next look needs; None: it needs no further look.

    Args:
        case: the claim with the trainings of its A and of its B, or alone if one of them has none.
        plan: the looks.
    """
    if isinstance(case, Claim):
        return plan.looks[0]
    claim, a, b = case
    reached = plan.num_reached(len(shared_replicates(a, b)))
    if reached == len(plan.looks):
        return None
    if reached:
        _, outcome, is_futile = read_looks(claim, paired_differences(a, b), plan)
        if outcome != "undecided" or is_futile:
            return None
    return plan.looks[reached]


def _judge_fixed(claim: Claim, a: Replicates, b: Replicates, alpha: float) -> _Judged:
    p = p_values_of(claim, paired_differences(a, b))
    return _Judged(_compare(claim, a, b, 1 - alpha), p, 0, False)


def _judge_case(claim: Claim, a: Replicates, b: Replicates, plan: LookPlan) -> _Judged | None:
    shared = shared_replicates(a, b)
    if not plan.num_reached(len(shared)):
        return None
    if plan.is_fixed:
        seen = shared[: plan.looks[0]]
        return _judge_fixed(claim, a.only(seen), b.only(seen), plan.alpha)
    differences = paired_differences(a, b)
    look, _, is_futile = read_looks(claim, differences, plan)
    seen = shared[: plan.looks[look]]
    p = PValues(
        sequential_p(claim.region, differences, plan, look),
        min(sequential_p(region, differences, plan, look) for region in claim.outside),
    )
    comparison = _compare(claim, a.only(seen), b.only(seen), plan.confidence(look))
    return _Judged(comparison, p, look, is_futile)


def _judge_family(
    claims: Sequence[Claim], judged: Sequence[_Judged | None], plan: LookPlan | None, alpha: float
) -> list[Verdict | None]:
    own = [PValues(1.0, 1.0) if each is None else each.p for each in judged]
    supports, refutes = holm([p.support for p in own]), holm([p.refute for p in own])
    return [
        None
        if each is None
        else _make_verdict(claim, each, PValues(*family), plan, alpha, len(own))
        for claim, each, family in zip(
            claims, judged, zip(supports, refutes, strict=True), strict=True
        )
    ]


def _make_verdict(
    claim: Claim,
    judged: _Judged,
    family: PValues,
    plan: LookPlan | None,
    alpha: float,
    num_claims: int,
) -> Verdict:
    found, p = judged.comparison, judged.p
    outcome, needed = p.outcome(alpha), None
    ending: Ending = "decided"
    if outcome == "undecided":
        regions = (claim.region, *claim.outside)
        needed = replicates_needed(regions, found.difference, found.sd, found.n, alpha)
        is_last = plan is None or judged.look == len(plan.looks) - 1
        ending = "futile" if judged.is_futile else "spent" if is_last else "open"
    finding = Finding(
        claim,
        found,
        outcome,
        p.refute if outcome == "refuted" else p.support,
        needed,
        plan,
        judged.look,
        judged.is_futile,
        alpha,
    )
    return Verdict(
        claim, found, plan, ending, alpha, p, family, num_claims, needed, say_verdict(finding)
    )


def p_values_of(claim: Claim, differences: Floats) -> PValues:
    """Return a claim's p-values from the differences A - B of its pairs, ``(n,)`` shares."""
    return PValues(
        _p_inside(claim.region, differences),
        min(_p_inside(region, differences) for region in claim.outside),
    )


def _p_inside(region: Region, differences: Floats) -> float:
    """Return the p-value of the hypothesis that the true difference is outside of a region."""
    p = 0.0
    if region.low > -math.inf:
        above = np.round(differences - region.low, DECIMALS)
        p = max(p, sign_flip_p(above, "greater"), paired_t_p(above, "greater"))
    if region.high < math.inf:
        below = np.round(differences - region.high, DECIMALS)
        p = max(p, sign_flip_p(below, "less"), paired_t_p(below, "less"))
    return min(1.0, 2 * p)


def _compare(claim: Claim, a: Replicates, b: Replicates, confidence: float) -> PairedComparison:
    try:
        return compare(a, b, confidence=confidence)
    except RunError as error:
        raise RunError(f"claim {str(claim)!r}: {error}") from error
