"""What candidates carry, slot by slot, read from their texts: no backbone need be at hand.

A slot is a stage, or a block where candidates differ within a stage; slots in which all candidates
differ in the same way are one. Levels are described as a search space describes them
(``BoundSpace.describe_levels``), but for one thing: channels are not in the text, so a reduction
ratio is relative to that of the widest block of its integration in its slot.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from se_search.candidate import GATE_INITS, GATES, SQUEEZES
from se_search.surrogate.features import Description, Factors

WHERE = re.compile(r"stage(\d+)(?:\.block(\d+)(?:-(\d+))?)?")
BLOCK = re.compile(r"([a-z_]+):(?:(\d+)|([a-z]+))((?:\+[a-z_]+)*)")

Slot = tuple[int, int | None]  # a stage and a block; None: what all of the stage carries
Carried = Mapping[Slot, str]


def read_factors(texts: Sequence[str]) -> tuple[Factors, NDArray[np.int16]]:
    """Return the slots that tell candidates apart, and the level of each: ``(n, num_slots)``.

    Candidates of other kinds, whose texts are not read here, have one slot with a level for each:
    then nothing that is learnt of one says anything of another.

    Args:
        texts: of the candidates, as ``str(candidate)`` gives them; repeats are allowed.
    """
    carried = [_parse(text) for text in texts]
    known = [one for one in carried if one is not None]
    num_different = len(set(texts))
    if len(known) == len(carried):
        for with_rest in (False, True):
            columns = [
                [_carries(one, slot) for one in known] for slot in _list_slots(known, with_rest)
            ]
            groups = _group_alike(columns)
            found = _encode(groups, len(texts))
            if len(np.unique(found[1], axis=0)) == num_different:
                return found
    names = sorted(set(texts))
    codes = np.array([[names.index(text)] for text in texts], np.int16).reshape(len(texts), 1)
    return Factors((tuple({"candidate": name} for name in names),)), codes


def _parse(text: str) -> Carried | None:
    """Return what a candidate carries where; None: the text is of another kind."""
    found: dict[Slot, str] = {}
    for setting in text.split("/")[1:]:
        where, _, what = setting.partition("=")
        place = WHERE.fullmatch(where)
        if place is None or BLOCK.fullmatch(what) is None:
            return None
        stage, first, last = place.groups()
        if first is None:
            found[int(stage), None] = what
            continue
        for block in range(int(first), int(last or first) + 1):
            found[int(stage), block] = what
    return found


def _list_slots(carried: Sequence[Carried], with_rest: bool) -> list[Slot]:
    """Return the stages, in parts where any candidate names single blocks.

    Args:
        carried: what each candidate carries where.
        with_rest: whether stages that are named in parts have a further slot, for blocks that
            no candidate names by themselves.
    """
    blocks: dict[int, set[int]] = defaultdict(set)
    for one in carried:
        for stage, block in one:
            blocks[stage].update(() if block is None else (block,))
    slots: list[Slot] = []
    for stage, named in sorted(blocks.items()):
        slots += [(stage, block) for block in sorted(named)]
        slots += [(stage, None)] if with_rest or not named else []
    return slots


def _carries(carried: Carried, slot: Slot) -> str:
    return carried.get(slot) or carried.get((slot[0], None), "")


def _group_alike(columns: Sequence[Sequence[str]]) -> list[list[Sequence[str]]]:
    """Put the columns together that sort candidates alike; those without a difference go."""
    groups: dict[tuple[int, ...], list[Sequence[str]]] = {}
    for column in columns:
        first = {what: index for index, what in reversed(list(enumerate(column)))}
        if len(first) > 1:
            groups.setdefault(tuple(first[what] for what in column), []).append(column)
    return list(groups.values())


def _encode(
    groups: Sequence[Sequence[Sequence[str]]], count: int
) -> tuple[Factors, NDArray[np.int16]]:
    levels = []
    codes: NDArray[np.int16] = np.zeros((count, len(groups)), np.int16)
    for number, columns in enumerate(groups):
        rows = list(zip(*columns, strict=True))
        different = sorted(set(rows))
        positions = {row: position for position, row in enumerate(different)}
        codes[:, number] = [positions[row] for row in rows]
        widest = [_find_widest(column) for column in columns]
        levels.append(tuple(_describe(row, widest) for row in different))
    return Factors(tuple(levels)), codes


@dataclass(frozen=True, slots=True)
class _Block:
    integration: str
    width: int
    kind: str
    variants: frozenset[str]

    @classmethod
    def read(cls, text: str) -> _Block:
        match = BLOCK.fullmatch(text)
        assert match is not None
        integration, width, kind, rest = match.groups()
        return cls(integration, int(width or 0), kind or "se", frozenset(rest.split("+")[1:]))

    def variant(self, names: Sequence[str]) -> str:
        """Return which of the names it has; the first one is not written out."""
        return next((name for name in names[1:] if name in self.variants), names[0])


def _find_widest(column: Sequence[str]) -> dict[str, int]:
    widest: dict[str, int] = {}
    for block in (_Block.read(text) for text in set(column) if text):
        widest[block.integration] = max(block.width, widest.get(block.integration, 1))
    return widest


def _describe(row: Sequence[str], widest: Sequence[Mapping[str, int]]) -> Description:
    """Describe what the columns of one slot carry, by the first that carries anything."""
    pairs = [(_Block.read(text), own) for text, own in zip(row, widest, strict=True) if text]
    if not pairs:
        return {}
    block, _ = pairs[0]
    described: dict[str, str | float] = {
        "integration": block.integration,
        "kind": block.kind,
        "squeeze": block.variant(SQUEEZES),
        "gate": block.variant(GATES),
        "bias": str("bias" in block.variants),
        "gate_init": block.variant(GATE_INITS),
    }
    if block.width:
        reductions = [
            math.log2(own[one.integration] / one.width) for one, own in pairs if one.width
        ]
        # Rounded, as a difference in the last bit would make two levels of one.
        described["reduction"] = round(sum(reductions) / len(reductions), 9)
    return described
