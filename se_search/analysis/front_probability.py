"""How likely candidates are on the Pareto front, by draws of their accuracies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def front_probability(
    costs: NDArray[np.float64], samples: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the share of the draws in which each candidate is non-dominated.

    Args:
        costs: ``(n, m)``, minimised, exact.
        samples: ``(draws, n)`` accuracies, maximised; each row is drawn jointly.

    Returns:
        ``(n,)`` shares, 0..1.
    """
    return np.asarray(on_front(costs, samples).mean(axis=0))


def on_front(costs: NDArray[np.float64], samples: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Mark in each draw the candidates that no other one dominates, ``(draws, n)``.

    As accuracies are draws of a continuous quantity, ties in them don't matter.
    """
    if costs.shape[1] == 1:
        return _on_staircase(costs[:, 0], samples)
    no_dearer = np.asarray((costs[:, None, :] <= costs[None, :, :]).all(axis=2))
    np.fill_diagonal(no_dearer, val=False)
    marks: NDArray[np.bool_] = np.ones(samples.shape, bool)
    for member, rivals in enumerate(no_dearer.T):
        if rivals.any():
            marks[:, member] = samples[:, rivals].max(axis=1) < samples[:, member]
    return marks


def _on_staircase(costs: NDArray[np.float64], samples: NDArray[np.float64]) -> NDArray[np.bool_]:
    _, group = np.unique(costs, return_inverse=True)
    # The best of each cost, then the best of that cost or a lower one.
    best = np.full((len(samples), int(group.max()) + 1), -np.inf)
    for member, own in enumerate(group):
        np.maximum(best[:, own], samples[:, member], out=best[:, own])
    reach = np.maximum.accumulate(best, axis=1)
    return np.asarray(samples >= reach[:, group])
