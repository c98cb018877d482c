"""Tests of paired differences, against scipy and against counting all sign patterns."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from se_search.analysis.paired_tests import paired_t_p, sign_flip_p, smallest_sign_flip_p

DIFFERENCES = np.array([2, 4, -1, 5, 3, 3]) / 1000


@pytest.mark.parametrize("alternative", ["greater", "less", "two-sided"])
def test_one_sided_p_of_t_is_scipys(alternative):
    found = stats.ttest_1samp(DIFFERENCES - 0.002, 0, alternative=alternative)
    assert paired_t_p(DIFFERENCES - 0.002, alternative) == pytest.approx(found.pvalue)


@pytest.mark.parametrize("alternative", ["greater", "less", "two-sided"])
@pytest.mark.parametrize("n", [2, 3, 6, 9])
def test_the_sign_flip_p_counts_all_patterns(n, alternative):
    # Whole numbers make ties, which count as reached.
    differences = np.random.default_rng(n).integers(-3, 5, n) / 1000
    sums = [
        sum(sign * round(1000 * x) for sign, x in zip(signs, differences, strict=True))
        for signs in itertools.product([1, -1], repeat=n)
    ]
    observed = round(1000 * float(differences.sum()))
    reached = {
        "greater": [s >= observed for s in sums],
        "less": [s <= observed for s in sums],
        "two-sided": [abs(s) >= abs(observed) for s in sums],
    }[alternative]
    assert sign_flip_p(differences, alternative) == np.mean(reached)


def test_the_sign_flip_p_is_that_of_scipys_permutation_test():
    differences = np.random.default_rng(3).normal(0.5, 1, 8)
    found = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=np.inf
    )
    assert sign_flip_p(differences) == pytest.approx(found.pvalue)


def test_drawn_sign_flips_agree_with_all_of_them():
    differences = np.random.default_rng(4).normal(0.35, 1, 17)
    signs = 1 - 2 * (np.arange(2**17)[:, None] >> np.arange(17) & 1)
    counted = (np.abs(signs @ differences) >= abs(differences.sum()) - 1e-9).mean()
    drawn = sign_flip_p(differences, seed=1)
    assert drawn == pytest.approx(counted, abs=4 * math.sqrt(counted / 2**16))
    assert drawn == sign_flip_p(differences, seed=1)
    assert drawn != sign_flip_p(differences, seed=2)


def test_the_p_of_drawn_sign_flips_is_never_0():
    assert sign_flip_p(np.full(40, 0.01), "greater") == pytest.approx(2**-16)


@pytest.mark.parametrize("n", [2, 5, 6, 16, 40])
def test_the_smallest_p_is_that_of_differences_that_all_lie_on_one_side(n):
    assert sign_flip_p(np.full(n, 0.01)) == pytest.approx(smallest_sign_flip_p(n))


@pytest.mark.parametrize(
    ("value", "alternative", "p"),
    [(0.01, "greater", 0), (0.01, "less", 1), (-0.01, "two-sided", 0), (0.0, "two-sided", 1)],
)
def test_equal_differences_are_certain_of_their_side(value, alternative, p):
    assert paired_t_p(np.full(7, value), alternative) == p
