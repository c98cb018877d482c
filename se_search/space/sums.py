"""How many candidates have which sums of costs: counts, and even draws (dynamic programming)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from se_search.space.layers import Bounds, Costs, Edge, Front, Layers, find_fronts

MAX_KEY = 2**62  # two sums as one number must fit into 64 bits
Weights = NDArray[Any]  # whole numbers, or floats


class TooManySumsError(Exception):
    """There are more different sums than a table may have."""


@dataclass(frozen=True)
class Table:
    """How many ways lead to a state, by their sums.

    Attributes:
        keys: ``(n,)``, ascending: both sums as one number.
        counts: ``(n,)``: whole numbers; as floats where they may have more than 62 bits.
    """

    keys: NDArray[np.int64]
    counts: Weights

    def look_up(self, keys: NDArray[np.int64]) -> Weights:
        """Return the counts of keys, ``(n,)``; 0 for a key that is not in the table."""
        if not len(self.keys):
            return np.zeros(len(keys), self.counts.dtype)
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[at] == keys, self.counts[at], 0)


class SumTables:
    """Tables of the sums of all ways within bounds, on costs that may be rounded down.

    Every candidate within the bounds is within the rounded ones; a few others may be, too.

    Args:
        layers: the candidates.
        costs: of the levels.
        bounds: the greatest sums.
        units: costs and bounds are divided by these numbers and rounded down.
        max_sums: the most sums that the tables of one layer may have.

    Raises:
        TooManySumsError: there are more.
    """

    def __init__(
        self,
        layers: Layers,
        costs: Costs,
        bounds: Bounds,
        units: tuple[int, int],
        max_sums: int,
        *,
        as_float: bool,
    ) -> None:
        self._layers = layers
        self._costs = [own // np.array(units) for own in costs]
        self._bounds = bounds[0] // units[0], bounds[1] // units[1]
        if (self._bounds[0] + 1) * (self._bounds[1] + 1) > MAX_KEY:
            raise TooManySumsError
        self._base = self._bounds[1] + 1
        self._max_sums = max_sums
        self._room = max_sums
        back = find_fronts(layers.reverse(), self._costs[::-1], self._bounds)[::-1]
        self._ahead: list[list[Front]] = back
        one = np.ones(1, np.float64 if as_float else np.int64)
        self.tables = layers.sweep(Table(np.zeros(1, np.int64), one), self._step)

    @property
    def total(self) -> int | float:
        """The number of candidates within the rounded bounds; a float has 15 digits."""
        total: int | float = sum(table.counts.sum().item() for table in self.tables[-1])
        return total

    def draw(self, count: int, rng: np.random.Generator) -> NDArray[np.int16]:
        """Draw candidates within the rounded bounds, all equally likely, ``(count, num_slots)``."""
        num_slots = len(self._costs)
        rows: NDArray[np.int16] = np.zeros((count, num_slots), np.int16)
        last = self.tables[-1]
        states = np.repeat(np.arange(len(last)), [len(table.keys) for table in last])
        keys = np.concatenate([table.keys for table in last])
        drawn = _draw_weighted(np.concatenate([table.counts for table in last]), count, rng)
        drawn.sort()  # neighbours in the tables are looked up faster; the caller shuffles
        states, keys = states[drawn], keys[drawn]
        for slot in reversed(range(num_slots)):
            before = np.zeros(count, np.int64)
            sources = np.zeros(count, np.int64)
            for state in np.unique(states):
                own = np.flatnonzero(states == state)
                edges = [edge for edge in self._layers.edges[slot] if edge.target == state]
                source, code, rest = self._step_back(slot, edges, keys[own], rng)
                sources[own], rows[own, slot], before[own] = source, code, rest
            states, keys = sources, before
        return rng.permutation(rows)

    def _step_back(
        self, slot: int, edges: Sequence[Edge], keys: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Draw the edge by which each way came; return its source, its code and the key there."""
        weights = np.empty((len(edges), len(keys)))
        steps = np.array([self._key(self._costs[slot][edge.code]) for edge in edges], np.int64)
        for number, edge in enumerate(edges):
            table = self.tables[slot][edge.source]
            # A step back over the edge of the grid would be another key: its table has none.
            second = keys % self._base
            rest = np.where(second >= self._costs[slot][edge.code][1], keys - steps[number], -1)
            weights[number] = table.look_up(rest)
        weights = np.cumsum(weights, axis=0)
        chosen = (rng.random(len(keys)) * weights[-1] >= weights).sum(axis=0)
        chosen = np.minimum(chosen, len(edges) - 1)
        source = np.array([edge.source for edge in edges], np.int64)
        code = np.array([edge.code for edge in edges], np.int64)
        return source[chosen], code[chosen], keys - steps[chosen]

    def _key(self, sums: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.asarray(sums[..., 0] * self._base + sums[..., 1])

    def _step(self, slot: int, state: int, edges: list[tuple[Edge, Table]]) -> Table:
        if state == 0:
            self._room = self._max_sums
        parts, counts = [], []
        for edge, table in edges:
            sums = np.stack(np.divmod(table.keys, self._base), axis=1)
            sums += self._costs[slot][edge.code]
            is_open = self._ahead[slot + 1][state].reaches(sums, self._bounds)
            parts.append(self._key(sums[is_open]))
            counts.append(table.counts[is_open])
        table = _merge(np.concatenate(parts), np.concatenate(counts))
        self._room -= len(table.keys)
        if self._room < 0:
            raise TooManySumsError
        return table


def count_from_both_ends(
    layers: Layers, costs: Costs, bound: int, max_sums: int, size: int
) -> int | None:
    """Return how many candidates have a first sum within a bound, exactly (meet in the middle).

    Args:
        layers: the candidates.
        costs: of the levels; the second of the two is ignored.
        bound: the greatest sum.
        max_sums: the most sums that are kept for either half.
        size: the number of all candidates.

    Returns:
        The number; None if a half has more sums, or the number may have more than 62 bits.
    """
    if size >= MAX_KEY:
        return None
    back, costs_back = layers.reverse(), costs[::-1]
    front, rear = _Half(layers, costs, bound), _Half(back, costs_back, bound)
    while front.depth + rear.depth < len(costs):
        smaller = front if front.num_sums <= rear.num_sums else rear
        smaller.advance()
        if smaller.num_sums > max_sums:
            return None
    total = 0
    for left, right in zip(front.tables, rear.tables, strict=True):
        within = np.concatenate([[0], np.cumsum(right.counts)])
        at = np.searchsorted(right.keys, bound - left.keys, side="right")
        total += int((left.counts * within[at]).sum())
    return total


class _Half:
    """Tables of the first sums of the ways through the first slots of a graph."""

    def __init__(self, layers: Layers, costs: Costs, bound: int) -> None:
        self._layers, self._costs, self._bound = layers, costs, bound
        self.depth = 0
        one = Table(np.zeros(1, np.int64), np.ones(1, np.int64))
        self.tables = [one] * layers.sizes[0]

    @property
    def num_sums(self) -> int:
        return sum(len(table.keys) for table in self.tables)

    def advance(self) -> None:
        """Add the next slot."""
        tables = []
        edges = self._layers.edges[self.depth]
        for state in range(self._layers.sizes[self.depth + 1]):
            own = [edge for edge in edges if edge.target == state]
            added = [int(self._costs[self.depth][edge.code][0]) for edge in own]
            sources = [self.tables[edge.source] for edge in own]
            keys = np.concatenate(
                [table.keys + cost for table, cost in zip(sources, added, strict=True)]
            )
            counts = np.concatenate([table.counts for table in sources])
            is_within = keys <= self._bound
            tables.append(_merge(keys[is_within], counts[is_within]))
        self.tables = tables
        self.depth += 1


def _merge(keys: NDArray[np.int64], counts: Weights) -> Table:
    order = np.argsort(keys, kind="stable")
    keys, counts = keys[order], counts[order]
    starts = np.flatnonzero(np.concatenate([np.ones(min(1, len(keys)), bool), np.diff(keys) > 0]))
    return Table(keys[starts], np.add.reduceat(counts, starts) if len(starts) else counts)


def _draw_weighted(weights: Weights, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw positions with chances in proportion to their weights, ``(count,)``."""
    reach = np.cumsum(weights)
    if np.issubdtype(reach.dtype, np.integer):
        drawn: Weights = rng.integers(int(reach[-1]), size=count)
    else:
        drawn = rng.random(count) * reach[-1]
    found = np.searchsorted(reach, drawn, side="right")
    return np.minimum(found, len(weights) - 1)
