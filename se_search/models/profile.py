"""Describes a backbone by constructing it: its sites, and what its parts cost without SE."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from se_search.backbone import Backbone, Integration, Site
from se_search.errors import BackboneError
from se_search.models.backbones import construct
from se_search.models.discovery import discover_sites
from se_search.models.feature_maps import measure_sites
from se_search.models.names import SHAPES
from se_search.models.own import is_own_name
from se_search.models.own_source import read_own_source
from se_search.models.recording import call_order
from se_search.models.site_file import ask_sites, read_sites
from se_search.models.sites import ModuleSite, find_parts, locate_sites, named_sites
from se_search.models.surgery import strip
from se_search.models.trace import count_parts, trace, trace_native, uncounted_operators


def profile(
    name: str,
    in_channels: int,
    image_size: int,
    num_classes: int,
    *,
    allow_code: bool = False,
    site_file: Path | None = None,
) -> Backbone:
    """Return a backbone's sites, and the cost of its parts without SE.

    Args:
        name: name of the backbone.
        in_channels: channels of the images.
        image_size: height and width of the images in pixels.
        num_classes: output width of the last layer.
        allow_code: whether a user's own code may be run.
        site_file: file that lists the sites; None: they are found by inspection.

    Raises:
        BackboneError: there is no such backbone, it takes images of other channels, it is code
            that may not be run, or it has no sites.
    """
    model = construct(name, in_channels, num_classes, seed=0, allow_code=allow_code).eval()
    listed = ask_sites(model) if site_file is None else read_sites(site_file, model)
    if listed is None:
        located = discover_sites(model, in_channels, image_size)
        attach = None if _are_known(model, located) else attach_of(located)
    else:
        located, attach = named_sites(listed.stages, listed.attach), listed.attach
    sites = measure_sites(model, in_channels, image_size, located)
    _check_logits(model, name, in_channels, image_size, num_classes)
    parameters = _digest_parameters(model)  # after a forward pass, which lazy modules need
    source = read_own_source(name) if is_own_name(name) else None
    sites = tuple(
        _add_native(site, model, module_site)
        for site, module_site in zip(sites, located, strict=True)
    )
    strip(model, located)
    analysis = trace(model, in_channels, image_size)
    uncounted = uncounted_operators(analysis)
    sites = tuple(_keep_more_uncounted(site, uncounted) for site in sites)
    called = call_order(model, in_channels, image_size)
    parts = count_parts(model, analysis, find_parts(model, located, called))
    return Backbone(
        name,
        in_channels,
        image_size,
        num_classes,
        sites,
        parts,
        uncounted,
        allow_code=is_own_name(name),
        attach=attach,
        parameters=None if name in SHAPES else parameters,
        source=source.digests if source else {},
    )


def attach_of(located: Sequence[ModuleSite]) -> tuple[Mapping[Integration, tuple[str, str]], ...]:
    """Return for each site and integration the path of a module, and the side where SE goes."""
    return tuple(
        {integration: (point.path, point.side) for integration, point in site.attach_points.items()}
        for site in located
    )


def _are_known(model: nn.Module, located: Sequence[ModuleSite]) -> bool:
    """Tell whether the sites are those that the classes of the network's modules show."""
    try:
        return tuple(located) == locate_sites(model)
    except BackboneError:
        return False


def _digest_parameters(model: nn.Module) -> str:
    """Return twelve hexadecimal digits over the names and shapes of all parameters."""
    rows = sorted([name, list(value.shape)] for name, value in model.named_parameters())
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:12]


def _add_native(site: Site, model: nn.Module, module_site: ModuleSite) -> Site:
    """Add the SE block that the network came with at a site, if it did; it is traced by itself."""
    if "native" not in site.feature_maps:
        return site
    path = module_site.attach_points["native"].path
    module = model.get_submodule(path)
    channels = site.feature_maps["native"].channels
    return replace(site, native=trace_native(module, channels, path))


def _keep_more_uncounted(site: Site, uncounted: tuple[str, ...]) -> Site:
    """Leave the operators out of a site's SE block that the network without SE runs as well."""
    if site.native is None:
        return site
    more = tuple(name for name in site.native.uncounted if name not in uncounted)
    return replace(site, native=replace(site.native, uncounted=more))


def _check_logits(
    model: nn.Module, name: str, in_channels: int, image_size: int, num_classes: int
) -> None:
    with torch.no_grad():
        logits = model(torch.zeros(1, in_channels, image_size, image_size))
    if not isinstance(logits, torch.Tensor) or tuple(logits.shape) != (1, num_classes):
        shape = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise BackboneError(
            f"{name} maps one image to {shape}; allowed: (1, {num_classes}), one number "
            "a class: as many as the data have, and for se-search cost --classes"
        )
