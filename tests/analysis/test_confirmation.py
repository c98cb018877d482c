"""Candidates judged by fresh trainings, against scipy and an analysis of variance."""

import math

import numpy as np
import pytest
from scipy import stats

from se_search.analysis.confirmation import Chosen, judge_candidates, mean_errors
from se_search.analysis.replicates import Replicates


def chosen(name, params, *roles, search=None):
    return Chosen(name, name, name, roles or ("front",), params, 0, 0.0, params, 0, search, 1)


def replicates_of(*accuracies):
    return Replicates(tuple(range(len(accuracies))), np.array(accuracies))


def judge(candidates, accuracies):
    fresh = {name: replicates_of(*values) for name, values in accuracies.items()}
    return judge_candidates(candidates, fresh, fresh, ["params"])


def test_optimism_is_the_searchs_mean_less_that_of_fresh_seeds():
    result = judge([chosen("a", 1, search=0.85)], {"a": [0.80, 0.82]})
    assert result.candidates[0].optimism == pytest.approx(0.04)
    assert result.mean_optimism == pytest.approx(0.04)


def test_errors_are_those_of_an_analysis_of_variance():
    """With equal numbers of seeds the pooled variance is the mean of the variances."""
    values = {"a": [0.80, 0.82, 0.81], "b": [0.70, 0.75, 0.71]}
    variance = np.mean([np.var(v, ddof=1) for v in values.values()])
    half = stats.t.ppf(0.975, 4) * math.sqrt(variance / 3)
    errors = mean_errors({name: replicates_of(*v) for name, v in values.items()})
    assert errors == pytest.approx({"a": half, "b": half})


def test_intervals_cover_the_true_mean_in_95_of_100():
    rng = np.random.default_rng(0)
    hits = []
    for _ in range(500):
        draws = 0.5 + 0.01 * rng.standard_normal((4, 3))
        errors = mean_errors({str(i): replicates_of(*row) for i, row in enumerate(draws)})
        hits += [abs(row.mean() - 0.5) <= errors[str(i)] for i, row in enumerate(draws)]
    assert np.mean(hits) == pytest.approx(0.95, abs=0.02)


def test_the_chance_of_the_front_is_that_of_the_dearer_mean_being_higher():
    """Of two candidates: Student's t of the difference of two means with one variance."""
    values = {"cheap": [0.80, 0.82, 0.81], "dear": [0.81, 0.83, 0.81]}
    result = judge([chosen("cheap", 1), chosen("dear", 2)], values)
    sd = math.sqrt(np.mean([np.var(v, ddof=1) for v in values.values()]))
    gap = np.mean(values["dear"]) - np.mean(values["cheap"])
    chance = stats.t.cdf(gap / (sd * math.sqrt(2 / 3)), 4)
    assert [c.front_probability for c in result.candidates] == [
        1.0,
        pytest.approx(chance, abs=0.015),
    ]


def test_gains_are_over_the_plain_backbone_with_equal_seeds():
    plain, other = [0.80, 0.82, 0.81, 0.79], [0.81, 0.84, 0.81, 0.80]
    candidates = [chosen("plain", 1, "plain backbone"), chosen("se", 2)]
    first, second = judge(candidates, {"plain": plain, "se": other}).candidates
    assert first.gain is None
    interval = stats.ttest_rel(other, plain).confidence_interval()
    assert (second.gain.low, second.gain.high) == pytest.approx(tuple(interval))
    assert second.gain.mean == pytest.approx(0.01)


def test_one_seed_gives_means_and_no_intervals():
    candidates = [chosen("plain", 1, "plain backbone"), chosen("se", 2, search=0.9)]
    result = judge(candidates, {"plain": [0.8], "se": [0.85]})
    assert result.seed_sd is None
    assert result.candidates[1].error is None
    assert result.candidates[1].gain.mean == pytest.approx(0.05)
    assert result.candidates[1].gain.p is None
    assert result.candidates[1].on_front


def test_a_candidate_that_was_beaten_is_no_longer_on_the_front():
    candidates = [chosen("cheap", 1), chosen("dear", 2)]
    result = judge(candidates, {"cheap": [0.9, 0.91], "dear": [0.8, 0.81]})
    assert [c.on_front for c in result.candidates] == [True, False]


def test_a_candidate_without_trainings_has_no_numbers():
    result = judge([chosen("a", 1), chosen("b", 2)], {"a": [0.8, 0.81]})
    assert (result.candidates[1].num_replicates, result.candidates[1].accuracy) == (0, None)
    assert len(result.members) == 1
