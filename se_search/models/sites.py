"""Sites of a network: finds its residual blocks by inspection, and measures them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from se_search.candidate import FeatureMap, Integration, Site
from se_search.errors import BackboneError


@dataclass(frozen=True, slots=True)
class AttachPoint:
    """Where an SE block goes: before or after the module at a path.

    A bare identity shortcut has no module: its path (``layer1.1.downsample``) leads to None.
    """

    path: str
    side: Literal["before", "after"]


@dataclass(frozen=True, slots=True)
class ModuleSite:
    """One residual block of a network, with the attach point for each integration."""

    stage: int
    block: int
    path: str
    attach_points: Mapping[Integration, AttachPoint]

    @property
    def name(self) -> str:
        """The name of the site in a candidate, as ``stage2.block1``."""
        return f"stage{self.stage}.block{self.block}"


def stage_of(name: str) -> int | None:
    """Return the paper's number of the stage that a top-level module is: ``layer1`` is stage 2."""
    match = re.fullmatch(r"layer(\d+)", name)
    return int(match[1]) + 1 if match else None


def locate_sites(model: nn.Module) -> tuple[ModuleSite, ...]:
    """Find the residual blocks of a plain network, in forward order.

    Raises:
        BackboneError: there are none.
    """
    found = []
    for layer_name, layer in model.named_children():
        stage = stage_of(layer_name)
        if stage is None:
            continue
        blocks = [
            (name, block)
            for name, block in layer.named_children()
            if isinstance(block, (BasicBlock, Bottleneck))
        ]
        for number, (name, block) in enumerate(blocks, start=1):
            path = f"{layer_name}.{name}"
            found.append(ModuleSite(stage, number, path, _attach_points(path, block)))
    if not found:
        raise BackboneError(
            f"{type(model).__name__} has no sites: looked in its modules layer1, layer2, ... for "
            "torchvision's BasicBlock and Bottleneck"
        )
    return tuple(found)


def measure_sites(model: nn.Module, in_channels: int, image_size: int) -> tuple[Site, ...]:
    """Find the sites of a plain network in evaluation mode, and measure their feature maps.

    They are measured in a forward pass over one blank image.

    Raises:
        BackboneError: there are none.
    """
    located = locate_sites(model)
    measured: dict[tuple[str, Integration], FeatureMap] = {}
    hooks = []
    for site in located:
        for integration, point in site.attach_points.items():
            module = module_at(model, point.path)
            # A bare identity hands on what comes into its block.
            before = point.side == "before" or module is None
            watched = module or model.get_submodule(site.path)
            key = (site.path, integration)

            def measure(
                module: nn.Module,
                inputs: tuple[Tensor, ...],
                output: Tensor,
                key: tuple[str, Integration] = key,
                before: bool = before,
            ) -> None:
                _, channels, height, width = (inputs[0] if before else output).shape
                measured[key] = FeatureMap(channels, height * width)

            hooks.append(watched.register_forward_hook(measure))
    try:
        with torch.no_grad():
            model(torch.zeros(1, in_channels, image_size, image_size))
    finally:
        for hook in hooks:
            hook.remove()
    return tuple(
        Site(
            site.stage,
            site.block,
            {integration: measured[site.path, integration] for integration in site.attach_points},
        )
        for site in located
    )


def module_at(model: nn.Module, path: str) -> nn.Module | None:
    """Return the module at a path, or None where a block has no projection."""
    parent, _, name = path.rpartition(".")
    module: nn.Module | None = getattr(model.get_submodule(parent), name)
    return module


def _attach_points(path: str, block: nn.Module) -> dict[Integration, AttachPoint]:
    # The 3x3 convolution is followed by conv3 in a bottleneck; in a basic block its first 3x3
    # convolution is meant, which is followed by conv2.
    last_norm, after_3x3 = ("bn3", "conv3") if isinstance(block, Bottleneck) else ("bn2", "conv2")
    return {
        "standard": AttachPoint(f"{path}.{last_norm}", "after"),
        "pre": AttachPoint(f"{path}.conv1", "before"),
        "post": AttachPoint(path, "after"),
        "identity": AttachPoint(f"{path}.downsample", "after"),
        "inner": AttachPoint(f"{path}.{after_3x3}", "before"),
    }
