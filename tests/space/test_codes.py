"""Candidates as rows of numbers: against the space listed and priced one by one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from support.networks import backbones, make_backbone
from support.tables import write_made_up_table

from se_search.benchmark.table import TableRow
from se_search.benchmark.table_file import read_table
from se_search.candidate import SE, Candidate
from se_search.cost import count_cost
from se_search.errors import SpaceError
from se_search.space.bound import BoundSpace
from se_search.space.schema import SearchSpace
from se_search.surrogate.features import Factors

OWN = {"integration": ["standard", "pre", "inner"], "reduction": [2, 4, 16]}
# What is shared leaves different levels: on few channels ratios mean the same width.
SHARED = {
    "choices": {"reduction": [2, 4, 16], "gate": ["sigmoid", "hard_sigmoid"]},
    "shared": ["reduction", "gate"],
}


def bind(backbone, **fields):
    return BoundSpace(SearchSpace.model_validate(fields), backbone)


def price(candidate):
    cost = count_cost(candidate)
    return cost.params, cost.macs


@st.composite
def bound_spaces(draw):
    """Draw small spaces, with shared axes or without."""
    choices = draw(
        st.sampled_from(
            [
                OWN,
                OWN | {"none": False},
                {"reduction": [4, 8], "gate": ["sigmoid", "hard_sigmoid"]},
                {"kind": ["se", "eca"], "reduction": [2, 8]},
            ]
        )
    )
    shared = draw(st.lists(st.sampled_from(list(set(choices) - {"none"})), unique=True))
    return bind(
        draw(backbones(max_blocks=2, all_integrations=True)), choices=choices, shared=sorted(shared)
    )


SPACES = [
    bind(make_backbone([32, 8], [16], [4]), choices=OWN),
    bind(make_backbone([32], [2, 16], [4]), **SHARED),
    bind(make_backbone([64], [4]), **SHARED | {"granularity": "block"}),
]


@pytest.fixture
def table(tmp_path):
    return read_table(
        write_made_up_table(tmp_path / "t.csv", 4, keep=lambda values: sum(values) != 3)
    )


def as_set(codes):
    return {tuple(row) for row in codes.tolist()}


# --- spaces of backbones ------------------------------------------------------------------------


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


def test_levels_are_described_by_what_tells_blocks_apart():
    space = bind(
        make_backbone([32], [64]),
        choices={"kind": ["se", "eca"], "reduction": [4, 8], "gate": ["sigmoid"]},
    )
    nothing, narrow, *_ = first = space.describe_levels()[0]
    assert nothing == {}
    assert narrow["kind"] == "se"
    assert narrow["reduction"] == 2.0
    assert [level.get("reduction") for level in first] == [None, 2.0, 3.0, None]
    assert Factors(space.describe_levels()).attributes == ("presence", "kind", "reduction")


def test_equal_ratios_are_alike_in_all_slots_and_integrations():
    space = bind(
        make_backbone([32], [64]), choices={"integration": ["standard", "inner"], "reduction": [4]}
    )
    described = [level for slot in space.describe_levels() for level in slot if level]
    assert {level["reduction"] for level in described} == {2.0}
    assert {level["integration"] for level in described} == {"standard", "inner"}


@given(bound_spaces())
@settings(max_examples=25)
def test_two_levels_of_a_slot_have_different_descriptions(space):
    for slot in space.describe_levels():
        assert len({tuple(sorted(level.items())) for level in slot}) == len(slot)


def test_levels_that_differ_at_later_sites_alone_have_different_descriptions():
    """On 4 channels r = 4 and r = 8 are one width; on the 64 of the second block they are two."""
    space = bind(make_backbone([4, 64]), choices={"none": False, "reduction": [4, 8]})
    first, second = space.describe_levels()[0]
    assert first != second


# --- tables -----------------------------------------------------------------------------------


def test_codes_and_rows_of_a_table_are_each_others_inverse(table):
    assert table.size == len(table.codes()) == 3**4 - 16
    for row, codes in zip(table, table.codes(), strict=True):
        assert tuple(table.levels[slot][code] for slot, code in enumerate(codes)) == row.values
        np.testing.assert_array_equal(table.codes_of(row), codes)
        assert table.with_codes(codes) == row


def test_a_row_that_a_table_lacks_has_no_codes(table):
    with pytest.raises(SpaceError, match="no row"):
        table.codes_of(TableRow(None, (0, 1, 1, 1)))


def test_prices_of_a_table_are_those_of_its_rows(table):
    def price(row):
        return (table.count_cost(row).params,)

    codes = table.codes()[::7]
    wanted = [price(table.candidate_at(number)) for number in range(0, table.size, 7)]
    np.testing.assert_array_equal(table.price_codes(codes, price), wanted)
    low, high = table.price_ends(price)
    assert (low.tolist(), high.tolist()) == ([101], [100 + 2**8])


def test_a_table_draws_its_rows_uniformly(table):
    drawn = table.draw_codes(60 * table.size, np.random.default_rng(0))
    unique, counts = np.unique(drawn, axis=0, return_counts=True)
    assert as_set(unique) == as_set(table.codes())
    assert stats.chisquare(counts).pvalue > 0.001


def test_neighbours_in_a_table_are_rows_that_it_has(table):
    codes = table.codes()
    for row in codes[::5]:
        wanted = {
            tuple(o)
            for o in codes.tolist()
            if sum(a != b for a, b in zip(o, row, strict=True)) == 1
        }
        assert as_set(table.neighbours(row)) == wanted


def test_columns_of_a_table_with_the_same_levels_speak_the_same_language(table):
    first, *others = table.describe_levels()
    assert all(other == first for other in others)
    assert len({tuple(level.items()) for level in first}) == 3
