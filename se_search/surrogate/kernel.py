"""The accuracy model's prior: a Gaussian process over candidates, budgets and replicates.

The accuracy of a training is what its candidate is worth, what its replicate does to it, and noise.

A candidate's worth after the full budget is a constant plus four independent terms: what each
slot's level adds by itself (``main``), what a level adds wherever it stands (``shared``, so that a
handful of trainings already tells whether narrow blocks do well), what sets the network without SE
apart from all others (``plain``: the first block, wherever it stands, may do most of what SE does),
and what is left, a product over the slots (``product``: all interactions). A shorter training
differs from a full one by terms of that kind: a budget may favour some levels over others, not only
be noisier.

A replicate moves all of its trainings of one budget alike (``level``), and favours some levels of
slots over others (``interaction``: the covariance of ``main`` and ``shared``, drawn independently
for each replicate). Noise is independent from training to training, with a variance for each
budget. Trainings of one replicate share its terms, so that their differences are known better than
their accuracies, and no number of them tells what another replicate will do.

The kernel over categories is that of Oh et al. 2019 (COMBO) and Ru et al. 2020 (CoCaBO) in
spirit: sums and products of level similarities, here with the attributes of SE blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from se_search.surrogate.features import Factors
from se_search.surrogate.rung_terms import (
    RungPriors,
    list_rung_parameters,
    score_errors,
    score_noise,
)
from se_search.surrogate.trainings import Array, Design

CONSTANT = 1.0
JITTER = 1e-6
MAX_SLOTS_WITH_OWN_SCALE = 16


@dataclass(frozen=True, slots=True)
class Priors:
    """What is expected of variances before any training.

    Each is the median, as a share of the variance within replicates, and the standard deviation of
    the logarithm.

    Attributes:
        main: of what each slot's level adds by itself.
        shared: of what a level adds wherever it stands.
        product: of all interactions of slots.
        plain: of what sets the network without SE apart from all others.
        level: of what a replicate does to all candidates alike.
        interaction: of what a replicate does to one candidate and not to another.
        noise: of a training about all that.
    """

    main: tuple[float, float]
    shared: tuple[float, float]
    product: tuple[float, float]
    plain: tuple[float, float] = (0.2, 1.2)
    level: tuple[float, float] = (0.4, 1.0)
    interaction: tuple[float, float] = (0.1, 0.6)
    noise: tuple[float, float] = (0.6, 1.0)


# What was measured of SE placements on Fashion-MNIST: in short trainings networks differ by 0.2
# points, replicates move all of them by 0.36 and each of them differently by 0.15, and noise is
# 0.45 (standard deviations); in studies of 19 networks x 9 replicates networks differ by 0.22,
# levels by 0.19, and the rest is 0.28. Intervals and decisions rest on it.
MEASURED = Priors((0.1, 0.8), (0.03, 1.0), (0.03, 1.0))
# A search begins by expecting that candidates differ and trainings tell: what turns out to be noise
# costs it a few trainings, and what it takes for noise it never finds. On NAS-Bench-201 it finds
# 0.80 of the hypervolume after 25 trainings, and 0.67 with what was measured of SE.
EXPLORING = Priors((0.5, 1.5), (0.5, 1.5), (0.5, 1.5), noise=(0.05, 1.5))


@dataclass(frozen=True)
class Kernel:
    """The prior covariance of accuracies, with its hyper-parameters (logarithms, ``values``).

    Attributes:
        factors: the slots and how alike their levels are.
        fidelity_gaps: for each budget ``log2(full / budget)``; the last is 0.
        values: the hyper-parameters, in the order of ``names``.
        has_replicates: whether trainings share replicates; if not, what a replicate does to a
            training is part of its noise.
        own_variances: ``(num_levels,)`` variance of what each level adds beyond the terms above,
            standardised accuracy squared; None: 0. Where it is large, a level is estimated freely.
        priors: of the variances.
        least_noise: variance below which no training's noise lies, standardised accuracy squared.
        rungs: priors of each rung whose scores are observed beside trainings; see ``rung_terms``.
    """

    factors: Factors
    fidelity_gaps: tuple[float, ...]
    values: Array = field(default_factory=lambda: np.zeros(0))
    has_replicates: bool = True
    own_variances: Array | None = None
    priors: Priors = MEASURED
    least_noise: float = 0.0
    rungs: tuple[RungPriors, ...] = ()

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
        num_scales = self.num_scales
        priors = self.priors
        rows = [
            ("variance_main", *priors.main),
            ("variance_shared", *priors.shared),
            ("variance_product", *priors.product),
            ("plain", *priors.plain),
        ]
        rows += [(f"contrast_{name}", 2.0, 1.0) for name in self.factors.attributes]
        rows += [(f"weight_{name}", 1.0, 0.7) for name in self.factors.attributes]
        rows += [(f"scale_{slot}", 0.3, 0.7) for slot in range(num_scales)]
        if len(self.fidelity_gaps) > 1:
            rows += [(f"drift_{term}", 0.1, 1.5) for term in ("main", "shared")]
        budgets = range(len(self.fidelity_gaps))
        if self.has_replicates:
            rows += [(f"level_{budget}", *priors.level) for budget in budgets]
            rows += [("interaction", *priors.interaction)]
        rows += [(f"noise_{budget}", *priors.noise) for budget in budgets]
        rows += list_rung_parameters(self.rungs)
        return [(name, float(np.log(median)), sd) for name, median, sd in rows]

    @property
    def num_scales(self) -> int:
        """How many scales of the product term there are: one a slot, or one for all."""
        slots = self.factors.num_slots
        return slots if slots <= MAX_SLOTS_WITH_OWN_SCALE else 1

    def with_values(self, values: Array) -> Kernel:
        """Return the kernel with other hyper-parameters."""
        return replace(self, values=values)

    def group(self, prefix: str) -> slice:
        """Return where the hyper-parameters stand whose names begin so."""
        at = [i for i, name in enumerate(self.names) if name.startswith(prefix)]
        return slice(at[0], at[-1] + 1) if at else slice(0, 0)

    def exp(self, prefix: str) -> Array:
        """Return the hyper-parameters whose names begin so, not their logarithms."""
        return np.asarray(np.exp(self.values[self.group(prefix)]))

    @cached_property
    def noise(self) -> Array:
        """``(num_budgets,)``: variance of a training's noise, standardised accuracy squared."""
        return np.maximum(self.exp("noise_"), self.least_noise)

    @cached_property
    def levels(self) -> Array:
        """``(num_budgets,)``: variance of a replicate's level, standardised accuracy squared."""
        return self.exp("level_")

    @cached_property
    def _similarity(self) -> Array:
        """``(num_levels, num_levels)``: how alike levels are, 0..1."""
        exponent = np.tensordot(self.exp("contrast_"), self.factors.distances, axes=1)
        return np.asarray(np.exp(-exponent))

    @cached_property
    def same_slot(self) -> NDArray[np.bool_]:
        """``(num_levels, num_levels)``: whether two levels are of one slot."""
        slot_of = self.factors.slot_of
        return np.asarray(slot_of[:, None] == slot_of[None, :])

    @cached_property
    def main_and_shared(self) -> tuple[Array, Array]:
        """Covariances between levels of the terms ``main`` and ``shared``, for variances of 1."""
        slots = self.factors.num_slots
        main = self._similarity * self.same_slot / slots
        return main, self._similarity * self.factors.is_comparable / slots**2

    @cached_property
    def additive(self) -> Array:
        """Covariance of the additive terms between levels, with their variances."""
        variances = self.exp("variance_")
        main, shared = self.main_and_shared
        additive = np.asarray(variances[0] * main + variances[1] * shared)
        return additive if self.own_variances is None else additive + np.diag(self.own_variances)

    @cached_property
    def main_share(self) -> float:
        """The share of ``main`` in the variance of the additive terms, 0..1."""
        main, shared, _ = self.exp("variance_")
        return float(main / (main + shared))

    @cached_property
    def liking(self) -> Array:
        """Covariance between levels of what one replicate does to them, with its variance."""
        main, shared = self.main_and_shared
        share = self.main_share
        return np.asarray(self.exp("interaction") * (share * main + (1 - share) * shared))

    @cached_property
    def drift(self) -> Array:
        """Covariance of the drift of short trainings between levels, with its variances."""
        variances = self.exp("drift_")
        main, shared = self.main_and_shared
        return np.asarray(variances[0] * main + variances[1] * shared)

    @cached_property
    def _exponent(self) -> Array:
        """What pairs of levels add to the exponent of the product term."""
        scales = self.exp("scale_")
        scale_of = scales[self.factors.slot_of if len(scales) > 1 else 0]
        weighted = np.tensordot(self.exp("weight_"), self.factors.distances, axes=1)
        return np.asarray(weighted * self.same_slot * scale_of)

    def between(self, left: Array, right: Array) -> Array:
        """Return the covariance of full-budget accuracies of two lists of candidates.

        Args:
            left: ``(n, num_levels)`` one-hot.
            right: ``(m, num_levels)`` one-hot; its type (float32 or float64) is the result's.
        """
        additive = (left @ self.additive).astype(right.dtype, copy=False) @ right.T
        additive += self.product(left, right)
        additive += right.dtype.type(CONSTANT)
        ends = np.ix_(self.factors.mark_plain(left), self.factors.mark_plain(right))
        additive[ends] += right.dtype.type(self.exp("plain")[0])
        return np.asarray(additive)

    def product(self, left: Array, right: Array) -> Array:
        """Return the covariance of the product term; arguments and type as of ``between``."""
        product = (left @ -self._exponent).astype(right.dtype, copy=False) @ right.T
        np.exp(product, out=product)
        product *= right.dtype.type(self.exp("variance_")[2])
        return np.asarray(product)

    def variance(self, rows: Array) -> Array:
        """Return the prior variance of full-budget accuracies, ``(n,)``."""
        additive = np.einsum("ij,ij->i", rows @ self.additive.astype(rows.dtype), rows)
        apart = float(self.exp("plain")[0]) * self.factors.mark_plain(rows)
        rest = float(self.exp("variance_")[2]) + CONSTANT
        return np.asarray(additive, np.float64) + apart + rest

    def noise_beyond_levels(self, rows: Array) -> Array:
        """Return the variance of a full training about its candidate and its level, ``(n,)``.

        Args:
            rows: ``(n, num_levels)`` one-hot.
        """
        noise: Array = np.full(len(rows), float(self.noise[-1]))
        return noise + self.liking_variance(rows) if self.has_replicates else noise

    def liking_variance(self, rows: Array) -> Array:
        """Return the variance of what a replicate does to a candidate beside its level, ``(n,)``.

        Args:
            rows: ``(n, num_levels)`` one-hot.
        """
        return np.asarray(np.einsum("ij,ij->i", rows @ self.liking.astype(rows.dtype), rows))

    def slopes(self, design: Design) -> Array:
        """Return by how much each observation rises with f, ``(n,)``: 1 for a training."""
        return np.asarray(np.append(self.exp("rung_slope_"), 1.0)[design.list_rungs()])

    def with_candidates(self, design: Design, rows: Array) -> Array:
        """Return the covariance of trainings and scores with candidates, ``(n, m)``.

        Args:
            design: trainings and scores.
            rows: ``(m, num_levels)`` one-hot; its type (float32 or float64) is the result's.
        """
        covariance = self.between(design.rows, rows)
        if design.rungs is not None:
            covariance *= self.slopes(design).astype(rows.dtype)[:, None]
        return covariance

    def among(self, design: Design) -> Array:
        """Return the covariance among ``n`` trainings and scores, noise included, ``(n, n)``."""
        rows, budgets = design.rows, design.budgets
        covariance = self.between(rows, rows)
        if design.rungs is not None:
            slopes = self.slopes(design)
            covariance *= slopes[:, None] * slopes
            covariance += score_errors(self, design, design)
        if len(self.fidelity_gaps) > 1:
            covariance += self.shared_gap(budgets) * (rows @ self.drift @ rows.T + CONSTANT)
        if self.has_replicates:
            covariance += design.is_one_replicate * (rows @ self.liking @ rows.T)
            covariance += design.is_one_replicate_and_budget * self.levels[budgets]
        covariance[np.diag_indices(len(rows))] += self.noise_of(design) + JITTER
        return covariance

    def noise_of(self, design: Design) -> Array:
        """Return the variance of each observation's noise, ``(n,)``."""
        noise = self.noise[design.budgets]
        if design.rungs is None:
            return np.asarray(noise)
        return np.where(design.is_training, noise, score_noise(self, design))

    def cross(self, one: Design, others: Design) -> Array:
        """Return the covariance of one training or score with others, ``(n,)``."""
        row, rows = one.rows[0], others.rows
        covariance = self.between(one.rows, rows)[0]
        if one.rungs is not None or others.rungs is not None:
            covariance *= self.slopes(one) * self.slopes(others)
            covariance += score_errors(self, one, others)[0]
        if len(self.fidelity_gaps) > 1:
            fidelity_gaps = np.array(self.fidelity_gaps)
            shared = np.minimum(fidelity_gaps[one.budgets[0]], fidelity_gaps[others.budgets])
            covariance = covariance + shared * (row @ self.drift @ rows.T + CONSTANT)
        if self.has_replicates:
            is_one = one.share_replicates(others)[0]
            covariance = covariance + is_one * (row @ self.liking @ rows.T)
            covariance += is_one * (others.budgets == one.budgets[0]) * self.levels[one.budgets[0]]
        return np.asarray(covariance)

    def shared_gap(self, budgets: NDArray[np.int64]) -> Array:
        """Return the log2 fidelity gap that each two trainings have in common, ``(n, n)``."""
        fidelity_gaps = np.array(self.fidelity_gaps)[budgets]
        return np.asarray(np.minimum(fidelity_gaps[:, None], fidelity_gaps[None, :]))


def log2_fidelity_gaps(budgets: Sequence[int]) -> tuple[float, ...]:
    """Return how far each budget is from the full one, the last: ``log2(full / budget)``."""
    return tuple(float(np.log2(budgets[-1] / budget)) for budget in budgets)
