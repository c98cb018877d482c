"""Promotion: which candidates get longer trainings, or more of them, asynchronously (MO-ASHA).

A rung is a number of epochs and a number of replicates. A candidate that finishes a rung is ranked
among all candidates that have finished it, and the best share may climb to the next rung; no
candidate waits for a rung to fill. Asynchronous successive halving is Li et al. 2020 (ASHA);
Schmucker et al. 2021 (arXiv 2106.12639) extend it to several objectives by non-dominated sorting.
Here costs are exact and known before the first training, so that accuracy alone is uncertain, and
only a difference beyond noise counts.
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

from se_search.analysis.levels import subtract_levels
from se_search.analysis.statistics import pooled_variance
from se_search.errors import RunError
from se_search.record import ENDED_WELL, Rung, TrialRecord


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimate of a candidate's accuracy after a full training.

    Attributes:
        accuracy: share of the validation images, 0..1; only differences between candidates of one
            rung matter.
        sd: standard error of ``accuracy``; 0 where it is not known.
    """

    accuracy: float
    sd: float


# From all trials of a run, in any state, to estimates by the candidates' keys.
Scorer = Callable[[Sequence[TrialRecord]], Mapping[str, Estimate]]


@dataclass(frozen=True, slots=True)
class Contender:
    """A candidate that has finished a rung.

    Attributes:
        costs: its exact costs; each is minimised.
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
        eta: the best ``1 / eta`` of the candidates that have finished a rung may climb.
        z: the noise band of two candidates is ``z`` standard errors of their difference.
        score: estimates accuracies from all trials; a candidate without an estimate is not
            promoted. None: the sampler's estimates if it makes any, else the mean accuracy at the
            rung itself, see ``score_at``.
    """

    eta: int = 3
    z: float = 1.0
    score: Scorer | None = None

    def __post_init__(self) -> None:
        """Refuse a share that would promote every candidate."""
        if self.eta < 2:
            raise RunError(f"eta {self.eta} is below 2: every candidate would be promoted")


def parse_rungs(text: str, epochs: int) -> tuple[Rung, ...]:
    """Read ``off``, ``auto`` or rungs of epochs x replicates, as ``1x1,2x1,4x1,4x3``.

    ``off`` is one full training; ``auto`` is a quarter, half and all of the epochs, in one
    replicate.

    Raises:
        RunError: the text is neither of the words nor a list of rungs, the rungs do not ascend, or
            the last one is not the full training.
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
                f"promotion {text!r}: {upper} after {lower}; epochs must ascend, and replicates "
                "where the epochs are equal"
            )
    if rungs[-1].epochs != epochs:
        raise RunError(
            f"promotion {text!r}: the last rung must be the full training, {epochs} epochs, as "
            f"{epochs}x{rungs[-1].replicates}"
        )
    return rungs


def _parse_rung(part: str, text: str) -> Rung:
    try:
        return Rung.parse(part)
    except ValueError as cause:
        raise RunError(
            f"promotion {text!r}: {part!r} is not EPOCHSxREPLICATES, as 2x1; it takes off, auto, "
            "or rungs as 1x1,2x1,4x1"
        ) from cause


def promotable(contenders: Iterable[Contender], eta: int = 3, z: float = 1.0) -> list[str]:
    """Return the keys of the contenders that may climb now and have not yet, best first.

    One contender beats another if it is no costlier in any cost and more accurate by more than
    the noise band, ``z * sqrt(sd1^2 + sd2^2)``; with one noise sd and K replicates each that is
    ``z * sd * sqrt(2 / K)``. Without a band this is Pareto dominance. Non-dominated sorting (Deb
    et al. 2002, sec. III-A) peels fronts by this relation. Of n contenders the first
    ``ceil(n / eta)`` may climb: front by front; inside a front the members first that no other
    member beats when the band is left out; among equals the one with the largest gap around it
    (crowding distance over ranks among all n, so that neither units nor scales of costs matter).

    A contender that noise alone keeps out climbs beyond this quota: in the front that the quota
    cuts, each contender that is no costlier, in any cost, than a member inside the quota, and less
    accurate than that member by no more than their noise band.

    The result depends on the set of contenders, not on their order.
    """
    ordered = sorted(contenders, key=lambda contender: contender.key)
    if not ordered:
        return []
    field = _Field(ordered, z)
    best = field.best(math.ceil(len(ordered) / eta))
    return [ordered[index].key for index in best if not ordered[index].is_promoted]


class _Field:
    """The contenders of a rung, by position."""

    def __init__(self, contenders: Sequence[Contender], z: float) -> None:
        self.accuracies = np.array([c.estimate.accuracy for c in contenders], np.float64)
        errors = np.array([c.estimate.sd for c in contenders], np.float64)
        costs = np.array([c.costs for c in contenders], np.float64)
        self.costs = costs.reshape(len(contenders), -1)
        self.bands = z * np.hypot(errors[:, None], errors[None, :])

    @cached_property
    def is_no_costlier(self) -> NDArray[np.bool_]:
        """``(n, n)``: whether the row's contender costs no more than the column's, in any cost."""
        return np.asarray((self.costs[:, None] <= self.costs[None, :]).all(axis=2))

    @cached_property
    def ranks(self) -> NDArray[np.int64]:
        """``(n, 1 + num_costs)``: how many contenders have a lower value."""
        columns = np.column_stack([self.accuracies, self.costs]).T
        return np.array([np.searchsorted(np.sort(c), c) for c in columns]).T

    def best(self, quota: int) -> list[int]:
        """Return the positions that may climb, best first: the quota, then those within noise."""
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
        """Return ``(n, n)``: whether the row's contender beats the column's, with these bands."""
        lead = self.accuracies[:, None] - (self.accuracies[None, :] + bands)
        is_cheaper = ~self.is_no_costlier.T  # somewhere, given that it is no costlier anywhere
        return np.asarray(self.is_no_costlier & ((lead > 0) | ((lead == 0) & is_cheaper)))

    def _equals_one_of(self, index: int, others: Sequence[int]) -> bool:
        reach = self.accuracies[index] + self.bands[index, others]
        is_within = (self.accuracies[others] - reach) <= 0
        return bool((self.is_no_costlier[index, others] & is_within).any())


def peel(beats: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the front of each member: 0 if none beats it, 1 if only members of front 0 do, ...

    Args:
        beats: ``(n, n)``: whether the row's member beats the column's; without cycles.
    """
    fronts = np.full(len(beats), -1, np.int64)
    left = np.ones(len(beats), np.bool_)
    while left.any():
        members = left & ~beats[left].any(axis=0)
        fronts[members] = fronts.max() + 1
        left &= ~members
    return fronts


def crowding(ranks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return each point's crowding distance; infinite at the ends (Deb et al. 2002, sec. III-B).

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
    """Return a scorer: the mean accuracy of each candidate after a rung's epochs.

    Accuracies are less the levels of their replicates after as many epochs. Standard errors come
    from the standard deviation over replicates, pooled over the candidates at the rung's epochs;
    if no candidate has two replicates there, pooled over all epochs; else they are 0.
    """

    def score(records: Sequence[TrialRecord]) -> Mapping[str, Estimate]:
        ended = [r for r in records if r.state in ENDED_WELL]
        own = _accuracies(ended, rung.epochs)
        variance = pooled_variance(own.values())
        if variance is None:
            groups = [_accuracies(ended, epochs) for epochs in {r.epochs for r in ended}]
            variance = pooled_variance(v for group in groups for v in group.values()) or 0.0
        return {
            key: Estimate(statistics.fmean(values), (variance / len(values)) ** 0.5)
            for key, values in own.items()
        }

    return score


def _accuracies(records: Iterable[TrialRecord], epochs: int) -> dict[str, list[float]]:
    """Return each candidate's accuracies after some epochs, less the levels of replicates."""
    known = [(r, r.accuracy) for r in records if r.epochs == epochs and r.accuracy is not None]
    levelled = subtract_levels(
        [accuracy for _, accuracy in known],
        [record.key for record, _ in known],
        [record.seed for record, _ in known],
    )
    groups: dict[str, list[float]] = defaultdict(list)
    for (record, _), accuracy in zip(known, levelled.tolist(), strict=True):
        groups[record.key].append(accuracy)
    return groups
