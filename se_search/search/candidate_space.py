"""What the loop and the samplers need of a space; its candidates may be rows of a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from se_search.record import CandidateT
from se_search.space.parameters import Parameter
from se_search.space.schema import Choice


class CandidateSpace(Protocol[CandidateT]):
    """A set of candidates, numbered from 0; ``BoundSpace`` and ``TableSpace`` are two.

    A candidate is what its slots carry, each one of its levels; not every combination of levels
    need be a candidate.
    """

    @property
    def size(self) -> int:
        """The number of different candidates."""

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Every parameter that can be drawn."""

    @property
    def levels(self) -> tuple[tuple[object, ...], ...]:
        """For each slot all that it can carry."""

    def __iter__(self) -> Iterator[CandidateT]: ...

    def candidate_at(self, index: int) -> CandidateT:
        """Return candidate number ``index`` (0 <= index < size)."""

    def index_of(self, candidate: CandidateT) -> int:
        """Return the number of a candidate.

        Raises:
            SpaceError: it is not in the space.
        """

    def codes(self) -> NDArray[np.int16]:
        """Return ``(size, num_slots)``: positions in ``levels[slot]``, by candidate number."""

    def codes_of(self, candidate: CandidateT) -> NDArray[np.int16]:
        """Return ``(num_slots,)``: positions in ``levels[slot]`` of what a candidate carries.

        Raises:
            SpaceError: it is not in the space.
        """

    def with_codes(self, codes: NDArray[np.int16]) -> CandidateT:
        """Return the candidate that carries these levels, ``(num_slots,)``."""

    def describe_levels(self) -> tuple[tuple[Mapping[str, str | float], ...], ...]:
        """Describe all that each slot can carry by attributes, none for nothing."""

    def price_codes(
        self, codes: NDArray[np.int16], price: Callable[[CandidateT], Sequence[int]]
    ) -> NDArray[np.int64]:
        """Return ``(n, m)``: the prices of candidates given by their codes, all at once."""

    def price_ends(
        self, price: Callable[[CandidateT], Sequence[int]]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return bounds ``(m,)`` on the least and the greatest price of any candidate."""

    def draw_codes(self, count: int, rng: np.random.Generator) -> NDArray[np.int16]:
        """Draw candidates at random, about uniformly, as ``(count, num_slots)``."""

    def neighbours(self, codes: NDArray[np.int16]) -> NDArray[np.int16]:
        """Return the candidates that differ in one slot from one, ``(n, num_slots)``."""

    def choose(self, choose: Callable[[Parameter], Choice]) -> CandidateT:
        """Draw a candidate: ``choose`` is asked for each parameter that matters, in order."""

    def encode(self, candidate: CandidateT) -> dict[str, Choice]:
        """Return the parameters that spell a candidate."""

    def parse(self, text: str) -> CandidateT:
        """Read the text form, ``str(candidate)``."""
