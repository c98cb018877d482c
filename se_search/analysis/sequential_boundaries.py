"""Critical values of a group-sequential test of normal data, by recursive numerical integration.

The sums of independent normal observations at the looks are jointly normal with independent
increments. The density of the sum among the paths that have crossed no critical value so far is
carried from look to look by numerical integration (Armitage, McPherson and Rowe 1969; Jennison and
Turnbull 2000, ch. 19).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from se_search.analysis.replicates import Floats

NUM_NODES = 64  # of the Gauss-Legendre rule; more nodes change no nominal level by 1e-14
REACH = 9.0  # standard deviations below 0 at which the density is cut off


def spent_share(time: float) -> float:
    """Return the share of alpha that may be spent by a time, 0..1 of the whole information.

    Lan and DeMets's function of Pocock's type (Biometrika 70, 1983).
    """
    return math.log(1 + (math.e - 1) * time)


@lru_cache(maxsize=4096)
def nominal_levels(looks: tuple[int, ...], level: float) -> tuple[float, ...]:
    """Return the one-sided p-value at or below which each look rejects.

    Args:
        looks: numbers of observations at the looks, ascending.
        level: the chance of ever rejecting a true hypothesis, one-sided.
    """
    from scipy.optimize import brentq  # a third of a second to import; reading does without
    from scipy.special import ndtr

    allowed = [level * spent_share(look / looks[-1]) for look in looks]
    levels: list[float] = []
    nodes, weights, spent, before = np.zeros(1), np.ones(1), 0.0, 0
    for look, total in zip(looks, allowed, strict=True):
        step, scale = math.sqrt(look - before), math.sqrt(look)

        def excess(
            limit: float,
            nodes: Floats = nodes,
            weights: Floats = weights,
            step: float = step,
            due: float = total - spent,
        ) -> float:
            return float(weights @ ndtr((nodes - limit) / step)) - due

        limit = float(brentq(excess, -REACH * scale, REACH * scale, xtol=1e-12))
        levels.append(float(ndtr(-limit / scale)))
        # The weights are the density times those of the integration rule.
        low = -REACH * scale
        unit, rule = np.polynomial.legendre.leggauss(NUM_NODES)
        points = low + (limit - low) * (unit + 1) / 2
        kernel = np.exp(-(((points[:, None] - nodes) / step) ** 2) / 2)
        density = kernel @ weights / (step * math.sqrt(2 * math.pi))
        nodes, weights = points, density * rule * (limit - low) / 2
        spent, before = total, look
    return tuple(levels)
