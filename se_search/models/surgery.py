"""Builds candidates: puts SE blocks into the network of a backbone."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from se_search.backbone import Backbone, Integration, NativeSE
from se_search.candidate import SE, Candidate
from se_search.errors import BackboneError
from se_search.models.attachment import (
    HostedAttention,
    Hosts,
    HostSide,
    attach,
    attached_names,
    attached_parameters,
)
from se_search.models.backbones import construct
from se_search.models.freezing import freeze
from se_search.models.random_state import seeded_generators
from se_search.models.recording import draw_lazy_weights
from se_search.models.sites import (
    AttachPoint,
    ModuleSite,
    locate_sites,
    module_at,
    named_sites,
)
from se_search.models.squeeze_excite import ChannelAttention, initialise, make_block
from se_search.models.units import native_layers
from se_search.models.weights import load_weights
from se_search.seeds import derive_seed

# Names the site of an SE block that a network came with, on the block itself. No network has such
# an attribute by chance.
NATIVE_SITE = "inserted_se_site"


def build(
    candidate: Candidate,
    seed: int,
    weights: Path | None = None,
    freeze_backbone: bool = False,
) -> nn.Module:
    """Return the network of a candidate; the global random state stays as it is.

    Candidates that are built with one seed have equal initial weights in the backbone, and in SE
    blocks of equal shape at one site. A candidate without SE is the plain backbone to the bit.

    Args:
        candidate: the candidate.
        seed: of all weights that are drawn.
        weights: file with weights of the backbone; None: all weights are drawn. The weights of SE
            blocks are always drawn, and those of the classifier if the file has them for another
            number of classes.
        freeze_backbone: whether only the drawn parameters require a gradient.

    Raises:
        BackboneError: there is no such backbone, it takes images of other channels, or the
            weights do not fit.

    Example:
        >>> from se_search.models.catalogue import describe_backbone
        >>> backbone = describe_backbone("resnet20_bottleneck", 1, 28, 10)
        >>> candidate = Candidate.parse("resnet20_bottleneck/stage5=standard:r16", backbone)
        >>> model = build(candidate, seed=0)
        >>> model(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """
    model, drawn = draw_network(candidate.backbone, seed, weights)
    insert(model, candidate, seed)
    if freeze_backbone:
        freeze(model, [*drawn, *se_parameters(model).values()])
    return model


def draw_network(
    backbone: Backbone, seed: int, weights: Path | None = None
) -> tuple[nn.Module, list[nn.Parameter]]:
    """Return the network that a backbone's name means, with the SE blocks it may come with.

    The second value lists the parameters that are drawn although there is a file of weights: those
    of a classifier for another number of classes.

    Raises:
        BackboneError: see ``build``.
    """
    model = construct(
        backbone.name,
        backbone.in_channels,
        backbone.num_classes,
        derive_seed(seed, "backbone"),
        backbone.allow_code,
    )
    with seeded_generators(derive_seed(seed, "lazy weights")):
        draw_lazy_weights(model, backbone.in_channels, backbone.image_size)
    drawn: tuple[str, ...] = () if weights is None else load_weights(model, weights).drawn
    return model, [parameter for name, parameter in model.named_parameters() if name in drawn]


def insert(model: nn.Module, candidate: Candidate, seed: int = 0) -> None:
    """Put a candidate's SE blocks into the network of its backbone, which keeps its weights.

    Each SE block is attached by a hook to the module at its attach point (see ``attachment``), so
    that this module keeps its class, and all modules and parameters their names. A shortcut
    without projection has no module: there the SE block becomes one. An SE block that the network
    came with is kept, replaced by one of another width, or removed.

    Raises:
        BackboneError: the network has other sites than the candidate, or carries a candidate's SE
            blocks already.
    """
    located = check_sites(model, candidate.backbone)
    like = next(model.parameters())
    hosts = Hosts(model)
    attachments: list[_Attachment] = []
    for points, site, block in zip(
        located, candidate.backbone.sites, candidate.blocks, strict=True
    ):
        if site.native is not None:
            path = points["native"].path
            kept = block if block is not None and block.integration == "native" else None
            own = model.get_submodule(path)
            placed = _replace_native(own, site.native, kept, site.name, seed)
            if kept is not None:
                setattr(placed, NATIVE_SITE, site.name)
            set_module(model, path, placed)
        if block is not None and block.integration != "native":
            channels = site.feature_map(block.integration).channels
            attention = draw_block(block, channels, site.name, seed).to(like)
            attachments.append(_Attachment(points[block.integration], attention))
    for one in sorted(attachments, key=lambda one: run_order(one.point)):
        module = module_at(model, one.point.path)
        if module is None:
            set_module(model, one.point.path, one.attention)
        else:
            side: HostSide = "before" if one.point.side == "before" else "after"
            attach(hosts.find(module, side), side, one.attention)


def check_sites(model: nn.Module, backbone: Backbone) -> list[Mapping[Integration, AttachPoint]]:
    """Return the attach points of each site of a backbone in its network without SE blocks.

    Raises:
        BackboneError: the network has other sites than the backbone, or carries SE blocks already.
    """
    if _carries_attention(model):
        raise BackboneError(f"this {type(model).__name__} already carries SE blocks")
    located = locate(model, backbone)
    sites = backbone.sites
    if [site.name for site in located] != [site.name for site in sites]:
        raise BackboneError(
            f"this {type(model).__name__} has {len(located)} sites up to {located[-1].name}, but "
            f"{backbone.name} has {len(sites)} up to {sites[-1].name}"
        )
    for module_site, site in zip(located, sites, strict=True):
        if not set(site.feature_maps) <= set(module_site.attach_points):
            raise BackboneError(
                f"this {type(model).__name__} takes SE at {site.name} as "
                f"{', '.join(module_site.attach_points)}, "
                f"but {backbone.name} as {', '.join(site.feature_maps)}"
            )
    return [module_site.attach_points for module_site in located]


def strip(model: nn.Module, located: Sequence[ModuleSite]) -> None:
    """Remove the SE blocks that a network came with, so that it is plain."""
    for site in located:
        if "native" in site.attach_points:
            set_module(model, site.attach_points["native"].path, nn.Identity())


def locate(model: nn.Module, backbone: Backbone) -> tuple[ModuleSite, ...]:
    """Return a backbone's sites in its network: those that a user listed, or by inspection."""
    if backbone.attach is None:
        return locate_sites(model)
    return named_sites([site.stage for site in backbone.sites], backbone.attach)


def se_modules(model: nn.Module) -> dict[str, nn.Module]:
    """Return the modules that are SE blocks by path, including those that the network came with.

    An SE block whose weights are parameters of another module is none; ``se_parameters`` has them.
    """
    return {
        path: module
        for path, module in model.named_modules()
        if isinstance(module, ChannelAttention) or native_layers(module)
    }


def se_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters of all SE blocks of a network by name, those it came with included."""
    found = dict(attached_parameters(model))
    for path, module in se_modules(model).items():
        found |= {f"{path}.{name}": value for name, value in module.named_parameters()}
    return found


def se_names(model: nn.Module) -> dict[str, dict[str, str]]:
    """Return the names of a candidate's SE weights in its network, by site and by layer.

    Example:
        ``{"stage2.block1": {"reduce.weight": "layer1.0.bn3.inserted_se.reduce.weight", ...}}``
    """
    found: dict[str, dict[str, str]] = {}
    for path, module in model.named_modules():
        prefix = f"{path}." if path else ""
        site = (
            module.site if isinstance(module, ChannelAttention) else vars(module).get(NATIVE_SITE)
        )
        if site:
            found[site] = {name: prefix + name for name, _ in module.named_parameters()}
        for attached in attached_names(module):
            block = getattr(module, attached)
            if isinstance(block, HostedAttention):
                found[block.site] = {
                    name: prefix + own for name, own in block.weight_names().items()
                }
    return found


def plain_state_dict(model: nn.Module) -> dict[str, Tensor]:
    """Return the backbone's weights in a candidate's network, named as in the plain backbone."""
    in_blocks = tuple(f"{path}." for path in se_modules(model))
    attached = set(se_parameters(model))
    return {
        name: tensor
        for name, tensor in model.state_dict().items()
        if name not in attached and not name.startswith(in_blocks)
    }


def resize_native(module: nn.Module, width: int, site: str, seed: int) -> nn.Module:
    """Return a copy of an SE block that a network came with, with another squeeze width.

    Weights are drawn as torchvision and timm draw them (He et al. 2015 with the fan out; biases of
    zero), each from its own random stream.

    Args:
        module: the SE block.
        width: the squeeze width of the copy.
        site: name of the site, which makes the streams those of this place.
        seed: seed of the training.
    """
    resized = copy.deepcopy(module)
    (first, reduce), (second, expand) = native_layers(module).items()
    channels, has_bias = expand.out_channels, reduce.bias is not None
    for name, role, sizes in (
        (first, "reduce", (channels, width)),
        (second, "expand", (width, channels)),
    ):
        with torch.device("meta"):  # so that nothing is drawn from the global random state
            layer = nn.Conv2d(*sizes, kernel_size=1, bias=has_bias)
        layer.to_empty(device="cpu")
        generator = torch.Generator()
        generator.manual_seed(derive_seed(seed, site, f"{role}.weight"))
        nn.init.normal_(layer.weight, 0.0, math.sqrt(2 / sizes[1]), generator=generator)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
        setattr(resized, name, layer.to(reduce.weight))
    return resized.train(module.training)


def _replace_native(
    own: nn.Module, native: NativeSE, block: SE | None, site: str, seed: int
) -> nn.Module:
    if block is None:
        return nn.Identity()
    return own if block.width == native.width else resize_native(own, block.width, site, seed)


def draw_block(block: SE, channels: int, site: str, seed: int) -> ChannelAttention:
    """Return an SE block with initial weights; the global random state stays as it is.

    Args:
        block: the design.
        channels: of the feature map that is gated.
        site: name of the site.
        seed: of the weights; see ``initialise``.
    """
    with torch.device("meta"):  # so that nothing is drawn from the global random state
        attention = make_block(block, channels)
    attention.to_empty(device="cpu")
    initialise(attention, site, seed)
    attention.site = site
    return attention


@dataclass(frozen=True, slots=True)
class _Attachment:
    point: AttachPoint
    attention: ChannelAttention


def _carries_attention(model: nn.Module) -> bool:
    return any(
        isinstance(module, ChannelAttention) or attached_names(module) for module in model.modules()
    )


def run_order(point: AttachPoint) -> int:
    """Sort attach points at one host as their SE blocks run, by depth.

    The end of an inner module comes before that of an outer one, the beginning after it.
    """
    depth = point.path.count(".") + 1
    return depth if point.side == "before" else -depth


def set_module(model: nn.Module, path: str, module: nn.Module | None) -> None:
    """Put a module, or None, at a path of a network."""
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, module)
