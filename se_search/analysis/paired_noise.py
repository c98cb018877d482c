"""How well a number of images can tell an accuracy, whatever accuracies were seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from se_search.analysis.replicates import Replicates, paired_rows

JEFFREYS = 0.5  # images added to those on which two trainings differ, and to those where they agree


def difference_variance(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Return the sampling variance of a difference of two accuracies on the same images.

    Only images on which one network is right and the other wrong tell them apart (McNemar 1947).
    With d their share and D the difference the variance is ``(d - D^2) / n``. A share of few
    images is not known to be 0 where none was seen: half an image is added to those that differ
    and to those that do not (the mean of the posterior of d under Jeffreys's prior).

    Args:
        a: ``(n,)``: which images one network has right.
        b: ``(n,)``: which of them the other one has right.
    """
    number = len(a)
    differing = (np.count_nonzero(a != b) + JEFFREYS) / (number + 2 * JEFFREYS)
    difference = (np.count_nonzero(a) - np.count_nonzero(b)) / number
    # Of d and D alike at most 1: what is left is at least what half an image leaves.
    least = JEFFREYS / (number + 2 * JEFFREYS)
    return float(max(differing - difference**2, least * (1 - least)) / number)


def least_noise(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Return the share of each of two trainings in the sampling variance of their difference."""
    return difference_variance(a, b) / 2


def find_least_sd(a: Replicates, b: Replicates) -> float:
    """Return the least standard deviation that differences of two candidates can have.

    Args:
        a: trainings of one candidate.
        b: trainings of the other one, on the same images.

    Returns:
        0: it is not known which images they have right.
    """
    if a.correct is None or b.correct is None:
        return 0.0
    rows = zip(*paired_rows(a, b), strict=True)
    found = [difference_variance(a.correct[i], b.correct[j]) for i, j in rows]
    return float(np.sqrt(np.mean(found))) if found else 0.0
