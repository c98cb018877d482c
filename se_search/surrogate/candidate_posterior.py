"""What noisy trainings say of each candidate: its accuracy with an interval, its chance of a front.

Seeds move a training about as far as candidates differ, so that the best of many plain means is
mostly the luckiest one. The accuracy model is fitted to all trainings, short and repeated ones
included. Its posterior gives each candidate's accuracy without the luck of its seeds (a shrunken
estimate, with an interval), and joint draws from it give how likely a candidate is on the front.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from se_search.analysis.pareto import front_probability
from se_search.analysis.statistics import median_and_interval
from se_search.surrogate.features import Factors
from se_search.surrogate.kernel import Kernel, log2_fidelity_gaps
from se_search.surrogate.likelihood import MAX_FITTED, Likelihood, draw_kernels, fit_kernel
from se_search.surrogate.posterior import Posterior
from se_search.surrogate.scale import AccuracyScale
from se_search.surrogate.trainings import Observations, Trainings

Array = NDArray[np.float64]

NUM_DRAWS = 4_000
NUM_STARTS = 20
NUM_KERNELS = 20
# Two settings of the model differ from the search's, which looks for the best and reports no
# intervals. Figures are of benchmarks/calibration, of random candidates in simulated spaces.
#
# Compression: the search compresses the poorest quarter, which can't matter to the front. Below the
# floor, seeds' noise is compressed as well, so that the model finds too little of it and intervals
# are too narrow: after 100 trainings 90 % of the 95 % intervals held the truth, with this fence
# 93 %. So only outliers are compressed, more than two interquartile ranges below the lower quartile
# (after Tukey 1977): one training that went wrong then widens all other intervals by a quarter
# instead of many times.
FENCE = 2.0
# Noise: the share of the variance that seeds are expected to make before any training. The search
# expects a twentieth and learns. Where seeds make a quarter to a half, as with SE, and few
# candidates have two, a twentieth makes intervals too narrow: after 50 trainings 84 % of the 95 %
# intervals held the truth, with this share 90 % (worlds interactions and rough).
NOISE_SHARE = 0.3


@dataclass(frozen=True)
class CandidatePosterior:
    """The accuracies of the candidates that have a full training, as the model knows them.

    Attributes:
        members: ``(n,)``, the number of each candidate's first full training, ascending.
        means: ``(n,)``, plain means of each candidate's full trainings.
        num_replicates: ``(n,)``, full trainings of each candidate.
        estimates: ``(n,)`` posterior means of the true accuracy, 0..1.
        sds: ``(n,)`` posterior standard deviations, seeds' noise left out.
        lows: ``(n,)`` lower ends of 95 % intervals of the true accuracy.
        highs: ``(n,)`` upper ends of 95 % intervals of the true accuracy.
        probabilities: ``(n,)`` share of the draws in which the candidate is on the front.
        draws: ``(draws, n)`` joint draws of the true accuracies.
        noise_sd: standard deviation over seeds after a full training, as the model has it.
    """

    members: NDArray[np.int64]
    means: Array
    num_replicates: NDArray[np.int64]
    estimates: Array
    sds: Array
    lows: Array
    highs: Array
    probabilities: Array
    draws: Array
    noise_sd: float


def compute_posterior(
    factors: Factors,
    trainings: Trainings,
    budgets: Sequence[int],
    costs: NDArray[np.float64],
    *,
    num_draws: int = NUM_DRAWS,
    num_kernels: int = NUM_KERNELS,
    fence: float = FENCE,
) -> CandidatePosterior:
    """Return the posterior of candidates' accuracies after some trainings.

    Args:
        factors: the slots of the space.
        trainings: ``n`` finished ones in the order of their trials; positions in ``budgets``.
        budgets: epochs, ascending, the full budget last.
        costs: ``(n, m)`` of each training's candidate, exact, minimised.
        num_draws: draws of the accuracies of all candidates together.
        num_kernels: draws of the hyper-parameters; 0: the most probable ones are taken as certain.
        fence: of the scale of accuracies, see ``AccuracyScale.fit``.

    Returns:
        A row for each candidate (each different row of codes) that has a full training; there
        must be one.
    """
    # One thread: sums depend on their number.
    with threadpool_limits(1):
        scale = AccuracyScale.fit(trainings, len(budgets), NUM_STARTS, fence)
        values = scale.apply(trainings.accuracies, trainings.budgets)
        rows = factors.one_hot(trainings.codes)
        seen = Observations.pooled(trainings, rows, values)
        prior = Kernel(factors, log2_fidelity_gaps(budgets), noise_share=NOISE_SHARE)
        fitted = fit_kernel(prior, seen)
        rng = np.random.default_rng(0)
        likelihood = Likelihood(prior, seen.some(MAX_FITTED))
        kernels = draw_kernels(fitted, likelihood.log_density, num_kernels, rng) or [fitted]
        members, means, num_replicates = _pool(trainings, len(budgets) - 1)
        centres, variances, parts = [], [], []
        share = max(1, num_draws // len(kernels))
        for kernel in kernels:
            posterior = Posterior(kernel, rows[members], seen.rows, seen.budgets, seen.counts)
            centre, covariance = posterior.moments(np.arange(len(members)), seen.values)
            normal = rng.standard_normal((share, len(members)))
            parts.append(centre + normal @ np.linalg.cholesky(covariance).T)
            centres.append(centre)
            variances.append(np.diag(covariance))
        draws = scale.invert(np.concatenate(parts))
        _, low, high = median_and_interval(draws)
        noise = np.mean([kernel.noise[-1] for kernel in kernels])
        return CandidatePosterior(
            members,
            means,
            num_replicates,
            scale.invert(np.mean(centres, axis=0)),
            np.sqrt(np.var(centres, axis=0) + np.mean(variances, axis=0)) * scale.sd,
            low,
            high,
            front_probability(costs[members], draws),
            draws,
            float(np.sqrt(noise)) * scale.sd,
        )


def _pool(trainings: Trainings, full: int) -> tuple[NDArray[np.int64], Array, NDArray[np.int64]]:
    """Return each candidate's first full training, the mean of all its full ones, their number."""
    is_full = np.flatnonzero(trainings.budgets == full)
    _, first, group = np.unique(
        trainings.codes[is_full], axis=0, return_index=True, return_inverse=True
    )
    group = group.ravel()
    sums = np.bincount(group, weights=trainings.accuracies[is_full])
    counts = np.bincount(group)
    order = np.argsort(first)
    return is_full[first[order]], (sums / counts)[order], counts[order]
