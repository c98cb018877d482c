"""The protocol of a search space: all that the loop and the samplers use of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from se_search.record import CandidateT
from se_search.space.parameters import Parameter
from se_search.space.schema import Choice


class CandidateSpace(Protocol[CandidateT]):
    """A set of candidates, numbered from 0, such as a ``BoundSpace`` or a ``TableSpace``.

    A candidate has slots, and each slot carries one of its levels. Not every combination of
    levels need be a candidate.
    """

    @property
    def size(self) -> int:
        """The number of candidates."""

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Every parameter that can be drawn."""

    @property
    def levels(self) -> tuple[tuple[object, ...], ...]:
        """The levels that each slot can carry."""

    def __contains__(self, candidate: object) -> bool: ...

    def __iter__(self) -> Iterator[CandidateT]: ...

    def candidate_at(self, index: int) -> CandidateT:
        """Return candidate number ``index`` (0 <= index < size)."""

    def index_of(self, candidate: CandidateT) -> int:
        """Return the number of a candidate.

        Raises:
            SpaceError: the candidate is not in the space.
        """

    def codes(self) -> NDArray[np.int16]:
        """Return ``(size, num_slots)``: positions in ``levels[slot]``, by candidate number."""

    def codes_of(self, candidate: CandidateT) -> NDArray[np.int16]:
        """Return ``(num_slots,)``: positions in ``levels[slot]`` of the levels of a candidate.

        Raises:
            SpaceError: the candidate is not in the space.
        """

    def with_codes(self, codes: NDArray[np.int16]) -> CandidateT:
        """Return the candidate that carries these levels, ``(num_slots,)``."""

    def describe_levels(self) -> tuple[tuple[Mapping[str, str | float], ...], ...]:
        """Return the attributes of each level of each slot; a slot without SE has none."""

    def price_codes(
        self, codes: NDArray[np.int16], price: Callable[[CandidateT], Sequence[int]]
    ) -> NDArray[np.int64]:
        """Return ``(n, m)``: the prices of candidates that are given by their codes."""

    def price_ends(
        self, price: Callable[[CandidateT], Sequence[int]]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return bounds ``(m,)`` on the least and the greatest price of any candidate."""

    def draw_codes(self, count: int, rng: np.random.Generator) -> NDArray[np.int16]:
        """Return the codes of random candidates, about uniform, ``(count, num_slots)``."""

    def neighbours(self, codes: NDArray[np.int16]) -> NDArray[np.int16]:
        """Return the codes of all candidates that differ in one slot, ``(n, num_slots)``."""

    def choose(self, choose: Callable[[Parameter], Choice]) -> CandidateT:
        """Return the candidate whose parameters ``choose`` gives, one by one, in their order."""

    def encode(self, candidate: CandidateT) -> dict[str, Choice]:
        """Return the parameters that spell a candidate, by name."""

    def parse(self, text: str) -> CandidateT:
        """Read the text form, ``str(candidate)``."""
