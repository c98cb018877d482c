"""What follows from joint draws of gains: which candidate to take, and whether that is settled.

A gain is a candidate's accuracy less the plain network's, in an average replicate, as a share.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from se_search.analysis.pareto import is_non_dominated, on_front

Array = NDArray[np.float64]
Kind = Literal["put", "leave", "nothing"]

LIMIT = 0.95  # of the upper limits of what is at least 0
TOGETHER = 0.9  # probability that the lower limits of all gains hold together
# A gain of half a point is worth having: SE is not advised against while one may exist.
WORTH = 0.005
TOLERANCE = 0.002  # 0.2 points: as much as networks differ by (standard deviation)
MIN_REPLICATES = 3  # fewer say too little of what another replicate does


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do about SE.

    Attributes:
        kind: ``put``: a candidate is surely better than the plain network; ``leave``: no candidate
            can be better by much; ``nothing``: neither is known.
        gain_limit: 95 % upper limit of the largest gain of any trained candidate; None: there is
            no model.
        reason: why nothing can be said; None: something can.
    """

    kind: Kind
    gain_limit: float | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Settled:
    """Whether another choice could be better by more than the tolerance.

    Attributes:
        gap: 95 % upper limit of by how much the best trained candidate of some cost or less is
            better than the one found best there, where it is largest; None: there is no model.
        cost: the first cost at which the limit is that large.
        tolerance: below which a gap does not matter.
        missing: what is missing, in sentences; empty: the search is settled.
    """

    gap: float | None
    cost: float | None
    tolerance: float
    missing: tuple[str, ...]

    @property
    def is_settled(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing


def mark_better(draws: Array) -> NDArray[np.bool_]:
    """Mark the candidates that are surely better than the plain network, ``(n,)``.

    The lower limits of all gains hold together with a probability of 90 %: the best of many looks
    good even if none is, and intervals of each gain by itself would say so too often. The price is
    that real gains are missed: docs/measured.md has how often (benchmarks/calibration).

    Args:
        draws: ``(draws, n)`` of the gains of all trained candidates.
    """
    means, sds = draws.mean(axis=0), draws.std(axis=0)
    varies = sds > 0
    marks: NDArray[np.bool_] = np.zeros(len(means), bool)
    if varies.any():
        below = (means[varies] - draws[:, varies]) / sds[varies]
        reach = np.quantile(below.max(axis=1), TOGETHER)
        marks[varies] = means[varies] - reach * sds[varies] > 0
    return marks


def choose(gains: Array, draws: Array, costs: Array, tolerance: float = TOLERANCE) -> int:
    """Return the position of the recommended candidate.

    It is the cheapest one on the front of expected gains that is worse than the best one by at most
    half of the tolerance; where candidates are surely better than the plain network, one of them.

    Args:
        gains: ``(n,)`` expected gains.
        draws: ``(draws, n)`` of the gains.
        costs: ``(n, m)``, minimised.
        tolerance: a difference in gain that does not matter.
    """
    on_front = is_non_dominated(np.column_stack([-gains, costs]))
    is_sure = on_front & mark_better(draws)
    among = np.flatnonzero(is_sure if is_sure.any() else on_front)
    near = among[gains[among] >= gains[among].max() - tolerance / 2]
    return int(near[np.lexsort(costs[near].T[::-1])[0]])


def decide(draws: Array, num_replicates: int = MIN_REPLICATES) -> Decision:
    """Decide from draws of the gains of all trained candidates.

    With fewer than three replicates nothing is decided: where none was better and each replicate
    liked SE as a whole by 0.4 points more or less, SE would have been put in in 3 of 25 searches of
    two replicates.

    Args:
        draws: ``(draws, n)``.
        num_replicates: in which candidates can be compared with the plain network.
    """
    limit = float(max(0.0, np.quantile(draws.max(axis=1), LIMIT)))
    if num_replicates < MIN_REPLICATES:
        return Decision(
            "nothing",
            limit,
            f"trainings are of {num_replicates} of the {MIN_REPLICATES} replicates that it takes "
            "to tell what another one may do",
        )
    if mark_better(draws).any():
        return Decision("put", limit, None)
    if limit <= WORTH:
        return Decision("leave", limit, None)
    return Decision(
        "nothing",
        limit,
        f"no placement is surely better than the plain network, and one may be better by "
        f"{100 * limit:.1f} points",
    )


def judge_settled(
    gains: Array, draws: Array, costs: Array, num_replicates: int, tolerance: float
) -> Settled:
    """Judge whether, at each cost, another choice could be better by more than the tolerance.

    Args:
        gains: ``(n,)`` expected gains of the trained candidates.
        draws: ``(draws, n)`` of the gains.
        costs: ``(n, m)``, minimised.
        num_replicates: in which SE has been compared with the plain network.
        tolerance: a difference in gain that does not matter.
    """
    gap, cost = 0.0, float(costs[:, 0].min())
    for own, better in _list_better(gains, draws, costs):
        found = float(np.quantile(better, LIMIT))
        if found > gap:
            gap, cost = found, float(own[0])
    missing = []
    if num_replicates < MIN_REPLICATES:
        missing.append(
            f"SE has been compared with the plain network in {num_replicates} of the "
            f"{MIN_REPLICATES} replicates that settling takes"
        )
    if gap >= tolerance:
        missing.append(
            f"at some cost another candidate trained may be better than the one found best there "
            f"by {100 * gap:.2f} points, and the tolerance is {100 * tolerance:g}"
        )
    return Settled(gap, cost, tolerance, tuple(missing))


def _list_better(gains: Array, draws: Array, costs: Array) -> Iterator[tuple[Array, Array]]:
    """Yield each cost, and by how much the best of that cost or less beats the one found best.

    Yields:
        ``(m,)`` costs and ``(draws,)`` differences; costs at which these are as before are left
        out.
    """
    # In each draw the best is on that draw's front; no other candidate need be looked at.
    rivals = np.flatnonzero(on_front(costs, draws).any(axis=0))
    rivals = rivals[np.argsort(costs[rivals, 0], kind="stable")]
    columns = np.ascontiguousarray(draws[:, rivals].T)
    best = np.maximum.accumulate(columns, axis=0)
    before: bytes | None = None
    for own, recommended in _list_recommended(gains, costs):
        among = np.asarray((costs[rivals] <= own).all(axis=1))
        key = among.tobytes() + recommended.to_bytes(8)
        if key != before:
            # Where there is one cost, those that are no dearer stand first.
            count = int(among.sum())
            reach = best[count - 1] if among[:count].all() else columns[among].max(axis=0)
            yield own, reach - draws[:, recommended]
        before = key


def _list_recommended(gains: Array, costs: Array) -> Iterator[tuple[Array, int]]:
    """Yield each cost, and who has the largest expected gain at that cost or less."""
    distinct = np.unique(costs, axis=0)
    if costs.shape[1] > 1:
        for own in distinct:
            affordable = np.flatnonzero((costs <= own).all(axis=1))
            yield own, int(affordable[np.argmax(gains[affordable])])
        return
    order = np.lexsort((np.arange(len(gains)), -gains, costs[:, 0]))
    first = order[np.searchsorted(costs[order, 0], distinct[:, 0])]
    found = int(first[0])
    for own, candidate in zip(distinct, first.tolist(), strict=True):
        if (gains[candidate], -candidate) > (gains[found], -found):
            found = candidate
        yield own, found
