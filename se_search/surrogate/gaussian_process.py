"""The accuracy model: a Gaussian process over candidates, budgets and seeds.

The accuracy of a candidate after the full budget is a constant plus three independent terms: what
each slot's level adds by itself (``main``), what a level adds wherever it stands (``shared``, so
that a handful of trainings already tells whether narrow blocks do well), and what is left, a
product over the slots (``product``: all interactions). A shorter training differs from a full
one by terms of the same kind: a budget may favour some levels over others, not only be noisier.
Seeds are independent noise, a variance for each budget. All trainings are pooled.

The kernel over categories is that of Oh et al. 2019 (COMBO) and Ru et al. 2020 (CoCaBO) in
spirit: sums and products of level similarities, here with the attributes of SE blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

from se_search.surrogate.features import Factors

Array = NDArray[Any]  # float64, or float32 where a pool is large
CONSTANT = 1.0
JITTER = 1e-6
MAX_SLOTS_WITH_OWN_SCALE = 16
MAX_FITTED = 400
TAIL_QUANTILE = 0.25
TAIL_SCALE = 0.25


@dataclass(frozen=True)
class Trainings:
    """Finished trainings, in the order of their trials.

    Attributes:
        codes: ``(n, num_slots)``, the level of each slot.
        budgets: ``(n,)``, positions in the model's list of budgets; the last one is the full one.
        accuracies: ``(n,)``.
    """

    codes: NDArray[np.int16]
    budgets: NDArray[np.int64]
    accuracies: Array

    def __len__(self) -> int:
        return len(self.accuracies)

    def first(self, count: int) -> Trainings:
        """Return the first ``count`` trainings."""
        return Trainings(self.codes[:count], self.budgets[:count], self.accuracies[:count])


@dataclass(frozen=True)
class Scale:
    """How accuracies are brought to a common scale: poor ones compressed, then mean 0 and sd 1.

    A network that hardly trains is as far from the front as one that does not train at all; left
    as they are, such accuracies would take all of the model's attention. Below a quantile of its
    budget's accuracies the distance to it is replaced by its logarithm.

    Attributes:
        floors: for each budget the accuracy below which distances are compressed.
        width: the distance, in accuracy, at which compression sets in.
        mean: of the compressed accuracies.
        sd: of the compressed accuracies.
    """

    floors: Array
    width: float
    mean: float
    sd: float

    @classmethod
    def fit(cls, trainings: Trainings, num_budgets: int, num_starts: int) -> Scale:
        """Fit the scale to trainings; at least one is needed.

        Args:
            trainings: all that have finished.
            num_budgets: how many budgets there are.
            num_starts: how many of each budget's first trainings set its floor: the later ones
                were chosen for being good.
        """
        floors = np.full(num_budgets, -np.inf)
        spreads = []
        for budget in range(num_budgets):
            own = trainings.accuracies[trainings.budgets == budget][:num_starts]
            if len(own):
                floors[budget] = np.quantile(own, TAIL_QUANTILE)
                spreads.append(np.quantile(own, 0.75) - floors[budget])
        width = TAIL_SCALE * max(float(np.mean(spreads)), 1e-9)
        compressed = compress_tail(trainings.accuracies, floors[trainings.budgets], width)
        centred = compressed.copy()
        for budget in range(num_budgets):
            own_budget = trainings.budgets == budget
            if own_budget.any():
                centred[own_budget] -= compressed[own_budget].mean()
        full = trainings.budgets == num_budgets - 1
        mean = float(compressed[full].mean() if full.any() else compressed.mean())
        return cls(floors, width, mean, max(float(centred.std()), 1e-9))

    def apply(self, accuracies: Array, budgets: NDArray[np.int64]) -> Array:
        """Return standardised accuracies; higher is better."""
        return (compress_tail(accuracies, self.floors[budgets], self.width) - self.mean) / self.sd

    @property
    def floor(self) -> float:
        """The full budget's floor, standardised."""
        floor = self.floors[-1] if np.isfinite(self.floors[-1]) else self.floors.max()
        return (float(floor) - self.mean) / self.sd

    def undo(self, values: Array) -> Array:
        """Return accuracies of values above the floor; below it they stay compressed."""
        return values * self.sd + self.mean


def compress_tail(accuracies: Array, floors: Array, width: float) -> Array:
    """Return accuracies in which distances below the floor are replaced by their logarithm."""
    below = np.maximum(np.where(np.isfinite(floors), floors - accuracies, 0.0), 0.0)
    return np.asarray(accuracies + below - width * np.log1p(below / width))


@dataclass(frozen=True)
class Kernel:
    """The prior covariance of accuracies, with its hyper-parameters (logarithms, ``values``).

    Attributes:
        factors: the slots and how alike their levels are.
        fidelity_gaps: for each budget ``log2(full / budget)``; the last is 0.
        values: the hyper-parameters, in the order of ``names``.
    """

    factors: Factors
    fidelity_gaps: tuple[float, ...]
    values: Array = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        if not len(self.values):
            object.__setattr__(self, "values", self.prior[:, 0].copy())

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What each hyper-parameter is."""
        return tuple(name for name, _, _ in self._hyper_parameters)

    @cached_property
    def prior(self) -> Array:
        """``(num, 2)``: mean and standard deviation of each logarithm."""
        return np.array([[mean, sd] for _, mean, sd in self._hyper_parameters])

    @cached_property
    def _hyper_parameters(self) -> list[tuple[str, float, float]]:
        num_scales = self._num_scales
        rows = [(f"variance_{term}", np.log(0.5), 1.5) for term in ("main", "shared", "product")]
        rows += [(f"contrast_{name}", np.log(2.0), 1.0) for name in self.factors.attributes]
        rows += [(f"weight_{name}", 0.0, 0.7) for name in self.factors.attributes]
        rows += [(f"scale_{slot}", np.log(0.3), 0.7) for slot in range(num_scales)]
        if len(self.fidelity_gaps) > 1:
            rows += [(f"drift_{term}", np.log(0.1), 1.5) for term in ("main", "shared")]
        rows += [
            (f"noise_{budget}", np.log(0.05), 1.5) for budget in range(len(self.fidelity_gaps))
        ]
        return rows

    @property
    def _num_scales(self) -> int:
        slots = self.factors.num_slots
        return slots if slots <= MAX_SLOTS_WITH_OWN_SCALE else 1

    def with_values(self, values: Array) -> Kernel:
        """Return the kernel with other hyper-parameters."""
        return Kernel(self.factors, self.fidelity_gaps, values)

    def _group(self, prefix: str) -> slice:
        at = [i for i, name in enumerate(self.names) if name.startswith(prefix)]
        return slice(at[0], at[-1] + 1) if at else slice(0, 0)

    def _exp(self, prefix: str) -> Array:
        return np.asarray(np.exp(self.values[self._group(prefix)]))

    @cached_property
    def noise(self) -> Array:
        """``(num_budgets,)``: variance of a training's seed, standardised accuracy squared."""
        return self._exp("noise_")

    @cached_property
    def _similarity(self) -> Array:
        """``(num_levels, num_levels)``: how alike levels are, 0..1."""
        exponent = np.tensordot(self._exp("contrast_"), self.factors.distances, axes=1)
        return np.asarray(np.exp(-exponent))

    @cached_property
    def _same_slot(self) -> NDArray[np.bool_]:
        slot_of = self.factors.slot_of
        return np.asarray(slot_of[:, None] == slot_of[None, :])

    @cached_property
    def _main_and_shared(self) -> tuple[Array, Array]:
        slots = self.factors.num_slots
        main = self._similarity * self._same_slot / slots
        return main, self._similarity * self.factors.is_comparable / slots**2

    @cached_property
    def _additive(self) -> Array:
        """Covariance of the additive terms between levels, with their variances."""
        variances = self._exp("variance_")
        main, shared = self._main_and_shared
        return np.asarray(variances[0] * main + variances[1] * shared)

    @cached_property
    def _drift(self) -> Array:
        variances = self._exp("drift_")
        main, shared = self._main_and_shared
        return np.asarray(variances[0] * main + variances[1] * shared)

    @cached_property
    def _exponent(self) -> Array:
        """What pairs of levels add to the exponent of the product term."""
        scales = self._exp("scale_")
        scale_of = scales[self.factors.slot_of if len(scales) > 1 else 0]
        weighted = np.tensordot(self._exp("weight_"), self.factors.distances, axes=1)
        return np.asarray(weighted * self._same_slot * scale_of)

    def between(self, left: Array, right: Array) -> Array:
        """Return the covariance of full-budget accuracies of two lists of candidates.

        Args:
            left: ``(n, num_levels)`` one-hot.
            right: ``(m, num_levels)`` one-hot; its type (float32 or float64) is the result's.
        """
        variance = right.dtype.type(self._exp("variance_")[2])
        additive = (left @ self._additive).astype(right.dtype, copy=False) @ right.T
        product = (left @ -self._exponent).astype(right.dtype, copy=False) @ right.T
        np.exp(product, out=product)
        product *= variance
        additive += product
        additive += right.dtype.type(CONSTANT)
        return np.asarray(additive)

    def variance(self, rows: Array) -> Array:
        """Return the prior variance of full-budget accuracies, ``(n,)``."""
        additive = np.einsum("ij,ij->i", rows @ self._additive.astype(rows.dtype), rows)
        return np.asarray(additive, np.float64) + float(self._exp("variance_")[2]) + CONSTANT

    def among(self, rows: Array, budgets: NDArray[np.int64]) -> Array:
        """Return the covariance among trainings ``(n, n)``, seeds' noise included."""
        covariance = self.between(rows, rows)
        if len(self.fidelity_gaps) > 1:
            covariance += self._shared_gap(budgets) * (rows @ self._drift @ rows.T + CONSTANT)
        covariance[np.diag_indices(len(rows))] += self.noise[budgets] + JITTER
        return covariance

    def cross(self, one: Array, budget: int, rows: Array, budgets: NDArray[np.int64]) -> Array:
        """Return the covariance of one training (``(num_levels,)``) with others, ``(n,)``."""
        covariance = self.between(one[None], rows)[0]
        if len(self.fidelity_gaps) > 1:
            fidelity_gaps = np.array(self.fidelity_gaps)
            shared = np.minimum(fidelity_gaps[budget], fidelity_gaps[budgets])
            covariance = covariance + shared * (one @ self._drift @ rows.T + CONSTANT)
        return np.asarray(covariance)

    def _shared_gap(self, budgets: NDArray[np.int64]) -> Array:
        fidelity_gaps = np.array(self.fidelity_gaps)[budgets]
        return np.asarray(np.minimum(fidelity_gaps[:, None], fidelity_gaps[None, :]))

    def fit(self, rows: Array, budgets: NDArray[np.int64], values: Array) -> Kernel:
        """Return the kernel with the most probable hyper-parameters (marginal likelihood x prior).

        Of many trainings ``MAX_FITTED``, evenly spread, are taken.

        Args:
            rows: ``(n, num_levels)`` one-hot.
            budgets: ``(n,)``.
            values: ``(n,)`` standardised accuracies.
        """
        if len(rows) > MAX_FITTED:
            some = np.linspace(0, len(rows) - 1, MAX_FITTED).astype(np.int64)
            rows, budgets, values = rows[some], budgets[some], values[some]
        likelihood = _Likelihood(self, rows, budgets, values)
        start = self.prior[:, 0]
        found = minimize(likelihood, start, jac=True, method="L-BFGS-B", options={"maxiter": 40})
        return self.with_values(np.asarray(found.x))


class _Likelihood:
    """The negative log posterior density of hyper-parameters, with its gradient."""

    def __init__(
        self, kernel: Kernel, rows: Array, budgets: NDArray[np.int64], values: Array
    ) -> None:
        self.kernel = kernel
        self.rows = rows
        self.budgets = budgets
        self.values = values
        self.span = kernel._shared_gap(budgets) if len(kernel.fidelity_gaps) > 1 else None
        factors = kernel.factors
        distances = factors.distances * kernel._same_slot
        scales = kernel._num_scales
        slots = [factors.slot_of == slot for slot in range(scales)] if scales > 1 else [slice(None)]
        # (num_scales, num_attributes, n * n): what each scale and weight multiplies.
        self.parts = np.array(
            [
                [
                    (rows[:, own] @ distance[own][:, own] @ rows[:, own].T).ravel()
                    for distance in distances
                ]
                for own in slots
            ]
        )

    def __call__(self, values: Array) -> tuple[float, Array]:
        kernel = self.kernel.with_values(values)
        rows, count = self.rows, len(self.rows)
        covariance = kernel.among(rows, self.budgets)
        try:
            factor = cholesky(covariance, lower=True)
        except np.linalg.LinAlgError:
            return 1e10, np.zeros_like(values)
        inverse = cho_solve((factor, True), np.eye(count))
        solved = inverse @ self.values
        density = 0.5 * self.values @ solved + np.log(np.diag(factor)).sum()
        slope = 0.5 * (inverse - np.outer(solved, solved))
        gradient = np.zeros_like(values)

        def put(prefix: str, found: Any) -> None:
            gradient[kernel._group(prefix)] += found

        variances = kernel._exp("variance_")
        main, shared = kernel._main_and_shared
        # Sums over pairs of trainings, gathered by their levels.
        by_level = rows.T @ slope @ rows
        weights, scales = kernel._exp("weight_"), kernel._exp("scale_")
        exponent = np.tensordot(scales, np.tensordot(weights, self.parts, axes=(0, 1)), axes=1)
        product = slope.ravel() * (variances[2] * np.exp(-exponent))
        put(
            "variance_",
            [
                variances[0] * (by_level * main).sum(),
                variances[1] * (by_level * shared).sum(),
                product.sum(),
            ],
        )
        additive = kernel._additive * by_level
        if self.span is not None:
            drifted = rows.T @ (slope * self.span) @ rows
            drifts = kernel._exp("drift_")
            put(
                "drift_", [drifts[0] * (drifted * main).sum(), drifts[1] * (drifted * shared).sum()]
            )
            additive = additive + kernel._drift * drifted
        contrasts = kernel._exp("contrast_")
        distances = kernel.factors.distances
        put("contrast_", -contrasts * np.tensordot(distances, additive, axes=2))
        pulls = self.parts @ product
        put("weight_", -weights * (scales @ pulls))
        put("scale_", -scales * (pulls @ weights))
        noise = np.bincount(
            self.budgets, weights=np.diag(slope), minlength=len(kernel.fidelity_gaps)
        )
        put("noise_", kernel.noise * noise)
        offset = (values - kernel.prior[:, 0]) / kernel.prior[:, 1]
        return float(density + 0.5 * offset @ offset), gradient + offset / kernel.prior[:, 1]


class Posterior:
    """The model's belief about the full-budget accuracies of a pool, given trainings.

    Trainings are added one by one (or the first ones together) and taken away from the end, at a
    price of ``pool x trainings`` each. What is believed depends on the trainings and their order
    alone, to the bit.

    Args:
        kernel: with its hyper-parameters.
        pool: ``(m, num_levels)`` one-hot, float32.
        rows: ``(n, num_levels)`` one-hot of the first trainings.
        budgets: ``(n,)``.
    """

    def __init__(
        self, kernel: Kernel, pool: NDArray[np.float32], rows: Array, budgets: NDArray[np.int64]
    ) -> None:
        self.kernel = kernel
        self.pool = pool
        count = len(rows)
        self._rows, self._budgets = rows, budgets
        self._factor = cholesky(kernel.among(rows, budgets), lower=True)
        self._projected = np.empty((max(2 * count, 64), len(pool)), np.float32)
        self._num_base = self._count = count
        prior = kernel.variance(pool)
        for begin in range(0, len(pool), 65536):
            part = slice(begin, begin + 65536)
            self._projected[:count, part] = solve_triangular(
                self._factor.astype(np.float32),
                kernel.between(rows, pool[part]),
                lower=True,
                check_finite=False,
            )
        self._base_variance = prior - _sum_squares(self._projected[:count])
        self._variance = self._base_variance.copy()

    def __len__(self) -> int:
        return self._count

    def same_as(self, rows: Array, budgets: NDArray[np.int64]) -> int:
        """Return how many trainings from the first one on are the same as these."""
        count = min(len(self), len(rows))
        same = (self._rows[:count] == rows[:count]).all(axis=1)
        same &= self._budgets[:count] == budgets[:count]
        return count if same.all() else int(np.argmin(same))

    def append(self, row: Array, budget: int) -> None:
        """Add a training; its accuracy is given later, to ``mean``."""
        covariance = self.kernel.cross(row, budget, self._rows, self._budgets)
        own = self.kernel.among(row[None], np.array([budget]))[0, 0]
        link = solve_triangular(self._factor, covariance, lower=True, check_finite=False)
        pivot = np.sqrt(max(own - link @ link, JITTER))
        count = self._count
        factor = np.zeros((count + 1, count + 1))
        factor[:count, :count] = self._factor
        factor[count, :count] = link
        factor[count, count] = pivot
        if count == len(self._projected):
            grown = np.empty((2 * count, len(self.pool)), np.float32)
            grown[:count] = self._projected
            self._projected = grown
        new = self.kernel.between(row[None], self.pool)[0]
        new -= link.astype(np.float32) @ self._projected[:count]
        new /= np.float32(pivot)
        self._projected[count] = new
        self._variance -= new.astype(np.float64) ** 2
        self._factor = factor
        self._rows = np.vstack([self._rows, row])
        self._budgets = np.append(self._budgets, budget)
        self._count += 1

    def truncate(self, count: int) -> None:
        """Take away all trainings but the first ``count``, which must include the first block."""
        assert self._num_base <= count
        if count == self._count:
            return
        self._count = count
        self._factor = self._factor[:count, :count].copy()
        self._rows, self._budgets = self._rows[:count], self._budgets[:count]
        self._variance = self._base_variance.copy()
        for row in self._projected[self._num_base : count]:
            self._variance -= row.astype(np.float64) ** 2

    def mean(self, values: Array) -> Array:
        """Return the expected accuracies of the pool, standardised, ``(m,)``.

        Args:
            values: ``(n,)`` standardised accuracies of the first trainings; later ones are taken
                to end as expected.
        """
        given = len(values)
        factor = self._factor[:given, :given]
        weights = solve_triangular(factor, values, lower=True, check_finite=False)
        return np.asarray(weights.astype(np.float32) @ self._projected[:given], dtype=np.float64)

    @property
    def variance(self) -> Array:
        """The variances of the pool's full-budget accuracies, seeds' noise left out, ``(m,)``."""
        return np.asarray(np.maximum(self._variance, JITTER))

    def sample(
        self, members: NDArray[np.int64], values: Array, count: int, rng: np.random.Generator
    ) -> Array:
        """Draw accuracies of some of the pool together, standardised, ``(count, len(members))``."""
        given = len(values)
        projected = self._projected[:given, members].astype(np.float64)
        rows = self.pool[members].astype(np.float64)
        covariance = self.kernel.between(rows, rows) - projected.T @ projected
        covariance[np.diag_indices(len(members))] += 1e-5
        weights = solve_triangular(self._factor[:given, :given], values, lower=True)
        root = cholesky(covariance, lower=True)
        return np.asarray(weights @ projected + rng.standard_normal((count, len(members))) @ root.T)


def _sum_squares(rows: NDArray[np.float32]) -> Array:
    total = np.zeros(rows.shape[1])
    for row in rows:
        total += row.astype(np.float64) ** 2
    return total


def log2_fidelity_gaps(budgets: Sequence[int]) -> tuple[float, ...]:
    """Return how far each budget is from the full one, the last: ``log2(full / budget)``."""
    return tuple(float(np.log2(budgets[-1] / budget)) for budget in budgets)
