"""The Pareto front: the candidates that no other one dominates in accuracy and costs."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import moocore
import numpy as np
from numpy.typing import NDArray

from se_search.analysis.statistics import pool_variances
from se_search.record import TrialRecord

Floors = Sequence[float] | None
"""For each cost, up to which difference two count as equal; None: all differences count."""


@dataclass(frozen=True, slots=True)
class CandidateSummary:
    """All complete trials of one candidate at one budget, pooled over seeds.

    Attributes:
        candidate: the text form.
        epochs: the budget of the pooled trials.
        accuracy: mean over the seeds, 0..1; with one seed it is one draw of a noisy number.
        accuracy_sd: standard deviation over the seeds; None for one seed.
        loss: mean over the seeds.
        num_replicates: number of trials.
        added_params_pct: added parameters in per cent of the plain backbone's.
        on_front: whether no other candidate's summary dominates this one.
        latency: nanoseconds of a batch; None: the run has measured none.
        added_latency: nanoseconds of the SE blocks.
    """

    candidate: str
    key: str
    placement: str
    epochs: int
    accuracy: float
    accuracy_sd: float | None
    loss: float
    num_replicates: int
    params: int
    added_params: int
    added_params_pct: float
    macs: int
    added_macs: int
    on_front: bool = False
    latency: int | None = None
    added_latency: int | None = None

    @property
    def added_latency_pct(self) -> float | None:
        """Time of the SE blocks in per cent of the plain network's; None: not measured."""
        if self.latency is None or self.added_latency is None:
            return None
        return 100.0 * self.added_latency / (self.latency - self.added_latency)


def summarize(
    records: Iterable[TrialRecord], objectives: Sequence[str], floors: Floors = None
) -> list[CandidateSummary]:
    """Pool the complete trials of each candidate and mark the front.

    Only trials of the largest budget of epochs count: a shorter training has another accuracy.

    Args:
        records: trials in any state.
        objectives: ``accuracy``, and the costs that are minimised.
        floors: for each cost, up to which difference two count as equal; None: none does.

    Returns:
        One summary a candidate, in the order of the candidates' first counted trials.
    """
    complete = [record for record in records if record.state == "COMPLETE"]
    epochs = max((record.epochs for record in complete), default=0)
    groups: dict[str, list[TrialRecord]] = {}
    for record in complete:
        if record.epochs == epochs:
            groups.setdefault(record.key, []).append(record)
    summaries = [_pool(group) for group in groups.values()]
    costs = _objective_costs(summaries, objectives)
    at = objectives.index("accuracy")
    marks = mark_front(-costs[:, at], np.delete(costs, at, axis=1), floors)
    return [
        replace(summary, on_front=bool(mark))
        for summary, mark in zip(summaries, marks, strict=True)
    ]


def seed_sd(summaries: Iterable[CandidateSummary]) -> float | None:
    """Return the standard deviation of accuracy over seeds, pooled over the candidates.

    Returns:
        None if no candidate has two trials.
    """
    repeated = [
        (s.num_replicates, s.accuracy_sd**2) for s in summaries if s.accuracy_sd is not None
    ]
    within = pool_variances([count for count, _ in repeated], [own for _, own in repeated])
    return None if within is None else within**0.5


def is_non_dominated(costs: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Mark the points that no other point dominates (Deb et al. 2002, sec. III-A).

    Args:
        costs: ``(n, m)``; every objective is minimised. Equal points do not dominate each other.
            A point with a NaN is never on the front.
    """
    marks = np.asarray(~np.isnan(costs).any(axis=1))
    if marks.any():
        marks[marks] = moocore.is_nondominated(_rank_columns(costs[marks]), keep_weakly=True)
    return marks


def _rank_columns(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ranks within each column, which have the dominance relations of the values.

    moocore 0.3 gives infinities a meaning of its own: it calls dominated points non-dominated, or
    crashes the process.
    """
    ranks = [np.unique(column, return_inverse=True)[1] for column in values.T]
    return np.array(ranks, float).T


def mark_front(
    accuracies: NDArray[np.float64], costs: NDArray[np.float64], floors: Floors = None
) -> NDArray[np.bool_]:
    """Mark the front of candidates, ``(n,)``, where small differences of a cost may not count.

    Args:
        accuracies: ``(n,)``, maximised.
        costs: ``(n, m)``, minimised.
        floors: see ``on_front``; None: all differences count, and equal points do not dominate
            each other.
    """
    if floors is None or not any(floors):
        return is_non_dominated(np.column_stack([-accuracies, costs]))
    marks: NDArray[np.bool_] = on_front(costs, accuracies[None], floors)[0]
    return marks


def front_probability(
    costs: NDArray[np.float64], samples: NDArray[np.float64], floors: Floors = None
) -> NDArray[np.float64]:
    """Return the share of the draws in which each candidate is non-dominated.

    Args:
        costs: ``(n, m)``, minimised, exact.
        samples: ``(draws, n)`` accuracies, maximised; each row is one joint draw.
        floors: see ``on_front``.

    Returns:
        ``(n,)`` shares, 0..1.
    """
    return np.asarray(on_front(costs, samples, floors).mean(axis=0))


def on_front(
    costs: NDArray[np.float64], samples: NDArray[np.float64], floors: Floors = None
) -> NDArray[np.bool_]:
    """Mark in each draw the candidates that no other one dominates, ``(draws, n)``.

    Accuracies are draws of a continuous quantity: ties between them have no defined result.

    Args:
        costs: ``(n, m)``, minimised, exact.
        samples: ``(draws, n)`` accuracies, maximised.
        floors: ``(m,)``: up to which difference two costs count as equal; None: all differences
            count. "Equal" is then no equivalence: of three in a row the first and the last may
            differ. So candidates are taken from the most accurate on, and one is on the front
            unless a member before it costs no more, differences up to the floors left aside.
    """
    if not len(costs):
        return np.ones(samples.shape, bool)
    if floors is not None and any(floors):
        return _on_coarse_front(costs, samples, np.asarray(floors, float))
    if costs.shape[1] == 1:
        return _on_staircase(costs[:, 0], samples)
    points = np.column_stack([_rank_columns(costs), np.zeros(len(costs))])
    marks: NDArray[np.bool_] = np.empty(samples.shape, bool)
    for own, draw in zip(marks, samples, strict=True):
        points[:, -1:] = _rank_columns(-draw[:, None])
        own[:] = moocore.is_nondominated(points, keep_weakly=True)
    return marks


def _on_coarse_front(
    costs: NDArray[np.float64], samples: NDArray[np.float64], floors: NDArray[np.float64]
) -> NDArray[np.bool_]:
    # Of equally accurate ones the cheapest comes first.
    cheapest_first = np.lexsort(costs.T[::-1])
    costs, samples = costs[cheapest_first], samples[:, cheapest_first]
    # Whether one (row) beats a less accurate other (column).
    beats = np.asarray((costs[:, None, :] <= costs[None, :, :] + floors).all(axis=2))
    order = np.argsort(-samples, axis=1, kind="stable")
    marks: NDArray[np.bool_] = np.zeros(samples.shape, bool)
    draws = np.arange(len(samples))
    for place in range(samples.shape[1]):
        own = order[:, place]
        marks[draws, own] = ~(marks & beats[:, own].T).any(axis=1)
    found: NDArray[np.bool_] = np.empty(samples.shape, bool)
    found[:, cheapest_first] = marks
    return found


def hypervolume(
    costs: NDArray[np.float64],
    accuracies: NDArray[np.float64],
    reference: tuple[float, float],
) -> float:
    """Return the area between a reference point and the staircase of the points, exactly.

    Args:
        costs: ``(n,)``, minimised.
        accuracies: ``(n,)``, maximised.
        reference: a cost and an accuracy; a point that is not better in both adds nothing.
    """
    cost, accuracy = reference
    counts = (costs < cost) & (accuracies > accuracy)
    order = np.argsort(costs[counts], kind="stable")
    steps = np.maximum.accumulate(accuracies[counts][order]) - accuracy
    return float(np.diff(costs[counts][order], append=cost) @ steps)


def _objective_costs(
    summaries: Sequence[CandidateSummary], objectives: Sequence[str]
) -> NDArray[np.float64]:
    rows = [
        [-s.accuracy if name == "accuracy" else float(getattr(s, name)) for name in objectives]
        for s in summaries
    ]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(objectives))


def _pool(group: Sequence[TrialRecord]) -> CandidateSummary:
    accuracies = [record.accuracy for record in group if record.accuracy is not None]
    losses = [record.loss for record in group if record.loss is not None]
    first = group[0]
    return CandidateSummary(
        candidate=first.candidate,
        key=first.key,
        placement=first.placement,
        epochs=first.epochs,
        accuracy=statistics.fmean(accuracies),
        accuracy_sd=statistics.stdev(accuracies) if len(accuracies) > 1 else None,
        loss=statistics.fmean(losses),
        num_replicates=len(group),
        params=first.params,
        added_params=first.added_params,
        added_params_pct=first.added_params_pct,
        macs=first.macs,
        added_macs=first.added_macs,
        latency=first.latency,
        added_latency=first.added_latency,
    )


def _on_staircase(costs: NDArray[np.float64], samples: NDArray[np.float64]) -> NDArray[np.bool_]:
    _, group = np.unique(costs, return_inverse=True)
    # The best accuracy at each cost, then the best at that cost or any lower one.
    best = np.full((len(samples), int(group.max()) + 1), -np.inf)
    for member, own in enumerate(group):
        np.maximum(best[:, own], samples[:, member], out=best[:, own])
    reach = np.maximum.accumulate(best, axis=1)
    return np.asarray(samples >= reach[:, group])
