"""Bound spaces: against the set that one gets by listing all raw points."""

import random
from dataclasses import astuple
from itertools import product

import pytest
from hypothesis import given
from support.networks import make_backbone
from support.spaces import SHARED, TINY, as_tuples, bind, described, few_examples, listed_spaces

from se_search.candidate import SE, Candidate
from se_search.errors import SpaceError
from se_search.space.bound import BoundSpace
from se_search.space.schema import read_space


@few_examples
@given(listed_spaces())
def test_a_space_lists_each_network_of_its_raw_points_once(listed):
    bound, points = listed
    networks = [as_tuples(candidate) for candidate in bound]
    assert len(networks) == bound.size
    assert sorted(networks, key=repr) == sorted(set(points), key=repr)


@few_examples
@given(listed_spaces())
def test_candidates_are_numbered_as_they_are_listed(listed):
    bound, _ = listed
    assert [bound.candidate_at(index) for index in range(bound.size)] == list(bound)


@few_examples
@given(listed_spaces())
def test_a_candidate_is_found_by_its_number_and_the_number_by_the_candidate(listed):
    bound, _ = listed
    assert [bound.index_of(candidate) for candidate in bound] == list(range(bound.size))


def spell(bound, row):
    """Make the candidate whose slots carry the levels at the positions of a row."""
    blocks = [None] * len(bound.backbone.sites)
    for slot, levels, position in zip(bound.slots, bound.levels, row, strict=True):
        for index, block in zip(slot.indices, levels[position], strict=True):
            blocks[index] = block
    return Candidate(bound.backbone, tuple(blocks))


@few_examples
@given(listed_spaces())
def test_the_codes_of_a_space_spell_its_candidates_in_order(listed):
    bound, _ = listed
    assert bound.codes().shape == (bound.size, len(bound.slots))
    assert [spell(bound, row) for row in bound.codes().tolist()] == list(bound)


@few_examples
@given(listed_spaces())
def test_what_a_space_parses_is_what_its_candidates_write(listed):
    bound, _ = listed
    assert all(bound.parse(str(candidate)) == candidate for candidate in bound)


@few_examples
@given(listed_spaces())
def test_a_candidate_is_in_a_space_if_a_raw_point_stands_for_it(listed):
    bound, points = listed
    networks = set(points)
    seen = [
        sorted({*values, None, astuple(SE("standard", 3))}, key=repr)
        for values in zip(*points, strict=True)
    ]
    draw = random.Random(0)
    for _ in range(30):
        network = tuple(draw.choice(values) for values in seen)
        candidate = Candidate(bound.backbone, tuple(block and SE(*block) for block in network))
        assert (candidate in bound) == (network in networks)


def test_candidates_count_up_with_none_first_and_the_last_slot_fastest():
    bound = bind(TINY, choices={"reduction": [8, 4]})
    texts = [
        "/".join(["tiny", *(f"stage{s}=standard:{w}" for s, w in zip("234", widths) if w)])  # noqa: B905  # a test of three stages
        for widths in product([0, 1, 2], [0, 2, 4], [0, 4, 8])
    ]
    assert [str(candidate) for candidate in bound] == texts


def test_a_choice_without_none_puts_se_at_every_site():
    bound = bind(TINY, choices={"none": False, "width": [2, 3]})
    assert bound.size == 2**3
    assert all(None not in candidate.blocks for candidate in bound)


@pytest.mark.parametrize(
    "text",
    [
        "tiny/stage2=standard:3",
        "tiny/stage3.block1=standard:4",
        "tiny/stage2=pre:2/stage3=standard:4",
        "tiny/stage2=standard:2+bias",
    ],
)
def test_a_candidate_outside_the_space_is_refused_by_its_text(text):
    bound, candidate = bind(TINY, **SHARED), Candidate.parse(text, TINY)
    for look_up in (bound.encode, bound.index_of):
        with pytest.raises(SpaceError, match=rf"{text.replace('+', '.')} is not in the space"):
            look_up(candidate)


@pytest.mark.parametrize(
    "thing", ["tiny", None, Candidate.plain(make_backbone([8], [16, 16], [32], name="other"))]
)
def test_only_candidates_of_the_backbone_are_in_a_space(thing):
    assert thing not in bind(TINY, **SHARED)


def test_a_candidate_of_another_backbone_has_no_number():
    other = Candidate.plain(make_backbone([8], [16, 16], [32], name="other"))
    with pytest.raises(SpaceError, match="other is not in the space"):
        bind(TINY, **SHARED).index_of(other)


@pytest.mark.parametrize("index", [-1, 27, 10**30])
def test_an_index_beyond_the_size_is_refused(index):
    bound = bind(TINY, choices={"reduction": [8, 4]})
    with pytest.raises(IndexError, match=rf"candidate {index} is not in 0\.\.26"):
        bound.candidate_at(index)


def test_a_huge_space_is_counted_to_the_last_candidate():
    bound = BoundSpace(read_space("blocks"), described("resnet152"))
    assert bound.size == bound.raw_size == 2**50
    assert str(bound.candidate_at(2**50 - 1)) == (
        "resnet152/stage2=standard:16/stage3=standard:32/stage4=standard:64/stage5=standard:128"
    )
    assert bound.index_of(bound.candidate_at(2**50 - 1)) == 2**50 - 1
    assert str(bound.candidate_at(1)) == "resnet152/stage5.block3=standard:128"
    assert bound.candidate_at(0) == Candidate.plain(bound.backbone)


def test_a_space_and_a_backbone_are_needed_by_their_types():
    with pytest.raises(TypeError, match="takes a SearchSpace and a Backbone, not 'stages'"):
        BoundSpace("stages", TINY)
