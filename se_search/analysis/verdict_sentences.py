"""Says a verdict on a claim in one sentence, in the terms of the kind of claim."""

from __future__ import annotations

from typing import NamedTuple

from se_search.analysis.claims import Claim
from se_search.analysis.comparison import PairedComparison
from se_search.analysis.power import MAX_REPLICATES, fewest_replicates
from se_search.analysis.sequential import FUTILE, LookPlan, Outcome


class Finding(NamedTuple):
    """What is said about a claim.

    Attributes:
        p: two-sided p-value of the outcome; without meaning where nothing is decided.
        needed: number of paired replicates that would decide an undecided claim; None: it is
            decided, or the difference lies at its margin.
        plan: the looks; None: the number of replicates was fixed beforehand.
        look: number of the look, from 0.
        is_futile: whether the claim was given up at the look.
        alpha: level of the tests.
    """

    claim: Claim
    comparison: PairedComparison
    outcome: Outcome
    p: float
    needed: int | None
    plan: LookPlan | None
    look: int
    is_futile: bool
    alpha: float


def say_verdict(finding: Finding) -> str:
    """Return the verdict with the difference, its interval and the number of replicates."""
    claim, found = finding.claim, finding.comparison
    low, high = (100 * limit for limit in found.interval)
    repeated = "" if finding.plan is None or finding.plan.is_fixed else "repeated "
    measured = (
        f"the difference in top-{claim.top} is {100 * found.difference:+.2f} points "
        f"({repeated}{100 * (1 - finding.alpha):g} % interval {low:+.2f} to {high:+.2f}, "
        f"{found.n} paired replicates"
    )
    if finding.outcome == "undecided":
        return f"Undecided {_question(claim)}: {measured}); {_advise(finding)}."
    said = (
        _say_supported(claim)
        if finding.outcome == "supported"
        else _say_refuted(claim, found.difference)
    )
    return f"{said}: {measured}, p = {finding.p:.2g})."


def _question(claim: Claim) -> str:
    margin = f"{claim.margin:g} points"
    if claim.kind == "beats":
        return f"whether {claim.a} beats {claim.b}" + (f" by {margin}" if claim.margin else "")
    if claim.kind == "equals":
        return f"whether {claim.a} and {claim.b} are equivalent within {margin}"
    return f"whether {claim.a} is non-inferior to {claim.b} with a margin of {margin}"


def _say_supported(claim: Claim) -> str:
    margin = f"{claim.margin:g} points"
    if claim.kind == "beats":
        extra = f" by more than {margin}" if claim.margin else ""
        return f"{claim.a} is superior to {claim.b}{extra}"
    if claim.kind == "equals":
        return f"{claim.a} and {claim.b} are equivalent within {margin}"
    return f"{claim.a} is non-inferior to {claim.b}, not worse by more than {margin}"


def _say_refuted(claim: Claim, difference: float) -> str:
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


def _advise(finding: Finding) -> str:
    plan, look = finding.plan, finding.look
    if plan is not None and finding.is_futile:
        return (
            "it was given up, for if this trend goes on, a later look decides in less than "
            f"{100 * FUTILE:g} % of cases"
        )
    if plan is not None and look + 1 < len(plan.looks):
        return f"the next look is at {plan.looks[look + 1]} replicates"
    if finding.needed is None:
        return "the difference lies at the margin, where no number of replicates would decide"
    number = (
        f"more than {MAX_REPLICATES:,}"
        if finding.needed > MAX_REPLICATES
        else f"about {finding.needed:,}"
    )
    advice = f"if that is the true difference, {number} paired replicates decide with 80 % power"
    fewest = fewest_replicates(1, finding.alpha)
    if finding.comparison.n < fewest:
        advice += f"; fewer than {fewest} paired replicates can never decide"
    return advice
