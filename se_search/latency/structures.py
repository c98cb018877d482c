"""Which networks are timed, so that the latency of every candidate of a space is a sum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from se_search.candidate import SE, Candidate
from se_search.latency.sums import name_delta
from se_search.space.allowed import AllowedCandidates
from se_search.space.bound import BoundSpace

NUM_WHOLE = 30
MAX_TRIES = 20  # times the candidates that are wanted: a small space has no more others


@dataclass(frozen=True, slots=True)
class DeltaStructure:
    """A network that shows what one kind of SE block adds: it has one at each site of one shape.

    Attributes:
        name: of the delta; see ``name_delta``.
        candidate: the network. With several blocks their time stands out of the noise further, and
            is divided by their number.
        num_blocks: number of its SE blocks.
    """

    name: str
    candidate: Candidate
    num_blocks: int


def list_deltas(space: BoundSpace) -> tuple[DeltaStructure, ...]:
    """Return a network for each kind of SE block that a candidate of a space can have.

    Sites of one shape that can carry equal blocks share one, so that a network of sixteen sites in
    four stages has one for each stage, integration, kind and width.
    """
    found: dict[str, dict[int, SE]] = {}
    for slot, levels in zip(space.slots, space.levels, strict=True):
        for level in levels:
            for index, block in zip(slot.indices, level, strict=True):
                if block is not None:
                    site = space.backbone.sites[index]
                    found.setdefault(name_delta(block, site), {})[index] = block
    plain: list[SE | None] = [None] * len(space.backbone.sites)
    structures = []
    for name, placed in found.items():
        blocks = [placed.get(index, none) for index, none in enumerate(plain)]
        candidate = Candidate(space.backbone, tuple(blocks))
        structures.append(DeltaStructure(name, candidate, len(placed)))
    return tuple(structures)


def draw_whole(
    allowed: AllowedCandidates, deltas: tuple[DeltaStructure, ...], count: int = NUM_WHOLE
) -> tuple[Candidate, ...]:
    """Draw candidates on which sums are checked: none is plain, or a network of the deltas."""
    taken = {Candidate.plain(allowed.space.backbone), *(each.candidate for each in deltas)}
    rng = np.random.default_rng(0)
    listed = allowed.list_codes(MAX_TRIES * count)
    if listed is None:
        codes = allowed.draw_codes(MAX_TRIES * count, rng)
    else:
        codes = listed[rng.permutation(len(listed))]
    drawn: dict[Candidate, None] = {}
    for row in codes:
        candidate = allowed.space.with_codes(row)
        if candidate not in taken:
            drawn[candidate] = None
        if len(drawn) == count:
            break
    return tuple(drawn)
