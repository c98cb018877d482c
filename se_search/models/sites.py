"""Sites of a network: finds the places that can carry SE by inspection, and measures them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from se_search.candidate import INTEGRATIONS, FeatureMap, Integration, Site
from se_search.errors import BackboneError

Side = Literal["before", "after", "instead"]
Points = Mapping[Integration, tuple[str, Side]]

# The 3x3 convolution is followed by conv3 in a bottleneck; in a basic block its first 3x3
# convolution is meant, which is followed by conv2.
BASIC_BLOCK: Points = {
    "standard": ("bn2", "after"),
    "pre": ("conv1", "before"),
    "post": ("", "after"),
    "identity": ("downsample", "after"),
    "inner": ("conv2", "before"),
    "rectified": ("bn2", "after"),
}
BOTTLENECK: Points = {
    **BASIC_BLOCK,
    "standard": ("bn3", "after"),
    "inner": ("conv3", "before"),
    "rectified": ("bn3", "after"),
}
OUTPUT: Points = {"standard": ("", "after")}
BRANCH: Points = {"standard": ("conv2d", "after")}

# Units that can carry SE, by the full names of their classes, so that no library is imported just
# to look for its blocks. A unit of our own says it itself, as its class attribute ``se_points``.
UNITS: dict[str, Points] = {
    "torchvision.models.resnet.BasicBlock": BASIC_BLOCK,
    "torchvision.models.resnet.Bottleneck": BOTTLENECK,
    "torchvision.models.googlenet.Inception": OUTPUT,
    "timm.models.resnet.BasicBlock": BASIC_BLOCK,
    "timm.models.resnet.Bottleneck": BOTTLENECK,
    # The paper leaves open where SE is in a MobileNet; its parameters fit the pointwise output.
    "timm.models._efficientnet_blocks.DepthwiseSeparableConv": {
        "standard": ("bn2", "after"),
        "inner": ("conv_pw", "before"),
    },
    "timm.models._efficientnet_blocks.InvertedResidual": {
        "standard": ("bn3", "after"),
        "inner": ("conv_pwl", "before"),
    },
    "timm.models.inception_resnet_v2.Block35": BRANCH,  # before the branch is scaled
    "timm.models.inception_resnet_v2.Block17": BRANCH,
    "timm.models.inception_resnet_v2.Block8": BRANCH,
    "timm.models.inception_resnet_v2.Mixed_5b": OUTPUT,
    "timm.models.inception_resnet_v2.Mixed_6a": OUTPUT,
    "timm.models.inception_resnet_v2.Mixed_7a": OUTPUT,
}

# Networks without units: SE stands after the ReLU of each convolution in ``features``.
CHAINS = ("torchvision.models.vgg.VGG", "timm.models.vgg.VGG")

# SE blocks that networks come with, by class, with the names of their two layers.
NATIVE: dict[str, tuple[str, str]] = {
    "torchvision.ops.misc.SqueezeExcitation": ("fc1", "fc2"),
    "timm.layers.squeeze_excite.SEModule": ("fc1", "fc2"),
    "timm.models._efficientnet_blocks.SqueezeExcite": ("conv_reduce", "conv_expand"),
    "timm.models.senet.SEModule": ("fc1", "fc2"),
}


@dataclass(frozen=True, slots=True)
class AttachPoint:
    """Where an SE block goes: before, after or instead of the module at a path.

    A bare identity shortcut has no module: its path (``layer1.1.downsample``) leads to None.
    """

    path: str
    side: Side


@dataclass(frozen=True, slots=True)
class ModuleSite:
    """One unit of a network that can carry SE, with the attach point for each integration."""

    stage: int
    block: int
    path: str
    attach_points: Mapping[Integration, AttachPoint]

    @property
    def name(self) -> str:
        """The name of the site in a candidate, as ``stage2.block1``."""
        return f"stage{self.stage}.block{self.block}"


def locate_sites(model: nn.Module) -> tuple[ModuleSite, ...]:
    """Find the units of a network that can carry SE, in the order in which it lists them.

    In a network that carries SE already these blocks are the sites, and nothing else. Units in
    ``layer1``, ``layer2``, ... are of stage 2, 3, ... Else each container of units is a stage, and
    where they are not all in containers a stage begins where a stride is; the first is stage 2
    (VGG's: 1, for its first convolution is no stem).

    Raises:
        BackboneError: there are none.
    """
    units = _find_native(model) or _find_chain(model) or _find_units(model)
    if not units:
        raise BackboneError(
            f"{type(model).__name__} has no sites: looked for SE blocks of torchvision and timm, "
            "for their BasicBlock, Bottleneck and Inception modules, and for units with "
            "se_points; name the sites of another network in a file (--sites), or by a method "
            "se_sites()"
        )
    stages = number_stages(model, [path for path, _ in units])
    numbers: Counter[int] = Counter()
    found = []
    for (path, points), stage in zip(units, stages, strict=True):
        numbers[stage] += 1
        attach_points = {
            integration: AttachPoint(_join(path, inner), side)
            for integration, (inner, side) in points.items()
        }
        unit = path if "native" not in points else attach_points["native"].path
        found.append(ModuleSite(stage, numbers[stage], unit, attach_points))
    return tuple(found)


def named_sites(
    stages: Sequence[int], attach: Sequence[Mapping[Integration, tuple[str, str]]]
) -> tuple[ModuleSite, ...]:
    """Return sites at given places, with blocks that count up within each stage.

    Args:
        stages: of each site.
        attach: of each site the path and the side (``before`` or ``after``) of each integration.

    Raises:
        BackboneError: a place of one stage is inside a place of another.
    """
    numbers: Counter[int] = Counter()
    found = []
    for stage, points in zip(stages, attach, strict=True):
        numbers[stage] += 1
        found.append(_named_site(stage, numbers[stage], points))
    owners = [(point.path, site) for site in found for point in site.attach_points.values()]
    for outer, site in owners:
        for inner, other in owners:
            if site.stage != other.stage and f"{inner}.".startswith(f"{outer}."):
                raise BackboneError(
                    f"{site.name} at {outer!r} holds {other.name} at {inner!r}, of another stage"
                )
    return tuple(found)


def measure_sites(
    model: nn.Module,
    in_channels: int,
    image_size: int,
    located: tuple[ModuleSite, ...] | None = None,
) -> tuple[Site, ...]:
    """Find the sites of a plain network in evaluation mode, and measure their feature maps.

    They are measured in a forward pass over one blank image.

    Args:
        model: the network.
        in_channels: channels of the image.
        image_size: its height and width.
        located: the sites, if they are known; else they are found by inspection.

    Raises:
        BackboneError: there are none, the network can't take such an image, or a site is no
            feature map, or not reached, or reached more than once.
    """
    located = locate_sites(model) if located is None else located
    measured: dict[tuple[str, Integration], list[Any]] = {}
    hooks = []
    for site in located:
        for integration, point in site.attach_points.items():
            module = module_at(model, point.path)
            # A bare identity hands on what comes into its block.
            before = point.side != "after" or module is None
            watched = module or model.get_submodule(site.path)
            seen = measured.setdefault((site.name, integration), [])

            def measure(
                module: nn.Module,
                inputs: tuple[Any, ...],
                output: Any,
                seen: list[Any] = seen,
                before: bool = before,
            ) -> None:
                value = (inputs[0] if inputs else None) if before else output
                seen.append(value.shape if isinstance(value, Tensor) else value)

            hooks.append(watched.register_forward_hook(measure))
    try:
        with torch.no_grad():
            model(torch.zeros(1, in_channels, image_size, image_size))
    except Exception as error:  # a foreign network may raise whatever it likes
        raise BackboneError(
            f"{type(model).__name__} can't take an image of {in_channels} x {image_size} x "
            f"{image_size}: {str(error) or type(error).__name__}"
        ) from error
    finally:
        for hook in hooks:
            hook.remove()
    return tuple(
        Site(
            site.stage,
            site.block,
            {
                integration: _feature_map(measured[site.name, integration], site, point)
                for integration, point in site.attach_points.items()
            },
        )
        for site in located
    )


def find_parts(model: nn.Module, located: Sequence[ModuleSite]) -> dict[str, str]:
    """Say of modules, by path, whether they are of the stem, of which stage, or of the head.

    None is inside another. A module between sites is of the stage of the site that follows it.
    """
    stages = {
        point.path: site.stage for site in located for point in site.attach_points.values()
    } | {site.path: site.stage for site in located}
    parts: dict[str, str] = {}
    waiting: list[str] = []

    def visit(path: str, module: nn.Module) -> None:
        inside = {
            stage
            for place, stage in stages.items()
            if place == path or place.startswith(f"{path}.") or not path
        }
        if not inside:
            waiting.append(path)
        elif len(inside) == 1 and path:
            stage = f"stage{inside.pop()}"
            place = stage if parts or is_chain(model) else "stem"
            parts.update(dict.fromkeys(waiting, place))
            waiting.clear()
            parts[path] = stage
        else:
            for name, child in module.named_children():
                visit(_join(path, name), child)

    visit("", model)
    return parts | dict.fromkeys(waiting, "head")


def module_at(model: nn.Module, path: str) -> nn.Module | None:
    """Return the module at a path, or None where a block has no projection.

    Raises:
        BackboneError: the path leads to no module.
    """
    parent, _, name = path.rpartition(".")
    try:
        module = getattr(model.get_submodule(parent), name)
    except AttributeError as error:
        raise BackboneError(f"{type(model).__name__} has no module {path!r}") from error
    if module is not None and not isinstance(module, nn.Module):
        raise BackboneError(f"{path!r} of {type(model).__name__} is no module")
    return module


def native_layers(module: nn.Module) -> dict[str, nn.Conv2d]:
    """Return the two layers by name if this is an SE block that networks come with; else none."""
    names = next((NATIVE[name] for name in _class_names(module) if name in NATIVE), ())
    layers = {name: module.get_submodule(name) for name in names}
    return {name: layer for name, layer in layers.items() if isinstance(layer, nn.Conv2d)}


def is_chain(model: nn.Module) -> bool:
    """Tell whether this is a network like VGG, that is one chain of convolutions."""
    return any(name in CHAINS for name in _class_names(model))


def number_stages(model: nn.Module, paths: Sequence[str]) -> list[int]:
    """Return the stage of each unit, by the rule of ``locate_sites``."""
    layers = [re.match(r"layer(\d+)\.", path) for path in paths]
    if all(layers):
        return [int(match[1]) + 1 for match in layers if match]
    containers = [path.rpartition(".")[0] for path in paths]
    if all(containers) and len(set(containers)) > 1:
        numbers = {name: number for number, name in enumerate(dict.fromkeys(containers), start=2)}
        return [numbers[name] for name in containers]
    return _number_by_size(model, paths, first=1 if is_chain(model) else 2)


def _number_by_size(model: nn.Module, paths: Sequence[str], first: int) -> list[int]:
    stage, is_new = first - 1, True
    stages: dict[str, int] = {}
    unit = None
    for name, module in model.named_modules():
        if unit is not None and name.startswith(f"{unit}."):
            continue
        if name in paths:
            unit = name
            if is_new or any(_shrinks(inner) for inner in module.modules()):
                stage += 1
            is_new = False
            stages[name] = stage
        elif _shrinks(module):
            is_new = True
    return [stages[path] for path in paths]


def _shrinks(module: nn.Module) -> bool:
    if not isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
        return False
    stride = module.stride
    return max(stride if isinstance(stride, tuple) else (stride,)) > 1


def _find_native(model: nn.Module) -> list[tuple[str, Points]]:
    """Find SE blocks; their unit is the module around them that is no mere sequence."""
    found: list[tuple[str, Points]] = []
    for path, module in model.named_modules():
        if not native_layers(module):
            continue
        unit, _, inner = path.rpartition(".")
        while unit and isinstance(model.get_submodule(unit), nn.Sequential):
            unit, _, name = unit.rpartition(".")
            inner = f"{name}.{inner}"
        points: Points = {"native": (inner if unit else "", "instead")}
        found.append((unit or path, points))
    return found


def _find_chain(model: nn.Module) -> list[tuple[str, Points]]:
    if not is_chain(model):
        return []
    features = model.get_submodule("features")
    return [
        (f"features.{name}", OUTPUT)
        for name, module in features.named_children()
        if isinstance(module, nn.ReLU)
    ]


def _find_units(model: nn.Module) -> list[tuple[str, Points]]:
    found: list[tuple[str, Points]] = []
    for path, module in model.named_modules():
        if not path or (found and path.startswith(f"{found[-1][0]}.")):
            continue
        points = _points_of(module)
        if points is not None:
            found.append((path, points))
    return found


def _points_of(unit: nn.Module) -> Points | None:
    declared = getattr(type(unit), "se_points", None)
    if declared is None:
        known = [UNITS[name] for name in _class_names(unit) if name in UNITS]
        return known[0] if known else None
    for integration, (_, side) in declared.items():
        if integration not in INTEGRATIONS or side not in get_args(Side):
            raise BackboneError(
                f"se_points of {type(unit).__name__}: {integration!r}: {side!r} is none of "
                f"{', '.join(INTEGRATIONS)} with before or after"
            )
    points: Points = declared
    return points


def _named_site(
    stage: int, block: int, points: Mapping[Integration, tuple[str, str]]
) -> ModuleSite:
    attach_points = {
        integration: AttachPoint(path, "before" if side == "before" else "after")
        for integration, (path, side) in points.items()
    }
    first = next(iter(attach_points.values()))
    return ModuleSite(stage, block, first.path, attach_points)


def _feature_map(seen: list[Any], site: ModuleSite, point: AttachPoint) -> FeatureMap:
    where = f"{site.name}, {point.side} {point.path!r}"
    if not seen:
        raise BackboneError(f"{where}: no forward pass reaches this module")
    if len(seen) > 1:
        raise BackboneError(
            f"{where}: a forward pass runs this module {len(seen)} times; a site is run once"
        )
    if not isinstance(seen[0], torch.Size) or len(seen[0]) != 4:
        what = tuple(seen[0]) if isinstance(seen[0], torch.Size) else type(seen[0]).__name__
        raise BackboneError(f"{where}: {what} is no feature map (batch, channels, height, width)")
    _, channels, height, width = seen[0]
    return FeatureMap(channels, height * width)


def _class_names(module: nn.Module) -> list[str]:
    return [f"{cls.__module__}.{cls.__qualname__}" for cls in type(module).__mro__]


def _join(path: str, name: str) -> str:
    return ".".join(part for part in (path, name) if part)
