"""What the accuracy model says of a pool of candidates after thousands of trainings.

It is asked again after each training. So the weights of all but the last trainings are kept, a
multiple of 64 of them, and the last ones are added at each question, at a price of the pool times
their number. What is kept depends on the trainings and their order alone: a continued search gets
the numbers of an undisturbed one, to the bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular

from se_search.surrogate.kernel import JITTER, Kernel
from se_search.surrogate.pivots import Pivots
from se_search.surrogate.trained_candidates import TrainedCandidates
from se_search.surrogate.trainings import Array, Design
from se_search.surrogate.weights import WeightModel, WeightPosterior

STEP = 64  # trainings after which the weights are computed anew: half of a question's price


class ManyPosterior:
    """The distribution of a pool's full-budget accuracies, given very many trainings.

    Args:
        kernel: with its hyper-parameters.
        pivots: candidates that carry the product over the slots, ``(m, num_levels)`` one-hot.
        pool: ``(k, num_levels)`` one-hot, float32.
        design: the trainings that have finished.
    """

    def __init__(self, kernel: Kernel, pivots: Array, pool: Array, design: Design) -> None:
        self.kernel = kernel
        self.pool = pool
        self.pivots = Pivots(kernel, pivots)
        model = WeightModel(self.pivots, 0)
        self.loadings, self.left = model.describe(pool)
        self._design = design
        self._known: _Known | None = None  # of trainings that have finished
        self._ahead: _Known | None = None  # of these and those that run

    def finish(self, design: Design) -> None:
        """Take note of all trainings that have finished by now."""
        self._design = design

    def look_ahead(self, values: Array, running: Design) -> tuple[Array, Array]:
        """Return means and variances of the pool's accuracies, standardised, ``(k,)`` each.

        The variances are those after the trainings that run, which are taken to end as expected.

        Args:
            values: ``(n,)`` standardised accuracies of the trainings that have finished.
            running: the trainings that run.
        """
        both = self._design.followed_by(running)
        replicates = np.unique(both.replicates)
        self._known = self._keep(self._known, self._design, replicates)
        self._ahead = self._keep(self._ahead, both, replicates)
        mean = self._known.mean(self._design, values)
        return mean, np.maximum(self._ahead.variance(both), JITTER)

    def sample(
        self, members: NDArray[np.int64], values: Array, count: int, rng: np.random.Generator
    ) -> Array:
        """Draw accuracies of some of the pool together, standardised, ``(count, len(members))``.

        They are given all but the last trainings, 63 at most.

        Args:
            members: ``(m,)``, numbers in the pool.
            values: ``(n,)`` standardised accuracies of the trainings that have finished.
            count: number of draws.
            rng: of the draws.
        """
        replicates = np.unique(self._design.replicates)
        self._known = self._keep(self._known, self._design, replicates)
        return self._known.sample(members, values, count, rng)

    def _keep(self, kept: _Known | None, design: Design, replicates: NDArray[np.int64]) -> _Known:
        """Return what is known by the first trainings, a multiple of 64 or one, kept or new."""
        first = design.take(slice(max(1, len(design) // STEP * STEP)))
        if kept is None or not kept.is_of(first, replicates):
            kept = _Known(self, first, replicates)
        return kept


class _Known:
    """What is known of a pool by some trainings, and what further ones add.

    Args:
        owner: of the pool.
        design: the trainings.
        replicates: names of all replicates, those of further trainings, too.
    """

    def __init__(self, owner: ManyPosterior, design: Design, replicates: NDArray[np.int64]) -> None:
        self._owner = owner
        self._design = design
        trained = TrainedCandidates(design, replicates)
        self._posterior = WeightPosterior(WeightModel(owner.pivots, len(replicates)), trained)
        self._spread = self._posterior.spread
        at = trained.find(owner.pool)
        self._members = np.flatnonzero(at >= 0)  # of the pool that have been trained
        self._numbers = at[self._members]
        self._base_variance: Array | None = None

    def is_of(self, design: Design, replicates: NDArray[np.int64]) -> bool:
        """Tell whether these are the trainings."""
        own = self._design
        return (
            len(own) == len(design)
            and np.array_equal(self._spread.trained.replicates, replicates)
            and np.array_equal(own.replicates, design.replicates)
            and np.array_equal(own.budgets, design.budgets)
            and np.array_equal(own.rows, design.rows)
        )

    def mean(self, design: Design, values: Array) -> Array:
        """Return the pool's means after these trainings and further ones.

        Args:
            design: the trainings, then the further ones.
            values: ``(n,)`` standardised accuracies of all of them.
        """
        count = len(self._design)
        weights, own = self._posterior.mean(values[:count])
        mean = self._apply(weights[:, None])[:, 0].astype(np.float64)
        mean[self._members] += own[self._numbers]
        rest = design.take(slice(count, None))
        if len(rest):
            explained = self._spread.explain(rest.rows)
            loadings = explained.dense() + self._nuisance(rest)
            expected = loadings @ weights + explained.offset(own)
            covariance, factor = self._link(rest)
            solved = solve_triangular(factor, values[count:] - expected, lower=True)
            mean += covariance @ solve_triangular(factor, solved, lower=True, trans="T")
        return np.asarray(mean)

    def variance(self, design: Design) -> Array:
        """Return the pool's variances after these trainings, which come first, and further ones."""
        if self._base_variance is None:
            self._base_variance = self._find_variance()
        rest = design.take(slice(len(self._design), None))
        if not len(rest):
            return self._base_variance
        covariance, factor = self._link(rest)
        inverse = solve_triangular(factor, np.eye(len(factor)), lower=True)
        told = covariance @ inverse.T.astype(covariance.dtype)
        squares = np.einsum("ij,ij->i", told, told, dtype=np.float64)
        return np.asarray(self._base_variance - squares)

    def sample(
        self, members: NDArray[np.int64], values: Array, count: int, rng: np.random.Generator
    ) -> Array:
        """Draw accuracies of members of the pool; see ``ManyPosterior.sample``."""
        mean, own = self._posterior.mean(values[: len(self._design)])
        explained = self._spread.explain(self._owner.pool[members])
        drawn = explained.apply(self._spread.draw(mean, count, rng)).T + explained.offset(own)
        return np.asarray(
            drawn + np.sqrt(explained.rest) * rng.standard_normal((count, len(members)))
        )

    def _apply(self, weights: Array) -> Array:
        """Return sums over weights of all of the pool, ``(k, s)``, in single precision."""
        begin = self._spread.num_nuisance
        sums = self._owner.loadings @ weights[begin:].astype(np.float32)
        sums[self._members] *= self._spread.shrunk[self._numbers, None].astype(np.float32)
        if begin:
            told = self._spread.sums @ weights[:begin]
            sums[self._members] -= (self._spread.own[:, None] * told)[self._numbers]
        return np.asarray(sums)

    def _nuisance(self, design: Design) -> Array:
        """Return the loadings of trainings on all weights, but for those of their candidates."""
        trained, model = self._spread.trained, self._spread.model
        found = np.zeros((len(design), len(self._spread.factor)))
        nuisance = model.describe_nuisance(design, trained.find_blocks(design))
        found[:, : nuisance.shape[1]] = nuisance.toarray()
        return found

    def _link(self, rest: Design) -> tuple[Array, Array]:
        """Return how further trainings hang together with the pool, and among each other.

        Returns:
            ``(k, r)`` covariances of the pool with the ``r`` trainings, and the lower Cholesky
            factor ``(r, r)`` of the covariance among them.
        """
        spread = self._spread
        explained = spread.explain(rest.rows)
        loadings = explained.dense() + self._nuisance(rest)
        half = solve_triangular(spread.factor, loadings.T, lower=True, check_finite=False)
        moved = solve_triangular(spread.factor, half, lower=True, trans="T", check_finite=False)
        is_one = (rest.rows[:, None] == rest.rows[None]).all(axis=2)
        among = half.T @ half + is_one * explained.rest[:, None]
        among[np.diag_indices(len(rest))] += spread.model.noise(rest)
        covariance = self._apply(moved)
        at = TrainedCandidates(rest)
        number = at.find(self._owner.pool)
        alike = np.flatnonzero(number >= 0)
        shared = (at.which[None] == number[alike, None]) * explained.rest
        covariance[alike] += shared.astype(np.float32)
        return covariance, np.asarray(cholesky(among, lower=True))

    def _find_variance(self) -> Array:
        owner, spread = self._owner, self._spread
        begin = spread.num_nuisance
        size = len(spread.factor)
        inverse = solve_triangular(spread.factor, np.eye(size), lower=True, check_finite=False)
        inverse = inverse.astype(np.float32)
        variance = owner.left.copy()
        half = owner.loadings @ inverse[begin:, begin:].T
        variance += np.einsum("ij,ij->i", half, half, dtype=np.float64)
        explained = spread.explain(owner.pool[self._members])
        half = explained.dense().astype(np.float32) @ inverse.T
        own = np.einsum("ij,ij->i", half, half, dtype=np.float64)
        variance[self._members] = explained.rest + own
        return np.asarray(variance)
