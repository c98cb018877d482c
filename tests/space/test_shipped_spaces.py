"""The spaces that come with the package: their sizes, and what they hold."""

import dataclasses
from pathlib import Path

import pytest
from support.networks import make_backbone, with_sites
from support.spaces import bind, described

from se_search.candidate import Candidate
from se_search.cost import count_cost
from se_search.errors import SpaceError
from se_search.space.bound import BoundSpace
from se_search.space.schema import read_space, space_names, space_schema

SPACES = Path(__file__).parents[2] / "search_spaces"
NUM_SITES = {  # He et al. 2016, table 1; the ResNeXts and wide ResNets have the same blocks
    "resnet20_bottleneck": 6,
    "resnet18": 8,
    "resnet34": 16,
    "resnet50": 16,
    "resnet101": 33,
    "resnet152": 50,
    "resnext50_32x4d": 16,
    "resnext101_32x8d": 33,
    "resnext101_64x4d": 33,
    "wide_resnet50_2": 16,
    "wide_resnet101_2": 33,
}


def test_the_shipped_spaces_are_the_files_of_the_folder():
    assert space_names() == sorted(path.stem for path in SPACES.glob("*.yaml"))
    assert len(space_names()) == 11


@pytest.mark.parametrize("backbone", NUM_SITES)
def test_the_shipped_spaces_have_the_sizes_that_their_choices_multiply_to(backbone):
    names = [name for name in space_names() if name != "native"]
    sizes = {name: BoundSpace(read_space(name), described(backbone)).size for name in names}
    assert sizes == {
        "stages": 2**4,
        "stages_ratio": 5**4,
        "reduction": 1 + 5,
        "integration": 1 + 5,
        "squeeze": 1 + 5,
        "gate": 1 + 4,
        "variants": 1 + 4,
        "blocks": 2 ** NUM_SITES[backbone],
        "fc_width": 7**4,
        # r = 4 on 2 channels is r = 2 on them, and so on: stage 2 has 5 + 5 + 5 + 3 + 3 blocks
        # (pre and inner on 8 channels), stage 3 has one less (inner on 16), stages 4 and 5 all 25.
        "full": 22 * 25 * 26**2 if backbone == "resnet20_bottleneck" else 26**4,
    }


@pytest.mark.parametrize(
    ("name", "size"),
    [("stages", 16), ("stages_ratio", 625), ("reduction", 6), ("integration", 6), ("blocks", 64)],
)
def test_the_shipped_spaces_list_as_many_candidates_as_they_count(name, size):
    assert len(set(BoundSpace(read_space(name), described("resnet20_bottleneck")))) == size


def test_the_raw_points_of_the_full_space_repeat_networks_of_the_default_backbone():
    assert BoundSpace(read_space("full"), described("resnet20_bottleneck")).raw_size == 26**4


def test_stages_on_resnet50_holds_se_everywhere_and_se_without_the_last_stage():
    added = {
        count_cost(candidate).added_params: str(candidate)
        for candidate in BoundSpace(read_space("stages"), described("resnet50"))
    }
    everywhere = "resnet50/stage2=standard:16/stage3=standard:32/stage4=standard:64"
    assert added[2_514_944] == f"{everywhere}/stage5=standard:128"  # Hu et al. 2019, sec. 4
    assert added[942_080] == everywhere


def test_native_asks_of_each_se_block_that_a_network_came_with_whether_it_is_needed():
    sites = make_backbone([8], [16, 16], [32]).sites
    some = with_sites([sites[0], dataclasses.replace(sites[1], native=None), *sites[2:]])
    bound = BoundSpace(read_space("native"), some)
    assert bound.size == 2**3
    assert str(bound.candidate_at(7)) == (
        "tiny/stage2=native:2/stage3.block2=native:4/stage4=native:8"
    )
    assert bound.candidate_at(0) == Candidate.plain(some)


def test_native_does_not_fit_a_network_that_came_without_se():
    with pytest.raises(SpaceError, match="does not fit resnet50: it came without SE"):
        BoundSpace(read_space("native"), described("resnet50"))


def test_a_multiple_of_8_makes_the_seresnet18_of_timm_and_the_whole_part_its_legacy_one():
    params = {}
    for rounding in ("floor", "multiple_of_8"):
        choices = {"reduction": [16], "none": True}
        block = {"rounding": rounding, "bias": True}
        bound = bind(described("resnet18"), granularity="network", choices=choices, block=block)
        params[rounding] = count_cost(bound.candidate_at(1)).params
    assert params == {"floor": 11_778_592, "multiple_of_8": 11_779_624}


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("squeeze", ["", "+max", "+avgmax", "+std", "+none"]),
        ("gate", ["", "+hard_sigmoid", "+tanh", "+relu"]),
    ],
)
def test_a_space_of_modifiers_is_the_usual_block_and_each_modified_one(name, texts):
    backbone = described("resnet50")
    everywhere = [f"resnet50/all=standard:r16{text}" for text in texts]
    assert list(BoundSpace(read_space(name), backbone)) == [
        Candidate.parse(text, backbone) for text in ["resnet50", *everywhere]
    ]


def test_the_variants_of_se_are_one_network_each_whatever_the_reductions():
    backbone = described("resnet50")
    choices = {"kind": ["se", "ese", "eca", "ge"], "reduction": [4, 16]}
    bound = bind(backbone, granularity="network", choices=choices)
    assert (bound.raw_size, bound.size) == (1 + 4 * 2, 1 + 2 + 3)
    everywhere = [f"resnet50/all=standard:{what}" for what in ("r16", "ese", "eca", "ge")]
    assert list(BoundSpace(read_space("variants"), backbone)) == [
        Candidate.parse(text, backbone) for text in ["resnet50", *everywhere]
    ]


@pytest.mark.parametrize("name", ["stages", "reduction", "integration", "blocks", "fc_width"])
def test_the_plain_backbone_is_the_first_candidate_of_a_shipped_space(name):
    bound = BoundSpace(read_space(name), described("resnet50"))
    assert bound.candidate_at(0) == Candidate.plain(bound.backbone)


def test_the_schema_for_editors_is_up_to_date():
    assert (SPACES / "schema.json").read_text(encoding="utf-8") == space_schema()


@pytest.mark.parametrize("path", sorted(SPACES.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_space_names_its_schema_and_describes_itself(path):
    first, second = path.read_text(encoding="utf-8").splitlines()[:2]
    assert first == "# yaml-language-server: $schema=schema.json"
    assert second.startswith("description: ")
