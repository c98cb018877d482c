"""SE blocks, and candidates: which block each site of a backbone carries, as frozen values."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal, get_args

from se_search.backbone import INTEGRATIONS, Backbone, Integration, Site, find_sites
from se_search.errors import CandidateError, suggest_nearest

Kind = Literal["se", "ese", "eca", "ge"]
Squeeze = Literal["avg", "max", "avgmax", "std", "none"]
Gate = Literal["sigmoid", "hard_sigmoid", "tanh", "relu"]
GateInit = Literal["half", "open", "double"]
Rounding = Literal["floor", "multiple_of_8"]

KINDS: tuple[Kind, ...] = get_args(Kind)
SQUEEZES: tuple[Squeeze, ...] = get_args(Squeeze)
GATES: tuple[Gate, ...] = get_args(Gate)
GATE_INITS: tuple[GateInit, ...] = get_args(GateInit)
# The words behind a width in the text form, each with the field of SE that it sets.
MODIFIERS: Mapping[str, str] = {
    **dict.fromkeys(SQUEEZES, "squeeze"),
    **dict.fromkeys(GATES, "gate"),
    **dict.fromkeys(GATE_INITS, "gate_init"),
    "bias": "bias",
}


@dataclass(frozen=True, slots=True, order=True)
class SE:
    """A squeeze-and-excitation block (Hu et al. 2019, eq. 2-4), or one of its variants.

    Squeeze, gate, bias and initial gate can be chosen for kind ``se`` only: the variants (``ese``,
    ``eca``, ``ge``) and ``native`` blocks have fixed designs.

    Attributes:
        integration: position in the residual unit: ``standard``, ``pre``, ``post``, ``identity``
            (fig. 5) or ``inner`` (SE_3x3, table 15). ``rectified`` is ``standard`` with a ReLU in
            front, which several implementations have and the paper does not. ``native`` replaces
            the block that a network came with by one of the same design.
        width: squeeze width, the output width of the first fully connected layer; 0 for the
            variants, which have no such layer.
        squeeze: pooling of the feature map to one number a channel (table 11). ``avgmax`` is the
            mean of ``avg`` and ``max``, ``std`` the standard deviation over the pixels. With
            ``none`` every pixel has its own gates (NoSqueeze, table 16).
        gate: non-linearity of the gate (table 12).
        bias: whether the two fully connected layers have biases; the paper's equations have none.
        gate_init: value of the gate before training. ``half``: as the layers' weights make it,
            near 0.5 for a sigmoid. ``open``: near 1, by the bias of the last layer. ``double``:
            near 1, because the gate is multiplied by 2.
        kind: ``se``, or one of its variants: ``ese`` (one layer without a bottleneck, Lee & Park
            2020), ``eca`` (a convolution over the channels, Wang et al. 2020), ``ge`` (the sigmoid
            of the mean, without parameters; theta-minus of Hu et al. 2018).

    Raises:
        CandidateError: a value is not allowed, or two values can't go together.
    """

    integration: Integration
    width: int
    squeeze: Squeeze = "avg"
    gate: Gate = "sigmoid"
    bias: bool = False
    gate_init: GateInit = "half"
    kind: Kind = "se"

    def __post_init__(self) -> None:
        """Check the values."""
        for name, value, allowed in (
            ("integration", self.integration, INTEGRATIONS),
            ("squeeze", self.squeeze, SQUEEZES),
            ("gate", self.gate, GATES),
            ("gate_init", self.gate_init, GATE_INITS),
            ("kind", self.kind, KINDS),
        ):
            if value not in allowed:
                hint = suggest_nearest(value, allowed)
                raise CandidateError(f"{name} {value!r} is not one of {', '.join(allowed)}{hint}")
        if type(self.bias) is not bool:
            raise CandidateError(f"bias {self.bias!r} is not True or False")
        if not isinstance(self.width, int) or (self.kind == "se" and self.width < 1):
            raise CandidateError(f"squeeze width {self.width} is not a positive integer")
        if self.kind != "se":
            self._check_fixed_design()
        elif self.integration == "native" and self.modifiers:
            raise CandidateError(
                f"a native block has its network's own design: it takes no {self.modifiers[0]}"
            )
        if self.gate_init == "open" and not self.bias:
            raise CandidateError(
                "gate_init 'open' is set by the last layer's bias, so it needs bias"
            )
        if self.gate_init == "double" and self.gate not in ("sigmoid", "hard_sigmoid"):
            raise CandidateError(
                f"gate_init 'double' is for a gate that starts at 0.5 (sigmoid, hard_sigmoid), "
                f"not {self.gate!r}"
            )

    @property
    def modifiers(self) -> tuple[str, ...]:
        """The words of the text form for all values that are not the defaults, as ``("max",)``."""
        return (
            *([self.squeeze] if self.squeeze != "avg" else []),
            *([self.gate] if self.gate != "sigmoid" else []),
            *(["bias"] if self.bias else []),
            *([self.gate_init] if self.gate_init != "half" else []),
        )

    def __str__(self) -> str:
        what = self.width if self.kind == "se" else self.kind
        return "+".join([f"{self.integration}:{what}", *self.modifiers])

    def _check_fixed_design(self) -> None:
        if self.width != 0:
            raise CandidateError(f"kind {self.kind!r} has no squeeze width, so not {self.width}")
        if self.modifiers:
            raise CandidateError(
                f"kind {self.kind!r} has a fixed design: it takes no {self.modifiers[0]}"
            )
        if self.integration == "native":
            raise CandidateError(
                f"a native block has its network's own design, not that of kind {self.kind!r}"
            )


@dataclass(frozen=True, slots=True)
class Candidate:
    """A backbone and the SE block at each of its sites (None: no SE there).

    Candidates that are equal, hash equally, or have equal text forms are the same network. The
    text form lists the sites that carry SE with integration and squeeze width, as
    ``resnet50/stage2=standard:16/stage4.block1-3=pre:64``; a plain backbone is its bare name.

    Attributes:
        backbone: the network without SE.
        blocks: for each site of the backbone, in its order, the SE block or None.

    Raises:
        CandidateError: the number of blocks is not that of the sites, or a site can't have the
            integration of its block.

    Example:
        >>> from se_search.models.catalogue import describe_backbone
        >>> backbone = describe_backbone("resnet20_bottleneck", 1, 28, 10)
        >>> candidate = Candidate.parse("resnet20_bottleneck/all=standard:r16", backbone)
        >>> print(candidate)
        resnet20_bottleneck/stage2=standard:2/stage3=standard:4/stage4=standard:8/stage5=standard:16
        >>> candidate.blocks[0].width
        2
    """

    backbone: Backbone
    blocks: tuple[SE | None, ...]

    def __post_init__(self) -> None:
        """Check that the blocks fit the sites."""
        if not isinstance(self.backbone, Backbone):
            raise TypeError(f"a candidate is of a Backbone, not {self.backbone!r:.80}")
        if not isinstance(self.blocks, tuple):
            raise TypeError(f"the blocks of a candidate are a tuple, not {self.blocks!r:.80}")
        for block in self.blocks:
            if block is not None and not isinstance(block, SE):
                raise TypeError(f"each block of a candidate is an SE or None, not {block!r:.80}")
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
        """Read a candidate from a text form, ``BACKBONE/SITES=BLOCK/SITES=BLOCK...``.

        SITES is ``all``, ``native`` (where the network came with SE), ``stage2``,
        ``stage2.block1`` or ``stage2.block1-3``. BLOCK is
        ``INTEGRATION:WIDTH`` with modifiers behind it (``standard:16+max+bias``), or ``none``. The
        width is a number, ``r16`` (a reduction ratio), ``original`` (the network's own width), or
        a variant of SE (``ese``, ``eca``, ``ge``). A later setting overrides an earlier one, as in
        ``resnet50/all=standard:r16/stage5=none``.

        What tables print is read, too: ``placement``, as ``s2:16 s4.1-3:pre64`` or ``no SE``. The
        backbone's name may be left out.

        Args:
            text: a text form; it need not be the canonical one that ``str`` returns.
            backbone: the candidate's backbone.

        Raises:
            TypeError: an argument is of another type.
            CandidateError: the text names another backbone or a site that the backbone does not
                have, or BLOCK is not a block that is possible at the site.

        Example:
            >>> from se_search.models.catalogue import describe_backbone
            >>> backbone = describe_backbone("resnet50", 3, 224, 1000)
            >>> print(Candidate.parse("resnet50/all=standard:r16+max/stage5=none", backbone))
            resnet50/stage2=standard:16+max/stage3=standard:32+max/stage4=standard:64+max
        """
        if not isinstance(text, str) or not isinstance(backbone, Backbone):
            raise TypeError(
                f"Candidate.parse takes a text and a Backbone, not {text!r:.80}, {backbone!r:.80}"
            )
        blocks: list[SE | None] = [None] * len(backbone.sites)
        for where, what in _split_settings(text, backbone.name):
            for index in find_sites(where, backbone):
                blocks[index] = _parse_block(what, backbone.sites[index])
        return cls(backbone, tuple(blocks))

    @property
    def key(self) -> str:
        """Twelve hexadecimal digits that identify the network: a hash of the text form."""
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
        """Yield names such as ``stage2.block1-3`` with the block that all their sites carry."""
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


def squeeze_width(channels: int, reduction: int, rounding: Rounding = "floor") -> int:
    """Return the squeeze width for a reduction ratio: ``channels // reduction``, at least 1.

    With ``multiple_of_8`` the quotient is rounded to the nearest multiple of 8, halves upwards, and
    is at least 8 (``make_divisible`` with ``round_limit=0``, as in timm's ``SEModule``).
    """
    if rounding == "multiple_of_8":
        return 8 * max(1, (channels + 4 * reduction) // (8 * reduction))
    return max(1, channels // reduction)


def eca_kernel(channels: int) -> int:
    """Return the kernel size of ECA: odd, near ``(log2(channels) + 1) / 2``, at least 3.

    The formula is that of Wang et al. 2020 (gamma = 2, b = 1). The rounding to an odd number and
    the minimum are those of timm's ``EcaModule``.
    """
    size = int((math.log2(channels) + 1) / 2)
    return max(size if size % 2 else size + 1, 3)


def name_backbone(text: str) -> str:
    """Return the backbone's name that the text form of a candidate begins with.

    Raises:
        CandidateError: the text begins with a site.
    """
    first = re.split(r"[/\s]", text.strip())[0]
    if not first or "=" in first or SHORT.match(first) or text.startswith("no SE"):
        raise CandidateError(
            f"candidate {text!r} does not begin with a backbone, as resnet50/all=standard:r16 "
            "does; --backbone names one, too"
        )
    return first


# A word of the short form: a place, and a block without "standard:" or the colon before its width.
SHORT = re.compile(r"(s(?:tage)?\d[^\s:=/]*):(\S+)")
MARKS = re.compile(r"\s+[*be]{1,3}$")  # behind the candidates of a confirmation's table


def _split_settings(text: str, name: str) -> list[tuple[str, str]]:
    """Return the settings of a candidate's text, each as SITES and BLOCK, in their order."""
    rest = text.strip()
    if rest == name or re.match(rf"{re.escape(name)}[/\s]", rest):
        settings = rest[len(name) :]
        parts = settings[1:].split("/") if settings else []
    elif "=" in rest.split("/")[0] or SHORT.match(rest) or rest.startswith("no SE"):
        parts = rest.split("/")  # the backbone's name has been left out
    else:
        first = re.split(r"[/\s]", rest)[0]
        hint = suggest_nearest(first, [name])
        raise CandidateError(f"candidate {text!r} is not of the backbone {name}{hint}")
    found = []
    for part in parts:
        words = MARKS.sub("", part.strip()).split()
        if words == ["no", "SE"] and len(parts) == 1:
            continue
        short = [SHORT.fullmatch(word) for word in words]
        if words and all(short):
            found += [(match[1], _lengthen(match[2])) for match in short if match]
            continue
        where, separator, what = part.partition("=")
        if not separator:
            raise CandidateError(f"candidate {text!r}: {part!r} is not SITE=BLOCK")
        found.append((where, what))
    return found


def _lengthen(short: str) -> str:
    """Return a block's text form from its short one: ``standard:16`` from ``16``."""
    if re.match(rf"r?\d|({'|'.join(KINDS[1:])})(\+|$)", short):
        return f"standard:{short}"
    return re.sub(r"^([a-z]+_?[a-z]*?)(\d)", r"\1:\2", short)


def _parse_block(text: str, site: Site) -> SE | None:
    if text == "none":
        return None
    match = re.fullmatch(r"([a-z_]+):(?:(r?)(\d{1,9})|([a-z]+))((?:\+[a-z_]+)*)", text)
    word = match[4] if match else None
    if match is None or word not in (None, "original", *KINDS[1:]):
        hint = suggest_nearest(word, ("original", *KINDS[1:])) if word and word != "se" else ""
        raise CandidateError(
            f"{text!r} is not INTEGRATION:WIDTH, INTEGRATION:rRATIO, "
            f"INTEGRATION:ese (or eca, ge), native:original or none{hint}"
        )
    integration, is_ratio, number, _, rest = match.groups()
    if integration not in INTEGRATIONS:
        hint = suggest_nearest(integration, INTEGRATIONS)
        raise CandidateError(
            f"integration {integration!r} is not one of {', '.join(INTEGRATIONS)}{hint}"
        )
    width = int(number or 0)
    if width < 1 and word is None:
        raise CandidateError(f"{text!r}: {number} is not a positive integer")
    if is_ratio:
        width = squeeze_width(site.feature_map(integration).channels, width)
    if word == "original":
        width = _original_width(text, integration, site)
    fields = _parse_modifiers(text, rest.split("+")[1:])
    if word in KINDS:
        fields["kind"] = word
    return SE(integration, width, **fields)


def _original_width(text: str, integration: str, site: Site) -> int:
    if site.native is None:
        raise CandidateError(f"{text!r}: {site.name} came without an SE block")
    if integration != "native":
        raise CandidateError(f"{text!r}: only the integration native has an original width")
    return site.native.width


def _parse_modifiers(text: str, modifiers: Sequence[str]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for modifier in modifiers:
        if modifier not in MODIFIERS:
            hint = suggest_nearest(modifier, MODIFIERS)
            raise CandidateError(
                f"{text!r}: {modifier!r} is not one of {', '.join(MODIFIERS)}{hint}"
            )
        name = MODIFIERS[modifier]
        if name in fields:
            raise CandidateError(f"{text!r}: {name} is given twice")
        fields[name] = True if modifier == "bias" else modifier
    return fields
