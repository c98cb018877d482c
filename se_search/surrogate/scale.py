"""The scale of the accuracy model: standardised accuracies, the tail of poor ones compressed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from se_search.surrogate.trainings import Array, Trainings

TAIL_QUANTILE = 0.25
TAIL_SCALE = 0.25  # interquartile ranges below the floor at which compression sets in
# Few validation images give many equal accuracies: the middle half may be one value, however far
# the others are from it. A normal distribution's is a quarter of its range.
LEAST_RANGE = 0.5  # standard deviations of the upper three quarters


@dataclass(frozen=True)
class AccuracyScale:
    """How accuracies are brought to a common scale: poor ones compressed, then mean 0 and sd 1.

    A network that hardly trains is as far from the front as one that does not train at all; left
    as they are, such accuracies would take all of the model's attention. Below a quantile of its
    budget's accuracies the distance to it is replaced by its logarithm.

    Attributes:
        floors: for each budget the accuracy below which distances are compressed.
        width: the distance, in accuracy, at which compression sets in.
        mean: of the compressed accuracies.
        sd: of the compressed accuracies.
    """

    floors: Array
    width: float
    mean: float
    sd: float

    @classmethod
    def fit(
        cls, trainings: Trainings, num_budgets: int, num_starts: int, fence: float = 0.0
    ) -> AccuracyScale:
        """Fit the scale to trainings; at least one is needed.

        Args:
            trainings: all that have finished.
            num_budgets: how many budgets there are.
            num_starts: how many of each budget's first trainings set its floor: the later ones
                were chosen for being good.
            fence: how many interquartile ranges the floor lies below the lower quartile; with 0 a
                quarter of the first trainings is compressed, with 2 hardly any but outliers.
        """
        floors = np.full(num_budgets, -np.inf)
        spreads = []
        for budget in range(num_budgets):
            own = trainings.accuracies[trainings.budgets == budget][:num_starts]
            if len(own):
                low, high = np.quantile(own, [TAIL_QUANTILE, 1 - TAIL_QUANTILE])
                spread = max(high - low, LEAST_RANGE * float(np.std(own[own >= low])))
                floors[budget] = low - fence * spread
                spreads.append(spread)
        width = TAIL_SCALE * max(float(np.mean(spreads)), 1e-9)
        compressed = compress_tail(trainings.accuracies, floors[trainings.budgets], width)
        centred = compressed.copy()
        for budget in range(num_budgets):
            own_budget = trainings.budgets == budget
            if own_budget.any():
                centred[own_budget] -= compressed[own_budget].mean()
        full = trainings.budgets == num_budgets - 1
        mean = float(compressed[full].mean() if full.any() else compressed.mean())
        return cls(floors, width, mean, max(float(centred.std()), 1e-9))

    def apply(self, accuracies: Array, budgets: NDArray[np.int64]) -> Array:
        """Return standardised accuracies; higher is better."""
        return (compress_tail(accuracies, self.floors[budgets], self.width) - self.mean) / self.sd

    @property
    def floor(self) -> float:
        """The full budget's floor, standardised."""
        floor = self.floors[-1] if np.isfinite(self.floors[-1]) else self.floors.max()
        return (float(floor) - self.mean) / self.sd

    def undo(self, values: Array) -> Array:
        """Return accuracies of values above the floor; below it they stay compressed."""
        return values * self.sd + self.mean

    def invert(self, values: Array) -> Array:
        """Return the full budget's accuracies (0..1) of values, stretched again below the floor."""
        accuracies = self.undo(values)
        floor = float(self.floors[-1])
        if np.isfinite(floor):
            # An accuracy of 50 widths below the floor is below 0 by far, and must not overflow.
            depth = np.clip((floor - accuracies) / self.width, 0.0, 50.0)
            stretched = floor - self.width * np.expm1(depth)
            accuracies = np.where(depth > 0, stretched, accuracies)
        return np.asarray(np.clip(accuracies, 0.0, 1.0))


def compress_tail(accuracies: Array, floors: Array, width: float) -> Array:
    """Return accuracies in which distances below the floor are replaced by their logarithm."""
    below = np.maximum(np.where(np.isfinite(floors), floors - accuracies, 0.0), 0.0)
    return np.asarray(accuracies + below - width * np.log1p(below / width))
