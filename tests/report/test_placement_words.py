"""Placements in words: which sites carry which SE, by width or by ratio, in at most a line."""

import pytest
from hypothesis import given
from support.networks import make_backbone
from support.spaces import bound_spaces, few_examples

from se_search.candidate import MODIFIERS, Candidate
from se_search.report.placement_words import (
    MAX_LENGTH,
    SPECIAL,
    describe_placement,
    join_list,
)
from se_search.space.schema import SearchSpace

NET = make_backbone([64, 64, 64, 64], [128, 128], [256], [512])
WIDTHS = SearchSpace.model_validate({"choices": {"width": [4, 8, 16]}})
RATIOS = SearchSpace.model_validate({"choices": {"reduction": [4, 16, 32]}})


def words(text, space=WIDTHS, backbone=NET):
    return describe_placement(Candidate.parse(text, backbone), space)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s2:4", "SE of width 4 in stage 2"),
        ("no SE", "no SE"),
        ("all=standard:8", "SE of width 8 everywhere"),
        ("s2:4 s3:4 s5:4", "SE of width 4 in stages 2, 3 and 5"),
        ("s2:4 s3:4 s4:4", "SE of width 4 in stages 2 to 4"),
        ("s2:4 s5:16", "SE of width 4 in stage 2 and of width 16 in stage 5"),
        ("s2.1:4", "SE of width 4 in block 1 of stage 2"),
        ("s2.1-3:4", "SE of width 4 in blocks 1 to 3 of stage 2"),
        ("s2.1:4 s2.3:4 s3:4", "SE of width 4 in stage 3 and in blocks 1 and 3 of stage 2"),
        ("s3:identity4", "identity SE of width 4 in stage 3"),
        ("s2:4 s3:pre4", "SE of width 4 in stage 2 and pre SE of width 4 in stage 3"),
        ("s2:4+max+bias", "SE of width 4 with max pooling and biases in stage 2"),
        ("s2:ese", "effective SE in stage 2"),
        ("s2:eca s3:ge", "ECA in stage 2 and Gather-Excite in stage 3"),
    ],
)
def test_a_placement_reads_as_a_phrase(text, expected):
    assert words(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s2:r16 s4:r16", "SE with r = 16 in stages 2 and 4"),
        ("all=standard:r4", "SE with r = 4 everywhere"),
        ("s2:r4 s5:r32", "SE with r = 4 in stage 2 and with r = 32 in stage 5"),
        ("s2:r16+tanh", "SE with r = 16 and tanh gates in stage 2"),
        ("s2:5", "SE of width 5 in stage 2"),  # no ratio of the space makes it
    ],
)
def test_a_space_of_ratios_is_spoken_of_in_ratios(text, expected):
    assert words(text, RATIOS) == expected


def test_ratios_that_make_one_width_on_few_channels_are_told_as_one():
    few = make_backbone([16], [16], [32])
    assert words("all=standard:r32", RATIOS, few) == "SE with r = 32 everywhere"


def test_a_placement_that_is_longer_than_a_line_is_told_by_its_short_text():
    text = "s2:4 s3.1:identity8 s3.2:post16 s4:pre8+tanh s5:2"
    assert words(text) == f"SE as {Candidate.parse(text, NET).placement}"


@few_examples
@given(bound_spaces())
def test_different_candidates_of_a_space_have_different_words_in_at_most_a_line(bound):
    candidates = list(bound)[:200]
    texts = {describe_placement(candidate, bound.space): candidate for candidate in candidates}
    assert len(texts) == len(candidates)
    for text, candidate in texts.items():
        assert len(text) <= MAX_LENGTH or text == f"SE as {candidate.placement}"


def test_where_a_ratio_can_be_rounded_in_two_ways_widths_are_told():
    both = {"reduction": [16], "rounding": ["floor", "multiple_of_8"]}
    space = SearchSpace.model_validate({"choices": both})
    assert words("s2:r16", space) == "SE of width 4 in stage 2"
    assert words("s2:8", space) == "SE of width 8 in stage 2"


def test_every_modifier_of_a_block_has_words():
    usual = {"avg", "sigmoid", "half"}
    assert set(MODIFIERS) - usual == set(SPECIAL)


@pytest.mark.parametrize(
    ("items", "expected"),
    [(["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")],
)
def test_a_list_is_joined_by_commas_and_an_and(items, expected):
    assert join_list(items) == expected
