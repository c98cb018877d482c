"""Candidates as rows of level numbers (ordinal codes): counted, numbered, listed and drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from se_search.space.layers import Edge, Layers


class CodeSet:
    """The rows of codes that are candidates, numbered from 0 in lexicographic order.

    A row has for each slot the number of a level, ``(num_slots,)``. It is a candidate if at least
    one combination of the shared choices is possible with all its levels; then it counts once,
    even if several combinations are.

    Args:
        possible: for each slot and level the combinations of shared choices, from 0, under which
            the slot can have that level.
        num_shared: number of combinations of shared choices.
    """

    def __init__(self, possible: Sequence[Sequence[frozenset[int]]], num_shared: int) -> None:
        self._possible = possible
        self._num_shared = num_shared
        self._all_shared = frozenset(range(num_shared))
        self._counts: dict[tuple[int, frozenset[int]], int] = {}

    @property
    def size(self) -> int:
        """The number of candidates."""
        return self._count(0, self._all_shared)

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        return self._walk(0, self._all_shared)

    def __contains__(self, row: Sequence[int]) -> bool:
        shared = (levels[code] for levels, code in zip(self._possible, row, strict=True))
        return bool(self._all_shared.intersection(*shared))

    def row_at(self, index: int) -> list[int]:
        """Return candidate number ``index`` (0 <= index < size) without listing the others."""
        row = []
        shared = self._all_shared
        for depth, levels in enumerate(self._possible):
            for code, possible in enumerate(levels):
                count = self._count(depth + 1, shared & possible) if shared & possible else 0
                if index < count:
                    row.append(code)
                    shared = shared & possible
                    break
                index -= count
        return row

    def index_of(self, row: Sequence[int]) -> int:
        """Return the number of a candidate without listing the others."""
        index = 0
        shared = self._all_shared
        for depth, (levels, own) in enumerate(zip(self._possible, row, strict=True)):
            for possible in levels[:own]:
                if shared & possible:
                    index += self._count(depth + 1, shared & possible)
            shared = shared & levels[own]
        return index

    def list_rows(self) -> NDArray[np.int16]:
        """Return all candidates at once, ``(size, num_slots)``; they must fit into memory."""
        known: dict[tuple[int, frozenset[int]], NDArray[np.int16]] = {}

        def list_from(depth: int, shared: frozenset[int]) -> NDArray[np.int16]:
            if depth == len(self._possible):
                return np.zeros((1, 0), np.int16)
            if (depth, shared) not in known:
                parts = []
                for code, possible in enumerate(self._possible[depth]):
                    if shared & possible:
                        rest = list_from(depth + 1, shared & possible)
                        own = np.full((len(rest), 1), code, np.int16)
                        parts.append(np.hstack([own, rest]))
                known[depth, shared] = np.concatenate(parts)
            return known[depth, shared]

        return list_from(0, self._all_shared)

    def draw(self, count: int, rng: np.random.Generator) -> NDArray[np.int16]:
        """Draw candidates at random, as ``(count, num_slots)``.

        The shared choices are drawn first, then each slot's level among those that are possible
        with them. So all candidates are equally likely if each combination of shared choices
        leaves equally many.
        """
        shared = rng.integers(self._num_shared, size=count)
        rows: NDArray[np.int16] = np.zeros((count, len(self._possible)), np.int16)
        for slot, allowed in enumerate(self.allowances):
            for combination in np.unique(shared):
                own = np.flatnonzero(shared == combination)
                rows[own, slot] = rng.choice(np.flatnonzero(allowed[:, combination]), len(own))
        return rows

    def neighbours(self, row: NDArray[np.int16]) -> NDArray[np.int16]:
        """Return the candidates that differ in exactly one slot, ``(n, num_slots)``."""
        changed = []
        for slot, allowed in enumerate(self.allowances):
            own = np.tile(row, (len(allowed), 1))
            own[:, slot] = np.arange(len(allowed))
            changed.append(own[own[:, slot] != row[slot]])
        rows = np.concatenate(changed)
        return rows[self.mark(rows)]

    def mark(self, rows: NDArray[np.int16]) -> NDArray[np.bool_]:
        """Mark the rows ``(n, num_slots)`` of levels that are candidates, as ``(n,)``."""
        is_possible = np.ones((len(rows), self._num_shared), bool)
        for slot, allowed in enumerate(self.allowances):
            is_possible &= allowed[rows[:, slot]]
        return np.asarray(is_possible.any(axis=1))

    @cached_property
    def allowances(self) -> list[NDArray[np.bool_]]:
        """For each slot ``(num_levels, num_shared)``: whether the two are possible together."""
        return [
            np.array([[index in possible for index in range(self._num_shared)] for possible in own])
            for own in self._possible
        ]

    @cached_property
    def layers(self) -> Layers:
        """The rows as ways through a graph; a state is what may still be shared."""
        states = {self._all_shared: 0}
        sizes, edges = [1], []
        for levels in self._possible:
            following: dict[frozenset[int], int] = {}
            own = [
                Edge(number, code, following.setdefault(shared & possible, len(following)))
                for shared, number in states.items()
                for code, possible in enumerate(levels)
                if shared & possible
            ]
            edges.append(tuple(own))
            sizes.append(len(following))
            states = following
        return Layers(tuple(sizes), tuple(edges))

    def _count(self, depth: int, shared: frozenset[int]) -> int:
        """Count the candidates that agree on the slots before ``depth``.

        ``shared`` holds the combinations of shared choices that are possible with those slots.
        """
        if depth == len(self._possible):
            return 1
        if (depth, shared) not in self._counts:
            self._counts[depth, shared] = sum(
                self._count(depth + 1, shared & possible)
                for possible in self._possible[depth]
                if shared & possible
            )
        return self._counts[depth, shared]

    def _walk(self, depth: int, shared: frozenset[int]) -> Iterator[tuple[int, ...]]:
        if depth == len(self._possible):
            yield ()
            return
        for code, possible in enumerate(self._possible[depth]):
            if shared & possible:
                for rest in self._walk(depth + 1, shared & possible):
                    yield (code, *rest)


def draw_below(bound: int, rng: np.random.Generator) -> int:
    """Return a number drawn uniformly from 0..bound-1; bound may have more than 64 bits."""
    if bound <= 2**63 - 1:
        return int(rng.integers(bound))
    num_bytes = (bound.bit_length() + 7) // 8 + 8
    return int.from_bytes(rng.bytes(num_bytes), "big") % bound
