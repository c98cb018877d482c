"""Measures the feature maps that SE blocks would gate at the sites of a network."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from se_search.backbone import FeatureMap, Integration, Site
from se_search.errors import BackboneError
from se_search.models.attachment import first_tensor
from se_search.models.recording import image_for, run
from se_search.models.sites import AttachPoint, ModuleSite, locate_sites, module_at


def measure_sites(
    model: nn.Module,
    in_channels: int,
    image_size: int,
    located: tuple[ModuleSite, ...] | None = None,
) -> tuple[Site, ...]:
    """Return the sites of a network with their feature maps, from a forward pass over one image.

    The feature map of a module with several arguments is the first tensor among them, and that of
    a module that returns several values is the first tensor among those.

    Args:
        model: the network, in evaluation mode.
        in_channels: channels of the image.
        image_size: height and width of the image in pixels.
        located: the sites; None: they are found by inspection.

    Raises:
        BackboneError: there are no sites, the network can't take such an image, or an attach
            point is not a feature map, is not reached, or is reached more than once.
    """
    located = locate_sites(model) if located is None else located
    measured: dict[tuple[str, Integration], list[Any]] = {}
    hooks = []
    for site in located:
        for integration, point in site.attach_points.items():
            module = module_at(model, point.path)
            # A shortcut without projection has the input of its unit as its output.
            before = point.side != "after" or module is None
            watched = module or model.get_submodule(point.path.rpartition(".")[0])
            seen = measured.setdefault((site.name, integration), [])

            def measure(
                module: nn.Module,
                args: tuple[Any, ...],
                kwargs: dict[str, Any],
                output: Any,
                seen: list[Any] = seen,
                before: bool = before,
            ) -> None:
                value = first_tensor((args, kwargs) if before else output)
                seen.append(output if value is None else value.shape)

            hooks.append(watched.register_forward_hook(measure, with_kwargs=True))
    try:
        with torch.no_grad():
            run(model, image_for(model, in_channels, image_size))
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
        raise BackboneError(
            f"{where}: {what} is not a feature map (batch, channels, height, width)"
        )
    _, channels, height, width = seen[0]
    return FeatureMap(channels, height * width)
