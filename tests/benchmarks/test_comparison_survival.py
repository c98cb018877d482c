"""Kaplan-Meier curves and medians of ``benchmarks/comparison``, held against textbooks."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from benchmarks.comparison.survival import (
    Times,
    logrank_p,
    median_time,
    ratio_of_medians,
    survival_curve,
)

# Weeks of remission of 42 children with leukaemia (Freireich et al. 1963, Blood 21), the data set
# of most textbooks of survival analysis, such as Kleinbaum and Klein 2012, table 1.1.
MERCAPTOPURINE = Times(
    np.array([6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35], float),
    np.arange(21) < 9,
)
PLACEBO = Times.of([1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23], 99)


def test_shares_in_remission_are_those_of_the_textbook():
    """Kleinbaum and Klein 2012, chapter 2, section II."""
    curve = survival_curve(MERCAPTOPURINE)
    found = dict(zip(curve.times.tolist(), curve.share.tolist(), strict=True))
    wanted = {6: 0.8571, 7: 0.8067, 10: 0.7529, 13: 0.6902, 16: 0.6275, 22: 0.5378, 23: 0.4482}
    assert {time: round(found[time], 4) for time in wanted} == wanted
    assert found[35] == found[23]  # censored times do not lower the share


def test_medians_and_their_intervals_are_those_of_other_programs():
    """R's ``survfit`` (``conf.type = "log-log"``) and SAS's LIFETEST print these."""
    drug, none = median_time(MERCAPTOPURINE), median_time(PLACEBO)
    assert (drug.value, drug.low, drug.high) == (23, 13, math.inf)
    assert (none.value, none.low, none.high) == (8, 4, 11)


def test_the_logrank_test_has_the_statistic_of_the_textbook():
    """Kleinbaum and Klein 2012, chapter 2, section IV: chi-squared 16.79 of one degree."""
    assert norm.isf(logrank_p(MERCAPTOPURINE, PLACEBO) / 2) ** 2 == pytest.approx(16.79, abs=0.01)


def test_intervals_of_shares_are_those_of_the_log_log_formula():
    """Greenwood's variance, on the scale of log(-log) (Kalbfleisch and Prentice 1980, sec. 1.3)."""
    curve = survival_curve(MERCAPTOPURINE)
    at = int(np.flatnonzero(curve.times == 10)[0])
    spread = math.sqrt(3 / (21 * 18) + 1 / (17 * 16) + 1 / (15 * 14)) / abs(
        math.log(curve.share[at])
    )
    ends = [curve.share[at] ** math.exp(z * spread) for z in (1.959964, -1.959964)]
    assert [curve.low[at], curve.high[at]] == pytest.approx(ends, abs=1e-6)


def test_searches_that_all_end_at_one_time_have_it_as_the_median_and_as_the_interval():
    found = median_time(Times.of([8] * 20, 100))
    assert (found.value, found.low, found.high) == (8, 8, 8)


def test_three_searches_are_too_few_to_say_that_the_median_is_not_later():
    assert median_time(Times.of([8, 8, 8], 100)).high == math.inf


def test_a_median_that_was_not_seen_is_beyond_all_times():
    found = median_time(Times.of([None] * 12 + [40] * 8, 100))
    assert (found.value, found.high) == (math.inf, math.inf)
    assert 40 <= found.low < math.inf


def test_intervals_of_the_median_hold_the_true_one_as_often_as_they_say():
    """Exponential times, rounded up to checkpoints, of which a quarter is censored."""
    rng = np.random.default_rng(0)
    checkpoints, held = np.arange(1, 1000), 0
    true = math.ceil(100 * math.log(2))
    for _ in range(300):
        times = checkpoints[np.searchsorted(checkpoints, rng.exponential(100, 20))]
        found = median_time(Times.of([int(t) if t <= 139 else None for t in times], 139))
        held += found.low <= true <= found.high
    assert 0.91 <= held / 300 <= 0.99


# --- ratios ---------------------------------------------------------------------------------------


def test_a_ratio_is_of_pairs_so_that_what_a_pair_shares_is_not_in_its_interval():
    times = [8, 12, 16, 30, 60, 90, 140, 200, 300, 420]
    found = ratio_of_medians(Times.of(times, 999), Times.of([2 * t for t in times], 1998))
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)


def test_the_median_of_a_ratio_is_that_of_the_curve_with_censored_times_in_between():
    rng = np.random.default_rng(1)
    for _ in range(50):
        own = Times(rng.integers(1, 12, 15).astype(float), rng.random(15) < 0.7)
        ones = Times.of([1] * 15, 99)
        assert ratio_of_medians(own, ones).value == median_time(own).value


def test_an_arm_that_never_ends_takes_infinitely_more_and_any_other_one_nothing_beside_it():
    never, soon = Times.of([None] * 10, 100), Times.of([10] * 10, 100)
    assert ratio_of_medians(never, soon).value == math.inf
    assert ratio_of_medians(soon, never).value == 0
    both = ratio_of_medians(never, never)
    assert math.isnan(both.value)
    assert (both.low, both.high) == (0, math.inf)
    assert math.isnan(logrank_p(never, never))


def test_an_interval_of_a_ratio_is_that_of_a_bootstrap_written_out():
    rng = np.random.default_rng(2)
    one, other = rng.permutation(np.arange(10, 210, 10)), rng.permutation(np.arange(30, 430, 20))
    found = ratio_of_medians(Times.of(one.tolist(), 999), Times.of(other.tolist(), 999))
    ratios = []
    for _ in range(4000):
        at = rng.integers(20, size=20)
        ratios.append(np.sort(one[at])[9] / np.sort(other[at])[9])
    assert [found.low, found.high] == pytest.approx(np.quantile(ratios, [0.025, 0.975]), rel=0.15)


def test_five_pairs_say_nothing_of_a_ratio():
    times = Times.of([8, 12, 16, 20, 24], 99)
    found = ratio_of_medians(times, times)
    assert (found.value, found.low, found.high) == (1, 0, math.inf)


def test_searches_that_all_end_at_one_time_are_in_no_order():
    assert math.isnan(logrank_p(Times.of([8] * 6, 99), Times.of([8] * 6, 99)))
