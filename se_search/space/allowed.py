"""The candidates of a space within limits: found whenever they exist, counted and drawn evenly."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from se_search.candidate import Candidate
from se_search.space.bound import BoundSpace, Price
from se_search.space.codes import draw_below
from se_search.space.layers import Bounds, Front, find_fronts
from se_search.space.pricing import LevelPrices
from se_search.space.sums import MAX_KEY, SumTables, TooManySumsError, count_from_both_ends

Codes = NDArray[np.int16]

MAX_FEW = 10_000
MAX_SUMS = 1 << 22  # entries of all tables of sums together: 64 MB
MAX_HALF = 1 << 21  # entries of either half where candidates are only counted
FINEST_GRID = 2048  # cells of each cost where two are limited and the exact sums are too many
BATCH = 4_096


@dataclass(frozen=True, slots=True)
class Amount:
    """How many candidates are allowed.

    Attributes:
        number: of candidates.
        is_exact: whether none was estimated; an estimate is within a few per cent.
    """

    number: int
    is_exact: bool


class AllowedCandidates:
    """The candidates of a space whose costs are within bounds.

    Costs add up over the slots, so dynamic programming over the slots tells exactly which first
    levels can be completed within the bounds. No allowed candidate is missed, however few there
    are in a space of any size.

    Args:
        space: the candidates.
        price: two costs of a candidate, such as added parameters and multiply-adds, not negative.
        bounds: the greatest value of each cost; None: it is not limited.
    """

    def __init__(
        self, space: BoundSpace, price: Price, bounds: tuple[int | None, int | None]
    ) -> None:
        self.space = space
        self.price = price
        self.bounds = bounds
        prices = space.price_levels(price)
        self._prices = prices
        self._all_costs = [np.asarray(own) for own in prices.added]
        most = np.sum([own.max(axis=0) for own in self._all_costs], axis=0).tolist()
        given = [
            at_most if bound is None else min(bound - plain, at_most)
            for bound, plain, at_most in zip(bounds, prices.plain.tolist(), most, strict=True)
        ]
        self._all_bounds: Bounds = given[0], given[1]
        self._is_limited = [
            bound is not None and given[cost] < most[cost] for cost, bound in enumerate(bounds)
        ]
        # A cost without a limit is 0 where candidates are counted and drawn: fewer sums differ.
        self._costs = [own * np.array(self._is_limited, np.int64) for own in self._all_costs]
        self._bounds: Bounds = given[0] * self._is_limited[0], given[1] * self._is_limited[1]

    @property
    def is_limited(self) -> bool:
        """Whether a bound leaves out any candidate."""
        return any(self._is_limited)

    # --- which there are --------------------------------------------------------------------

    @cached_property
    def cheapest(self) -> Candidate | None:
        """The allowed candidate of the least first cost, and of those of the least second cost.

        None: no candidate is allowed.
        """
        fronts = find_fronts(self.space.layers.reverse(), self._all_costs[::-1], self._all_bounds)[
            ::-1
        ]
        if not len(fronts[0][0].sums):
            return None
        wanted, state, codes = fronts[0][0].sums[0], 0, []
        for slot, edges in enumerate(self.space.layers.edges):
            for edge in edges:
                rest = wanted - self._all_costs[slot][edge.code]
                if edge.source == state and _holds(fronts[slot + 1][edge.target], rest):
                    codes.append(edge.code)
                    wanted, state = rest, edge.target
                    break
        return self.space.with_codes(codes)

    @cached_property
    def amount(self) -> Amount:
        """How many candidates are allowed: exact for one limit up to sizes of 10^12 and more."""
        if self.few is not None:
            return Amount(len(self.few), True)
        if not self.is_limited:
            return Amount(self.space.size, True)
        if self._tables_are_exact and isinstance(self._tables.total, int):
            return Amount(self._tables.total, True)
        if sum(self._is_limited) == 1:
            own = 0 if self._is_limited[0] else 1
            counted = count_from_both_ends(
                self.space.layers,
                [cost[:, [own, 1 - own]] // self._units[own] for cost in self._costs],
                self._bounds[own] // self._units[own],
                MAX_HALF,
                self.space.size,
            )
            if counted is not None:
                return Amount(counted, True)
        rng = np.random.default_rng(0)
        share = float(self.keep(self._tables.draw(8 * BATCH, rng)).mean())
        return Amount(round(self._tables.total * share), False)

    @cached_property
    def few(self) -> Codes | None:
        """All allowed candidates if a limit leaves at most 10,000, ``(n, num_slots)``; else None.

        They are in the order of their numbers in the space.
        """
        return self.list_codes(MAX_FEW) if self.is_limited else None

    def list_codes(self, at_most: int) -> Codes | None:
        """Return all allowed candidates in the order of their numbers; None if there are more."""
        if not self.is_limited:
            return self.space.codes() if self.space.size <= at_most else None
        rows: Codes = np.zeros((1, 0), np.int16)
        states: NDArray[np.int64] = np.zeros(1, np.int64)
        sums: NDArray[np.int64] = np.zeros((1, 2), np.int64)
        if not self._ahead[0][0].reaches(sums, self._bounds).all():
            return np.zeros((0, len(self._costs)), np.int16)
        for slot, edges in enumerate(self.space.layers.edges):
            parts = []
            for edge in edges:
                own = np.flatnonzero(states == edge.source)
                added = sums[own] + self._costs[slot][edge.code]
                is_open = self._ahead[slot + 1][edge.target].reaches(added, self._bounds)
                own, added = own[is_open], added[is_open]
                parts.append((own, added, np.full(len(own), edge.code), edge.target))
            # Each row can be completed to an allowed candidate of its own.
            if sum(len(own) for own, *_ in parts) > at_most:
                return None
            parents = np.concatenate([own for own, *_ in parts])
            codes = np.concatenate([code for _, _, code, _ in parts])
            order = np.lexsort((codes, parents))
            sums = np.concatenate([added for _, added, _, _ in parts])[order]
            states = np.concatenate([np.full(len(p[0]), p[3], np.int64) for p in parts])[order]
            rows = np.hstack([rows[parents[order]], codes[order, None].astype(np.int16)])
        return rows

    def keep(self, codes: Codes) -> NDArray[np.bool_]:
        """Mark the candidates that are allowed, given by codes ``(n, num_slots)``, as ``(n,)``."""
        sums = np.zeros((len(codes), 2), np.int64)
        for slot, own in enumerate(self._costs):
            sums += own[codes[:, slot]]
        return np.asarray((sums <= self._bounds).all(axis=1))

    def __contains__(self, candidate: object) -> bool:
        return (
            isinstance(candidate, Candidate)
            and candidate in self.space
            and bool(self.keep(self.space.codes_of(candidate)[None])[0])
        )

    def __iter__(self) -> Iterator[Candidate]:
        """Yield the allowed candidates in the order of the space, without a list of them."""
        return (self.space.with_codes(codes) for codes in self._walk((), 0, (0, 0)))

    # --- draws ------------------------------------------------------------------------------

    def draw(self, rng: np.random.Generator) -> Candidate:
        """Draw an allowed candidate; all are equally likely."""
        if not self.is_limited:
            return self.space.candidate_at(draw_below(self.space.size, rng))
        return self.space.with_codes(self.draw_codes(1, rng)[0])

    def draw_codes(self, count: int, rng: np.random.Generator) -> Codes:
        """Draw allowed candidates, all equally likely, as ``(count, num_slots)``.

        Where the sums are too many for a table, costs are rounded down, and a draw that is beyond
        the bounds is drawn anew: that leaves all allowed candidates equally likely. Without
        limits, shared choices are drawn first, as ``BoundSpace.draw_codes`` does.
        """
        if not self.is_limited:
            return self.space.draw_codes(count, rng)
        if self.few is not None:
            return np.asarray(self.few[rng.integers(len(self.few), size=count)])
        parts: list[Codes] = []
        missing = count
        while missing > 0:
            drawn = self._tables.draw(missing if self._tables_are_exact else 2 * missing + 16, rng)
            parts.append(drawn[self.keep(drawn)][:missing])
            missing -= len(parts[-1])
        return np.concatenate(parts)

    def price_ends(self, price: Price) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return bounds ``(m,)`` on the least and the greatest price of an allowed candidate."""
        prices = self.space.price_levels(price)
        low, high = prices.bound()
        for number in range(len(prices.plain)):
            for cost in (0, 1):
                if self._is_limited[cost] and _adds_alike(prices, number, self._prices, cost):
                    high[number] = min(high[number], prices.plain[number] + self._bounds[cost])
        return low, high

    # ----------------------------------------------------------------------------------------

    @cached_property
    def _ahead(self) -> list[list[Front]]:
        """What the slots from each state on can add within the bounds."""
        return find_fronts(self.space.layers.reverse(), self._costs[::-1], self._bounds)[::-1]

    @cached_property
    def _units(self) -> tuple[int, int]:
        """The greatest number that divides all that each cost can be."""
        both = np.concatenate(self._costs)
        return tuple(max(1, int(np.gcd.reduce(both[:, cost]))) for cost in (0, 1))  # type: ignore[return-value]  # two

    @property
    def _tables_are_exact(self) -> bool:
        return self._made_tables[1]

    @property
    def _tables(self) -> SumTables:
        return self._made_tables[0]

    @cached_property
    def _made_tables(self) -> tuple[SumTables, bool]:
        layers = self.space.layers
        max_sums = MAX_SUMS // len(self._costs)
        as_float = self.space.size >= MAX_KEY
        # Of a single cost a grid with this many cells always fits.
        grid = max_sums // max(layers.sizes) if sum(self._is_limited) < 2 else FINEST_GRID
        units, is_exact = self._units, True
        while True:
            try:
                tables = SumTables(
                    layers, self._costs, self._bounds, units, max_sums, as_float=as_float
                )
            except TooManySumsError:
                units = tuple(
                    max(unit, math.ceil((bound + 1) / grid))
                    for unit, bound in zip(self._units, self._bounds, strict=True)
                )  # type: ignore[assignment]  # two
                is_exact = False
                grid //= 2
            else:
                return tables, is_exact

    def _walk(
        self, codes: tuple[int, ...], state: int, sums: tuple[int, int]
    ) -> Iterator[tuple[int, ...]]:
        slot = len(codes)
        if slot == len(self._costs):
            yield codes
            return
        for edge in self.space.layers.edges[slot]:
            if edge.source == state:
                first, second = self._costs[slot][edge.code].tolist()
                added = sums[0] + first, sums[1] + second
                ahead = self._ahead[slot + 1][edge.target]
                if ahead.reaches(np.array([added]), self._bounds)[0]:
                    yield from self._walk((*codes, edge.code), edge.target, added)


def _holds(front: Front, sums: NDArray[np.int64]) -> bool:
    return bool((front.sums == sums).all(axis=1).any())


def _adds_alike(one: LevelPrices, number: int, other: LevelPrices, cost: int) -> bool:
    return all(
        np.array_equal(own[:, number], its[:, cost])
        for own, its in zip(one.added, other.added, strict=True)
    )
