"""The self-test of cheap scores: against scipy, and simulations whose truth is known."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from support.made_up_scores import (
    PROBE_SEEDS,
    SPACE,
    carries,
    draw_probes,
    make_probe_trials,
    make_scores,
)

from se_search.analysis.rung_test import judge_scores
from se_search.cost import count_cost

SPREAD = 0.004


def simulate(num_probes=24, noise=0.002, slope=0.35, seed=0, **bias):
    """Return candidates, their true accuracies, and what two supernets say of them."""
    candidates = draw_probes(num_probes, seed)
    truth = 0.8 + np.random.default_rng(seed).normal(0, SPREAD, len(candidates))
    seen = truth + sum(
        shift * carries(candidates, int(place.removeprefix("stage")))
        for place, shift in bias.items()
    )
    return candidates, truth, make_scores(candidates, slope * seen, noise * slope, seed=seed + 1)


def judge(records, scores, **options):
    (test,) = judge_scores(scores, records, SPACE, **options)
    return test


def test_tau_is_scipys_of_mean_scores_and_mean_trainings():
    candidates, truth, scores = simulate(12)
    records = make_probe_trials(candidates, truth, 0.003)
    test = judge(records, scores)
    keys = [candidate.key for candidate in candidates]
    means = [np.mean([r.accuracy for r in records if r.key == key]) for key in keys]
    says = [np.mean([s.value for s in scores if s.key == key]) for key in keys]
    assert test.tau.value == pytest.approx(stats.kendalltau(says, means).statistic)
    assert test.tau.low < test.tau.value < test.tau.high
    costs = [count_cost(candidate).params for candidate in candidates]
    parameters = next(one for one in test.baselines if one.name == "parameters")
    assert parameters.tau.value == pytest.approx(stats.kendalltau(costs, means).statistic)


def test_levels_of_replicates_and_of_supernets_change_nothing():
    candidates, truth, _ = simulate(16)
    plain = judge(
        make_probe_trials(candidates, truth, 0.001), make_scores(candidates, truth, 0.001)
    )
    moved = judge(
        make_probe_trials(candidates, truth, 0.001, levels=(0.01, -0.02)),
        make_scores(candidates, truth, 0.001, levels=(0.3, -0.1)),
    )
    assert moved.tau == plain.tau
    assert moved.ceiling == pytest.approx(plain.ceiling, abs=0.002)
    assert moved.slope.value == pytest.approx(plain.slope.value, rel=0.01)
    assert moved.agreement == plain.agreement


def test_the_slope_is_the_true_one_although_the_trainings_are_noisy():
    found, naive = [], []
    for seed in range(14):
        candidates, truth, scores = simulate(60, slope=0.35, seed=seed)
        test = judge(make_probe_trials(candidates, truth, 0.004, seed=seed), scores)
        found.append(test.slope)
        keys = [candidate.key for candidate in candidates]
        records = make_probe_trials(candidates, truth, 0.004, seed=seed)
        means = [np.mean([r.accuracy for r in records if r.key == key]) for key in keys]
        says = [np.mean([s.value for s in scores if s.key == key]) for key in keys]
        naive.append(stats.linregress(means, says).slope)
    assert np.median([slope.value for slope in found]) == pytest.approx(0.35, abs=0.03)
    assert np.median(naive) < 0.28
    assert sum(slope.low <= 0.35 <= slope.high for slope in found) >= 11


def test_a_slope_is_not_told_where_the_probes_do_not_differ_beyond_noise():
    candidates, truth, scores = simulate(12)
    flat = np.full_like(truth, 0.8)
    test = judge(make_probe_trials(candidates, flat, 0.004), scores)
    assert test.slope is None
    assert test.biases == ()


def test_a_bias_of_a_place_is_found_in_points_of_accuracy_and_others_are_not():
    inside = {"stage3": 0, "stage2": 0}
    for seed in range(8):
        candidates, truth, scores = simulate(60, 0.0005, slope=0.5, seed=seed, stage3=0.006)
        test = judge(make_probe_trials(candidates, truth, 0.0005, seed=seed), scores)
        biases = {bias.place: bias.points for bias in test.biases}
        assert list(biases) == ["stage2", "stage3", "stage4", "stage5"]
        assert biases["stage3"].low > 0
        inside["stage3"] += biases["stage3"].low <= 0.6 <= biases["stage3"].high
        inside["stage2"] += biases["stage2"].low <= 0 <= biases["stage2"].high
    assert min(inside.values()) >= 6


def test_the_ceiling_is_the_mean_tau_of_scores_that_err_by_noise_alone():
    taus, ceilings = [], []
    for seed in range(14):
        candidates, truth, scores = simulate(60, 0.004, slope=1, seed=seed)
        test = judge(make_probe_trials(candidates, truth, 0.004, seed=seed), scores)
        taus.append(test.tau.value)
        ceilings.append(test.ceiling)
    assert np.mean(taus) == pytest.approx(np.mean(ceilings), abs=0.05)
    assert test.tau_star == pytest.approx(test.tau.value / test.ceiling)


def test_the_ceiling_of_one_member_is_not_known_nor_is_its_agreement():
    candidates, truth, scores = simulate(12)
    one = [score for score in scores if score.member == scores[0].member]
    test = judge(make_probe_trials(candidates, truth, 0.001), one)
    assert (test.num_members, test.ceiling, test.agreement) == (1, None, None)
    assert test.tau is not None


def test_scores_that_follow_the_truth_are_used():
    candidates, truth, scores = simulate(24, 0.0005)
    test = judge(make_probe_trials(candidates, truth, 0.0005), scores)
    assert (test.verdict, test.is_used) == ("used", True)
    assert test.lead.value == pytest.approx(test.tau.value - abs(test.best_baseline.tau.value))


def test_members_that_contradict_each_other_are_switched_off_however_well_their_mean_does():
    candidates, truth, _ = simulate(24)
    apart = np.random.default_rng(3).permutation(np.linspace(-0.1, 0.1, len(candidates)))
    one, other = (make_scores(candidates, truth + sign * apart) for sign in (1, -1))
    half = len(candidates)  # the scores of the first member come first
    scores = [*one[:half], *other[half:]]
    test = judge(make_probe_trials(candidates, truth, 0.001), scores)
    assert test.tau.low > 0.5
    assert test.agreement < 0
    assert test.verdict == "off"
    assert "do not agree with each other" in test.why


def test_every_reason_to_switch_scores_off_is_named():
    candidates, truth, _ = simulate(24)
    apart = np.random.default_rng(3).permutation(np.linspace(-0.1, 0.1, len(candidates)))
    one, other = (make_scores(candidates, sign * apart - truth) for sign in (1, -1))
    half = len(candidates)  # the scores of the first member come first
    why = judge(make_probe_trials(candidates, truth, 0.001), [*one[:half], *other[half:]]).why
    assert [word in why for word in ("chance", "do not agree", "cost orders")] == [True] * 3


def test_scores_that_do_not_follow_the_truth_are_switched_off_by_the_interval_of_tau():
    candidates, truth, _ = simulate(24)
    scores = make_scores(candidates, np.random.default_rng(9).normal(0, 1, len(candidates)))
    test = judge(make_probe_trials(candidates, truth, 0.0005), scores)
    assert test.verdict == "off"
    assert "may be one of chance" in test.why


@pytest.mark.parametrize("sign", [1, -1])
def test_scores_that_order_as_a_cost_does_are_switched_off_whatever_the_sign(sign):
    candidates = draw_probes(24)
    costs = np.array([math.log(count_cost(candidate).params) for candidate in candidates])
    truth = 0.8 + sign * 0.01 * (costs - costs.mean())
    test = judge(make_probe_trials(candidates, truth), make_scores(candidates, truth))
    assert test.tau.value == 1
    assert test.verdict == "off"
    assert "what candidates cost orders them at least as well" in test.why
    assert test.best_baseline.name == "parameters"


def test_scores_are_untested_without_probes_or_with_too_few():
    candidates, truth, scores = simulate(12)
    assert judge([], scores).verdict == "untested"
    few = make_probe_trials(candidates[:4], truth[:4])
    assert "5 are the fewest" in judge(few, scores).why
    assert judge(few, scores).tau is None


def test_trainings_of_every_role_and_replicate_count_and_failed_ones_do_not():
    candidates, truth, scores = simulate(24)
    records = make_probe_trials(candidates, truth, 0.001)
    first, others = records[:30], [replace(one, role="proposal") for one in records[30:]]
    failed = [replace(records[1], state="FAIL", accuracy=None, number=999)]
    assert judge([*first, *others, *failed], scores) == judge(records, scores)
    assert judge(first, scores).tau != judge(records, scores).tau


def test_each_rung_is_judged_for_itself_with_its_own_seconds():
    candidates, truth, scores = simulate(12)
    proxies = make_scores(candidates, truth, levels=(0.0,), rung="naswot")
    records = make_probe_trials(candidates, truth, 0.001)
    tests = judge_scores([*scores, *proxies], records, SPACE, {"supernet": 100.0})
    assert [(test.name, test.num_members) for test in tests] == [("supernet", 2), ("naswot", 1)]
    assert [test.seconds for test in tests] == [100 + 13 * 2 * 0.25, 13 * 0.25]
    assert tests[0].seconds_each == 0.25
    assert tests[0].num_replicates == len(PROBE_SEEDS)


def test_candidates_that_only_some_members_scored_are_left_out():
    candidates, truth, scores = simulate(12)
    test = judge(make_probe_trials(candidates, truth, 0.001), scores[:-3])
    assert (test.num_scored, test.num_compared) == (10, 10)
