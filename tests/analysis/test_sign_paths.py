"""The group-sequential sign-flip test, against going through all patterns one by one."""

import itertools
import math

import numpy as np
import pytest

from se_search.analysis.paired_tests import sign_flip_p
from se_search.analysis.sequential_boundaries import spent_share
from se_search.analysis.sign_paths import crossing_look

LOOKS = (4, 6, 7)


def crossings_of_all_patterns(sizes, level):
    """Return the crossing look of each pattern of signs of whole numbers, by the definition."""
    patterns = [
        tuple(np.array(signs) * sizes) for signs in itertools.product([1, -1], repeat=len(sizes))
    ]
    crossed = dict.fromkeys(patterns)
    for number, look in enumerate(LOOKS):
        allowed = level * spent_share(look / LOOKS[-1])
        open_ = [pattern for pattern in patterns if crossed[pattern] is None]
        values = sorted({sum(pattern[:look]) for pattern in open_})
        before = sum(each is not None for each in crossed.values())
        shares = {
            value: (before + sum(sum(p[:look]) >= value for p in open_)) / len(patterns)
            for value in values
        }
        critical = min((v for v in values if shares[v] <= allowed + 1e-12), default=math.inf)
        for pattern in open_:
            if sum(pattern[:look]) >= critical:
                crossed[pattern] = number
    return crossed


@pytest.mark.parametrize("level", [0.05, 0.13, 0.4])
@pytest.mark.parametrize("sizes", [(1, 2, 3, 5, 8, 4, 9), (2, 2, 1, 2, 2, 1, 2)])
def test_each_pattern_crosses_where_counting_all_patterns_says(sizes, level):
    wanted = crossings_of_all_patterns(sizes, level)
    assert len(set(wanted.values())) > 1
    for pattern, look in wanted.items():
        # In thousandths sums of equal numbers in another order differ in their last digits.
        found = crossing_look(np.array(pattern) / 1000, LOOKS, LOOKS[-1], level)
        assert found == look, pattern


def test_no_more_patterns_cross_than_the_level_allows_at_twenty_replicates():
    rng = np.random.default_rng(0)
    sizes = np.abs(rng.normal(size=20))
    signs = rng.choice([-1, 1], (800, 20))
    found = [crossing_look(row * sizes, (8, 12, 16, 20), 20, 0.025) for row in signs]
    share = np.mean([look is not None for look in found])
    assert share == pytest.approx(0.025, abs=3 * math.sqrt(0.025 * 0.975 / 800))


def test_looks_that_have_not_been_taken_do_not_change_the_earlier_ones():
    differences = np.random.default_rng(1).normal(0.6, 1, 20)
    whole = crossing_look(differences, (8, 12, 16, 20), 20, 0.025)
    assert whole is not None
    assert crossing_look(differences, (8, 12, 16, 20)[: whole + 1], 20, 0.025) == whole


@pytest.mark.parametrize("mean", [0.3, 0.6, 1.0])
def test_a_single_look_is_the_sign_flip_test(mean):
    differences = np.random.default_rng(7).normal(mean, 1, 10)
    p = sign_flip_p(differences, "greater")
    assert crossing_look(differences, (10,), 10, p) == 0
    assert crossing_look(differences, (10,), 10, p * 0.999) is None
