"""Chooses candidates of a large space whose scores would tell most of the front."""

from __future__ import annotations

import numpy as np

from se_search.search.history import History
from se_search.search.pool import Codes
from se_search.search.proposer import Proposer
from se_search.search.weighing import foresee_rises
from se_search.surrogate.one_thread import one_thread
from se_search.surrogate.posterior import Posterior


def choose_scored(proposer: Proposer, history: History, known: Codes, most: int) -> Codes:
    """Return the candidates that are expected to raise the front of the posterior's means most.

    The posterior rests on all trainings and, if the proposer has any, on scores.

    Args:
        proposer: of the run.
        history: the trials, none of which runs.
        known: ``(n, num_slots)``: candidates that are scored anyway.
        most: how many are returned at most.

    Returns:
        ``(k, num_slots)``, best first, neither known nor failed; none where there is no exact model
        of the trainings.
    """
    none = np.zeros((0, history.running.shape[1]), np.int16)
    if len(history.trainings) < 2:
        return none
    with one_thread():
        pool, posterior = proposer.fit(history)
        if not isinstance(posterior, Posterior):
            return none
        rises = foresee_rises(proposer, history, pool, posterior)
    closed = pool.find(np.concatenate([known, history.failed]))
    rises[closed[closed >= 0]] = 0.0
    order = np.argsort(-rises, kind="stable")[:most]
    return np.asarray(pool.codes[order[rises[order] > 0]])
