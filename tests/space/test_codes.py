"""Candidates as rows of codes: against the rows that one gets by listing all combinations."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from support.networks import make_backbone
from support.spaces import SPACES, bind, bound_spaces

from se_search.candidate import SE, Candidate
from se_search.errors import SpaceError
from se_search.space.codes import CodeSet


def as_set(codes):
    return {tuple(row) for row in codes.tolist()}


@pytest.mark.parametrize("space", SPACES)
def test_codes_and_candidates_are_each_others_inverse(space):
    for number, (candidate, row) in enumerate(zip(space, space.codes(), strict=True)):
        np.testing.assert_array_equal(space.codes_of(candidate), row)
        assert space.with_codes(row) == candidate == space.candidate_at(number)


def test_codes_are_positions_in_the_levels_of_the_slots():
    space = bind(make_backbone([32], [64]), choices={"reduction": [4, 8]})
    candidate = Candidate(space.backbone, (SE("standard", 4), None))
    assert space.codes_of(candidate).tolist() == [2, 0]
    assert space.levels[0][2] == (SE("standard", 4),)


def test_a_candidate_that_is_not_in_the_space_has_no_codes():
    space = bind(make_backbone([32], [64]), choices={"reduction": [4, 8]}, shared=["reduction"])
    mixed = Candidate(space.backbone, (SE("standard", 8), SE("standard", 8)))  # r = 4 and r = 8
    with pytest.raises(SpaceError, match="not in the space"):
        space.codes_of(mixed)


@given(bound_spaces(), st.integers(0, 1000))
@settings(max_examples=25)
def test_what_is_drawn_is_in_the_space(space, seed):
    drawn = space.draw_codes(20, np.random.default_rng(seed))
    assert drawn.shape == (20, len(space.slots))
    assert all(space.with_codes(row) in space for row in drawn)


@pytest.mark.parametrize("space", SPACES)
def test_every_candidate_is_drawn_sooner_or_later(space):
    drawn = space.draw_codes(60 * space.size, np.random.default_rng(0))
    assert as_set(drawn) == as_set(space.codes())


def test_without_shared_axes_each_candidate_is_as_likely_as_any_other():
    space = bind(make_backbone([4], [32]), choices={"reduction": [2, 4, 8, 16]})
    drawn = space.draw_codes(5_000, np.random.default_rng(0))
    _, counts = np.unique(drawn, axis=0, return_counts=True)
    assert len(counts) == space.size
    assert stats.chisquare(counts).pvalue > 0.001


def test_a_draw_is_a_function_of_the_random_numbers():
    first, again, other = (
        SPACES[1].draw_codes(50, np.random.default_rng(seed)) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("space", SPACES)
def test_neighbours_are_all_that_differ_in_one_slot(space):
    codes = space.codes()
    for row in codes[:: max(1, len(codes) // 20)]:
        wanted = codes[(codes != row).sum(axis=1) == 1]
        found = space.neighbours(row)
        assert len(found) == len(wanted)
        assert as_set(found) == as_set(wanted)


@st.composite
def code_sets(draw):
    """Draw which shared combinations (of 1 to 3) each level of 1 to 3 slots is possible with."""
    num_shared = draw(st.integers(1, 3))
    some = st.frozensets(st.integers(0, num_shared - 1))
    slots = draw(st.lists(st.lists(some, min_size=1, max_size=4), min_size=1, max_size=3))
    everything = frozenset(range(num_shared))  # a slot has a level for each shared combination
    return [[*levels, everything] for levels in slots], num_shared


@given(code_sets())
def test_a_row_is_numbered_if_a_shared_combination_goes_with_all_its_levels(drawn):
    possible, num_shared = drawn
    rows = [
        row
        for row in product(*(range(len(levels)) for levels in possible))
        if frozenset.intersection(
            *(levels[code] for levels, code in zip(possible, row, strict=True))
        )
    ]
    codes = CodeSet(possible, num_shared)
    assert list(codes) == rows == [tuple(row) for row in codes.list_rows().tolist()]
    assert codes.size == len(rows)
    for number, row in enumerate(rows):
        assert row in codes
        assert codes.index_of(row) == number
        assert tuple(codes.row_at(number)) == row
