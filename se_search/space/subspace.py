"""Subspaces: the candidates that one supernet holds, as levels of groups of sites."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Self

from se_search.backbone import Backbone, Integration
from se_search.candidate import SE, Candidate
from se_search.space.bound import BoundSpace
from se_search.space.designs import Designs
from se_search.space.levels import Level, list_levels
from se_search.space.schema import combine_axes


@dataclass(frozen=True, slots=True)
class Subspace:
    """The candidates of a supernet: a whole space, or a part of one.

    A child process is sent it in place of the space.

    Attributes:
        backbone: the network without SE.
        slots: for each group of sites that share a choice, their positions in ``backbone.sites``.
        levels: for each slot what it can carry.
        possible: for each slot and level the combinations of shared choices, from 0, under which
            the slot can have that level.
        num_shared: number of combinations of shared choices; 1: none are shared.
    """

    backbone: Backbone
    slots: tuple[tuple[int, ...], ...]
    levels: tuple[tuple[Level, ...], ...]
    possible: tuple[tuple[frozenset[int], ...], ...]
    num_shared: int

    @classmethod
    def whole(cls, space: BoundSpace) -> Self:
        """Return all candidates of a space."""
        possible = [tuple(list_levels(space.space, slot).values()) for slot in space.slots]
        return cls(
            space.backbone,
            tuple(slot.indices for slot in space.slots),
            space.levels,
            tuple(possible),
            len(combine_axes(space.space.shared_axes)),
        )

    @classmethod
    def of_designs(cls, backbone: Backbone, designs: Designs) -> Self:
        """Return the candidates that carry, at each site by itself, one of its designs or none."""
        levels = tuple(((None,), *((block,) for block in own)) for own in designs)
        possible = tuple((frozenset({0}),) * len(own) for own in levels)
        return cls(backbone, tuple((i,) for i in range(len(designs))), levels, possible, 1)

    def with_integrations(self, integrations: Collection[Integration]) -> Self:
        """Return the candidates whose SE blocks all have one of some integrations.

        A supernet of positions that go well together can tell more of them than one of all.
        """
        return self._keeping(
            lambda level: all(block is None or block.integration in integrations for block in level)
        )

    @property
    def designs(self) -> Designs:
        """For each site of the backbone the SE blocks that it may get."""
        found: list[dict[SE, None]] = [{} for _ in self.backbone.sites]
        for indices, levels in zip(self.slots, self.levels, strict=True):
            for level in levels:
                for index, block in zip(indices, level, strict=True):
                    if block is not None:
                        found[index][block] = None
        return tuple(map(tuple, found))

    def assemble(self, levels: Sequence[Level]) -> Candidate:
        """Return the candidate whose slots carry these levels."""
        blocks: list[SE | None] = [None] * len(self.backbone.sites)
        for indices, level in zip(self.slots, levels, strict=True):
            for index, block in zip(indices, level, strict=True):
                blocks[index] = block
        return Candidate(self.backbone, tuple(blocks))

    def __contains__(self, candidate: object) -> bool:
        """Tell whether a candidate can be made of levels that are possible together."""
        if not isinstance(candidate, Candidate) or candidate.backbone != self.backbone:
            return False
        shared = frozenset(range(self.num_shared))
        carried: list[Level] = []
        for indices, levels, possible in zip(self.slots, self.levels, self.possible, strict=True):
            carried.append(tuple(candidate.blocks[index] for index in indices))
            if carried[-1] not in levels:
                return False
            shared &= possible[levels.index(carried[-1])]
        return bool(shared) and self.assemble(carried) == candidate

    def _keeping(self, is_kept: Callable[[Level], bool]) -> Self:
        pairs = [
            [
                (level, shared)
                for level, shared in zip(levels, possible, strict=True)
                if is_kept(level)
            ]
            for levels, possible in zip(self.levels, self.possible, strict=True)
        ]
        return type(self)(
            self.backbone,
            self.slots,
            tuple(tuple(level for level, _ in own) for own in pairs),
            tuple(tuple(shared for _, shared in own) for own in pairs),
            self.num_shared,
        )
