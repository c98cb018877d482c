"""Profiles: measures a backbone, and what a built candidate costs, with fvcore."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

with warnings.catch_warnings():
    # fvcore compiles a loss on import, and newer versions of torch deprecate that.
    warnings.simplefilter("ignore", FutureWarning)
    warnings.simplefilter("ignore", DeprecationWarning)
    from fvcore.nn import FlopCountAnalysis
    from fvcore.nn.jit_handles import elementwise_flop_counter

from se_search.candidate import Backbone, Part
from se_search.models.backbones import construct
from se_search.models.sites import measure_sites, stage_of
from se_search.models.squeeze_excite import SqueezeExcite
from se_search.record import Cost, StageCost

# What fvcore leaves out of an SE block, at one each element of the input or of the output.
# ReLU stays free, as fvcore has it.
SE_HANDLES = {
    "aten::mean": elementwise_flop_counter(1, 0),
    "aten::amax": elementwise_flop_counter(1, 0),
    "aten::mul": elementwise_flop_counter(0, 1),
    "aten::sigmoid": elementwise_flop_counter(0, 1),
    "aten::hardsigmoid": elementwise_flop_counter(0, 1),
    "aten::tanh": elementwise_flop_counter(0, 1),
}


def profile(name: str, in_channels: int, image_size: int, num_classes: int) -> Backbone:
    """Construct a backbone, and measure its sites and what its parts cost.

    Raises:
        BackboneError: there is no such backbone, or it takes images of other channels.
    """
    model = construct(name, in_channels, num_classes, seed=0).eval()
    analysis = _trace(model, in_channels, image_size)
    macs_by_module = analysis.by_module_and_operator()
    params: Counter[str] = Counter()
    macs: dict[str, Counter[str]] = {}
    for module_name, part in _parts(model).items():
        params[part] += _num_params(model.get_submodule(module_name))
        macs.setdefault(part, Counter()).update(macs_by_module[module_name])
    assert analysis.total() == sum(sum(part.values()) for part in macs.values())
    return Backbone(
        name,
        in_channels,
        image_size,
        num_classes,
        measure_sites(model, in_channels, image_size),
        tuple(Part(part, params[part], dict(macs[part])) for part in macs),
        _uncounted(analysis),
    )


def trace_cost(model: nn.Module, backbone: Backbone) -> Cost:
    """Count what a built candidate costs by tracing it: slow, but it counts what really runs."""
    analysis = _trace(model, backbone.in_channels, backbone.image_size)
    macs_by_module = analysis.by_module()
    blocks = {
        name: module for name, module in model.named_modules() if isinstance(module, SqueezeExcite)
    }
    parts = _parts(model)
    by_stage = {part: StageCost(0, 0, 0, 0) for part in parts.values()}
    for module_name, part in parts.items():
        inside = [name for name in blocks if name.startswith(f"{module_name}.")]
        before = by_stage[part]
        by_stage[part] = StageCost(
            before.params + _num_params(model.get_submodule(module_name)),
            before.added_params + sum(_num_params(blocks[name]) for name in inside),
            before.macs + macs_by_module[module_name],
            before.added_macs + sum(macs_by_module[name] for name in inside),
        )
    return Cost(
        params=_num_params(model),
        added_params=sum(_num_params(block) for block in blocks.values()),
        macs=analysis.total(),
        added_macs=sum(macs_by_module[name] for name in blocks),
        by_stage=by_stage,
        by_operator=dict(analysis.by_operator()),
        uncounted=_uncounted(analysis),
    )


def _trace(model: nn.Module, in_channels: int, image_size: int) -> FlopCountAnalysis:
    """Trace one image through the network in evaluation mode."""
    like = next(model.parameters())
    image = like.new_zeros(1, in_channels, image_size, image_size)
    analysis = (
        FlopCountAnalysis(model, image)
        .set_op_handle(**SE_HANDLES)
        .unsupported_ops_warnings(False)
        .uncalled_modules_warnings(False)
        .tracer_warnings("none")
    )
    with _evaluation_mode(model), torch.no_grad():
        analysis.total()  # traces, and keeps what it finds
    return analysis


@contextmanager
def _evaluation_mode(model: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _parts(model: nn.Module) -> dict[str, str]:
    """Say for each top-level module whether it is of the stem, of which stage, or of the head."""
    parts = {}
    part = "stem"
    for name, _ in model.named_children():
        stage = stage_of(name)
        if stage is not None:
            part = f"stage{stage}"
        elif part != "stem":
            part = "head"
        parts[name] = part
    return parts


def _num_params(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _uncounted(analysis: FlopCountAnalysis) -> tuple[str, ...]:
    return tuple(sorted(name.removeprefix("aten::") for name in analysis.unsupported_ops()))
