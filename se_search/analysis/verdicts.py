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
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from se_search.analysis.claims import Claim, Region
from se_search.analysis.comparison import PairedComparison, compare
from se_search.analysis.paired_tests import paired_t_p, sign_flip_p
from se_search.analysis.power import ALPHA, MAX_SEEDS, fewest_replicates, replicates_needed
from se_search.analysis.replicates import DECIMALS, Floats, Replicates, paired_differences
from se_search.analysis.statistics import holm
from se_search.errors import RunError

Outcome = Literal["supported", "refuted", "undecided"]


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
        comparison: of the claim's A with its B.
        alpha: level of the tests.
        p: p-values of the claim by itself.
        p_family: the p-values after Holm's correction over all claims of the family.
        num_claims: number of claims in the family.
        replicates_needed: for an undecided claim, the number of pairs in all with which the outcome
            that the observed difference points to is reached in 80 % of cases, if that difference
            and its sd are the true ones; ``MAX_SEEDS + 1`` stands for any larger number. Both are
            estimates, and poor ones from few pairs. None: the claim is decided, or the difference
            lies at the margin, where no number of pairs would do.
        sentence: the verdict in one sentence, in the terms of the kind of claim.
    """

    claim: Claim
    comparison: PairedComparison
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


def judge(claim: Claim, a: Replicates, b: Replicates, alpha: float = ALPHA) -> Verdict:
    """Judge one claim on the trainings of its two candidates.

    Raises:
        RunError: A and B share fewer than two seeds, or have numbers of images that differ.
    """
    return judge_all([(claim, a, b)], alpha)[0]


def judge_all(
    claims_with_replicates: Iterable[tuple[Claim, Replicates, Replicates]], alpha: float = ALPHA
) -> list[Verdict]:
    """Judge the claims of one study, each by itself and as a family (Holm 1979).

    Args:
        claims_with_replicates: each claim with the trainings of its A and of its B.
        alpha: chance of a false verdict, for each claim in each of both directions.

    Raises:
        RunError: A and B of a claim share fewer than two seeds, or have numbers of images that
            differ; or alpha is not between 0 and 1.
    """
    if not 0 < alpha < 1:
        raise RunError(f"alpha {alpha} is not between 0 and 1")
    cases = list(claims_with_replicates)
    comparisons = [_compare(claim, a, b, alpha) for claim, a, b in cases]
    own = [p_values_of(claim, paired_differences(a, b)) for claim, a, b in cases]
    supports, refutes = holm([p.support for p in own]), holm([p.refute for p in own])
    verdicts = []
    for (claim, _, _), found, p, family in zip(
        cases, comparisons, own, map(PValues, supports, refutes), strict=True
    ):
        needed = None
        if p.outcome(alpha) == "undecided":
            regions = (claim.region, *claim.outside)
            needed = replicates_needed(regions, found.difference, found.sd, found.n, alpha)
        sentence = _sentence(claim, found, p, alpha, needed)
        verdicts.append(Verdict(claim, found, alpha, p, family, len(cases), needed, sentence))
    return verdicts


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


def _compare(claim: Claim, a: Replicates, b: Replicates, alpha: float) -> PairedComparison:
    try:
        return compare(a, b, confidence=1 - alpha)
    except RunError as error:
        raise RunError(f"claim {str(claim)!r}: {error}") from error


def _sentence(
    claim: Claim, comparison: PairedComparison, p: PValues, alpha: float, needed: int | None
) -> str:
    outcome = p.outcome(alpha)
    low, high = (100 * limit for limit in comparison.interval)
    measured = (
        f"the difference in top-{claim.top} is {100 * comparison.difference:+.2f} points "
        f"({100 * comparison.confidence:g} % interval {low:+.2f} to {high:+.2f}, "
        f"{comparison.n} paired seeds"
    )
    if outcome == "undecided":
        return f"Undecided {_question(claim)}: {measured}); {_advice(comparison, alpha, needed)}."
    deciding = p.support if outcome == "supported" else p.refute
    said = _supported(claim) if outcome == "supported" else _refuted(claim, comparison.difference)
    return f"{said}: {measured}, p = {deciding:.2g})."


def _question(claim: Claim) -> str:
    margin = f"{claim.margin:g} points"
    if claim.kind == "beats":
        return f"whether {claim.a} beats {claim.b}" + (f" by {margin}" if claim.margin else "")
    if claim.kind == "equals":
        return f"whether {claim.a} and {claim.b} are equivalent within {margin}"
    return f"whether {claim.a} is non-inferior to {claim.b} with a margin of {margin}"


def _supported(claim: Claim) -> str:
    margin = f"{claim.margin:g} points"
    if claim.kind == "beats":
        extra = f" by more than {margin}" if claim.margin else ""
        return f"{claim.a} is superior to {claim.b}{extra}"
    if claim.kind == "equals":
        return f"{claim.a} and {claim.b} are equivalent within {margin}"
    return f"{claim.a} is non-inferior to {claim.b}, not worse by more than {margin}"


def _refuted(claim: Claim, difference: float) -> str:
    margin = f"{claim.margin:g} points"
    if claim.kind == "beats":
        if not claim.margin:
            return f"{claim.a} does not beat {claim.b}, it is worse"
        return f"{claim.a} does not beat {claim.b} by {margin}"
    if claim.kind == "equals":
        side = "better" if difference > 0 else "worse"
        return (
            f"{claim.a} and {claim.b} are not equivalent within {margin}: {claim.a} is {side} "
            f"by more than {margin}"
        )
    return f"{claim.a} is inferior to {claim.b}, worse by more than {margin}"


def _advice(comparison: PairedComparison, alpha: float, needed: int | None) -> str:
    if needed is None:
        return "the difference lies at the margin, where no number of seeds would decide"
    number = f"more than {MAX_SEEDS:,}" if needed > MAX_SEEDS else f"about {needed:,}"
    advice = f"if that is the true difference, {number} paired seeds decide with 80 % power"
    fewest = fewest_replicates(1, alpha)
    if comparison.n < fewest:
        advice += f"; fewer than {fewest} paired seeds can never decide"
    return advice
