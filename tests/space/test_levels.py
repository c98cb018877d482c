"""Levels are described by the attributes that tell blocks apart."""

from hypothesis import given, settings
from support.networks import make_backbone
from support.spaces import bind, bound_spaces

from se_search.surrogate.features import Factors


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
