"""Lists the SE blocks that the sites of a backbone may get in a space or in named candidates."""

from __future__ import annotations

from collections.abc import Iterable

from se_search.candidate import SE, Candidate
from se_search.space.bound import BoundSpace

Designs = tuple[tuple[SE, ...], ...]
"""For each site of a backbone, in its order, the different SE blocks that it may get."""


def list_designs(space: BoundSpace) -> Designs:
    """Return the SE blocks that each site of the backbone may get in a space."""
    found: list[dict[SE, None]] = [{} for _ in space.backbone.sites]
    for slot, levels in zip(space.slots, space.levels, strict=True):
        for level in levels:
            for index, block in zip(slot.indices, level, strict=True):
                if block is not None:
                    found[index][block] = None
    return tuple(map(tuple, found))


def collect_designs(candidates: Iterable[Candidate]) -> Designs:
    """Return the SE blocks that each site gets in at least one of the candidates of a backbone."""
    columns = zip(*(candidate.blocks for candidate in candidates), strict=True)
    return tuple(
        tuple(dict.fromkeys(block for block in column if block is not None)) for column in columns
    )
