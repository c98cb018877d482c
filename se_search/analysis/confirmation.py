"""Judges what a search has found by trainings with seeds that the search never had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from se_search.analysis.comparison import Runs, compare
from se_search.analysis.pareto import front_probability, is_non_dominated
from se_search.analysis.statistics import pooled_sd

# Why a candidate is trained again.
FRONT, CREDIBLE, NAMED = "front", "credible", "named"
PLAIN, EVERYWHERE = "plain backbone", "SE everywhere"

NUM_DRAWS = 20_000

Trained = Mapping[str, Runs]
"""The fresh trainings of each candidate that has some, by its key."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A candidate that is trained again, as the search had left it when it was chosen.

    Attributes:
        candidate: the text form.
        roles: why it was chosen, at least one of ``front``, ``credible``, ``named``,
            ``plain backbone`` and ``SE everywhere``.
        search_accuracy: mean over the search's full trainings, on validation images; None: the
            search has none of it.
        search_seeds: how many those are.
        search_estimate: what the search's model made of it, without the luck of its seeds; None:
            not known.
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
    search_seeds: int
    search_estimate: float | None = None


@dataclass(frozen=True, slots=True)
class Gain:
    """How much more accurate a candidate is than the plain backbone, over their common seeds.

    Attributes:
        mean: of the differences; with one common seed, all the rest is None.
        low: lower end of its 95 % interval on these images, by Student's paired t.
        high: upper end.
        p: of no difference, by sign flips, two-sided.
        detectable: the true difference that so many seeds find in 80 % of the cases.
        population_low: lower end of the 95 % interval on new images of the same kind.
        population_high: upper end.
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
        num_seeds: trainings that ended well; if there are none, all that follows is None.
        accuracy: their mean on validation images.
        error: half the width of its 95 % interval; None: no candidate has two trainings.
        test_accuracy: their mean on test images.
        test_error: as error.
        optimism: by how much the search's mean is above ``accuracy``.
        gain: over the plain backbone on validation images, with equal seeds; None: not known, or
            it is the plain backbone.
        test_gain: the same on test images.
        on_front: whether no other confirmed candidate beats its mean at no higher costs.
        front_probability: how likely that is of the means over infinitely many seeds; None: as
            error.
    """

    num_seeds: int = 0
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
    """What fresh trainings say of a search's candidates.

    Attributes:
        candidates: cheapest first.
        seed_sd: standard deviation of validation accuracy over seeds, pooled over the candidates;
            None: no candidate has two trainings.
        test_seed_sd: the same of test accuracy.
        num_trainings: those that the numbers rest on.
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
        """By how much the members' accuracies were too good in the search, on average."""
        return _mean_or_none([c.optimism for c in self.members if c.optimism is not None])

    @property
    def mean_estimate_error(self) -> float | None:
        """By how much the model's estimates of the members were too high, on average."""
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
    """Set candidates beside their fresh trainings.

    The intervals of the means are Student's, with the variance over seeds pooled over all
    candidates: a handful of seeds of one candidate says too little of it.

    Args:
        chosen: the candidates.
        validation: of the fresh trainings.
        test: of the same trainings.
        costs: ``params`` and/or ``macs``: what the front is about, besides accuracy.
        seed: of the draws behind ``front_probability``.
    """
    ordered = sorted(chosen, key=lambda c: (c.params, c.macs))
    trained = [c for c in ordered if c.key in validation]
    runs = {c.key: validation[c.key] for c in trained}
    test_runs = {c.key: test[c.key] for c in trained}
    plain = next((c.key for c in trained if PLAIN in c.roles), None)
    errors, test_errors = mean_errors(runs), mean_errors(test_runs)
    places = _judge_front(trained, runs, costs, seed)

    def judge(candidate: Chosen) -> Confirmed:
        key = candidate.key
        if key not in runs:
            return Confirmed(**_fields(candidate))
        accuracy = _mean(runs[key])
        found = candidate.search_accuracy
        on_front, probability = places[key]
        return Confirmed(
            **_fields(candidate),
            num_seeds=len(runs[key].seeds),
            accuracy=accuracy,
            error=errors.get(key),
            test_accuracy=_mean(test_runs[key]),
            test_error=test_errors.get(key),
            optimism=None if found is None else found - accuracy,
            gain=_gain_over(plain, key, runs),
            test_gain=_gain_over(plain, key, test_runs),
            on_front=on_front,
            front_probability=probability,
        )

    return Confirmation(
        tuple(judge(candidate) for candidate in ordered),
        _seed_sd(runs),
        _seed_sd(test_runs),
        sum(len(each.seeds) for each in runs.values()),
    )


def _seed_sd(runs: Trained) -> float | None:
    return pooled_sd([each.accuracies.tolist() for each in runs.values()])


def mean_errors(runs: Trained) -> dict[str, float]:
    """Return half the width of the 95 % interval of each candidate's mean; empty: not known.

    Student's, with the pooled variance and its degrees of freedom.
    """
    sd = _seed_sd(runs)
    if sd is None:
        return {}
    from scipy.special import stdtrit  # half a second to import; reading results does without

    quantile = float(stdtrit(_degrees(runs), 0.975))
    return {key: quantile * sd / len(each.seeds) ** 0.5 for key, each in runs.items()}


def _gain_over(plain: str | None, key: str, runs: Trained) -> Gain | None:
    if plain is None or plain == key:
        return None
    common = sorted(set(runs[key].seeds) & set(runs[plain].seeds))
    if not common:
        return None
    if len(common) == 1:
        values = [dict(zip(r.seeds, r.accuracies, strict=True)) for r in (runs[key], runs[plain])]
        return Gain(float(values[0][common[0]] - values[1][common[0]]))
    found = compare(runs[key], runs[plain])
    population = found.population or (None, None)
    return Gain(found.difference, *found.interval, found.p_value, found.detectable, *population)


def _judge_front(
    trained: Sequence[Chosen], runs: Trained, costs: Sequence[str], seed: int
) -> dict[str, tuple[bool, float | None]]:
    """Return whether each candidate is on the front of the means, and how likely by their error.

    The draws are from the means' posterior under a flat prior and one unknown variance, which is
    a multivariate t distribution (Gelman et al., Bayesian Data Analysis, sec. 3.2).
    """
    if not trained:
        return {}
    keys = [candidate.key for candidate in trained]
    paid = np.array([[float(getattr(c, cost)) for cost in costs] for c in trained])
    means = np.array([_mean(runs[key]) for key in keys])
    marks = is_non_dominated(np.column_stack([-means, paid]))
    sd = _seed_sd(runs)
    if sd is None:
        return {key: (bool(mark), None) for key, mark in zip(keys, marks, strict=True)}
    rng = np.random.default_rng(seed)
    degrees = _degrees(runs)
    sds = sd * np.sqrt(degrees / rng.chisquare(degrees, size=(NUM_DRAWS, 1)))
    reach = np.array([len(runs[key].seeds) ** -0.5 for key in keys])
    draws = means + sds * reach * rng.standard_normal((NUM_DRAWS, len(keys)))
    shares = front_probability(paid, draws)
    return {
        key: (bool(mark), float(share))
        for key, mark, share in zip(keys, marks, shares, strict=True)
    }


def _degrees(runs: Trained) -> int:
    return sum(len(each.seeds) - 1 for each in runs.values())


def _mean(runs: Runs) -> float:
    return float(runs.accuracies.mean())


def _mean_or_none(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _fields(candidate: Chosen) -> dict[str, Any]:
    return {field.name: getattr(candidate, field.name) for field in fields(Chosen)}
