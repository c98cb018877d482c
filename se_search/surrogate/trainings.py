"""Finished trainings, as a space codes them and as the accuracy model takes them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from se_search.surrogate.features import Factors

Array = NDArray[Any]  # float64, or float32 where a pool is large


@dataclass(frozen=True)
class Trainings:
    """Finished trainings, in the order of their trials.

    Attributes:
        codes: ``(n, num_slots)``, the level of each slot.
        budgets: ``(n,)``, positions in the model's list of budgets; the last one is the full one.
        replicates: ``(n,)``; equal numbers are one replicate.
        accuracies: ``(n,)``.
    """

    codes: NDArray[np.int16]
    budgets: NDArray[np.int64]
    replicates: NDArray[np.int64]
    accuracies: Array

    def __len__(self) -> int:
        return len(self.accuracies)

    def first(self, count: int) -> Trainings:
        """Return the first ``count`` trainings."""
        return Trainings(
            self.codes[:count],
            self.budgets[:count],
            self.replicates[:count],
            self.accuracies[:count],
        )

    def design(self, factors: Factors) -> Design:
        """Return what has been trained, the candidates one-hot."""
        return Design(factors.one_hot(self.codes), self.budgets, self.replicates)


@dataclass(frozen=True)
class Design:
    """What has been trained: candidates, budgets and replicates.

    Attributes:
        rows: ``(n, num_levels)``, the candidates one-hot.
        budgets: ``(n,)``, positions in the model's list of budgets.
        replicates: ``(n,)``; equal numbers are one replicate.
    """

    rows: Array
    budgets: NDArray[np.int64]
    replicates: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def is_one_replicate(self) -> NDArray[np.bool_]:
        """``(n, n)``: whether two trainings are of one replicate."""
        return np.asarray(self.replicates[:, None] == self.replicates[None, :])

    @cached_property
    def is_one_replicate_and_budget(self) -> NDArray[np.bool_]:
        """``(n, n)``: whether two trainings are of one replicate and one budget."""
        is_one_budget = self.budgets[:, None] == self.budgets[None, :]
        return np.asarray(self.is_one_replicate & is_one_budget)

    def take(self, at: Any) -> Design:
        """Return some of the trainings, by a slice or by positions."""
        return Design(self.rows[at], self.budgets[at], self.replicates[at])

    def followed_by(self, other: Design) -> Design:
        """Return these trainings, then others."""
        return Design(
            np.vstack([self.rows, other.rows]),
            np.concatenate([self.budgets, other.budgets]),
            np.concatenate([self.replicates, other.replicates]),
        )


@dataclass(frozen=True)
class Observations:
    """Standardised accuracies of trainings.

    Attributes:
        design: what has been trained.
        values: ``(n,)`` standardised accuracies.
    """

    design: Design
    values: Array

    def __len__(self) -> int:
        return len(self.values)

    def some(self, limit: int) -> Observations:
        """Return at most ``limit`` observations, evenly spread."""
        if len(self) <= limit:
            return self
        at = np.linspace(0, len(self) - 1, limit).astype(np.int64)
        return Observations(self.design.take(at), self.values[at])
