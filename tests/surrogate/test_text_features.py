"""Slots that are read from texts: against those that the search space itself describes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from se_search.models.catalogue import describe_backbone
from se_search.space.bound import BoundSpace
from se_search.space.schema import read_space
from se_search.surrogate.features import Factors
from se_search.surrogate.text_features import read_factors

BACKBONE = describe_backbone("resnet20_bottleneck", in_channels=1, image_size=28, num_classes=10)


def similarities(factors, codes):
    """Return how far candidates are apart: ``(attribute, slots added up, pair)``, sorted."""
    rows = factors.one_hot(codes)
    same_slot = factors.slot_of[:, None] == factors.slot_of[None, :]
    return {
        name: rows @ (distance * same_slot) @ rows.T
        for name, distance in zip(factors.attributes, factors.distances, strict=True)
    }


@pytest.mark.parametrize("name", ["stages", "stages_ratio", "squeeze", "gate"])
def test_factors_of_a_whole_space_are_those_that_the_space_describes(name):
    bound = BoundSpace(read_space(name), BACKBONE)
    some = np.linspace(0, bound.size - 1, min(bound.size, 300)).astype(int)
    candidates = [bound.candidate_at(int(index)) for index in some]
    factors, codes = read_factors([str(candidate) for candidate in candidates])
    own = np.array([bound.codes_of(candidate) for candidate in candidates])
    wanted = similarities(Factors(bound.describe_levels()), own)
    found = similarities(factors, codes)
    assert set(found) == set(wanted)
    for attribute, distances in wanted.items():
        np.testing.assert_allclose(found[attribute], distances, atol=1e-6)


@pytest.mark.parametrize("name", ["blocks", "integration", "variants", "stages_ratio"])
@pytest.mark.parametrize("count", [1, 2, 5, 40])
def test_different_candidates_have_different_codes_and_equal_ones_the_same(name, count):
    bound = BoundSpace(read_space(name), BACKBONE)
    rng = np.random.default_rng(count)
    drawn = [str(bound.candidate_at(int(rng.integers(bound.size)))) for _ in range(count)]
    factors, codes = read_factors(drawn)
    assert codes.shape == (count, factors.num_slots)
    for one, ours in zip(drawn, codes, strict=True):
        for other, theirs in zip(drawn, codes, strict=True):
            assert (one == other) == np.array_equal(ours, theirs)


def test_a_stage_is_one_slot_unless_candidates_differ_within_it():
    whole = ["net", "net/stage2=standard:4", "net/stage2=standard:8/stage3=standard:4"]
    assert read_factors(whole)[0].num_slots == 2
    parts = [*whole, "net/stage3.block1=standard:4", "net/stage3.block2-3=standard:4"]
    assert read_factors(parts)[0].num_slots == 3  # blocks 2 and 3 are always alike


def test_blocks_that_are_never_named_by_themselves_still_tell_candidates_apart():
    texts = ["net", "net/stage2=standard:4", "net/stage2.block1=standard:4"]
    _, codes = read_factors(texts)
    assert len(np.unique(codes, axis=0)) == 3


def test_other_texts_have_a_level_each():
    factors, codes = read_factors(["7: a b", "3: a c", "7: a b"])
    assert (factors.num_slots, factors.num_levels) == (1, 2)
    assert codes[:, 0].tolist() == [1, 0, 1]


SPECS = st.sampled_from(["standard:4", "standard:8", "pre:4", "post:2+max+bias", "inner:eca"])


@st.composite
def texts(draw):
    parts = ["net"]
    for stage in range(2, 4):
        if draw(st.booleans()):
            parts.append(f"stage{stage}={draw(SPECS)}")
        else:
            blocks = sorted(draw(st.sets(st.integers(1, 3), max_size=2)))
            parts += [f"stage{stage}.block{block}={draw(SPECS)}" for block in blocks]
    return "/".join(parts)


@given(st.lists(texts(), min_size=1, max_size=12))
@settings(max_examples=100)
def test_any_texts_are_told_apart_whatever_their_order(drawn):
    factors, codes = read_factors(drawn)
    assert len(np.unique(codes, axis=0)) == len(set(drawn))
    assert len(codes) == len(drawn)
    if factors.num_slots:
        assert (codes.max(axis=0) < [len(levels) for levels in factors.levels]).all()
    other, back = read_factors(drawn[::-1])
    assert other.num_levels == factors.num_levels
    assert len(np.unique(back, axis=0)) == len(set(drawn))
