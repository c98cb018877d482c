"""Draws the candidates that a supernet trains, each level of each slot equally often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TypeVar

import numpy as np

from se_search.candidate import SE, Candidate
from se_search.errors import SupernetError
from se_search.seeds import derive_seed
from se_search.space.levels import Level
from se_search.space.subspace import Subspace

Choice = TypeVar("Choice")


class LevelDraws:
    """The candidates that each step of a supernet's training draws from a subspace.

    Choices are walked through in a random order, and in another one each time: combinations of
    shared choices, and under each of them the levels of each slot. So after any number of draws the
    visits of two levels differ by one at most. A draw is a function of the seed and its number
    alone, so that a training that goes on needs no state of them.

    Args:
        subspace: the candidates.
        seed: of the supernet.

    Raises:
        SupernetError: the subspace has no candidate.
    """

    def __init__(self, subspace: Subspace, seed: int) -> None:
        self._subspace = subspace
        self._seed = seed
        levels = [
            [
                [level for level, at in zip(own, possible, strict=True) if shared in at]
                for own, possible in zip(subspace.levels, subspace.possible, strict=True)
            ]
            for shared in range(subspace.num_shared)
        ]
        self._levels = [of_slots for of_slots in levels if all(of_slots)]
        if not self._levels:
            raise SupernetError("there is no candidate with the integrations asked for")
        self._widest = [[_list_widest(own) for own in of_slots] for of_slots in self._levels]
        self._order = lru_cache(maxsize=4096)(self._draw_order)

    def draw(self, number: int) -> Candidate:
        """Return the candidate that is drawn as number ``number``, from 0."""
        return self._walk("level", self._levels, number)

    def draw_widest(self, number: int) -> Candidate:
        """Return a candidate whose slots each carry the widest SE block of a kind and position.

        Where a slot has several kinds or positions, they take turns as levels do in ``draw``.

        Args:
            number: of the draw, from 0.
        """
        return self._walk("widest", self._widest, number)

    def _walk(
        self, stream: str, choices: Sequence[Sequence[Sequence[Level]]], at: int
    ) -> Candidate:
        lap, place = divmod(at, len(choices))
        shared = self._order(f"{stream}/shared", len(choices), lap)[place]
        levels = [
            self._pick(f"{stream}/{shared}/{slot}", own, lap)
            for slot, own in enumerate(choices[shared])
        ]
        return self._subspace.assemble(levels)

    def _pick(self, stream: str, among: Sequence[Choice], at: int) -> Choice:
        lap, place = divmod(at, len(among))
        return among[self._order(stream, len(among), lap)[place]]

    def _draw_order(self, stream: str, count: int, lap: int) -> list[int]:
        seed = derive_seed(self._seed, "draws", stream, lap)
        order: list[int] = np.random.Generator(np.random.PCG64(seed)).permutation(count).tolist()
        return order


def _list_widest(levels: Sequence[Level]) -> list[Level]:
    """Return the widest level of each kind and position; the level without SE if it is alone."""
    widest: dict[Level, Level] = {}
    for level in levels:
        if not any(level):
            continue
        kind = tuple(_without_width(block) for block in level)
        if kind not in widest or _count_width(level) > _count_width(widest[kind]):
            widest[kind] = level
    return list(widest.values()) or list(levels)


def _count_width(level: Level) -> int:
    return sum(block.width for block in level if block is not None)


def _without_width(block: SE | None) -> SE | None:
    return block if block is None or block.kind != "se" else replace(block, width=1)
