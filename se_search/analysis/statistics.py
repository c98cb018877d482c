"""Statistics of repeated trainings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import variance


def pooled_variance(groups: Iterable[Sequence[float]]) -> float | None:
    """Return the variance within groups: the mean square of a one-way analysis of variance.

    Args:
        groups: accuracies over seeds, a group for each candidate and number of epochs.

    Returns:
        None if no group has two members.
    """
    repeated = [group for group in groups if len(group) > 1]
    if not repeated:
        return None
    squares = sum((len(group) - 1) * variance(group) for group in repeated)
    return squares / sum(len(group) - 1 for group in repeated)
