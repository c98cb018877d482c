"""Costs of candidates before any training: a closed form that equals fvcore's count."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from se_search.backbone import Backbone, FeatureMap, NativeSE
from se_search.candidate import SE, Candidate, Kind, eca_kernel
from se_search.errors import SpaceError
from se_search.space.allowed import AllowedCandidates
from se_search.space.bound import BoundSpace
from se_search.space.schema import Limits

# For each squeeze the operators that read the whole feature map, and those that follow on one
# number a channel; for each gate its operator. A ReLU and a clamp cost nothing, as in fvcore.
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
    """What one stage, the stem or the head costs.

    Attributes:
        params: number of parameters, SE blocks included.
        added_params: parameters of the SE blocks.
        macs: multiply-adds for one image, SE blocks included.
        added_macs: multiply-adds of the SE blocks.
    """

    params: int
    added_params: int
    macs: int
    added_macs: int


@dataclass(frozen=True, slots=True)
class Cost:
    """What a candidate costs; ``count_cost`` makes it.

    Attributes:
        params: number of parameters, SE blocks included.
        added_params: parameters of the SE blocks.
        macs: multiply-adds for one image, SE blocks included: every operator that fvcore counts,
            and one for each element in pooling, gates and scaling of the SE blocks.
        added_macs: multiply-adds of the SE blocks.
        by_stage: costs of the stem, each stage and the head, in forward order.
        by_operator: ``macs`` of each operator: ``conv``, ``linear``, ``batch_norm``, ``mean``, ...
        uncounted: operators that the network runs and that ``macs`` leaves out.
        latency: nanoseconds that a batch takes: the plain network's time and ``added_latency``;
            None: nothing has been measured. Unlike the others it depends on the device; see
            ``latency.sums``.
        added_latency: nanoseconds of the SE blocks, a sum of what each was measured to take.
    """

    params: int
    added_params: int
    macs: int
    added_macs: int
    by_stage: Mapping[str, StageCost] = field(hash=False)
    by_operator: Mapping[str, int] = field(hash=False)
    uncounted: tuple[str, ...] = ()
    latency: int | None = None
    added_latency: int | None = None

    @property
    def added_params_pct(self) -> float:
        """Parameters of the SE blocks in per cent of the plain backbone's parameters."""
        return 100.0 * self.added_params / (self.params - self.added_params)

    @property
    def added_macs_pct(self) -> float:
        """Multiply-adds of the SE blocks in per cent of the plain backbone's multiply-adds."""
        return 100.0 * self.added_macs / (self.macs - self.added_macs)


@dataclass(frozen=True, slots=True)
class BlockCost:
    """What an SE block costs: parameters, and multiply-adds in total and for each operator."""

    params: int
    macs: int
    by_operator: tuple[tuple[str, int], ...]


@lru_cache(maxsize=65536)
def count_block(block: SE, feature_map: FeatureMap, native: NativeSE | None = None) -> BlockCost:
    """Return what an SE block costs on a feature map.

    The squeeze and the scaling cost one multiply-add an element, the gate one a channel, a ReLU
    none.

    Args:
        block: the SE block.
        feature_map: the feature map that it gates.
        native: the SE block that the network came with at the site; needed for the integration
            ``native``.
    """
    channels, elements = feature_map.channels, feature_map.channels * feature_map.pixels
    if block.integration == "native":
        assert native is not None
        params, operators = _count_native(block.width, native, channels, elements)
    else:
        params, operators = COUNTS[block.kind](block, channels, elements)
    return BlockCost(params, sum(operators.values()), tuple(operators.items()))


def count_cost(candidate: Candidate) -> Cost:
    """Return what a candidate costs, exactly as a trace of the built network counts it.

    No network is built, and PyTorch is not imported.

    Example:
        >>> from se_search.models.catalogue import describe_backbone
        >>> backbone = describe_backbone("resnet50", 3, 224, 1000)
        >>> cost = count_cost(Candidate.parse("resnet50/all=standard:r16", backbone))
        >>> cost.added_params
        2514944
        >>> round(cost.added_params_pct, 1)
        9.8
    """
    if not isinstance(candidate, Candidate):
        raise TypeError(f"count_cost takes a Candidate, not {candidate!r:.80}")
    backbone = candidate.backbone
    plain = _count_plain(backbone)
    by_operator = dict(plain.by_operator)
    added_params = dict.fromkeys(plain.by_stage, 0)
    added_macs = added_params.copy()
    uncounted = set(backbone.uncounted)
    for site, block in zip(backbone.sites, candidate.blocks, strict=True):
        if block is None:
            continue
        if site.native is not None and block.integration == "native":
            uncounted.update(site.native.uncounted)
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
        tuple(sorted(uncounted)),
    )


def count_space(space: BoundSpace) -> NDArray[np.int64]:
    """Return what every candidate of a space adds to the plain backbone.

    A hundred thousand candidates take less than a second, because only the levels of each slot
    are counted, and the rest are sums. All candidates must fit into memory.

    Returns:
        ``(size, 2)``: parameters and multiply-adds of the SE blocks, in the order of
        ``space.candidate_at``.

    Example:
        >>> from se_search.models.catalogue import describe_backbone
        >>> from se_search.space.schema import read_space
        >>> backbone = describe_backbone("resnet20_bottleneck", 1, 28, 10)
        >>> count_space(BoundSpace(read_space("stages"), backbone)).shape
        (16, 2)
    """
    return space.price_codes(space.codes(), _count_added)


def _count_se(block: SE, channels: int, elements: int) -> tuple[int, dict[str, int]]:
    """Count ``2 C w`` parameters (Hu et al. 2019, eq. 5), and ``w + C`` more with biases."""
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


def is_within(limits: Limits, candidate: Candidate) -> bool:
    """Return whether a candidate costs no more than the limits of a space allow."""
    cost = count_cost(candidate)
    most_params, most_macs = _find_bounds(limits, candidate.backbone)
    return (most_params is None or cost.added_params <= most_params) and (
        most_macs is None or cost.added_macs <= most_macs
    )


def find_allowed(space: BoundSpace) -> AllowedCandidates:
    """Return the candidates of a space that are within its limits.

    Raises:
        SpaceError: there is none; the message says what the cheapest costs.
    """
    bounds = _find_bounds(space.space.limits, space.backbone)
    allowed = AllowedCandidates(space, _count_added, bounds)
    if allowed.is_limited and allowed.cheapest is None:
        raise SpaceError(_describe_nothing(space, bounds))
    return allowed


def _count_added(candidate: Candidate) -> tuple[int, int]:
    cost = count_cost(candidate)
    return cost.added_params, cost.added_macs


def _find_bounds(limits: Limits, backbone: Backbone) -> tuple[int | None, int | None]:
    """Return the most parameters and multiply-adds that SE may add; None: as many as it likes."""
    plain = _count_plain(backbone)
    return (
        _least(_share_of(limits.added_params, plain.params), limits.params, plain.params),
        _least(_share_of(limits.added_macs, plain.macs), limits.macs, plain.macs),
    )


def _share_of(share: float | None, whole: int) -> int | None:
    # A share is the decimal number of the file: 0.07 of 100 is 7, not 7.000000000000001.
    return None if share is None else math.floor(Fraction(repr(share)) * whole)


def _least(added: int | None, total: int | None, plain: int) -> int | None:
    bounds = [added, None if total is None else total - plain]
    return min((bound for bound in bounds if bound is not None), default=None)


def _describe_nothing(space: BoundSpace, bounds: tuple[int | None, int | None]) -> str:
    """Say what the cheapest candidate costs against the limits that leave nothing."""
    limits = ", ".join(f"{name} {value}" for name, value in space.space.limits if value is not None)
    head = f"the limits ({limits}) leave no candidate on {space.backbone.name}"
    plain = _count_plain(space.backbone)
    least, _ = space.price_extremes(_count_added)
    for noun, bound, added, whole in zip(
        ("parameters", "multiply-adds"),
        bounds,
        least.tolist(),
        (plain.params, plain.macs),
        strict=True,
    ):
        if bound is not None and bound < 0:
            return (
                f"{head}: the cheapest candidate has {whole + added:,} {noun}, and at most "
                f"{whole + bound:,} are allowed"
            )
        if bound is not None and added > bound:
            return (
                f"{head}: the cheapest candidate adds {added:,} {noun} "
                f"({100 * added / whole:.4g} %), and at most {bound:,} "
                f"({100 * bound / whole:.4g} %) are allowed"
            )
    cheapest = AllowedCandidates(space, lambda one: _count_added(one)[::-1], (None, bounds[0]))
    assert cheapest.cheapest is not None  # each bound alone leaves candidates
    return (
        f"{head}: candidates that add at most {bounds[0]:,} parameters add at least "
        f"{_count_added(cheapest.cheapest)[1]:,} multiply-adds, and at most {bounds[1]:,} are "
        "allowed"
    )
