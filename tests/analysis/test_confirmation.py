"""Candidates judged by fresh trainings, against scipy and least squares done otherwise."""

import numpy as np
import pytest
from scipy import stats

from se_search.analysis.confirmation import Chosen
from se_search.analysis.confirming import count_wanted, judge_candidates, state_claims
from se_search.analysis.replicates import Replicates
from se_search.analysis.sequential import LookPlan
from se_search.analysis.two_way import fit_two_way
from se_search.analysis.winner import find_winner

PLAIN, BEST = "plain backbone", "recommended"
RNG = np.random.default_rng(0)
LEVELS = 0.8 + 0.004 * RNG.standard_normal(20)


def chosen(name, params, *roles, gain=None, low=None, high=None):
    return Chosen(
        name, name, name, roles or ("front",), params, 0, 0.0, params, 0, None, 1, gain, low, high
    )


def replicates_of(*accuracies):
    return Replicates(tuple(range(len(accuracies))), np.array(accuracies))


def judge(candidates, accuracies, plan=None, tolerance=0.002):
    fresh = {name: replicates_of(*values) for name, values in accuracies.items()}
    plan = plan or LookPlan((max(map(len, accuracies.values())),))
    stated = state_claims(candidates, ["params"], tolerance, plan)
    return judge_candidates(candidates, fresh, fresh, ["params"], stated)


NONE, SE = chosen("plain", 1, PLAIN), chosen("se", 2, gain=0.03, low=0.0, high=0.05)


def test_too_good_is_the_gain_that_the_search_expected_less_the_fresh_one():
    result = judge([NONE, SE], {"plain": [0.80, 0.82], "se": [0.81, 0.83]})
    assert result.candidates[1].too_good == pytest.approx(0.02)
    assert result.mean_too_good == pytest.approx(0.02)


def test_gains_are_over_the_plain_network_in_common_replicates():
    plain, other = [0.80, 0.82, 0.81, 0.79], [0.81, 0.84, 0.81, 0.80]
    first, second = judge([NONE, SE], {"plain": plain, "se": other}).candidates
    assert first.gain is None
    interval = stats.ttest_rel(other, plain).confidence_interval()
    assert (second.gain.low, second.gain.high) == pytest.approx(tuple(interval))
    assert second.gain.mean == pytest.approx(0.01)


def test_before_the_first_look_there_are_means_and_no_intervals():
    values = {"plain": [0.8, 0.81], "se": [0.85, 0.86]}
    result = judge([NONE, SE], values, LookPlan())
    assert result.candidates[1].gain.mean == pytest.approx(0.05)
    assert result.candidates[1].gain.low is None
    assert (result.candidates[1].claim.ending, result.candidates[1].claim.look) == ("open", 0)
    assert result.candidates[1].on_front


def test_a_candidate_that_was_beaten_is_no_longer_on_the_front():
    candidates = [chosen("cheap", 1, PLAIN), chosen("dear", 2)]
    result = judge(candidates, {"cheap": [0.9, 0.91], "dear": [0.8, 0.81]})
    assert [c.on_front for c in result.candidates] == [True, False]


def test_a_candidate_without_trainings_has_no_numbers():
    result = judge([NONE, SE], {"plain": [0.8, 0.81]})
    assert (result.candidates[1].num_replicates, result.candidates[1].accuracy) == (0, None)
    assert result.members == []


# --- claims and looks -----------------------------------------------------------------------------


def test_every_candidate_is_claimed_to_beat_the_plain_network():
    stated = state_claims([NONE, SE, chosen("x", 3)], ["params"], 0.002, LookPlan())
    assert list(map(str, stated.beats_plain)) == ["se beats plain", "x beats plain"]
    assert stated.not_worse == ()


def test_the_recommended_one_is_claimed_to_be_no_worse_than_what_costs_no_more():
    candidates = [NONE, SE, chosen("best", 3, "front", BEST), chosen("dearer", 4)]
    stated = state_claims(candidates, ["params"], 0.002, LookPlan())
    assert list(map(str, stated.not_worse)) == ["best is not worse than se by more than 0.2"]


OPEN = np.random.default_rng(2).normal(0.003, 0.004, 20)  # eight replicates do not decide it
CLEAR = 0.03 + np.random.default_rng(3).normal(0, 0.004, 20)


def trained(**gains):
    """Return trainings in the first replicates of a plain network and of those that gain so."""
    fresh = {name: replicates_of(*(LEVELS[: len(gain)] + gain)) for name, gain in gains.items()}
    return {"plain": replicates_of(*LEVELS[: max(map(len, gains.values()))]), **fresh}


def test_the_next_look_is_the_earliest_that_an_open_claim_has_to_go():
    stated = state_claims([NONE, SE, chosen("new", 3)], ["params"], 0.002, LookPlan())
    assert count_wanted(stated, trained(se=OPEN[:8])) == {"new": 8, "plain": 8}
    fresh = trained(se=OPEN[:8], new=CLEAR[:8])
    assert count_wanted(stated, fresh) == {"se": 12, "plain": 12}


def test_nothing_is_wanted_when_all_claims_are_decided():
    stated = state_claims([NONE, SE], ["params"], 0.002, LookPlan())
    assert count_wanted(stated, trained(se=CLEAR[:8])) == {}


def test_trainings_that_no_open_claim_needs_are_saved():
    fresh = trained(se=CLEAR[:8], x=OPEN[:8])
    values = {name: each.accuracies.tolist() for name, each in fresh.items()}
    result = judge([NONE, SE, chosen("x", 3)], values, LookPlan())
    assert [claim.ending for claim in result.claims] == ["decided", "open"]
    assert result.num_saved == 12


# --- means over different replicates --------------------------------------------------------------


def test_in_complete_blocks_the_means_are_the_plain_means_and_the_rest_is_anovas():
    table = 0.8 + 0.01 * RNG.standard_normal((3, 6))
    found = fit_two_way({str(i): replicates_of(*row) for i, row in enumerate(table)})
    assert found.means == pytest.approx(table.mean(axis=1))
    rest = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
    assert found.rest_sd == pytest.approx(np.sqrt((rest**2).sum() / (2 * 5)))
    assert found.degrees == 10


def test_with_a_candidate_in_fewer_replicates_differences_are_those_of_least_squares():
    """Against numpy's solution of one equation for each training."""
    fresh = trained(a=OPEN[:12], b=CLEAR[:8])
    rows, values = [], []
    for column, each in enumerate(fresh.values()):
        for seed, accuracy in zip(each.seeds, each.accuracies, strict=True):
            rows.append([float(column == 1), float(column == 2), *(np.arange(12) == seed)])
            values.append(accuracy)
    solution = np.linalg.lstsq(np.array(rows, float), np.array(values), rcond=None)[0]
    means = fit_two_way(fresh).means
    assert means[1:] - means[0] == pytest.approx(solution[:2])


def test_the_level_of_a_replicate_does_not_put_a_candidate_on_the_front():
    """The dear one was trained in the better replicates alone, where the cheap one is better."""
    values = {"plain": [0.80] * 8, "cheap": [0.81] * 4 + [0.91] * 4}
    fresh = {
        "plain": Replicates(tuple(range(8)), np.array([0.8] * 4 + [0.9] * 4)),
        "cheap": replicates_of(*values["cheap"]),
        "dear": Replicates((4, 5, 6, 7), np.array([0.905] * 4)),
    }
    candidates = [NONE, chosen("cheap", 2), chosen("dear", 3)]
    stated = state_claims(candidates, ["params"], 0.002, LookPlan((8,)))
    result = judge_candidates(candidates, fresh, fresh, ["params"], stated)
    assert [c.on_front for c in result.candidates] == [True, True, False]


def test_the_chance_of_the_front_is_that_of_the_dearer_mean_being_higher():
    """Of two candidates: Student's t of the mean difference within replicates."""
    values = {"plain": [0.80, 0.82, 0.81], "se": [0.81, 0.83, 0.81]}
    result = judge([NONE, SE], values)
    differences = np.subtract(values["se"], values["plain"])
    chance = stats.t.cdf(stats.ttest_1samp(differences, 0).statistic, 2)
    assert [c.front_probability for c in result.candidates] == [
        1.0,
        pytest.approx(chance, abs=0.015),
    ]


# --- the winner -----------------------------------------------------------------------------------


def test_the_gain_of_the_best_of_twenty_equals_is_not_too_good():
    rng = np.random.default_rng(2)
    keys = tuple(map(str, range(20)))
    winners = [find_winner(keys, 0.004 * rng.standard_normal((8, 20))) for _ in range(1_000)]
    gains = np.array([winner.gain for winner in winners])
    assert abs(gains.mean()) <= 0.0003
    assert np.mean([winner.mean for winner in winners]) > 0.002  # what was chosen is too good
    assert np.mean([winner.low <= 0 <= winner.high for winner in winners]) >= 0.95


def test_the_gain_of_a_clear_winner_is_its_mean():
    gains = np.random.default_rng(3).normal(0, 0.001, (8, 5)) + np.array([0, 0, 0.05, 0, 0])
    winner = find_winner(tuple("abcde"), gains)
    assert winner.key == "c"
    assert winner.gain == pytest.approx(gains[:, 2].mean())
    wide = stats.t.ppf(0.975, 7) * gains[:, 2].std(ddof=1) / np.sqrt(4)
    assert winner.high - winner.gain == pytest.approx(wide)


def test_three_replicates_can_not_choose_and_estimate():
    assert find_winner(("a", "b"), np.zeros((3, 2))) is None
