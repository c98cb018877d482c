"""What the accuracy model says of candidates after some trainings, its hyper-parameters given."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular

from se_search.surrogate.kernel import JITTER, Kernel
from se_search.surrogate.trainings import Array, Design

# What is added to a variance so that rounding leaves a covariance positive definite.
ROUNDING = {np.float32: 1e-5, np.float64: 1e-7}
MOST_AT_ONCE, MOST_NUMBERS = 2**16, 2**25  # candidates of a pool, and numbers of theirs


class Posterior:
    """The distribution of a pool's full-budget accuracies, given trainings.

    Trainings are added one by one (or the first ones together) and taken away from the end, at a
    price of ``pool x trainings`` each. The numbers depend on the trainings and their order alone,
    to the bit.

    Args:
        kernel: with its hyper-parameters.
        pool: ``(m, num_levels)`` one-hot: float32 where the pool is large, float64 where a
            candidate with very many seeds is known better than single precision can tell.
        design: the first trainings, ``n`` of them.
    """

    def __init__(self, kernel: Kernel, pool: Array, design: Design) -> None:
        self.kernel = kernel
        self.pool = pool
        count = len(design)
        self._design = design
        self._factor = cholesky(kernel.among(design), lower=True)
        self._projected = np.empty((max(2 * count, 64), len(pool)), pool.dtype)
        self._num_base = self._count = count
        prior = kernel.variance(pool)
        for part in _split(len(pool), count):
            self._projected[:count, part] = solve_triangular(
                self._factor.astype(pool.dtype),
                kernel.with_candidates(design, pool[part]),
                lower=True,
                check_finite=False,
            )
        self._base_variance = prior - _sum_squares(self._projected[:count])
        self._variance = self._base_variance.copy()

    def __len__(self) -> int:
        return self._count

    def same_as(self, design: Design) -> int:
        """Return how many trainings and scores from the first one on are the same as these."""
        count = min(len(self), len(design))
        own, other = self._design.take(slice(count)), design.take(slice(count))
        same = own.equals(other)
        return count if same.all() else int(np.argmin(same))

    def append(self, training: Design) -> None:
        """Add one training; its accuracy is given later, to ``mean``."""
        covariance = self.kernel.cross(training, self._design)
        own = self.kernel.among(training)[0, 0]
        link = solve_triangular(self._factor, covariance, lower=True, check_finite=False)
        pivot = np.sqrt(max(own - link @ link, JITTER))
        count = self._count
        factor = np.zeros((count + 1, count + 1))
        factor[:count, :count] = self._factor
        factor[count, :count] = link
        factor[count, count] = pivot
        if count == len(self._projected):
            grown = np.empty((2 * count, len(self.pool)), self.pool.dtype)
            grown[:count] = self._projected
            self._projected = grown
        new = self.kernel.with_candidates(training, self.pool)[0]
        new -= link.astype(self.pool.dtype) @ self._projected[:count]
        new /= self.pool.dtype.type(pivot)
        self._projected[count] = new
        self._variance -= new.astype(np.float64) ** 2
        self._factor = factor
        self._design = self._design.followed_by(training)
        self._count += 1

    def truncate(self, count: int) -> None:
        """Take away all trainings but the first ``count``, which must include the first block."""
        assert self._num_base <= count
        if count == self._count:
            return
        self._count = count
        self._factor = self._factor[:count, :count].copy()
        self._design = self._design.take(slice(count))
        self._variance = self._base_variance.copy()
        for row in self._projected[self._num_base : count]:
            self._variance -= row.astype(np.float64) ** 2

    def look_ahead(self, values: Array, running: Design) -> tuple[Array, Array]:
        """Return means and variances of the pool's accuracies, standardised, ``(m,)`` each.

        The variances are those after the trainings that run, which are taken to end as expected.

        Args:
            values: ``(n,)`` standardised accuracies of all trainings so far.
            running: the trainings that run.
        """
        mean = self.mean(values)
        if not len(running):
            return mean, self.variance
        factor, projected = self._factor, self._projected[: len(self)]
        alone = [running.take(slice(number, number + 1)) for number in range(len(running))]
        covariance = np.array([self.kernel.cross(one, self._design) for one in alone])
        link = solve_triangular(factor, covariance.T, lower=True, check_finite=False)
        among = cholesky(self.kernel.among(running) - link.T @ link, lower=True)
        known = link.T.astype(self.pool.dtype)
        told = np.empty(len(self.pool))
        for part in _split(len(self.pool), len(running)):
            new = self.kernel.between(running.rows, self.pool[part]) - known @ projected[:, part]
            told[part] = _sum_squares(
                solve_triangular(among.astype(new.dtype), new, lower=True, check_finite=False)
            )
        return mean, np.maximum(self._variance - told, JITTER)

    def mean(self, values: Array) -> Array:
        """Return the expected accuracies of the pool, standardised, ``(m,)``.

        Args:
            values: ``(n,)`` standardised accuracies of the first trainings; later ones are taken
                to end as expected.
        """
        given = len(values)
        factor = self._factor[:given, :given]
        weights = solve_triangular(factor, values, lower=True, check_finite=False)
        mean = weights.astype(self.pool.dtype) @ self._projected[:given]
        return np.asarray(mean, dtype=np.float64)

    @property
    def variance(self) -> Array:
        """The variances of the pool's accuracies without replicates and noise, ``(m,)``."""
        return np.asarray(np.maximum(self._variance, JITTER))

    def moments(self, members: NDArray[np.int64], values: Array) -> tuple[Array, Array]:
        """Return mean ``(k,)`` and covariance ``(k, k)`` of some of the pool, standardised.

        Args:
            members: ``(k,)``, numbers in the pool.
            values: ``(n,)`` standardised accuracies of the first trainings.
        """
        given = len(values)
        projected = self._projected[:given, members].astype(np.float64)
        rows = self.pool[members].astype(np.float64)
        covariance = self.kernel.between(rows, rows) - projected.T @ projected
        covariance[np.diag_indices(len(members))] += ROUNDING[self.pool.dtype.type]
        weights = solve_triangular(self._factor[:given, :given], values, lower=True)
        return weights @ projected, covariance

    def gains(self, values: Array) -> tuple[Array, Array]:
        """Return mean and variance of each of the pool less its first one, standardised, ``(m,)``.

        Args:
            values: ``(n,)`` standardised accuracies of the first trainings.
        """
        mean = self.mean(values)
        given = self._projected[: len(values)].astype(np.float64)
        first = self.pool[:1].astype(np.float64)
        shared = self.kernel.between(first, self.pool.astype(np.float64))[0]
        shared -= given[:, 0] @ given
        own = self.variance
        return mean - mean[0], np.maximum(own + own[0] - 2 * shared, 0.0)

    def sample(
        self, members: NDArray[np.int64], values: Array, count: int, rng: np.random.Generator
    ) -> Array:
        """Draw accuracies of some of the pool together, standardised, ``(count, len(members))``."""
        mean, covariance = self.moments(members, values)
        root = cholesky(covariance, lower=True)
        return np.asarray(mean + rng.standard_normal((count, len(members))) @ root.T)


def _split(size: int, count: int) -> Iterator[slice]:
    """Yield parts of a pool so small that ``count`` numbers for each candidate take 128 MB."""
    step = min(MOST_AT_ONCE, max(1, MOST_NUMBERS // count))
    for begin in range(0, size, step):
        yield slice(begin, begin + step)


def _sum_squares(rows: Array) -> Array:
    total = np.zeros(rows.shape[1])
    for row in rows:
        total += row.astype(np.float64) ** 2
    return total
