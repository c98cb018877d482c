"""The linear model of effects: which columns the design has, and which contrasts are effects.

Columns are centred on the candidates that were trained, so that a coefficient is an average over
what the candidates carry elsewhere.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from se_search.analysis.least_squares import Floats, rank
from se_search.analysis.places import Place
from se_search.errors import RunError

MIN_FREEDOM = 5  # with fewer, a 95 % interval is 1.4 times as wide as with many, or wider
ANY_SE = "any SE"
MEAN_SLOT = "mean of slots"
UNTOLD = "not to be told from other effects by these candidates"


@dataclass(frozen=True)
class Column:
    """A column of the design: the mean, SE in a place, a level of an attribute, or a pair."""

    places: tuple[int, ...]
    kind: str
    level: str


@dataclass(frozen=True)
class Model:
    """A design of ``n`` candidates over some places.

    Attributes:
        places: the places in which the candidates differ.
        columns: ``k`` columns.
        design: ``(n, k)``.
    """

    places: Sequence[Place]
    columns: Sequence[Column]
    design: Floats

    def unit(self, column: Column) -> Floats:
        """Return the weights ``(k,)`` that pick one column's coefficient."""
        return np.array([float(own == column) for own in self.columns])


@dataclass(frozen=True)
class Term:
    """An effect to be estimated.

    Attributes:
        kind: ``slot``, ``position``, ``width``, ``variant`` or ``interaction``.
        slot: where.
        level: what is there.
        reference: what it is compared with.
        weights: ``(k,)`` of the coefficients.
        members: ``(n,)``: which candidates have the level.
        places: numbers of the places that the term is the mean over; empty for an interaction.
    """

    kind: str
    slot: str
    level: str
    reference: str
    weights: Floats
    members: NDArray[np.bool_]
    places: tuple[int, ...] = ()


def choose_model(places: Sequence[Place], num_candidates: int) -> tuple[Model, list[str]]:
    """Return the richest model that the candidates can carry, and what it leaves out.

    Interactions are modelled if half of the candidates are beyond the model's coefficients: with
    fewer they would widen the intervals of all other effects by more than they correct them.

    Raises:
        RunError: the candidates do not differ, or are too few for any model.
    """
    count = num_candidates
    if not places:
        raise RunError(
            f"{count} candidates have a full training, and none differs in a stage or block: "
            "effects need candidates with and without SE in a place"
        )
    full = _build(places, levels=True, pairs=True)
    levels = _build(places, levels=True, pairs=False)
    needed = 2 * rank(full.design)
    if count >= needed:
        return full, []
    notes = []
    if len(full.columns) > len(levels.columns):
        notes.append(
            f"Interactions are not modelled: they need {needed} candidates with a full training, "
            f"and there are {count}. Where slots interact, gains may be off."
        )
    if count - rank(levels.design) >= MIN_FREEDOM:
        return levels, notes
    places_only = _build(places, levels=False, pairs=False)
    if places_only.columns[1:] and count - rank(places_only.design) >= MIN_FREEDOM:
        notes.append(
            "Positions and widths are not told apart: they need "
            f"{rank(levels.design) + MIN_FREEDOM} candidates with a full training."
        )
        return places_only, notes
    smallest = places_only if places_only.columns[1:] else levels
    least = len(smallest.columns) + MIN_FREEDOM
    raise RunError(
        f"{count} candidates have a full training; the effects of {len(places)} slots "
        f"({', '.join(place.name for place in places)}) need {least} or more: raise --trials"
    )


def main_terms(model: Model) -> list[Term]:
    """Return the gain of each place's levels, then the means over places that share a level."""
    terms = []
    for number, place in enumerate(model.places):
        reference = "no SE" if place.can_be_empty else "mean"
        for column in model.columns:
            if column.places != (number,):
                continue
            own = place.attributes().get(column.kind, ())
            members = place.carries if column.kind == "slot" else np.array(own) == column.level
            weights = _weigh(model, column)
            terms.append(
                Term(column.kind, place.name, column.level, reference, weights, members, (number,))
            )
    return terms + _mean_terms(model, terms)


def interaction_terms(model: Model) -> list[Term]:
    """Return, for each modelled pair of places, what SE in both adds to the sum of the gains."""
    terms = []
    for column in model.columns:
        if column.kind != "interaction":
            continue
        one, other = (model.places[number] for number in column.places)
        members = one.carries & other.carries
        name = f"{one.name} x {other.name}"
        weights = model.unit(column)
        terms.append(Term("interaction", name, "SE in both", "sum of gains", weights, members))
    return terms


def _build(places: Sequence[Place], *, levels: bool, pairs: bool) -> Model:
    columns = [Column((), "mean", "")]
    values: list[Floats] = [np.ones(len(places[0].carries))]
    for number, place in enumerate(places):
        if place.can_be_empty:
            columns.append(Column((number,), "slot", ANY_SE))
            values.append(place.carries.astype(np.float64))
        for kind, own in place.attributes().items() if levels else ():
            for level, share in _shares(own).items():
                columns.append(Column((number,), kind, level))
                has = np.array([what == level for what in own])
                values.append(np.where(place.carries, has - share, 0.0))
    for one, other in combinations(range(len(places)), 2) if pairs else ():
        if not (places[one].can_be_empty and places[other].can_be_empty):
            continue
        columns.append(Column((one, other), "interaction", "both"))
        left, right = places[one].carries, places[other].carries
        values.append((left - left.mean()) * (right - right.mean()))
    return Model(places, columns, np.column_stack(values))


def _shares(own: Sequence[str]) -> dict[str, float]:
    """Return the share of each level among the candidates that carry SE, in order."""
    counts = Counter(what for what in own if what)
    total = sum(counts.values())
    return {level: counts[level] / total for level in sorted(counts, key=_in_order)}


def _in_order(level: str) -> tuple[object, ...]:
    """Return what sorts names by the numbers in them."""
    parts = re.split(r"(\d+(?:\.\d+)?)", level)
    return tuple(float(part) if part[:1].isdigit() else part for part in parts)


def _weigh(model: Model, column: Column) -> Floats:
    """Return the weights of a level's gain, other attributes being as they are on average."""
    (number,) = column.places
    place = model.places[number]
    weights = np.zeros(len(model.columns))
    if place.can_be_empty:
        weights += model.unit(Column((number,), "slot", ANY_SE))
    if column.kind != "slot":
        weights += model.unit(column)
        for level, share in _shares(place.attributes()[column.kind]).items():
            weights -= share * model.unit(Column((number,), column.kind, level))
    return weights


def _mean_terms(model: Model, terms: Sequence[Term]) -> list[Term]:
    """Return the mean gain of each level that several places can carry."""
    groups: dict[tuple[str, str], list[Term]] = defaultdict(list)
    for term in terms:
        if model.places[term.places[0]].can_be_empty:
            groups[term.kind, term.level].append(term)
    order = {"slot": 0, "position": 1, "width": 2, "variant": 3}
    return [
        Term(
            kind,
            MEAN_SLOT,
            level,
            "no SE",
            np.mean([term.weights for term in group], axis=0),
            np.any([term.members for term in group], axis=0),
            tuple(term.places[0] for term in group),
        )
        for (kind, level), group in sorted(groups.items(), key=lambda entry: order[entry[0][0]])
        if len(group) > 1
    ]
