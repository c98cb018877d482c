"""Judges what a search of a crossed table reports by the replicates that it never saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.calibration.crossed_reports import find_gaps
from benchmarks.calibration.crossed_world import CrossedTable
from benchmarks.calibration.judging import mark_front
from benchmarks.calibration.worlds import POINTS, Array


@dataclass(frozen=True)
class Judged:
    """A search after some trainings, and what its judges show of the candidates that it trained.

    The plain network is left out of the arrays, ``(n,)`` each: its gain is 0 by definition. Gains
    and differences are in points.

    Attributes:
        gain: as reported.
        fresh: the judges' mean difference to the plain network.
        holds: whether the predicted 95 % interval of the judges' mean holds it.
        probability: predicted, of being on the front of the judges' means.
        on_front: whether it is reported to be on the front.
        is_listed: whether tables list it.
        on_fresh_front: whether it is on the front of the judges' means.
        best: place of the recommended candidate; None: it is the plain network.
        decision: ``put``, ``leave`` or ``nothing``.
        is_settled: whether the front is said to have settled.
        gap: of the reported front in the judges' means.
        gap_expected: as predicted.
        gap_limit: predicted 95 % upper limit of the gap.
        noise: the fitted standard deviations, in points.
    """

    gain: Array
    fresh: Array
    holds: NDArray[np.bool_]
    probability: Array
    on_front: NDArray[np.bool_]
    is_listed: NDArray[np.bool_]
    on_fresh_front: NDArray[np.bool_]
    best: int | None
    decision: str
    is_settled: bool
    gap: float
    gap_expected: float
    gap_limit: float
    noise: Mapping[str, float]


def judge(
    table: CrossedTable, found: Mapping[str, Any], judges: Sequence[int], images: str
) -> Judged:
    """Judge a report by the replicates that its search did not use, or by some of them.

    Args:
        table: that was searched.
        found: a ``Report`` as plain data.
        judges: seeds of the replicates.
        images: on which the judges see the candidates: ``validation`` or ``test``.
    """
    columns = [table.replicates.index(seed) for seed in judges]
    rows = np.array(found["rows"])
    shown = POINTS * table.differences(images)[rows][:, columns].mean(axis=1)
    predicted = found["fresh"][str(len(judges))]
    low, high = np.array(predicted["low"]), np.array(predicted["high"])
    on_front = np.array(found["on_front"])
    others = np.flatnonzero(rows)
    best = np.flatnonzero(rows[others] == found["recommended"])
    return Judged(
        gain=np.array(found["gain"])[others],
        fresh=shown[others],
        holds=((low <= shown) & (shown <= high))[others],
        probability=np.array(predicted["probability"])[others],
        on_front=on_front[others],
        is_listed=np.array(found["is_listed"])[others],
        on_fresh_front=mark_front(table.costs[rows], shown)[others],
        best=int(best[0]) if len(best) else None,
        decision=found["decision"],
        is_settled=found["is_settled"],
        gap=float(find_gaps(table.costs[rows], shown[None], on_front)[0]),
        gap_expected=predicted["gap"],
        gap_limit=predicted["gap_limit"],
        noise=found["noise"],
    )


def read_plainly(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return a report as somebody reads it who takes each mean accuracy for the truth."""
    marks, gains = np.array(found["on_plain_front"]), np.array(found["plain_gain"])
    best = int(np.argmax(np.where(marks, gains, -np.inf)))
    return {
        **found,
        "gain": gains.tolist(),
        "on_front": marks.tolist(),
        "is_listed": marks.tolist(),
        "recommended": found["rows"][best],
    }
