"""Finished trainings, as a space codes them and as the accuracy model takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]  # float64, or float32 where a pool is large


@dataclass(frozen=True)
class Trainings:
    """Finished trainings, in the order of their trials.

    Attributes:
        codes: ``(n, num_slots)``, the level of each slot.
        budgets: ``(n,)``, positions in the model's list of budgets; the last one is the full one.
        accuracies: ``(n,)``.
    """

    codes: NDArray[np.int16]
    budgets: NDArray[np.int64]
    accuracies: Array

    def __len__(self) -> int:
        return len(self.accuracies)

    def first(self, count: int) -> Trainings:
        """Return the first ``count`` trainings."""
        return Trainings(self.codes[:count], self.budgets[:count], self.accuracies[:count])


@dataclass(frozen=True)
class Observations:
    """Standardised accuracies, where repeated trainings may be pooled into their mean.

    Of trainings of one candidate with one budget the model needs no more than their mean, their
    number and their scatter.

    Attributes:
        rows: ``(n, num_levels)``, the candidates one-hot.
        budgets: ``(n,)``, positions in the model's list of budgets.
        values: ``(n,)`` standardised accuracies, or means of some.
        counts: ``(n,)`` trainings that each value is the mean of.
        squares: ``(n,)`` sums of squared distances of the trainings from their mean.
    """

    rows: Array
    budgets: NDArray[np.int64]
    values: Array
    counts: Array
    squares: Array

    @classmethod
    def single(cls, rows: Array, budgets: NDArray[np.int64], values: Array) -> Observations:
        """Return trainings one by one, each its own mean."""
        return cls(rows, budgets, values, np.ones(len(values)), np.zeros(len(values)))

    @classmethod
    def pooled(cls, trainings: Trainings, rows: Array, values: Array) -> Observations:
        """Return a mean for each candidate and budget, in the order of the first trainings.

        Args:
            trainings: ``n`` of them.
            rows: ``(n, num_levels)``, their candidates one-hot.
            values: ``(n,)``, their standardised accuracies.
        """
        keys = np.column_stack([trainings.codes, trainings.budgets])
        _, first, group = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        group = group.ravel()
        counts = np.bincount(group).astype(np.float64)
        means = np.bincount(group, weights=values) / counts
        squares = np.asarray(np.bincount(group, (values - means[group]) ** 2), np.float64)
        order = np.argsort(first)
        at = first[order]
        return cls(rows[at], trainings.budgets[at], means[order], counts[order], squares[order])

    def __len__(self) -> int:
        return len(self.values)

    def some(self, limit: int) -> Observations:
        """Return at most ``limit`` observations, evenly spread."""
        if len(self) <= limit:
            return self
        at = np.linspace(0, len(self) - 1, limit).astype(np.int64)
        return Observations(
            self.rows[at], self.budgets[at], self.values[at], self.counts[at], self.squares[at]
        )
