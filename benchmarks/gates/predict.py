"""Tells how far accuracies with constants for gates predict those of retrained networks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NUM_DRAWS = 2_000
TAIL = 0.025  # of a 95 % interval, on each side


@dataclass(frozen=True, slots=True)
class Agreement:
    """How two orders of the subsets agree.

    Attributes:
        tau: Kendall's tau-b; 1: one order, 0: they have nothing in common.
        low: lower end of its interval.
        high: upper end of its interval.
    """

    tau: float
    low: float
    high: float


def predict(
    ablated: Floats, retrained: Floats, seed: int = 0, num_draws: int = NUM_DRAWS
) -> Agreement:
    """Return how means of ablated accuracies order the subsets as means of retrained ones do.

    The interval is a percentile bootstrap over replicates, which are drawn for both together.

    Args:
        ablated: ``(subsets, replicates)``, no gap.
        retrained: likewise.
        seed: of the bootstrap.
        num_draws: of the bootstrap.
    """
    rng = np.random.default_rng(seed)
    number = retrained.shape[1]
    draws = []
    for _ in range(num_draws):
        drawn = rng.integers(number, size=number)
        draws.append(kendall(ablated[:, drawn].mean(axis=1), retrained[:, drawn].mean(axis=1)))
    low, high = np.quantile(draws, [TAIL, 1 - TAIL])
    tau = kendall(ablated.mean(axis=1), retrained.mean(axis=1))
    return Agreement(tau, float(low), float(high))


def split_halves(accuracies: Floats) -> Agreement:
    """Return how means over one half of the replicates order the subsets as the other half does.

    It is the mean over all ways to choose the halves, with the least and the most of them in place
    of an interval. No predictor can be expected to do much better than half of the retrained
    networks does.

    Args:
        accuracies: ``(subsets, replicates)``, at least two replicates.
    """
    taus = [
        kendall(accuracies[:, one].mean(axis=1), accuracies[:, other].mean(axis=1))
        for one, other in list_halves(accuracies.shape[1])
    ]
    return Agreement(float(np.mean(taus)), min(taus), max(taus))


def list_halves(number: int) -> Iterator[tuple[list[int], list[int]]]:
    """Return all ways to part some replicates into two halves; of an odd number one is larger."""
    everything = set(range(number))
    for chosen in combinations(range(number), number // 2):
        if number % 2 or 0 in chosen:
            yield list(chosen), sorted(everything - set(chosen))


def kendall(a: Floats, b: Floats) -> float:
    """Return Kendall's tau-b (Kendall 1945); 0 where one of the two has no order."""
    one, other = (
        np.sign(values[:, None] - values)[np.triu_indices(len(values), 1)] for values in (a, b)
    )
    untied = np.abs(one).sum() * np.abs(other).sum()
    return float((one * other).sum() / np.sqrt(untied)) if untied else 0.0
