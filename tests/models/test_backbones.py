"""Backbones, their sites and the SE block."""

import subprocess
import sys

import pytest
import torch
from torch import nn
from torchvision.models import get_model_weights

from se_search.backbone import FeatureMap
from se_search.candidate import SE, Candidate
from se_search.errors import BackboneError
from se_search.models.backbones import construct
from se_search.models.catalogue import backbone_in_channels, default_shape, describe_backbone
from se_search.models.feature_maps import measure_sites
from se_search.models.names import RESNET_NAMES
from se_search.models.profile import profile
from se_search.models.sites import locate_sites
from se_search.models.squeeze_excite import SqueezeExcite


def described(name):
    return describe_backbone(name, *default_shape(name))


@pytest.mark.parametrize("name", RESNET_NAMES)
def test_parameters_are_those_that_torchvision_publishes(name):
    published = next(iter(get_model_weights(name))).meta["num_params"]
    assert sum(part.params for part in described(name).parts) == published


@pytest.mark.parametrize(
    ("name", "total"),  # fvcore 0.1.5 by itself, on timm's and torchvision's networks at 224 pixels
    [
        ("resnet18", 1_819_065_856),
        ("resnet34", 3_671_262_720),
        ("resnet50", 4_111_512_576),
        ("resnet101", 7_833_969_664),
        ("resnet152", 11_558_835_200),
        ("resnext50_32x4d", 4_259_381_248),
    ],
)
def test_multiply_adds_of_plain_networks_are_the_known_ones(name, total):
    assert sum(sum(part.macs.values()) for part in described(name).parts) == total


@pytest.mark.parametrize(
    ("name", "conv_and_linear"),
    [
        ("resnet18", 1_814_073_344),
        ("resnet34", 3_663_761_408),
        ("resnet50", 4_089_184_256),
        ("resnet101", 7_801_405_440),
        ("resnet152", 11_513_626_624),
        ("resnext50_32x4d", 4_230_479_872),
    ],
)
def test_convolutions_and_linear_layers_count_as_known(name, conv_and_linear):
    parts = described(name).parts
    counted = sum(part.macs.get(op, 0) for part in parts for op in ("conv", "linear"))
    assert counted == conv_and_linear


def test_the_catalogue_says_what_was_not_counted():
    assert described("resnet50").uncounted == ("add_", "max_pool2d")
    assert described("resnet20_bottleneck").uncounted == ("add_",)


@pytest.mark.parametrize("name", ["resnet20_bottleneck", "resnet18"])
def test_the_shipped_catalogue_is_what_a_fresh_profile_says(name):
    assert described(name) == profile(name, *default_shape(name))


def test_a_backbone_at_another_size_is_measured():
    backbone = describe_backbone("resnet20_bottleneck", 3, 32, 100)
    assert backbone.sites[0].feature_maps["pre"] == FeatureMap(8, 16 * 16)
    assert backbone.parts[-1].params == 256 * 100 + 100


def test_profiling_leaves_the_global_random_state_alone():
    before = torch.get_rng_state()
    profile("resnet20_bottleneck", 1, 28, 10)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_default_keeps_the_proportions_of_resnet50():
    backbone = described("resnet20_bottleneck")
    params = sum(part.params for part in backbone.parts)
    channels = [site.feature_maps["standard"].channels for site in backbone.sites]
    assert channels == [32, 64, 64, 128, 128, 256]
    added = [c * c // 8 for c in channels]  # eq. 5 at r = 16
    assert round(100 * sum(added) / params, 1) == 8.8
    assert round(100 * sum(added[:-1]) / params, 1) == 3.4
    with_bias = [a + c + c // 16 for a, c in zip(added, channels, strict=True)]
    assert round(100 * sum(with_bias) / params, 1) == 9.3
    assert round(100 * sum(with_bias[:-1]) / params, 1) == 3.7


def test_sites_of_resnet50_are_those_of_the_papers_table_1():
    sites = described("resnet50").sites
    assert [sum(site.stage == stage for site in sites) for stage in (2, 3, 4, 5)] == [3, 4, 6, 3]
    assert [(site.stage, site.block) for site in sites[:4]] == [(2, 1), (2, 2), (2, 3), (3, 1)]
    for site in sites:
        side = {2: 56, 3: 28, 4: 14, 5: 7}[site.stage]
        channels = {2: 256, 3: 512, 4: 1024, 5: 2048}[site.stage]
        for integration in ("standard", "post", "identity"):
            assert site.feature_maps[integration] == FeatureMap(channels, side * side)
        assert site.feature_maps["inner"] == FeatureMap(channels // 4, side * side)
        if site.block > 1:
            assert site.feature_maps["pre"] == FeatureMap(channels, side * side)
    assert sites[0].feature_maps["pre"] == FeatureMap(64, 56 * 56)
    assert sites[3].feature_maps["pre"] == FeatureMap(256, 56 * 56)


def test_the_inner_site_of_a_wide_network_has_the_wide_channels():
    assert described("wide_resnet50_2").sites[0].feature_maps["inner"].channels == 128


def test_measuring_leaves_no_hooks_behind():
    model = construct("resnet20_bottleneck", 1, 10, seed=0).eval()
    measure_sites(model, 1, 28)
    assert not any(module._forward_hooks for module in model.modules())


def test_a_network_without_residual_blocks_has_no_sites():
    with pytest.raises(BackboneError, match=r"Sequential has no known sites .*BasicBlock"):
        locate_sites(nn.Sequential(nn.Conv2d(3, 8, 3)))


def test_an_unknown_backbone_is_named_with_the_nearest_one():
    with pytest.raises(BackboneError, match=r"'resnet20b' \(did you mean resnet\w+\?\)"):
        describe_backbone("resnet20b", 3, 224, 1000)
    with pytest.raises(BackboneError, match=r"'resent50' \(did you mean resnet50\?\).*resnet152"):
        describe_backbone("resent50", 3, 224, 1000)
    with pytest.raises(BackboneError, match="vgg"):
        construct("vgg", 3, 10, seed=0)


def test_torchvision_networks_refuse_grey_images():
    with pytest.raises(BackboneError, match="resnet18 takes images of 3 channels, not 1"):
        describe_backbone("resnet18", 1, 224, 1000)
    with pytest.raises(BackboneError, match="resnet18 takes images of 3 channels, not 1"):
        construct("resnet18", 1, 10, seed=0)


def test_sizes_are_positive():
    with pytest.raises(BackboneError, match="image size 0 is not a positive integer"):
        describe_backbone("resnet20_bottleneck", 1, 0, 10)
    with pytest.raises(BackboneError, match="number of classes 0 is not a positive integer"):
        describe_backbone("resnet20_bottleneck", 1, 28, 0)


def test_sizes_that_no_memory_holds_are_refused():
    with pytest.raises(BackboneError, match="image size 1000000 is above 8,192"):
        describe_backbone("resnet20_bottleneck", 1, 1_000_000, 10)
    with pytest.raises(BackboneError, match="image size 1000000 is above 8,192"):
        backbone_in_channels("net:make", 1, 1_000_000, allow_code=True)
    with pytest.raises(BackboneError, match=f"number of classes {10**20} is above 1,000,000"):
        describe_backbone("resnet20_bottleneck", 1, 28, 10**20)


def test_only_torchvision_networks_want_grey_images_repeated():
    assert backbone_in_channels("resnet50", 1) == 3
    assert backbone_in_channels("resnet20_bottleneck", 1) == 1
    assert backbone_in_channels("resnet20_bottleneck", 3) == 3


def test_describing_and_costing_import_no_torch():
    code = (
        "import sys; from se_search.models.catalogue import describe_backbone; "
        "from se_search.candidate import Candidate; from se_search.cost import count_cost; "
        "count_cost(Candidate.plain(describe_backbone('resnet50', 3, 224, 1000))); "
        "assert not {'torch', 'torchvision', 'fvcore'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("squeeze", ["avg", "max"])
@pytest.mark.parametrize("gate", ["sigmoid", "hard_sigmoid", "tanh", "relu"])
@pytest.mark.parametrize("bias", [False, True])
def test_the_block_computes_the_papers_equations(squeeze, gate, bias):
    torch.manual_seed(0)
    block = SqueezeExcite(SE("standard", 3, squeeze, gate, bias), 6).double()
    x = torch.randn(2, 6, 4, 5, dtype=torch.float64)
    sigma = {
        "sigmoid": lambda a: 1 / (1 + (-a).exp()),
        "hard_sigmoid": lambda a: ((a + 3) / 6).clamp(0, 1),
        "tanh": lambda a: 1 - 2 / ((2 * a).exp() + 1),
        "relu": lambda a: a.clamp(min=0),
    }[gate]
    expected = torch.empty_like(x)
    for image in range(2):
        flat = x[image].flatten(1)
        z = flat.sum(1) / 20 if squeeze == "avg" else flat.max(1).values
        b1, b2 = (block.reduce.bias, block.expand.bias) if bias else (0, 0)
        s = sigma(block.expand.weight @ (block.reduce.weight @ z + b1).clamp(min=0) + b2)
        for channel in range(6):
            expected[image, channel] = x[image, channel] * s[channel]
    torch.testing.assert_close(block(x), expected)


def test_the_plain_candidate_of_a_description_fits_its_network():
    backbone = described("resnet34")
    located = locate_sites(construct("resnet34", 3, 10, seed=0))
    assert [site.name for site in located] == [site.name for site in backbone.sites]
    assert len(Candidate.plain(backbone).blocks) == len(located)
