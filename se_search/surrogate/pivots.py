"""The product over the slots as a sum of few terms, one for each of some candidates.

The candidates are called pivots. A candidate's product term is what the pivots tell of it (Nyström
features: Williams and Seeger 2001) and a rest of its own, whose variance is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import cholesky, solve_triangular

from se_search.surrogate.kernel import JITTER, Kernel
from se_search.surrogate.trainings import Array

NOTHING = 1e-4  # of the variance: what is left of a candidate that the pivots tell all of


@dataclass(frozen=True)
class Pivots:
    """Candidates that carry the product term of a kernel.

    Attributes:
        kernel: with its hyper-parameters.
        rows: ``(m, num_levels)`` one-hot, no candidate twice.
    """

    kernel: Kernel
    rows: Array

    def project(self, rows: Array) -> tuple[Array, Array]:
        """Return features ``(n, m)`` of candidates, and the variance ``(n,)`` that they leave.

        The scalar product of two candidates' features is the covariance that the pivots know of.

        Args:
            rows: ``(n, num_levels)`` one-hot; its type (float32 or float64) is the features'.
        """
        covariance = self.kernel.product(self.rows.astype(rows.dtype), rows)
        features = (self._inverse.astype(rows.dtype, copy=False) @ covariance).T
        told = np.einsum("ij,ij->i", features, features, dtype=np.float64)
        return features, np.maximum(self._variance - told, 0.0)

    @property
    def _variance(self) -> float:
        return float(self.kernel.exp("variance_")[2])

    @cached_property
    def _inverse(self) -> Array:
        """``(m, m)``: inverse of the lower Cholesky factor of the pivots' covariance."""
        covariance = self.kernel.product(self.rows, self.rows)
        covariance[np.diag_indices(len(self.rows))] += JITTER * self._variance
        factor = cholesky(covariance, lower=True)
        return np.asarray(solve_triangular(factor, np.eye(len(factor)), lower=True))


def choose_pivots(kernel: Kernel, rows: Array, limit: int) -> Array:
    """Return at most ``limit`` candidates, each unlike those before it, ``(m, num_levels)``.

    The next one is that of which the ones before leave the most variance (a pivoted Cholesky
    factorisation); nothing is added once they tell all of each. The network without SE comes first,
    as all gains are against it.

    Args:
        kernel: with its hyper-parameters.
        rows: ``(n, num_levels)`` one-hot, no candidate twice.
        limit: on the number of pivots.
    """
    variance = float(kernel.exp("variance_")[2])
    single = rows.astype(np.float32)
    left = np.full(len(rows), variance, np.float32)
    plain = np.flatnonzero(kernel.factors.mark_plain(rows))
    features = np.zeros((min(limit, len(rows)), len(rows)), np.float32)
    chosen: list[int] = []
    for count in range(len(features)):
        at = int(plain[0]) if count == 0 and len(plain) else int(np.argmax(left))
        if left[at] <= NOTHING * variance:
            break
        column = kernel.product(single[at : at + 1], single)[0]
        column -= features[:count, at] @ features[:count]
        features[count] = column / np.sqrt(left[at])
        left -= features[count] ** 2
        left[at] = 0.0
        chosen.append(at)
    return rows[np.array(chosen, np.int64)]
