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
    assert place.carries.tolist() == [False, True, True]


def test_stages_that_always_carry_alike_are_one_place():
    space = bind([64], [64], width=[4, 8])
    texts = ["net", "net/stage2=standard:4/stage3=standard:8", "net/all=standard:8"]
    assert [place.name for place in read_places(space, texts)] == ["stage2+stage3"]


def test_where_candidates_do_not_differ_in_carrying_se_there_is_no_place():
    assert read_places(BLOCKS, ["net/stage2=pre:4"]) == []
    assert read_places(BLOCKS, ["net/stage2=pre:4", "net/stage2=inner:8"]) == []
    assert read_places(BLOCKS, []) == []


def test_the_plain_network_is_compared_even_if_the_space_has_none_of_it():
    space = bind([64], [64], width=[4, 8], none=False)
    (place,) = read_places(space, ["net", "net/all=standard:4", "net/all=standard:8"])
    assert place.name == "stage2+stage3"
    assert place.carries.tolist() == [False, True, True]


def test_what_is_not_of_the_space_is_refused():
    with pytest.raises(CandidateError, match="not SITE=BLOCK"):
        read_places(BLOCKS, ["net/x"])
    with pytest.raises(SpaceError, match="net/stage2=pre:5 is not in the space"):
        read_places(BLOCKS, ["net/stage2=pre:5"])


@given(st.sets(st.integers(0, BLOCKS.size - 1), min_size=1, max_size=12))
@settings(max_examples=60)
def test_a_place_says_where_each_candidate_carries_se(numbers):
    candidates = [BLOCKS.candidate_at(number) for number in sorted(numbers)]
    for place in read_places(BLOCKS, [str(candidate) for candidate in candidates]):
        names = place.name.split("+")
        for candidate, carries in zip(candidates, place.carries, strict=True):
            own = {
                block is not None
                for site, block in zip(BLOCKS.backbone.sites, candidate.blocks, strict=True)
                if {site.name, f"stage{site.stage}"} & set(names)
            }
            assert own == {bool(carries)}
