"""What a candidate costs: a closed form that equals fvcore's count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from se_search.candidate import SE, Backbone, Candidate, FeatureMap
from se_search.record import Cost, StageCost

# Squeezes and gates by the names of their operators; fvcore counts a ReLU as nothing.
SQUEEZE_OPERATORS = {"avg": "mean", "max": "amax"}
GATE_OPERATORS = {"sigmoid": "sigmoid", "hard_sigmoid": "hardsigmoid", "tanh": "tanh"}


@dataclass(frozen=True, slots=True)
class BlockCost:
    """What one SE block adds: parameters, and multiply-adds in all and by operator."""

    params: int
    macs: int
    by_operator: tuple[tuple[str, int], ...]


@lru_cache(maxsize=65536)
def count_block(block: SE, feature_map: FeatureMap) -> BlockCost:
    """Count what an SE block adds where it gates such a feature map.

    ``2 * C * w`` parameters (Hu et al. 2019, eq. 5), and ``w + C`` more with biases. The squeeze
    and the scaling cost one multiply-add an element, the gate one a channel, a ReLU nothing.
    """
    channels, pixels = feature_map.channels, feature_map.pixels
    weights = 2 * channels * block.width
    operators = {
        SQUEEZE_OPERATORS[block.squeeze]: channels * pixels,
        "linear": weights,
        "mul": channels * pixels,
    }
    if block.gate in GATE_OPERATORS:
        operators[GATE_OPERATORS[block.gate]] = channels
    params = weights + (block.width + channels if block.bias else 0)
    return BlockCost(params, sum(operators.values()), tuple(operators.items()))


def count_cost(candidate: Candidate) -> Cost:
    """Count what a candidate costs; exact, as ``se_search.models.profile.trace_cost`` counts it."""
    backbone = candidate.backbone
    plain = _count_plain(backbone)
    by_operator = dict(plain.by_operator)
    added_params = dict.fromkeys(plain.by_stage, 0)
    added_macs = added_params.copy()
    for site, block in zip(backbone.sites, candidate.blocks, strict=True):
        if block is None:
            continue
        added = count_block(block, site.feature_maps[block.integration])
        stage = plain.stage_names[site.stage]
        added_params[stage] += added.params
        added_macs[stage] += added.macs
        for operator, macs in added.by_operator:
            by_operator[operator] = by_operator.get(operator, 0) + macs
    by_stage = {
        stage: StageCost(
            cost.params + added_params[stage],
            added_params[stage],
            cost.macs + added_macs[stage],
            added_macs[stage],
        )
        if added_params[stage]
        else cost
        for stage, cost in plain.by_stage.items()
    }
    params, macs = sum(added_params.values()), sum(added_macs.values())
    return Cost(
        plain.params + params,
        params,
        plain.macs + macs,
        macs,
        by_stage,
        by_operator,
        backbone.uncounted,
    )


@dataclass(frozen=True, slots=True)
class _PlainCost:
    params: int
    macs: int
    by_stage: Mapping[str, StageCost]
    by_operator: Mapping[str, int]
    stage_names: Mapping[int, str]


@lru_cache
def _count_plain(backbone: Backbone) -> _PlainCost:
    by_operator: dict[str, int] = {}
    for part in backbone.parts:
        for operator, macs in part.macs.items():
            by_operator[operator] = by_operator.get(operator, 0) + macs
    by_stage = {
        part.name: StageCost(part.params, 0, sum(part.macs.values()), 0) for part in backbone.parts
    }
    return _PlainCost(
        sum(cost.params for cost in by_stage.values()),
        sum(by_operator.values()),
        by_stage,
        by_operator,
        {stage: f"stage{stage}" for stage in backbone.stages},
    )
