"""SE everywhere, as near to the usual design as a space offers it."""

from __future__ import annotations

import math
from collections.abc import Mapping

from se_search.candidate import Candidate
from se_search.space.bound import BoundSpace
from se_search.space.levels import make_level
from se_search.space.schema import Choice
from se_search.space.slots import Slot

REDUCTION = 16  # the default of Hu et al. 2019, sec. 6.4


def nearest_everywhere(space: BoundSpace) -> Candidate:
    """Return the candidate with SE in every slot whose widths are nearest to r = 16.

    Every other choice is the first that the space lists; the kind is SE itself where it is listed.
    Distances are between the widths' logarithms; a width that all slots share has the least sum.
    """
    axes = space.space.axes
    usual = {axis: values[0] for axis, values in axes.items()}
    if "se" in axes["kind"]:
        usual["kind"] = "se"
    options = [
        usual | {axis: value}
        for axis in axes.keys() & {"reduction", "width"}
        for value in axes[axis]
    ] or [usual]
    if space.space.shared_axes.keys() & {"reduction", "width"}:
        options = [min(options, key=lambda option: sum(_gap(s, option) for s in space.slots))]
    codes = []
    for slot, levels in zip(space.slots, space.levels, strict=True):
        nearest = min(options, key=lambda option: _gap(slot, option))
        codes.append(levels.index(make_level(slot, nearest)))
    return space.with_codes(codes)


def _gap(slot: Slot, option: Mapping[str, Choice]) -> float:
    """Return how far a slot's widths are from r = 16: powers of two, summed over its sites."""
    gap = 0.0
    for site, block in zip(slot.sites, make_level(slot, option), strict=True):
        if block is not None and block.width:
            channels = site.feature_map(block.integration).channels
            gap += abs(math.log2(block.width * REDUCTION / channels))
    return gap
