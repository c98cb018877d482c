"""Means of candidates that were trained in different numbers of replicates, made comparable.

A replicate moves all candidates alike, so that plain means over different replicates can't be
compared. In accuracy = candidate + replicate + rest the candidates' terms can; with all candidates
in all replicates they are the plain means.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from se_search.analysis.replicates import Floats, Replicates


@dataclass(frozen=True, eq=False)
class TwoWay:
    """Least-squares terms of the candidates.

    Attributes:
        keys: of the candidates.
        means: ``(n,)`` accuracies in an average replicate, in shares.
        spread: ``(n, n)`` covariance of the means for a rest of standard deviation 1.
        rest_sd: standard deviation of the rest; None: there are no degrees of freedom for it.
        degrees: degrees of freedom of the rest.
    """

    keys: tuple[str, ...]
    means: Floats
    spread: Floats
    rest_sd: float | None
    degrees: int

    def draw(self, number: int, seed: int = 0) -> Floats:
        """Return draws of the means, ``(number, n)``.

        They are from the means' posterior under a flat prior and one unknown variance, which is a
        multivariate t distribution (Gelman et al., Bayesian Data Analysis, sec. 14.2).
        """
        assert self.rest_sd is not None, "the variance of the rest is not known"
        rng = np.random.default_rng(seed)
        sds = self.rest_sd * np.sqrt(self.degrees / rng.chisquare(self.degrees, (number, 1)))
        values, vectors = np.linalg.eigh(self.spread)
        root = vectors * np.sqrt(np.maximum(values, 0))
        return np.asarray(self.means + sds * (rng.standard_normal((number, len(values))) @ root.T))


def fit_two_way(trained: Mapping[str, Replicates]) -> TwoWay:
    """Fit candidates and replicates to accuracies by least squares.

    Args:
        trained: the trainings of each candidate by its key, at least one candidate.
    """
    keys = tuple(trained)
    seeds = sorted({seed for each in trained.values() for seed in each.seeds})
    rows, values = [], []
    for column, key in enumerate(keys):
        for seed, accuracy in zip(trained[key].seeds, trained[key].accuracies, strict=True):
            row = np.zeros(len(keys) + len(seeds) - 1)
            row[column] = 1
            # The replicates' terms sum to 0.
            if seed == seeds[-1]:
                row[len(keys) :] = -1
            else:
                row[len(keys) + seeds.index(seed)] = 1
            rows.append(row)
            values.append(accuracy)
    design, accuracies = np.array(rows), np.array(values)
    normal = np.asarray(np.linalg.pinv(design.T @ design, hermitian=True), np.float64)
    terms = normal @ design.T @ accuracies
    degrees = len(values) - int(np.linalg.matrix_rank(design))
    rest = accuracies - design @ terms
    size = len(keys)
    return TwoWay(
        keys,
        terms[:size],
        normal[:size, :size],
        math.sqrt(float(rest @ rest) / degrees) if degrees else None,
        degrees,
    )
