"""How alike the levels of a space's slots are: what an accuracy model knows of a candidate.

A candidate is one level in each of its slots. A level is described by its attributes, as
``{"integration": "pre", "reduction": 4.0}``; a level without attributes is no SE. Levels of
different slots with equal descriptions are fully alike, so that what is learnt of r = 4 in one
stage says something about r = 4 in another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Description = Mapping[str, str | float]
PRESENCE = "presence"


@dataclass(frozen=True)
class Factors:
    """The slots of a space and their levels.

    Attributes:
        levels: for each slot the description of each of its levels. Words are names, compared
            for equality; numbers are points on a scale.
    """

    levels: tuple[tuple[Description, ...], ...]

    @property
    def num_slots(self) -> int:
        """How many slots there are."""
        return len(self.levels)

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """``(num_slots,)``: where each slot's levels begin when all are put in one row."""
        sizes = [len(levels) for levels in self.levels]
        return np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)

    @property
    def num_levels(self) -> int:
        """How many levels all slots have together."""
        return sum(len(levels) for levels in self.levels)

    @cached_property
    def slot_of(self) -> NDArray[np.int64]:
        """``(num_levels,)``: the slot of each level."""
        return np.repeat(np.arange(self.num_slots), [len(levels) for levels in self.levels])

    @cached_property
    def attributes(self) -> tuple[str, ...]:
        """What tells levels apart, with ``presence`` first where a level can be empty."""
        descriptions = self._all
        named = dict.fromkeys(name for description in descriptions for name in description)
        varied = [
            name
            for name in named
            if len({description[name] for description in descriptions if name in description}) > 1
        ]
        can_be_empty = any(not description for description in descriptions)
        return (PRESENCE, *varied) if can_be_empty else tuple(varied)

    @cached_property
    def distances(self) -> NDArray[np.float64]:
        """``(num_attributes, num_levels, num_levels)``: how far levels are apart, 0..1 each.

        A level that lacks an attribute is half as far from all that have it as those can be from
        each other. That is the least that keeps ``exp(-distance)`` a covariance: were it 0, what
        is unlike two levels that are unlike each other could be just like both.
        """
        found = [_distances(name, self._all) for name in self.attributes]
        return np.array(found, float).reshape(-1, self.num_levels, self.num_levels)

    @cached_property
    def is_comparable(self) -> NDArray[np.bool_]:
        """``(num_levels, num_levels)``: whether two levels have an attribute in common.

        So have two that have one in common with a third; an empty level can be compared with any.
        """
        names = [frozenset(description) for description in self._all]
        direct = np.array([[not a or not b or bool(a & b) for b in names] for a in names])
        reached, known = direct, 0
        while (count := int(reached.sum())) > known:
            reached, known = np.asarray(reached @ reached), count
        return reached

    @cached_property
    def plain(self) -> NDArray[np.int16] | None:
        """``(num_slots,)``: codes of the network without SE; None: a slot has no empty level."""
        empty = [[not level for level in levels] for levels in self.levels]
        if not all(any(marks) for marks in empty):
            return None
        return np.array([marks.index(True) for marks in empty], np.int16)

    def mark_plain(self, rows: NDArray[Any]) -> NDArray[np.bool_]:
        """Mark the rows, ``(n, num_levels)`` one-hot, that are the network without SE."""
        if self.plain is None:
            return np.zeros(len(rows), bool)
        return np.asarray(rows[:, self.plain + self.offsets].sum(axis=1) == self.num_slots)

    def with_empty_levels(self) -> Factors:
        """Return these factors with an empty level, the last one, in slots that have none.

        A space may have no network without SE; its codes stay as they are.
        """
        return Factors(
            tuple(
                levels if any(not level for level in levels) else (*levels, {})
                for levels in self.levels
            )
        )

    def one_hot(self, codes: NDArray[np.integer], dtype: type = np.float64) -> NDArray[Any]:
        """Return ``(n, num_levels)``: 1 at the level of each slot, from ``(n, num_slots)``."""
        row: NDArray[Any] = np.zeros((len(codes), self.num_levels), dtype)
        np.put_along_axis(row, codes.astype(np.int64) + self.offsets, 1.0, axis=1)
        return row

    @property
    def _all(self) -> list[Description]:
        return [description for levels in self.levels for description in levels]


def columns_to_factors(levels: Sequence[Sequence[object]]) -> Factors:
    """Describe the levels of plain categorical columns.

    Columns with the same levels share words; a column of numbers, all positive, is a scale of
    their logarithms.
    """
    groups: dict[frozenset[object], str] = {}
    described: list[tuple[Description, ...]] = []
    for column in levels:
        name = groups.setdefault(frozenset(column), f"column{len(groups) + 1}")
        values = list(column)
        if all(isinstance(v, int | float) and not isinstance(v, bool) and v > 0 for v in values):
            described.append(tuple({name: float(np.log2(v))} for v in values))  # type: ignore[call-overload]  # checked above
        else:
            words: list[Description] = [{name: str(value)} for value in values]
            described.append(tuple(words))
    return Factors(tuple(described))


def _distances(name: str, descriptions: Sequence[Description]) -> NDArray[np.float64]:
    if name == PRESENCE:
        empty = np.array([not description for description in descriptions])
        return np.asarray(empty[:, None] != empty[None, :], float)
    values = [description.get(name) for description in descriptions]
    has = np.array([value is not None for value in values])
    both = has[:, None] & has[None, :]
    half = 0.5 * (has[:, None] != has[None, :])
    if all(isinstance(value, float) for value in values if value is not None):
        numbers = np.array([value if isinstance(value, float) else 0.0 for value in values])
        span = np.ptp(numbers[has])
        return np.asarray(np.abs(numbers[:, None] - numbers[None, :]) / span * both + half)
    words = np.array([str(value) for value in values])
    return np.asarray(((words[:, None] != words[None, :]) & both) + half)
