"""Backbones: networks without SE, described by their sites and their cost, as frozen values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from se_search.errors import CandidateError, suggest_nearest

Integration = Literal["standard", "pre", "post", "identity", "inner", "rectified", "native"]
INTEGRATIONS: tuple[Integration, ...] = get_args(Integration)


@dataclass(frozen=True, slots=True)
class FeatureMap:
    """The feature map that an SE block gates.

    Attributes:
        channels: number of channels.
        pixels: height times width.
    """

    channels: int
    pixels: int


@dataclass(frozen=True, slots=True)
class NativeSE:
    """The SE block that a network came with at a site, described by what determines its cost.

    Attributes:
        width: its squeeze width. A ``native`` block of this width is the network's own block.
        bias: whether its two layers have biases.
        squeeze_operator: fvcore's name of its pooling, ``mean`` or ``adaptive_avg_pool2d``.
        excite_operator: fvcore's name of its two layers, ``conv`` or ``linear``.
        gate_operator: fvcore's name of its gate, ``sigmoid`` or ``hardsigmoid``.
        uncounted: operators that it runs, that fvcore does not count, and that the network without
            it does not run.
    """

    width: int
    bias: bool
    squeeze_operator: str
    excite_operator: str
    gate_operator: str
    uncounted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Site:
    """One place of a backbone that can carry an SE block, with stages numbered as in the paper.

    Attributes:
        stage: 2 for conv2_x (torchvision's ``layer1``), 3 for conv3_x, and so on.
        block: 1 for the first block of its stage.
        feature_maps: the feature map that an SE block gates, for each integration that is possible
            at the site.
        native: the SE block that the network came with at the site; None: it had none. If there
            is one, ``native`` is a possible integration.
    """

    stage: int
    block: int
    feature_maps: Mapping[Integration, FeatureMap] = field(hash=False)
    native: NativeSE | None = None

    @property
    def name(self) -> str:
        """The site's name in space files and candidates, as ``stage2.block1``."""
        return f"stage{self.stage}.block{self.block}"

    def feature_map(self, integration: Integration) -> FeatureMap:
        """Return the feature map that an SE block with this integration gates.

        Raises:
            CandidateError: the integration is not possible at the site.
        """
        if integration not in self.feature_maps:
            allowed = ", ".join(self.feature_maps)
            raise CandidateError(
                f"{self.name} has no integration {integration!r} (it has {allowed})"
            )
        return self.feature_maps[integration]


@dataclass(frozen=True, slots=True)
class Part:
    """What one part of the plain backbone costs: the stem, a stage, or the head.

    Attributes:
        name: ``stem``, ``stage2``, ..., ``head``.
        params: number of parameters.
        macs: multiply-adds for one image, for each operator, as fvcore counts them.
    """

    name: str
    params: int
    macs: Mapping[str, int] = field(hash=False)


@dataclass(frozen=True, slots=True)
class Backbone:
    """A network without SE, described by its sites and its cost; ``describe_backbone`` makes it.

    Attributes:
        name: ``resnet20_bottleneck``, ``resnet50``, ...
        in_channels: number of channels of the images that it takes.
        image_size: height and width in pixels for which the MACs hold.
        num_classes: output width of the last layer.
        sites: in forward order.
        parts: stem, stages and head, in forward order.
        uncounted: operators that fvcore does not count and that the network runs.
        allow_code: whether the network is a user's own code, and the user has allowed to run it.
        attach: for each site and integration the path of a module and the side (``before``,
            ``after`` or ``instead``) where SE goes, if a user has named the sites or running the
            network has shown them; None: the sites are found
            by the classes of the network's modules.
        parameters: digest of the names and shapes of the network's parameters; None: a network of
            the catalogue, which has its version.
        source: digests of the source files of a user's own network, by their paths in its project.
    """

    name: str
    in_channels: int
    image_size: int
    num_classes: int
    sites: tuple[Site, ...] = field(hash=False)
    parts: tuple[Part, ...] = field(hash=False)
    uncounted: tuple[str, ...] = field(default=(), hash=False)
    allow_code: bool = False
    attach: tuple[Mapping[Integration, tuple[str, str]], ...] | None = field(
        default=None, hash=False
    )
    parameters: str | None = None
    source: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def stages(self) -> tuple[int, ...]:
        """The stages that have sites, ascending."""
        return tuple(dict.fromkeys(site.stage for site in self.sites))


def find_sites(where: str, backbone: Backbone) -> list[int]:
    """Return the positions of the sites that a name stands for, ascending.

    ``all`` and ``stage2.block1-3`` mean what they say; ``native`` are the sites where the network
    came with an SE block. Tables shorten ``stage2.block1-3`` to ``s2.1-3``.

    Raises:
        CandidateError: the backbone has no such site.
    """
    if where == "all":
        return list(range(len(backbone.sites)))
    if where == "native" and (found := [i for i, site in enumerate(backbone.sites) if site.native]):
        return found
    match = re.fullmatch(r"s(?:tage)?(\d{1,9})(?:\.(?:block)?(\d{1,9})(?:-(\d{1,9}))?)?", where)
    if match:
        stage, first, last = (int(group) if group else None for group in match.groups())
        found = [
            index
            for index, site in enumerate(backbone.sites)
            if site.stage == stage
            and (first is None or first <= site.block <= (first if last is None else last))
        ]
        wanted = 1 if first is None or last is None else last - first + 1
        if len(found) >= wanted > 0:
            return found
    names = list(dict.fromkeys(f"stage{site.stage}" for site in backbone.sites))
    # A number that is not there is no slip of the pen.
    known = [] if match else [*names, *(site.name for site in backbone.sites), "all", "native"]
    raise CandidateError(
        f"{backbone.name} has no site {where!r}{suggest_nearest(where, known)}; it has "
        f"{', '.join(names)} and their blocks, "
        f"such as {backbone.sites[0].name} or {backbone.sites[0].name}-2, and all"
    )
