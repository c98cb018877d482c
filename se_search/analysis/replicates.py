"""The trainings of one candidate by seed, and differences of two candidates seed by seed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from se_search.errors import RunError

Floats = NDArray[np.float64]

DECIMALS = 12  # accuracies are counts over images: differences closer than this are ties
# Of an accuracy and the share of its bits: accuracies may come as 32-bit floats.
AGREEMENT = 1e-6


@dataclass(frozen=True, eq=False)  # eq: arrays have no single answer to it
class Replicates:
    """The trainings of one candidate, one a seed.

    Attributes:
        seeds: ``n`` seeds, all different.
        accuracies: ``(n,)`` shares 0..1, by any one measure.
        correct: ``(n, images)``: which images each training has right by that measure; all
            trainings of all candidates have the images in one order. None: not known, or each
            replicate has images of its own.

    Raises:
        RunError: the parts do not fit each other.
    """

    seeds: tuple[int, ...]
    accuracies: Floats
    correct: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        if len(set(self.seeds)) != len(self.seeds):
            twice = sorted({seed for seed in self.seeds if self.seeds.count(seed) > 1})
            raise RunError(f"seeds {twice} stand twice among {list(self.seeds)}; one training each")
        if self.accuracies.shape != (len(self.seeds),):
            raise RunError(
                f"accuracies of shape {self.accuracies.shape} for {len(self.seeds)} seeds; "
                "one accuracy a seed is needed"
            )
        if not np.all((self.accuracies >= 0) & (self.accuracies <= 1)):
            raise RunError(f"accuracies {self.accuracies.tolist()} are not all shares, 0 to 1")
        if self.correct is not None:
            _check_correct(self.correct, self.accuracies)

    @property
    def mean(self) -> float:
        """The mean accuracy over the seeds."""
        return float(self.accuracies.mean())

    def only(self, seeds: Collection[int]) -> Replicates:
        """Return the trainings of these replicates alone."""
        rows = [row for row, seed in enumerate(self.seeds) if seed in seeds]
        correct = None if self.correct is None else self.correct[rows]
        return Replicates(tuple(self.seeds[row] for row in rows), self.accuracies[rows], correct)


def shared_replicates(a: Replicates, b: Replicates) -> tuple[int, ...]:
    """Return the seeds that both candidates have been trained with, ascending."""
    return tuple(sorted(set(a.seeds) & set(b.seeds)))


def paired_differences(a: Replicates, b: Replicates) -> Floats:
    """Return the accuracy of A minus that of B for each shared seed, ``(n,)``, seeds ascending."""
    rows_a, rows_b = paired_rows(a, b)
    return np.round(a.accuracies[rows_a] - b.accuracies[rows_b], DECIMALS)


def paired_rows(a: Replicates, b: Replicates) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the positions of the shared seeds in A and in B, ``(n,)`` each, seeds ascending."""
    _, rows_a, rows_b = np.intersect1d(a.seeds, b.seeds, return_indices=True)
    return rows_a, rows_b


def _check_correct(correct: NDArray[np.bool_], accuracies: Floats) -> None:
    if correct.dtype != np.bool_ or correct.ndim != 2 or len(correct) != len(accuracies):
        raise RunError(
            f"correct is {correct.dtype} of shape {correct.shape} for {len(accuracies)} seeds; "
            "a row of bool a seed is needed"
        )
    if correct.shape[1] == 0:
        raise RunError("correct has no images; at least one is needed")
    shares = correct.mean(axis=1)
    off = np.abs(shares - accuracies) > 0.5 / correct.shape[1] + AGREEMENT
    if off.any():
        row = int(np.argmax(off))
        raise RunError(
            f"correct says {shares[row]:.6f} where the accuracy is {accuracies[row]:.6f}; "
            "both must be of one measure on the same images"
        )
