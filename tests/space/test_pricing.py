"""Prices that are sums over slots, against candidates that are priced one by one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.spaces import SPACES, bound_spaces, few_examples, listed_spaces, price

from se_search.candidate import SE, Candidate


def added_params(candidate):
    """Count ``2 * C * w`` weights and ``w + C`` biases for each block, and ``C**2 + C`` for ESE."""
    total = 0
    for site, block in zip(candidate.backbone.sites, candidate.blocks, strict=True):
        if block is not None:
            channels = site.feature_maps[block.integration].channels
            total += 2 * channels * block.width + block.bias * (block.width + channels)
            total += (block.kind == "ese") * (channels * channels + channels)
    return total


def num_blocks(candidate):
    return sum(block is not None for block in candidate.blocks)


@few_examples
@given(listed_spaces())
def test_the_extreme_prices_are_those_of_the_listed_candidates(listed):
    bound, points = listed
    prices = [
        added_params(Candidate(bound.backbone, tuple(block and SE(*block) for block in network)))
        for network in set(points)
    ]
    low, high = bound.price_extremes(lambda candidate: (added_params(candidate),))
    assert (low.tolist(), high.tolist()) == ([min(prices)], [max(prices)])


@few_examples
@given(listed_spaces())
def test_prices_that_add_up_are_those_of_the_candidates_one_by_one(listed):
    bound, _ = listed
    prices = bound.price_codes(
        bound.codes(), lambda candidate: (added_params(candidate), num_blocks(candidate))
    )
    assert prices.tolist() == [[added_params(each), num_blocks(each)] for each in bound]


@given(bound_spaces(), st.integers(0, 1000))
@settings(max_examples=25)
def test_prices_are_those_of_each_candidate(space, seed):
    codes = space.draw_codes(12, np.random.default_rng(seed))
    wanted = [price(space.with_codes(row)) for row in codes]
    np.testing.assert_array_equal(space.price_codes(codes, price), wanted)


@given(bound_spaces(), st.integers(0, 1000))
@settings(max_examples=25)
def test_no_price_is_beyond_the_ends(space, seed):
    low, high = space.price_ends(price)
    prices = space.price_codes(space.draw_codes(30, np.random.default_rng(seed)), price)
    assert (low <= prices.min(axis=0)).all()
    assert (prices.max(axis=0) <= high).all()


@pytest.mark.parametrize("objective", [0, 1])
def test_without_shared_axes_the_ends_are_prices_of_candidates(objective):
    space = SPACES[0]
    prices = [price(candidate)[objective] for candidate in space]
    low, high = space.price_ends(price)
    assert (low[objective], high[objective]) == (min(prices), max(prices))
