"""SE everywhere, in the width nearest to r = 16 that a space offers."""

import pytest
from support.networks import make_backbone
from support.spaces import bind

from se_search.candidate import Candidate
from se_search.space.everywhere import nearest_everywhere

BACKBONE = make_backbone([64], [64, 256], [512])


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        ({"reduction": [4, 16, 32]}, "all=standard:r16"),
        ({"reduction": [4, 8]}, "all=standard:r8"),
        ({"reduction": [32, 8]}, "all=standard:r32"),  # as far as r = 8, and listed first
        ({"none": False, "reduction": [2, 64]}, "all=standard:r64"),
        ({"width": [4, 16, 64]}, "stage2=standard:4/stage3=standard:4/stage4=standard:16"),
        ({"integration": ["pre", "standard"], "reduction": [16, 8]}, "all=pre:r16"),
        ({"kind": ["eca", "se"], "reduction": [16]}, "all=standard:r16"),
        ({"kind": ["eca", "ge"]}, "all=standard:eca"),
        ({"reduction": [16], "gate": ["tanh", "sigmoid"]}, "all=standard:r16+tanh"),
    ],
)
def test_every_site_carries_se_with_the_first_of_all_other_choices(choices, expected):
    space = bind(BACKBONE, choices=choices)
    found = nearest_everywhere(space)
    assert found == Candidate.parse(expected, BACKBONE)
    assert found in space


def test_a_width_that_all_slots_share_is_the_nearest_on_the_whole():
    """On 64, 64 and 256 and on 512 channels r = 16 is 4, 4, 16 and 32: 8 is 3 powers of two off."""
    space = bind(BACKBONE, choices={"width": [1, 8, 64]}, shared=["width"])
    assert nearest_everywhere(space) == Candidate.parse("all=standard:8", BACKBONE)


def test_only_the_sites_of_the_space_carry_se():
    space = bind(BACKBONE, sites=["stage4"], choices={"reduction": [16, 8]})
    assert nearest_everywhere(space) == Candidate.parse("stage4=standard:r16", BACKBONE)
