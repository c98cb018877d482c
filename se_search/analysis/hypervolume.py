"""The hypervolume of points of cost and accuracy: the area that they dominate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def hypervolume(
    costs: NDArray[np.float64],
    accuracies: NDArray[np.float64],
    reference: tuple[float, float],
) -> float:
    """Return the area between a reference point and the staircase of the points, exactly.

    Args:
        costs: ``(n,)``, minimised.
        accuracies: ``(n,)``, maximised.
        reference: a cost and an accuracy; points that do not beat both contribute nothing.
    """
    cost, accuracy = reference
    counts = (costs < cost) & (accuracies > accuracy)
    order = np.argsort(costs[counts], kind="stable")
    steps = np.maximum.accumulate(accuracies[counts][order]) - accuracy
    return float(np.diff(costs[counts][order], append=cost) @ steps)
