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
FEWEST_FOR_CENTRE = 4  # trainings of a replicate, below which its median says too little of it


@dataclass(frozen=True)
class AccuracyScale:
    """How accuracies are brought to a common scale: poor ones compressed, then mean 0 and sd 1.

    A network that hardly trains is as far from the front as one that does not train at all; left
    as they are, such accuracies would take all of the model's attention. Accuracies are seen from
    the median of their replicate and budget. Below a quantile of what is seen the distance to it
    is replaced by its logarithm.

    Attributes:
        floors: for each budget the distance from the median of a replicate below which distances
            are compressed; below 0.
        width: the distance, in accuracy, at which compression sets in.
        centre: mean of the full budget's medians.
        deepest: how far, in widths after compression, the poorest full training lies below the
            floor; 0: none does. Beyond it nothing is known, and distances are not stretched.
        mean: of the compressed accuracies.
        sd: standard deviation of the compressed accuracies within replicates.
    """

    floors: Array
    width: float
    centre: float
    deepest: float
    mean: float
    sd: float

    @classmethod
    def fit(
        cls,
        trainings: Trainings,
        num_budgets: int,
        num_starts: int,
        fence: float = 0.0,
        least_sd: float = 1e-9,
    ) -> AccuracyScale:
        """Fit the scale to trainings; at least one is needed.

        Args:
            trainings: all that have finished.
            num_budgets: how many budgets there are.
            num_starts: how many of each budget's first trainings set its floor: the later ones
                were chosen for being good.
            fence: how many interquartile ranges the floor lies below the lower quartile; with 0 a
                quarter of the first trainings is compressed, with 2 hardly any but outliers.
            least_sd: below which no standard deviation within replicates lies.
        """
        centres = _centres(trainings)
        seen = trainings.accuracies - centres
        floors = np.full(num_budgets, -np.inf)
        spreads = []
        for budget in range(num_budgets):
            own = seen[trainings.budgets == budget][:num_starts]
            if len(own):
                low, high = np.quantile(own, [TAIL_QUANTILE, 1 - TAIL_QUANTILE])
                spread = max(high - low, LEAST_RANGE * float(np.std(own[own >= low])))
                floors[budget] = low - fence * spread
                spreads.append(spread)
        width = TAIL_SCALE * max(float(np.mean(spreads)), 1e-9)
        compressed = centres + compress_tail(seen, floors[trainings.budgets], width)
        full = trainings.budgets == num_budgets - 1
        chosen = full if full.any() else np.ones(len(full), bool)
        below = np.maximum(0.0, floors[-1] - seen[full]) if full.any() else np.zeros(1)
        return cls(
            floors,
            width,
            float(centres[chosen].mean()),
            float(np.log1p(below.max() / width)),
            float(compressed[chosen].mean()),
            max(_sd_within(compressed, trainings), least_sd),
        )

    def apply(self, trainings: Trainings) -> Array:
        """Return standardised accuracies, ``(n,)``; higher is better.

        Args:
            trainings: those that the scale was fitted to, or more of them.
        """
        centres = _centres(trainings)
        floors = self.floors[trainings.budgets]
        compressed = centres + compress_tail(trainings.accuracies - centres, floors, self.width)
        return (compressed - self.mean) / self.sd

    @property
    def floor(self) -> float:
        """The full budget's floor, standardised."""
        floor = self.floors[-1] if np.isfinite(self.floors[-1]) else self.floors.max()
        return (self.centre + float(floor) - self.mean) / self.sd

    def undo(self, values: Array) -> Array:
        """Return accuracies of values above the floor; below it they stay compressed."""
        return values * self.sd + self.mean

    def invert(self, values: Array) -> Array:
        """Return the full budget's accuracies of values, stretched again below the floor.

        They are what an average replicate would show, before any clipping to 0..1. What is poorer
        than every training is not stretched further: a draw that no training is like would be
        moved by any amount.
        """
        accuracies = self.undo(values)
        floor = float(self.floors[-1]) + self.centre
        is_below = accuracies < floor  # of none if the floor is infinite
        if is_below.any():
            depth = (floor - accuracies[is_below]) / self.width
            known = np.minimum(depth, self.deepest)
            accuracies[is_below] = floor - self.width * (np.expm1(known) + depth - known)
        return np.asarray(accuracies)


def compress_tail(accuracies: Array, floors: Array, width: float) -> Array:
    """Return accuracies in which distances below the floor are replaced by their logarithm."""
    below = np.maximum(np.where(np.isfinite(floors), floors - accuracies, 0.0), 0.0)
    return np.asarray(accuracies + below - width * np.log1p(below / width))


def _groups(trainings: Trainings) -> NDArray[np.int64]:
    """Return ``(n,)``: numbers from 0 of the pairs of replicate and budget."""
    pairs = np.column_stack([trainings.replicates, trainings.budgets])
    return np.asarray(np.unique(pairs, axis=0, return_inverse=True)[1]).ravel()


def _centres(trainings: Trainings) -> Array:
    """Return the median of each training's replicate and budget, ``(n,)``.

    Where these have few trainings, it is the median of all of the budget.
    """
    centres = np.zeros(len(trainings))
    for budget in np.unique(trainings.budgets):
        own = trainings.budgets == budget
        centres[own] = np.median(trainings.accuracies[own])
        replicates, counts = np.unique(trainings.replicates[own], return_counts=True)
        for replicate in replicates[counts >= FEWEST_FOR_CENTRE]:
            here = own & (trainings.replicates == replicate)
            centres[here] = np.median(trainings.accuracies[here])
    return centres


def _sd_within(accuracies: Array, trainings: Trainings) -> float:
    """Return the standard deviation within replicates and budgets; of all, if few share one."""
    groups = _groups(trainings)
    counts = np.bincount(groups)
    freedom = len(groups) - len(counts)
    if freedom < FEWEST_FOR_CENTRE:
        return float(accuracies.std())
    means = np.bincount(groups, weights=accuracies) / counts
    return float(np.sqrt(((accuracies - means[groups]) ** 2).sum() / freedom))
