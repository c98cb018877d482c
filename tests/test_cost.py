"""Costs: the closed form against the paper, fvcore and torch's own counter."""

import dataclasses
import random

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from se_search.backbone import NativeSE
from se_search.candidate import GATE_INITS, GATES, KINDS, SE, SQUEEZES, Candidate, squeeze_width
from se_search.cost import count_cost, count_space
from se_search.errors import CandidateError
from se_search.models.catalogue import default_shape, describe_backbone
from se_search.models.surgery import build
from se_search.models.trace import trace, trace_cost, uncounted_operators
from se_search.space.bound import BoundSpace
from se_search.space.schema import SearchSpace, read_space

SMALL = describe_backbone("resnet20_bottleneck", 1, 28, 10)


def cost_of(text):
    name = text.split("/")[0]
    return count_cost(Candidate.parse(text, describe_backbone(name, *default_shape(name))))


def random_candidate(backbone, seed):
    draw = random.Random(seed)
    blocks = []
    for site in backbone.sites:
        block = random_block(site, draw)
        blocks.append(block if draw.random() < 0.7 else None)
    return Candidate(backbone, tuple(blocks))


def random_block(site, draw):
    integration = draw.choice([each for each in site.feature_maps if each != "native"])
    if draw.random() < 0.3:
        return SE(integration, 0, kind=draw.choice(KINDS[1:]))
    width = squeeze_width(site.feature_maps[integration].channels, draw.choice([2, 5, 16]))
    variants = (
        draw.choice(SQUEEZES),
        draw.choice(GATES),
        draw.random() < 0.5,
        draw.choice(GATE_INITS),
    )
    try:
        return SE(integration, width, *variants)
    except CandidateError:  # an gate_init that does not go with the rest
        return random_block(site, draw)


@pytest.mark.parametrize(
    ("name", "by_stage", "all_pct", "drop_last_pct"),
    [
        ("resnet50", (24_576, 131_072, 786_432, 1_572_864), 9.841, 3.686),
        ("resnext50_32x4d", (24_576, 131_072, 786_432, 1_572_864), 10.05, 3.76),
        ("resnet101", (24_576, 131_072, 3_014_656, 1_572_864), 10.65, 7.12),
        ("resnet152", (24_576, 262_144, 4_718_592, 1_572_864), 10.93, 8.32),
        ("resnet18", (1_024, 4_096, 16_384, 65_536), 0.74, 0.18),
        ("resnet34", (1_536, 8_192, 49_152, 98_304), 0.72, 0.27),
    ],
)
def test_se_everywhere_adds_what_equation_5_says(name, by_stage, all_pct, drop_last_pct):
    cost = cost_of(f"{name}/all=standard:r16")
    added = tuple(stage.added_params for stage in cost.by_stage.values())
    assert added == (0, *by_stage, 0)
    assert cost.added_params == sum(by_stage)
    assert cost.added_params_pct == pytest.approx(all_pct, abs=0.005)
    drop_last = cost_of(f"{name}/all=standard:r16/stage5=none")
    assert drop_last.added_params_pct == pytest.approx(drop_last_pct, abs=0.005)


def test_biases_add_what_the_released_se_resnet50_has():
    cost = cost_of("resnet50/all=standard:r16+bias")
    added = [stage.added_params for stage in cost.by_stage.values()]
    assert added == [0, 25_392, 133_248, 792_960, 1_579_392, 0]
    assert cost.params == 28_088_024


@pytest.mark.parametrize(("variant", "params"), [("", 26_499_112), ("+bias", 26_508_632)])
def test_resnet50_without_se_in_the_last_stage(variant, params):
    assert cost_of(f"resnet50/all=standard:r16{variant}/stage5=none").params == params


@pytest.mark.parametrize(
    ("reduction", "params"),
    [(2, 45_676_584), (4, 35_616_808), (8, 30_586_920), (16, 28_071_976), (32, 26_814_504)],
)
def test_reduction_ratios_of_the_papers_table_10(reduction, params):
    assert cost_of(f"resnet50/all=standard:r{reduction}").params == params


@pytest.mark.parametrize(
    ("integration", "added"),
    [
        ("standard", 2_514_944),
        ("post", 2_514_944),
        ("identity", 2_514_944),
        ("pre", 1_991_168),
        ("inner", 157_184),
    ],
)
def test_placements_of_the_papers_tables_14_and_15(integration, added):
    assert cost_of(f"resnet50/all={integration}:r16").added_params == added


def test_se_resnet50_costs_what_the_papers_figure_counts():
    cost = cost_of("resnet50/all=standard:r16")
    assert cost.by_operator["mean"] == cost.by_operator["mul"] == 5_519_360
    assert cost.by_operator["conv"] + cost.by_operator["linear"] == 4_091_699_200


def test_a_plain_backbone_adds_nothing():
    cost = cost_of("resnet50")
    assert (cost.added_params, cost.added_macs, cost.params) == (0, 0, 25_557_032)
    assert cost.macs == 4_111_512_576


@pytest.mark.parametrize("start", range(0, 60, 20))
def test_the_closed_form_is_what_fvcore_counts(start):
    for seed in range(start, start + 20):
        candidate = random_candidate(SMALL, seed)
        assert count_cost(candidate) == trace_cost(build(candidate, 0), SMALL), str(candidate)


@pytest.mark.parametrize("integration", list(SMALL.sites[2].feature_maps))
@pytest.mark.parametrize("what", ["3", "3+none+double", "3+std+tanh+bias+open", "eca"])
def test_the_closed_form_is_what_fvcore_counts_at_each_place(integration, what):
    block = f"{integration}:{what}"
    text = f"resnet20_bottleneck/stage3.block2={block}/stage5={block}"
    candidate = Candidate.parse(text, SMALL)
    assert count_cost(candidate) == trace_cost(build(candidate, 0), SMALL)


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_closed_form_is_what_fvcore_counts_on_torchvision_networks(name, seed):
    candidate = random_candidate(describe_backbone(name, 3, 64, 10), seed)
    assert count_cost(candidate) == trace_cost(build(candidate, 0), candidate.backbone)


@pytest.mark.parametrize("seed", range(5))
def test_convolutions_and_linear_layers_are_half_of_what_torch_counts(seed):
    candidate = random_candidate(SMALL, seed)
    model = build(candidate, 0).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 1, 28, 28))
    by_operator = count_cost(candidate).by_operator
    assert 2 * (by_operator["conv"] + by_operator["linear"]) == counter.get_total_flops()


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_convolutions_whose_padding_has_a_name_are_half_of_what_torch_counts(padding):
    net = torch.nn.Conv2d(3, 6, 3, padding=padding, dilation=2, groups=3)
    image = torch.zeros(1, 3, 9, 9)
    with FlopCounterMode(display=False) as counter:
        net(image)
    analysis = trace(net, 3, 9)
    assert analysis.total() == counter.get_total_flops() // 2
    assert uncounted_operators(analysis) == ()


def test_without_a_squeeze_se_resnet50_has_the_multiply_adds_of_the_papers_table_16():
    plain, pooled, cost = (
        cost_of(f"resnet50{what}").by_operator
        for what in ("", "/all=standard:r16", "/all=standard:r16+none")
    )
    # 2 * C * C/16 * P: three blocks of 256 channels on 56 x 56 pixels, and so on.
    added = 3 * 8192 * 3136 + 4 * 32768 * 784 + 6 * 131072 * 196 + 3 * 524288 * 49
    assert added == 411_041_792
    assert cost["conv"] - plain["conv"] == added
    assert cost["linear"] == plain["linear"]
    # Table 16 says 4.27 G, of a ResNet-50 with the strides in other places: 3,857,973,248.
    assert (3_857_973_248 + added) / 1e9 == pytest.approx(4.269, abs=5e-4)
    assert "mean" not in cost
    assert cost["sigmoid"] == cost["mul"] == pooled["mul"]


@pytest.mark.parametrize(
    ("what", "params"),
    [
        ("eca", 86),  # timm: ecaresnet50d - resnet50d
        ("ge", 0),
        (
            "ese",
            3 * (256**2 + 256) + 4 * (512**2 + 512) + 6 * (1024**2 + 1024) + 3 * (2048**2 + 2048),
        ),
    ],
)
def test_the_kin_of_se_add_to_resnet50_what_their_papers_say(what, params):
    assert cost_of(f"resnet50/all=standard:{what}").added_params == params


def test_a_block_without_parameters_is_in_its_stages_multiply_adds():
    cost = cost_of("resnet50/stage3=standard:ge")
    assert [stage.added_macs for stage in cost.by_stage.values()] == [
        *(0, 0, 4 * (2 * 512 * 784 + 512), 0, 0, 0)
    ]
    assert sum(stage.macs for stage in cost.by_stage.values()) == cost.macs


def with_native(backbone, native):
    """Return a backbone as if it had come with such SE blocks of r = 16 at its standard places."""
    sites = []
    for site in backbone.sites:
        feature_map = site.feature_maps["standard"]
        own = dataclasses.replace(native, width=feature_map.channels // 16)
        maps = {**site.feature_maps, "native": feature_map}
        sites.append(dataclasses.replace(site, feature_maps=maps, native=own))
    return dataclasses.replace(backbone, sites=tuple(sites))


def test_native_blocks_cost_what_their_own_layers_cost():
    plain = describe_backbone("resnet50", 3, 224, 1000)
    native = NativeSE(0, True, "adaptive_avg_pool2d", "conv", "hardsigmoid")
    backbone = with_native(plain, native)
    cost = count_cost(Candidate.parse("resnet50/all=native:r16", backbone))
    assert cost.params == 28_088_024  # timm's seresnet50, and the released Caffe model
    added = {
        operator: macs - count_cost(Candidate.plain(plain)).by_operator.get(operator, 0)
        for operator, macs in cost.by_operator.items()
    }
    assert {operator: macs for operator, macs in added.items() if macs} == {
        "adaptive_avg_pool2d": 5_519_360,
        "conv": 2_514_944,
        "hardsigmoid": 3 * 256 + 4 * 512 + 6 * 1024 + 3 * 2048,
        "mul": 5_519_360,
    }
    without = with_native(plain, dataclasses.replace(native, bias=False))
    all_native = Candidate.parse("resnet50/all=native:r16", without)
    assert count_cost(all_native).added_params == 2_514_944


@pytest.mark.parametrize(
    "space",
    [
        read_space("full"),
        SearchSpace.model_validate(
            {
                "choices": {
                    "integration": ["standard", "pre", "inner"],
                    "kind": ["se", "eca", "ge"],
                    "reduction": [4, 8, 16, 64],
                    "rounding": ["floor", "multiple_of_8"],
                },
                "shared": ["kind", "rounding"],
            }
        ),
    ],
    ids=["full", "shared"],
)
def test_a_space_counted_at_once_costs_what_its_candidates_cost(space):
    bound = BoundSpace(space, SMALL)
    counted = count_space(bound)
    assert counted.shape == (bound.size, 2)
    assert counted.dtype == np.int64
    for index in [0, bound.size - 1, *random.Random(0).sample(range(bound.size), 500)]:
        cost = count_cost(bound.candidate_at(index))
        assert counted[index].tolist() == [cost.added_params, cost.added_macs]


def test_parts_add_up_to_the_whole():
    cost = cost_of("resnet50/stage2=pre:r16/stage4=post:r8+bias")
    stages = cost.by_stage.values()
    assert list(cost.by_stage) == ["stem", "stage2", "stage3", "stage4", "stage5", "head"]
    for field in ("params", "added_params", "macs", "added_macs"):
        assert sum(getattr(stage, field) for stage in stages) == getattr(cost, field)
    assert sum(cost.by_operator.values()) == cost.macs


def test_tracing_leaves_every_module_in_its_mode():
    backbone = describe_backbone("resnet20_bottleneck", 1, 28, 10)
    model = build(Candidate.plain(backbone), 0).train()
    model.bn1.eval()  # a frozen norm stays frozen
    before = [module.training for module in model.modules()]
    trace_cost(model, backbone)
    assert [module.training for module in model.modules()] == before


def test_a_text_is_no_candidate_to_count():
    with pytest.raises(TypeError, match="count_cost takes a Candidate, not 'resnet50'"):
        count_cost("resnet50")
