"""Sites of the networks of torchvision, timm and our own: where SE goes, what it costs there."""

import random
from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  (as everybody calls it)
from torchvision.models import get_model, get_model_weights

from se_search.candidate import SE, Candidate, squeeze_width
from se_search.cost import count_cost
from se_search.errors import BackboneError, CandidateError
from se_search.models.backbones import BACKBONES, construct
from se_search.models.catalogue import backbone_in_channels, default_shape, describe_backbone
from se_search.models.feature_maps import measure_sites
from se_search.models.mobilenet import SeparableUnit
from se_search.models.names import SHAPES, TORCHVISION_NAMES
from se_search.models.profile import profile
from se_search.models.sites import find_parts, locate_sites, named_sites
from se_search.models.surgery import build, insert, plain_state_dict, se_modules
from se_search.models.trace import trace_cost
from se_search.seeds import derive_seed

timm = pytest.importorskip("timm")

NETWORKS = [  # with the smallest image that they can take, or near it
    ("googlenet", 48),
    ("timm:resnet18", 32),
    ("timm:resnet50", 32),
    ("mobilenetv1_100", 32),
    ("mobilenet_small", 32),
    ("inception_resnet_v2", 75),
    ("resnet50_v1", 32),
    ("cifar_resnet20", 32),
    ("wrn_16_8", 16),
    ("preact_resnet164", 16),
    ("shake_shake_26_2x96d", 16),
    ("bn_inception", 64),
    ("shufflenet_v1_g3", 32),
]


@cache
def described(name, size):
    return describe_backbone(name, 3, size, 10)


def candidate(text, size):
    return Candidate.parse(text, described(text.split("/")[0], size))


def random_candidate(backbone, seed):
    draw = random.Random(seed)
    blocks = []
    for site in backbone.sites:
        integration = draw.choice(list(site.feature_maps))
        width = squeeze_width(site.feature_maps[integration].channels, draw.choice([2, 16]))
        blocks.append(SE(integration, width) if draw.random() < 0.7 else None)
    return Candidate(backbone, tuple(blocks))


def stages(name, size):
    found = [site.stage for site in described(name, size).sites]
    return {stage: found.count(stage) for stage in found}


def gate(se, x):
    hidden = F.relu(F.linear(x.mean((2, 3)), se.reduce.weight))
    s = torch.sigmoid(F.linear(hidden, se.expand.weight))
    return x * s[:, :, None, None]


def image(size, batch=1):
    return torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("name", "size", "by_stage"),
    [
        ("vgg16_bn", 32, {1: 2, 2: 2, 3: 3, 4: 3, 5: 3}),
        ("googlenet", 48, {2: 2, 3: 5, 4: 2}),
        ("bn_inception", 64, {2: 3, 3: 5, 4: 2}),
        ("timm:resnet50", 32, {2: 3, 3: 4, 4: 6, 5: 3}),
        ("mobilenetv1_100", 32, {2: 1, 3: 2, 4: 2, 5: 6, 6: 2}),
        ("mobilenet_small", 32, {2: 1, 3: 1, 4: 1, 5: 2, 6: 2}),
        ("mobilenetv2_100", 32, {2: 1, 3: 2, 4: 3, 5: 4, 6: 3, 7: 3, 8: 1}),
        ("inception_resnet_v2", 75, {2: 11, 3: 21, 4: 11}),
        ("shufflenet_v1_g3", 32, {2: 4, 3: 8, 4: 4}),
        ("preact_resnet164", 16, {2: 18, 3: 18, 4: 18}),
    ],
)
def test_stages_have_their_papers_number_of_units(name, size, by_stage):
    assert stages(name, size) == by_stage


def test_weights_of_a_mobilenet_with_se_are_those_of_the_papers_table_3():
    size = 32
    assert count_cost(candidate("mobilenetv1_100/all=standard:r16", size)).added_params == 479_744
    assert count_cost(candidate("mobilenetv1_100/all=inner:r16", size)).added_params == 348_800


def test_each_stage_of_mobilenet_small_is_a_quarter_as_wide_as_mobilenets():
    widths = [
        {site.stage: site.feature_maps["standard"].channels for site in described(name, 32).sites}
        for name in ("mobilenet_small", "mobilenetv1_100")
    ]
    assert {stage: 4 * channels for stage, channels in widths[0].items()} == widths[1]


@pytest.mark.parametrize("stride", [1, 2])
def test_a_unit_of_mobilenet_small_computes_what_timms_does(stride):
    own = SeparableUnit(8, 12, stride).eval()
    theirs = timm.models._efficientnet_blocks.DepthwiseSeparableConv(
        8, 12, stride=stride, noskip=True, pw_act=True
    ).eval()
    names = {"depthwise": "conv_dw", "bn1": "bn1", "pointwise": "conv_pw", "bn2": "bn2"}
    for name, name_there in names.items():
        theirs.get_submodule(name_there).load_state_dict(own.get_submodule(name).state_dict())
    x = torch.randn(2, 8, 7, 7, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(own(x), theirs(x))


@pytest.mark.parametrize("integration", ["pre", "post", "identity"])
def test_a_mobilenet_refuses_what_would_need_a_shortcut(integration):
    with pytest.raises(CandidateError, match=r"stage2.block1 has no .* \(it has standard, inner\)"):
        candidate(f"mobilenet_small/all={integration}:r16", 32)


def test_the_caffe_widths_of_se_bn_inception_are_a_sixteenth_of_the_concatenated_channels():
    channels = [s.feature_maps["standard"].channels for s in described("bn_inception", 64).sites]
    assert [c // 16 for c in channels] == [16, 20, 36, 36, 36, 38, 38, 66, 64, 64]


def test_googlenets_sites_have_the_concatenated_channels():
    channels = [s.feature_maps["standard"].channels for s in described("googlenet", 48).sites]
    assert channels == [256, 480, 512, 512, 512, 528, 832, 832, 1024]


def test_se_in_vgg_comes_after_the_relu_of_each_convolution():
    model = build(candidate("vgg11_bn/all=standard:4", 32), 0).eval()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(0, "backbone"))
        plain = get_model("vgg11_bn", weights=None, num_classes=10).eval()
    x, blocks = image(32), iter(se_modules(model).values())
    for module in plain.features:
        x = module(x)
        if isinstance(module, nn.ReLU):
            x = gate(next(blocks), x)
    expected = plain.classifier(plain.avgpool(x).flatten(1))
    torch.testing.assert_close(model(image(32)), expected)


@pytest.mark.parametrize(
    ("name", "unit"), [("googlenet", "inception3a"), ("inception_resnet_v2", "mixed_5b")]
)
def test_se_on_an_inception_module_gates_the_concatenated_output(name, unit):
    size = dict(NETWORKS)[name]
    model = build(candidate(f"{name}/stage2.block1=standard:4", size), 0).eval()
    plain = build(Candidate.plain(described(name, size)), 0).eval()
    (se,) = se_modules(model).values()
    x = torch.rand(2, 192, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(model.get_submodule(unit)(x), gate(se, plain.get_submodule(unit)(x)))


def test_se_in_inception_resnet_gates_the_branch_before_it_is_scaled():
    model = build(candidate("inception_resnet_v2/stage2.block2=standard:4", 75), 0).eval()
    plain = build(Candidate.plain(described("inception_resnet_v2", 75)), 0).eval()
    (se,) = se_modules(model).values()
    block = model.repeat[0]
    x = torch.rand(2, 320, 6, 6, generator=torch.Generator().manual_seed(0))
    branches = torch.cat([block.branch0(x), block.branch1(x), block.branch2(x)], dim=1)
    branch = gate(se, plain.repeat[0].conv2d(branches))
    torch.testing.assert_close(block(x), F.relu(branch * 0.17 + x))


def test_se_in_a_mobilenet_gates_the_pointwise_output_after_its_activation():
    model = build(candidate("mobilenetv1_100/stage2.block1=standard:4", 32), 0).eval()
    plain = build(Candidate.plain(described("mobilenetv1_100", 32)), 0).eval()
    (se,) = se_modules(model).values()
    x = torch.rand(2, 32, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = plain.blocks[0][0](x)
    assert expected.min() >= 0
    assert expected.max() <= 6
    torch.testing.assert_close(model.blocks[0][0](x), gate(se, expected))


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
@pytest.mark.parametrize(
    "integration", ["standard", "pre", "post", "identity", "inner", "rectified"]
)
def test_timms_residual_networks_compute_what_torchvisions_do(name, integration):
    text = f"all={integration}:4"
    ours = build(candidate(f"{name}/{text}", 32), 0).eval()
    theirs = build(candidate(f"timm:{name}/{text}", 32), 1).eval()
    theirs.load_state_dict(ours.state_dict())
    torch.testing.assert_close(theirs(image(32)), ours(image(32)))


@pytest.mark.parametrize(("name", "convs"), [("resnet18", 2), ("resnet50", 3)])
def test_rectified_se_comes_after_a_relu_of_its_own(name, convs):
    model = build(candidate(f"{name}/stage2.block2=rectified:4", 32), 0).eval()
    plain = build(Candidate.plain(described(name, 32)), 0).eval().layer1[1]
    (se,) = se_modules(model).values()
    x = torch.rand(2, 64 if convs == 2 else 256, 8, 8, generator=torch.Generator().manual_seed(0))
    y = x
    for number in range(1, convs + 1):
        y = getattr(plain, f"bn{number}")(getattr(plain, f"conv{number}")(y)).relu()
    torch.testing.assert_close(model.layer1[1](x.clone()), F.relu(gate(se, y) + x))


@pytest.mark.parametrize(("name", "size"), [*NETWORKS, ("vgg11_bn", 32)])
def test_the_closed_form_is_what_fvcore_counts(name, size):
    drawn = random_candidate(described(name, size), 0)
    assert count_cost(drawn) == trace_cost(build(drawn, 0), drawn.backbone)


@pytest.mark.parametrize(("name", "size"), NETWORKS)
def test_a_candidate_without_se_is_the_plain_backbone_bit_for_bit(name, size):
    model = build(Candidate.plain(described(name, size)), 5).eval()
    plain = construct(name, 3, 10, derive_seed(5, "backbone")).eval()
    assert torch.equal(model(image(size)), plain(image(size)))


@pytest.mark.parametrize(("name", "size"), NETWORKS)
def test_every_se_parameter_gets_a_finite_gradient(name, size):
    drawn = random_candidate(described(name, size), 1)
    model = build(drawn, 0)
    F.cross_entropy(model(image(size, batch=2)), torch.arange(2)).backward()
    blocks = se_modules(model)
    assert len(blocks) == sum(block is not None for block in drawn.blocks)
    for block in blocks.values():
        for parameter in block.parameters():
            assert parameter.grad.isfinite().all()


@pytest.mark.parametrize(("name", "size"), NETWORKS)
def test_candidates_of_one_seed_share_the_weights_of_the_backbone(name, size):
    plain = construct(name, 3, 10, derive_seed(3, "backbone")).state_dict()
    shared = plain_state_dict(build(random_candidate(described(name, size), 3), 3))
    assert list(shared) == list(plain)
    for key, tensor in plain.items():
        assert torch.equal(shared[key], tensor)


@pytest.mark.parametrize(("name", "size"), NETWORKS)
def test_parts_hold_every_parameter_once_and_the_head_is_the_classifier(name, size):
    model = construct(name, 3, 10, 0)
    parts = find_parts(model, locate_sites(model))
    owners = [
        [path for path in parts if f"{key}.".startswith(f"{path}.")]
        for key, _ in model.named_parameters()
    ]
    assert all(len(found) == 1 for found in owners)
    assert "head" in parts.values()


@pytest.mark.parametrize("name", ["vgg16_bn", "googlenet"])
def test_parameters_are_those_that_torchvision_publishes(name):
    published = get_model_weights(name).DEFAULT.meta["num_params"]
    backbone = describe_backbone(name, 3, 64, 1000)
    assert sum(part.params for part in backbone.parts) == published


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        (True, ["stage2.block1", "stage2.block2", "stage3.block1"]),
        (False, ["stage2.block1", "stage3.block1", "stage3.block2"]),
    ],
)
def test_stages_are_containers_or_else_begin_at_a_stride(container, expected):
    class Unit(nn.Conv2d):
        se_points = {"standard": ("", "after")}  # noqa: RUF012  (read only)

    units = [Unit(3, 3, 3, 1), Unit(3, 3, 3, 2), Unit(3, 3, 3, 1)]
    net = (
        nn.Sequential(nn.Sequential(*units[:2]), nn.Sequential(units[2]))
        if container
        else nn.Sequential(*units)
    )
    assert [site.name for site in locate_sites(net)] == expected


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ({"middle": ("", "after")}, r"se_points of Unit: 'middle'.*standard"),
        ({"native": ("", "after")}, r"'native': .* is none of standard, pre"),
        ({"standard": ("", "behind")}, r"'standard': \('', 'behind'\) is none of"),
        ({"standard": "bn2"}, r"'standard': 'bn2' is none of .*as \(\"bn2\", \"after\"\)"),
        ({"standard": {"after": "bn2"}}, r"'standard': \{'after': 'bn2'\} is none of"),
        ({"standard": (2, "after")}, r"'standard': \(2, 'after'\) is none of"),
        ([("standard", "bn2")], r"is \[\('standard', 'bn2'\)\]; allowed: a dictionary"),
        ({}, r"is \{\}; allowed: a dictionary"),
    ],
)
def test_units_with_points_of_no_integration_are_refused(points, message):
    class Unit(nn.ReLU):
        se_points = points

    with pytest.raises(BackboneError, match=message):
        locate_sites(nn.Sequential(Unit()))


def test_an_image_that_is_too_small_is_an_error():
    with pytest.raises(BackboneError, match="can't take an image of 3 x 16 x 16"):
        describe_backbone("inception_resnet_v2", 3, 16, 10)


def test_the_catalogue_lists_every_backbone_of_our_own():
    own = set(BACKBONES) - set(TORCHVISION_NAMES)
    assert own <= set(SHAPES)
    assert set(SHAPES) - own - set(TORCHVISION_NAMES) <= set(timm.list_models())


@pytest.mark.parametrize(
    "name", ["mobilenet_v3_small", "cifar_resnet20", "mobilenetv1_100", "mobilenet_small"]
)
def test_the_shipped_catalogue_is_what_a_fresh_profile_says(name):
    shape = default_shape(name)
    assert describe_backbone(name, *shape) == profile(name, *shape)


def test_names_of_other_places_are_refused():
    for name in ("hf-hub:someone/net", "timm:hf-hub:someone/net", "local-dir:/tmp", "", "timm:"):
        with pytest.raises(BackboneError, match="is not one of"):
            construct(name, 3, 10, 0)


def test_timms_names_are_suggested_too():
    with pytest.raises(BackboneError, match="did you mean seresnet50"):
        construct("seresnet5", 3, 10, 0)


def test_timms_networks_take_grey_images():
    assert backbone_in_channels("timm:resnet18", 1) == 1
    assert describe_backbone("timm:resnet18", 1, 28, 10).in_channels == 1


def test_default_shapes_are_those_that_a_network_is_made_for():
    assert default_shape("inception_v4") == (3, 299, 1000)
    assert default_shape("vgg19_bn") == (3, 224, 1000)
    assert default_shape("cifar_resnet56") == (3, 32, 10)


def test_a_candidate_of_a_plain_network_does_not_fit_one_with_se():
    plain = candidate("timm:resnet18/all=standard:4", 32)
    with pytest.raises(BackboneError, match=r"takes SE at stage2.block1 as native, but"):
        insert(construct("timm:seresnet18", 3, 10, 0), plain, 0)


def test_se_at_nested_places_is_put_in_at_all_of_them():
    model = construct("timm:resnet18", 3, 10, 0)
    attach = (
        {"post": ("layer1.0", "after")},
        {"standard": ("layer1.0.bn2", "after")},
        {"standard": ("layer1.0.bn2", "after")},
    )
    sites = measure_sites(model.eval(), 3, 32, named_sites([2, 2, 2], attach))
    backbone = replace(described("timm:resnet18", 32), sites=sites, attach=attach)
    text = "timm:resnet18/stage2.block1=post:4/stage2.block2-3=standard:4"
    built = build(Candidate.parse(text, backbone), 0)
    assert list(se_modules(built)) == [
        "layer1.0.bn2.inserted_se",
        "layer1.0.bn2.inserted_se_2",
        "layer1.0.inserted_se",
    ]
