"""Counts what networks cost with fvcore, by tracing one image through them."""

from __future__ import annotations

import warnings
from collections import Counter
from typing import Any

import torch
from torch import nn

with warnings.catch_warnings():
    # fvcore compiles a loss on import, and newer versions of torch deprecate that.
    warnings.simplefilter("ignore", FutureWarning)
    warnings.simplefilter("ignore", DeprecationWarning)
    from fvcore.nn import FlopCountAnalysis
    from fvcore.nn.jit_handles import conv_flop_count, elementwise_flop_counter, get_shape

from se_search.backbone import Backbone, FeatureMap, NativeSE, Part
from se_search.cost import Cost, StageCost
from se_search.errors import BackboneError, name_foreign
from se_search.models.backbones import construct
from se_search.models.recording import call_order, evaluation_mode, image_for
from se_search.models.sites import find_parts
from se_search.models.surgery import locate
from se_search.models.units import native_layers


def _count_named_padding(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
    """Count a convolution with ``padding="same"`` or ``"valid"``, an operator of its own."""
    image, weight, output = (get_shape(value) for value in (*inputs[:2], outputs[0]))
    return Counter(conv=conv_flop_count(image, weight, output))


# Operators of SE blocks that fvcore does not count by itself: one multiply-add for each element of
# the input or of the output. ReLU costs nothing, as in fvcore.
SE_HANDLES = {
    "aten::mean": elementwise_flop_counter(1, 0),
    "aten::amax": elementwise_flop_counter(1, 0),
    "aten::var": elementwise_flop_counter(1, 0),
    "aten::sqrt": elementwise_flop_counter(0, 1),
    "aten::lerp": elementwise_flop_counter(0, 1),
    "aten::mul": elementwise_flop_counter(0, 1),
    "aten::sigmoid": elementwise_flop_counter(0, 1),
    "aten::hardsigmoid": elementwise_flop_counter(0, 1),
    "aten::tanh": elementwise_flop_counter(0, 1),
}
CONVOLUTION_HANDLES = {"aten::_convolution_mode": _count_named_padding}


def trace_cost(model: nn.Module, backbone: Backbone) -> Cost:
    """Return what a built candidate costs, by tracing one image through the network.

    What the candidate adds in each part of the network is its count less that of the plain
    backbone.

    Args:
        model: the network.
        backbone: the backbone of the candidate.
    """
    plain = construct(
        backbone.name,
        backbone.in_channels,
        backbone.num_classes,
        seed=0,
        allow_code=backbone.allow_code,
    )
    called = call_order(plain, backbone.in_channels, backbone.image_size)
    names = find_parts(plain, locate(plain, backbone), called)
    analysis = trace(model, backbone.in_channels, backbone.image_size)
    before = {part.name: part for part in backbone.parts}
    by_stage = {}
    for part in count_parts(model, analysis, names):
        macs = sum(part.macs.values())
        by_stage[part.name] = StageCost(
            part.params,
            part.params - before[part.name].params,
            macs,
            macs - sum(before[part.name].macs.values()),
        )
    return Cost(
        params=_num_params(model),
        added_params=sum(stage.added_params for stage in by_stage.values()),
        macs=analysis.total(),
        added_macs=sum(stage.added_macs for stage in by_stage.values()),
        by_stage=by_stage,
        by_operator=dict(analysis.by_operator()),
        uncounted=uncounted_operators(analysis),
    )


def trace_native(module: nn.Module, channels: int, path: str) -> NativeSE:
    """Describe an SE block that a network came with.

    Args:
        module: the SE block.
        channels: channels of the feature map that it gates.
        path: path of the SE block, for the message of an error.

    Raises:
        BackboneError: the design is not one squeeze, two layers and one gate.
    """
    reduce, expand = native_layers(module).values()
    width = reduce.out_channels
    sample = FeatureMap(channels, 9)
    image = next(module.parameters()).new_zeros(1, channels, 3, 3)
    analysis = _count(module, image)
    counted = analysis.by_operator()
    elements, weights = sample.channels * sample.pixels, 2 * channels * width
    found = {
        "squeeze": [op for op in ("mean", "adaptive_avg_pool2d") if counted[op] == elements],
        "excite": [op for op in ("conv", "linear") if counted[op] == weights],
        "gate": [op for op in ("sigmoid", "hardsigmoid") if counted[op] == channels],
    }
    is_known = all(len(operators) == 1 for operators in found.values())
    params = weights + (width + channels if reduce.bias is not None else 0)
    if (
        not is_known
        or counted["mul"] != elements
        or len([count for count in counted.values() if count]) != 4
        or _num_params(module) != params
        or (expand.in_channels, expand.out_channels) != (width, channels)
    ):
        raise BackboneError(
            f"the SE block {path!r} has an unknown design: {type(module).__name__} "
            f"with {_num_params(module)} parameters runs {dict(counted)}"
        )
    return NativeSE(
        width,
        reduce.bias is not None,
        found["squeeze"][0],
        found["excite"][0],
        found["gate"][0],
        uncounted_operators(analysis),
    )


def count_parts(
    model: nn.Module, analysis: FlopCountAnalysis, names: dict[str, str]
) -> tuple[Part, ...]:
    """Return the cost of each part; operations outside of all named modules count as the head's.

    Args:
        model: the network.
        analysis: the network's trace.
        names: for each module path the name of its part; see ``find_parts``.
    """
    by_module = analysis.by_module_and_operator()
    params: Counter[str] = Counter()
    macs: dict[str, Counter[str]] = {}
    for path, part in names.items():
        params[part] += _num_params(model.get_submodule(path))
        macs.setdefault(part, Counter()).update(by_module[path])
    rest = Counter(by_module[""])
    for counted in macs.values():
        rest.subtract(counted)
    head = macs.setdefault("head", Counter())
    head.update({operator: count for operator, count in rest.items() if count})
    params["head"] += _num_params(model) - sum(params.values())
    return tuple(Part(part, params[part], dict(macs[part])) for part in macs)


def trace(model: nn.Module, in_channels: int, image_size: int) -> FlopCountAnalysis:
    """Trace one image through the network in evaluation mode.

    Raises:
        BackboneError: fvcore can't trace the network.
    """
    scripted = [
        path for path, module in model.named_modules() if isinstance(module, torch.jit.ScriptModule)
    ]
    if scripted:
        raise BackboneError(
            f"{type(model).__name__} has modules that TorchScript has compiled "
            f"({scripted[0] or 'the network itself'}), in which nothing can be counted; allowed: "
            "the same modules without torch.jit.script"
        )
    try:
        return _count(model, image_for(model, in_channels, image_size))
    except Exception as error:  # foreign code may raise whatever it likes when it is traced
        raise BackboneError(
            f"{type(model).__name__} runs, but what it costs can't be counted, because "
            f"torch.jit.trace fails: {name_foreign(error)}"
        ) from error


def _count(model: nn.Module, image: torch.Tensor) -> FlopCountAnalysis:
    analysis = (
        FlopCountAnalysis(model, image)
        .set_op_handle(**SE_HANDLES, **CONVOLUTION_HANDLES)
        .unsupported_ops_warnings(False)
        .uncalled_modules_warnings(False)
        .tracer_warnings("none")
    )
    with evaluation_mode(model), torch.no_grad():
        analysis.total()  # traces, and keeps the counts
    return analysis


def _num_params(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def uncounted_operators(analysis: FlopCountAnalysis) -> tuple[str, ...]:
    """Return the operators that ran and that fvcore does not count, by name."""
    return tuple(sorted(name.removeprefix("aten::") for name in analysis.unsupported_ops()))
