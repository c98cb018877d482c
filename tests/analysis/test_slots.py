"""The places that tell candidates apart, and how they are named."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.networks import bind

from se_search.analysis.slots import read_slots
from se_search.errors import CandidateError, SpaceError

BLOCKS = bind([64], [64, 64, 64], granularity="block", integration=["pre", "inner"], width=[4, 8])


def test_blocks_that_always_carry_alike_are_one_slot():
    slots = read_slots(
        BLOCKS,
        [
            "net",
            "net/stage2=pre:4",
            "net/stage3.block1=pre:4",
            "net/stage3.block1-2=pre:8",
            "net/stage3=pre:8",
        ],
    )
    assert [slot.name for slot in slots] == [
        "stage2",
        "stage3.block1",
        "stage3.block2",
        "stage3.block3",
    ]
    assert slots[3].carries.tolist() == [False, False, False, False, True]
    texts = ["net", "net/stage3.block1=pre:4", "net/stage3=pre:8", "net/stage3.block2-3=pre:8"]
    assert [slot.name for slot in read_slots(BLOCKS, texts)] == [
        "stage3.block1",
        "stage3.block2+stage3.block3",
    ]


def test_a_stage_all_of_whose_blocks_carry_alike_is_named_as_a_stage():
    (slot,) = read_slots(BLOCKS, ["net", "net/stage3=pre:4", "net/stage3=inner:4"])
    assert slot.name == "stage3"
    assert slot.positions == ("", "pre", "inner")


def test_a_choice_made_once_for_the_network_is_one_slot():
    space = bind([64], [64], granularity="network", width=[4, 8])
    (slot,) = read_slots(space, ["net", "net/all=standard:4", "net/all=standard:8"])
    assert (slot.name, slot.widths) == ("network", ("", "width 4", "width 8"))


def test_stages_that_always_carry_alike_are_one_slot():
    space = bind([64], [64], width=[4, 8])
    texts = ["net", "net/stage2=standard:4/stage3=standard:8", "net/all=standard:8"]
    (slot,) = read_slots(space, texts)
    assert slot.name == "stage2+stage3"
    assert slot.widths == ("", "width 4/8", "width 8")
    assert slot.levels[0] != slot.levels[1] != slot.levels[2]


def test_one_ratio_has_one_name_whatever_the_channels_of_stage_and_position():
    space = bind([32], [64, 128], integration=["standard", "inner"], reduction=[4, 16])
    texts = [
        *("net", "net/stage2=standard:8/stage3=inner:r4", "net/stage2=standard:2"),
        *("net/stage2=inner:2/stage3=standard:r16", "net/stage2=inner:1/stage3=inner:r16"),
    ]
    first, second = read_slots(space, texts)
    assert first.widths == ("", "r = 4", "r = 16", "r = 4", "r = 8")  # 8 channels / 16 is 1
    assert second.widths == ("", "r = 4", "", "r = 16", "r = 16")


def test_a_variant_without_a_width_is_told_from_the_usual_block():
    space = bind([64], reduction=[4, 8], kind=["se", "eca"])
    texts = ["net", "net/all=standard:16", "net/all=standard:8", "net/all=standard:eca"]
    (slot,) = read_slots(space, texts)
    assert slot.variants == ("", "se", "se", "eca")
    assert slot.widths == ("", "r = 4", "r = 8", "none")
    assert list(slot.attributes()) == ["width", "variant"]


def test_options_of_a_block_are_part_of_its_variant():
    space = bind([64], reduction=[4], squeeze=["avg", "max"], bias=[False, True])
    (slot,) = read_slots(space, ["net", "net/all=standard:16", "net/all=standard:16+max+bias"])
    assert slot.variants == ("", "se", "se+max+bias")


def test_candidates_that_do_not_differ_have_no_slots():
    assert read_slots(BLOCKS, ["net/stage2=pre:4"]) == []
    assert read_slots(BLOCKS, []) == []


def test_what_is_not_of_the_space_is_refused():
    with pytest.raises(CandidateError, match="not SITE=BLOCK"):
        read_slots(BLOCKS, ["net/x"])
    with pytest.raises(SpaceError, match="net/stage2=pre:5 is not in the space"):
        read_slots(BLOCKS, ["net/stage2=pre:5"])


@given(st.sets(st.integers(0, BLOCKS.size - 1), min_size=1, max_size=12))
@settings(max_examples=60)
def test_slots_tell_all_candidates_apart_and_say_where_each_carries_se(numbers):
    candidates = [BLOCKS.candidate_at(number) for number in sorted(numbers)]
    slots = read_slots(BLOCKS, [str(candidate) for candidate in candidates])
    rows = {tuple(int(slot.levels[row]) for slot in slots) for row in range(len(candidates))}
    assert len(rows) == len(candidates)
    for slot in slots:
        stage = int(slot.name[5])
        for candidate, carries in zip(candidates, slot.carries, strict=True):
            blocks = [
                block
                for site, block in zip(BLOCKS.backbone.sites, candidate.blocks, strict=True)
                if site.name in slot.name or (site.stage == stage and "." not in slot.name)
            ]
            assert {block is not None for block in blocks} >= {bool(carries)}
