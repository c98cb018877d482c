"""Sites are grouped by the granularity, and spaces that do not fit a backbone are refused."""

import dataclasses

import pytest
from support.networks import make_backbone, with_sites
from support.spaces import TINY, bind

from se_search.backbone import FeatureMap, Site
from se_search.errors import SpaceError


def test_every_block_of_a_slot_carries_the_same_choice():
    bound = bind(TINY, granularity="stage", sites=["stage3"], choices={"width": [2]})
    assert [str(candidate) for candidate in bound] == ["tiny", "tiny/stage3=standard:2"]


def test_a_site_that_two_names_list_is_searched_once():
    bound = bind(TINY, sites=["stage3", "stage3.block1", "stage3"], choices={"width": [2]})
    assert bound.size == 2


def test_an_original_width_is_of_a_site_that_came_with_se():
    sites = make_backbone([8], [16]).sites
    backbone = with_sites([sites[0], dataclasses.replace(sites[1], native=None)])
    choices = {"integration": ["standard", "native"], "width": ["original", 2]}
    with pytest.raises(SpaceError, match=r"tiny: stage3.block1 came without an SE block.*original"):
        bind(backbone, choices=choices | {"width": ["original"]})
    bound = bind(backbone, sites="native", choices=choices)  # the original width is 2 itself
    assert [str(candidate) for candidate in bound] == [
        "tiny",
        "tiny/stage2=standard:2",
        "tiny/stage2=native:2",
    ]


def test_se_is_removed_where_a_network_has_it_and_added_where_it_has_none():
    own, other = make_backbone([8], [16]).sites
    own = dataclasses.replace(own, feature_maps={"native": own.feature_maps["native"]})
    maps = {name: size for name, size in other.feature_maps.items() if name != "native"}
    backbone = with_sites([own, dataclasses.replace(other, feature_maps=maps, native=None)])
    choices = {"integration": ["native", "standard"], "width": ["original", 3]}
    bound = bind(backbone, granularity="block", choices=choices)
    width = own.native.width
    assert {str(candidate) for candidate in bound} == {
        "tiny",
        f"tiny/stage2=native:{width}",
        "tiny/stage2=native:3",
        "tiny/stage3=standard:3",
        f"tiny/stage2=native:{width}/stage3=standard:3",
        "tiny/stage2=native:3/stage3=standard:3",
    }
    assert [bound.choose(lambda parameter: parameter.choices[-1])] == [
        bound.parse("tiny/stage2=native:3/stage3=standard:3")
    ]
    with pytest.raises(SpaceError, match=r"stage3\.block1 has no integration 'native'"):
        bind(backbone, choices={"integration": ["native"], "width": [3]})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"sites": ["stage9"]}, "does not fit tiny: .*'stage9'; it has stage2, stage3, stage4"),
        ({"sites": ["stage2", "stage3.block7"]}, "does not fit tiny: .*'stage3.block7'"),
        ({"sites": []}, "sites: the list is empty"),
        (
            {"choices": {"width": [2], "none": False}},
            "leaves nothing to choose on tiny: its only candidate is tiny/",
        ),
        # All of these are a width of 1 on 8 channels.
        (
            {"choices": {"reduction": [8, 16, 32], "none": False}, "sites": ["stage2"]},
            "leaves nothing to choose on tiny",
        ),
    ],
)
def test_a_space_that_does_not_fit_its_backbone_is_refused(fields, message):
    with pytest.raises(SpaceError, match=message):
        bind(TINY, **({"choices": {"width": [2]}} | fields))


def test_an_integration_that_a_searched_site_has_not_is_refused():
    maps = {"pre": FeatureMap(8, 9)}
    backbone = with_sites([Site(2, 1, maps), Site(2, 2, maps | {"post": FeatureMap(8, 9)})])
    choices = {"integration": ["pre", "post"], "width": [2]}
    with pytest.raises(SpaceError, match=r"stage2.block1 has no integration 'post' \(it has pre\)"):
        bind(backbone, choices=choices)
    assert bind(backbone, sites=["stage2.block2"], choices=choices).size == 3
