"""Finished trainings and scores, as the accuracy model takes them."""

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
    """What has been observed: candidates, budgets and replicates of trainings, rungs of scores.

    A score is what a cheaper way of judging candidates, a rung, says of one (``scores``).

    Attributes:
        rows: ``(n, num_levels)``, the candidates one-hot.
        budgets: ``(n,)``, positions in the model's list of budgets; of a score the last.
        replicates: ``(n,)``; equal numbers are one replicate. Of scores: equal numbers are scores
            by the same members of a rung.
        rungs: ``(n,)``: the rung's position in the model's list; -1 for a training. None: all are
            trainings.
        members: ``(n,)``: over how many members of its rung a score is the mean; 1 for a training.
            None: all are trainings.
    """

    rows: Array
    budgets: NDArray[np.int64]
    replicates: NDArray[np.int64]
    rungs: NDArray[np.int64] | None = None
    members: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def is_training(self) -> NDArray[np.bool_]:
        """``(n,)``: whether it is a training, and no score."""
        return np.ones(len(self), bool) if self.rungs is None else self.rungs < 0

    @cached_property
    def is_one_replicate(self) -> NDArray[np.bool_]:
        """``(n, n)``: whether two are trainings of one replicate."""
        return self.share_replicates(self)

    @cached_property
    def is_one_replicate_and_budget(self) -> NDArray[np.bool_]:
        """``(n, n)``: whether two are trainings of one replicate and one budget."""
        is_one_budget = self.budgets[:, None] == self.budgets[None, :]
        return np.asarray(self.is_one_replicate & is_one_budget)

    def share_replicates(self, other: Design) -> NDArray[np.bool_]:
        """Return whether one of these and one of others are trainings of one replicate, (n, m)."""
        is_one = self.replicates[:, None] == other.replicates[None, :]
        if self.rungs is not None or other.rungs is not None:
            is_one &= self.is_training[:, None] & other.is_training[None, :]
        return np.asarray(is_one)

    def take(self, at: Any) -> Design:
        """Return some of them, by a slice or by positions."""
        return Design(
            self.rows[at],
            self.budgets[at],
            self.replicates[at],
            None if self.rungs is None else self.rungs[at],
            None if self.members is None else self.members[at],
        )

    def followed_by(self, other: Design) -> Design:
        """Return these, then others."""
        has_scores = self.rungs is not None or other.rungs is not None
        return Design(
            np.vstack([self.rows, other.rows]),
            np.concatenate([self.budgets, other.budgets]),
            np.concatenate([self.replicates, other.replicates]),
            np.concatenate([self.list_rungs(), other.list_rungs()]) if has_scores else None,
            np.concatenate([self.list_members(), other.list_members()]) if has_scores else None,
        )

    def list_rungs(self) -> NDArray[np.int64]:
        """Return the positions of their rungs, ``(n,)``; -1 for a training."""
        return np.full(len(self), -1, np.int64) if self.rungs is None else self.rungs

    def list_members(self) -> NDArray[np.int64]:
        """Return over how many members each is the mean, ``(n,)``; 1 for a training."""
        return np.ones(len(self), np.int64) if self.members is None else self.members

    def equals(self, other: Design) -> NDArray[np.bool_]:
        """Tell of each whether another design has the same in its place, ``(n,)``."""
        same = (self.rows == other.rows).all(axis=1)
        same &= (self.budgets == other.budgets) & (self.replicates == other.replicates)
        if self.rungs is not None or other.rungs is not None:
            same &= self.list_rungs() == other.list_rungs()
            same &= self.list_members() == other.list_members()
        return np.asarray(same)


@dataclass(frozen=True)
class Observations:
    """Standardised accuracies of trainings, and scores.

    Attributes:
        design: what has been trained or scored.
        values: ``(n,)`` standardised accuracies and scores.
    """

    design: Design
    values: Array

    def __len__(self) -> int:
        return len(self.values)

    def some(self, limit: int) -> Observations:
        """Return at most ``limit`` observations, evenly spread."""
        if len(self) <= limit:
            return self
        return self.take(np.linspace(0, len(self) - 1, limit).astype(np.int64))

    def take(self, at: Any) -> Observations:
        """Return some of them, by positions or marks."""
        return Observations(self.design.take(at), self.values[at])
