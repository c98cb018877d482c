"""Which differences between candidates make an effect: what is averaged, and what it costs.

An effect is a mean over backgrounds: what the other slots carry is drawn from the candidates that
the space allows, one draw for all levels of a slot where each of them is allowed there. Several
levels together, as any SE, are the mean of those that a trained candidate has.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from se_search.analysis.slot_levels import LevelGroup, SlotLevels

Codes = NDArray[np.int16]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Part = tuple[Codes, float]
"""Candidates ``(n, num_slots)``, and the weight of the mean of their accuracies."""

MEAN_SLOT = "mean of slots"
NO_SE = "no SE"
# Candidates of a family of effects. The joint posterior of 800 takes a fiftieth of a second for
# each kernel; from 8 backgrounds a level on, more of them move an effect by less than its error.
MAX_POINTS = 600
MAX_PAIRS = 120  # of slots, as 16 slots have: effects of more pairs could hardly be told apart
EQUAL_COST = 1.25  # greatest ratio of added parameters that counts as equal cost


@dataclass(frozen=True)
class EffectContrast:
    """An effect to be estimated: a sum of mean accuracies, each with a weight.

    Attributes:
        kind: as of ``Effect``.
        slot: as of ``Effect``.
        level: as of ``Effect``.
        reference: as of ``Effect``.
        parts: the candidates whose accuracies are averaged.
        members: ``(n,)``: which trained candidates have the level, or are compared.
        cost_pct: what the level adds to the cost on average, in per cent of the plain network's;
            None: it is no level that is added.
        reason: why the trained candidates say nothing of it; empty: they do.
    """

    kind: str
    slot: str
    level: str
    reference: str
    parts: tuple[Part, ...]
    members: Mask
    cost_pct: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Ground:
    """What effects are averaged over, and what has been trained.

    Attributes:
        slots: ``num_slots`` of the space.
        pool: ``(p, num_slots)``, allowed candidates in random order.
        keep: marks the allowed ones of candidates ``(n, num_slots)``, as ``(n,)``. A candidate with
            a slot emptied is allowed if the candidate is.
        params: for each slot ``(num_levels,)``, the parameters that each level adds.
        cost_pct: for each slot ``(num_levels,)``, what each level adds to the cost, in per cent of
            the plain network's.
        trained: ``(n, num_slots)``, the different candidates with a full training.
    """

    slots: Sequence[SlotLevels]
    pool: Codes
    keep: Callable[[Codes], Mask]
    params: Sequence[NDArray[np.int64]]
    cost_pct: Sequence[Floats]
    trained: Codes

    @cached_property
    def optional(self) -> list[int]:
        """The slots that can be without SE."""
        return [number for number, slot in enumerate(self.slots) if slot.empty is not None]

    @cached_property
    def carries(self) -> Mask:
        """``(n, num_slots)``: where the trained candidates carry SE."""
        return self.carry_se(self.trained)

    def carry_se(self, codes: Codes) -> Mask:
        """Mark where candidates ``(n, num_slots)`` carry SE."""
        empty = [-1 if slot.empty is None else slot.empty for slot in self.slots]
        return np.asarray(codes != np.array(empty, np.int16))

    def put(self, codes: Codes, levels: Mapping[int, int]) -> Codes:
        """Return candidates with other levels in some slots."""
        changed = codes.copy()
        for slot, code in levels.items():
            changed[:, slot] = code
        return changed

    def empty(self, codes: Codes, *slots: int) -> Codes:
        """Return candidates without SE in some slots; those that can't be empty get any level."""
        return self.put(codes, {slot: self.slots[slot].empty or 0 for slot in slots})

    def around(self, *slots: int) -> Codes:
        """Return the different backgrounds of some slots, which are without SE if they can be."""
        codes = self.empty(self.pool, *slots)
        _, first = np.unique(codes, axis=0, return_index=True)
        return codes[np.sort(first)]


def ask_main(ground: Ground) -> list[EffectContrast]:
    """Ask what each group of levels adds to each slot, then the means over slots with that group.

    A gain is over no SE in the slot; in a slot that always carries SE, over the mean of its levels.
    """
    found: list[EffectContrast] = []
    shared: dict[tuple[str, str], list[EffectContrast]] = defaultdict(list)
    num_levels = sum(len(own) for own in ground.params)
    for number, slot in enumerate(ground.slots):
        levels = _Levels(ground, number, max(1, MAX_POINTS // num_levels))
        for group in slot.groups():
            if levels.shares(group):
                question = levels.ask(group)
                found.append(question)
                if slot.empty is not None and not question.reason:
                    shared[group.kind, group.name].append(question)
    order = ("slot", "position", "width", "variant")
    in_order = sorted(shared.items(), key=lambda entry: order.index(entry[0][0]))
    return found + [_ask_mean(own) for _, own in in_order if len(own) > 1]


def ask_interactions(ground: Ground) -> list[EffectContrast]:
    """Ask, for each two slots, what SE in both gains beyond the sum of the two gains."""
    found = []
    pairs = list(combinations(ground.optional, 2))
    carries = ground.carry_se(ground.pool)
    for one, other in pairs:
        both = ground.pool[carries[:, one] & carries[:, other]][: _share(4, len(pairs))]
        if not len(both):
            continue
        members = ground.carries[:, one] & ground.carries[:, other]
        found.append(
            EffectContrast(
                "interaction",
                f"{ground.slots[one].name} x {ground.slots[other].name}",
                "SE in both",
                "sum of gains",
                (
                    (both, 1.0),
                    (ground.empty(both, one), -1.0),
                    (ground.empty(both, other), -1.0),
                    (ground.empty(both, one, other), 1.0),
                ),
                members,
                reason="" if members.any() else "no trained candidate has SE in both",
            )
        )
    return found


def ask_places(ground: Ground) -> list[EffectContrast]:
    """Ask what SE gains in one slot instead of another, at equal cost and in an equal position."""
    found = []
    pairs = list(combinations(ground.optional, 2))
    for one, other in pairs:
        matches = _match_levels(ground, one, other)
        backgrounds = ground.around(one, other)
        at_most = _share(2 * max(1, len(matches)), len(pairs))
        compared = []
        for own, its in matches:
            left = ground.put(backgrounds, {one: own})  # the backgrounds have no SE in either
            right = ground.put(backgrounds, {other: its})
            both = np.flatnonzero(ground.keep(left) & ground.keep(right))[:at_most]
            if len(both):
                compared.append((left[both], right[both]))
        has = ground.carries[:, one], ground.carries[:, other]
        names = [ground.slots[number].name for number in (one, other)]
        found.append(
            _ask_matched(
                ("place at equal cost", names[0], f"SE in {names[0]}", f"in {names[1]}"),
                compared,
                (has[0] & ~has[1], has[1] & ~has[0]),
                "no levels of equal cost",
            )
        )
    return found


def ask_positions(ground: Ground) -> list[EffectContrast]:
    """Ask what a position gains instead of another, in all slots at equal cost."""
    found = []
    named = {name for slot in ground.slots for name in slot.names["position"] if name}
    pairs = list(combinations(sorted(named), 2))
    for one, other in pairs:
        left = _move(ground, ground.pool[ground.carry_se(ground.pool).any(axis=1)], one)
        right = _move(ground, left, other)
        both = (left >= 0).all(axis=1) & (right >= 0).all(axis=1)
        left, right = left[both], right[both]
        allowed = np.flatnonzero(ground.keep(left) & ground.keep(right))[: _share(2, len(pairs))]
        compared = [(left[allowed], right[allowed])] if len(allowed) else []
        sides = _have(ground, one), _have(ground, other)
        names = ("position at equal cost", "all slots", one, other)
        found.append(_ask_matched(names, compared, sides, "no candidates of equal cost"))
    return found


def assemble(questions: Sequence[EffectContrast], num_slots: int) -> tuple[Codes, Floats]:
    """Return the candidates of some questions, each once, and their weights.

    Returns:
        ``(m, num_slots)`` and ``(len(questions), m)``.
    """
    numbers, values, rows = [], [], [np.zeros((0, num_slots), np.int16)]
    for number, question in enumerate(questions):
        for codes, weight in question.parts:
            rows.append(codes)
            numbers.append(np.full(len(codes), number))
            values.append(np.full(len(codes), weight / len(codes)))
    unique, at = np.unique(np.concatenate(rows), axis=0, return_inverse=True)
    weights = np.zeros((len(questions), len(unique)))
    if numbers:
        np.add.at(weights, (np.concatenate(numbers), at.ravel()), np.concatenate(values))
    return unique, weights


class _Levels:
    """The levels of one slot, each in some backgrounds.

    Args:
        ground: what effects are averaged over.
        number: of the slot.
        at_most: backgrounds of a level.
    """

    def __init__(self, ground: Ground, number: int, at_most: int) -> None:
        self._ground, self._number = ground, number
        self._slot = ground.slots[number]
        self._rows: dict[int, Codes] = {}
        self._own = ground.trained[:, number]
        backgrounds = ground.around(number)
        for code in self._slot.carrying.tolist():
            rows = ground.put(backgrounds, {number: code})
            rows = rows[ground.keep(rows)]
            if not len(rows):  # a limit leaves a wide block hardly any company
                rows = ground.put(ground.empty(ground.pool[:1], *ground.optional), {number: code})
                rows = rows[ground.keep(rows)]
            if len(rows):
                self._rows[code] = rows[:at_most]

    def shares(self, group: LevelGroup) -> dict[int, float]:
        """Return the shares of a group's levels: equal for those that have been trained.

        If none has been, all that are allowed have equal shares.
        """
        allowed = [code for code in group.codes.tolist() if code in self._rows]
        trained = [code for code in allowed if (self._own == code).any()]
        return {code: 1 / len(trained or allowed) for code in trained or allowed}

    def ask(self, group: LevelGroup) -> EffectContrast:
        """Ask what a group of levels, at least one of them allowed, gains."""
        ground, slot, number = self._ground, self._slot, self._number
        shares = self.shares(group)
        has = np.isin(self._own, group.codes)
        parts = [(self._rows[code], share) for code, share in shares.items()]
        reason = "" if has.any() else "no trained candidate has it"
        if slot.empty is None:
            everything = LevelGroup("slot", "", slot.carrying)
            parts += [(self._rows[code], -s) for code, s in self.shares(everything).items()]
            if has.all():
                reason = "every trained candidate has it"
            return EffectContrast(
                group.kind, slot.name, group.name, "mean", tuple(parts), has, None, reason
            )
        parts += [(ground.empty(rows, number), -share) for rows, share in parts]
        if ground.carries[:, number].all():
            reason = "every trained candidate has SE there"
        cost = sum(share * ground.cost_pct[number][code] for code, share in shares.items())
        return EffectContrast(
            group.kind, slot.name, group.name, NO_SE, tuple(parts), has, float(cost), reason
        )


def _ask_mean(questions: Sequence[EffectContrast]) -> EffectContrast:
    """Ask for the mean of what some slots gain."""
    count = len(questions)
    costs = [question.cost_pct for question in questions if question.cost_pct is not None]
    return EffectContrast(
        questions[0].kind,
        MEAN_SLOT,
        questions[0].level,
        NO_SE,
        tuple((codes, weight / count) for q in questions for codes, weight in q.parts),
        np.any([question.members for question in questions], axis=0),
        float(np.mean(costs)),
    )


def _ask_matched(
    names: tuple[str, str, str, str],
    compared: Sequence[tuple[Codes, Codes]],
    sides: tuple[Mask, Mask],
    unmatched: str,
) -> EffectContrast:
    parts: list[Part] = []
    for left, right in compared:
        parts += [(left, 1 / len(compared)), (right, -1 / len(compared))]
    reason = "" if parts else unmatched
    if not (sides[0].any() and sides[1].any()):
        reason = "no trained candidates to compare"
    return EffectContrast(*names, tuple(parts), sides[0] | sides[1], None, reason)


def _match_levels(ground: Ground, one: int, other: int) -> list[tuple[int, int]]:
    """Return the levels of two slots that go together: like blocks of equal cost, the nearest."""
    found = []
    for code in ground.slots[one].carrying.tolist():
        names = [ground.slots[one].names[kind][code] for kind in ("position", "variant")]
        nearest = _find_nearest(ground, other, ground.params[one][code], *names)
        if nearest is not None:
            found.append((code, nearest))
    return found


def _move(ground: Ground, codes: Codes, position: str) -> Codes:
    """Return candidates with all SE in one position, at equal cost; -1: there is no such level."""
    moved = codes.copy()
    for number, slot in enumerate(ground.slots):
        target = np.full(len(ground.params[number]) + 1, -1, np.int16)  # the last: of no such level
        if slot.empty is not None:
            target[slot.empty] = slot.empty
        for code in slot.carrying.tolist():
            variant = slot.names["variant"][code]
            nearest = _find_nearest(ground, number, ground.params[number][code], position, variant)
            target[code] = -1 if nearest is None else nearest
        moved[:, number] = target[codes[:, number]]
    return moved


def _find_nearest(
    ground: Ground, number: int, params: int, position: str, variant: str
) -> int | None:
    """Return the level of a slot that costs most nearly as much; None: none is of equal cost."""
    slot, own = ground.slots[number], ground.params[number]
    ratios = {
        code: abs(float(np.log2(own[code] / params)))
        for code in slot.carrying.tolist()
        if slot.names["position"][code] == position
        and slot.names["variant"][code] == variant
        and own[code] > 0
        and params > 0
    }
    nearest = min(ratios, key=ratios.__getitem__, default=None)
    return nearest if nearest is not None and ratios[nearest] <= np.log2(EQUAL_COST) else None


def _have(ground: Ground, position: str) -> Mask:
    """Mark the trained candidates that carry SE in a position, ``(n,)``."""
    found = [
        np.array([name == position for name in slot.names["position"]])[own]
        for slot, own in zip(ground.slots, ground.trained.T, strict=True)
    ]
    return np.asarray(np.any(found, axis=0))


def _share(points: int, num_pairs: int) -> int:
    """Return how many backgrounds a pair gets, each of which takes some candidates."""
    return max(1, MAX_POINTS // (points * num_pairs))
