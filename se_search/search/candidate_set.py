"""The candidates that a search may train: the one source that samplers list and draw from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from se_search.record import CandidateT, CandidateT_co
from se_search.search.candidate_space import CandidateSpace
from se_search.space.codes import draw_below

Codes = NDArray[np.int16]


class CandidateSet(Protocol[CandidateT_co]):
    """The candidates of a space that may be trained, such as those within its limits."""

    @property
    def few(self) -> Codes | None:
        """All candidates of a set that limits make small, ``(n, num_slots)``; None: another set.

        Of a small set samplers propose no candidate twice; a search of it can end before its
        trials are spent.
        """

    def __contains__(self, candidate: object) -> bool: ...

    def __iter__(self) -> Iterator[CandidateT_co]: ...

    def list_codes(self, at_most: int) -> Codes | None:
        """Return all candidates in the order of the space; None if there are more."""

    def keep(self, codes: Codes) -> NDArray[np.bool_]:
        """Mark the candidates that may be trained, ``(n,)``, of codes ``(n, num_slots)``."""

    def draw(self, rng: np.random.Generator) -> CandidateT_co:
        """Return a candidate; all are equally likely."""

    def draw_codes(self, count: int, rng: np.random.Generator) -> Codes:
        """Return the codes of random candidates, ``(count, num_slots)``."""

    def price_ends(
        self, price: Callable[[CandidateT_co], Sequence[int]]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return bounds ``(m,)`` on the least and the greatest price of any candidate."""


class WholeSpace(CandidateSet[CandidateT]):
    """All candidates of a space."""

    few = None

    def __init__(self, space: CandidateSpace[CandidateT]) -> None:
        self.space = space

    def __contains__(self, candidate: object) -> bool:
        return candidate in self.space

    def __iter__(self) -> Iterator[CandidateT]:
        return iter(self.space)

    def list_codes(self, at_most: int) -> Codes | None:
        """Return all candidates in the order of the space; None if there are more."""
        return self.space.codes() if self.space.size <= at_most else None

    def keep(self, codes: Codes) -> NDArray[np.bool_]:
        """Mark every candidate."""
        return np.ones(len(codes), bool)

    def draw(self, rng: np.random.Generator) -> CandidateT:
        """Return a candidate; all are equally likely."""
        return self.space.candidate_at(draw_below(self.space.size, rng))

    def draw_codes(self, count: int, rng: np.random.Generator) -> Codes:
        """Return the codes of random candidates, about uniform, ``(count, num_slots)``."""
        return self.space.draw_codes(count, rng)

    def price_ends(
        self, price: Callable[[CandidateT], Sequence[int]]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return bounds ``(m,)`` on the least and the greatest price of any candidate."""
        return self.space.price_ends(price)
