"""Candidates: which SE block each site of a backbone carries, as frozen values."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Literal, get_args

from se_search.errors import CandidateError

Integration = Literal["standard", "pre", "post", "identity", "inner", "rectified", "native"]
Kind = Literal["se", "ese", "eca", "ge"]
Squeeze = Literal["avg", "max", "avgmax", "std", "none"]
Gate = Literal["sigmoid", "hard_sigmoid", "tanh", "relu"]
GateInit = Literal["half", "open", "double"]
Rounding = Literal["floor", "multiple_of_8"]

INTEGRATIONS: tuple[Integration, ...] = get_args(Integration)
KINDS: tuple[Kind, ...] = get_args(Kind)
SQUEEZES: tuple[Squeeze, ...] = get_args(Squeeze)
GATES: tuple[Gate, ...] = get_args(Gate)
GATE_INITS: tuple[GateInit, ...] = get_args(GateInit)


@dataclass(frozen=True, slots=True)
class FeatureMap:
    """The feature map that an SE block gates: its channels, and height x width in pixels."""

    channels: int
    pixels: int


@dataclass(frozen=True, slots=True)
class NativeSE:
    """The SE block that a network came with at a site, as far as its cost goes.

    Attributes:
        width: its own squeeze width; a block of this width is the network's own.
        bias: whether its two layers have biases.
        squeeze_operator: ``mean`` or ``adaptive_avg_pool2d``, as fvcore calls it.
        excite_operator: ``conv`` or ``linear``.
        gate_operator: ``sigmoid`` or ``hardsigmoid``.
    """

    width: int
    bias: bool
    squeeze_operator: str
    excite_operator: str
    gate_operator: str


@dataclass(frozen=True, slots=True)
class Site:
    """One place of a backbone that can carry an SE block (paper's numbering: first stage is 2).

    Attributes:
        stage: 2 for conv2_x (torchvision's ``layer1``), and so on.
        block: 1 for the first block of its stage.
        feature_maps: what an SE block would gate, for each integration possible here.
        native: the SE block that the network came with here; then ``native`` is an integration.
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
        """Return what an SE block with this integration gates; CandidateError if it can't."""
        if integration not in self.feature_maps:
            allowed = ", ".join(self.feature_maps)
            raise CandidateError(
                f"{self.name} has no integration {integration!r} (it has {allowed})"
            )
        return self.feature_maps[integration]


@dataclass(frozen=True, slots=True)
class Part:
    """What a stretch of the plain backbone costs: the stem, one stage, or the head.

    Attributes:
        params: number of parameters.
        macs: multiply-adds for one image, by operator, as fvcore counts them.
    """

    name: str
    params: int
    macs: Mapping[str, int] = field(hash=False)


@dataclass(frozen=True, slots=True)
class Backbone:
    """A network without SE as the search sees it: its sites, and what it costs.

    Attributes:
        name: ``resnet20_bottleneck``, ``resnet50``, ...
        in_channels: channels of the images that it takes.
        image_size: height and width in pixels for which the MACs hold.
        num_classes: width of the last layer.
        sites: in forward order.
        parts: stem, stages and head, in forward order.
        uncounted: operators that fvcore met and did not count.
        allow_code: whether it is a user's own code, which may be run to make it.
        attach: where SE goes at each site, as path and side (``before`` or ``after``) for each
            integration, if a user has named the sites; None: they are found by inspection.
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

    @property
    def stages(self) -> tuple[int, ...]:
        """The stages that have sites, ascending."""
        return tuple(dict.fromkeys(site.stage for site in self.sites))


@dataclass(frozen=True, slots=True, order=True)
class SE:
    """One squeeze-and-excitation block (Hu et al. 2019, eq. 2-4), or one of its variants.

    Variants are of the block with two layers; its variants and ``native`` blocks have none.

    Attributes:
        integration: where it sits in its residual unit (fig. 5; ``inner``: SE_3x3, table 15).
            ``rectified`` is standard after a ReLU of its own, which the paper does not have and
            several implementations do; ``native`` is in place of the block that a network came
            with, and of that block's design.
        width: output width of the first fully connected layer; 0 for its variants, which have none.
        squeeze: how the feature map becomes one number a channel (table 11). ``avgmax`` is the
            average of both, ``std`` the standard deviation over the pixels; with ``none`` every
            pixel is gated by itself (NoSqueeze, table 16).
        gate: non-linearity of the gate (table 12).
        bias: whether the two fully connected layers have biases (the paper's equations have none).
        gate_init: where the gate starts: about ``half``; ``open``, near 1, by the bias of the last
            layer; or ``double``, at twice a half, because the gate is twice the non-linearity.
        kind: ``se``, or ``ese`` (one layer without a bottleneck, Lee & Park 2020), ``eca`` (a
            convolution over the channels, Wang et al. 2020), ``ge`` (the sigmoid of the mean
            without any parameters, theta-minus of Hu et al. 2018).
    """

    integration: Integration
    width: int
    squeeze: Squeeze = "avg"
    gate: Gate = "sigmoid"
    bias: bool = False
    gate_init: GateInit = "half"
    kind: Kind = "se"

    def __post_init__(self) -> None:
        """Refuse what is no such block."""
        for name, value, allowed in (
            ("integration", self.integration, INTEGRATIONS),
            ("squeeze", self.squeeze, SQUEEZES),
            ("gate", self.gate, GATES),
            ("gate_init", self.gate_init, GATE_INITS),
            ("kind", self.kind, KINDS),
        ):
            if value not in allowed:
                raise CandidateError(f"{name} {value!r} is not one of {', '.join(allowed)}")
        if self.kind == "se" and self.width < 1:
            raise CandidateError(f"squeeze width {self.width} is not a positive integer")
        if self.kind != "se":
            self._check_variant()
        elif self.integration == "native" and self.variants:
            raise CandidateError(
                f"a native block is of its network's own design: it takes no {self.variants[0]}"
            )
        if self.gate_init == "open" and not self.bias:
            raise CandidateError("gate_init 'open' is set by the last layer's bias: it needs bias")
        if self.gate_init == "double" and self.gate not in ("sigmoid", "hard_sigmoid"):
            raise CandidateError(
                f"gate_init 'double' is for a gate that starts at a half (sigmoid, hard_sigmoid), "
                f"not {self.gate!r}"
            )

    @property
    def variants(self) -> tuple[str, ...]:
        """How it differs from the usual block, in the words of the text form."""
        return (
            *([self.squeeze] if self.squeeze != "avg" else []),
            *([self.gate] if self.gate != "sigmoid" else []),
            *(["bias"] if self.bias else []),
            *([self.gate_init] if self.gate_init != "half" else []),
        )

    def __str__(self) -> str:
        what = self.width if self.kind == "se" else self.kind
        return "+".join([f"{self.integration}:{what}", *self.variants])

    def _check_variant(self) -> None:
        if self.width != 0:
            raise CandidateError(f"kind {self.kind!r} has no squeeze width, so not {self.width}")
        if self.variants:
            raise CandidateError(
                f"kind {self.kind!r} has a design of its own: it takes no {self.variants[0]}"
            )
        if self.integration == "native":
            raise CandidateError(
                f"a native block is of its network's own design, not of kind {self.kind!r}"
            )


@dataclass(frozen=True, slots=True)
class Candidate:
    """A backbone and the SE block at each of its sites (None: no SE there).

    The text form lists what carries SE, as ``resnet50/stage2=standard:16/stage4.block1-3=pre:64``
    (the number is the squeeze width); a plain backbone is its bare name.
    """

    backbone: Backbone
    blocks: tuple[SE | None, ...]

    def __post_init__(self) -> None:
        """Refuse blocks that do not fit the sites."""
        if len(self.blocks) != len(self.backbone.sites):
            raise CandidateError(
                f"{self.backbone.name} has {len(self.backbone.sites)} sites, not {len(self.blocks)}"
            )
        for site, block in zip(self.backbone.sites, self.blocks, strict=True):
            if block is not None:
                site.feature_map(block.integration)

    @classmethod
    def plain(cls, backbone: Backbone) -> Candidate:
        """Return the backbone without any SE."""
        return cls(backbone, (None,) * len(backbone.sites))

    @classmethod
    def parse(cls, text: str, backbone: Backbone) -> Candidate:
        """Read the text form.

        Besides what ``str`` writes it takes ``all`` as a place, ``none`` as a block, and for a
        width ``r16`` (a reduction ratio) or ``original`` (the network's own); what comes later
        overrides what came before, as in ``resnet50/all=standard:r16/stage5=none``.

        Raises:
            CandidateError: it names another backbone, a site that is not there, or no SE block.
        """
        name, *settings = text.strip().split("/")
        if name != backbone.name:
            raise CandidateError(f"candidate {text!r} is not of the backbone {backbone.name}")
        blocks: list[SE | None] = [None] * len(backbone.sites)
        for setting in settings:
            where, separator, what = setting.partition("=")
            if not separator:
                raise CandidateError(f"candidate {text!r}: {setting!r} is not SITE=BLOCK")
            for index in find_sites(where, backbone):
                blocks[index] = _parse_block(what, backbone.sites[index])
        return cls(backbone, tuple(blocks))

    @property
    def key(self) -> str:
        """Twelve hexadecimal digits that name this network, the same on every machine."""
        return hashlib.sha256(str(self).encode()).hexdigest()[:12]

    @property
    def placement(self) -> str:
        """The short text form for tables and figures, as ``s2:16 s4.1-3:pre64``."""
        texts = []
        for where, block in self._runs():
            text = re.sub(r":(?=\d)", "", str(block).removeprefix("standard:"))
            texts.append(f"{where.replace('stage', 's').replace('block', '')}:{text}")
        return " ".join(texts) or "no SE"

    def __str__(self) -> str:
        return "/".join(
            [self.backbone.name, *(f"{where}={block}" for where, block in self._runs())]
        )

    def _runs(self) -> Iterator[tuple[str, SE]]:
        """Yield ``stage2`` or ``stage2.block1-3`` with the block that all of it carries."""
        pairs = list(zip(self.backbone.sites, self.blocks, strict=True))
        for stage, in_stage in groupby(pairs, key=lambda pair: pair[0].stage):
            members = list(in_stage)
            for block, in_run in groupby(members, key=lambda pair: pair[1]):
                sites = [site for site, _ in in_run]
                if block is None:
                    continue
                first, last = sites[0].block, sites[-1].block
                if len(sites) == len(members):
                    yield f"stage{stage}", block
                elif first == last:
                    yield f"stage{stage}.block{first}", block
                else:
                    yield f"stage{stage}.block{first}-{last}", block


def find_sites(where: str, backbone: Backbone) -> list[int]:
    """Return the indices of the sites that ``all``, ``stage2`` or ``stage2.block1-3`` names.

    Raises:
        CandidateError: the backbone has no such site.
    """
    if where == "all":
        return list(range(len(backbone.sites)))
    match = re.fullmatch(r"stage(\d{1,9})(?:\.block(\d{1,9})(?:-(\d{1,9}))?)?", where)
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
    names = ", ".join(dict.fromkeys(f"stage{site.stage}" for site in backbone.sites))
    raise CandidateError(
        f"{backbone.name} has no site {where!r}; it has {names} and their blocks, "
        f"as {backbone.sites[0].name} or {backbone.sites[0].name}-2, and all"
    )


def squeeze_width(channels: int, reduction: int, rounding: Rounding = "floor") -> int:
    """Return the squeeze width for a reduction ratio: ``channels // reduction``, at least 1.

    With ``multiple_of_8`` the nearest one, a half up and at least 8 (timm's ``make_divisible``
    with ``round_limit=0``, as its ``SEModule`` has it).
    """
    if rounding == "multiple_of_8":
        return 8 * max(1, (channels + 4 * reduction) // (8 * reduction))
    return max(1, channels // reduction)


def eca_kernel(channels: int) -> int:
    """Return the kernel size of ECA: odd, near ``(log2(channels) + 1) / 2``, at least 3.

    Wang et al. 2020 with gamma = 2 and b = 1; which odd one, and the least, as in timm's
    ``EcaModule``.
    """
    size = int((math.log2(channels) + 1) / 2)
    return max(size if size % 2 else size + 1, 3)


def _parse_block(text: str, site: Site) -> SE | None:
    if text == "none":
        return None
    match = re.fullmatch(r"([a-z_]+):(?:(r?)(\d{1,9})|([a-z]+))((?:\+[a-z_]+)*)", text)
    word = match[4] if match else None
    if match is None or word not in (None, "original", *KINDS[1:]):
        raise CandidateError(
            f"{text!r} is not INTEGRATION:WIDTH, INTEGRATION:rRATIO, "
            "INTEGRATION:ese (or eca, ge), native:original or none"
        )
    integration, is_ratio, number, _, rest = match.groups()
    if integration not in INTEGRATIONS:
        raise CandidateError(f"integration {integration!r} is not one of {', '.join(INTEGRATIONS)}")
    width = int(number or 0)
    if width < 1 and word is None:
        raise CandidateError(f"{text!r}: {number} is not a positive integer")
    if is_ratio:
        width = squeeze_width(site.feature_map(integration).channels, width)
    if word == "original":
        width = _original_width(text, integration, site)
    fields = _parse_variants(text, rest.split("+")[1:])
    if word in KINDS:
        fields["kind"] = word
    return SE(integration, width, **fields)


def _original_width(text: str, integration: str, site: Site) -> int:
    if integration != "native" or site.native is None:
        raise CandidateError(f"{text!r}: {site.name} came without an SE block of that integration")
    return site.native.width


def _parse_variants(text: str, variants: Sequence[str]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for variant in variants:
        known = {"squeeze": SQUEEZES, "gate": GATES, "gate_init": GATE_INITS, "bias": ("bias",)}
        names = [name for name, values in known.items() if variant in values]
        if not names:
            allowed = ", ".join(value for values in known.values() for value in values)
            raise CandidateError(f"{text!r}: variant {variant!r} is not one of {allowed}")
        if names[0] in fields:
            raise CandidateError(f"{text!r}: {names[0]} is given twice")
        fields[names[0]] = True if variant == "bias" else variant
    return fields
