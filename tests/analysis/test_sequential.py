"""Plans of looks: how often verdicts are wrong however often one looks, and what p-values mean."""

import math

import numpy as np
import pytest
from scipy import stats

from se_search.analysis.claims import Claim
from se_search.analysis.paired_tests import paired_t_p, sign_flip_p
from se_search.analysis.replicates import Replicates
from se_search.analysis.sequential import (
    LookPlan,
    conditional_power,
    read_looks,
    sequential_p,
)
from se_search.analysis.statistics import holm
from se_search.analysis.verdicts import judge_all, judge_looks
from se_search.errors import RunError

PLAN = LookPlan()
BEATS = Claim("A", "beats", "B")
EQUALS = Claim("A", "equals", "B", 0.2)
SD = 0.004
NUM_SIMULATED = 250
TREND = np.array([0.9, 1.1] * 10) / 100  # a clear gain, replicate by replicate


def pair(differences):
    seeds = tuple(range(len(differences)))
    return Replicates(seeds, 0.5 + differences), Replicates(seeds, np.full(len(seeds), 0.5))


# --- the plan -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cap", "looks"),
    [(None, (8, 12, 16, 20)), (20, (8, 12, 16, 20)), (14, (8, 12, 14)), (8, (8,)), (6, (6,))],
)
def test_a_cap_is_the_last_look_and_later_ones_go(cap, looks):
    assert LookPlan.until(cap).looks == looks


@pytest.mark.parametrize("looks", [(), (1,), (8, 8), (12, 8), (8, 24)])
def test_looks_that_do_not_ascend_or_are_beyond_twenty_are_refused(looks):
    with pytest.raises(RunError, match=r"replicates"):
        LookPlan(looks)


def test_a_plan_reads_back_as_it_was_written():
    assert LookPlan.from_json(LookPlan.until(14).to_json()) == LookPlan.until(14)


def test_a_plan_that_spends_otherwise_is_refused():
    with pytest.raises(RunError, match="O'Brien"):
        LookPlan.from_json({**PLAN.to_json(), "spending": "O'Brien and Fleming"})


# --- readings -------------------------------------------------------------------------------------


def test_a_clear_gain_is_decided_at_the_first_look_and_a_loss_refuted():
    assert read_looks(BEATS, TREND, PLAN) == (0, "supported", False)
    assert read_looks(BEATS, -TREND, PLAN) == (0, "refuted", False)


def test_replicates_after_the_deciding_look_change_nothing():
    turned = np.concatenate([TREND[:8], -10 * TREND[8:]])
    assert read_looks(BEATS, turned, PLAN) == (0, "supported", False)


def test_replicates_between_two_looks_wait_for_the_next_one():
    noisy = np.random.default_rng(3).normal(0.003, SD, 20)
    assert read_looks(BEATS, noisy[:11], PLAN) == read_looks(BEATS, noisy[:8], PLAN)


def test_a_claim_without_a_trend_is_given_up():
    flat = np.tile([0.004, -0.004], 10)
    assert read_looks(BEATS, flat, PLAN) == (0, "undecided", True)


def test_both_tests_must_cross():
    """Eight signs of one side have a p of 1 / 256; with an outlier Student's t stays above it."""
    outlier = np.array([1, 1, 1, 1, 1, 1, 1, 60]) / 1000
    assert sign_flip_p(outlier, "greater") < PLAN.nominal(0) < paired_t_p(outlier, "greater")
    assert read_looks(BEATS, outlier, PLAN).outcome == "undecided"


@pytest.mark.parametrize("draw", ["normal", "left-skewed"])
@pytest.mark.parametrize(
    ("claim", "margin"),
    [(BEATS, 0.0), (Claim("A", "is not worse than", "B", 0.2), -0.002), (EQUALS, 0.002)],
)
def test_at_most_five_percent_are_wrong_at_the_margin_however_often_one_looks(claim, margin, draw):
    rng = np.random.default_rng(5)
    noise = rng.normal(size=(NUM_SIMULATED, 20))
    if draw == "left-skewed":
        noise = 2 - rng.gamma(4, 0.5, (NUM_SIMULATED, 20)) - noise / 2
    outcomes = [read_looks(claim, margin + SD * row, PLAN).outcome for row in noise]
    allowed = 0.05 + 2 * math.sqrt(0.05 * 0.95 / NUM_SIMULATED)
    assert outcomes.count("supported") / NUM_SIMULATED <= allowed
    assert outcomes.count("refuted") / NUM_SIMULATED <= allowed
    assert outcomes.count("undecided") < NUM_SIMULATED  # or the test would be of no use


def test_a_true_gain_is_found_about_as_often_as_by_twenty_replicates_with_fewer():
    rng = np.random.default_rng(6)
    simulated = 0.004 + SD * rng.normal(size=(200, 20))
    readings = [read_looks(BEATS, row, PLAN) for row in simulated]
    found = np.mean([reading.outcome == "supported" for reading in readings])
    fixed = np.mean([paired_t_p(row, "greater") <= 0.025 for row in simulated])
    assert found >= fixed - 0.06
    assert np.mean([PLAN.looks[reading.look] for reading in readings]) < 13


# --- p-values -------------------------------------------------------------------------------------


def test_a_claim_is_decided_just_where_its_p_value_is_at_most_alpha():
    rng = np.random.default_rng(8)
    words = set()
    for row in 0.0025 + SD * rng.normal(size=(60, 20)):
        reading = read_looks(BEATS, row, PLAN)
        p = sequential_p(BEATS.region, row, PLAN, reading.look)
        words.add(reading.outcome)
        assert (p <= PLAN.alpha) == (reading.outcome == "supported")
    assert words >= {"supported", "undecided"}


def test_p_values_are_at_most_a_level_as_seldom_as_the_level_says():
    rng = np.random.default_rng(9)
    simulated = SD * rng.normal(size=(NUM_SIMULATED, 20))
    p = np.array([sequential_p(BEATS.region, row, PLAN, 3) for row in simulated])
    for level in (0.01, 0.05, 0.2):
        half = level / 2  # one-sided
        assert (p <= level).mean() <= half + 2 * math.sqrt(half * (1 - half) / NUM_SIMULATED)


def test_p_values_of_a_clear_gain_are_small_enough_for_a_family():
    assert sequential_p(BEATS.region, TREND, PLAN, 1) < 0.05 / 20


def test_the_family_is_holms_over_all_claims_those_without_replicates_too():
    strong, weak = pair(TREND[:12]), pair(np.random.default_rng(1).normal(0.005, SD, 12))
    waiting = Claim("E", "beats", "B")
    verdicts = judge_looks([(BEATS, *strong), (Claim("C", "beats", "B"), *weak), waiting], PLAN)
    assert verdicts[2] is None
    p = [verdict.p.support for verdict in verdicts[:2]]
    assert [verdict.p_family.support for verdict in verdicts[:2]] == holm([*p, 1.0])[:2]
    assert {verdict.num_claims for verdict in verdicts[:2]} == {3}


# --- verdicts -------------------------------------------------------------------------------------


def test_a_verdict_is_of_the_replicates_of_its_look_with_a_repeated_interval():
    (verdict,) = judge_looks([(BEATS, *pair(TREND))], PLAN)
    seen = TREND[:8]
    found = stats.ttest_1samp(seen, 0).confidence_interval(1 - 2 * PLAN.nominal(0))
    assert verdict.comparison.n == 8
    assert tuple(verdict.comparison.interval) == pytest.approx(tuple(found))
    assert "repeated 95 % interval" in verdict.sentence
    assert verdict.ending == "decided"


def test_repeated_intervals_hold_the_truth_at_all_looks_at_once():
    rng = np.random.default_rng(10)
    simulated = rng.normal(size=(2_000, 20))
    held = np.ones(2_000, bool)
    for look, n in enumerate(PLAN.looks):
        own = simulated[:, :n]
        reach = stats.t.ppf((1 + PLAN.confidence(look)) / 2, n - 1) / math.sqrt(n)
        held &= np.abs(own.mean(axis=1)) <= reach * own.std(axis=1, ddof=1)
    assert held.mean() == pytest.approx(0.95, abs=0.015)


def test_an_open_claim_names_the_next_look():
    differences = np.random.default_rng(2).normal(0.003, SD, 8)
    (verdict,) = judge_looks([(BEATS, *pair(differences))], PLAN)
    assert (verdict.outcome, verdict.ending) == ("undecided", "open")
    assert "the next look is at 12 replicates" in verdict.sentence


def test_a_claim_that_is_given_up_says_so():
    (verdict,) = judge_looks([(BEATS, *pair(np.tile([0.004, -0.004], 4)))], PLAN)
    assert verdict.ending == "futile"
    assert "given up" in verdict.sentence


def test_a_single_look_is_judged_as_a_fixed_number_of_replicates():
    differences = np.random.default_rng(4).normal(0.003, SD, 7)
    (looked,) = judge_looks([(BEATS, *pair(differences))], LookPlan((7,)))
    (fixed,) = judge_all([(BEATS, *pair(differences))])
    assert (looked.p, looked.comparison, looked.sentence) == (
        fixed.p,
        fixed.comparison,
        fixed.sentence,
    )


# --- futility -------------------------------------------------------------------------------------


def test_conditional_power_is_the_share_of_continued_experiments_that_decide():
    """Against redrawing the remaining differences and applying scipy's t tests."""
    seen = np.random.default_rng(12).normal(0.0015, SD, 8)
    rng = np.random.default_rng(13)
    new = rng.normal(seen.mean(), seen.std(ddof=1), (2_000, 12))
    paths = np.concatenate([np.tile(seen, (2_000, 1)), new], axis=1)
    decided = np.zeros(2_000, bool)
    for look in (1, 2, 3):
        for side in ("greater", "less"):
            p = stats.ttest_1samp(paths[:, : PLAN.looks[look]], 0, axis=1, alternative=side).pvalue
            decided |= p <= PLAN.nominal(look)
    assert conditional_power(BEATS, seen, PLAN, 0) == pytest.approx(np.mean(decided), abs=0.05)
