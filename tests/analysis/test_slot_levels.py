"""The levels of slots are named by what they have in common, and go together by these names."""

from support.networks import bind

from se_search.analysis.slot_levels import read_slot_levels


def test_levels_with_se_form_a_group_and_those_of_each_width_another():
    (slot,) = read_slot_levels(bind([64], width=[4, 8, 16]))
    assert slot.name == "stage2"
    assert [(group.kind, group.name, group.codes.tolist()) for group in slot.groups()] == [
        ("slot", "any SE", [1, 2, 3]),
        ("width", "width 4", [1]),
        ("width", "width 8", [2]),
        ("width", "width 16", [3]),
    ]


def test_what_all_levels_have_in_common_is_no_group():
    (slot,) = read_slot_levels(bind([64], reduction=[16]))
    assert [group.name for group in slot.groups()] == ["any SE"]


def test_a_slot_that_always_carries_se_has_no_group_of_any_se():
    (slot,) = read_slot_levels(bind([64], integration=["pre", "post"], width=[4], none=False))
    assert slot.empty is None
    assert [group.name for group in slot.groups()] == ["post", "pre"]


def test_one_ratio_has_one_name_whatever_the_channels_of_stage_and_position():
    space = bind([32], [64, 128], integration=["standard", "inner"], reduction=[4, 16])
    first, second = read_slot_levels(space)
    # 8 channels / 16 is width 1, which is r = 8 there.
    assert first.names["width"] == ("", "r = 4", "r = 16", "r = 4", "r = 8")
    assert second.names["width"] == ("", "r = 4", "r = 16", "r = 4", "r = 16")


def test_a_variant_without_a_width_is_told_from_the_usual_block():
    (slot,) = read_slot_levels(bind([64], reduction=[4, 8], kind=["se", "eca"]))
    assert set(slot.names["variant"]) == {"", "se", "eca"}
    eca = slot.names["variant"].index("eca")
    assert slot.names["width"][eca] == "none"
    assert {group.kind for group in slot.groups()} == {"slot", "width", "variant"}


def test_options_of_a_block_are_part_of_its_variant():
    (slot,) = read_slot_levels(
        bind([64], reduction=[4], squeeze=["avg", "max"], bias=[False, True])
    )
    assert sorted(slot.names["variant"]) == ["", "se", "se+bias", "se+max", "se+max+bias"]


def test_a_choice_made_once_for_the_network_is_one_slot():
    (slot,) = read_slot_levels(bind([64], [64], granularity="network", width=[4, 8]))
    assert (slot.name, slot.names["width"]) == ("network", ("", "width 4", "width 8"))
