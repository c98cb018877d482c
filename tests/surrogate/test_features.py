"""How alike levels are, against the definition spelled out pair by pair."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from se_search.surrogate.features import PRESENCE, Factors, columns_to_factors

NOTHING = {}
# A kind without a reduction, as eca is; and two slots whose levels speak of the same things.
SE_LIKE = Factors(
    (
        (NOTHING, {"kind": "se", "reduction": 2.0}, {"kind": "se", "reduction": 5.0}),
        ({"kind": "se", "reduction": 3.0}, {"kind": "eca"}),
    )
)
EMPTY, SE_2, SE_5, SE_3, ECA = range(5)


@st.composite
def descriptions(draw):
    chosen = {
        "kind": draw(st.none() | st.sampled_from(["se", "eca"])),
        "gate": draw(st.none() | st.sampled_from(["sigmoid", "hard"])),
        "reduction": draw(st.none() | st.sampled_from([1.0, 2.0, 4.0])),
    }
    return {name: value for name, value in chosen.items() if value is not None}


def factors():
    slots = st.lists(descriptions(), min_size=1, max_size=4)
    return st.lists(slots.map(tuple), min_size=1, max_size=4).map(tuple).map(Factors)


def distances(factors, attribute):
    return factors.distances[factors.attributes.index(attribute)]


def test_the_levels_of_all_slots_stand_in_one_row():
    assert (SE_LIKE.num_slots, SE_LIKE.num_levels) == (2, 5)
    assert SE_LIKE.offsets.tolist() == [0, 3]
    assert SE_LIKE.slot_of.tolist() == [0, 0, 0, 1, 1]


def test_presence_is_an_attribute_only_where_a_level_can_be_empty():
    assert SE_LIKE.attributes == (PRESENCE, "kind", "reduction")
    assert Factors((({"r": 1.0}, {"r": 2.0}),)).attributes == ("r",)


def test_what_is_the_same_for_all_levels_is_no_attribute():
    same = ({"kind": "se", "r": 1.0}, {"kind": "se", "r": 2.0})
    assert Factors((same,)).attributes == ("r",)


def test_levels_that_nothing_tells_apart_have_no_attributes_and_no_distances():
    one = Factors((({"kind": "se"},), ({"kind": "se"},)))
    assert one.attributes == ()
    assert one.distances.shape == (0, 2, 2)


def test_presence_tells_the_empty_level_from_all_others():
    apart = distances(SE_LIKE, PRESENCE)
    assert apart[EMPTY].tolist() == [0, 1, 1, 1, 1]
    assert apart[SE_2].tolist() == [1, 0, 0, 0, 0]


def test_words_are_the_same_or_not():
    assert distances(SE_LIKE, "kind")[SE_2].tolist() == [0.5, 0, 0, 0, 1]


def test_numbers_are_points_on_a_scale_from_0_to_1():
    np.testing.assert_allclose(distances(SE_LIKE, "reduction")[SE_2], [0.5, 0, 1, 1 / 3, 0.5])


def test_a_level_that_lacks_an_attribute_is_half_as_far_from_all_that_have_it():
    assert distances(SE_LIKE, "kind")[EMPTY].tolist() == [0, 0.5, 0.5, 0.5, 0.5]
    assert distances(SE_LIKE, "reduction")[ECA].tolist() == [0, 0.5, 0.5, 0.5, 0]


@given(factors())
@settings(max_examples=50)
def test_distances_are_symmetric_and_tell_some_levels_apart(factors):
    assert factors.distances.shape == (len(factors.attributes), *[factors.num_levels] * 2)
    for name, apart in zip(factors.attributes, factors.distances, strict=True):
        np.testing.assert_array_equal(apart, apart.T)
        assert not np.diag(apart).any()
        assert apart.min() == 0
        if name != PRESENCE:
            assert apart.max() == pytest.approx(1.0)


@given(factors())
@settings(max_examples=50)
def test_levels_are_apart_if_and_only_if_their_descriptions_differ(factors):
    everything = [level for slot in factors.levels for level in slot]
    for i, one in enumerate(everything):
        for j, other in enumerate(everything):
            apart = sum(float(own[i, j]) for own in factors.distances)
            differ = any(one.get(name) != other.get(name) for name in factors.attributes)
            assert (apart > 0) == (differ or (one == {}) != (other == {}))


@given(factors(), st.lists(st.floats(0, 20), min_size=4, max_size=4))
@settings(max_examples=50)
def test_similarities_that_fall_with_distance_are_a_covariance(factors, contrasts):
    """Whatever the contrasts: no two unlike levels are both just like a third."""
    weights = np.array(contrasts[: len(factors.attributes)])
    similarity = np.exp(-np.tensordot(weights, factors.distances, axes=1))
    assert np.linalg.eigvalsh(similarity * factors.is_comparable).min() > -1e-9


def test_levels_compare_if_they_have_an_attribute_in_common():
    a, b = {"a": 1.0}, {"b": 1.0}
    assert Factors(((a, b),)).is_comparable.tolist() == [[True, False], [False, True]]


@pytest.mark.parametrize("third", [{}, {"a": 2.0, "b": 2.0}], ids=["empty", "both"])
def test_levels_compare_if_a_third_compares_with_both(third):
    assert Factors((({"a": 1.0}, {"b": 1.0}, third),)).is_comparable.all()


@given(factors(), st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_one_hot_has_a_1_at_the_level_of_each_slot(factors, seed):
    rng = np.random.default_rng(seed)
    sizes = [len(levels) for levels in factors.levels]
    codes = rng.integers(sizes, size=(5, len(sizes))).astype(np.int16)
    rows = factors.one_hot(codes)
    wanted = np.zeros((5, sum(sizes)))
    for number, row in enumerate(codes):
        for slot, code in enumerate(row):
            wanted[number, sum(sizes[:slot]) + code] = 1
    np.testing.assert_array_equal(rows, wanted)


def test_one_hot_of_no_candidates_has_no_rows():
    assert SE_LIKE.one_hot(np.zeros((0, 2), np.int16)).shape == (0, 5)


def test_columns_with_the_same_levels_share_words_whatever_their_order():
    factors = columns_to_factors([["a", "b"], ["x", "y"], ["b", "a"]])
    first, second, third = factors.levels
    assert first == third[::-1]
    assert not {name for level in first for name in level} & {
        name for level in second for name in level
    }
    assert factors.is_comparable[0].tolist() == [True, True, False, False, True, True]


def test_a_column_of_positive_numbers_is_a_scale_of_their_logarithms():
    factors = columns_to_factors([[1, 2, 8]])
    np.testing.assert_allclose(factors.distances[0][0], [0, 1 / 3, 1])


@pytest.mark.parametrize("column", [[0, 1, 4], [-1, 1, 4], [False, True], [1, "none", 4]])
def test_a_column_with_anything_but_positive_numbers_is_one_of_words(column):
    apart = columns_to_factors([column]).distances[0]
    np.testing.assert_array_equal(apart, 1 - np.eye(len(column)))
