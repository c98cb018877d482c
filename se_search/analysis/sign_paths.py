"""Group-sequential sign-flip test: all sign patterns are enumerated, given the earlier looks.

If A and B are equally accurate and their differences are symmetric, each pattern of signs of the
differences is equally likely, whatever the differences' sizes are. A pattern is a path through the
looks. A look's critical value is the smallest one at which no larger share of the patterns has
crossed, at this look or before, than the spending function allows. So the chance of ever crossing
is at most the level for every number of observations, without any approximation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from se_search.analysis.replicates import Floats
from se_search.analysis.sequential_boundaries import spent_share

ROUNDING = 1e-9  # of the sum of sizes: sums of equal numbers in another order are ties


def crossing_look(
    differences: Floats, looks: Sequence[int], total: int, level: float
) -> int | None:
    """Return the number of the first look, from 0, at which the sum of differences crosses.

    Args:
        differences: ``(n,)`` in the order in which they were made; the hypothesis is that their
            mean is at most 0.
        looks: the planned numbers of differences up to ``n``, ascending, at most 20.
        total: number of differences at the last planned look.
        level: the chance of ever crossing under the hypothesis, one-sided.

    Returns:
        None: it crosses at no look so far.
    """
    inside = np.zeros(1)  # sums of the patterns that have not crossed
    num_crossed, before = 0, 0
    for number, look in enumerate(looks):
        block = differences[before:look]
        num_crossed *= 2 ** len(block)
        share = level * spent_share(look / total)
        allowed = math.floor(share * 2**look + ROUNDING) - num_crossed
        tie = ROUNDING * float(np.abs(differences[:look]).sum())
        observed = float(differences[:look].sum())
        sums = _all_sums(block)
        if _count_reached(inside, np.sort(sums), observed - tie) <= allowed:
            return number
        if number == len(looks) - 1:
            return None
        inside = (inside[:, None] + sums).ravel()
        if allowed > 0:
            # The largest sum that may not cross, and all ties with it, stay inside.
            first = np.partition(inside, len(inside) - allowed - 1)[len(inside) - allowed - 1]
            stays = inside <= first + tie
            num_crossed += len(inside) - int(stays.sum())
            inside = inside[stays]
        before = look
    return None


def _count_reached(prefixes: Floats, ordered: Floats, observed: float) -> int:
    """Return how many sums of a prefix and a block reach a value; ``ordered`` is ascending."""
    below = np.searchsorted(ordered, observed - prefixes)
    return int(prefixes.size * ordered.size - below.sum())


def _all_sums(block: Floats) -> Floats:
    sums = np.zeros(1)
    for difference in block:
        sums = np.concatenate([sums + difference, sums - difference])
    return sums
