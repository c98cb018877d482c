"""Pooled variances and Holm's correction, against scipy, brute force and published values."""

import numpy as np
import pytest
from scipy import stats

from se_search.analysis.statistics import (
    holm,
    pool_variances,
    pooled_sd,
    pooled_variance,
    wilson_interval,
)

GROUPS = [[0.81, 0.83, 0.84], [0.90, 0.91], [0.5]]


def test_the_pooled_variance_is_the_mean_square_within_groups_of_an_analysis_of_variance():
    # scipy's F is the mean square between groups over that within them.
    between = sum(len(g) * (np.mean(g) - np.mean(np.concatenate(GROUPS))) ** 2 for g in GROUPS) / 2
    expected = between / stats.f_oneway(*GROUPS).statistic
    assert pooled_variance(GROUPS) == pytest.approx(expected)


def test_the_pooled_sd_is_the_root_of_the_pooled_variance():
    assert pooled_sd(GROUPS) == pytest.approx(pooled_variance(GROUPS) ** 0.5)


def test_groups_of_one_say_nothing_of_the_variance():
    assert pooled_variance([[0.5], [0.7]]) is None
    assert pooled_sd([[0.5], []]) is None


def test_variances_of_groups_pool_to_that_of_their_members():
    repeated = [group for group in GROUPS if len(group) > 1]
    variances = [np.var(group, ddof=1) for group in repeated]
    assert pool_variances([3, 2], variances) == pytest.approx(pooled_variance(GROUPS))


def test_no_groups_have_no_variance():
    assert pool_variances([], []) is None


def test_holm_gives_the_values_of_a_published_example():
    # R's p.adjust(p, "holm") and statsmodels' multipletests(p, method="holm").
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holms_values_are_at_most_one():
    assert holm([0.7, 0.6]) == [1, 1]


def test_holm_of_no_hypotheses_is_empty():
    assert holm([]) == []


def test_holm_rejects_what_its_sequence_of_tests_rejects():
    rng = np.random.default_rng(16)
    for _ in range(200):
        p_values = list(np.round(rng.random(6) ** 3, 3))
        left, rejected = sorted(range(6), key=lambda i: p_values[i]), set()
        while left and p_values[left[0]] <= 0.05 / len(left):
            rejected.add(left.pop(0))
        assert {i for i, p in enumerate(holm(p_values)) if p <= 0.05} == rejected


@pytest.mark.parametrize(("right", "count"), [(0, 10), (7, 10), (287, 287), (4321, 10_000)])
def test_wilsons_interval_is_that_of_scipy(right, count):
    expected = stats.binomtest(right, count).proportion_ci(method="wilson")
    assert wilson_interval(right / count, count) == pytest.approx(tuple(expected), abs=1e-5)
