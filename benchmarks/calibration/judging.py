"""Judges what a search reports by the true accuracies of its world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.calibration.searches import OBJECTIVES
from benchmarks.calibration.worlds import LARGE_GAIN, POINTS, Array, World
from se_search.analysis.effects import Effects
from se_search.analysis.pareto import is_non_dominated
from se_search.record import TrialRecord
from se_search.surrogate.fit_front import Question, fit_front
from se_search.surrogate.posterior_front import PosteriorFront

FAMILIES = ("main", "interactions", "matched")  # of effects


@dataclass(frozen=True)
class Judged:
    """What a search reports of each candidate it trained, and what is true; a list each.

    Accuracies are gains: less the plain network's, in points.

    Attributes:
        rows: the candidates' numbers in the space.
        is_plain: whether it is the plain network, whose gain is 0 by definition.
        trainings: how many trainings it has had.
        gain: as reported.
        low: lower end of the reported 95 % interval.
        high: upper end of the reported 95 % interval.
        probability: reported, of being on the front of the trained candidates.
        on_front: whether it is reported to be on the front.
        is_listed: whether tables list it.
        truth: the true gain.
        on_true_front: whether it is on the front of the trained candidates' true accuracies.
    """

    rows: list[int]
    is_plain: list[bool]
    trainings: list[int]
    gain: list[float]
    low: list[float]
    high: list[float]
    probability: list[float]
    on_front: list[bool]
    is_listed: list[bool]
    truth: list[float]
    on_true_front: list[bool]


def judge(world: World, records: Sequence[TrialRecord]) -> dict[str, Any]:
    """Fit what the product fits after a search, and return it beside the truth, as plain data.

    Keys:
        best_gain: the largest true gain of any candidate of the space, in points.
        decision: ``put``, ``leave`` or ``nothing``.
        gain_limit: the reported limit of the largest gain of any trained candidate, in points.
        regret: by how many points the best candidate of the space that costs no more is better
            than the recommended one; None: none is recommended.
        shortfall: by how many points the best candidate of the space is better than the
            recommended one, whatever it costs; None: none is recommended.
        recommends_se: whether a candidate with SE is recommended.
        optimism: reported less true gain of the recommended candidate, in points.
        is_settled: whether the front is said to have settled.
        gap: the largest true difference, in points, between the best trained candidate at a cost
            and the front member that is reported for this cost.
        noise: the fitted standard deviations, in points.
        false_effects: where no candidate differs from another: for each family of effects how many
            are said to differ from 0; None: candidates differ, so that effects may.
        candidates: the columns of ``Judged``.
    """
    front = fit_front(records, world.space, Question(OBJECTIVES, world.epochs))
    assert front.is_modelled, front.reason
    judged = _judge_candidates(world, front)
    best = front.recommended
    row = None if best is None else world.row_of(best.summary.key)
    return {
        "best_gain": world.best_gain,
        "decision": front.decision.kind,
        "gain_limit": POINTS * _known(front.decision.gain_limit),
        "regret": None if row is None else float(POINTS * (world.best_gains - world.gains)[row]),
        "shortfall": None
        if row is None
        else float(POINTS * (world.gains.max() - world.gains[row])),
        "recommends_se": best is not None and not best.is_plain,
        "optimism": None
        if best is None or row is None
        else float(POINTS * (best.gain - world.gains[row])),
        "is_settled": front.settled.is_settled,
        "gap": find_gap(
            world.costs[judged.rows], np.array(judged.truth), np.array(judged.on_front)
        ),
        "noise": None
        if front.noise is None
        else {name: POINTS * sd for name, sd in asdict(front.noise).items()},
        "false_effects": None if world.gains.any() else _count_effects(front.effects),
        "candidates": asdict(judged),
    }


def _count_effects(effects: Effects | None) -> dict[str, int]:
    assert effects is not None  # there is a model
    return {family: sum(effect.holds for effect in getattr(effects, family)) for family in FAMILIES}


def has_large_gain(line: dict[str, Any]) -> bool:
    """Tell whether a judged search's world has a candidate that gains at least half a point."""
    return bool(line["best_gain"] >= LARGE_GAIN)


def _judge_candidates(world: World, front: PosteriorFront) -> Judged:
    rows = [world.row_of(candidate.summary.key) for candidate in front.candidates]
    truth = POINTS * world.gains[rows]
    return Judged(
        rows=rows,
        is_plain=[candidate.is_plain for candidate in front.candidates],
        trainings=[candidate.summary.num_replicates for candidate in front.candidates],
        gain=[POINTS * candidate.gain for candidate in front.candidates],
        low=[POINTS * _known(candidate.low) for candidate in front.candidates],
        high=[POINTS * _known(candidate.high) for candidate in front.candidates],
        probability=[_known(candidate.probability_on_front) for candidate in front.candidates],
        on_front=[candidate.on_front for candidate in front.candidates],
        is_listed=[candidate.is_listed for candidate in front.candidates],
        truth=truth.tolist(),
        on_true_front=mark_front(world.costs[rows], truth).tolist(),
    )


def mark_front(costs: NDArray[np.int64], gains: Array) -> NDArray[np.bool_]:
    """Mark the candidates that no other one dominates, ``(n,)``."""
    return is_non_dominated(np.column_stack([-gains, costs]))


def find_gap(costs: NDArray[np.int64], truth: Array, on_front: NDArray[np.bool_]) -> float:
    """Return how much better than the reported front the best at a cost is, at most over costs.

    Args:
        costs: ``(n,)`` of the trained candidates.
        truth: ``(n,)`` true gains.
        on_front: ``(n,)`` reported members. The dearest that costs no more is reported for a cost.
    """
    gaps = []
    for cost in np.unique(costs):
        reported = np.flatnonzero(on_front & (costs <= cost))
        if len(reported):
            member = reported[np.argmax(costs[reported])]
            gaps.append(truth[costs <= cost].max() - truth[member])
    return float(max(gaps))


def _known(value: float | None) -> float:
    assert value is not None  # there is a model
    return value
