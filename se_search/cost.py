"""What a candidate costs: a closed form that equals fvcore's count."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from se_search.candidate import SE, Backbone, Candidate, FeatureMap, Kind, NativeSE, eca_kernel
from se_search.space.bound import BoundSpace

# Squeezes by the operators that read the whole feature map, and those that follow on a number a
# channel; gates by theirs. fvcore counts a ReLU and a clamp as nothing.
SQUEEZE_OPERATORS = {
    "avg": ("mean",),
    "max": ("amax",),
    "avgmax": ("mean", "amax"),
    "std": ("var",),
    "none": (),
}
POOLED_OPERATORS = {"avgmax": "lerp", "std": "sqrt"}
GATE_OPERATORS = {"sigmoid": "sigmoid", "hard_sigmoid": "hardsigmoid", "tanh": "tanh"}


@dataclass(frozen=True, slots=True)
class StageCost:
    """What one stage (or the stem, or the head) costs, and how much of it is SE."""

    params: int
    added_params: int
    macs: int
    added_macs: int


@dataclass(frozen=True, slots=True)
class Cost:
    """What a candidate costs; exact, and known before any training.

    Attributes:
        params: all parameters.
        added_params: those of the SE blocks.
        macs: multiply-adds for one image, with every operator that fvcore counts, and the
            pooling, gates and scaling of the SE blocks at one each element.
        added_macs: those of the SE blocks.
        by_stage: the same for the stem, each stage and the head, in forward order.
        by_operator: ``macs`` by operator: ``conv``, ``linear``, ``batch_norm``, ``mean``, ...
        uncounted: operators that are not in ``macs``.
    """

    params: int
    added_params: int
    macs: int
    added_macs: int
    by_stage: Mapping[str, StageCost] = field(hash=False)
    by_operator: Mapping[str, int] = field(hash=False)
    uncounted: tuple[str, ...] = ()

    @property
    def added_params_pct(self) -> float:
        """Added parameters in per cent of the plain backbone's."""
        return 100.0 * self.added_params / (self.params - self.added_params)

    @property
    def added_macs_pct(self) -> float:
        """Added multiply-adds in per cent of the plain backbone's."""
        return 100.0 * self.added_macs / (self.macs - self.added_macs)


@dataclass(frozen=True, slots=True)
class BlockCost:
    """What one SE block adds: parameters, and multiply-adds in all and by operator."""

    params: int
    macs: int
    by_operator: tuple[tuple[str, int], ...]


@lru_cache(maxsize=65536)
def count_block(block: SE, feature_map: FeatureMap, native: NativeSE | None = None) -> BlockCost:
    """Count what a block adds where it gates such a feature map.

    The squeeze and the scaling cost one multiply-add an element, the gate one a channel, a ReLU
    nothing.

    Args:
        block: the block.
        feature_map: what it gates.
        native: the SE block that the network came with there, for an integration ``native``.
    """
    channels, elements = feature_map.channels, feature_map.channels * feature_map.pixels
    if block.integration == "native":
        assert native is not None
        params, operators = _count_native(block.width, native, channels, elements)
    else:
        params, operators = COUNTS[block.kind](block, channels, elements)
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
        added = count_block(block, site.feature_maps[block.integration], site.native)
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
        if added_macs[stage]  # not parameters: Gather-Excite has none
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


def count_space(space: BoundSpace) -> NDArray[np.int64]:
    """Count what every candidate of a space adds; ``(size, 2)``: parameters and multiply-adds.

    The candidates come in the order of their numbers, as ``space.candidate_at`` has them. A
    hundred thousand take less than a second, because the slots are counted, not the candidates;
    the whole of it must fit into memory.
    """

    def count_added(candidate: Candidate) -> tuple[int, int]:
        cost = count_cost(candidate)
        return cost.added_params, cost.added_macs

    return space.add_up(count_added)


def _count_se(block: SE, channels: int, elements: int) -> tuple[int, dict[str, int]]:
    """Count ``2 * C * w`` parameters (Hu et al. 2019, eq. 5), and ``w + C`` more with biases."""
    # Without a squeeze both layers and the gate work at every pixel.
    gates = elements if block.squeeze == "none" else channels
    operators = dict.fromkeys(SQUEEZE_OPERATORS[block.squeeze], elements)
    if block.squeeze in POOLED_OPERATORS:
        operators[POOLED_OPERATORS[block.squeeze]] = channels
    operators["conv" if block.squeeze == "none" else "linear"] = 2 * gates * block.width
    if block.gate in GATE_OPERATORS:
        operators[GATE_OPERATORS[block.gate]] = gates
    operators["mul"] = elements + (gates if block.gate_init == "double" else 0)
    biases = block.width + channels if block.bias else 0
    return 2 * channels * block.width + biases, operators


def _count_ese(block: SE, channels: int, elements: int) -> tuple[int, dict[str, int]]:
    layer = channels * channels
    operators = {"mean": elements, "linear": layer, "hardsigmoid": channels, "mul": elements}
    return layer + channels, operators


def _count_eca(block: SE, channels: int, elements: int) -> tuple[int, dict[str, int]]:
    size = eca_kernel(channels)
    operators = {"mean": elements, "conv": size * channels, "sigmoid": channels, "mul": elements}
    return size, operators


def _count_ge(block: SE, channels: int, elements: int) -> tuple[int, dict[str, int]]:
    return 0, {"mean": elements, "sigmoid": channels, "mul": elements}


COUNTS: dict[Kind, Callable[[SE, int, int], tuple[int, dict[str, int]]]] = {
    "se": _count_se,
    "ese": _count_ese,
    "eca": _count_eca,
    "ge": _count_ge,
}


def _count_native(
    width: int, native: NativeSE, channels: int, elements: int
) -> tuple[int, dict[str, int]]:
    weights = 2 * channels * width
    operators = {
        native.squeeze_operator: elements,
        native.excite_operator: weights,
        native.gate_operator: channels,
        "mul": elements,
    }
    return weights + (width + channels if native.bias else 0), operators


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
