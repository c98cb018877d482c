"""Promotion: which candidates get longer trainings, or more of them, asynchronously (MO-ASHA).

A rung is a number of epochs and of seeds. Whoever finishes one is ranked among all that have, and
the best share may climb to the next; nobody waits for a rung to fill. Successive halving made
asynchronous is Li et al. 2020 (ASHA), several objectives by non-dominated sorting Schmucker et
al. 2021 (arXiv 2106.12639). Here costs are exact and known before the first training, so that
accuracy alone is uncertain, and only a difference beyond the noise of seeds counts.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from se_search.analysis.statistics import pooled_variance
from se_search.errors import RunError
from se_search.record import ENDED_WELL, Rung, TrialRecord

Training = tuple[int, int]  # epochs, seed


@dataclass(frozen=True, slots=True)
class Estimate:
    """An accuracy after the full budget, as far as it is known.

    Attributes:
        accuracy: share, 0..1; only differences between candidates of one rung matter.
        sd: standard error of ``accuracy``; 0 where nothing is known of it.
    """

    accuracy: float
    sd: float


# From all trials of a study, in any state, to estimates by the candidates' keys.
Scorer = Callable[[Sequence[TrialRecord]], Mapping[str, Estimate]]


@dataclass(frozen=True, slots=True)
class Standing:
    """A candidate that has finished a rung.

    Attributes:
        costs: what it costs, each to be minimised; exact.
        is_promoted: whether it has begun a training beyond the rung.
    """

    key: str
    estimate: Estimate
    costs: tuple[float, ...]
    is_promoted: bool = False


@dataclass(frozen=True, slots=True)
class Promotion:
    """How candidates are chosen for the next rung.

    Attributes:
        eta: the best ``1 / eta`` of those that have finished a rung may climb.
        z: the noise band of two candidates is ``z`` standard errors of their difference.
        score: estimates accuracies from all trials; candidates that it leaves out stay where
            they are. None: the sampler's estimates if it makes any, else the mean accuracy at
            the rung itself, see ``score_at``.
    """

    eta: int = 3
    z: float = 1.0
    score: Scorer | None = None

    def __post_init__(self) -> None:
        """Refuse a share that would promote everybody."""
        if self.eta < 2:
            raise RunError(f"eta {self.eta} is below 2: everybody would be promoted")


def parse_rungs(text: str, epochs: int) -> tuple[Rung, ...]:
    """Read ``off``, ``auto`` or rungs of epochs x seeds, as ``1x1,2x1,4x1,4x3``.

    ``off`` is one full training; ``auto`` a quarter, half and all of the epochs, with one seed.

    Raises:
        RunError: it is none of these, not ascending, or does not end at the full budget.
    """
    if text == "off":
        return (Rung(epochs, 1),)
    if text == "auto":
        steps = {max(1, epochs // 4), -(-epochs // 2), epochs}
        return tuple(Rung(step, 1) for step in sorted(steps))
    rungs = tuple(_parse_rung(part, text) for part in text.split(","))
    for lower, upper in pairwise(rungs):
        if upper <= lower:
            raise RunError(
                f"promotion {text!r}: {upper} after {lower}; epochs must ascend, and seeds where "
                "the epochs are the same"
            )
    if rungs[-1].epochs != epochs:
        raise RunError(
            f"promotion {text!r}: the last rung must be the full training, {epochs} epochs, as "
            f"{epochs}x{rungs[-1].seeds}"
        )
    return rungs


def _parse_rung(part: str, text: str) -> Rung:
    try:
        return Rung.parse(part)
    except ValueError as cause:
        raise RunError(
            f"promotion {text!r}: {part!r} is not EPOCHSxSEEDS, as 2x1; it takes off, auto, or "
            "rungs as 1x1,2x1,4x1"
        ) from cause


def promotable(standings: Iterable[Standing], eta: int = 3, z: float = 1.0) -> list[str]:
    """Return the keys of those that may climb now and have not yet, best first.

    One candidate beats another if it is no costlier in any cost and more accurate by more than
    the noise band, ``z * sqrt(sd1^2 + sd2^2)``; with one seed sd and K seeds each that is
    ``z * sd * sqrt(2 / K)``. Without a band this is Pareto dominance. Non-dominated sorting (Deb
    et al. 2002) makes fronts of it. Of n candidates the first ``ceil(n / eta)`` may climb: front
    by front; inside a front those first that none of its members beats when the band is left
    out; inside those the ones with the largest gap around them (crowding distance, over ranks
    among all n, so that neither units nor scales of costs matter).

    Over this quota goes whom noise alone keeps out: of the front that the quota cuts, each one
    that is no costlier, in any cost, than a member that is in, and less accurate by no more than
    their noise band.

    The result depends on the set of standings, not on their order.
    """
    ordered = sorted(standings, key=lambda standing: standing.key)
    if not ordered:
        return []
    field = _Field(ordered, z)
    best = field.best(math.ceil(len(ordered) / eta))
    return [ordered[index].key for index in best if not ordered[index].is_promoted]


class _Field:
    """All who have finished a rung, by position."""

    def __init__(self, standings: Sequence[Standing], z: float) -> None:
        self.accuracies = np.array([s.estimate.accuracy for s in standings], np.float64)
        errors = np.array([s.estimate.sd for s in standings], np.float64)
        self.costs = np.array([s.costs for s in standings], np.float64).reshape(len(standings), -1)
        self.bands = z * np.hypot(errors[:, None], errors[None, :])

    @cached_property
    def is_no_costlier(self) -> NDArray[np.bool_]:
        """``(n, n)``: whether the first costs no more than the second, in any cost."""
        return np.asarray((self.costs[:, None] <= self.costs[None, :]).all(axis=2))

    @cached_property
    def ranks(self) -> NDArray[np.int64]:
        """``(n, 1 + num_costs)``: how many candidates have a lower value."""
        columns = np.column_stack([self.accuracies, self.costs]).T
        return np.array([np.searchsorted(np.sort(c), c) for c in columns]).T

    def best(self, quota: int) -> list[int]:
        """Return the positions of the best, in order: the quota, and whom noise keeps out."""
        fronts = peel(self._beats(self.bands))
        plain = peel(self._beats(np.zeros_like(self.bands)))
        gaps = np.zeros(len(fronts))
        for pair in set(zip(fronts.tolist(), plain.tolist(), strict=True)):
            members = np.flatnonzero((fronts == pair[0]) & (plain == pair[1]))
            gaps[members] = crowding(self.ranks[members])
        order: list[int] = np.lexsort((-gaps, plain, fronts)).tolist()  # stable: then by key
        best = order[:quota]
        cut = fronts[best[-1]]
        inside = [index for index in best if fronts[index] == cut]
        return best + [
            index
            for index in order[quota:]
            if fronts[index] == cut and self._equals_one_of(index, inside)
        ]

    def _beats(self, bands: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return ``(n, n)``: whether the first beats the second, with these bands."""
        lead = self.accuracies[:, None] - (self.accuracies[None, :] + bands)
        is_cheaper = ~self.is_no_costlier.T  # somewhere, given that it is no costlier anywhere
        return np.asarray(self.is_no_costlier & ((lead > 0) | ((lead == 0) & is_cheaper)))

    def _equals_one_of(self, index: int, others: Sequence[int]) -> bool:
        reach = self.accuracies[index] + self.bands[index, others]
        is_within = (self.accuracies[others] - reach) <= 0
        return bool((self.is_no_costlier[index, others] & is_within).any())


def peel(beats: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the front of each: 0 for those whom nobody beats, 1 for the next, ...

    Args:
        beats: ``(n, n)``: whether the first beats the second; without cycles.
    """
    fronts = np.full(len(beats), -1, np.int64)
    left = np.ones(len(beats), np.bool_)
    while left.any():
        members = left & ~beats[left].any(axis=0)
        fronts[members] = fronts.max() + 1
        left &= ~members
    return fronts


def crowding(ranks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the gap around each point: infinite at either end of an objective (Deb et al. 2002).

    Args:
        ranks: ``(n, m)``, whole numbers.
    """
    gaps = np.zeros(len(ranks))
    for column in ranks.T:
        values, positions = np.unique(column, return_inverse=True)
        padded = np.concatenate([[-np.inf], values, [np.inf]])
        gaps += (padded[2:] - padded[:-2])[positions]
    return gaps


def score_at(rung: Rung) -> Scorer:
    """Return a scorer of mean accuracies after a rung's epochs.

    Their standard errors come from the standard deviation over seeds: pooled over the candidates
    at these epochs, or at all epochs if no candidate has two seeds there; 0 if none has anywhere.
    """

    def score(records: Sequence[TrialRecord]) -> Mapping[str, Estimate]:
        ended = [r for r in records if r.accuracy is not None and r.state in ENDED_WELL]
        groups = _accuracies(r for r in ended if r.epochs == rung.epochs)
        variance = pooled_variance(groups.values())
        if variance is None:
            variance = pooled_variance(_accuracies(ended).values()) or 0.0
        return {
            key: Estimate(statistics.fmean(values), (variance / len(values)) ** 0.5)
            for (key, _), values in groups.items()
        }

    return score


def _accuracies(records: Iterable[TrialRecord]) -> dict[tuple[str, int], list[float]]:
    """Return the accuracies over seeds, by candidate and epochs."""
    groups: dict[tuple[str, int], list[float]] = defaultdict(list)
    for record in records:
        if record.accuracy is not None:
            groups[record.key, record.epochs].append(record.accuracy)
    return groups


@dataclass(frozen=True)
class Ladder:
    """The rungs of a study, and what each asks of a candidate.

    Attributes:
        rungs: ascending; the last one is of full trainings.
        first_seed: of each candidate's first training.
    """

    rungs: tuple[Rung, ...]
    first_seed: int

    @property
    def full_epochs(self) -> int:
        """The budget of a full training."""
        return self.rungs[-1].epochs

    @cached_property
    def trainings(self) -> list[list[Training]]:
        """All that each rung asks for."""
        return [
            [(rung.epochs, self.first_seed + index) for index in range(rung.seeds)]
            for rung in self.rungs
        ]

    @cached_property
    def new_trainings(self) -> list[list[Training]]:
        """What each rung asks for and none below it."""
        below: set[Training] = set()
        new = []
        for asked in self.trainings:
            new.append([training for training in asked if training not in below])
            below.update(asked)
        return new

    def level(self, own: Iterable[TrialRecord]) -> int:
        """Return the highest rung that a candidate has finished, by its trials; -1: none."""
        ended = {(record.epochs, record.seed) for record in own if record.state in ENDED_WELL}
        levels = range(len(self.rungs))
        return max((k for k in levels if ended.issuperset(self.trainings[k])), default=-1)

    def next_training(self, own: Sequence[TrialRecord]) -> Training:
        """Return what a candidate that is proposed (again) trains, by its trials so far.

        That is the first training of the rungs above its own that it has not begun; if there is
        none, a further seed of the full budget.
        """
        taken = {(record.epochs, record.seed) for record in own}
        for asked in self.trainings[self.level(own) + 1 :]:
            for training in asked:
                if training not in taken:
                    return training
        num_full = sum(record.epochs == self.full_epochs for record in own)
        return self.full_epochs, self.first_seed + num_full

    def next_promotion(
        self, records: Sequence[TrialRecord], costs: Sequence[str], promotion: Promotion
    ) -> tuple[str, Training] | None:
        """Return who is to be promoted, as the text form, and its training; None: nobody.

        A rung that a candidate has begun comes first, until it is finished or one of its
        trainings has failed; then the best of the highest rung that has anybody to promote.

        Args:
            records: all trials of the study; trainings that run or wait count as begun.
            costs: the fields of the records that are minimised.
            promotion: how to choose.
        """
        if self.rungs == (Rung(self.full_epochs, 1),):
            return None
        groups: dict[str, list[TrialRecord]] = defaultdict(list)
        for record in records:
            groups[record.key].append(record)
        for own in groups.values():
            training = self._begun(own)
            if training is not None:
                return own[0].candidate, training
        for level in reversed(range(len(self.rungs) - 1)):
            keys = self._choose(level, groups, records, costs, promotion)
            if keys:
                own = groups[keys[0]]
                taken = {(record.epochs, record.seed) for record in own}
                missing = (t for t in self.new_trainings[level + 1] if t not in taken)
                return own[0].candidate, next(missing)
        return None

    def _begun(self, own: Sequence[TrialRecord]) -> Training | None:
        """Return the next training of the rung that a candidate is on its way to, if it is."""
        level = self.level(own) + 1
        if level == len(self.rungs):
            return None
        states = {(record.epochs, record.seed): record.state for record in own}
        asked = self.new_trainings[level]
        has_failed = any(states.get(training) == "FAIL" for training in self.trainings[level])
        if has_failed or not any(training in states for training in asked):
            return None
        return next((training for training in asked if training not in states), None)

    def _choose(
        self,
        level: int,
        groups: Mapping[str, Sequence[TrialRecord]],
        records: Sequence[TrialRecord],
        costs: Sequence[str],
        promotion: Promotion,
    ) -> list[str]:
        """Return the keys of those that may climb from a rung, best first."""
        beyond = {training for new in self.new_trainings[level + 1 :] for training in new}
        finished = {
            key: any((record.epochs, record.seed) in beyond for record in own)
            for key, own in groups.items()
            if self._has_finished(own, level)
        }
        if all(finished.values()):
            return []
        estimates = (promotion.score or score_at(self.rungs[level]))(records)
        standings = [
            Standing(
                key=key,
                estimate=estimates[key],
                costs=tuple(float(getattr(groups[key][0], name)) for name in costs),
                is_promoted=is_promoted,
            )
            for key, is_promoted in finished.items()
            if key in estimates
        ]
        return promotable(standings, promotion.eta, promotion.z)

    def _has_finished(self, own: Iterable[TrialRecord], level: int) -> bool:
        ended = {(record.epochs, record.seed) for record in own if record.state in ENDED_WELL}
        return ended.issuperset(self.trainings[level])
