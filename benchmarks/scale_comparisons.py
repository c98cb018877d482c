"""What approximations of large runs lose: posteriors against exact ones, and searches by either."""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np

from benchmarks.made_up_runs import EPOCHS, OBJECTIVES, MadeUpNetworks
from benchmarks.timed_loop import TimedWorkers, run_loop
from se_search.analysis.pareto import hypervolume
from se_search.cost import count_cost
from se_search.search.lag import choose_lag
from se_search.store.memory import MemoryStore
from se_search.surrogate.fitted_model import FittedModel

NUM_WORKERS, NUM_TRIALS = 8, 160  # of a search


def measure_search(kind: str, seed: int) -> dict[str, float]:
    """Search a made-up world; return the hypervolume of what was trained, and of the space."""
    networks = MadeUpNetworks(seed)
    store = MemoryStore(OBJECTIVES)
    workers = TimedWorkers(networks, NUM_WORKERS)
    run_loop(networks, store, workers, NUM_TRIALS, choose_lag(NUM_WORKERS), kind)
    plain = str(networks.control)
    texts = {r.candidate for r in store.records if r.state == "COMPLETE"} - {plain}
    codes = np.array([networks.space.codes_of(networks.space.parse(text)) for text in texts])
    every = networks.allowed.list_codes(10**6)
    assert every is not None  # 371,800 candidates
    prices = networks.space.price_codes(
        np.vstack([networks.plain, every]), lambda candidate: [count_cost(candidate).params]
    )
    ends = np.log([prices.min(), prices.max()])
    found = {}
    for name, own in (("trained", codes), ("whole", every)):
        own = np.vstack([networks.plain, own])
        paid = networks.space.price_codes(own, lambda candidate: [count_cost(candidate).params])
        truth = networks.gains(own)
        costs = (np.log(paid[:, 0]) - ends[0]) / (ends[1] - ends[0])
        found[name] = 100 * hypervolume(costs, truth, (1.0, 0.0))
    return {**found, "ask": statistics.median(workers.asks)}


def compare_posteriors(count: int, seed: int, pairs: float) -> dict[str, float]:
    """Return figures of both posteriors of the same trainings, held against the truth."""
    networks = MadeUpNetworks(seed, pairs)
    trainings = networks.draw_trainings(count)
    codes = np.unique(trainings.codes, axis=0)
    truth = networks.gains(codes)
    price = [[count_cost(networks.space.with_codes(row)).params] for row in codes]
    costs = np.log(np.array(price, np.float64)[:, 0])
    found = {}
    for name, most_exact in (("exact", count), ("approximate", 0)):
        begun = time.process_time()
        model = FittedModel.fit(networks.factors, trainings, [EPOCHS], most_exact=most_exact)
        draws = model.draw(np.vstack([model.plain, codes]))
        gains = draws[:, 1:] - draws[:, :1]
        low, high = np.quantile(gains, [0.025, 0.975], axis=0)
        expected = gains.mean(axis=0)
        found[f"{name} coverage"] = float(((truth >= low - 1e-9) & (truth <= high + 1e-9)).mean())
        found[f"{name} width"] = float(100 * (high - low).mean())
        found[f"{name} error"] = float(100 * np.sqrt(((expected - truth) ** 2).mean()))
        found[f"{name} value"] = 100 * value_of_front(costs, expected, truth)
        found[f"{name} seconds"] = time.process_time() - begun
    found["best value"] = 100 * value_of_front(costs, truth, truth)
    return found


def value_of_front(costs: Any, expected: Any, truth: Any) -> float:
    """Return the true gain of whom a front names at each cost, averaged over the cost.

    Args:
        costs: ``(n,)`` of candidates, on a logarithmic scale.
        expected: ``(n,)`` gains by which the front is chosen.
        truth: ``(n,)`` true gains.
    """
    order = np.argsort(costs, kind="stable")
    best, chosen = -np.inf, []
    named = 0
    for row in order:
        if expected[row] > best:
            best, named = expected[row], int(row)
        chosen.append(truth[named])
    steps = np.diff(costs[order])
    return float(steps @ np.array(chosen)[:-1] / steps.sum())
