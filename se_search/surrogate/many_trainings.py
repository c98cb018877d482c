"""Joint draws of the accuracy model after thousands of trainings, kernel by kernel.

Up to ``MOST_DRAWN_EXACTLY`` trainings the posterior is that of a covariance of all of them. Beyond,
it is that of the model's weights (``weights``): a few hundred candidates carry the product over the
slots, and all other terms are as they were.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from se_search.surrogate.kernel import Kernel
from se_search.surrogate.pivots import Pivots, choose_pivots
from se_search.surrogate.trained_candidates import TrainedCandidates
from se_search.surrogate.trainings import Array, Observations
from se_search.surrogate.weights import WeightModel, WeightPosterior

MOST_ALL_PIVOTS = 700  # trained candidates that are all pivots: then the posterior is exact
MAX_PIVOTS = 256  # of more candidates
CHUNK = 2_048  # candidates at a time
LEAST = 1e-9  # of a variance, so that rounding leaves a covariance positive definite


def find_pivots(kernel: Kernel, trained: TrainedCandidates, limit: int | None = None) -> Array:
    """Return the candidates that carry the product over the slots, ``(m, num_levels)``.

    Args:
        kernel: with its hyper-parameters.
        trained: the trainings.
        limit: on their number; None: all of few candidates, else 256.
    """
    if limit is None:
        limit = len(trained) if len(trained) <= MOST_ALL_PIVOTS else MAX_PIVOTS
    return choose_pivots(kernel, trained.rows, limit)


class ManyTrainings:
    """The posteriors of a model's kernels after many trainings.

    The pivots are chosen by the first kernel for all of them.

    Args:
        kernels: drawn from the posterior of the hyper-parameters.
        seen: the trainings.
        max_pivots: see ``find_pivots``.

    Attributes:
        pivots: ``(m, num_levels)`` one-hot.
    """

    def __init__(
        self, kernels: Sequence[Kernel], seen: Observations, max_pivots: int | None = None
    ) -> None:
        trained = TrainedCandidates(seen.design)
        self.pivots = rows = find_pivots(kernels[0], trained, max_pivots)
        self._fitted = []
        for kernel in kernels:
            model = WeightModel(Pivots(kernel, rows), len(trained.replicates))
            posterior = WeightPosterior(model, trained)
            self._fitted.append((posterior.spread, *posterior.mean(seen.values)))

    def draw(self, rows: Array, num_draws: int, rng: np.random.Generator) -> Array:
        """Draw standardised accuracies of candidates together, ``(num_draws, k)``.

        Args:
            rows: ``(k, num_levels)`` one-hot, no candidate twice.
            num_draws: rounded down to a multiple of the number of kernels.
            rng: of the draws.
        """
        share = max(1, num_draws // len(self._fitted))
        drawn = np.empty((len(self._fitted), share, len(rows)))
        for own, (spread, mean, alone) in zip(drawn, self._fitted, strict=True):
            weights = spread.draw(mean, share, rng)
            for begin in range(0, len(rows), CHUNK):
                part = slice(begin, begin + CHUNK)
                explained = spread.explain(rows[part])
                own[:, part] = explained.apply(weights).T + explained.offset(alone)
                own[:, part] += np.sqrt(explained.rest) * rng.standard_normal(own[:, part].shape)
        return drawn.reshape(-1, len(rows))

    def draw_sums(
        self, rows: Array, weights: Array, num_draws: int, rng: np.random.Generator
    ) -> Array:
        """Draw sums of standardised accuracies together, ``(num_draws, k)``.

        Args:
            rows: ``(m, num_levels)`` one-hot, no candidate twice.
            weights: ``(k, m)``.
            num_draws: rounded down to a multiple of the number of kernels.
            rng: of the draws.
        """
        share = max(1, num_draws // len(self._fitted))
        drawn = []
        for spread, mean, alone in self._fitted:
            explained = spread.explain(rows)
            means = explained.apply(mean[:, None])[:, 0] + explained.offset(alone)
            whitened = explained.whiten() @ weights.T
            covariance = whitened.T @ whitened + (weights * explained.rest) @ weights.T
            covariance[np.diag_indices(len(weights))] += LEAST
            normal = rng.standard_normal((share, len(weights)))
            drawn.append(weights @ means + normal @ np.linalg.cholesky(covariance).T)
        return np.concatenate(drawn)

    def moments(self, number: int, rows: Array) -> tuple[Array, Array]:
        """Return means and variances of standardised accuracies by one kernel, ``(k,)`` each.

        Args:
            number: of the kernel.
            rows: ``(k, num_levels)`` one-hot.
        """
        spread, mean, alone = self._fitted[number]
        means, variances = np.empty(len(rows)), np.empty(len(rows))
        for begin in range(0, len(rows), CHUNK):
            part = slice(begin, begin + CHUNK)
            explained = spread.explain(rows[part])
            means[part] = explained.apply(mean[:, None])[:, 0] + explained.offset(alone)
            variances[part] = (explained.whiten() ** 2).sum(axis=0) + explained.rest
        return means, variances

    def gains(self, rows: Array) -> Iterator[tuple[Array, Array]]:
        """Yield, kernel by kernel, mean and variance of each candidate less the first, ``(k,)``.

        Args:
            rows: ``(k, num_levels)`` one-hot, no candidate twice.
        """
        for spread, mean, alone in self._fitted:
            explained = spread.explain(rows)
            means = explained.apply(mean[:, None])[:, 0] + explained.offset(alone)
            whitened = explained.whiten()
            whitened -= whitened[:, :1]
            variances = (whitened**2).sum(axis=0) + explained.rest + explained.rest[0]
            variances[0] = 0.0
            yield means - means[0], variances
