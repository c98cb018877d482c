"""The candidates that are scored at each proposal: the whole space, or a part of a huge one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic

import numpy as np
from numpy.typing import NDArray

from se_search.record import CandidateT
from se_search.search.candidate_set import CandidateSet, WholeSpace
from se_search.search.candidate_space import CandidateSpace
from se_search.seeds import derive_seed

Codes = NDArray[np.int16]
Array = NDArray[np.float64]

MAX_WHOLE = 10**6
NUM_DRAWN = 1 << 17
NUM_KEPT = 50_000
NUM_STRATA = 50


@dataclass(frozen=True)
class Pool:
    """Candidates by number, with their scaled costs.

    Attributes:
        codes: ``(m, num_slots)``: the level of each slot.
        costs: ``(m, k)``: each cost on a logarithmic scale (a linear one if the cost can be 0 or
            negative), 0 for the cheapest candidate that may be trained and 1 for the dearest.
    """

    codes: Codes
    costs: Array

    def __len__(self) -> int:
        return len(self.codes)

    def find(self, codes: Codes) -> NDArray[np.int64]:
        """Return the numbers of candidates, ``(n,)``; -1 for a candidate outside of the pool."""
        if not len(codes):
            return np.zeros(0, np.int64)
        order, hashes = self._index
        wanted = _hash_rows(codes)
        at = np.minimum(np.searchsorted(hashes, wanted), len(hashes) - 1)
        return np.where(hashes[at] == wanted, order[at], -1)

    @cached_property
    def _index(self) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        hashes = _hash_rows(self.codes)
        order = np.argsort(hashes, kind="stable")
        return order, hashes[order]


class PoolSource(Generic[CandidateT]):
    """Makes the pools of a space: of its candidates within the limits.

    Up to a million candidates every pool is all of them. Pools of more candidates share some that
    are drawn once, spread evenly over the costs; each pool adds the candidates that have been
    trained and the neighbours of the front: those that differ from a member in one slot.

    Args:
        space: the candidates.
        price: the costs that the search minimises.
        seed: of the draws.
        allowed: those within the limits; None: all.
    """

    def __init__(
        self,
        space: CandidateSpace[CandidateT],
        price: Callable[[CandidateT], Sequence[int]],
        seed: int,
        allowed: CandidateSet[CandidateT] | None = None,
    ) -> None:
        self.space = space
        self.price = price
        self.seed = seed
        self.allowed = WholeSpace(space) if allowed is None else allowed

    @property
    def is_whole(self) -> bool:
        """Whether a pool holds all candidates that may be trained."""
        return self._whole is not None

    @property
    def size(self) -> int:
        """The number of candidates that may be trained, or of those of the space, if too many."""
        return self.space.size if self._whole is None else len(self._whole[0])

    def make(self, trained: Codes, front: Codes, *, few: bool = False) -> Pool:
        """Return the pool for the trained candidates and their front, ``(n, num_slots)`` each.

        Args:
            trained: the candidates that have been trained.
            front: those that may be on the front.
            few: whether a pool of more than 50,000 candidates is thinned out, as one of more than a
                million always is.
        """
        thin = few and len(self._base) > NUM_KEPT
        if self.is_whole and not thin:
            return self._base
        base = self._thinned if thin else self._base
        near = [self.space.neighbours(codes) for codes in front]
        near = [rows[self.allowed.keep(rows)] for rows in near]
        codes = np.concatenate([base.codes, trained, *near])
        hashes = _hash_rows(codes)
        _, first = np.unique(hashes, return_index=True)
        codes = codes[np.sort(first)]
        return Pool(codes, self._scale(self.space.price_codes(codes, self.price)))

    @cached_property
    def _base(self) -> Pool:
        if self._whole is not None:
            codes, costs = self._whole
            return Pool(codes, self._scale(costs))
        rng = np.random.default_rng(derive_seed(self.seed, "pool"))
        codes = self.allowed.draw_codes(NUM_DRAWN, rng)
        codes = codes[np.sort(np.unique(_hash_rows(codes), return_index=True)[1])]
        scaled = self._scale(self.space.price_codes(codes, self.price))
        kept = np.sort(_spread(scaled[:, 0], NUM_KEPT))
        return Pool(codes[kept], scaled[kept])

    @cached_property
    def _thinned(self) -> Pool:
        """Some of the base, spread evenly over the costs."""
        rng = np.random.default_rng(derive_seed(self.seed, "thin"))
        order = rng.permutation(len(self._base))
        kept = np.sort(order[_spread(self._base.costs[order, 0], NUM_KEPT)])
        return Pool(self._base.codes[kept], self._base.costs[kept])

    @cached_property
    def _whole(self) -> tuple[Codes, NDArray[np.int64]] | None:
        codes = self.allowed.list_codes(MAX_WHOLE)
        return None if codes is None else (codes, self.space.price_codes(codes, self.price))

    @cached_property
    def _ends(self) -> tuple[Array, Array]:
        if self._whole is not None:
            _, costs = self._whole
            return np.asarray(costs.min(axis=0), float), np.asarray(costs.max(axis=0), float)
        low, high = self.allowed.price_ends(self.price)
        return low.astype(np.float64), high.astype(np.float64)

    def _scale(self, costs: NDArray[np.int64]) -> Array:
        low, high = self._ends
        is_log = low > 0
        costs, low, high = (
            np.where(is_log, np.log(np.where(is_log, values, 1.0)), values)
            for values in (np.asarray(costs, np.float64), low, high)
        )
        return np.asarray((costs - low) / np.maximum(high - low, 1e-12))


def _spread(costs: Array, count: int) -> NDArray[np.int64]:
    """Return the positions of ``count`` costs, spread as evenly over 0..1 as they allow."""
    strata = np.minimum((costs * NUM_STRATA).astype(np.int64), NUM_STRATA - 1)
    turn = np.zeros(len(costs), np.int64)
    for stratum in np.unique(strata):
        own = np.flatnonzero(strata == stratum)
        turn[own] = np.arange(len(own))
    return np.argsort(turn, kind="stable")[:count]


def _hash_rows(codes: Codes) -> NDArray[np.uint64]:
    """Return a 64-bit hash of each row.

    Among a million rows any two share a hash with a probability of 3 in 100 million.
    """
    multipliers = np.random.default_rng(0).integers(
        0, 2**63, size=codes.shape[1], dtype=np.uint64
    ) * np.uint64(2) + np.uint64(1)
    mixed = (codes.astype(np.uint64) + np.uint64(1)) * multipliers
    mixed ^= mixed >> np.uint64(29)
    total = np.asarray((mixed * np.uint64(0xBF58476D1CE4E5B9)).sum(axis=1, dtype=np.uint64))
    return np.asarray(total ^ (total >> np.uint64(32)))
