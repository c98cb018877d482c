"""The hyper-parameters of the accuracy model: how likely, the most probable, draws of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

from se_search.surrogate.kernel import Kernel
from se_search.surrogate.rung_terms import list_rung_gradients
from se_search.surrogate.scores import choose_scores, join
from se_search.surrogate.trained_candidates import TrainedCandidates
from se_search.surrogate.trainings import Array, Observations

MOST_EXACT = 2_000  # trainings: the posterior after more is approximate (``many_trainings``)
MAX_FITTED = 400  # observations: more cost seconds and move the hyper-parameters little
SCORES_FITTED = 100, 200  # scores, at least and at most
BURN_IN = 20  # steps of the sampler before the first draw
THINNING = 4  # steps of the sampler from one draw to the next


def fit_kernel(kernel: Kernel, seen: Observations, most_exact: int = MOST_EXACT) -> Kernel:
    """Return the kernel with the most probable hyper-parameters (marginal likelihood x prior).

    Of many observations some are taken: see ``choose_fitted``.
    """
    likelihood = Likelihood(kernel, choose_fitted(seen, most_exact))
    start = kernel.prior[:, 0]
    # The line search tries hyper-parameters so large that they overflow, and turns back.
    with np.errstate(over="ignore", invalid="ignore"):
        found = minimize(likelihood, start, jac=True, method="L-BFGS-B", options={"maxiter": 40})
    return kernel.with_values(np.asarray(found.x))


def choose_fitted(seen: Observations, most_exact: int = MOST_EXACT) -> Observations:
    """Return the observations from which hyper-parameters are learnt: at most 400 trainings.

    Scores fill the trainings up to 400 observations. They are 200 at most, and all or at least 100
    of them are taken; scores of trained candidates come first.
    """
    if seen.design.rungs is None:
        return _choose_trainings(seen, most_exact)
    trainings = _choose_trainings(seen.take(seen.design.is_training), most_exact)
    room = int(np.clip(MAX_FITTED - len(trainings), *SCORES_FITTED))
    scores = seen.take(~seen.design.is_training)
    return join(choose_scores(scores, trainings.design.rows, room), trainings)


def _choose_trainings(seen: Observations, most_exact: int) -> Observations:
    """Return at most 400 trainings.

    They are spread evenly. Of more than ``most_exact`` trainings half are all trainings of some
    candidates that have been trained repeatedly: two of one candidate would else hardly ever be
    among them, and nothing but these tells noise from interactions of the slots.
    """
    if len(seen) <= max(most_exact, MAX_FITTED):
        return seen.some(MAX_FITTED)
    which = TrainedCandidates(seen.design).which
    counts = np.bincount(which)
    first = np.unique(which, return_index=True)[1]
    repeated = np.flatnonzero(counts > 1)
    repeated = repeated[np.argsort(first[repeated])]
    step = max(1, -(-int(counts[repeated].sum()) // (MAX_FITTED // 2)))
    is_taken = np.isin(which, repeated[::step])
    rest = np.flatnonzero(~is_taken)
    num_left = max(0, MAX_FITTED - int(is_taken.sum()))
    is_taken[rest[np.linspace(0, len(rest) - 1, min(num_left, len(rest))).astype(np.int64)]] = True
    return seen.take(np.flatnonzero(is_taken))


def draw_kernels(
    kernel: Kernel,
    log_density: Callable[[Kernel], float],
    count: int,
    rng: np.random.Generator,
) -> list[Kernel]:
    """Draw kernels from the posterior of the hyper-parameters.

    The most probable one by itself would be too sure: few trainings leave open how much is noise
    and how much are interactions. Elliptical slice sampling (Murray et al. 2010, fig. 2) needs no
    tuning, as the prior is normal.

    Args:
        kernel: where to begin, best at the most probable hyper-parameters.
        log_density: of the trainings, as ``Likelihood.log_density``.
        count: how many are drawn.
        rng: of the draws.
    """
    mean, sd = kernel.prior.T
    height = log_density(kernel)
    kept = []
    for step in range(BURN_IN + THINNING * count):
        state = kernel.values - mean
        other = sd * rng.standard_normal(len(mean))
        level = height + np.log(rng.uniform())
        angle = rng.uniform(0, 2 * np.pi)
        low, high = angle - 2 * np.pi, angle
        while True:
            kernel = kernel.with_values(mean + state * np.cos(angle) + other * np.sin(angle))
            height = log_density(kernel)
            if height > level:
                break
            low, high = (angle, high) if angle < 0 else (low, angle)
            angle = rng.uniform(low, high)
        if step >= BURN_IN and (step - BURN_IN) % THINNING == 0:
            kept.append(kernel)
    return kept


class Likelihood:
    """How well hyper-parameters explain some observations.

    Args:
        kernel: the prior of the hyper-parameters; the values that it has do not matter.
        seen: the observations.
    """

    def __init__(self, kernel: Kernel, seen: Observations) -> None:
        self.kernel = kernel
        self.seen = seen

    def log_density(self, kernel: Kernel) -> float:
        """Return the log density of all trainings for these hyper-parameters, up to a constant."""
        factor = self._factor(kernel)
        weights = solve_triangular(factor, self.seen.values, lower=True, check_finite=False)
        return -float(0.5 * weights @ weights + np.log(np.diag(factor)).sum())

    def __call__(self, values: Array) -> tuple[float, Array]:
        """Return the negative log posterior density of hyper-parameters, and its gradient."""
        kernel = self.kernel.with_values(values)
        seen, design = self.seen, self.seen.design
        rows, count = design.rows, len(seen)
        try:
            factor = self._factor(kernel)
        except (np.linalg.LinAlgError, ValueError):  # scipy's for a matrix that is not finite
            return 1e10, np.zeros_like(values)
        inverse = cho_solve((factor, True), np.eye(count))
        solved = inverse @ seen.values
        density = 0.5 * seen.values @ solved + float(np.log(np.diag(factor)).sum())
        slope = 0.5 * (inverse - np.outer(solved, solved))
        gradient = np.zeros_like(values)
        has_scores = design.rungs is not None
        slopes = kernel.slopes(design)
        # The derivative by each two candidates' covariance of what they are worth.
        worth = slope * slopes[:, None] * slopes if has_scores else slope

        def put(prefix: str, found: Any) -> None:
            gradient[kernel.group(prefix)] += found

        variances = kernel.exp("variance_")
        main, shared = kernel.main_and_shared
        # Sums over pairs of trainings, gathered by their levels.
        by_level = rows.T @ worth @ rows
        weights, scales = kernel.exp("weight_"), kernel.exp("scale_")
        exponent = np.tensordot(scales, np.tensordot(weights, self._parts, axes=(0, 1)), axes=1)
        product = worth.ravel() * (variances[2] * np.exp(-exponent))
        in_main, in_shared = (by_level * main).sum(), (by_level * shared).sum()
        found = np.array([variances[0] * in_main, variances[1] * in_shared, product.sum()])
        additive = kernel.additive * by_level
        if self._shared_gap is not None:
            drifted = rows.T @ (slope * self._shared_gap) @ rows
            drifts = kernel.exp("drift_")
            put(
                "drift_", [drifts[0] * (drifted * main).sum(), drifts[1] * (drifted * shared).sum()]
            )
            additive = additive + kernel.drift * drifted
        if kernel.has_replicates:
            liked = rows.T @ (slope * design.is_one_replicate) @ rows
            put("interaction", (kernel.liking * liked).sum())
            share = kernel.main_share
            moved = (
                share * (1 - share) * kernel.exp("interaction") * ((main - shared) * liked).sum()
            )
            found[:2] += [float(moved[0]), -float(moved[0])]
            additive = additive + kernel.liking * liked
            level = (slope * design.is_one_replicate_and_budget).sum(axis=1)
            put("level_", kernel.levels * self._by_budget(level))
        put("variance_", found)
        apart = np.ix_(self._is_plain, self._is_plain)
        put("plain", kernel.exp("plain") * worth[apart].sum())
        if has_scores:
            between = kernel.between(rows, rows) * slopes[:, None] * slopes
            of_rungs, biased = list_rung_gradients(kernel, design, slope, between)
            for prefix, each in of_rungs.items():
                put(prefix, each)
            additive = additive + biased
        contrasts = kernel.exp("contrast_")
        distances = kernel.factors.distances
        put("contrast_", -contrasts * np.tensordot(distances, additive, axes=2))
        pulls = self._parts @ product
        put("weight_", -weights * (scales @ pulls))
        put("scale_", -scales * (pulls @ weights))
        noises = kernel.exp("noise_")
        is_free = noises > kernel.least_noise
        own = np.diag(slope) * design.is_training if has_scores else np.diag(slope)
        put("noise_", noises * is_free * self._by_budget(own))
        offset = (values - kernel.prior[:, 0]) / kernel.prior[:, 1]
        return float(density + 0.5 * offset @ offset), gradient + offset / kernel.prior[:, 1]

    def _factor(self, kernel: Kernel) -> Array:
        """Return the Cholesky factor of the covariance among the observations."""
        return np.asarray(cholesky(kernel.among(self.seen.design), lower=True, check_finite=True))

    def _by_budget(self, numbers: Array) -> Array:
        """Return the sums over the trainings of each budget, ``(num_budgets,)``."""
        return np.bincount(
            self.seen.design.budgets, weights=numbers, minlength=len(self.kernel.fidelity_gaps)
        )

    @cached_property
    def _shared_gap(self) -> Array | None:
        if len(self.kernel.fidelity_gaps) == 1:
            return None
        return self.kernel.shared_gap(self.seen.design.budgets)

    @cached_property
    def _is_plain(self) -> NDArray[np.bool_]:
        return self.kernel.factors.mark_plain(self.seen.design.rows)

    @cached_property
    def _parts(self) -> Array:
        """``(num_scales, num_attributes, n * n)``: what each scale and weight multiplies."""
        kernel, rows = self.kernel, self.seen.design.rows
        factors = kernel.factors
        distances = factors.distances * kernel.same_slot
        scales = kernel.num_scales
        slots = [factors.slot_of == slot for slot in range(scales)] if scales > 1 else [slice(None)]
        return np.array(
            [
                [
                    (rows[:, own] @ distance[own][:, own] @ rows[:, own].T).ravel()
                    for distance in distances
                ]
                for own in slots
            ]
        )
