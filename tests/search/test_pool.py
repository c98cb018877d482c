"""The candidates that are scored: all of a space, or a part that is spread over the costs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.networks import make_backbone

from se_search.cost import count_cost, find_allowed
from se_search.search import pool as pool_module
from se_search.search.pool import MAX_WHOLE, NUM_KEPT, Pool, PoolSource
from se_search.space.bound import BoundSpace
from se_search.space.schema import Limits, SearchSpace

SMALL = BoundSpace(
    SearchSpace.model_validate({"choices": {"reduction": [2, 4, 8]}}),
    make_backbone([32], [64], [64]),
)
# 3**13 = 1,594,323 candidates.
LARGE = BoundSpace(
    SearchSpace.model_validate({"granularity": "block", "choices": {"reduction": [4, 16]}}),
    make_backbone([32] * 4, [64] * 5, [128] * 4),
)


def price(candidate):
    cost = count_cost(candidate)
    return cost.params, cost.macs


def nothing(space):
    return np.zeros((0, len(space.slots)), np.int16)


def as_set(codes):
    return {tuple(row) for row in codes.tolist()}


@pytest.fixture(scope="module")
def large():
    return PoolSource(LARGE, price, seed=0)


@given(st.integers(1, 6), st.integers(1, 40), st.integers(0, 1000))
@settings(max_examples=40)
def test_find_gives_the_number_or_minus_1(num_slots, count, seed):
    rng = np.random.default_rng(seed)
    codes = np.unique(rng.integers(4, size=(count, num_slots)).astype(np.int16), axis=0)
    codes = rng.permutation(codes)
    wanted = rng.integers(4, size=(15, num_slots)).astype(np.int16)
    rows = codes.tolist()
    found = Pool(codes, np.zeros((len(codes), 1))).find(wanted)
    assert found.tolist() == [rows.index(row) if row in rows else -1 for row in wanted.tolist()]


def test_find_of_nothing_is_nothing():
    pool = PoolSource(SMALL, price, 0).make(nothing(SMALL), nothing(SMALL))
    assert pool.find(nothing(SMALL)).tolist() == []


def test_a_quarter_of_a_million_candidates_have_different_hashes():
    codes = np.indices([2] * 18).reshape(18, -1).T.astype(np.int16)
    assert len(np.unique(pool_module._hash_rows(codes))) == 2**18


def test_the_pool_of_a_small_space_is_the_space_in_its_order_whatever_was_trained():
    source = PoolSource(SMALL, price, 0)
    assert source.is_whole
    pool = source.make(SMALL.codes()[5:7], SMALL.codes()[5:6])
    np.testing.assert_array_equal(pool.codes, SMALL.codes())
    assert pool.find(SMALL.codes()).tolist() == list(range(SMALL.size))


@pytest.mark.parametrize("share", [0.05, 0.6, 1.5])
def test_the_pool_holds_candidates_within_the_limits_alone(share):
    space = BoundSpace(
        LARGE.space.model_copy(update={"limits": Limits(added_params=share)}), LARGE.backbone
    )
    allowed = find_allowed(space)
    source = PoolSource(space, price, 0, allowed)
    trained = allowed.draw_codes(3, np.random.default_rng(0))
    pool = source.make(trained, trained)
    assert len(pool) == len(as_set(pool.codes))
    assert allowed.keep(pool.codes).all()
    assert source.is_whole == (allowed.amount.number <= MAX_WHOLE)
    if source.is_whole:
        assert len(pool) == source.size == allowed.amount.number
    assert pool.costs.min() >= 0
    assert 0.9 < pool.costs[:, 0].max() <= 1


def test_costs_are_logarithms_from_0_to_1():
    pool = PoolSource(SMALL, price, 0).make(nothing(SMALL), nothing(SMALL))
    prices = np.array([price(candidate) for candidate in SMALL], float)
    low, high = prices.min(axis=0), prices.max(axis=0)
    np.testing.assert_allclose(pool.costs, np.log(prices / low) / np.log(high / low), atol=1e-12)
    assert (pool.costs.min(axis=0).tolist(), pool.costs.max(axis=0).tolist()) == ([0, 0], [1, 1])


def test_costs_that_can_be_0_are_scaled_linearly():
    def price(candidate):
        return (count_cost(candidate).added_params,)

    pool = PoolSource(SMALL, price, 0).make(nothing(SMALL), nothing(SMALL))
    prices = np.array([price(candidate) for candidate in SMALL], float)
    np.testing.assert_allclose(pool.costs, prices / prices.max(), atol=1e-12)


def test_a_cost_that_all_share_is_0():
    pool = PoolSource(SMALL, lambda candidate: (7,), 0).make(nothing(SMALL), nothing(SMALL))
    assert not pool.costs.any()


def test_of_a_huge_space_the_pool_is_a_function_of_the_seed(large):
    assert LARGE.size > MAX_WHOLE
    assert not large.is_whole
    pool = large.make(nothing(LARGE), nothing(LARGE))
    again = PoolSource(LARGE, price, 0).make(nothing(LARGE), nothing(LARGE))
    other = PoolSource(LARGE, price, 1).make(nothing(LARGE), nothing(LARGE))
    np.testing.assert_array_equal(pool.codes, again.codes)
    np.testing.assert_array_equal(pool.costs, again.costs)
    assert as_set(pool.codes) != as_set(other.codes)


def test_of_a_huge_space_the_pool_has_different_candidates_and_no_more_than_it_may(large):
    pool = large.make(nothing(LARGE), nothing(LARGE))
    assert len(pool) == NUM_KEPT
    assert len(as_set(pool.codes)) == NUM_KEPT
    assert all(LARGE.with_codes(row) in LARGE for row in pool.codes[:50])


def test_of_a_huge_space_the_pool_has_what_was_trained_and_the_neighbours_of_the_front(large):
    trained = LARGE.draw_codes(30, np.random.default_rng(7))
    front = trained[:3]
    pool = large.make(trained, front)
    base = large.make(nothing(LARGE), nothing(LARGE))
    wanted = {*as_set(trained), *(c for row in front for c in as_set(LARGE.neighbours(row)))}
    assert as_set(pool.codes) == as_set(base.codes) | wanted
    assert len(pool) == len(as_set(pool.codes))
    np.testing.assert_array_equal(pool.codes[: len(base)], base.codes)


def test_of_a_huge_space_costs_are_those_of_each_candidate(large):
    pool = large.make(nothing(LARGE), nothing(LARGE))
    low, high = (price(LARGE.with_codes(np.full(13, level, np.int16))) for level in (0, 1))
    for number in range(0, NUM_KEPT, 5_000):
        own = np.array(price(LARGE.with_codes(pool.codes[number])))
        wanted = np.log(own / low) / np.log(np.array(high) / low)
        np.testing.assert_allclose(pool.costs[number], wanted)


def test_of_a_huge_space_cheap_and_costly_candidates_are_more_frequent_than_in_draws(large):
    pool = large.make(nothing(LARGE), nothing(LARGE))
    drawn = LARGE.price_codes(LARGE.draw_codes(20_000, np.random.default_rng(3)), price)[:, 0]
    low, high = (int(end[0]) for end in LARGE.price_ends(price))
    drawn = np.log(drawn / low) / np.log(high / low)
    for tail in (lambda c: c < 0.3, lambda c: c > 0.9):
        assert tail(pool.costs[:, 0]).mean() > 2 * tail(drawn).mean() > 0
    counts = np.histogram(pool.costs[:, 0], 10, (0, 1))[0]
    spread = np.histogram(drawn, 10, (0, 1))[0]
    assert counts.std() / counts.mean() < 0.8 * spread.std() / spread.mean()


def test_a_spread_takes_as_many_of_each_stratum_as_there_are_up_to_one_number():
    costs = np.repeat([0.1, 0.5, 0.9], [5, 500, 1_000])
    chosen = costs[pool_module._spread(costs, 105)]
    assert [int((chosen == cost).sum()) for cost in (0.1, 0.5, 0.9)] == [5, 50, 50]
