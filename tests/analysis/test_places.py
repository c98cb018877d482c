"""The places that tell candidates apart, and how they are named."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.networks import bind

from se_search.analysis.places import read_places
from se_search.errors import CandidateError, SpaceError

BLOCKS = bind([64], [64, 64, 64], granularity="block", integration=["pre", "inner"], width=[4, 8])


def test_blocks_that_always_carry_alike_are_one_place():
    places = read_places(
        BLOCKS,
        [
            "net",
            "net/stage2=pre:4",
            "net/stage3.block1=pre:4",
            "net/stage3.block1-2=pre:8",
            "net/stage3=pre:8",
        ],
    )
    assert [place.name for place in places] == [
        "stage2",
        "stage3.block1",
        "stage3.block2",
        "stage3.block3",
    ]
    assert places[3].carries.tolist() == [False, False, False, False, True]
    texts = ["net", "net/stage3.block1=pre:4", "net/stage3=pre:8", "net/stage3.block2-3=pre:8"]
    assert [place.name for place in read_places(BLOCKS, texts)] == [
        "stage3.block1",
        "stage3.block2+stage3.block3",
    ]


def test_a_stage_all_of_whose_blocks_carry_alike_is_named_as_a_stage():
    (place,) = read_places(BLOCKS, ["net", "net/stage3=pre:4", "net/stage3=inner:4"])
    assert place.name == "stage3"
    assert place.positions == ("", "pre", "inner")


def test_a_choice_made_once_for_the_network_is_one_place():
    space = bind([64], [64], granularity="network", width=[4, 8])
    (place,) = read_places(space, ["net", "net/all=standard:4", "net/all=standard:8"])
    assert (place.name, place.widths) == ("network", ("", "width 4", "width 8"))


def test_stages_that_always_carry_alike_are_one_place():
    space = bind([64], [64], width=[4, 8])
    texts = ["net", "net/stage2=standard:4/stage3=standard:8", "net/all=standard:8"]
    (place,) = read_places(space, texts)
    assert place.name == "stage2+stage3"
    assert place.widths == ("", "width 4/8", "width 8")
    assert place.levels[0] != place.levels[1] != place.levels[2]


def test_one_ratio_has_one_name_whatever_the_channels_of_stage_and_position():
    space = bind([32], [64, 128], integration=["standard", "inner"], reduction=[4, 16])
    texts = [
        *("net", "net/stage2=standard:8/stage3=inner:r4", "net/stage2=standard:2"),
        *("net/stage2=inner:2/stage3=standard:r16", "net/stage2=inner:1/stage3=inner:r16"),
    ]
    first, second = read_places(space, texts)
    assert first.widths == ("", "r = 4", "r = 16", "r = 4", "r = 8")  # 8 channels / 16 is 1
    assert second.widths == ("", "r = 4", "", "r = 16", "r = 16")


def test_a_variant_without_a_width_is_told_from_the_usual_block():
    space = bind([64], reduction=[4, 8], kind=["se", "eca"])
    texts = ["net", "net/all=standard:16", "net/all=standard:8", "net/all=standard:eca"]
    (place,) = read_places(space, texts)
    assert place.variants == ("", "se", "se", "eca")
    assert place.widths == ("", "r = 4", "r = 8", "none")
    assert list(place.attributes()) == ["width", "variant"]


def test_options_of_a_block_are_part_of_its_variant():
    space = bind([64], reduction=[4], squeeze=["avg", "max"], bias=[False, True])
    (place,) = read_places(space, ["net", "net/all=standard:16", "net/all=standard:16+max+bias"])
    assert place.variants == ("", "se", "se+max+bias")


def test_candidates_that_do_not_differ_have_no_places():
    assert read_places(BLOCKS, ["net/stage2=pre:4"]) == []
    assert read_places(BLOCKS, []) == []


def test_what_is_not_of_the_space_is_refused():
    with pytest.raises(CandidateError, match="not SITE=BLOCK"):
        read_places(BLOCKS, ["net/x"])
    with pytest.raises(SpaceError, match="net/stage2=pre:5 is not in the space"):
        read_places(BLOCKS, ["net/stage2=pre:5"])


@given(st.sets(st.integers(0, BLOCKS.size - 1), min_size=1, max_size=12))
@settings(max_examples=60)
def test_places_tell_all_candidates_apart_and_say_where_each_carries_se(numbers):
    candidates = [BLOCKS.candidate_at(number) for number in sorted(numbers)]
    places = read_places(BLOCKS, [str(candidate) for candidate in candidates])
    rows = {tuple(int(place.levels[row]) for place in places) for row in range(len(candidates))}
    assert len(rows) == len(candidates)
    for place in places:
        stage = int(place.name[5])
        for candidate, carries in zip(candidates, place.carries, strict=True):
            blocks = [
                block
                for site, block in zip(BLOCKS.backbone.sites, candidate.blocks, strict=True)
                if site.name in place.name or (site.stage == stage and "." not in place.name)
            ]
            assert {block is not None for block in blocks} >= {bool(carries)}
