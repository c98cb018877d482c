"""Power of plans of looks, against the plans carried out, the noncentral t and calibration."""

import math

import numpy as np
import pytest
from scipy import stats

from se_search.analysis.claims import Claim, Region
from se_search.analysis.plan_power import detectable_difference, expected_sd, plan_power
from se_search.analysis.sequential import LookPlan, read_looks

ABOVE = Region(0.0, math.inf)
SD = 0.004
NUM_CARRIED_OUT = 400  # the standard error of a share is 0.025 at most


def share_supported(claim, difference, plan):
    """Carry the plan out on simulated differences, sign flips and giving up included."""
    rng = np.random.default_rng(5)
    rows = difference + SD * rng.standard_normal((NUM_CARRIED_OUT, plan.looks[-1]))
    return np.mean([read_looks(claim, row, plan).outcome == "supported" for row in rows])


@pytest.mark.parametrize(
    ("text", "difference", "looks"),
    [
        ("a beats b", 0.004, (8, 12)),
        ("a beats b by 0.2", 0.0054, (8, 12, 16)),
        ("a is not worse than b by more than 0.3", -0.001, (8, 9)),
        ("a equals b within 0.5", 0.0, (8, 12)),
    ],
)
def test_the_power_is_the_share_of_plans_carried_out_that_support_the_claim(
    text, difference, looks
):
    claim, plan = Claim.parse(text), LookPlan(looks)
    expected = share_supported(claim, difference, plan)
    assert 0.2 < expected < 0.95
    assert plan_power(claim.region, difference, SD, plan) == pytest.approx(expected, abs=0.06)


def test_what_a_single_look_detects_is_what_the_noncentral_t_says():
    detectable = detectable_difference(LookPlan((20,)))
    found = stats.nct.sf(stats.t.ppf(0.975, 19), 19, detectable * math.sqrt(20))
    assert found == pytest.approx(0.8, abs=0.005)


@pytest.mark.parametrize("last", [6, 8, 12, 16, 20])
def test_a_difference_of_the_detectable_size_is_found_in_four_of_five_cases(last):
    plan = LookPlan.until(last)
    assert plan_power(ABOVE, detectable_difference(plan) * SD, SD, plan) == pytest.approx(
        0.8, abs=0.01
    )


def test_more_replicates_detect_smaller_differences_and_too_few_none():
    sizes = [detectable_difference(LookPlan.until(last)) for last in (5, 6, 8, 12, 16, 20)]
    assert sizes[0] == math.inf
    assert sizes == sorted(sizes, reverse=True)


def test_looking_costs_power_and_no_more_than_a_fifth_of_the_detectable_difference():
    ratio = detectable_difference(LookPlan()) / detectable_difference(LookPlan((20,)))
    assert 1 < ratio < 1.25


def test_without_a_difference_half_of_alpha_is_the_most_that_is_found():
    for plan in (LookPlan(), LookPlan.until(12)):
        assert 0.015 < plan_power(ABOVE, 0.0, SD, plan) <= 0.028  # standard error 0.0015


def test_without_any_spread_power_is_whether_the_region_holds_the_difference():
    assert plan_power(ABOVE, 0.01, 0.0, LookPlan()) == 1
    assert plan_power(ABOVE, -0.01, 0.0, LookPlan()) == 0


def test_two_calibrated_trainings_differ_by_as_much_as_is_expected():
    """Of two classes: each training draws its answer with the probability that is the truth's."""
    rng = np.random.default_rng(2)
    num_images, num_pairs = 2_000, 1_500
    chances = rng.uniform(0.5, 1.0, num_images)
    is_likelier_true = rng.random(num_images) < chances
    says_likelier = rng.random((2, num_pairs, num_images)) < chances
    accuracies = (says_likelier == is_likelier_true).mean(axis=2)
    expected = expected_sd(1 - accuracies.mean(), num_images)
    assert np.std(accuracies[0] - accuracies[1]) == pytest.approx(expected, rel=0.06)
