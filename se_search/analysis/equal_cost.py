"""One place, or one position, instead of another at equal cost.

Only candidates are compared whose added parameters lie in the range that both sides have. The model
holds fixed the logarithm of the added parameters and whether other places carry SE.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from se_search.analysis.effect_model import MIN_FREEDOM, UNTOLD
from se_search.analysis.least_squares import Contrast, Floats, Means, fit, rank
from se_search.analysis.places import Place

MIN_MATCHED = 3  # candidates on each side of a comparison


@dataclass(frozen=True)
class MatchedContrast:
    """A contrast at equal cost.

    Attributes:
        kind: ``place at equal cost`` or ``position at equal cost``.
        slot: where.
        level: the one side.
        reference: the other side.
        members: ``(n,)``: which candidates are compared.
        contrast: the one side less the other; None: it is not known.
        reason: why it is not known.
    """

    kind: str
    slot: str
    level: str
    reference: str
    members: NDArray[np.bool_]
    contrast: Contrast | None
    reason: str


def compare_places(places: Sequence[Place], means: Means, added: Floats) -> list[MatchedContrast]:
    """Compare each two places among the candidates that carry SE in just one of the two.

    Args:
        places: in which ``n`` candidates differ.
        means: of the candidates' accuracies.
        added: ``(n,)`` parameters that each adds to the plain network.
    """
    found = []
    for one, other in combinations([place for place in places if place.can_be_empty], 2):
        sides = one.carries & ~other.carries, other.carries & ~one.carries
        rest = [s.carries for s in places if s.can_be_empty and s is not one and s is not other]
        names = "place at equal cost", one.name, f"SE in {one.name}", f"in {other.name}"
        found.append(_compare(names, sides, rest, means, added))
    return found


def compare_positions(
    places: Sequence[Place], means: Means, added: Floats
) -> list[MatchedContrast]:
    """Compare each two positions among the candidates all of whose SE has one of the two.

    Args:
        places: in which ``n`` candidates differ.
        means: of the candidates' accuracies.
        added: ``(n,)`` parameters that each adds to the plain network.
    """
    positions = sorted({position for place in places for position in place.positions if position})
    used = [
        {place.positions[i] for place in places if place.positions[i]} for i in range(len(added))
    ]
    rest = [place.carries for place in places if place.can_be_empty]
    found = []
    for one, other in combinations(positions, 2):
        left, right = (np.array([own == {name} for own in used]) for name in (one, other))
        names = "position at equal cost", "all slots", one, other
        found.append(_compare(names, (left, right), rest, means, added))
    return found


def _compare(
    names: tuple[str, str, str, str],
    sides: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    rest: Sequence[NDArray[np.bool_]],
    means: Means,
    added: Floats,
) -> MatchedContrast:
    left, right = (side & (added > 0) for side in sides)
    nobody = np.zeros(len(added), bool)
    if not (left.any() and right.any()):
        reason = "no candidates with one and without the other"
        return MatchedContrast(*names, nobody, None, reason)
    low = max(added[left].min(), added[right].min())
    high = min(added[left].max(), added[right].max())
    in_range = (added >= low) & (added <= high)
    members = (left | right) & in_range
    if min((left & in_range).sum(), (right & in_range).sum()) < MIN_MATCHED:
        reason = f"fewer than {MIN_MATCHED} a side of equal cost"
        return MatchedContrast(*names, members, None, reason)
    logs = np.log2(added[members])
    others = [carries[members] for carries in rest]
    design = np.column_stack([np.ones(len(logs)), left[members], logs - logs.mean(), *others])
    if len(design) - rank(design) < MIN_FREEDOM:
        return MatchedContrast(*names, members, None, "too few candidates of equal cost")
    weights = np.eye(design.shape[1])[1]
    contrast = fit(design, means.of(members)).contrast(weights)
    return MatchedContrast(*names, members, contrast, UNTOLD if contrast is None else "")
