"""Statistics of repeated trainings: the variance that seeds cause, and p-values of a family."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import variance

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95


def wilson_interval(share: float, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of ``count`` independent draws (Wilson 1927).

    It holds for shares of 0 and 1, too.
    """
    z = 1.96
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    reach = z * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    reach /= 1 + z * z / count
    return middle - reach, middle + reach


def pooled_variance(groups: Iterable[Sequence[float]]) -> float | None:
    """Return the variance within groups: the mean square of a one-way analysis of variance.

    Args:
        groups: accuracies over seeds, a group for each candidate and number of epochs.

    Returns:
        None if no group has two members.
    """
    repeated = [group for group in groups if len(group) > 1]
    return pool_variances([len(group) for group in repeated], [variance(g) for g in repeated])


def pooled_sd(groups: Iterable[Sequence[float]]) -> float | None:
    """Return the standard deviation within groups: the root of ``pooled_variance``."""
    within = pooled_variance(groups)
    return None if within is None else within**0.5


def pool_variances(counts: Sequence[int], variances: Sequence[float]) -> float | None:
    """Return the mean of groups' variances, each weighted by its degrees of freedom.

    Args:
        counts: members of each group, at least two.
        variances: of each group, with ``count - 1`` in the denominator.

    Returns:
        None if there is no group.
    """
    if not counts:
        return None
    pairs = zip(counts, variances, strict=True)
    squares = sum((count - 1) * own for count, own in pairs)
    return squares / sum(count - 1 for count in counts)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values adjusted for testing a family of hypotheses (Holm 1979).

    Args:
        p_values: of all hypotheses of the family.

    Returns:
        Adjusted p-values, at most 1, in the order of ``p_values``.
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted = [1.0] * len(p_values)
    reached = 0.0
    for rank, index in enumerate(order):
        reached = max(reached, min(1.0, (len(order) - rank) * p_values[index]))
        adjusted[index] = reached
    return adjusted


def t_quantile(share: float, degrees: int) -> float:
    """Return the value below which a share of Student's t distribution lies."""
    from scipy.special import stdtrit  # half a second to import; reading results does without

    return float(stdtrit(degrees, share))


def median_and_interval(draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the medians and the ends of 95 % intervals over the first axis: ``(3, ...)``."""
    tail = (1 - CONFIDENCE) / 2
    return np.asarray(np.quantile(draws, [0.5, tail, 1 - tail], axis=0))
