"""A search space bound to a backbone: a set of candidates, counted, numbered and drawn from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from se_search.backbone import Backbone
from se_search.candidate import SE, Candidate
from se_search.errors import SpaceError
from se_search.space.codes import CodeSet
from se_search.space.layers import Layers
from se_search.space.levels import Level, describe_level, list_levels, no_se
from se_search.space.parameters import Parameter, Spelling
from se_search.space.pricing import LevelPrices
from se_search.space.schema import Choice, SearchSpace, combine_axes
from se_search.space.slots import make_slots

Price = Callable[[Candidate], Sequence[int]]
"""Returns what a candidate costs, as one number or several; what each slot adds must add up."""


class BoundSpace:
    """A search space on the sites of one backbone: a set of candidates, numbered from 0.

    Each network is in the set once, even if several combinations of choices mean it (r = 16 and
    r = 32 are both width 1 on 16 channels). Candidates are ordered slot by slot, the last slot
    fastest, no SE first in each.

    Args:
        space: the search space.
        backbone: the network without SE.

    Attributes:
        slots: the groups of sites that share a choice.

    Raises:
        SpaceError: the space does not fit the backbone, or leaves only one candidate.
        TypeError: an argument is of another type.

    Example:
        >>> from se_search.models.catalogue import describe_backbone
        >>> from se_search.space.schema import read_space
        >>> backbone = describe_backbone("resnet20_bottleneck", 1, 28, 10)
        >>> space = BoundSpace(read_space("stages_ratio"), backbone)
        >>> space.size
        625
        >>> print(space.candidate_at(624))
        resnet20_bottleneck/stage2=standard:1/stage3=standard:2/stage4=standard:4/stage5=standard:8
    """

    def __init__(self, space: SearchSpace, backbone: Backbone) -> None:
        if not isinstance(space, SearchSpace) or not isinstance(backbone, Backbone):
            raise TypeError(
                "BoundSpace takes a SearchSpace and a Backbone, not "
                f"{space!r:.80}, {backbone!r:.80}"
            )
        self.space = space
        self.backbone = backbone
        self.slots = make_slots(space, backbone)
        possible = [list_levels(space, slot) for slot in self.slots]
        self._levels: tuple[tuple[Level, ...], ...] = tuple(tuple(levels) for levels in possible)
        self._codes = CodeSet(
            [tuple(levels.values()) for levels in possible], len(combine_axes(space.shared_axes))
        )
        self._spelling = Spelling(space, self.slots)
        if self.size == 1:
            raise SpaceError(
                f"the space leaves nothing to choose on {backbone.name}: its only candidate is "
                f"{self.candidate_at(0)}; list more values under choices, or leave none: true"
            )

    @property
    def size(self) -> int:
        """The number of different candidates."""
        return self._codes.size

    @property
    def raw_size(self) -> int:
        """The number of combinations of choices, of which several can mean one candidate."""
        return self._spelling.raw_size

    @property
    def layers(self) -> Layers:
        """The candidates as ways through a graph, slot by slot."""
        return self._codes.layers

    @property
    def levels(self) -> tuple[tuple[Level, ...], ...]:
        """For each slot all that it can carry, in the order in which candidates are numbered."""
        return self._levels

    def __iter__(self) -> Iterator[Candidate]:
        return (self.with_codes(codes) for codes in self._codes)

    def __contains__(self, candidate: object) -> bool:
        return isinstance(candidate, Candidate) and self._find_codes(candidate) is not None

    def parse(self, text: str) -> Candidate:
        """Read the text form of a candidate of the backbone; see ``Candidate.parse``."""
        return Candidate.parse(text, self.backbone)

    # --- candidates by number ---------------------------------------------------------------

    def candidate_at(self, index: int) -> Candidate:
        """Return candidate number ``index`` (0 <= index < size) without listing the others.

        Raises:
            IndexError: there is no such number.
        """
        if not 0 <= index < self.size:
            raise IndexError(f"candidate {index} is not in 0..{self.size - 1}")
        return self.with_codes(self._codes.row_at(index))

    def index_of(self, candidate: Candidate) -> int:
        """Return the number of a candidate without listing the others.

        Raises:
            SpaceError: the candidate is not in the space.
        """
        return self._codes.index_of(self._require_codes(candidate))

    # --- candidates by codes ----------------------------------------------------------------

    def codes(self) -> NDArray[np.int16]:
        """Return what every candidate carries, in the order of their numbers.

        All candidates must fit into memory.

        Returns:
            ``(size, num_slots)``: positions in ``levels[slot]``.
        """
        return self._codes.list_rows()

    def codes_of(self, candidate: Candidate) -> NDArray[np.int16]:
        """Return what a candidate's slots carry, ``(num_slots,)``: positions in ``levels[slot]``.

        Raises:
            SpaceError: the candidate is not in the space.
        """
        return np.array(self._require_codes(candidate), np.int16)

    def with_codes(self, codes: Sequence[int] | NDArray[np.int16]) -> Candidate:
        """Return the candidate with these positions in ``levels[slot]``, ``(num_slots,)``."""
        return self._assemble(
            [levels[code] for levels, code in zip(self._levels, codes, strict=True)]
        )

    def draw_codes(self, count: int, rng: np.random.Generator) -> NDArray[np.int16]:
        """Draw candidates at random, as ``(count, num_slots)``.

        The shared choices are drawn first, then each slot's level among those that are possible
        with them. So all candidates are equally likely if each combination of shared choices
        leaves equally many.
        """
        return self._codes.draw(count, rng)

    def neighbours(self, codes: NDArray[np.int16]) -> NDArray[np.int16]:
        """Return the candidates that differ from one in exactly one slot, ``(n, num_slots)``."""
        return self._codes.neighbours(codes)

    def has_codes(self, codes: NDArray[np.int16]) -> NDArray[np.bool_]:
        """Mark the candidates of combinations of levels ``(n, num_slots)``, as ``(n,)``.

        Where choices are shared, levels of two slots can be impossible together.
        """
        return self._codes.mark(codes)

    def describe_levels(self) -> tuple[tuple[Mapping[str, str | float], ...], ...]:
        """Return for each slot and level the attributes of its blocks; empty for no SE.

        The width is given as ``reduction``: the logarithm to base 2 of channels over width, as a
        mean over the slot's sites.
        """
        return tuple(
            tuple(describe_level(slot, level) for level in levels)
            for slot, levels in zip(self.slots, self._levels, strict=True)
        )

    # --- candidates by parameters -----------------------------------------------------------

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Every parameter of a sampler; which ones are drawn depends on the values drawn."""
        return self._spelling.parameters

    def choose(self, choose: Callable[[Parameter], Choice]) -> Candidate:
        """Return a candidate from a choice for each parameter that matters, asked in order."""
        return self._assemble(self._spelling.choose(choose))

    def encode(self, candidate: Candidate) -> dict[str, Choice]:
        """Return values of the parameters that stand for a candidate.

        Raises:
            SpaceError: the candidate is not in the space.
        """
        levels = self._split(candidate)
        params = None if levels is None else self._spelling.spell(levels)
        if params is None:
            raise SpaceError(f"candidate {candidate} is not in the space")
        return params

    # --- prices -----------------------------------------------------------------------------

    def price_codes(self, codes: NDArray[np.int16], price: Price) -> NDArray[np.int64]:
        """Return the prices ``(n, m)`` of candidates with these codes ``(n, num_slots)``.

        Only each level of each slot is priced, by itself; the rest are sums.
        """
        return self.price_levels(price).price(codes)

    def price_ends(self, price: Price) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return bounds ``(m,)`` on the least and the greatest price of any candidate."""
        return self.price_levels(price).bound()

    def price_extremes(self, price: Price) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the least and the greatest price ``(m,)`` of any candidate."""
        return self.price_levels(price).find_extremes(self._codes.allowances)

    def price_levels(self, price: Price) -> LevelPrices:
        """Return the prices of the plain backbone, and what each level of each slot adds."""
        plain = np.array(price(Candidate.plain(self.backbone)), np.int64)
        empty = [no_se(slot) for slot in self.slots]
        added = []
        for slot, levels in enumerate(self._levels):
            alone = [[*empty[:slot], level, *empty[slot + 1 :]] for level in levels]
            prices = [price(self._assemble(placed)) for placed in alone]
            added.append(np.array(prices, np.int64) - plain)
        return LevelPrices(plain, added)

    # ----------------------------------------------------------------------------------------

    def _assemble(self, levels: Sequence[Level]) -> Candidate:
        blocks: list[SE | None] = [None] * len(self.backbone.sites)
        for slot, level in zip(self.slots, levels, strict=True):
            for index, block in zip(slot.indices, level, strict=True):
                blocks[index] = block
        return Candidate(self.backbone, tuple(blocks))

    def _split(self, candidate: Candidate) -> list[Level] | None:
        """Return what each slot carries; None if other sites carry SE, or the backbone differs."""
        if candidate.backbone != self.backbone:
            return None
        searched = {index for slot in self.slots for index in slot.indices}
        if any(block and i not in searched for i, block in enumerate(candidate.blocks)):
            return None
        return [tuple(candidate.blocks[i] for i in slot.indices) for slot in self.slots]

    @cached_property
    def _positions(self) -> list[dict[Level, int]]:
        return [{level: at for at, level in enumerate(levels)} for levels in self._levels]

    def _find_codes(self, candidate: Candidate) -> list[int] | None:
        levels = self._split(candidate)
        if levels is None:
            return None
        codes = [at.get(level) for at, level in zip(self._positions, levels, strict=True)]
        known = [code for code in codes if code is not None]
        return known if len(known) == len(codes) and known in self._codes else None

    def _require_codes(self, candidate: Candidate) -> list[int]:
        codes = self._find_codes(candidate)
        if codes is None:
            raise SpaceError(f"candidate {candidate} is not in the space")
        return codes


def bind(space: SearchSpace, backbone: Backbone, name: str) -> BoundSpace:
    """Return a space on a backbone.

    Args:
        space: what is searched.
        backbone: the network.
        name: of the space or of its file, with which messages of errors begin.

    Raises:
        SpaceError: the space does not fit the backbone, or leaves nothing to choose there.
    """
    try:
        return BoundSpace(space, backbone)
    except SpaceError as cause:
        raise SpaceError(f"{name}: {cause}") from cause
