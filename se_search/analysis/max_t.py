"""P values of several estimates at once, from joint draws of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def max_t_p_values(draws: Floats) -> Floats:
    """Return how likely some estimate of a family would be as far from 0 as each is, by chance.

    That is the chance that the largest deviation of the family from its means, in standard
    deviations, is as large as an estimate's distance from 0 (max-t: Hothorn, Bretz and Westfall
    2008, Biometrical Journal 50). Estimates that go together, as those of a slot's levels do, pay
    less for being many than they would after Bonferroni.

    Args:
        draws: ``(draws, k)``, each row a joint draw of all numbers about their estimates.

    Returns:
        ``(k,)``, never 0: draws can't tell less than one in their number.
    """
    means, sds = draws.mean(axis=0), draws.std(axis=0)
    safe = np.where(sds > 0, sds, 1.0)  # a number that does not vary is certain
    largest = np.sort(np.abs((draws - means) / safe).max(axis=1, initial=0.0))
    distances = np.where(sds > 0, np.abs(means) / safe, np.where(means == 0, 0.0, np.inf))
    below = np.searchsorted(largest, distances, side="left")
    return np.asarray((len(largest) - below + 1) / (len(largest) + 1))
