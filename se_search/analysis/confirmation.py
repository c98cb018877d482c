"""Judges a search's candidates by fresh trainings: with seeds that the search never used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from se_search.analysis.comparison import compare
from se_search.analysis.pareto import front_probability, is_non_dominated
from se_search.analysis.replicates import Replicates, paired_differences
from se_search.analysis.statistics import pooled_sd, t_quantile

# Why a candidate is trained again.
FRONT, CREDIBLE, NAMED = "front", "credible", "named"
PLAIN, EVERYWHERE = "plain backbone", "SE everywhere"

NUM_DRAWS = 20_000

Trained = Mapping[str, Replicates]
"""The fresh trainings of each candidate that has any, by the candidate's key."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A candidate that is to be trained again, as the search stood when it was chosen.

    Attributes:
        candidate: the text form.
        roles: why it was chosen, at least one of ``front``, ``credible``, ``named``,
            ``plain backbone`` and ``SE everywhere``.
        search_accuracy: mean validation accuracy over the search's full trainings of it; None:
            the search has no full training of it.
        search_replicates: number of the search's full trainings of it.
        search_estimate: posterior mean of its true accuracy under the search's model; None: there
            is no model, or the search has no full training of it.
    """

    candidate: str
    key: str
    placement: str
    roles: tuple[str, ...]
    params: int
    added_params: int
    added_params_pct: float
    macs: int
    added_macs: int
    search_accuracy: float | None
    search_replicates: int
    search_estimate: float | None = None


@dataclass(frozen=True, slots=True)
class Gain:
    """By how much a candidate is more accurate than the plain backbone, in shares (0..1).

    Attributes:
        mean: mean difference over the seeds that both have; with one such seed, all other
            attributes are None.
        low: lower end of the mean's 95 % interval on these images, by Student's paired t.
        high: upper end of the mean's 95 % interval on these images.
        p: two-sided p-value of no difference, by sign flips.
        detectable: the true difference that this number of seeds finds in 80 % of cases.
        population_low: lower end of the mean's 95 % interval on new images of this kind; None:
            it is not known which images were right.
        population_high: upper end of the mean's 95 % interval on new images of this kind.
    """

    mean: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    detectable: float | None = None
    population_low: float | None = None
    population_high: float | None = None


@dataclass(frozen=True, slots=True)
class Confirmed(Chosen):
    """A candidate after its trainings with fresh seeds; accuracies are shares (0..1).

    Attributes:
        num_replicates: number of trainings that ended well; at 0 nothing below is known.
        accuracy: mean accuracy on validation images.
        error: half the width of the 95 % interval of ``accuracy``; None: no candidate has two
            trainings.
        test_accuracy: mean accuracy on test images.
        test_error: half the width of the 95 % interval of ``test_accuracy``.
        optimism: the search's mean minus ``accuracy``; None: the search has no full training.
        gain: over the plain backbone on validation images, with equal seeds; None: the two share
            no seed, or this is the plain backbone.
        test_gain: over the plain backbone on test images, with equal seeds.
        on_front: whether no other confirmed candidate dominates it, by their means.
        front_probability: probability that no other confirmed candidate dominates it, by means
            over infinitely many seeds; None: no candidate has two trainings.
    """

    num_replicates: int = 0
    accuracy: float | None = None
    error: float | None = None
    test_accuracy: float | None = None
    test_error: float | None = None
    optimism: float | None = None
    gain: Gain | None = None
    test_gain: Gain | None = None
    on_front: bool = False
    front_probability: float | None = None


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The fresh trainings of a search's candidates, summarised; accuracies are shares (0..1).

    Attributes:
        candidates: cheapest first.
        seed_sd: standard deviation of validation accuracy over seeds, pooled over the candidates;
            None: no candidate has two trainings.
        test_seed_sd: standard deviation of test accuracy over seeds, pooled over the candidates.
        num_trainings: number of trainings that the numbers rest on.
    """

    candidates: tuple[Confirmed, ...]
    seed_sd: float | None
    test_seed_sd: float | None
    num_trainings: int

    @property
    def members(self) -> list[Confirmed]:
        """The members of the search's front that have been trained again."""
        return [c for c in self.candidates if FRONT in c.roles and c.accuracy is not None]

    @property
    def mean_optimism(self) -> float | None:
        """The mean ``optimism`` of the members; None: there are no members."""
        return _mean_or_none([c.optimism for c in self.members if c.optimism is not None])

    @property
    def mean_estimate_error(self) -> float | None:
        """The members' mean of model estimate minus ``accuracy``; None: there is no model."""
        return _mean_or_none(
            [
                c.search_estimate - c.accuracy
                for c in self.members
                if c.search_estimate is not None and c.accuracy is not None
            ]
        )


def judge_candidates(
    chosen: Sequence[Chosen],
    validation: Trained,
    test: Trained,
    costs: Sequence[str],
    seed: int = 0,
) -> Confirmation:
    """Summarise candidates by their fresh trainings.

    The intervals of the means are Student's, with the variance over seeds pooled over all
    candidates: a handful of seeds of one candidate determines its own variance too poorly.

    Args:
        chosen: the candidates.
        validation: the fresh trainings by validation accuracy.
        test: the fresh trainings by test accuracy.
        costs: ``params`` and/or ``macs``, the objectives of the front besides accuracy.
        seed: of the draws behind ``front_probability``.
    """
    ordered = sorted(chosen, key=lambda c: (c.params, c.macs))
    trained = [c for c in ordered if c.key in validation]
    fresh = {c.key: validation[c.key] for c in trained}
    fresh_test = {c.key: test[c.key] for c in trained}
    plain = next((c.key for c in trained if PLAIN in c.roles), None)
    errors, test_errors = mean_errors(fresh), mean_errors(fresh_test)
    places = _judge_front(trained, fresh, costs, seed)

    def judge(candidate: Chosen) -> Confirmed:
        key = candidate.key
        if key not in fresh:
            return Confirmed(**_fields(candidate))
        accuracy = fresh[key].mean
        found = candidate.search_accuracy
        on_front, probability = places[key]
        return Confirmed(
            **_fields(candidate),
            num_replicates=len(fresh[key].seeds),
            accuracy=accuracy,
            error=errors.get(key),
            test_accuracy=fresh_test[key].mean,
            test_error=test_errors.get(key),
            optimism=None if found is None else found - accuracy,
            gain=_gain_over(plain, key, fresh),
            test_gain=_gain_over(plain, key, fresh_test),
            on_front=on_front,
            front_probability=probability,
        )

    return Confirmation(
        tuple(judge(candidate) for candidate in ordered),
        _seed_sd(fresh),
        _seed_sd(fresh_test),
        sum(len(each.seeds) for each in fresh.values()),
    )


def _seed_sd(fresh: Trained) -> float | None:
    return pooled_sd([each.accuracies.tolist() for each in fresh.values()])


def mean_errors(fresh: Trained) -> dict[str, float]:
    """Return half the width of the 95 % interval of each candidate's mean, by key.

    Student's interval, with the pooled variance and its degrees of freedom. Empty where no
    candidate has two trainings.
    """
    sd = _seed_sd(fresh)
    if sd is None:
        return {}
    quantile = t_quantile(0.975, _degrees(fresh))
    return {key: quantile * sd / len(each.seeds) ** 0.5 for key, each in fresh.items()}


def _gain_over(plain: str | None, key: str, fresh: Trained) -> Gain | None:
    if plain is None or plain == key:
        return None
    differences = paired_differences(fresh[key], fresh[plain])
    if len(differences) < 2:
        return Gain(float(differences[0])) if len(differences) else None
    found = compare(fresh[key], fresh[plain])
    population = found.population or (None, None)
    return Gain(found.difference, *found.interval, found.p_value, found.detectable, *population)


def _judge_front(
    trained: Sequence[Chosen], fresh: Trained, costs: Sequence[str], seed: int
) -> dict[str, tuple[bool, float | None]]:
    """Return whether each candidate is on the front of the means, and the probability of it.

    The draws are from the means' posterior under a flat prior and one unknown variance, which is
    a multivariate t distribution (Gelman et al., Bayesian Data Analysis, sec. 3.2).
    """
    if not trained:
        return {}
    keys = [candidate.key for candidate in trained]
    paid = np.array([[float(getattr(c, cost)) for cost in costs] for c in trained])
    means = np.array([fresh[key].mean for key in keys])
    marks = is_non_dominated(np.column_stack([-means, paid]))
    sd = _seed_sd(fresh)
    if sd is None:
        return {key: (bool(mark), None) for key, mark in zip(keys, marks, strict=True)}
    rng = np.random.default_rng(seed)
    degrees = _degrees(fresh)
    sds = sd * np.sqrt(degrees / rng.chisquare(degrees, size=(NUM_DRAWS, 1)))
    reach = np.array([len(fresh[key].seeds) ** -0.5 for key in keys])
    draws = means + sds * reach * rng.standard_normal((NUM_DRAWS, len(keys)))
    shares = front_probability(paid, draws)
    return {
        key: (bool(mark), float(share))
        for key, mark, share in zip(keys, marks, shares, strict=True)
    }


def _degrees(fresh: Trained) -> int:
    return sum(len(each.seeds) - 1 for each in fresh.values())


def _mean_or_none(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _fields(candidate: Chosen) -> dict[str, Any]:
    return {field.name: getattr(candidate, field.name) for field in fields(Chosen)}
