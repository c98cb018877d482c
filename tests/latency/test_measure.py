"""Tables of latencies: what is measured on a bench of known times is what is found."""

import json

import pytest
from support.latency import (
    GROUND,
    PLAIN_MS,
    Clock,
    MadeUpBench,
    add_by_width,
    measure_made_up,
    true_latency,
)
from support.spaces import described

from se_search.candidate import Candidate
from se_search.cost import count_cost, find_allowed
from se_search.errors import LatencyError
from se_search.latency.measure import (
    NUM_SAME,
    Probe,
    plan_measurement,
    time_structures,
)
from se_search.latency.paired import MIN_ROUNDS
from se_search.latency.table import LatencyTable
from se_search.space.bound import BoundSpace
from se_search.space.schema import read_space

SPACE = BoundSpace(read_space("stages_ratio"), described("resnet20_bottleneck"))
EXACT = measure_made_up(SPACE)


def test_sums_are_the_true_latencies_where_blocks_add_up():
    for number in range(0, SPACE.size, 25):
        candidate = SPACE.candidate_at(number)
        cost = EXACT.sums.count_cost(candidate)
        assert cost.latency == pytest.approx(true_latency(candidate), abs=6)  # ns: one a block
        assert cost.latency - cost.added_latency == PLAIN_MS * 1e6
        assert cost.added_macs == count_cost(candidate).added_macs


def test_the_error_of_sums_is_what_blocks_add_to_each_other():
    def add(candidate):
        blocks = [block for block in candidate.blocks if block is not None]
        return add_by_width(candidate) - (0.3 if len({b.width for b in blocks}) > 1 else 0.0)

    error = measure_made_up(SPACE, add).sum_error
    assert error.count == 30
    assert error.median_pct == pytest.approx(3.0, abs=0.01)  # 0.3 of 10 ms
    assert error.bias_pct == pytest.approx(3.0, abs=0.3)


def test_without_noise_sums_have_no_error_and_nothing_is_below_the_floor():
    assert EXACT.floor_pct == pytest.approx(0.0, abs=1e-9)
    assert EXACT.sum_error.quantile_pct == pytest.approx(0.0, abs=1e-4)
    assert EXACT.sum_error.rank_correlation == pytest.approx(1.0)


def test_the_floor_is_what_the_plain_network_differs_from_itself():
    noisy = measure_made_up(SPACE, clock=Clock(noise=0.03))
    assert len(noisy.same) == NUM_SAME
    ends = sorted(max(abs(each.low), abs(each.high)) for each in noisy.same)
    assert noisy.floor_pct == pytest.approx((ends[1] + ends[2]) / 2)
    assert 0.3 < noisy.floor_pct < 3.0
    assert noisy.sums.floor == pytest.approx(noisy.floor_pct * noisy.plain_ms * 1e4, abs=1)


def test_a_block_that_measures_below_zero_counts_as_nothing():
    table = measure_made_up(SPACE, lambda candidate: -add_by_width(candidate))
    assert all(each.is_below_zero for each in table.deltas)
    assert {added for _, added in table.sums.added} == {0}


def test_a_budget_that_is_too_small_leaves_ten_rounds():
    allowed = find_allowed(SPACE)
    rounds = [
        plan_measurement(allowed, Probe(GROUND, 0.05, 0.1, None), budget).rounds
        for budget in (0.1, 200.0, 1e6)
    ]
    assert rounds[0] == MIN_ROUNDS < rounds[1] < rounds[2]
    plan = plan_measurement(allowed, Probe(GROUND, 0.05, 0.1, None), 200.0)
    assert len(plan.structures) * plan.seconds_each == pytest.approx(200.0, rel=0.06)


def test_the_plain_network_is_set_against_itself_from_the_first_to_the_last():
    plan = plan_measurement(find_allowed(SPACE), Probe(GROUND, 0.01, 0.1, None), 10.0)
    at = [n for n, each in enumerate(plan.structures) if "#" in each.name]
    assert at[0] == 0
    assert at[-1] == len(plan.structures) - 1
    assert len(plan.structures) == 16 + 30 + NUM_SAME


def test_what_has_been_timed_is_told_at_once_and_not_missing_again():
    plan = plan_measurement(find_allowed(SPACE), Probe(GROUND, 0.01, 0.1, None), 10.0)
    known = {}
    bench = MadeUpBench()
    time_structures(bench, plan.structures[:3], 10, 1, lambda s, t: known.update({s.name: t}))
    assert plan.list_missing(known) == plan.structures[3:]
    assert len(bench.loaded) == 4  # the plain network once more
    assert time_structures(bench, (), 10, 1) == {}


def test_a_table_is_read_as_it_was_written():
    text = json.dumps(EXACT.to_json())
    assert LatencyTable.from_json(json.loads(text)) == EXACT
    with pytest.raises(LatencyError, match="version 0"):
        LatencyTable.from_json({"version": 0})
    with pytest.raises(LatencyError, match="no table of latencies"):
        LatencyTable.from_json({"version": 1})


def test_a_candidate_with_an_unknown_block_has_no_latency():
    other = Candidate.parse("resnet20_bottleneck/stage2=pre:4", SPACE.backbone)
    assert EXACT.sums.add_up(other) is None
    with pytest.raises(LatencyError, match="s2:pre4"):
        EXACT.sums.count_cost(other)
