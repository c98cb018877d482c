"""Costs: the closed form against the paper, fvcore and torch's own counter."""

import random

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from se_search.candidate import GATES, INTEGRATIONS, SE, SQUEEZES, Candidate, squeeze_width
from se_search.cost import count_cost
from se_search.models.catalogue import default_shape, describe_backbone
from se_search.models.profile import trace_cost
from se_search.models.surgery import build


def cost_of(text):
    name = text.split("/")[0]
    return count_cost(Candidate.parse(text, describe_backbone(name, *default_shape(name))))


def random_candidate(backbone, seed):
    draw = random.Random(seed)
    blocks = []
    for site in backbone.sites:
        integration = draw.choice(INTEGRATIONS)
        width = squeeze_width(site.feature_maps[integration].channels, draw.choice([2, 5, 16]))
        block = SE(
            integration, width, draw.choice(SQUEEZES), draw.choice(GATES), draw.random() < 0.5
        )
        blocks.append(block if draw.random() < 0.7 else None)
    return Candidate(backbone, tuple(blocks))


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


@pytest.mark.parametrize("seed", range(25))
def test_the_closed_form_is_what_fvcore_counts(seed):
    candidate = random_candidate(describe_backbone("resnet20_bottleneck", 1, 28, 10), seed)
    assert count_cost(candidate) == trace_cost(build(candidate, 0), candidate.backbone)


@pytest.mark.parametrize("integration", INTEGRATIONS)
@pytest.mark.parametrize("squeeze", SQUEEZES)
@pytest.mark.parametrize("gate", GATES)
def test_the_closed_form_is_what_fvcore_counts_for_each_kind_of_block(integration, squeeze, gate):
    backbone = describe_backbone("resnet20_bottleneck", 1, 28, 10)
    block = SE(integration, 3, squeeze, gate, bias=True)
    candidate = Candidate(backbone, (None, None, block, None, None, block))
    assert count_cost(candidate) == trace_cost(build(candidate, 0), backbone)


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_closed_form_is_what_fvcore_counts_on_torchvision_networks(name, seed):
    candidate = random_candidate(describe_backbone(name, 3, 64, 10), seed)
    assert count_cost(candidate) == trace_cost(build(candidate, 0), candidate.backbone)


@pytest.mark.parametrize("seed", range(5))
def test_convolutions_and_linear_layers_are_half_of_what_torch_counts(seed):
    candidate = random_candidate(describe_backbone("resnet20_bottleneck", 1, 28, 10), seed)
    model = build(candidate, 0).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 1, 28, 28))
    by_operator = count_cost(candidate).by_operator
    assert 2 * (by_operator["conv"] + by_operator["linear"]) == counter.get_total_flops()


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
