"""What the levels of a space's slots are called, and which of them go together in an effect."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from se_search.backbone import Site
from se_search.candidate import SE
from se_search.space.bound import BoundSpace

ANY_SE = "any SE"
ATTRIBUTES = ("position", "width", "variant")
Blocks = Sequence[tuple[Site, SE]]


@dataclass(frozen=True)
class LevelGroup:
    """Levels of a slot that have something in common.

    Attributes:
        kind: ``slot`` (all that carry SE), ``position``, ``width`` or ``variant``.
        name: what they have in common, as ``any SE``, ``pre``, ``r = 16`` or ``se+max``.
        codes: ``(n,)``, their numbers among the slot's levels.
    """

    kind: str
    name: str
    codes: NDArray[np.int64]


@dataclass(frozen=True)
class SlotLevels:
    """The levels of a slot.

    Attributes:
        name: of the slot: ``stage3``, ``stage3.block1``, ``network``.
        empty: number of the level without SE; None: the slot always carries SE.
        names: for ``position``, ``width`` and ``variant`` the name of each level's; empty for the
            level without SE.
    """

    name: str
    empty: int | None
    names: dict[str, tuple[str, ...]]

    @property
    def carrying(self) -> NDArray[np.int64]:
        """Numbers of the levels with SE."""
        count = len(self.names["position"])
        return np.array([code for code in range(count) if code != self.empty], np.int64)

    def groups(self) -> list[LevelGroup]:
        """Return all levels with SE, then those of each position, width and variant that varies.

        Of a slot that always carries SE, all its levels together are no group: nothing differs.
        """
        found = [] if self.empty is None else [LevelGroup("slot", ANY_SE, self.carrying)]
        for kind in ATTRIBUTES:
            own = {code: self.names[kind][code] for code in self.carrying.tolist()}
            if len(set(own.values())) > 1:
                found += [
                    LevelGroup(kind, name, np.array([c for c in own if own[c] == name], np.int64))
                    for name in sorted(set(own.values()), key=_in_order)
                ]
        return found


def read_slot_levels(space: BoundSpace) -> list[SlotLevels]:
    """Return the levels of each slot of a space, in its order."""
    has_ratios = space.space.choices.reduction is not None
    return [
        _read_slot(slot.name, [_blocks(slot.sites, level) for level in levels], has_ratios)
        for slot, levels in zip(space.slots, space.levels, strict=True)
    ]


def _read_slot(name: str, levels: Sequence[Blocks], has_ratios: bool) -> SlotLevels:
    empty = [code for code, blocks in enumerate(levels) if not blocks]
    return SlotLevels(
        name,
        empty[0] if empty else None,
        {
            "position": tuple(_join(b.integration for _, b in blocks) for blocks in levels),
            "width": tuple(_name_width(blocks, has_ratios) for blocks in levels),
            "variant": tuple(
                _join("+".join([b.kind, *b.modifiers]) for _, b in blocks) for blocks in levels
            ),
        },
    )


def _blocks(sites: Sequence[Site], level: Sequence[SE | None]) -> Blocks:
    pairs = zip(sites, level, strict=True)
    return [(site, block) for site, block in pairs if block is not None]


def _name_width(blocks: Blocks, has_ratios: bool) -> str:
    """Name a width as the space asks for it: by the reduction ratio, or by its number."""
    wide = [(site, block) for site, block in blocks if block.width]
    if not wide:
        return "none" if blocks else ""
    if not has_ratios:
        return "width " + _join(str(block.width) for _, block in wide)
    # Where few channels round to other ratios than asked for, their mean names the width.
    logs = [
        math.log2(site.feature_map(block.integration).channels / block.width)
        for site, block in wide
    ]
    return f"r = {2 ** round(float(np.mean(logs)), 2):.3g}"


def _join(names: Iterable[str]) -> str:
    return "/".join(dict.fromkeys(names))


def _in_order(name: str) -> tuple[object, ...]:
    """Return what sorts names by the numbers in them."""
    parts = re.split(r"(\d+(?:\.\d+)?)", name)
    return tuple(float(part) if part[:1].isdigit() else part for part in parts)
