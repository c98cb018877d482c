"""The places that tell candidates apart, and which candidates carry SE there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from se_search.candidate import Candidate
from se_search.space.bound import BoundSpace
from se_search.space.texts import encode_texts


@dataclass(frozen=True)
class Place:
    """A slot of the space, or several that carry SE in exactly the same candidates.

    Attributes:
        name: ``stage3``, ``stage3.block1``, ``network``, or several names joined by ``+``.
        carries: ``(n,)``: whether there is SE.
    """

    name: str
    carries: NDArray[np.bool_]


def read_places(space: BoundSpace, texts: Sequence[str]) -> list[Place]:
    """Return the places where some candidates carry SE and others do not.

    Slots that carry SE in exactly the same candidates are one place: no data could tell their
    effects apart.

    Args:
        space: the candidates' space.
        texts: ``n`` different candidates, as ``str(candidate)`` writes them; the plain network may
            be among them even if the space has none of it.

    Raises:
        CandidateError: a text is no candidate of the space's backbone.
        SpaceError: a candidate is not in the space.
    """
    plain = str(Candidate.plain(space.backbone))
    is_plain = np.array([text == plain for text in texts], bool)
    codes = encode_texts(space, [text for text in texts if text != plain])
    groups: dict[bytes, list[int]] = {}
    marks: dict[bytes, NDArray[np.bool_]] = {}
    for slot, levels in enumerate(space.levels):
        carries = np.zeros(len(texts), bool)
        has_se = np.array([level[0] is not None for level in levels])
        carries[~is_plain] = has_se[codes[:, slot]]
        if carries.any() and not carries.all():
            marks[carries.tobytes()] = carries
            groups.setdefault(carries.tobytes(), []).append(slot)
    return [Place(_name_place(space, group), marks[key]) for key, group in groups.items()]


def _name_place(space: BoundSpace, group: Sequence[int]) -> str:
    """Name a place by its stages where it has all of their searched blocks, else by its blocks."""
    names = [space.slots[slot].name for slot in group]
    found = []
    for stage in dict.fromkeys(name.partition(".")[0] for name in names):
        own = [name for name in names if name.partition(".")[0] == stage]
        parts = [slot.name for slot in space.slots if slot.name.partition(".")[0] == stage]
        found += [stage] if own == parts else own
    return "+".join(found)
