"""Levels: everything that the sites of a slot can carry, as SE blocks."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping

from se_search.backbone import Integration, Site
from se_search.candidate import SE, squeeze_width
from se_search.space.schema import Choice, SearchSpace, combine_axes
from se_search.space.slots import Slot, fit_integration

Level = tuple[SE | None, ...]
"""What a slot carries: for each of its sites the SE block, or None for no SE."""


def no_se(slot: Slot) -> Level:
    """Return the level without SE."""
    return (None,) * len(slot.sites)


def list_levels(space: SearchSpace, slot: Slot) -> dict[Level, frozenset[int]]:
    """Map each level of a slot to the combinations of shared choices under which it is possible.

    Several combinations of choices can make one level: r = 16 and r = 32 are both width 1 on 16
    channels.

    Returns:
        the levels in the order in which candidates are numbered, no SE first, each with positions
        in ``combine_axes(space.shared_axes)``.
    """
    shared_combinations = combine_axes(space.shared_axes)
    own_combinations = combine_axes(space.own_axes)
    levels: dict[Level, set[int]] = {}
    if space.choices.none:
        levels[no_se(slot)] = set(range(len(shared_combinations)))
    for index, shared in enumerate(shared_combinations):
        for own in own_combinations:
            levels.setdefault(make_level(slot, shared | own), set()).add(index)
    return {level: frozenset(possible) for level, possible in levels.items()}


def make_level(slot: Slot, combination: Mapping[str, Choice]) -> Level:
    """Return the level with the same choices at each site.

    Args:
        slot: the slot.
        combination: a value for each axis of the space.
    """
    return tuple(_make_block(slot, site, combination) for site in slot.sites)


def describe_level(slot: Slot, level: Level) -> Mapping[str, str | float]:
    """Return the attributes of a level's blocks by name; empty for no SE.

    The width is given as ``reduction``: the logarithm to base 2 of channels over width, as a mean
    over the slot's sites, so that equal reduction ratios are equal on any number of channels.
    """
    block = level[0]
    if block is None:
        return {}
    described: dict[str, str | float] = {
        "integration": block.integration,
        "kind": block.kind,
        "squeeze": block.squeeze,
        "gate": block.gate,
        "bias": str(block.bias),
        "gate_init": block.gate_init,
    }
    if block.width:
        # Sites of few channels can have one width where other sites of the slot have two.
        described["reduction"] = statistics.fmean(
            math.log2(site.feature_map(own.integration).channels / own.width)
            for site, own in zip(slot.sites, level, strict=True)
            if own is not None
        )
    return described


def _make_block(slot: Slot, site: Site, combination: Mapping[str, Choice]) -> SE:
    """Return the block that a combination of axis values stands for at a site."""
    values = dict(combination)
    reduction, rounding, width = (
        values.pop(axis, None) for axis in ("reduction", "rounding", "width")
    )
    wanted: Integration = values["integration"]  # type: ignore[assignment]  # checked on reading
    integration = values["integration"] = fit_integration(site, wanted, slot.integrations)
    if values["kind"] != "se":
        width = 0
    elif reduction is not None:
        channels = site.feature_map(integration).channels
        width = squeeze_width(channels, int(reduction), rounding)  # type: ignore[arg-type]  # checked on reading
    elif width == "original":
        # A site without an SE block of its own has the first width that is a number.
        numbers = [width for width in slot.widths if width != "original"]
        width = site.native.width if site.native is not None else numbers[0]
    return SE(width=width, **values)  # type: ignore[arg-type]  # checked on reading
