"""Whether a rung earns its place: does a shorter training foretell the order of full ones?

Accuracies are less the levels of their replicates, budget by budget: a candidate's short and full
trainings share replicates, whose levels would agree with themselves.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from se_search.analysis.least_squares import Contrast, Floats, Means, fit, rank
from se_search.analysis.levels import subtract_levels
from se_search.analysis.places import Place, read_places
from se_search.analysis.slot_levels import ANY_SE
from se_search.analysis.statistics import CONFIDENCE, pooled_variance
from se_search.candidate import Candidate
from se_search.record import ENDED_WELL, Rung, TrialRecord
from se_search.space.bound import BoundSpace

MIN_COMPARED = 5  # four candidates are in one order by chance once in 24 times
NUM_RESAMPLES = 2_000
SIGNIFICANT = 2.0  # standard errors from which on an effect has a sign


@dataclass(frozen=True, slots=True)
class WrongSign:
    """A slot whose SE helps after a rung's epochs and harms after the full ones, or vice versa.

    Attributes:
        slot: its name, or ``any SE``.
        here: what SE adds to the accuracy (0..1) after the rung's epochs.
        full: what SE adds to the accuracy after full trainings.
    """

    slot: str
    here: Contrast
    full: Contrast


@dataclass(frozen=True, slots=True)
class RungFinding:
    """What is known of a rung below the full training.

    Attributes:
        num_candidates: candidates that have finished the rung.
        num_compared: candidates that have finished the rung and have a full training; all other
            numbers are about these.
        tau: Kendall's tau-b between the mean over the rung's replicates and the mean over all full
            trainings (for a rung of full epochs: those beyond its own replicates); None: fewer
            than two candidates, or all equal.
        low: lower end of the 95 % bootstrap interval over candidates; None: too few candidates.
        high: upper end of that interval.
        ceiling: the tau to be expected of two numbers as noisy as these if the true orders were
            one; None: not known, as no candidate has two replicates at the rung, or in full.
        wrong_signs: slots that would mislead the search.
    """

    rung: Rung
    num_candidates: int
    num_compared: int
    tau: float | None
    low: float | None
    high: float | None
    ceiling: float | None
    wrong_signs: tuple[WrongSign, ...] = field(default=())

    @property
    def tau_star(self) -> float | None:
        """``tau`` over its ceiling; None where that is not known, or 0."""
        return self.tau / self.ceiling if self.tau is not None and self.ceiling else None

    @property
    def has_earned_its_place(self) -> bool | None:
        """Tell whether the whole interval of tau is above 0; None: too few candidates to tell."""
        return None if self.low is None else self.low > 0


def judge_rungs(
    records: Sequence[TrialRecord], rungs: Sequence[Rung], space: BoundSpace
) -> list[RungFinding]:
    """Judge each rung below the last one, which is of full trainings, on a run's trials.

    Args:
        records: trials in any state.
        rungs: ascending.
        space: that the candidates are of.

    Raises:
        SpaceError: a candidate is not in the space.
    """
    if len(rungs) < 2:
        return []
    trained = _group(records)
    full_epochs = rungs[-1].epochs
    signs = _Signs.of(trained, space)
    full_signs = signs.after(full_epochs)
    findings = []
    for rung in rungs[:-1]:
        wrong = []
        if rung.epochs < full_epochs:
            wrong = [
                WrongSign(slot, contrast, full_signs[slot])
                for slot, contrast in signs.after(rung.epochs).items()
                if slot in full_signs and _sign(contrast) * _sign(full_signs[slot]) < 0
            ]
        findings.append(_judge(rung, trained, full_epochs, tuple(wrong)))
    return findings


def kendall_tau_b(x: Floats, y: Floats) -> float:
    """Return Kendall's tau-b; NaN where one side is all ties (Kendall 1945)."""
    return float(weighted_taus(x, y, np.ones((1, len(x))))[0])


def noise_ceiling(reliability: float, other: float) -> float:
    """Return the tau to be expected of two noisy readings of one normally distributed truth.

    Args:
        reliability: share of the one reading's variance that is the truth's, 0..1.
        other: the other's. Their correlation is the root of the product, and tau follows from
            that (Greiner's relation).
    """
    return 2 / math.pi * math.asin(math.sqrt(reliability * other))


def tau_interval(x: Floats, y: Floats) -> tuple[float | None, float | None, float | None]:
    """Return tau-b and the ends of its 95 % bootstrap interval over the points.

    None instead of a number: it can't be told, as the points are too few or all equal.
    """
    if len(x) < 2 or math.isnan(tau := kendall_tau_b(x, y)):
        return None, None, None
    if len(x) < MIN_COMPARED:
        return tau, None, None
    return tau, *interval_of_resamples(weighted_taus(x, y, resample(len(x))))


def resample(num_points: int) -> Floats:
    """Return how often each point is in each bootstrap sample: ``(NUM_RESAMPLES, num_points)``."""
    rng = np.random.default_rng(0)
    shares = np.full(num_points, 1 / num_points)
    return rng.multinomial(num_points, shares, size=NUM_RESAMPLES).astype(np.float64)


def interval_of_resamples(values: Floats) -> tuple[float, float]:
    """Return the ends of the 95 % interval of a statistic's resamples; NaN ones are left out."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(values, [tail, 1 - tail])
    return float(low), float(high)


def weighted_taus(x: Floats, y: Floats, counts: Floats) -> Floats:
    """Return tau-b of the points, each taken ``counts[:, point]`` times: ``(len(counts),)``."""
    signs_x = np.sign(x[:, None] - x[None, :])
    signs_y = np.sign(y[:, None] - y[None, :])

    def total(matrix: Floats) -> Floats:
        return np.asarray(((counts @ matrix) * counts).sum(axis=1))

    untied = total(np.abs(signs_x)) * total(np.abs(signs_y))
    concordance = total(signs_x * signs_y)
    roots = np.sqrt(untied)
    return np.divide(concordance, roots, out=np.full_like(roots, np.nan), where=roots > 0)


def estimate_reliability(
    groups: Sequence[Sequence[float]], seed_variance: float | None
) -> float | None:
    """Return the share of the means' variance that is not the seeds' (intraclass correlation).

    Args:
        groups: the readings of each candidate.
        seed_variance: of the readings of one candidate; None: it is not known.
    """
    if seed_variance is None:
        return None
    variance = float(np.var(_means(groups), ddof=1))
    noise = seed_variance * float(np.mean([1 / len(group) for group in groups]))
    return max(0.0, 1 - noise / variance) if variance > 0 else 0.0


@dataclass(frozen=True)
class _Trained:
    """The accuracies of one candidate: by number of epochs, in the order of its trials."""

    text: str
    accuracies: Mapping[int, list[float]]


def _group(records: Iterable[TrialRecord]) -> list[_Trained]:
    groups: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    texts = {}
    ended = [r for r in records if r.state in ENDED_WELL and r.accuracy is not None]
    for epochs in {record.epochs for record in ended}:
        own = sorted((r for r in ended if r.epochs == epochs), key=lambda r: r.number)
        levelled = subtract_levels(
            [record.accuracy for record in own if record.accuracy is not None],
            [record.key for record in own],
            [record.seed for record in own],
        )
        for record, accuracy in zip(own, levelled.tolist(), strict=True):
            texts[record.key] = record.candidate
            groups[record.key][epochs].append(accuracy)
    return [_Trained(texts[key], groups[key]) for key in sorted(groups)]


def _judge(
    rung: Rung, trained: Sequence[_Trained], full_epochs: int, wrong: tuple[WrongSign, ...]
) -> RungFinding:
    finished = [t for t in trained if len(t.accuracies.get(rung.epochs, [])) >= rung.replicates]
    lower, upper = [], []
    for candidate in finished:
        own = candidate.accuracies[rung.epochs][: rung.replicates]
        full = candidate.accuracies.get(full_epochs, [])
        # What the rung shares with the full trainings would agree with itself.
        beyond = full[rung.replicates :] if rung.epochs == full_epochs else full
        if beyond:
            lower.append(own)
            upper.append(beyond)
    x, y = _means(lower), _means(upper)
    tau, low, high = tau_interval(x, y)
    ceiling = None
    if len(x) >= MIN_COMPARED:
        here = estimate_reliability(lower, _seed_variance(trained, rung.epochs))
        there = estimate_reliability(upper, _seed_variance(trained, full_epochs))
        if here is not None and there is not None:
            ceiling = noise_ceiling(here, there)
    return RungFinding(rung, len(finished), len(x), tau, low, high, ceiling, wrong)


def _seed_variance(trained: Sequence[_Trained], epochs: int) -> float | None:
    return pooled_variance(t.accuracies.get(epochs, []) for t in trained)


def _means(groups: Sequence[Sequence[float]]) -> Floats:
    return np.array([np.mean(group) for group in groups])


def _sign(contrast: Contrast) -> int:
    """Return -1 or 1 where a contrast is more than two standard errors from 0; else 0."""
    if abs(contrast.value) <= SIGNIFICANT * contrast.error:
        return 0
    return int(np.sign(contrast.value))


@dataclass(frozen=True)
class _Signs:
    """Finds what SE adds in each slot after some number of epochs.

    Attributes:
        trained: ``n`` candidates.
        places: in which these candidates differ.
        plain: text of the plain network.
    """

    trained: Sequence[_Trained]
    places: Sequence[Place]
    plain: str

    @classmethod
    def of(cls, trained: Sequence[_Trained], space: BoundSpace) -> _Signs:
        places = read_places(space, [one.text for one in trained]) if trained else []
        return cls(trained, places, str(Candidate.plain(space.backbone)))

    def after(self, epochs: int) -> dict[str, Contrast]:
        """Return what SE adds in each slot, by least squares over candidates' means.

        A slot whose effect can't be told from others' is left out. ``any SE`` is the mean of all
        that carry SE less the plain network's, where the plain network has been trained.
        """
        has = np.array([bool(one.accuracies.get(epochs)) for one in self.trained], bool)
        own = [one for one in self.trained if one.accuracies.get(epochs)]
        means = Means(
            _means([one.accuracies[epochs] for one in own]),
            np.array([float(len(one.accuracies[epochs])) for one in own]),
            _seed_variance(self.trained, epochs),
        )
        carries = {place.name: place.carries[has] for place in self.places}
        varied = {name: column for name, column in carries.items() if len(set(column.tolist())) > 1}
        found = _fit_places(varied, means)
        is_plain = np.array([one.text == self.plain for one in own], bool)
        others = means.values[~is_plain]
        if is_plain.any() and len(others) >= MIN_COMPARED:
            found[ANY_SE] = _compare_with_plain(means, is_plain)
        return found


def _fit_places(carries: Mapping[str, NDArray[np.bool_]], means: Means) -> dict[str, Contrast]:
    design = np.column_stack([np.ones(len(means.values)), *carries.values()])
    if not carries or len(design) - rank(design) < MIN_COMPARED:
        return {}
    fitted = fit(design, means)
    weights = np.eye(design.shape[1])[1:]
    found = {name: fitted.contrast(own) for name, own in zip(carries, weights, strict=True)}
    return {name: contrast for name, contrast in found.items() if contrast is not None}


def _compare_with_plain(means: Means, is_plain: NDArray[np.bool_]) -> Contrast:
    others = means.values[~is_plain]
    spread = float(np.var(others, ddof=1))
    # Without a second seed anywhere the plain network is as uncertain as any candidate.
    noise = spread if means.seed_variance is None else means.seed_variance
    error = math.sqrt(noise / float(means.counts[is_plain][0]) + spread / len(others))
    difference = float(others.mean() - means.values[is_plain][0])
    return Contrast(difference, error, len(others) - 1)
