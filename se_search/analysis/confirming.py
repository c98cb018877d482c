"""Judges a search's candidates by trainings in fresh replicates, under a plan of looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from se_search.analysis.claims import Claim
from se_search.analysis.comparison import compare
from se_search.analysis.confirmation import (
    PLAIN,
    RECOMMENDED,
    Chosen,
    ClaimResult,
    Confirmation,
    Confirmed,
    Gain,
)
from se_search.analysis.paired_noise import find_least_sd
from se_search.analysis.pareto import front_probability, is_non_dominated
from se_search.analysis.replicates import Replicates, paired_differences, shared_replicates
from se_search.analysis.sequential import LookPlan
from se_search.analysis.statistics import pooled_sd
from se_search.analysis.two_way import fit_two_way
from se_search.analysis.verdicts import Case, Verdict, judge_looks, replicates_wanted
from se_search.analysis.winner import Winner, find_winner

NUM_DRAWS = 20_000

Trained = Mapping[str, Replicates]
"""The fresh trainings of each candidate that has any, by the candidate's key."""


@dataclass(frozen=True, slots=True)
class Stated:
    """The looks and claims of a confirmation, stated before its first training.

    Attributes:
        plan: the looks.
        beats_plain: that a candidate beats the plain network, one for each with SE; one family.
        not_worse: that the recommended candidate is not worse than another one by more than the
            tolerance, one for each confirmed one that costs no more. Only all together are of
            use, so that no correction is needed (intersection-union test; Berger 1982).
    """

    plan: LookPlan
    beats_plain: tuple[Claim, ...]
    not_worse: tuple[Claim, ...]


def state_claims(
    chosen: Sequence[Chosen], costs: Sequence[str], tolerance: float, plan: LookPlan
) -> Stated:
    """Return the claims about candidates that are to be trained again.

    Args:
        chosen: the candidates, the plain network among them.
        costs: ``params`` and/or ``macs``, the objectives of the front besides accuracy.
        tolerance: a difference in accuracy that does not matter, a share.
        plan: the looks.
    """
    plain = next(candidate.key for candidate in chosen if PLAIN in candidate.roles)
    others = [candidate for candidate in chosen if candidate.key != plain]
    best = next((candidate for candidate in others if RECOMMENDED in candidate.roles), None)
    margin = round(100 * tolerance, 6)
    return Stated(
        plan,
        tuple(Claim(candidate.key, "beats", plain) for candidate in others),
        tuple(
            Claim(best.key, "is not worse than", other.key, margin)
            for other in others
            if best is not None
            and other is not best
            and all(_cost_of(other, cost) <= _cost_of(best, cost) for cost in costs)
        ),
    )


def count_wanted(stated: Stated, test: Trained) -> dict[str, int]:
    """Return by key how many replicates the next look needs of the candidates of its open claims.

    The next look is the earliest that any open claim has to go; claims that are ahead wait.

    Args:
        stated: looks and claims.
        test: the fresh trainings by test accuracy.
    """
    wanted = {
        claim: replicates_wanted(_case(claim, test), stated.plan)
        for claim in (*stated.beats_plain, *stated.not_worse)
    }
    look = min((number for number in wanted.values() if number is not None), default=0)
    return {
        key: look
        for claim, number in wanted.items()
        if number == look
        for key in (claim.a, claim.b)
    }


def judge_candidates(
    chosen: Sequence[Chosen],
    validation: Trained,
    test: Trained,
    costs: Sequence[str],
    stated: Stated,
) -> Confirmation:
    """Summarise candidates by their fresh trainings.

    Args:
        chosen: the candidates.
        validation: the fresh trainings by validation accuracy.
        test: the fresh trainings by test accuracy.
        costs: ``params`` and/or ``macs``, the objectives of the front besides accuracy.
        stated: looks and claims, stated beforehand.
    """
    ordered = sorted(chosen, key=lambda c: (c.params, c.macs))
    trained = [c for c in ordered if c.key in validation]
    fresh = {c.key: validation[c.key] for c in trained}
    fresh_test = {c.key: test[c.key] for c in trained}
    plain = next((c.key for c in trained if PLAIN in c.roles), None)
    places = judge_front(trained, fresh, costs)
    beats = {each.a: each for each in _judge_claims(stated.beats_plain, fresh_test, stated.plan)}
    not_worse = _judge_claims(stated.not_worse, fresh_test, stated.plan)

    def judge(candidate: Chosen) -> Confirmed:
        key = candidate.key
        claim = beats.get(key)
        if key not in fresh:
            return Confirmed(**_fields(candidate), claim=claim)
        on_front, probability = places[key]
        gain = _gain_over(plain, key, fresh, stated.plan)
        expected = candidate.search_gain
        return Confirmed(
            **_fields(candidate),
            num_replicates=len(fresh[key].seeds),
            accuracy=fresh[key].mean,
            test_accuracy=fresh_test[key].mean,
            gain=gain,
            test_gain=_gain_over(plain, key, fresh_test, stated.plan),
            too_good=None if gain is None or expected is None else expected - gain.mean,
            on_front=on_front,
            front_probability=probability,
            claim=claim,
        )

    claims = [*beats.values(), *not_worse]
    return Confirmation(
        candidates=tuple(judge(candidate) for candidate in ordered),
        not_worse=tuple(not_worse),
        winner=_find_winner(plain, fresh_test),
        replicate_sd=_pooled_sd(fresh),
        test_replicate_sd=_pooled_sd(fresh_test),
        num_trainings=sum(len(each.seeds) for each in fresh.values()),
        num_saved=_count_saved(ordered, fresh, claims, stated.plan.looks[-1]),
    )


def _judge_claims(claims: Sequence[Claim], test: Trained, plan: LookPlan) -> list[ClaimResult]:
    verdicts = judge_looks([_case(claim, test) for claim in claims], plan)
    return [
        ClaimResult(str(claim), claim.a, claim.b) if verdict is None else _summarize(verdict, plan)
        for claim, verdict in zip(claims, verdicts, strict=True)
    ]


def _case(claim: Claim, test: Trained) -> Case | Claim:
    a, b = test.get(claim.a), test.get(claim.b)
    return claim if a is None or b is None else (claim, a, b)


def _summarize(verdict: Verdict, plan: LookPlan) -> ClaimResult:
    found = verdict.comparison
    return ClaimResult(
        text=str(verdict.claim),
        a=verdict.claim.a,
        b=verdict.claim.b,
        outcome=verdict.outcome,
        family_outcome=verdict.family_outcome,
        ending=verdict.ending,
        num_replicates=found.n,
        look=plan.num_reached(found.n),
        difference=found.difference,
        low=found.interval.low,
        high=found.interval.high,
        p_support=verdict.p.support,
        p_refute=verdict.p.refute,
    )


def _gain_over(plain: str | None, key: str, fresh: Trained, plan: LookPlan) -> Gain | None:
    if plain is None or plain == key:
        return None
    own, base = fresh[key], fresh[plain]
    shared = shared_replicates(own, base)
    if not shared:
        return None
    reached = plan.num_reached(len(shared))
    if not reached:
        return Gain(float(paired_differences(own, base).mean()), len(shared))
    seen = shared[: plan.looks[reached - 1]]
    own, base = own.only(seen), base.only(seen)
    confidence, least_sd = plan.confidence(reached - 1), find_least_sd(own, base)
    found = compare(own, base, confidence=confidence, least_sd=least_sd)
    population = found.population or (None, None)
    return Gain(found.difference, found.n, *found.interval, *population)


def judge_front(
    trained: Sequence[Chosen], fresh: Trained, costs: Sequence[str]
) -> dict[str, tuple[bool, float | None]]:
    """Return whether each candidate is on the front of the means, and the probability of it."""
    if not trained:
        return {}
    fitted = fit_two_way(fresh)
    paid = np.array([[_cost_of(c, cost) for cost in costs] for c in trained])
    marks = is_non_dominated(np.column_stack([-fitted.means, paid]))
    shares: list[float | None] = [None] * len(trained)
    if fitted.rest_sd is not None:
        known = np.flatnonzero(~np.isnan(paid).any(axis=1))
        found = front_probability(paid[known], fitted.draw(NUM_DRAWS)[:, known])
        for row, share in zip(known.tolist(), found.tolist(), strict=True):
            shares[row] = share
    return {
        key: (bool(mark), share)
        for key, mark, share in zip(fitted.keys, marks, shares, strict=True)
    }


def _cost_of(candidate: Chosen, cost: str) -> float:
    """Return a cost; NaN: it is not known, as a latency of a block that the run did not measure."""
    value = getattr(candidate, cost)
    return float("nan") if value is None else float(value)


def _find_winner(plain: str | None, test: Trained) -> Winner | None:
    """Return the best candidate with SE by the replicates that all candidates have."""
    keys = tuple(key for key in test if key != plain)
    if plain is None or not keys:
        return None
    common = sorted(set.intersection(*(set(each.seeds) for each in test.values())))
    if not common:
        return None
    base = test[plain].only(common).accuracies
    gains = np.column_stack([test[key].only(common).accuracies - base for key in keys])
    return find_winner(keys, gains)


def _count_saved(
    chosen: Sequence[Chosen], fresh: Trained, claims: Sequence[ClaimResult], last: int
) -> int:
    needed = {key for claim in claims if claim.ending == "open" for key in (claim.a, claim.b)}
    return sum(
        max(0, last - (len(fresh[c.key].seeds) if c.key in fresh else 0))
        for c in chosen
        if c.key not in needed
    )


def _pooled_sd(fresh: Trained) -> float | None:
    return pooled_sd([each.accuracies.tolist() for each in fresh.values()])


def _fields(candidate: Chosen) -> dict[str, Any]:
    return {field.name: getattr(candidate, field.name) for field in fields(Chosen)}
