"""Profiles: measures a backbone, and what a built candidate costs, with fvcore."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

with warnings.catch_warnings():
    # fvcore compiles a loss on import, and newer versions of torch deprecate that.
    warnings.simplefilter("ignore", FutureWarning)
    warnings.simplefilter("ignore", DeprecationWarning)
    from fvcore.nn import FlopCountAnalysis
    from fvcore.nn.jit_handles import elementwise_flop_counter

from se_search.candidate import Backbone, FeatureMap, NativeSE, Part, Site
from se_search.cost import Cost, StageCost
from se_search.errors import BackboneError
from se_search.models.backbones import construct
from se_search.models.own import ask_sites, is_own_name, read_sites
from se_search.models.sites import (
    ModuleSite,
    find_parts,
    locate_sites,
    measure_sites,
    named_sites,
    native_layers,
)
from se_search.models.surgery import locate, se_modules, strip

# What fvcore leaves out of an SE block, at one each element of the input or of the output.
# ReLU stays free, as fvcore has it.
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


def profile(
    name: str,
    in_channels: int,
    image_size: int,
    num_classes: int,
    *,
    allow_code: bool = False,
    site_file: Path | None = None,
) -> Backbone:
    """Construct a backbone, and measure its sites and what its parts cost without SE.

    Raises:
        BackboneError: there is no such backbone, it takes images of other channels, it is code
            that may not be run, or it has no sites.
    """
    model = construct(name, in_channels, num_classes, seed=0, allow_code=allow_code).eval()
    listed = ask_sites(model) if site_file is None else read_sites(site_file, model)
    located = locate_sites(model) if listed is None else named_sites(listed.stages, listed.attach)
    sites = measure_sites(model, in_channels, image_size, located)
    _check_logits(model, name, in_channels, image_size, num_classes)
    sites = tuple(
        _add_native(site, model, module_site)
        for site, module_site in zip(sites, located, strict=True)
    )
    strip(model, located)
    analysis = _trace(model, in_channels, image_size)
    parts = _count_parts(model, analysis, find_parts(model, located))
    return Backbone(
        name,
        in_channels,
        image_size,
        num_classes,
        sites,
        parts,
        _uncounted(analysis),
        allow_code=is_own_name(name),
        attach=None if listed is None else listed.attach,
    )


def trace_cost(model: nn.Module, backbone: Backbone) -> Cost:
    """Count what a built candidate costs by tracing it: slow, but it counts what really runs."""
    plain = construct(
        backbone.name,
        backbone.in_channels,
        backbone.num_classes,
        seed=0,
        allow_code=backbone.allow_code,
    )
    names = find_parts(plain, locate(plain, backbone))
    analysis = _trace(model, backbone.in_channels, backbone.image_size)
    macs_by_module = analysis.by_module()
    blocks = se_modules(model)
    by_stage = {}
    for part in _count_parts(model, analysis, names):
        modules = [path for path, name in names.items() if name == part.name]
        inside = [path for path in blocks if f"{path}.".startswith(tuple(f"{m}." for m in modules))]
        by_stage[part.name] = StageCost(
            part.params,
            sum(_num_params(blocks[path]) for path in inside),
            sum(part.macs.values()),
            sum(macs_by_module[path] for path in inside),
        )
    return Cost(
        params=_num_params(model),
        added_params=sum(_num_params(block) for block in blocks.values()),
        macs=analysis.total(),
        added_macs=sum(macs_by_module[path] for path in blocks),
        by_stage=by_stage,
        by_operator=dict(analysis.by_operator()),
        uncounted=_uncounted(analysis),
    )


def _count_parts(
    model: nn.Module, analysis: FlopCountAnalysis, names: dict[str, str]
) -> tuple[Part, ...]:
    """Count each part; what the network does outside of the named modules is of the head."""
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


def _add_native(site: Site, model: nn.Module, module_site: ModuleSite) -> Site:
    """Add what the SE block that the network came with costs, found by tracing it alone."""
    if "native" not in site.feature_maps:
        return site
    path = module_site.attach_points["native"].path
    module = model.get_submodule(path)
    channels = site.feature_maps["native"].channels
    return replace(site, native=trace_native(module, channels, path))


def trace_native(module: nn.Module, channels: int, path: str) -> NativeSE:
    """Return what an SE block costs that a network came with.

    Raises:
        BackboneError: it is of another design than one squeeze, two layers and one gate.
    """
    reduce, expand = native_layers(module).values()
    width = reduce.out_channels
    sample = FeatureMap(channels, 9)
    image = next(module.parameters()).new_zeros(1, channels, 3, 3)
    counted = _count(module, image).by_operator()
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
            f"the SE block {path!r} is of a design that is not known: {type(module).__name__} "
            f"with {_num_params(module)} parameters runs {dict(counted)}"
        )
    return NativeSE(
        width,
        reduce.bias is not None,
        found["squeeze"][0],
        found["excite"][0],
        found["gate"][0],
    )


def _check_logits(
    model: nn.Module, name: str, in_channels: int, image_size: int, num_classes: int
) -> None:
    with torch.no_grad():
        logits = model(torch.zeros(1, in_channels, image_size, image_size))
    if not isinstance(logits, torch.Tensor) or tuple(logits.shape) != (1, num_classes):
        shape = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise BackboneError(
            f"{name} gives {shape} for one image, not (1, {num_classes}): one number a class"
        )


def _trace(model: nn.Module, in_channels: int, image_size: int) -> FlopCountAnalysis:
    """Trace one image through the network in evaluation mode."""
    like = next(model.parameters())
    return _count(model, like.new_zeros(1, in_channels, image_size, image_size))


def _count(model: nn.Module, image: torch.Tensor) -> FlopCountAnalysis:
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


def _num_params(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _uncounted(analysis: FlopCountAnalysis) -> tuple[str, ...]:
    return tuple(sorted(name.removeprefix("aten::") for name in analysis.unsupported_ops()))
