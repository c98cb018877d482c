"""Candidates as the ways through a graph with a layer for each slot, and costs added on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

Costs = Sequence[NDArray[np.int64]]
"""For each slot what its levels cost, ``(num_levels, 2)``, nothing below 0."""
Bounds = tuple[int, int]
"""The greatest sum of each of the two costs that is allowed."""

T = TypeVar("T")


class Edge(NamedTuple):
    """A level that a slot may take: from a state before the slot to a state behind it."""

    source: int
    code: int
    target: int


@dataclass(frozen=True)
class Layers:
    """A graph whose ways from the first to the last layer are the candidates of a space.

    A state holds which combinations of shared choices are possible with the levels so far.

    Attributes:
        sizes: number of states before each slot, and behind the last.
        edges: for each slot the levels that it may take; each candidate is one way.
    """

    sizes: tuple[int, ...]
    edges: tuple[tuple[Edge, ...], ...]

    def reverse(self) -> Layers:
        """Return the graph from the last slot to the first."""
        return Layers(
            self.sizes[::-1],
            tuple(
                tuple(Edge(edge.target, edge.code, edge.source) for edge in own)
                for own in self.edges[::-1]
            ),
        )

    def sweep(self, start: T, step: Callable[[int, int, list[tuple[Edge, T]]], T]) -> list[list[T]]:
        """Return a value for each state of each layer, from those of the layer before.

        Args:
            start: value of every state before the first slot.
            step: is given a slot, a state behind it, and the edges that lead there with the
                values that they start from; returns the state's value.
        """
        values = [[start] * self.sizes[0]]
        for slot, own in enumerate(self.edges):
            into: list[list[tuple[Edge, T]]] = [[] for _ in range(self.sizes[slot + 1])]
            for edge in own:
                into[edge.target].append((edge, values[-1][edge.source]))
            values.append([step(slot, state, edges) for state, edges in enumerate(into)])
        return values


@dataclass(frozen=True)
class Front:
    """The non-dominated pairs of two sums, the first ascending and the second descending.

    Attributes:
        sums: ``(n, 2)``.
    """

    sums: NDArray[np.int64]

    def reaches(self, sums: NDArray[np.int64], bounds: Bounds) -> NDArray[np.bool_]:
        """Tell which of the sums ``(n, 2)`` stay within the bounds with one of the front's."""
        if not len(self.sums):
            return np.zeros(len(sums), bool)
        at = np.searchsorted(self.sums[:, 0], bounds[0] - sums[:, 0], side="right") - 1
        rest = self.sums[np.maximum(at, 0), 1]
        return np.asarray((at >= 0) & (rest <= bounds[1] - sums[:, 1]))


def find_fronts(layers: Layers, costs: Costs, bounds: Bounds) -> list[list[Front]]:
    """Return for each state of each layer the front of the sums of the ways that lead there.

    Sums beyond the bounds are left out, so an empty front means that no way is within them.
    """

    def step(slot: int, state: int, edges: list[tuple[Edge, Front]]) -> Front:
        sums = np.concatenate([front.sums + costs[slot][edge.code] for edge, front in edges])
        sums = sums[(sums <= bounds).all(axis=1)]
        sums = sums[np.lexsort((sums[:, 1], sums[:, 0]))]
        least = np.minimum.accumulate(sums[:, 1])
        is_new = np.ones(len(sums), bool)
        is_new[1:] = sums[1:, 1] < least[:-1]
        return Front(sums[is_new])

    return layers.sweep(Front(np.zeros((1, 2), np.int64)), step)
