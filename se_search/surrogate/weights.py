"""The accuracy model as a linear one: hundreds of weights, not a covariance of all trainings.

A covariance of n trainings takes n^3 steps. All of the model but the product over the slots has
finitely many weights to begin with: the constant's, the levels', the plain network's, those of the
drift of each shorter budget, and in each replicate its levels and what it favours. The product has
one for each of some candidates (``pivots``), and one for each candidate alone, of the variance that
the pivots leave (partially independent conditionals with a block for each candidate: Snelson and
Ghahramani 2007). So the prior variance of each candidate is exact, trainings of one candidate share
what is its own, and where all trained candidates are pivots the posterior is exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag, cho_solve, cholesky, eigh, solve_triangular
from scipy.sparse import csr_array, hstack

from se_search.surrogate.kernel import CONSTANT, JITTER
from se_search.surrogate.pivots import Pivots
from se_search.surrogate.trained_candidates import TrainedCandidates
from se_search.surrogate.trainings import Array, Design

MAX_LIKED = 1_200  # weights of what all replicates favour: of more, the least are taken for noise
LEAST_VARIANCE = 1e-9  # of the largest: rounding decides below it


class WeightModel:
    """The prior of the weights, and trainings as rows of them.

    The weights of the replicates come first, then those of the drift, last those of candidates
    after the full budget: the levels', the constant's, the plain network's and the pivots'.

    Args:
        pivots: of the kernel.
        num_replicates: how many replicates there are.
    """

    def __init__(self, pivots: Pivots, num_replicates: int) -> None:
        self.kernel = pivots.kernel
        self.pivots = pivots
        self.num_replicates = num_replicates if self.kernel.has_replicates else 0
        self._directions, self._liking_precision = self._choose_directions()
        self._gaps = _factor_gaps(self.kernel.fidelity_gaps)

    def describe(self, rows: Array) -> tuple[Array, Array]:
        """Return loadings ``(k, num_main)`` of candidates, and the variance ``(k,)`` that is left.

        Args:
            rows: ``(k, num_levels)`` one-hot; its type (float32 or float64) is the loadings'.
        """
        projected, left = self.pivots.project(rows)
        ends = np.ones((len(rows), 2), rows.dtype)
        ends[:, 1] = self.kernel.factors.mark_plain(rows)
        return np.concatenate([rows, ends, projected], axis=1), left

    def describe_nuisance(self, design: Design, blocks: NDArray[np.int64]) -> csr_array:
        """Return the loadings of trainings on the weights of replicates and drift, sparse.

        Args:
            design: the trainings, ``n`` of them.
            blocks: ``(n,)``: the positions of their replicates.
        """
        count, num_budgets = len(design), len(self.kernel.fidelity_gaps)
        parts = [csr_array((count, 0))]
        if self.num_replicates:
            own = np.hstack([design.rows @ self._directions, np.eye(num_budgets)[design.budgets]])
            width = own.shape[1]
            row, column = np.nonzero(own)
            entries = own[row, column], (row, column + width * blocks[row])
            parts.append(csr_array(entries, (count, self.num_replicates * width)))
        if num_budgets > 1:
            drifting = np.hstack([design.rows, np.ones((count, 1))])
            gaps = self._gaps[design.budgets]
            parts.append(csr_array((gaps[:, :, None] * drifting[:, None, :]).reshape(count, -1)))
        return csr_array(hstack(parts))

    def noise(self, design: Design) -> Array:
        """Return the variance of trainings beside all weights, ``(n,)``."""
        kernel = self.kernel
        noise = kernel.noise[design.budgets] + JITTER
        if self._directions.shape[1] < len(self._directions) and self.num_replicates:
            known = self._directions @ np.linalg.inv(self._liking_precision) @ self._directions.T
            rest = kernel.liking - known
            noise = noise + np.maximum(np.einsum("ij,ij->i", design.rows @ rest, design.rows), 0.0)
        return noise

    def prior_precision(self) -> Array:
        """Return the prior precision of all weights, one matrix."""
        kernel = self.kernel
        replicate = block_diag(self._liking_precision, np.diag(1.0 / kernel.levels))
        blocks = [replicate] * self.num_replicates
        if len(kernel.fidelity_gaps) > 1:
            drift = block_diag(_invert(kernel.drift), [[1.0 / CONSTANT]])
            blocks += [drift] * self._gaps.shape[1]
        ends = np.diag([1.0 / CONSTANT, 1.0 / float(kernel.exp("plain")[0])])
        return np.asarray(
            block_diag(*blocks, _invert(kernel.additive), ends, np.eye(len(self.pivots.rows)))
        )

    def _choose_directions(self) -> tuple[Array, Array]:
        """Return what of levels a replicate may favour, ``(num_levels, q)``, and its precision."""
        if not self.num_replicates:
            return np.zeros((self.kernel.factors.num_levels, 0)), np.zeros((0, 0))
        liking = self.kernel.liking
        affordable = max(1, MAX_LIKED // self.num_replicates)
        if len(liking) <= affordable:
            return np.eye(len(liking)), _invert(liking)  # sparse: most loadings are 0
        values, vectors = eigh(liking)
        largest = values[-affordable:]
        return vectors[:, -affordable:] * np.sqrt(np.maximum(largest, 0.0)), np.eye(affordable)


class WeightPosterior:
    """The distribution of the weights after trainings.

    Args:
        model: of the weights.
        trained: the trainings.

    Attributes:
        spread: how well the weights are known, whatever the accuracies.
    """

    def __init__(self, model: WeightModel, trained: TrainedCandidates) -> None:
        design = trained.design
        precision = 1.0 / model.noise(design)
        self._gather = csr_array(
            (precision, (trained.which, np.arange(len(design)))), (len(trained), len(design))
        )
        nuisance = model.describe_nuisance(design, trained.blocks)
        self._weighted = csr_array(nuisance * precision[:, None])
        self._loadings, left = model.describe(trained.rows)
        totals = np.bincount(trained.which, weights=precision)
        # After a precision of p a weight of variance v has the variance v / (1 + v p).
        own = left / (1.0 + left * totals)
        shrunk = 1.0 - own * totals
        sums = csr_array(self._gather @ nuisance)
        begin = nuisance.shape[1]
        matrix = model.prior_precision()
        told = nuisance.T @ self._weighted - sums.T @ csr_array(sums * own[:, None])
        matrix[:begin, :begin] += told.toarray()
        matrix[begin:, :begin] += (csr_array(sums * shrunk[:, None]).T @ self._loadings).T
        matrix[begin:, begin:] += self._loadings.T @ (self._loadings * (shrunk * totals)[:, None])
        factor = cholesky(matrix, lower=True, overwrite_a=True, check_finite=False)
        self.spread = WeightSpread(model, trained, factor, own, shrunk, sums)

    def mean(self, values: Array) -> tuple[Array, Array]:
        """Return the means of all weights, and of trained candidates' own, were all others 0.

        Args:
            values: ``(n,)`` standardised accuracies of the trainings.
        """
        spread = self.spread
        totals = self._gather @ values
        target = np.concatenate(
            [
                self._weighted.T @ values - spread.sums.T @ (spread.own * totals),
                self._loadings.T @ (spread.shrunk * totals),
            ]
        )
        return np.asarray(cho_solve((spread.factor, True), target)), spread.own * totals


@dataclass(frozen=True)
class WeightSpread:
    """How well the weights are known after trainings.

    Attributes:
        model: of the weights.
        trained: the trainings.
        factor: lower Cholesky factor of the precision of all weights.
        own: ``(c,)``: variance of each trained candidate's own weight, all others given.
        shrunk: ``(c,)``: the share of a candidate that its own weight leaves to all others.
        sums: ``(c, num_nuisance)``: loadings of each candidate's trainings on the weights of
            replicates and drift, weighted by their precision and added up.
    """

    model: WeightModel
    trained: TrainedCandidates
    factor: Array
    own: Array
    shrunk: Array
    sums: csr_array

    @property
    def num_nuisance(self) -> int:
        """The number of the weights of replicates and drift."""
        return int(self.sums.shape[1])

    def draw(self, mean: Array, count: int, rng: np.random.Generator) -> Array:
        """Draw all weights together, ``(num_weights, count)``."""
        normal = rng.standard_normal((count, len(self.factor))).T
        spread = solve_triangular(self.factor, normal, lower=True, trans="T", check_finite=False)
        return np.asarray(mean[:, None] + spread)

    def explain(self, rows: Array) -> Explained:
        """Return what the weights say of candidates, ``(k, num_levels)`` one-hot."""
        loadings, rest = self.model.describe(rows)
        at = self.trained.find(rows)
        known = np.flatnonzero(at >= 0)
        rest[known] = self.own[at[known]]
        loadings[known] *= self.shrunk[at[known], None].astype(rows.dtype)
        return Explained(self, loadings, rest, known, at[known])


@dataclass(frozen=True)
class Explained:
    """Candidates as sums over the weights, and what is left of each: independent numbers.

    Attributes:
        spread: of the weights.
        loadings: ``(k, num_main)``.
        rest: ``(k,)``: variance of what is left.
        known: positions of the candidates that have been trained.
        numbers: their positions among all that have been trained.
    """

    spread: WeightSpread
    loadings: Array
    rest: Array
    known: NDArray[np.int64]
    numbers: NDArray[np.int64]

    def apply(self, weights: Array) -> Array:
        """Return the sums over weights, ``(k, s)``, for ``(num_weights, s)`` of them."""
        begin = self.spread.num_nuisance
        sums = self.loadings @ weights[begin:].astype(self.loadings.dtype, copy=False)
        if begin:
            sums[self.known] -= self._nuisance @ weights[:begin]
        return np.asarray(sums)

    def offset(self, own: Array) -> Array:
        """Return what the own weights add, ``(k,)``, from their means were all others 0."""
        offset = np.zeros(len(self.rest))
        offset[self.known] = own[self.numbers]
        return offset

    def dense(self) -> Array:
        """Return the loadings on all weights, ``(k, num_weights)``."""
        begin = self.spread.num_nuisance
        found = np.zeros((len(self.rest), len(self.spread.factor)))
        found[:, begin:] = self.loadings
        found[self.known, :begin] = -self._nuisance.toarray()
        return found

    def whiten(self) -> Array:
        """Return ``(num_weights, k)``: scalar products of columns are covariances by the weights.

        What is left of a candidate, ``rest``, is no part of them.
        """
        factor, begin = self.spread.factor, self.spread.num_nuisance
        found = self.dense().T
        # The weights of replicates and drift say nothing of a candidate that has no training.
        new = np.setdiff1d(np.arange(len(self.rest)), self.known)
        for columns, first in ((self.known, 0), (new, begin)):
            found[first:, columns] = solve_triangular(
                factor[first:, first:], found[first:, columns], lower=True, check_finite=False
            )
        return found

    @property
    def _nuisance(self) -> csr_array:
        own = self.spread.own[self.numbers]
        return csr_array(self.spread.sums[self.numbers] * own[:, None])


def _factor_gaps(gaps: tuple[float, ...]) -> Array:
    """Return ``(num_budgets, g)``, of which two rows' product is the lesser of their gaps."""
    steps = np.unique([0.0, *gaps])
    return np.asarray(np.sqrt(np.diff(steps)) * (np.array(gaps)[:, None] >= steps[None, 1:]))


def _invert(covariance: Array) -> Array:
    """Return the inverse of a covariance, in which no variance is less than a billionth."""
    values, vectors = eigh(covariance)
    return np.asarray(vectors / np.maximum(values, LEAST_VARIANCE * values[-1]) @ vectors.T)
