"""Generalised least squares over candidates' mean accuracies, with two components of variance.

A candidate's mean deviates from what the design says by the candidate's own deviation and by what
its seeds do. The variance of seeds is pooled over the candidates that have several; the variance
between candidates is found by the method of Paule and Mandel (1982). Standard errors are those of
Knapp and Hartung (2003, Statistics in Medicine 22).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from se_search.analysis.statistics import CONFIDENCE

Floats = NDArray[np.float64]
NUM_HALVINGS = 40  # of the range of variances: to a millionth of a millionth of it
TOLERANCE = 1e-6  # of a contrast's weights, beyond which the design does not determine it


@dataclass(frozen=True)
class Means:
    """Mean accuracies of ``n`` candidates.

    Attributes:
        values: ``(n,)``, in points or in shares.
        counts: ``(n,)`` trainings that each is the mean of.
        seed_variance: of trainings of one candidate with several seeds, in squared units of
            ``values``; None: no candidate has several.
    """

    values: Floats
    counts: Floats
    seed_variance: float | None

    def of(self, rows: NDArray[np.bool_]) -> Means:
        """Return the means of the marked candidates, ``(n,)``."""
        return Means(self.values[rows], self.counts[rows], self.seed_variance)


@dataclass(frozen=True, slots=True)
class Contrast:
    """An estimated difference, with its standard error and the degrees of freedom of its t."""

    value: float
    error: float
    freedom: int

    @property
    def interval(self) -> tuple[float, float]:
        """Ends of the 95 % interval."""
        from scipy.special import stdtrit  # where it is needed: it takes a tenth of a second

        reach = float(stdtrit(self.freedom, (1 + CONFIDENCE) / 2)) * self.error
        return self.value - reach, self.value + reach

    @property
    def p(self) -> float:
        """Two-sided p value of no difference."""
        from scipy.special import stdtr

        if self.error > 0:
            return float(2 * stdtr(self.freedom, -abs(self.value) / self.error))
        # Without any residual, as of made-up numbers, a difference that is not 0 is certain.
        return float(self.value == 0)


@dataclass(frozen=True)
class Fit:
    """Coefficients of a design.

    Attributes:
        coefficients: ``(k,)``; those that the candidates do not determine mean nothing.
        covariance: ``(k, k)`` of the coefficients.
        row_space: ``(k, k)``: what projects weights onto what the design determines.
        freedom: candidates beyond the rank of the design.
        between: variance of candidates' own deviations; None: it can't be told from the seeds'.
    """

    coefficients: Floats
    covariance: Floats
    row_space: Floats
    freedom: int
    between: float | None

    def contrast(self, weights: Floats) -> Contrast | None:
        """Return a weighted sum of the coefficients; None if the design does not determine it."""
        if not np.allclose(weights @ self.row_space, weights, atol=TOLERANCE):
            return None
        variance = max(0.0, float(weights @ self.covariance @ weights))
        return Contrast(float(weights @ self.coefficients), math.sqrt(variance), self.freedom)


def fit(design: Floats, means: Means) -> Fit:
    """Fit a design ``(n, k)`` to candidates' means; the rank of the design is less than ``n``.

    Where all candidates have equally many seeds it is ordinary least squares, and exact.
    """
    values = means.values
    freedom = len(values) - rank(design)
    noise = np.ones_like(values)
    between: float | None = None
    if means.seed_variance is not None and means.seed_variance > 0:
        noise = means.seed_variance / means.counts
        between = _find_between(design, values, noise)
    roots = 1 / np.sqrt(noise + (between or 0.0))
    inverse = np.asarray(np.linalg.pinv(design * roots[:, None]), np.float64)
    coefficients = inverse @ (values * roots)
    residuals = (values - design @ coefficients) * roots
    covariance = inverse @ inverse.T * (float(residuals @ residuals) / freedom)
    row_space = np.linalg.pinv(design) @ design
    return Fit(coefficients, covariance, row_space, freedom, between)


def rank(design: Floats) -> int:
    """Return the number of coefficients that a design ``(n, k)`` determines."""
    return int(np.linalg.matrix_rank(design))


def _find_between(design: Floats, values: Floats, noise: Floats) -> float:
    """Return the variance between candidates at which the residuals are as large as expected."""
    basis = np.linalg.svd(design, full_matrices=False)[0][:, : rank(design)]

    def excess(between: float) -> float:
        weights = 1 / (noise + between)
        weighted = basis * weights[:, None]
        fitted = basis @ np.linalg.solve(weighted.T @ basis, weighted.T @ values)
        squares = float(weights @ (values - fitted) ** 2)
        return squares - (len(values) - int(basis.shape[1]))

    if excess(0.0) <= 0:
        return 0.0
    low, high = 0.0, float(np.var(values)) * len(values)
    for _ in range(NUM_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return (low + high) / 2
