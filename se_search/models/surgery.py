"""Surgery: puts a candidate's SE blocks into its backbone."""

from __future__ import annotations

import math
from collections import OrderedDict

import torch
from torch import Tensor, nn

from se_search.candidate import Candidate
from se_search.errors import BackboneError
from se_search.models.backbones import construct
from se_search.models.sites import AttachPoint, locate_sites, module_at
from se_search.models.squeeze_excite import SqueezeExcite
from se_search.seeds import derive_seed


def build(candidate: Candidate, seed: int) -> nn.Module:
    """Return the candidate as a network with fresh weights; the global random state stays.

    Candidates that are built with one seed share every weight that they have in common: those of
    the backbone, and those of an SE block where site and shape agree. Without SE it is the plain
    backbone.

    Raises:
        BackboneError: there is no such backbone, or it takes images of other channels.
    """
    backbone = candidate.backbone
    model = construct(
        backbone.name, backbone.in_channels, backbone.num_classes, derive_seed(seed, "backbone")
    )
    insert(model, candidate, seed)
    return model


def insert(model: nn.Module, candidate: Candidate, seed: int) -> None:
    """Put the candidate's SE blocks into a plain network, which keeps its weights.

    Each goes around, or in front of, a module of the network (``wrapped``), as ``se`` beside it.

    Raises:
        BackboneError: the network has other sites than the candidate, or carries SE already.
    """
    if any(isinstance(module, SqueezeExcite) for module in model.modules()):
        raise BackboneError(f"this {type(model).__name__} already carries SE blocks")
    located = locate_sites(model)
    sites = candidate.backbone.sites
    if [site.name for site in located] != [site.name for site in sites]:
        raise BackboneError(
            f"this {type(model).__name__} has {len(located)} sites up to {located[-1].name}, but "
            f"{candidate.backbone.name} has {len(sites)} up to {sites[-1].name}"
        )
    like = next(model.parameters())
    for module_site, site, block in zip(located, sites, candidate.blocks, strict=True):
        if block is None:
            continue
        with torch.device("meta"):  # so that nothing is drawn from the global random state
            se = SqueezeExcite.of(block, site.feature_map(block.integration).channels)
        se.to_empty(device="cpu")
        _initialise(se, site.name, seed)
        _attach(se.to(like), model, module_site.attach_points[block.integration])


def plain_name(parameter_name: str) -> str:
    """Return the name that a parameter of the backbone has in the plain backbone."""
    return ".".join(part for part in parameter_name.split(".") if part != "wrapped")


def plain_state_dict(model: nn.Module) -> dict[str, Tensor]:
    """Return the backbone's weights under the names that they have in the plain backbone."""
    inside_se = tuple(
        f"{name}." for name, module in model.named_modules() if isinstance(module, SqueezeExcite)
    )
    return {
        plain_name(name): tensor
        for name, tensor in model.state_dict().items()
        if not name.startswith(inside_se)
    }


def _initialise(se: SqueezeExcite, site: str, seed: int) -> None:
    """Draw the weights as nn.Linear does by default, each from a stream of its own."""
    for layer_name, layer in (("reduce", se.reduce), ("expand", se.expand)):
        bound = 1 / math.sqrt(layer.in_features)
        for name, parameter in layer.named_parameters():
            generator = torch.Generator()
            generator.manual_seed(derive_seed(seed, site, f"{layer_name}.{name}"))
            nn.init.uniform_(parameter, -bound, bound, generator=generator)


def _attach(se: SqueezeExcite, model: nn.Module, point: AttachPoint) -> None:
    wrapped = module_at(model, point.path)
    members: list[tuple[str, nn.Module]] = [("se", se)]
    if wrapped is not None:
        members.insert(1 if point.side == "before" else 0, ("wrapped", wrapped))
    parent, _, name = point.path.rpartition(".")
    setattr(model.get_submodule(parent), name, nn.Sequential(OrderedDict(members)))
