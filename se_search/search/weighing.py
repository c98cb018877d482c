"""Weighs one more supernet against as many trainings as it is worth.

Both tell of many candidates at once. How far each would bring down the posterior's covariance is
known before it is made, as the model is normal: so the moves of the posterior's means can be drawn,
and the rise of the best front that they would show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from se_search.search.acquisition import Staircase
from se_search.search.history import History
from se_search.search.pool import Codes, Pool
from se_search.search.proposer import Proposer
from se_search.search.segments import Gains
from se_search.search.valuation import END
from se_search.seeds import derive_seed
from se_search.surrogate.one_thread import one_thread
from se_search.surrogate.posterior import Posterior
from se_search.surrogate.trainings import Array, Design

NUM_MEMBERS = 128  # candidates that may be on the front after one of both
NUM_DRAWS = 512


def weigh(
    proposer: Proposer,
    history: History,
    num_trainings: int,
    replicates: Sequence[int],
    joining: Codes | None = None,
) -> Gains | None:
    """Return by how much the front is expected to rise, in accuracy.

    Args:
        proposer: with the scores of the supernets so far.
        history: the trials, none of which runs.
        num_trainings: that a supernet is worth.
        replicates: seeds of those that take turns.
        joining: ``(n, num_slots)``: candidates that all supernets would score with the further one,
            and have not scored; None: there are none.

    Returns:
        None: there is no exact model of the trainings, or no score.
    """
    if not proposer.scores or len(history.trainings) < 2:
        return None
    with one_thread():
        pool, posterior = proposer.fit(history)
        if not isinstance(posterior, Posterior):
            return None
        design, values = proposer.see(history).design, proposer.see(history).values
        scale = proposer.fit_scale(history.trainings, len(history.budgets))
        mean = posterior.mean(values)
        rises = foresee_rises(proposer, history, pool, posterior)
        members = np.sort(np.argsort(-rises, kind="stable")[:NUM_MEMBERS])
        rows = posterior.pool[members].astype(np.float64)
        front = _Front(pool.costs[members], mean[members], scale.floor)
        trained = design.followed_by(_foretell(proposer, history, num_trainings, replicates))
        before = Posterior(posterior.kernel, rows, design)
        seed = derive_seed(proposer.seed, "weigh", len(values))
        train, supernet = (
            scale.sd * front.rise(before, Posterior(posterior.kernel, rows, after), values, seed)
            for after in (trained, _with_member(proposer, design, joining))
        )
    return Gains(train, supernet)


def foresee_rises(proposer: Proposer, history: History, pool: Pool, posterior: Posterior) -> Array:
    """Return by how much each candidate is expected to raise the front of the posterior's means.

    Args:
        proposer: has fitted both.
        history: the trials, none of which runs.
        pool: the candidates.
        posterior: of their accuracies.

    Returns:
        ``(len(pool),)``, in standardised accuracy, if its true accuracy became known.
    """
    mean = posterior.mean(proposer.see(history).values)
    floor = proposer.fit_scale(history.trainings, len(history.budgets)).floor
    staircase = Staircase.over(pool.costs, mean, floor, END)
    sd = np.sqrt(posterior.variance)
    return staircase.expected_hypervolume_improvement(pool.costs, mean, sd)


def _foretell(
    proposer: Proposer, history: History, count: int, replicates: Sequence[int]
) -> Design:
    """Return the next trainings, as they would be proposed if none of them ended before."""
    full = len(history.budgets) - 1
    chosen: list[Array] = []
    for number in range(count):
        seeds = [replicates[k % len(replicates)] for k in range(number)]
        ahead = replace(
            history,
            running=np.array(chosen, np.int16).reshape(number, history.running.shape[1]),
            running_budgets=np.full(number, full),
            running_replicates=np.array(seeds, np.int64),
        )
        if not proposer.has_next(ahead):
            break
        chosen.append(np.asarray(proposer.decide(ahead).codes))
    seeds = [replicates[k % len(replicates)] for k in range(len(chosen))]
    codes = np.array(chosen, np.int16).reshape(len(chosen), history.running.shape[1])
    return Design(
        proposer.factors.one_hot(codes), np.full(len(chosen), full), np.array(seeds, np.int64)
    )


def _with_member(proposer: Proposer, design: Design, joining: Codes | None) -> Design:
    """Return a design whose scores are means over one member more, by which candidates join."""
    is_score = ~design.is_training
    members = design.list_members() + is_score
    after = replace(design, members=members)
    if joining is None or not len(joining):
        return after
    rows, budget = proposer.factors.one_hot(joining), design.budgets[is_score].max()
    for rung in np.unique(design.list_rungs()[is_score]):
        now = members[design.list_rungs() == rung].max()
        count = len(joining)
        numbers = [np.full(count, number, np.int64) for number in (budget, 0, rung, now)]
        after = after.followed_by(Design(rows, *numbers))
    return after


class _Front:
    """The front of some candidates' means.

    Args:
        costs: ``(k, m)``, scaled.
        mean: ``(k,)`` standardised accuracies.
        floor: from which area is counted.
    """

    def __init__(self, costs: Array, mean: Array, floor: float) -> None:
        self._costs, self._mean, self._floor = costs, mean, floor

    def rise(self, before: Posterior, after: Posterior, values: Array, seed: int) -> float:
        """Return the expected rise of the front's area if the posterior narrows.

        Args:
            before: of these candidates.
            after: of them, with further observations, which do not move its mean.
            values: ``(n,)`` standardised accuracies and scores of before.
            seed: of the draws.
        """
        every = np.arange(len(self._mean))
        told = before.moments(every, values)[1] - _covariance(after, every)
        size, axes = np.linalg.eigh((told + told.T) / 2)
        root = axes * np.sqrt(np.maximum(size, 0.0))
        moves = np.random.default_rng(seed).standard_normal((NUM_DRAWS // 2, len(every))) @ root.T
        # With each move its opposite: the mean of what they bring is nearly free of chance.
        rises = [self._area(self._mean + move) for move in (*moves, *-moves)]
        return float(np.mean(rises)) - self._area(self._mean)

    def _area(self, accuracies: Array) -> float:
        staircase = Staircase.over(self._costs, accuracies, self._floor, END)
        widths = [np.diff(edge) for edge in staircase.edges]
        area = staircase.heights - self._floor
        for width in reversed(widths):
            area = area @ width if area.ndim == 1 else np.tensordot(area, width, (area.ndim - 1, 0))
        return float(area)


def _covariance(posterior: Posterior, members: NDArray[np.int64]) -> Array:
    """Return the covariance of candidates given all observations, whatever their values."""
    return posterior.moments(members, np.zeros(len(posterior)))[1]
