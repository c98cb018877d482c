"""Power, and the seeds that it takes, against simulated experiments and the noncentral t."""

import math

import numpy as np
import pytest
from scipy import stats

from se_search.analysis.claims import Region
from se_search.analysis.power import MAX_REPLICATES, fewest_replicates, power, replicates_needed

ABOVE = Region(0, math.inf)


@pytest.mark.parametrize(
    ("region", "difference", "n"),
    [
        (Region(0, math.inf), 1.9, 6),
        (Region(0, math.inf), 1.2, 8),
        (Region(0, math.inf), 0.9, 11),
        (Region(-math.inf, 0.5), -0.5, 11),
        (Region(-1.2, 1.2), 0.1, 8),
        (Region(-1.1, 1.1), 0.2, 11),
    ],
)
def test_power_is_the_share_of_simulated_experiments_that_decide(region, difference, n):
    scale = 0.01
    region = Region(region.low * scale, region.high * scale)
    rng = np.random.default_rng(14)
    simulated = scale * (difference + rng.normal(size=(1_000, n)))
    decided = np.mean([_establishes(region, row) for row in simulated])
    assert power(region, difference * scale, scale, n) == pytest.approx(decided, abs=0.04)


def _establishes(region, differences):
    """By scipy's tests, one for each finite limit."""
    limits = [(region.low, 1), (-region.high, -1)]
    return all(
        _is_above(sign * differences - limit) for limit, sign in limits if math.isfinite(limit)
    )


def _is_above(shifted):
    n = len(shifted)
    signs = 1.0 - 2 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
    flips = (signs @ shifted >= shifted.sum() - 1e-12).mean()
    t = shifted.mean() / (shifted.std(ddof=1) / math.sqrt(n))
    return flips <= 0.025 and t >= stats.t.ppf(0.975, n - 1)


def test_the_power_of_many_seeds_is_that_of_the_noncentral_t():
    for n in (20, 60):
        noncentrality = 0.4 * math.sqrt(n)
        exact = stats.nct.sf(stats.t.ppf(0.975, n - 1), n - 1, noncentrality)
        assert power(Region(0, math.inf), 0.004, 0.01, n) == pytest.approx(exact, abs=0.002)


@pytest.mark.parametrize(("num_claims", "n"), [(1, 6), (2, 7), (10, 9)])
def test_the_fewest_seeds_are_those_whose_smallest_p_survives_holms_first_step(num_claims, n):
    assert fewest_replicates(num_claims) == n
    assert 2 * num_claims / 2**n <= 0.05 < 2 * num_claims / 2 ** (n - 1)


def test_below_the_fewest_seeds_there_is_no_power():
    assert power(ABOVE, 0.5, 0.001, fewest_replicates() - 1) == 0


@pytest.mark.parametrize(("difference", "chance"), [(0.01, 1), (-0.01, 0), (0.0, 0)])
def test_without_any_spread_power_is_whether_the_region_holds_the_difference(difference, chance):
    assert power(ABOVE, difference, 0.0, 8) == chance


@pytest.mark.parametrize("difference", [0.003, 0.006, 0.02])
def test_the_seeds_needed_have_the_power_and_one_less_has_not(difference):
    n = replicates_needed([ABOVE], difference, 0.01, n=2)
    assert power(ABOVE, difference, 0.01, n) >= 0.8 > power(ABOVE, difference, 0.01, n - 1)


def test_the_seeds_needed_are_more_than_those_that_there_are():
    assert replicates_needed([ABOVE], 0.05, 0.01, n=40) == 41


def test_the_seeds_needed_are_for_the_region_that_holds_the_difference():
    below = Region(-math.inf, 0)
    expected = replicates_needed([ABOVE], 0.006, 0.01, n=2)
    assert replicates_needed([ABOVE, below], -0.006, 0.01, n=2) == pytest.approx(expected, abs=1)


def test_no_number_of_seeds_decides_at_the_margin():
    assert replicates_needed([ABOVE, Region(-math.inf, 0)], 0.0, 0.01, n=6) is None


def test_more_seeds_than_the_largest_number_stand_for_any():
    assert replicates_needed([ABOVE], 1e-6, 0.01, n=6) == MAX_REPLICATES + 1
