"""What SE in each place of a network gains: the rows of the answer, and all along the network."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from se_search.analysis.effect_contrasts import MEAN_SLOT, NO_SE
from se_search.analysis.effects import Effect
from se_search.analysis.slot_levels import ANY_SE

Verdict = Literal["helps", "harms", "depends", "no effect known"]

NUM_PLACES = 5


@dataclass(frozen=True, slots=True)
class PlaceGain:
    """What SE in one place gains over none there.

    Attributes:
        place: as ``stage 3`` or ``stage 3, width 8``.
        gain: in points, averaged over what candidates carry elsewhere.
        low: lower end of its 95 % interval, in points.
        high: upper end of its 95 % interval, in points.
        cost_pct: what it adds to the cost on average, in per cent of the plain network's.
        verdict: sure only with all of a run's effects allowed for, of which some differ from 0 by
            chance. ``depends``: there one kind or width of SE surely helps and another surely
            harms, so that their average says little.
    """

    place: str
    gain: float
    low: float
    high: float
    cost_pct: float | None
    verdict: Verdict


def choose_places(effects: Sequence[Effect]) -> tuple[PlaceGain, ...]:
    """Return the five places of which most is known: sure effects first, then large ones.

    Any SE in a slot stands for the slot. One of its levels is added where more is known of it: it
    surely helps or harms, and any SE there does not do so, too.

    Args:
        effects: of any SE, positions, widths and variants.
    """
    known = _list_known(effects)
    slots = {each.slot: _to_slot(each, known) for each in known if each.level == ANY_SE}
    rows = list(slots.values())
    for effect in known:
        if effect.level != ANY_SE:
            place, slot = to_place(effect), slots.get(effect.slot)
            told = slot.verdict if slot else "no effect known"
            if slot is None or place.verdict not in ("no effect known", told):
                rows.append(place)
    rows.sort(key=lambda row: (row.verdict == "no effect known", -abs(row.gain)))
    return tuple(rows[:NUM_PLACES])


def list_places(effects: Sequence[Effect]) -> tuple[PlaceGain, ...]:
    """Return what any SE in each slot gains, in the order of the network.

    A slot of which nothing is known is left out; where only one level is known it stands for it.

    Args:
        effects: of any SE, positions, widths and variants.
    """
    places: dict[str, PlaceGain] = {}
    for effect in _list_known(effects):
        if effect.slot not in places or effect.level == ANY_SE:
            places[effect.slot] = _to_slot(effect, effects)
    return tuple(places.values())


def _to_slot(effect: Effect, effects: Sequence[Effect]) -> PlaceGain:
    """Return what stands for a slot, of whose levels one may surely help and another harm."""
    verdicts = {to_place(each).verdict for each in _list_known(effects) if each.slot == effect.slot}
    place = to_place(effect)
    return replace(place, verdict="depends") if verdicts >= {"helps", "harms"} else place


def _list_known(effects: Sequence[Effect]) -> list[Effect]:
    return [
        each
        for each in effects
        if each.gain is not None
        and each.low is not None
        and each.high is not None
        and each.slot != MEAN_SLOT
        and each.reference == NO_SE
    ]


def to_place(effect: Effect) -> PlaceGain:
    """Return an effect that is known in the words of the answer."""
    assert effect.gain is not None
    assert effect.low is not None
    assert effect.high is not None
    verdict: Verdict = "no effect known"
    if effect.holds:
        verdict = "helps" if effect.gain > 0 else "harms"
    slot = name_slot(effect.slot)
    place = slot if effect.level == ANY_SE else f"{slot}, {effect.level}"
    return PlaceGain(place, effect.gain, effect.low, effect.high, effect.cost_pct, verdict)


def name_slot(slot: str) -> str:
    """Return the name of a slot or a site for people: ``stage 3, block 2`` of ``stage3.block2``."""
    return re.sub(r"stage(\d)", r"stage \1", slot).replace(".block", ", block ")
