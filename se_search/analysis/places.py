"""The places that tell candidates apart, and what each candidate carries there."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from se_search.backbone import Site
from se_search.candidate import SE
from se_search.space.bound import BoundSpace
from se_search.space.texts import encode_texts

Blocks = tuple[tuple[Site, SE], ...]


@dataclass(frozen=True)
class Place:
    """A slot of the space, or several that the candidates can't tell apart, and what is carried.

    Attributes:
        name: ``stage3``, ``stage3.block1``, ``network``, or several names joined by ``+``.
        carries: ``(n,)``: whether there is SE.
        positions: ``n`` integrations, as ``pre``; empty where there is no SE.
        widths: ``n`` names of widths, as ``r = 16`` or ``width 16``; ``none`` for a variant
            without a squeeze width, empty where there is no SE.
        variants: ``n`` kinds with their options, as ``se+max``; empty where there is no SE.
        levels: ``(n,)``: equal numbers where candidates carry equal blocks.
    """

    name: str
    carries: NDArray[np.bool_]
    positions: tuple[str, ...]
    widths: tuple[str, ...]
    variants: tuple[str, ...]
    levels: NDArray[np.int64]

    @property
    def can_be_empty(self) -> bool:
        """Tell whether there are candidates without SE here."""
        return not bool(self.carries.all())

    def attributes(self) -> dict[str, tuple[str, ...]]:
        """Return ``position``, ``width`` and ``variant``, each if the blocks here differ in it."""
        named = {"position": self.positions, "width": self.widths, "variant": self.variants}
        return {kind: own for kind, own in named.items() if len(set(own) - {""}) > 1}


def read_places(space: BoundSpace, texts: Sequence[str]) -> list[Place]:
    """Return the places in which candidates differ.

    Slots that carry SE in exactly the same candidates, where the level of one tells the level of
    the other, are one place: no data could tell their effects apart.

    Args:
        space: the candidates' space.
        texts: ``n`` different candidates, as ``str(candidate)`` writes them.

    Raises:
        CandidateError: a text is no candidate of the space's backbone.
        SpaceError: a candidate is not in the space.
    """
    codes = encode_texts(space, texts)
    carries = np.column_stack(
        [
            np.array([placement[0] is not None for placement in levels])[own]
            for levels, own in zip(space.levels, codes.T, strict=True)
        ]
    )
    groups: list[list[int]] = []
    for slot in range(len(space.slots)):
        if len(np.unique(codes[:, slot])) < 2:
            continue
        for group in groups:
            if (carries[:, group[0]] == carries[:, slot]).all() and _is_one(codes, group, slot):
                group.append(slot)
                break
        else:
            groups.append([slot])
    return [_merge(space, group, codes) for group in groups]


def _is_one(codes: NDArray[np.int16], group: Sequence[int], slot: int) -> bool:
    """Tell whether the level of a slot follows from the levels of a group, or these from it."""
    num_group = len(np.unique(codes[:, group], axis=0))
    num_slot = len(np.unique(codes[:, slot]))
    num_pairs = len(np.unique(codes[:, [*group, slot]], axis=0))
    return num_pairs in (num_group, num_slot)


def _merge(space: BoundSpace, group: Sequence[int], codes: NDArray[np.int16]) -> Place:
    rows, levels = np.unique(codes[:, group], axis=0, return_inverse=True)
    levels = levels.ravel()
    carried = [_blocks(space, group, row.tolist()) for row in rows]
    has_ratios = space.space.choices.reduction is not None

    def name_all(names: Sequence[str]) -> tuple[str, ...]:
        return tuple(names[level] for level in levels.tolist())

    return Place(
        name=_name_place(space, group),
        carries=np.array([bool(blocks) for blocks in carried])[levels],
        positions=name_all([_join(block.integration for _, block in own) for own in carried]),
        widths=name_all([_name_width(own, has_ratios) for own in carried]),
        variants=name_all([_join(_name_variant(block) for _, block in own) for own in carried]),
        levels=levels.astype(np.int64),
    )


def _blocks(space: BoundSpace, group: Sequence[int], row: Sequence[int]) -> Blocks:
    return tuple(
        (site, block)
        for slot, code in zip(group, row, strict=True)
        for site, block in zip(space.slots[slot].sites, space.levels[slot][code], strict=True)
        if block is not None
    )


def _name_place(space: BoundSpace, group: Sequence[int]) -> str:
    """Name a place by its stages where it has all of their searched blocks, else by its blocks."""
    names = [space.slots[slot].name for slot in group]
    found = []
    for stage in dict.fromkeys(name.partition(".")[0] for name in names):
        own = [name for name in names if name.partition(".")[0] == stage]
        parts = [slot.name for slot in space.slots if slot.name.partition(".")[0] == stage]
        found += [stage] if own == parts else own
    return "+".join(found)


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


def _name_variant(block: SE) -> str:
    return "+".join([block.kind, *block.modifiers])


def _join(names: Iterable[str]) -> str:
    return "/".join(dict.fromkeys(names))
