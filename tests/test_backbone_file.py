"""A backbone's description as plain data, there and back."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.networks import backbones, make_backbone

from se_search.backbone_file import backbone_from_json, backbone_to_json
from se_search.errors import BackboneError
from se_search.models.catalogue import describe_backbone

POINTS = st.tuples(st.sampled_from(["", "layer1.0", "features.3.conv"]), st.just("after"))


@st.composite
def any_backbones(draw):
    """Draw backbones with and without native blocks, uncounted operators and named sites."""
    backbone = draw(backbones())
    attach = None
    if draw(st.booleans()):
        attach = tuple(
            {integration: draw(POINTS) for integration in site.feature_maps}
            for site in backbone.sites
        )
    uncounted = tuple(draw(st.lists(st.sampled_from(["add_", "mul", "silu_"]), unique=True)))
    return replace(backbone, uncounted=uncounted, attach=attach)


@given(any_backbones())
def test_a_backbone_is_read_back_equal_after_json(backbone):
    row = json.loads(json.dumps(backbone_to_json(backbone)))
    assert backbone_from_json(row) == backbone


@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v3_small"])
def test_a_described_network_is_read_back_equal(name):
    backbone = describe_backbone(name, 3, 224, 1000)
    assert backbone_from_json(json.loads(json.dumps(backbone_to_json(backbone)))) == backbone


def test_a_file_never_allows_the_users_code_to_be_run():
    backbone = replace(make_backbone([8]), allow_code=True)
    row = backbone_to_json(backbone)
    assert backbone_from_json(row | {"allow_code": True}).allow_code is False
    assert backbone_from_json(row, allow_code=True) == backbone


@pytest.mark.parametrize(
    "change",
    [
        {"sites": {"layer1": {}}},
        {"sites": {"stage2.block1": {"standard": [8]}}},
        {"sites": []},
        {"parts": {"stem": 3}},
        {"name": None, "uncounted": None},
    ],
)
def test_other_data_is_refused(change):
    row = backbone_to_json(make_backbone([8]))
    with pytest.raises(BackboneError, match="no description of a backbone"):
        backbone_from_json(row | change)
    with pytest.raises(BackboneError, match="'name'"):
        backbone_from_json({})


def test_reading_a_backbone_imports_no_torch():
    code = "import sys, se_search.backbone_file; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_operators_of_a_networks_own_se_block_are_read_back():
    backbone = describe_backbone("mobilenet_v3_small", 3, 224, 1000)
    first, *others = backbone.sites
    first = replace(first, native=replace(first.native, uncounted=("silu",)))
    changed = replace(backbone, sites=(first, *others))
    row = json.loads(json.dumps(backbone_to_json(changed)))
    assert backbone_from_json(row).sites[0].native.uncounted == ("silu",)
