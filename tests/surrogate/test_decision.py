"""What follows from draws of gains, against brute force over draws that are made up."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from se_search.surrogate.decision import (
    LIMIT,
    MIN_REPLICATES,
    TOLERANCE,
    WORTH,
    choose,
    decide,
    judge_settled,
    mark_better,
)


def draw(gains, sds, count=2_000, seed=0):
    """Return draws of gains, in points: independent and normal; the plain network's are 0."""
    normal = np.random.default_rng(seed).standard_normal((count, len(gains)))
    return (np.array(gains) + np.array(sds) * normal) / 100


def column(costs):
    return np.array(costs, float)[:, None]


# What to do about SE.


def test_se_is_put_in_where_one_candidate_is_surely_better():
    decision = decide(draw([0.0, 0.5, -1.0], [0.0, 0.2, 0.2]))
    assert (decision.kind, decision.reason) == ("put", None)


def test_se_is_left_out_where_no_candidate_can_be_much_better():
    decision = decide(draw([0.0, 0.1, -1.0], [0.0, 0.1, 0.2]))
    assert (decision.kind, decision.reason) == ("leave", None)
    assert decision.gain_limit < WORTH


def test_nothing_can_be_said_where_a_candidate_may_be_much_better_and_may_not():
    decision = decide(draw([0.0, 0.3, -1.0], [0.0, 0.6, 0.2]))
    assert decision.kind == "nothing"
    assert f"may be better by {100 * decision.gain_limit:.1f} points" in decision.reason


def test_the_lower_limits_of_all_gains_hold_together_in_90_of_100_draws():
    # Normal gains that are known equally well and independently: the limit of the best of 50 lies
    # at the 90 % quantile of the largest of 51 standard normal numbers, 2.87.
    sd = 0.1
    for reach, wanted in ((2.7, False), (3.05, True)):
        draws = draw([0.0, reach * sd, *[-1.0] * 49], [0.0, sd, *[sd] * 49], count=40_000)
        assert mark_better(draws).tolist() == [False, wanted, *[False] * 49]


def test_the_best_of_many_candidates_without_any_gain_is_not_called_better():
    rng = np.random.default_rng(0)
    errors = rng.normal(0, 0.1, (400, 100))  # what 400 searches of 100 candidates believe
    marked = [mark_better(draw(own, [0.1] * 100, count=500)).any() for own in errors]
    assert np.mean(marked) <= 0.14  # 10 % within the noise of 400 searches


@pytest.mark.parametrize(("num_replicates", "kind"), [(1, "nothing"), (2, "nothing"), (3, "put")])
def test_two_replicates_decide_nothing(num_replicates, kind):
    decision = decide(draw([0.0, 0.5, -1.0], [0.0, 0.1, 0.2]), num_replicates)
    assert decision.kind == kind
    assert (decision.reason is None) == (kind == "put")


def test_the_limit_is_that_of_the_best_candidate_of_each_draw():
    draws = draw([0.1, 0.2, 0.15], [0.3, 0.3, 0.2])
    best = sorted(max(row) for row in draws)
    assert decide(draws).gain_limit == pytest.approx(best[int(LIMIT * 2_000)], abs=1e-4)
    assert decide(draw([-3.0], [0.1])).gain_limit == 0


# Which candidate to take.


def choose_by_hand(gains, draws, costs, tolerance):
    def is_beaten(i):
        return any(
            gains[j] >= gains[i]
            and all(costs[j] <= costs[i])
            and (gains[j] > gains[i] or any(costs[j] < costs[i]))
            for j in range(len(gains))
        )

    front = [i for i in range(len(gains)) if not is_beaten(i)]
    is_better = mark_better(draws)
    sure = [i for i in front if is_better[i]]
    among = sure or front
    best = max(gains[i] for i in among)
    near = [i for i in among if gains[i] >= best - tolerance / 2]
    return min(near, key=lambda i: tuple(costs[i]))


@given(st.integers(0, 10_000), st.integers(1, 8), st.integers(1, 2), st.floats(0, 0.01))
def test_the_recommended_candidate_is_that_of_brute_force(seed, size, num_costs, tolerance):
    rng = np.random.default_rng(seed)
    draws = rng.normal(rng.normal(0.0, 0.5, size), 0.2, (50, size)) / 100
    costs = rng.integers(1, 5, (size, num_costs)).astype(float)
    gains = draws.mean(axis=0)
    found = choose(gains, draws, costs, tolerance)
    assert found == choose_by_hand(gains, draws, costs, tolerance)


def test_a_dearer_candidate_is_not_worth_half_of_the_tolerance():
    for rise, wanted in ((0.4, 0), (0.6, 1)):
        gains = np.array([0.5, 0.5 + rise * 100 * TOLERANCE]) / 100
        draws = np.tile(gains, (10, 1))
        assert choose(gains, draws, column([1, 2])) == wanted


def test_a_surely_better_candidate_goes_before_one_that_is_expected_to_be_better_still():
    draws = draw([0.0, 0.5, 1.0], [0.0, 0.1, 2.0])
    assert choose(draws.mean(axis=0), draws, column([1, 2, 3])) == 1


# Whether that is settled.


def gap_by_hand(gains, draws, costs):
    """Return the largest gap over all costs at which a candidate stands."""
    gaps = []
    for limit in costs:
        own = [i for i in range(len(gains)) if all(costs[i] <= limit)]
        chosen = max(own, key=lambda i: gains[i])
        rises = sorted(max(row[i] for i in own) - row[chosen] for row in draws)
        gaps.append(np.quantile(rises, LIMIT))
    return max(gaps)


@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 2))
def test_the_gap_is_that_of_brute_force(seed, size, num_costs):
    rng = np.random.default_rng(seed)
    draws = rng.normal(rng.normal(0.0, 0.3, size), 0.2, (60, size)) / 100
    costs = rng.integers(1, 5, (size, num_costs)).astype(float)
    gains = draws.mean(axis=0)
    found = judge_settled(gains, draws, costs, 8, TOLERANCE)
    assert found.gap == pytest.approx(gap_by_hand(gains, draws, costs))
    assert found.is_settled == (found.gap < TOLERANCE)


def test_the_gap_is_told_with_the_cost_at_which_it_is_largest():
    """A rival of the recommended candidate comes at a cost of 2, and at 3 a far better one."""
    draws = draw([0.0, 0.1, 3.0], [0.0, 0.5, 0.1])
    found = judge_settled(draws.mean(axis=0), draws, column([1, 2, 3]), 8, TOLERANCE)
    assert found.cost == 2
    assert any(f"{100 * found.gap:.2f} points" in sentence for sentence in found.missing)


def test_what_is_not_settled_is_told_without_a_recommendation_that_there_may_not_be():
    draws = draw([0.0, 0.1], [0.0, 0.5])
    (sentence,) = judge_settled(draws.mean(axis=0), draws, column([1, 2]), 8, TOLERANCE).missing
    assert "recommended" not in sentence
    assert "better than the one found best there by" in sentence


def test_a_larger_tolerance_settles_what_a_smaller_one_does_not():
    draws = draw([0.0, 0.1], [0.0, 0.2])
    gains = draws.mean(axis=0)
    settled = [
        judge_settled(gains, draws, column([1, 2]), 8, tolerance).is_settled
        for tolerance in (0.0005, 0.002, 0.01)
    ]
    assert all(later >= earlier for earlier, later in pairwise(settled))
    assert (settled[0], settled[-1]) == (False, True)


def test_too_few_replicates_settle_nothing_however_sure_all_else_is():
    draws = draw([0.0, 1.0], [0.0, 0.001])
    for count in range(1, 6):
        found = judge_settled(draws.mean(axis=0), draws, column([1, 2]), count, TOLERANCE)
        assert found.is_settled == (count >= MIN_REPLICATES)
        assert found.gap == pytest.approx(0, abs=1e-4)
