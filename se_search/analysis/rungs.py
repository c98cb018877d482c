"""Whether a rung earns its place: does a shorter training foretell the order of full ones?"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from se_search.analysis.statistics import pooled_variance
from se_search.record import ENDED_WELL, Rung, TrialRecord

Floats = NDArray[np.float64]
MIN_COMPARED = 5  # four candidates are in one order by chance once in 24 times
NUM_RESAMPLES = 2_000
CONFIDENCE = 0.95
SIGNIFICANT = 2.0
ANY_SE = "any SE"
TOKEN = re.compile(r"s(\d+)(?:\.(\d+)(?:-(\d+))?)?:")


@dataclass(frozen=True, slots=True)
class Effect:
    """What carrying SE in a slot adds to accuracy, with its standard error."""

    size: float
    error: float

    @property
    def sign(self) -> int:
        """-1 or 1 where the effect is more than two standard errors; else 0."""
        return int(np.sign(self.size)) if abs(self.size) > SIGNIFICANT * self.error else 0


@dataclass(frozen=True, slots=True)
class WrongSign:
    """A slot in which SE helps after a rung's epochs and harms after the full ones, or v.v."""

    slot: str
    here: Effect
    full: Effect


@dataclass(frozen=True, slots=True)
class RungFinding:
    """What is known of a rung below the full training.

    Attributes:
        num_candidates: that have finished it.
        num_compared: those of them with a full training, which the rest is about.
        tau: Kendall's tau-b between the mean over the rung's seeds and the mean over all full
            trainings (for a rung of full epochs: those beyond its own seeds); None: fewer than
            two candidates, or all equal.
        low: of the 95 % bootstrap interval over candidates; None: too few candidates.
        high: of the same.
        ceiling: the tau that is to be expected of two such noisy numbers with one true order;
            None: not known, as no candidate has two seeds here, or none has in full.
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


def judge_rungs(records: Sequence[TrialRecord], rungs: Sequence[Rung]) -> list[RungFinding]:
    """Judge each rung below the last one, which is of full trainings, on a study's trials."""
    trained = _group(records)
    full_epochs = rungs[-1].epochs
    full_effects = find_effects(trained, full_epochs)
    findings = []
    for rung in rungs[:-1]:
        wrong = []
        if rung.epochs < full_epochs:
            here = find_effects(trained, rung.epochs)
            wrong = [
                WrongSign(slot, effect, full_effects[slot])
                for slot, effect in here.items()
                if slot in full_effects and effect.sign * full_effects[slot].sign < 0
            ]
        findings.append(_judge(rung, trained, full_epochs, tuple(wrong)))
    return findings


def kendall_tau_b(x: Floats, y: Floats) -> float:
    """Return Kendall's tau-b; NaN where one side is all ties (Kendall 1945)."""
    return float(_weighted_taus(x, y, np.ones((1, len(x))))[0])


def noise_ceiling(reliability: float, other: float) -> float:
    """Return the tau to be expected of two noisy readings of one normally distributed truth.

    Args:
        reliability: share of the one reading's variance that is the truth's, 0..1.
        other: the other's. Their correlation is the root of the product, and tau follows from
            that (Greiner's relation).
    """
    return 2 / math.pi * math.asin(math.sqrt(reliability * other))


@dataclass(frozen=True)
class _Trained:
    """The accuracies of one candidate: by number of epochs, in the order of their seeds."""

    placement: str
    accuracies: Mapping[int, list[float]]

    def mean(self, epochs: int) -> float | None:
        values = self.accuracies.get(epochs)
        return sum(values) / len(values) if values else None


def _group(records: Iterable[TrialRecord]) -> list[_Trained]:
    groups: dict[str, dict[int, list[float]]] = {}
    placements = {}
    for record in sorted(records, key=lambda record: record.seed):
        if record.state in ENDED_WELL and record.accuracy is not None:
            placements[record.key] = record.placement
            by_epochs = groups.setdefault(record.key, defaultdict(list))
            by_epochs[record.epochs].append(record.accuracy)
    return [_Trained(placements[key], groups[key]) for key in sorted(groups)]


def _judge(
    rung: Rung, trained: Sequence[_Trained], full_epochs: int, wrong: tuple[WrongSign, ...]
) -> RungFinding:
    finished = [t for t in trained if len(t.accuracies.get(rung.epochs, [])) >= rung.seeds]
    lower, upper = [], []
    for candidate in finished:
        own = candidate.accuracies[rung.epochs][: rung.seeds]
        full = candidate.accuracies.get(full_epochs, [])
        # What the rung shares with the full trainings would agree with itself.
        beyond = full[rung.seeds :] if rung.epochs == full_epochs else full
        if beyond:
            lower.append(own)
            upper.append(beyond)
    x, y = _means(lower), _means(upper)
    tau, low, high = _tau_interval(x, y)
    ceiling = None
    if len(x) >= MIN_COMPARED:
        here = _reliability(lower, _seed_variance(trained, rung.epochs))
        there = _reliability(upper, _seed_variance(trained, full_epochs))
        if here is not None and there is not None:
            ceiling = noise_ceiling(here, there)
    return RungFinding(rung, len(finished), len(x), tau, low, high, ceiling, wrong)


def _tau_interval(x: Floats, y: Floats) -> tuple[float | None, float | None, float | None]:
    if len(x) < 2 or math.isnan(tau := kendall_tau_b(x, y)):
        return None, None, None
    if len(x) < MIN_COMPARED:
        return tau, None, None
    rng = np.random.default_rng(0)
    counts = rng.multinomial(len(x), np.full(len(x), 1 / len(x)), size=NUM_RESAMPLES)
    taus = _weighted_taus(x, y, counts.astype(np.float64))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(taus, [tail, 1 - tail])
    return tau, float(low), float(high)


def _weighted_taus(x: Floats, y: Floats, counts: Floats) -> Floats:
    """Return tau-b of the points, each taken ``counts[:, point]`` times: ``(len(counts),)``."""
    signs_x = np.sign(x[:, None] - x[None, :])
    signs_y = np.sign(y[:, None] - y[None, :])

    def total(matrix: Floats) -> Floats:
        return np.asarray(((counts @ matrix) * counts).sum(axis=1))

    untied = total(np.abs(signs_x)) * total(np.abs(signs_y))
    concordance = total(signs_x * signs_y)
    roots = np.sqrt(untied)
    return np.divide(concordance, roots, out=np.full_like(roots, np.nan), where=roots > 0)


def _seed_variance(trained: Sequence[_Trained], epochs: int) -> float | None:
    return pooled_variance(t.accuracies.get(epochs, []) for t in trained)


def _reliability(groups: Sequence[Sequence[float]], seed_variance: float | None) -> float | None:
    """Return the share of the means' variance that is not the seeds' (intraclass correlation)."""
    if seed_variance is None:
        return None
    variance = float(np.var(_means(groups), ddof=1))
    noise = seed_variance * float(np.mean([1 / len(group) for group in groups]))
    return max(0.0, 1 - noise / variance) if variance > 0 else 0.0


def _means(groups: Sequence[Sequence[float]]) -> Floats:
    return np.array([np.mean(group) for group in groups])


def find_effects(trained: Sequence[_Trained], epochs: int) -> dict[str, Effect]:
    """Return what SE adds in each slot, by least squares over candidates' means.

    A slot is a stage, or a block where candidates differ within a stage. Slots whose effect can't
    be told from others' are left out. ``any SE`` is the mean of all that carry SE less the plain
    network's, where that has been trained.
    """
    means = {t.placement: mean for t in trained if (mean := t.mean(epochs)) is not None}
    placements = list(means)
    names, presence = _presence(placements)
    accuracies = np.array([means[placement] for placement in placements])
    effects = _least_squares(names, presence, accuracies)
    plain = [t for t in trained if not TOKEN.search(t.placement) and t.accuracies.get(epochs)]
    others = np.array([means[p] for p in placements if TOKEN.search(p)])
    if plain and len(others) >= MIN_COMPARED:
        seed_variance = _seed_variance(trained, epochs)
        spread = float(np.var(others, ddof=1))
        # Without a second seed anywhere the plain network is as uncertain as any candidate.
        noise = spread if seed_variance is None else seed_variance
        values = plain[0].accuracies[epochs]
        error = math.sqrt(noise / len(values) + spread / len(others))
        effects[ANY_SE] = Effect(float(others.mean() - np.mean(values)), error)
    return effects


def _presence(placements: Sequence[str]) -> tuple[list[str], Floats]:
    """Return the names of the slots, and ``(n, slots)``: 1 where a candidate carries SE."""
    carried = [_parse_placement(placement) for placement in placements]
    blocks: dict[int, set[int]] = defaultdict(set)
    for stages in carried:
        for stage, own in stages.items():
            blocks[stage].update(own or ())
    # None: all of a stage in which no candidate differs from block to block.
    slots: list[tuple[int, int | None]] = []
    for stage, named in sorted(blocks.items()):
        slots += [(stage, block) for block in sorted(named)] or [(stage, None)]
    names = [f"s{stage}" if block is None else f"s{stage}.{block}" for stage, block in slots]
    rows = [[float(_carries(stages, *slot)) for slot in slots] for stages in carried]
    return names, np.array(rows, np.float64).reshape(len(placements), len(slots))


def _carries(stages: Mapping[int, set[int] | None], stage: int, block: int | None) -> bool:
    own = stages.get(stage, set())
    return own is None or block in own


def _parse_placement(placement: str) -> dict[int, set[int] | None]:
    """Return the blocks that carry SE, by stage; None: all of them."""
    found: dict[int, set[int] | None] = {}
    for stage, first, last in TOKEN.findall(placement):
        if not first:
            found[int(stage)] = None
            continue
        own = found.setdefault(int(stage), set())
        if own is not None:
            own.update(range(int(first), int(last or first) + 1))
    return found


def _least_squares(names: Sequence[str], presence: Floats, accuracies: Floats) -> dict[str, Effect]:
    varies = np.flatnonzero(np.ptp(presence, axis=0) > 0) if len(presence) else np.array([], int)
    design = np.column_stack([np.ones(len(presence)), presence[:, varies]])
    freedom = len(design) - int(np.linalg.matrix_rank(design)) if len(design) else 0
    if not len(varies) or freedom < MIN_COMPARED:
        return {}
    inverse = np.linalg.pinv(design)
    coefficients = inverse @ accuracies
    residuals = accuracies - design @ coefficients
    errors = np.sqrt(np.sum(inverse**2, axis=1) * float(residuals @ residuals) / freedom)
    # A coefficient is determined if its unit vector lies in the row space of the design.
    determined = np.isclose(np.diag(inverse @ design), 1.0)
    return {
        names[slot]: Effect(float(coefficients[index]), float(errors[index]))
        for index, slot in enumerate(varies.tolist(), start=1)
        if determined[index]
    }
