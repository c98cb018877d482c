"""Networks that carry SE already: what is found, kept, replaced and removed."""

import random
from functools import cache

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  (as everybody calls it)
from torchvision.models import get_model, get_model_weights
from torchvision.ops import SqueezeExcitation

from se_search.backbone import find_sites
from se_search.candidate import SE, Candidate
from se_search.cost import count_cost
from se_search.errors import BackboneError, CandidateError
from se_search.models.backbones import construct
from se_search.models.catalogue import describe_backbone
from se_search.models.surgery import build, plain_state_dict, se_modules
from se_search.models.trace import trace_cost, trace_native
from se_search.seeds import derive_seed

timm = pytest.importorskip("timm")

TORCHVISION = ["efficientnet_b0", "mobilenet_v3_small", "mobilenet_v3_large", "regnet_y_400mf"]
TIMM = [
    "timm:efficientnet_b0",
    "timm:mobilenetv3_small_100",
    "timm:regnety_002",
    "timm:seresnet18",
    "legacy_seresnet18",
]
NETWORKS = [*TORCHVISION, *TIMM]


@cache
def described(name, num_classes=10):
    return describe_backbone(name, 3, 64, num_classes)


def original(backbone):
    return Candidate.parse(f"{backbone.name}/native=native:original", backbone)


def native_sites(backbone):
    return [site for site in backbone.sites if site.native]


def random_candidate(backbone, seed):
    draw = random.Random(seed)
    blocks = []
    for site in backbone.sites:
        integration = draw.choice(list(site.feature_maps))
        widths = [draw.randint(1, 40), *([site.native.width] if site.native else [])]
        blocks.append(draw.choice([None, SE(integration, draw.choice(widths))]))
    return Candidate(backbone, tuple(blocks))


def untouched(name, seed):
    """The network as its own library makes it, with what ``build`` would seed it with."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "backbone"))
        if name in TORCHVISION:
            return get_model(name, weights=None, num_classes=10)
        return timm.create_model(name.removeprefix("timm:"), num_classes=10)


def own_blocks(model):
    classes = (SqueezeExcitation, timm.layers.SEModule)
    return [
        name
        for name, module in model.named_modules()
        if (isinstance(module, classes) or name.endswith((".se_module", ".se")))
        and list(module.parameters())
    ]


def image(size=64, batch=1):
    return torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("timm:regnety_004", 4_344_144),
        ("mobilenet_v3_large", 5_483_032),
        ("efficientnet_b0", 5_288_548),
        ("seresnet50", 28_088_024),
        ("legacy_seresnet18", 11_778_592),
    ],
)
def test_with_all_its_own_blocks_a_network_has_its_published_parameters(name, params):
    assert count_cost(original(described(name, 1000))).params == params


@pytest.mark.parametrize("name", TORCHVISION)
def test_with_all_its_own_blocks_it_has_the_parameters_that_torchvision_publishes(name):
    published = get_model_weights(name).DEFAULT.meta["num_params"]
    assert count_cost(original(described(name, 1000))).params == published


def test_without_se_seresnet50_is_resnet50():
    assert count_cost(Candidate.plain(described("seresnet50", 1000))).params == 25_557_032


@pytest.mark.parametrize(
    ("name", "by_stage"),
    [
        ("efficientnet_b0", {2: 1, 3: 2, 4: 2, 5: 3, 6: 3, 7: 4, 8: 1}),
        ("timm:efficientnet_b0", {2: 1, 3: 2, 4: 2, 5: 3, 6: 3, 7: 4, 8: 1}),
        ("mobilenet_v3_large", {4: 3, 5: 2, 6: 3}),  # at 28, 14 and 7 pixels of 224
        ("mobilenet_v3_small", {2: 1, 4: 5, 5: 3}),
        ("regnet_y_400mf", {2: 1, 3: 3, 4: 6, 5: 6}),
        ("timm:seresnet18", {2: 2, 3: 2, 4: 2, 5: 2}),
        ("legacy_seresnet18", {2: 2, 3: 2, 4: 2, 5: 2}),
    ],
)
def test_sites_are_the_blocks_that_the_network_came_with(name, by_stage):
    sites = native_sites(described(name))
    stages = [site.stage for site in sites]
    assert {stage: stages.count(stage) for stage in stages} == by_stage
    assert all(set(site.feature_maps) == {"native"} for site in sites)


@pytest.mark.parametrize(
    ("name", "plain", "channels"),
    [
        # Howard et al. 2019, tables 1 and 2: the rows without SE, with their expansion sizes
        ("mobilenet_v3_small", "stage3.block1-2", [72, 88]),
        (
            "mobilenet_v3_large",
            "stage2.block1/stage3.block1-2/stage5.block1-4",
            [16, 64, 72, 240, 200, 184, 184],
        ),
    ],
)
def test_se_can_be_added_where_a_unit_has_none_on_the_expansion(name, plain, channels):
    backbone = described(name)
    found = [i for where in plain.split("/") for i in find_sites(where, backbone)]
    sites = [backbone.sites[i] for i in found]
    assert not any(site.native for site in sites)
    assert [site.feature_maps["inner"].channels for site in sites] == channels


@pytest.mark.parametrize(
    ("name", "operators"),
    [
        ("efficientnet_b0", ("adaptive_avg_pool2d", "conv", "sigmoid")),
        ("mobilenet_v3_large", ("adaptive_avg_pool2d", "conv", "hardsigmoid")),
        ("regnet_y_400mf", ("adaptive_avg_pool2d", "conv", "sigmoid")),
        ("timm:efficientnet_b0", ("mean", "conv", "sigmoid")),
        ("timm:mobilenetv3_small_100", ("mean", "conv", "hardsigmoid")),
        ("timm:regnety_002", ("mean", "conv", "sigmoid")),
        ("legacy_seresnet18", ("mean", "conv", "sigmoid")),
    ],
)
def test_operators_are_those_that_the_blocks_run(name, operators):
    for site in native_sites(described(name)):
        native = site.native
        assert native.bias
        assert operators == (
            native.squeeze_operator,
            native.excite_operator,
            native.gate_operator,
        )


def test_widths_of_efficientnet_are_a_quarter_of_what_comes_into_its_units():
    assert [site.native.width for site in described("efficientnet_b0").sites] == [
        *[32 // 4, 16 // 4, 24 // 4, 24 // 4, 40 // 4, 40 // 4],
        *[80 // 4] * 3,
        *[112 // 4] * 3,
        *[192 // 4] * 4,
    ]


@pytest.mark.parametrize("name", NETWORKS)
def test_with_all_its_own_blocks_a_network_is_the_untouched_one_bit_for_bit(name):
    model, reference = build(original(described(name)), 3), untouched(name, 3)
    assert list(model.state_dict()) == list(reference.state_dict())
    for built, tensor in zip(
        model.state_dict().values(), reference.state_dict().values(), strict=True
    ):
        assert torch.equal(built, tensor)
    assert torch.equal(model.eval()(image()), reference.eval()(image()))


@pytest.mark.parametrize("name", NETWORKS)
def test_without_se_it_is_the_untouched_network_with_identities(name):
    reference = untouched(name, 3)
    blocks = own_blocks(reference)
    for path in blocks:
        parent, _, child = path.rpartition(".")
        setattr(reference.get_submodule(parent), child, nn.Identity())
    model = build(Candidate.plain(described(name)), 3)
    assert len(blocks) == len(native_sites(described(name)))
    assert torch.equal(model.eval()(image()), reference.eval()(image()))
    assert sum(part.params for part in described(name).parts) == sum(
        parameter.numel() for parameter in reference.parameters()
    )


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_closed_form_is_what_fvcore_counts(name, seed):
    candidate = random_candidate(described(name), seed)
    assert count_cost(candidate) == trace_cost(build(candidate, 0), candidate.backbone)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_se_parameter_gets_a_finite_gradient(name):
    candidate = random_candidate(described(name), 2)
    model = build(candidate, 0)
    F.cross_entropy(model(image(batch=4)), torch.arange(4)).backward()
    blocks = se_modules(model)
    assert len(blocks) == sum(block is not None for block in candidate.blocks)
    for block in blocks.values():
        for parameter in block.parameters():
            assert parameter.grad.isfinite().all()


@pytest.mark.parametrize("name", ["efficientnet_b0", "timm:mobilenetv3_small_100"])
def test_another_width_keeps_class_activation_and_gate(name):
    backbone = described(name)
    theirs = se_modules(build(original(backbone), 0))
    ours = se_modules(build(Candidate.parse(f"{backbone.name}/native=native:5", backbone), 0))
    assert list(ours) == list(theirs)
    for block, reference in zip(ours.values(), theirs.values(), strict=True):
        assert type(block) is type(reference)
        kinds = [type(module) for module in block.modules()]
        assert kinds == [type(module) for module in reference.modules()]
        weights = [p for p in block.parameters() if p.dim() == 4]
        assert [w.shape[0] for w in weights] == [5, weights[0].shape[1]]


def test_another_width_computes_the_papers_equations():
    backbone = described("mobilenet_v3_small")
    model = build(Candidate.parse("mobilenet_v3_small/stage2=native:3", backbone), 0).double()
    (block,) = se_modules(model).values()
    x = torch.rand(2, 16, 5, 4, dtype=torch.float64)
    z = x.mean((2, 3))
    hidden = F.relu(z @ block.fc1.weight[:, :, 0, 0].T + block.fc1.bias)
    s = F.hardsigmoid(hidden @ block.fc2.weight[:, :, 0, 0].T + block.fc2.bias)
    torch.testing.assert_close(block(x), x * s[:, :, None, None])


def test_a_new_block_is_drawn_as_torchvision_draws_them():
    backbone = described("efficientnet_b0")
    candidate = Candidate.parse("efficientnet_b0/stage8=native:300", backbone)
    (block,) = se_modules(build(candidate, 0)).values()
    for layer in (block.fc1, block.fc2):
        assert layer.weight.std().item() == pytest.approx((2 / layer.out_channels) ** 0.5, rel=0.02)
        assert not layer.bias.any()


def test_candidates_of_one_seed_share_what_they_have_in_common():
    backbone = described("mobilenet_v3_small")
    one = build(Candidate.parse("mobilenet_v3_small/native=native:5", backbone), 3)
    other = build(Candidate.parse("mobilenet_v3_small/stage5=native:5", backbone), 3)
    plain = construct("mobilenet_v3_small", 3, 10, derive_seed(3, "backbone"))
    shared = se_modules(other)
    for path, block in shared.items():
        for parameter, twin in zip(
            block.parameters(), se_modules(one)[path].parameters(), strict=True
        ):
            assert torch.equal(parameter, twin)
    for name, tensor in plain_state_dict(one).items():
        assert torch.equal(tensor, plain.state_dict()[name])
        assert torch.equal(tensor, plain_state_dict(other)[name])


def test_building_leaves_the_global_random_state_alone():
    before = torch.get_rng_state()
    build(random_candidate(described("timm:regnety_002"), 0), 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_native_blocks_take_no_modifiers():
    with pytest.raises(CandidateError, match="native"):
        Candidate.parse("mobilenet_v3_small/all=native:4+tanh", described("mobilenet_v3_small"))


def test_where_a_network_has_its_own_blocks_there_are_no_others():
    with pytest.raises(CandidateError, match="no integration 'standard'"):
        Candidate.parse("timm:seresnet18/all=standard:4", described("timm:seresnet18"))


def test_a_block_of_another_design_is_refused():
    with pytest.raises(BackboneError, match=r"SE block 'se' has an unknown design"):
        trace_native(timm.layers.SEModule(16, add_maxpool=True), 16, "se")
