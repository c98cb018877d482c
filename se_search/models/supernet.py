"""Supernets: a backbone with every SE block of a space at its sites, of which one candidate's run.

All candidates share the weights of the backbone. SE blocks at one site that differ in nothing but
their squeeze width share an elastic block (see ``elastic``). The backbone's modules keep their
names and classes: hooks on them look up the block that is active.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from se_search.backbone import Backbone, Integration, Site
from se_search.candidate import SE, Candidate
from se_search.errors import CandidateError
from se_search.models.attachment import Hosts
from se_search.models.elastic import (
    family_of,
    has_width,
    make_elastic,
    make_elastic_native,
    read_weights,
    set_width,
)
from se_search.models.freezing import freeze
from se_search.models.places import Place, put_place
from se_search.models.sites import AttachPoint
from se_search.models.surgery import build, check_sites, draw_network, run_order, se_names
from se_search.space.designs import Designs


@dataclass(frozen=True, eq=False)
class _ElasticSite:
    """What can run at one site: an elastic block for each family, and where each position is."""

    name: str
    blocks: Mapping[SE, nn.Module]
    places: Mapping[Integration, Place]


class Supernet(nn.Module):
    """A network that computes what any candidate of a space computes, one at a time.

    ``make_supernet`` makes it. The plain network is active at first.

    Attributes:
        backbone: description of the network without SE.
        designs: for each site the SE blocks that it may get.
        candidate: the candidate that is active.
        network: the backbone's network. Its parameters and buffers have the names that they have
            in the plain backbone.
        blocks: the elastic SE blocks, by site and then by family.
    """

    def __init__(self, backbone: Backbone, designs: Designs, network: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.designs = designs
        self.candidate = Candidate.plain(backbone)
        self.network = network
        self.blocks = nn.ModuleDict()
        self._sites: list[_ElasticSite] = []

    def forward(self, images: Tensor) -> Any:
        """Return what the network of the active candidate makes of images."""
        return self.network(images)

    def activate(self, candidate: Candidate) -> None:
        """Let the network compute what a candidate's network does.

        Raises:
            CandidateError: the candidate is of another backbone, or has an SE block that the
                supernet lacks. The candidate that was active stays active.
        """
        self.check(candidate)
        for site, block in zip(self._sites, candidate.blocks, strict=True):
            for place in site.places.values():
                place.put(None)
            if block is not None:
                elastic = site.blocks[family_of(block)]
                set_width(elastic, block.width)
                site.places[block.integration].put(elastic)
        self.candidate = candidate

    def check(self, candidate: Candidate) -> None:
        """Check that the supernet has all SE blocks of a candidate.

        Raises:
            CandidateError: it lacks one, or the candidate is of another backbone.
        """
        if candidate.backbone != self.backbone:
            raise CandidateError(
                f"this supernet is of {self.backbone.name}, and the candidate {candidate} of "
                f"another backbone, {candidate.backbone.name}"
            )
        for site, block in zip(self._sites, candidate.blocks, strict=True):
            if block is not None:
                self._find(site, block)

    def add_site(self, site: _ElasticSite) -> None:
        """Add what can run at the next site."""
        self._sites.append(site)
        if site.blocks:
            named = {_name(family): block for family, block in site.blocks.items()}
            self.blocks[site.name.replace(".", "_")] = nn.ModuleDict(named)

    @property
    def elastic_blocks(self) -> list[Mapping[SE, nn.Module]]:
        """For each site its elastic blocks by their family: a block of any width stands for it."""
        return [site.blocks for site in self._sites]

    @property
    def places(self) -> list[Mapping[Integration, Place]]:
        """For each site where its SE blocks run, by integration."""
        return [site.places for site in self._sites]

    def weights_at(self, index: int, block: SE) -> dict[str, Tensor]:
        """Return the weights that an SE block has at a site, named as in the plain SE block.

        Args:
            index: position of the site in the backbone.
            block: the SE block.

        Raises:
            CandidateError: the supernet lacks the SE block.
        """
        return read_weights(self._find(self._sites[index], block), block.width)

    def _find(self, site: _ElasticSite, block: SE) -> nn.Module:
        elastic = site.blocks.get(family_of(block))
        if elastic is None or not has_width(elastic, block.width):
            index = self._sites.index(site)
            has = ", ".join(map(str, self.designs[index])) or "none"
            raise CandidateError(
                f"the supernet has no SE block {block} at {site.name} (it has {has})"
            )
        return elastic


def make_supernet(
    backbone: Backbone,
    designs: Designs,
    seed: int,
    weights: Path | None = None,
    freeze_backbone: bool = False,
) -> Supernet:
    """Return the supernet of a backbone and of the SE blocks that its sites may get.

    Its weights are those that ``build`` gives the networks of candidates with this seed, whatever
    other SE blocks there are: with its initial weights it computes what ``build`` returns, to the
    bit. Only SE blocks that a network came with, at other widths, have other first layers (see
    ``make_elastic_native``).

    Args:
        backbone: the network without SE.
        designs: for each site the SE blocks that it may get.
        seed: of all weights that are drawn.
        weights: file with weights of the backbone; None: all weights are drawn.
        freeze_backbone: whether only the drawn parameters require a gradient.

    Raises:
        BackboneError: there is no such backbone, or the weights do not fit.
        CandidateError: a site can't have one of its SE blocks.
    """
    network, drawn = draw_network(backbone, seed, weights)
    located = check_sites(network, backbone)
    hosts = Hosts(network)
    supernet = Supernet(backbone, designs, network)
    places: list[tuple[AttachPoint, Place]] = []
    for points, site, blocks in zip(located, backbone.sites, designs, strict=True):
        own = None if site.native is None else network.get_submodule(points["native"].path)
        families: dict[SE, list[SE]] = {}
        for block in blocks:
            families.setdefault(family_of(block), []).append(block)
        elastic = {
            family: _make_block(members, site, own, seed).to(next(network.parameters()))
            for family, members in families.items()
        }
        at = {integration: Place() for integration in dict.fromkeys(f.integration for f in elastic)}
        places += [(points[integration], place) for integration, place in at.items()]
        if own is not None and "native" not in at:
            places.append((points["native"], Place()))
        supernet.add_site(_ElasticSite(site.name, elastic, at))
    # Slots first: they take the places of modules that others may be put at.
    for point, place in sorted(places, key=lambda p: (p[0].side != "instead", run_order(p[0]))):
        put_place(network, hosts, point, place)
    if freeze_backbone:
        freeze(supernet, [*drawn, *supernet.blocks.parameters()])
    return supernet


def read_out(supernet: Supernet, candidate: Candidate) -> nn.Module:
    """Return a candidate's network, as ``build`` returns it, with copies of a supernet's weights.

    It computes what the supernet does with the candidate active, to the bit, and its modules are in
    training or evaluation mode as theirs are.

    Raises:
        CandidateError: the supernet lacks an SE block of the candidate.
    """
    supernet.check(candidate)
    model = build(candidate, seed=0).train(supernet.training)
    network = supernet.network
    weights = dict(network.named_parameters()) | dict(network.named_buffers())
    sites = [site.name for site in supernet.backbone.sites]
    for site, names in se_names(model).items():
        index = sites.index(site)
        block = candidate.blocks[index]
        assert block is not None
        read = supernet.weights_at(index, block)
        weights |= {name: read[inner] for inner, name in names.items()}
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        tensor.data = weights[name].detach().clone()
        tensor.requires_grad_(weights[name].requires_grad)
    modes = {path: module.training for path, module in network.named_modules()}
    for path, module in model.named_modules():
        module.training = modes.get(path, supernet.training)
    return model


def _make_block(designs: Sequence[SE], site: Site, own: nn.Module | None, seed: int) -> nn.Module:
    integration = designs[0].integration
    channels = site.feature_map(integration).channels
    if integration != "native":
        return make_elastic(designs, channels, site.name, seed)
    assert own is not None
    assert site.native is not None
    return make_elastic_native(own, site.native, designs, site.name, seed)


def _name(family: SE) -> str:
    kind = () if family.kind == "se" else (family.kind,)
    return "_".join([family.integration, *kind, *family.modifiers])
