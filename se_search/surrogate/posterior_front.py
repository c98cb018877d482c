"""The front with its uncertainty: what may be believed of each candidate after noisy trainings.

Costs are exact and accuracies are not: seeds move a training about as far as candidates differ, so
a front of plain means is mostly a list of lucky draws. Here one accuracy model
(``analysis.accuracy_model``) is fitted to all trainings, short and repeated ones included. Its
posterior gives each candidate's accuracy without the luck of its seeds (a shrunken estimate, with
an interval), and joint draws from it give how likely a candidate is on the front, the hypervolume
with an interval, and the band in which the best accuracy at each cost lies.

The reported front is that of the estimates; the credible set is all candidates that are on the
front in at least one draw of twenty (the others are confidently dominated).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import moocore
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from se_search.analysis.pareto import (
    CandidateSummary,
    front_probability,
    hypervolume,
    is_non_dominated,
    seed_sd,
    summarize,
)
from se_search.record import ENDED_WELL, TrialRecord

if TYPE_CHECKING:
    from se_search.surrogate.features import Factors
    from se_search.surrogate.gaussian_process import Kernel, Scale, Trainings

Array = NDArray[np.float64]

CONFIDENCE = 0.95
CREDIBLE = 0.05
MIN_TRAININGS = 8
NUM_DRAWS = 4_000
NUM_FIRST = 20
FENCE = 2.0
TAIL_SCALE = 0.25
JITTER = 1e-7
NUM_KERNELS = 20
BURN_IN = 20
THINNING = 4
# The share of the variance that seeds are expected to make, before any training, give or take the
# kernel's own wide range. The search takes a twentieth and learns more of it; where seeds make a
# quarter to a half, as with SE, and few candidates have two, that makes intervals too narrow: of
# 95 % ones 84 % held the truth after 50 trainings of random candidates, with this 90 % (the worlds
# interactions and rough of benchmarks/calibration.py).
NOISE_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class Interval:
    """A number that is not known exactly: its median, and the ends of its 95 % interval."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Step:
    """The best accuracy at a cost or less: median and 95 % interval over the draws."""

    cost: float
    median: float
    low: float
    high: float


@dataclass(frozen=True)
class CandidatePosterior:
    """What the model believes of the candidates that have a full training.

    Attributes:
        members: ``(n,)``, of each candidate its first full training, ascending.
        means: ``(n,)``, of its full trainings' accuracies.
        num_seeds: ``(n,)`` full trainings.
        estimates: ``(n,)`` posterior means of the true accuracy, 0..1.
        sds: ``(n,)`` their standard deviations, seeds' noise left out.
        lows: ``(n,)`` lower ends of 95 % intervals.
        highs: ``(n,)`` upper ends.
        probabilities: ``(n,)`` share of the draws in which the candidate is on the front.
        draws: ``(draws, n)`` joint draws of the true accuracies.
        noise_sd: standard deviation over seeds after a full training, as the model has it.
    """

    members: NDArray[np.int64]
    means: Array
    num_seeds: NDArray[np.int64]
    estimates: Array
    sds: Array
    lows: Array
    highs: Array
    probabilities: Array
    draws: Array
    noise_sd: float


@dataclass(frozen=True, slots=True)
class PosteriorCandidate:
    """A candidate with what is believed of its accuracy after a full training.

    Attributes:
        summary: plain means over its seeds; ``summary.on_front`` is by those.
        estimate: its accuracy without the luck of its seeds; the mean where there is no model.
        estimate_sd: how well that is known; None: not known.
        low: lower end of the 95 % interval; None: not known.
        high: upper end.
        probability_on_front: among all candidates that have a full training; None: not known.
        on_front: whether no other candidate has a better estimate at no higher cost.
    """

    summary: CandidateSummary
    estimate: float
    estimate_sd: float | None
    low: float | None
    high: float | None
    probability_on_front: float | None
    on_front: bool

    def flat(self) -> dict[str, Any]:
        """Return all as one row: a summary's fields, what is believed, both marks."""
        row = asdict(self.summary)
        on_plain_front = row.pop("on_front")
        return row | {
            "estimate": self.estimate,
            "estimate_sd": self.estimate_sd,
            "low": self.low,
            "high": self.high,
            "probability_on_front": self.probability_on_front,
            "on_plain_front": on_plain_front,
            "on_front": self.on_front,
        }


@dataclass(frozen=True, slots=True)
class PosteriorFront:
    """The front of a study, and how far it may be believed.

    Attributes:
        candidates: that have a full training, in the order of their first one.
        reason: why there is no model and all estimates are plain means; None: there is one.
        seed_sd: standard deviation over seeds, pooled over repeated candidates; None: not known.
        hypervolume: of all candidates; each cost's logarithm is scaled to 0..1 over them. With
            one cost that is the best accuracy at a cost less ``reference``, averaged over the
            logarithm of the cost. None: there is no model, or a cost does not vary.
        plain_hypervolume: the same of the plain means, which luck makes too great.
        reference: the accuracy from which hypervolume counts: that of the worst full training.
        attainment: by cost, the best accuracy at that cost or less; empty: there is no model.
    """

    candidates: tuple[PosteriorCandidate, ...]
    reason: str | None
    seed_sd: float | None
    hypervolume: Interval | None
    plain_hypervolume: float | None
    reference: float | None
    attainment: Mapping[str, tuple[Step, ...]]

    @property
    def front(self) -> list[PosteriorCandidate]:
        """The front by the estimates, cheapest first."""
        return _cheapest_first(c for c in self.candidates if c.on_front)

    @property
    def is_modelled(self) -> bool:
        """Whether estimates are a model's, and not plain means."""
        return self.reason is None

    @property
    def unlisted(self) -> list[PosteriorCandidate]:
        """The credible set without the front."""
        return [candidate for candidate in self.credible_set if not candidate.on_front]

    @property
    def credible_set(self) -> list[PosteriorCandidate]:
        """All that are on the front with a probability of at least 0.05, cheapest first."""
        return _cheapest_first(
            c for c in self.candidates if (c.probability_on_front or 0.0) >= CREDIBLE
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain data, from which ``from_json`` makes the same front to the bit."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PosteriorFront:
        """Make a front of what ``to_json`` returned.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        candidates = [
            PosteriorCandidate(**row | {"summary": CandidateSummary(**row["summary"])})
            for row in data["candidates"]
        ]
        area = data["hypervolume"]
        steps = {
            name: tuple(Step(**step) for step in own) for name, own in data["attainment"].items()
        }
        return cls(
            **dict(data)
            | {
                "candidates": tuple(candidates),
                "hypervolume": None if area is None else Interval(**area),
                "attainment": steps,
            }
        )


def compute_posterior(
    factors: Factors,
    trainings: Trainings,
    budgets: Sequence[int],
    costs: NDArray[np.float64],
    *,
    num_draws: int = NUM_DRAWS,
) -> CandidatePosterior:
    """Return what the accuracy model believes after some trainings.

    Args:
        factors: the slots of the space.
        trainings: ``n`` finished ones in the order of their trials; positions in ``budgets``.
        budgets: epochs, ascending, the full budget last.
        costs: ``(n, m)`` of each training's candidate, exact, minimised.
        num_draws: of the accuracies of all candidates together.

    Returns:
        A row for each candidate (each different row of codes) that has a full training; there
        must be one.
    """
    from se_search.surrogate.gaussian_process import MAX_FITTED, Kernel, log2_fidelity_gaps

    # One thread: sums depend on their number.
    with threadpool_limits(1):
        scale = _fit_scale(trainings, len(budgets))
        values = scale.apply(trainings.accuracies, trainings.budgets)
        rows = factors.one_hot(trainings.codes)
        groups = _Groups.of(trainings, rows, values)
        fitted = Kernel(factors, log2_fidelity_gaps(budgets)).fit(rows, trainings.budgets, values)
        rng = np.random.default_rng(0)
        kernels = _sample_kernels(fitted, groups.some(MAX_FITTED), rng)
        members, means, num_seeds = _pool(trainings, len(budgets) - 1)
        centres, variances, parts = [], [], []
        share = max(1, num_draws // len(kernels))
        for kernel in kernels:
            centre, covariance = _condition(kernel, groups, rows[members])
            normal = rng.standard_normal((share, len(members)))
            parts.append(centre + normal @ np.linalg.cholesky(covariance).T)
            centres.append(centre)
            variances.append(np.diag(covariance))
        draws = _undo(scale, np.concatenate(parts))
        _, low, high = _quantiles(draws)
        noise = np.mean([kernel.noise[-1] for kernel in kernels])
        return CandidatePosterior(
            members,
            means,
            num_seeds,
            _undo(scale, np.mean(centres, axis=0)),
            np.sqrt(np.var(centres, axis=0) + np.mean(variances, axis=0)) * scale.sd,
            low,
            high,
            front_probability(costs[members], draws),
            draws,
            float(np.sqrt(noise)) * scale.sd,
        )


def fit_front(
    records: Iterable[TrialRecord], objectives: Sequence[str], full_epochs: int
) -> PosteriorFront:
    """Return the credible front of a study's trials.

    What candidates carry is read from their texts. The order of the records does not matter. With
    fewer than eight trainings, or just one candidate, there is no model: estimates are plain
    means, and their intervals come from the seeds alone if any candidate has two.

    Args:
        records: trials in any state.
        objectives: ``accuracy``, and the costs that are minimised.
        full_epochs: of a full training; longer ones are left out.
    """
    ordered = sorted(records, key=lambda record: record.number)
    ended = [
        record
        for record in ordered
        if record.state in ENDED_WELL
        and record.accuracy is not None
        and (record.epochs < full_epochs or _is_full(record, full_epochs))
    ]
    full = [record for record in ended if _is_full(record, full_epochs)]
    summaries = summarize(full, objectives)
    names = [name for name in objectives if name != "accuracy"]
    if len(ended) < MIN_TRAININGS:
        return plain_front(summaries, f"fewer than {MIN_TRAININGS} trainings have ended")
    if len(summaries) < 2:
        return plain_front(summaries, "fewer than two candidates have a full training")
    from se_search.surrogate.gaussian_process import Trainings
    from se_search.surrogate.text_features import read_factors

    factors, codes = read_factors([record.candidate for record in ended])
    budgets = sorted({record.epochs for record in ended})
    trainings = Trainings(
        codes,
        np.array([budgets.index(record.epochs) for record in ended], np.int64),
        np.array([record.accuracy for record in ended], np.float64),
    )
    costs = np.array([[getattr(record, name) for name in names] for record in ended], np.float64)
    posterior = compute_posterior(factors, trainings, budgets, costs)
    worst = min(record.accuracy for record in full if record.accuracy is not None)
    return _summarize_posterior(posterior, summaries, costs[posterior.members], names, worst)


def plain_front(summaries: Sequence[CandidateSummary], reason: str) -> PosteriorFront:
    """Return the front of plain means, with intervals from the seeds alone (Student's t).

    Args:
        summaries: of all candidates that have a full training.
        reason: why there is no model.
    """
    noise, reach = seed_sd(summaries), None
    if noise is not None:
        from scipy.special import stdtrit

        freedom = sum(summary.num_seeds - 1 for summary in summaries)
        reach = float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) * noise
    candidates = []
    for summary in summaries:
        root = math.sqrt(summary.num_seeds)
        mean = summary.accuracy
        candidates.append(
            PosteriorCandidate(
                summary,
                mean,
                None if noise is None else noise / root,
                None if reach is None else max(0.0, mean - reach / root),
                None if reach is None else min(1.0, mean + reach / root),
                None,
                summary.on_front,
            )
        )
    return PosteriorFront(tuple(candidates), reason, noise, None, None, None, {})


def _is_full(record: TrialRecord, full_epochs: int) -> bool:
    return record.state == "COMPLETE" and record.epochs == full_epochs


def _summarize_posterior(
    posterior: CandidatePosterior,
    summaries: Sequence[CandidateSummary],
    costs: Array,
    names: Sequence[str],
    reference: float,
) -> PosteriorFront:
    # Both list candidates in the order of their first full training.
    on_front = is_non_dominated(np.column_stack([-posterior.estimates, costs]))
    candidates = [
        PosteriorCandidate(
            summary,
            float(posterior.estimates[row]),
            float(posterior.sds[row]),
            float(posterior.lows[row]),
            float(posterior.highs[row]),
            float(posterior.probabilities[row]),
            bool(on_front[row]),
        )
        for row, summary in enumerate(summaries)
    ]
    area = plain = None
    if (np.ptp(costs, axis=0) > 0).all():
        scaled = _scale_costs(costs)
        area = Interval(*_quantiles(_areas(scaled, posterior.draws, reference)).tolist())
        plain = float(_areas(scaled, posterior.means[None], reference)[0])
    attainment = {
        name: _attain(costs[:, column], posterior.draws) for column, name in enumerate(names)
    }
    return PosteriorFront(
        tuple(candidates), None, seed_sd(summaries), area, plain, reference, attainment
    )


def _fit_scale(trainings: Trainings, num_budgets: int) -> Scale:
    """Return a scale that compresses outliers alone.

    The search compresses the poorest quarter, which can't matter to the front. Intervals of those
    would mean nothing, and where candidates differ little, luck alone puts some there. So the
    floor lies two interquartile ranges below the lower quartile (after Tukey 1977) of each
    budget's first trainings: later ones were chosen for being good. One training that went wrong
    then widens all other intervals by a quarter instead of many times.
    """
    from se_search.surrogate.gaussian_process import Scale

    floors = np.full(num_budgets, -np.inf)
    spreads = [0.0]
    for budget in range(num_budgets):
        own = trainings.accuracies[trainings.budgets == budget][:NUM_FIRST]
        if len(own):
            low, high = np.quantile(own, [0.25, 0.75])
            spreads.append(float(high - low))
            floors[budget] = low - FENCE * (high - low) if high > low else -np.inf
    width = TAIL_SCALE * max(spreads) or 1.0
    compressed = Scale(floors, width, 0.0, 1.0).apply(trainings.accuracies, trainings.budgets)
    centred = compressed.copy()
    for budget in range(num_budgets):
        own_budget = trainings.budgets == budget
        centred[own_budget] -= compressed[own_budget].mean() if own_budget.any() else 0.0
    mean = float(compressed[trainings.budgets == num_budgets - 1].mean())
    return Scale(floors, width, mean, max(float(centred.std()), 1e-9))


@dataclass(frozen=True)
class _Groups:
    """Trainings, those of one candidate and budget together: all that a model asks of them.

    Attributes:
        rows: ``(n, num_levels)`` one-hot.
        budgets: ``(n,)``.
        means: ``(n,)`` of standardised accuracies.
        counts: ``(n,)`` trainings.
        squares: ``(n,)`` sums of squared distances from the mean.
    """

    rows: Array
    budgets: NDArray[np.int64]
    means: Array
    counts: Array
    squares: Array

    @classmethod
    def of(cls, trainings: Trainings, rows: Array, values: Array) -> _Groups:
        keys = np.column_stack([trainings.codes, trainings.budgets])
        _, first, group = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        group = group.ravel()
        counts = np.bincount(group).astype(np.float64)
        means = np.bincount(group, weights=values) / counts
        squares = np.asarray(np.bincount(group, (values - means[group]) ** 2), np.float64)
        order = np.argsort(first)
        at = first[order]
        return cls(rows[at], trainings.budgets[at], means[order], counts[order], squares[order])

    def some(self, limit: int) -> _Groups:
        """Return at most ``limit`` groups, evenly spread."""
        if len(self.rows) <= limit:
            return self
        at = np.linspace(0, len(self.rows) - 1, limit).astype(np.int64)
        return _Groups(
            self.rows[at], self.budgets[at], self.means[at], self.counts[at], self.squares[at]
        )

    def factor(self, kernel: Kernel) -> Array:
        """Return the Cholesky factor of the covariance among the means."""
        from scipy.linalg import cholesky

        covariance = kernel.among(self.rows, self.budgets)
        # The mean of k trainings has a k-th of the noise of one.
        covariance[np.diag_indices(len(self.rows))] -= kernel.noise[self.budgets] * (
            1 - 1 / self.counts
        )
        return np.asarray(cholesky(covariance, lower=True, check_finite=False))

    def log_likelihood(self, kernel: Kernel) -> float:
        """Return the log density of all trainings, up to a constant."""
        from scipy.linalg import solve_triangular

        factor = self.factor(kernel)
        weights = solve_triangular(factor, self.means, lower=True, check_finite=False)
        noise = kernel.noise[self.budgets]
        within = (self.counts - 1) * np.log(noise) + self.squares / noise
        return float(-0.5 * (weights @ weights + within.sum()) - np.log(np.diag(factor)).sum())


def _sample_kernels(kernel: Kernel, groups: _Groups, rng: np.random.Generator) -> list[Kernel]:
    """Draw kernels from the posterior of the hyper-parameters.

    The most probable one by itself would be too sure: few trainings leave open how much is noise
    and how much are interactions. Elliptical slice sampling (Murray et al. 2010, fig. 2), which
    needs no tuning where the prior is normal, from the most probable kernel on.
    """
    mean, sd = _prior(kernel).T
    height = groups.log_likelihood(kernel)
    kept = []
    for step in range(BURN_IN + THINNING * NUM_KERNELS):
        state = kernel.values - mean
        other = sd * rng.standard_normal(len(mean))
        level = height + np.log(rng.uniform())
        angle = rng.uniform(0, 2 * np.pi)
        low, high = angle - 2 * np.pi, angle
        while True:
            kernel = kernel.with_values(mean + state * np.cos(angle) + other * np.sin(angle))
            height = groups.log_likelihood(kernel)
            if height > level:
                break
            low, high = (angle, high) if angle < 0 else (low, angle)
            angle = rng.uniform(low, high)
        if step >= BURN_IN and (step - BURN_IN) % THINNING == 0:
            kept.append(kernel)
    return kept


def _prior(kernel: Kernel) -> Array:
    """Return mean and standard deviation of each hyper-parameter's logarithm, ``(num, 2)``."""
    prior = kernel.prior.copy()
    prior[[name.startswith("noise_") for name in kernel.names], 0] = np.log(NOISE_SHARE)
    return prior


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


def _condition(kernel: Kernel, groups: _Groups, members: Array) -> tuple[Array, Array]:
    """Return mean and covariance of candidates' full-budget accuracies, given trainings.

    As ``Posterior`` has it for a pool, in double precision: a candidate with many seeds is known
    so well that single precision would not do.
    """
    from scipy.linalg import solve_triangular

    factor = groups.factor(kernel)
    projected = solve_triangular(factor, kernel.between(groups.rows, members), lower=True)
    weights = solve_triangular(factor, groups.means, lower=True)
    covariance = kernel.between(members, members) - projected.T @ projected
    covariance[np.diag_indices(len(members))] += JITTER
    return weights @ projected, covariance


def _scale_costs(costs: Array) -> Array:
    """Return the logarithms of costs, 0 at the least and 1 at the greatest of each."""
    logs = np.log(costs)
    low, high = logs.min(axis=0), logs.max(axis=0)
    return np.asarray((logs - low) / (high - low))


def _areas(costs: Array, draws: Array, reference: float) -> Array:
    """Return the hypervolume of each draw over (1, ..., 1) and an accuracy, ``(draws,)``."""
    if costs.shape[1] == 1:
        return np.array([hypervolume(costs[:, 0], draw, (1.0, reference)) for draw in draws])
    point = [*np.ones(costs.shape[1]), -reference]
    measure = moocore.Hypervolume(ref=point)
    return np.array([measure(np.column_stack([costs, -draw])) for draw in draws])


def _attain(costs: Array, draws: Array) -> tuple[Step, ...]:
    """Return the best accuracy at each cost or less, where it can change."""
    order = np.argsort(costs, kind="stable")
    best = np.maximum.accumulate(draws[:, order], axis=1)
    last = np.append(np.flatnonzero(np.diff(costs[order])), len(costs) - 1)
    found = _quantiles(best[:, last])
    return tuple(
        Step(float(cost), *map(float, ends))
        for cost, *ends in zip(costs[order][last], *found, strict=True)
    )


def _quantiles(values: Array) -> Array:
    """Return median and interval ends over the first axis, stacked."""
    tail = (1 - CONFIDENCE) / 2
    return np.asarray(np.quantile(values, [0.5, tail, 1 - tail], axis=0))


def _undo(scale: Scale, values: Array) -> Array:
    """Return the accuracies (0..1) of standardised values: full ones, outliers stretched again."""
    accuracies = scale.undo(values)
    floor = float(scale.floors[-1])
    if np.isfinite(floor):
        # What is 50 widths deep is below 0 by far, and must not overflow.
        depth = np.clip((floor - accuracies) / scale.width, 0.0, 50.0)
        stretched = floor - scale.width * np.expm1(depth)
        accuracies = np.where(depth > 0, stretched, accuracies)
    return np.asarray(np.clip(accuracies, 0.0, 1.0))


def _cheapest_first(candidates: Iterable[PosteriorCandidate]) -> list[PosteriorCandidate]:
    return sorted(candidates, key=lambda c: (c.summary.params, c.summary.macs))
