"""The trials of a search as arrays, as the model reads them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from se_search.search.pool import Codes
from se_search.surrogate.trainings import Trainings

Status = Literal["finished", "running", "failed"]


@dataclass(frozen=True, slots=True)
class PastTrial:
    """A trial that has been assigned.

    Attributes:
        codes: ``(num_slots,)``, the candidate.
        epochs: length of its training.
        replicate: of its training; equal numbers are one replicate.
        accuracy: 0..1; None: it has not finished.
    """

    codes: Codes
    status: Status
    epochs: int
    replicate: int
    accuracy: float | None = None


@dataclass(frozen=True)
class History:
    """All trials of a search, each group in the order of the trials.

    Attributes:
        trainings: the finished trainings; their budgets are positions in ``budgets``.
        budgets: numbers of epochs, ascending; the full budget is the last.
        running: ``(r, num_slots)``: candidates in training.
        running_budgets: ``(r,)``: their positions in ``budgets``.
        running_replicates: ``(r,)``: their replicates.
        failed: ``(f, num_slots)``: candidates whose training failed.
    """

    trainings: Trainings
    budgets: tuple[int, ...]
    running: Codes
    running_budgets: NDArray[np.int64]
    running_replicates: NDArray[np.int64]
    failed: Codes

    @classmethod
    def of(cls, trials: Iterable[PastTrial], full_epochs: int, num_slots: int) -> History:
        """Sort trials by their status.

        Args:
            trials: in the order of their numbers.
            full_epochs: length of a full training; no trial is longer.
            num_slots: how many codes a candidate has.
        """
        groups: dict[Status, list[PastTrial]] = {"finished": [], "running": [], "failed": []}
        for trial in trials:
            groups[trial.status].append(trial)
        finished, running = groups["finished"], groups["running"]
        epochs = {trial.epochs for trial in (*finished, *running)}
        budgets = (*sorted(one for one in epochs if one < full_epochs), full_epochs)
        return cls(
            Trainings(
                _stack(finished, num_slots),
                _positions(finished, budgets),
                _replicates(finished),
                np.array([trial.accuracy for trial in finished], np.float64),
            ),
            budgets,
            _stack(running, num_slots),
            _positions(running, budgets),
            _replicates(running),
            _stack(groups["failed"], num_slots),
        )

    @property
    def tried(self) -> set[bytes]:
        """The codes of every candidate that has finished, is running or has failed, as bytes."""
        groups = (self.trainings.codes, self.running, self.failed)
        return {row.tobytes() for group in groups for row in group}

    def count_replicates(self) -> tuple[Codes, NDArray[np.int64]]:
        """Return the candidates that have finished or are running, and their replicates' number.

        Returns:
            ``(n, num_slots)`` and ``(n,)``; no candidate stands twice.
        """
        codes = np.concatenate([self.trainings.codes, self.running])
        replicates = np.concatenate([self.trainings.replicates, self.running_replicates])
        begun, which = np.unique(codes, axis=0, return_inverse=True)
        pairs = np.unique(np.column_stack([which.ravel(), replicates]), axis=0)
        return begun, np.bincount(pairs[:, 0], minlength=len(begun))

    def equals(self, other: History) -> bool:
        """Tell whether another history has equal trials."""
        return self.budgets == other.budgets and all(
            np.array_equal(own, its)
            for own, its in (
                (self.trainings.codes, other.trainings.codes),
                (self.trainings.budgets, other.trainings.budgets),
                (self.trainings.replicates, other.trainings.replicates),
                (self.trainings.accuracies, other.trainings.accuracies),
                (self.running, other.running),
                (self.running_budgets, other.running_budgets),
                (self.running_replicates, other.running_replicates),
                (self.failed, other.failed),
            )
        )


def _stack(trials: Sequence[PastTrial], num_slots: int) -> Codes:
    return np.array([trial.codes for trial in trials], np.int16).reshape(len(trials), num_slots)


def _positions(trials: Sequence[PastTrial], budgets: Sequence[int]) -> NDArray[np.int64]:
    return np.array([budgets.index(trial.epochs) for trial in trials], np.int64)


def _replicates(trials: Sequence[PastTrial]) -> NDArray[np.int64]:
    return np.array([trial.replicate for trial in trials], np.int64)
