"""The SE paper's plain networks that torchvision lacks."""

import copy
import itertools
from functools import cache

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  (as everybody calls it)
from torchvision.models.resnet import BasicBlock, Bottleneck, resnet50

from se_search.candidate import Candidate
from se_search.cost import count_cost
from se_search.models.backbones import BACKBONES
from se_search.models.cifar_nets import (
    CIFAR_NETS,
    PadShortcut,
    PreActivationUnit,
    RandomMix,
    ShakeShakeUnit,
    ShiftedShortcut,
    basic_branch,
    bottleneck_branch,
)
from se_search.models.inception import INCEPTION_NETS, InceptionModule
from se_search.models.mobilenet import MOBILENETS, SeparableUnit
from se_search.models.paper_resnets import PAPER_RESNETS
from se_search.models.profile import profile
from se_search.models.shufflenet import SHUFFLENETS, ChannelShuffle, ShuffleUnit
from se_search.models.surgery import build
from se_search.models.trace import FlopCountAnalysis, trace_cost

IMAGENET = PAPER_RESNETS | INCEPTION_NETS | SHUFFLENETS
NETWORKS = IMAGENET | CIFAR_NETS | MOBILENETS
DEEP = {"resnet101_v1", "resnet152_v1", "resnext101_32x4d", "senet154", "shake_shake_26_2x96d"}
UNITS = (
    *(BasicBlock, Bottleneck, PreActivationUnit, ShakeShakeUnit, ShuffleUnit, InceptionModule),
    SeparableUnit,
)


def at_its_papers_size(name):
    """A network, and an image, on a device that stores and computes nothing."""
    size, num_classes = (224, 1000) if name in IMAGENET else (32, 10)
    with torch.device("meta"):
        return NETWORKS[name](3, num_classes).eval(), torch.zeros(1, 3, size, size)


def count_params(name):
    return sum(parameter.numel() for parameter in at_its_papers_size(name)[0].parameters())


@cache
def count_macs(name):
    """Multiply-adds by operator."""
    model, image = at_its_papers_size(name)
    model.to_empty(device="cpu")  # fvcore can't trace on the meta device
    for tensor in model.state_dict().values():
        tensor.zero_()
    analysis = FlopCountAnalysis(model, torch.zeros(image.shape))
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    with torch.no_grad():
        return analysis.tracer_warnings("none").by_operator()


@cache
def output_shapes(name):
    """Channels, height and width out of each unit, by stage."""
    model, image = at_its_papers_size(name)
    stages = {}
    for stage, layer in model.named_children():
        if not stage.startswith("layer"):
            continue
        for unit in layer:
            assert isinstance(unit, UNITS)
            unit.register_forward_hook(
                lambda unit, inputs, output, stage=stage: stages.setdefault(stage, []).append(
                    tuple(output.shape[1:])
                )
            )
    model(image)
    return stages


def with_random_norms(module, seed=0):
    """Give batch norms, which start as the identity, statistics and weights that show."""
    generator = torch.Generator().manual_seed(seed)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for tensor, low, high in (
                (norm.running_mean, -0.5, 0.5),
                (norm.running_var, 0.5, 1.5),
                (norm.weight.data, 0.5, 1.5),
                (norm.bias.data, -0.5, 0.5),
            ):
                tensor.uniform_(low, high, generator=generator)
    return module.double().eval()


@pytest.mark.parametrize(
    ("name", "params"),
    [
        # timm 1.0.31 counts the networks with SE of these; their SE weights with biases are
        # sum N (2 C C/16 + C + C/16). The v1 forms differ from torchvision's in strides only.
        ("resnet50_v1", 25_557_032),
        ("resnet101_v1", 44_549_160),
        ("resnet152_v1", 60_192_808),
        ("resnext101_32x4d", 44_177_704),
        ("senet154", 115_088_984 - 6_629_040),
        # He et al. 2016a, table 6: 0.27, 0.85 and 1.7 million
        ("cifar_resnet20", 269_722),
        ("cifar_resnet56", 853_018),
        ("cifar_resnet110", 1_727_962),
    ],
)
def test_parameters_are_the_known_ones(name, params):
    assert count_params(name) == params


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("preact_resnet110", 1.7),  # He et al. 2016b, table 4
        ("preact_resnet164", 1.7),  # He et al. 2016b, table 4
        ("wrn_16_8", 11.0),  # Zagoruyko & Komodakis 2016, table 4
        ("shake_shake_26_2x96d", 26.2),  # Gastaldi 2017, table 3
        ("bn_inception", 11.3),  # its figure 5, summed by hand
    ],
)
def test_parameters_round_to_what_the_paper_says(name, millions):
    assert round(count_params(name) / 1e6, 1) == millions


def test_multiply_adds_of_resnet50_v1_are_the_known_ones():
    macs = count_macs("resnet50_v1")
    assert macs["conv"] + macs["linear"] == 3_857_973_248
    assert sum(macs.values()) == 3_879_247_872


def test_multiply_adds_of_senet154_are_timms_without_the_se_layers():
    macs = count_macs("senet154")
    assert macs["conv"] + macs["linear"] == 20_688_363_520 - 6_578_176
    assert sum(macs.values()) == 20_765_734_912 - 6_578_176


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("resnet50_v1", 3.86),
        ("resnet101_v1", 7.58),
        ("resnet152_v1", 11.30),
        ("bn_inception", 2.03),
    ],
)
def test_multiply_adds_round_to_table_2_of_the_se_paper(name, billions):
    """The paper does not say what it counts: convolutions, linear layers and the additions fit.

    They fit ResNeXt-50 too (4.24), but ResNeXt-101 has 7.98 where the paper has 7.99.
    """
    macs = count_macs(name)
    shapes = [shape for stage in output_shapes(name).values() for shape in stage]
    additions = 0 if name == "bn_inception" else sum(c * h * w for c, h, w in shapes)
    assert round((macs["conv"] + macs["linear"] + additions) / 1e9, 2) == billions


def test_shufflenet_is_as_large_as_table_3_of_the_se_paper_says():
    """140 million multiply-adds, 1.8 million parameters, 2.4 with SE: both rounded down."""
    params, macs = count_params("shufflenet_v1_g3"), count_macs("shufflenet_v1_g3")
    assert round((macs["conv"] + macs["linear"]) / 1e7) == 14
    assert int(params / 1e5) == 18
    added = [units * 2 * c * (c // 16) for units, c in shufflenet_branches()]
    assert int((params + sum(added)) / 1e5) == 24


def test_mobilenet_small_is_as_large_as_its_layers_of_table_1_of_howard_et_al():
    """A unit has 9 weights a channel in, one for each pair of channels, and two batch norms."""
    widths = [8, 16, 32, 64, 128, 128, 256, 256]
    units = [9 * a + 2 * a + a * b + 2 * b for a, b in itertools.pairwise(widths)]
    stem, head = 3 * 9 * 8 + 2 * 8, 256 * 10 + 10
    assert count_params("mobilenet_small") == stem + sum(units) + head


def shufflenet_branches():
    """How many units have branches of how many channels: the first of a stage has fewer."""
    for before, channels, units in ((24, 240, 4), (240, 480, 8), (480, 960, 4)):
        yield 1, channels - before
        yield units - 1, channels


@pytest.mark.parametrize(
    ("name", "by_stage"),  # sum 2 C C/16 over the blocks, eq. 5 without biases
    [
        ("resnet50_v1", [24_576, 131_072, 786_432, 1_572_864]),
        ("resnet101_v1", [24_576, 131_072, 3_014_656, 1_572_864]),
        ("resnet152_v1", [24_576, 262_144, 4_718_592, 1_572_864]),
        ("cifar_resnet20", [96, 384, 1_536]),
        ("senet154", [24_576, 262_144, 4_718_592, 1_572_864]),
    ],
)
def test_se_weights_by_stage_are_the_known_ones(name, by_stage):
    assert se_weights(name) == by_stage


@pytest.mark.parametrize(
    ("name", "total"),
    [
        ("cifar_resnet56", 6_048),
        ("cifar_resnet110", 12_096),
        ("preact_resnet110", 12_096),
        ("preact_resnet164", 193_536),
        ("wrn_16_8", 86_016),
        ("resnext101_32x4d", 4_743_168),
    ],
)
def test_se_weights_are_the_known_ones(name, total):
    assert sum(se_weights(name)) == total


def se_weights(name):
    stages = output_shapes(name).values()
    return [sum(2 * c * (c // 16) for c, _, _ in shapes) for shapes in stages]


def test_squeeze_widths_of_bn_inception_are_those_of_the_caffe_model():
    stages = output_shapes("bn_inception")
    widths = {stage: [c / 16 for c, _, _ in shapes] for stage, shapes in stages.items()}
    assert widths == {
        "layer1": [16, 20, 36],
        "layer2": [36, 36, 38, 38, 66],
        "layer3": [64, 64],
    }


def test_bn_inception_pools_by_maximum_where_figure_5_of_its_paper_says():
    model, _ = at_its_papers_size("bn_inception")
    maxima = [
        [any(isinstance(inner, nn.MaxPool2d) for inner in module.modules()) for module in stage]
        for stage in (model.layer1, model.layer2, model.layer3)
    ]
    assert maxima == [[False, False, True], [False] * 4 + [True], [False, True]]


@pytest.mark.parametrize("name", NETWORKS)
def test_maps_halve_from_stage_to_stage(name):
    stages = output_shapes(name)
    sides = [shapes[-1][1:] for shapes in stages.values()]
    first = {"bn_inception": 14, "shufflenet_v1_g3": 28}.get(name, 56 if name in IMAGENET else 32)
    expected = [(first // 2**number,) * 2 for number in range(len(stages))]
    if name == "bn_inception":
        expected[-1] = expected[-2]  # 4e halves, and no module after it
    assert sides == expected


@pytest.mark.parametrize("name", sorted(NETWORKS.keys() - DEEP))
@pytest.mark.parametrize("in_channels", [1, 3])
def test_a_network_learns_from_images_of_any_channels(name, in_channels):
    torch.manual_seed(0)
    model = NETWORKS[name](in_channels, 7)
    scores = model(torch.randn(2, in_channels, 32, 32))
    assert scores.shape == (2, 7)
    F.cross_entropy(scores, torch.tensor([1, 2])).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("name", sorted(NETWORKS.keys() - DEEP))
def test_evaluation_is_deterministic(name):
    torch.manual_seed(0)
    model = NETWORKS[name](3, 7).eval()
    image = torch.randn(1, 3, 33, 33)  # an odd size goes, too
    with torch.no_grad():
        assert torch.equal(model(image), model(image))


def test_v1_has_the_strides_in_the_first_convolution():
    v1 = PAPER_RESNETS["resnet50_v1"](3, 10)
    v15 = resnet50(num_classes=10)
    assert v1.state_dict().keys() == v15.state_dict().keys()
    for stage, stride in (("layer1", 1), ("layer2", 2), ("layer3", 2), ("layer4", 2)):
        block = v1.get_submodule(stage)[0]
        assert block.conv1.stride == (stride, stride)
        assert block.conv2.stride == (1, 1)
        assert v15.get_submodule(stage)[0].conv2.stride == (stride, stride)


def test_option_a_has_no_parameters_and_pads_every_second_pixel_with_zeros():
    shortcut = PadShortcut(added_channels=3, stride=2)
    x = torch.randn(2, 4, 5, 6)
    y = shortcut(x)
    assert not list(shortcut.parameters())
    assert y.shape == (2, 7, 3, 3)
    for c in range(4):
        for i in range(3):
            for j in range(3):
                assert torch.equal(y[:, c, i, j], x[:, c, 2 * i, 2 * j])
    assert not y[:, 4:].any()


def test_shuffling_deals_the_channels_of_each_group_out_to_all():
    x = torch.arange(12.0).reshape(1, 12, 1, 1)
    shuffled = ChannelShuffle(3)(x).flatten().tolist()
    assert shuffled == [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]


def test_shake_shake_mixes_anew_for_every_image_and_for_the_gradient():
    torch.manual_seed(0)
    first, second = torch.randn(2, 8, 3, 4, 4, dtype=torch.float64)
    first.requires_grad_()
    second.requires_grad_()
    mixed = RandomMix().train()((first, second))
    alpha = shares((mixed - second) / (first - second))
    outward = torch.randn_like(mixed)
    mixed.backward(outward)
    beta = shares(first.grad / outward)
    torch.testing.assert_close(first.grad + second.grad, outward)
    assert (alpha - beta).abs().min() > 1e-3


def shares(ratio):
    """The one number between 0 and 1 that holds in all of an image, another in each."""
    share = ratio.detach().flatten(1).median(1).values
    torch.testing.assert_close(ratio.detach(), share[:, None, None, None].expand_as(ratio))
    assert ((share > 0) & (share < 1)).all()
    assert len(share.unique()) == len(share)
    return share


def test_shake_shake_takes_half_of_each_in_evaluation():
    first, second = torch.randn(2, 2, 3, 4, 4)
    torch.testing.assert_close(RandomMix().eval()((first, second)), 0.5 * first + 0.5 * second)


def test_training_shake_shake_is_random_and_evaluating_it_is_not():
    torch.manual_seed(0)
    unit = ShakeShakeUnit(8, 8, 1)
    x = torch.randn(2, 8, 4, 4)
    assert not torch.equal(unit(x), unit(x))
    unit.eval()
    assert torch.equal(unit(x), unit(x))


def test_the_halves_of_a_shifted_shortcut_see_different_pixels():
    shortcut = with_random_norms(ShiftedShortcut(4, 6, 2))
    for i in range(2):
        for j in range(2):
            for half, seen in ((slice(3), (2 * i, 2 * j)), (slice(3, 6), (2 * i - 1, 2 * j - 1))):
                x = torch.rand(1, 4, 4, 4, dtype=torch.float64, requires_grad=True)
                shortcut(x)[0, half, i, j].sum().backward()
                pixels = x.grad[0].abs().sum(0).nonzero().tolist()
                assert pixels == ([] if min(seen) < 0 else [list(seen)])


class Double(nn.Module):
    """Stands in for an SE block."""

    def forward(self, x):
        return 2 * x


def doubled_at(unit, integration):
    """Return a copy of a unit that doubles what an SE block of this integration would gate."""
    path, side = unit.se_points[integration]
    unit = copy.deepcopy(unit)
    if not path:
        return nn.Sequential(unit, Double())
    wrapped = unit.get_submodule(path)
    pair = (Double(), wrapped) if side == "before" else (wrapped, Double())
    parent, _, name = path.rpartition(".")
    setattr(unit.get_submodule(parent), name, nn.Sequential(*pair))
    return unit


def pre_activation_unit(make_branch, shares_activation):
    torch.manual_seed(1)
    downsample = nn.Conv2d(8, 12, 1, 2, bias=False) if shares_activation else PadShortcut(4, 2)
    unit = PreActivationUnit(8, make_branch(8, 12, 2), downsample, shares_activation)
    return with_random_norms(unit)


@pytest.mark.parametrize("shares_activation", [False, True])
@pytest.mark.parametrize("make_branch", [basic_branch, bottleneck_branch])
@pytest.mark.parametrize("place", [None, "standard", "pre", "post", "identity", "inner"])
def test_a_pre_activation_unit_is_gated_where_it_says(place, make_branch, shares_activation):
    unit = pre_activation_unit(make_branch, shares_activation)
    x = torch.randn(2, 8, 6, 6, dtype=torch.float64)

    def at(here, y):
        return 2 * y if place == here else y

    shortcut = y = x
    if shares_activation:
        shortcut = y = F.relu(unit.bn1(x))
    y = at("pre", y)
    if not shares_activation:
        y = F.relu(unit.bn1(y))
    parts = unit.branch
    y = parts.conv1(y)
    if make_branch is bottleneck_branch:
        y = parts.conv2(F.relu(parts.bn2(y)))
        y = F.relu(parts.bn3(y))
    else:
        y = F.relu(parts.bn2(y))
    y = at("standard", parts.last(at("inner", y)))
    expected = at("post", y + at("identity", unit.downsample(shortcut)))
    gated = unit if place is None else doubled_at(unit, place)
    torch.testing.assert_close(gated(x), expected)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("place", [None, "standard", "pre", "post", "identity"])
def test_a_shake_shake_unit_is_gated_where_it_says(place, stride):
    torch.manual_seed(1)
    unit = with_random_norms(ShakeShakeUnit(8, 8 * stride, stride))
    x = torch.randn(2, 8, 6, 6, dtype=torch.float64)

    def at(here, y):
        return 2 * y if place == here else y

    entering = at("pre", x)
    branches = (unit.branch1(entering) + unit.branch2(entering)) / 2
    expected = at("post", at("standard", branches) + at("identity", unit.downsample(x)))
    gated = unit if place is None else doubled_at(unit, place)
    torch.testing.assert_close(gated(x), expected)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("place", [None, "standard", "pre", "post", "identity", "inner"])
def test_a_shuffle_unit_is_gated_where_it_says(place, stride):
    torch.manual_seed(1)
    unit = with_random_norms(ShuffleUnit(24, 24 * stride, stride, groups=3, first_groups=3))
    x = torch.randn(2, 24, 6, 6, dtype=torch.float64)

    def at(here, y):
        return 2 * y if place == here else y

    y = F.relu(unit.bn1(unit.conv1(at("pre", x))))
    width = y.shape[1]
    dealt = [group * (width // 3) + i for i in range(width // 3) for group in range(3)]
    y = at("inner", unit.bn2(unit.conv2(y[:, dealt])))
    y = at("standard", unit.bn3(unit.conv3(y)))
    if stride == 1:
        y = y + at("identity", x)
    else:
        y = torch.cat([at("identity", F.avg_pool2d(x, 3, 2, padding=1)), y], 1)
    gated = unit if place is None else doubled_at(unit, place)
    torch.testing.assert_close(gated(x), at("post", F.relu(y)))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("place", [None, "standard", "inner"])
def test_a_separable_unit_is_gated_where_it_says(place, stride):
    torch.manual_seed(1)
    unit = with_random_norms(SeparableUnit(8, 12, stride))
    x = torch.randn(2, 8, 6, 6, dtype=torch.float64)

    def at(here, y):
        return 2 * y if place == here else y

    y = F.relu(unit.bn1(F.conv2d(x, unit.depthwise.weight, None, stride, padding=1, groups=8)))
    y = F.relu(unit.bn2(F.conv2d(at("inner", y), unit.pointwise.weight)))
    gated = unit if place is None else doubled_at(unit, place)
    torch.testing.assert_close(gated(x), at("standard", y))


@pytest.mark.parametrize("index", [0, 2])  # 3a projects its pooled input, 3c hands it on
def test_an_inception_module_is_gated_as_a_whole(index):
    torch.manual_seed(1)
    module = with_random_norms(INCEPTION_NETS["bn_inception"](3, 10).layer1[index])
    x = torch.randn(1, [192, 256, 320][index], 6, 6, dtype=torch.float64)
    assert list(module.se_points) == ["standard"]
    torch.testing.assert_close(doubled_at(module, "standard")(x), 2 * module(x))


@pytest.mark.parametrize(
    "name",
    [
        *("cifar_resnet20", "wrn_16_8", "shake_shake_26_2x96d", "bn_inception"),
        *("shufflenet_v1_g3", "mobilenet_small"),
    ],
)
def test_costs_are_exact_for_every_integration(name):
    backbone = profile(name, 3, 32, 10)
    for integration in backbone.sites[0].feature_maps:
        candidate = Candidate.parse(f"{name}/all={integration}:r16", backbone)
        assert count_cost(candidate) == trace_cost(build(candidate, seed=0), backbone)


def test_all_are_backbones_by_name():
    assert BACKBONES.keys() >= NETWORKS.keys()
    assert [site.name for site in profile("bn_inception", 3, 32, 10).sites[2:4]] == [
        "stage2.block3",  # 3c
        "stage3.block1",  # 4a
    ]
