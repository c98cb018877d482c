"""Sites of a network: the places that can carry SE, and where SE is attached at each."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from torch import nn

from se_search.backbone import Integration
from se_search.errors import BackboneError
from se_search.models.units import Points, Side, find_units, is_chain

SIDES: dict[str, Side] = {side: side for side in get_args(Side)}


@dataclass(frozen=True, slots=True)
class AttachPoint:
    """Where an SE block goes.

    Attributes:
        path: path of a module. A shortcut without projection has no module: the attribute at its
            path (``layer1.1.downsample``) is None.
        side: whether SE goes ``before`` or ``after`` the module, or ``instead`` of it.
    """

    path: str
    side: Side


@dataclass(frozen=True, slots=True)
class ModuleSite:
    """A site as a place in a module.

    Attributes:
        stage: number of the stage; 2 for conv2_x.
        block: number of the unit in its stage, from 1.
        path: path of the unit.
        attach_points: where SE goes, for each integration that is possible.
    """

    stage: int
    block: int
    path: str
    attach_points: Mapping[Integration, AttachPoint]

    @property
    def name(self) -> str:
        """The site's name in space files and candidates, as ``stage2.block1``."""
        return f"stage{self.stage}.block{self.block}"


def locate_sites(model: nn.Module) -> tuple[ModuleSite, ...]:
    """Find the sites of a network by its modules, in module order.

    If the network came with SE blocks, these are its sites. Units in ``layer1``, ``layer2``, ...
    are in stage 2, 3, ... Without such names each container of units is a stage; if some units are
    in no container, a stage begins at each stride. The first stage is 2 (of VGG: 1, because its
    first convolution is no stem).

    Raises:
        BackboneError: there are no sites.
    """
    units = find_units(model)
    if not units:
        raise BackboneError(
            f"{type(model).__name__} has no known sites (SE blocks of torchvision and timm, their "
            "BasicBlock, Bottleneck and Inception modules, units with se_points)"
        )
    return place_units(units, number_stages(model, [path for path, _ in units]))


def place_units(
    units: Sequence[tuple[str, Points]], stages: Sequence[int]
) -> tuple[ModuleSite, ...]:
    """Return the sites of units, with their blocks numbered within each stage.

    Args:
        units: path and attach points of each unit, in forward order.
        stages: the stage of each unit.
    """
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
    """Return sites at listed attach points, with their blocks numbered within each stage.

    Args:
        stages: the stage of each site.
        attach: for each site and integration the path of a module and the side, ``before`` or
            ``after`` it, or ``instead`` of it.

    Raises:
        BackboneError: an attach point of one stage is inside an attach point of another stage.
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
                    f"{site.name} at {outer!r} contains {other.name} at {inner!r}, which is in "
                    "another stage"
                )
    return tuple(found)


def find_parts(
    model: nn.Module, located: Sequence[ModuleSite], called: Mapping[str, int] | None = None
) -> dict[str, str]:
    """Return for each module path its part of the network: ``stem``, ``stage2``, ..., ``head``.

    The modules cover the network, and none is inside another. A module between two sites belongs
    to the stage of the second.

    Args:
        model: the network.
        located: its sites.
        called: for each module that a forward pass calls the position of its first call; None:
            modules are called in the order of their registration.
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
            names = {_join(path, name): child for name, child in module.named_children()}
            for name in _in_order(list(names), called or {}):
                visit(name, names[name])

    visit("", model)
    return parts | dict.fromkeys(waiting, "head")


def module_at(model: nn.Module, path: str) -> nn.Module | None:
    """Return the module at a path; None if a unit has no projection there.

    Raises:
        BackboneError: there is no module at the path.
    """
    parent, _, name = path.rpartition(".")
    try:
        module = getattr(model.get_submodule(parent), name)
    except AttributeError as error:
        raise BackboneError(f"{type(model).__name__} has no module {path!r}") from error
    if module is not None and not isinstance(module, nn.Module):
        raise BackboneError(f"{path!r} of {type(model).__name__} is not a module")
    return module


def number_stages(model: nn.Module, paths: Sequence[str]) -> list[int]:
    """Return the stage of each unit; see ``locate_sites`` for the rules."""
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


def _named_site(
    stage: int, block: int, points: Mapping[Integration, tuple[str, str]]
) -> ModuleSite:
    attach_points = {
        integration: AttachPoint(path, SIDES[side]) for integration, (path, side) in points.items()
    }
    first = next(iter(attach_points.values()))
    return ModuleSite(stage, block, first.path, attach_points)


def _in_order(paths: Sequence[str], called: Mapping[str, int]) -> list[str]:
    """Sort modules by the first call of each or of what is in it; uncalled ones stay in place."""
    keys: dict[str, int] = {}
    last = -1
    for path in paths:
        inside = [at for other, at in called.items() if f"{other}.".startswith(f"{path}.")]
        last = min(inside, default=last)
        keys[path] = last
    return sorted(paths, key=keys.__getitem__)


def _join(path: str, name: str) -> str:
    return ".".join(part for part in (path, name) if part)
