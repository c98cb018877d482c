"""Pairs of times: what a machine does meanwhile cancels, or is passed over."""

import numpy as np
import pytest
from scipy.stats import binom
from support.latency import Clock, MadeUpNetwork

from se_search.latency.paired import median_interval, time_pairs


def time_two(plain_ms, other_ms, clock, rounds=20):
    plain, other = (MadeUpNetwork(ms, clock, 0) for ms in (plain_ms, other_ms))
    return time_pairs(plain.run, other.run, rounds, 1, peak_bytes=7)


def test_a_steady_drift_of_the_machine_cancels():
    timing = time_two(10.0, 11.0, Clock(drift=0.05))
    assert timing.added_pct == pytest.approx(10.0, abs=1e-9)
    assert timing.low == pytest.approx(10.0, abs=1e-9)
    assert timing.plain_ms > 15.0  # the times themselves have drifted


def test_single_disturbed_times_leave_the_median_where_it_is():
    assert time_two(10.0, 12.0, Clock(spikes=9)).added_pct == pytest.approx(20.0, abs=1e-9)


def test_the_plain_network_has_a_time_before_and_after_each_of_the_other():
    order = []
    time_pairs(lambda _: order.append("p") or 1.0, lambda _: order.append("o") or 1.0, 10, 3, 0)
    assert "".join(order) == "po" * 10 + "p"


def test_noise_makes_the_interval_wide_and_keeps_the_truth_in_it():
    hits, widths = 0, []
    for seed in range(200):
        clock = Clock(noise=0.02, rng=np.random.default_rng(seed))
        timing = time_two(10.0, 10.5, clock)
        hits += timing.low <= 5.0 <= timing.high
        widths.append(timing.high - timing.low)
    assert hits >= 185  # 95 % of 200 are 190
    assert 1.0 < np.mean(widths) < 5.0


@pytest.mark.parametrize("count", [6, 10, 15, 20, 31, 60])
def test_the_interval_of_a_median_is_the_narrowest_that_order_statistics_give(count):
    low, high = median_interval(list(range(count)))
    rank = low + 1
    assert high == count - rank
    assert 1 - 2 * binom.cdf(rank - 1, count, 0.5) >= 0.95
    assert 1 - 2 * binom.cdf(rank, count, 0.5) < 0.95
