"""Decisions one after the other on made-up accuracies, without a study."""

from collections import Counter
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from se_search.benchmark.table import TableSpace
from se_search.search.history import History, PastTrial
from se_search.search.pool import PoolSource
from se_search.search.proposer import Proposer
from se_search.surrogate.features import Factors

EPOCHS = 8
NUM_REPLICATES = 4  # through which trainings rotate


def make_table(num_columns=3, num_levels=4, noise=0.0, num_replicates=1, seed=0):
    """Return a table where each column's level adds to the accuracy and multiplies the cost.

    What costs more is mostly better, so that the front is long.
    """
    rng = np.random.default_rng(seed)
    rows = list(product("abcdefg"[:num_levels], repeat=num_columns))
    codes = np.array([["abcdefg".index(level) for level in row] for row in rows])
    gains = rng.normal(0.03, 0.02, (num_columns, num_levels)).cumsum(axis=1)
    prices = rng.uniform(0.1, 0.6, (num_columns, num_levels)).cumsum(axis=1)
    columns = np.arange(num_columns)
    accuracies = 0.5 + gains[columns, codes].sum(axis=1)
    costs = 1e6 * np.exp(prices[columns, codes].sum(axis=1))
    noisy = accuracies[:, None] + rng.normal(0, noise, (len(rows), num_replicates))
    return TableSpace("made-up", [f"x_{i}" for i in columns], rows, costs.round(), noisy)


def price(space):
    return lambda row: (space.count_cost(row).params,)


def make_proposer(space, seed=0, is_allowed=lambda codes: True, price=price, **options):
    source = PoolSource(space, price(space), seed)
    return Proposer(Factors(space.describe_levels()), source, is_allowed, seed, **options)


@dataclass(frozen=True)
class Trial:
    """A training: ``state`` is running, finished or failed."""

    codes: tuple
    state: str = "running"
    accuracy: float = 0.0
    epochs: int = EPOCHS
    replicate: int = 0


def history_of(trials, num_slots):
    """Return the history of trials in their order."""
    past = [
        PastTrial(np.array(t.codes), t.state, t.epochs, t.replicate, t.accuracy) for t in trials
    ]
    return History.of(past, EPOCHS, num_slots)


def run(proposer, evaluate, num_trials, workers=1, seed=0, epochs=lambda number: EPOCHS):
    """Let a proposer decide; with several workers trials finish in random order.

    Args:
        proposer: what decides.
        evaluate: from codes and the replicate to an accuracy, or None where the training fails.
        num_trials: how many decisions.
        workers: how many trainings run at once.
        seed: of the order in which they finish.
        epochs: of each trial, by its number.

    Returns:
        The decisions, and for each the trials that were known.
    """
    rng = np.random.default_rng(seed)
    num_slots = proposer.factors.num_slots
    trials, decisions, known = [], [], []
    for number in range(num_trials):
        running = [n for n, trial in enumerate(trials) if trial.state == "running"]
        if len(running) == workers:
            ended = int(rng.choice(running))
            own = trials[ended]
            accuracy = evaluate(own.codes, own.replicate)
            state = "failed" if accuracy is None else "finished"
            trials[ended] = replace(own, state=state, accuracy=accuracy or 0.0)
        known.append(tuple(trials))
        decisions.append(proposer.decide(history_of(trials, num_slots)))
        codes = tuple(decisions[-1].codes.tolist())
        replicate = next_replicate(trials, codes)
        trials.append(Trial(codes, epochs=epochs(number), replicate=replicate))
    return decisions, known


def next_replicate(trials, codes):
    """Return the replicate of the fewest trainings, of those that a candidate has not had."""
    had = {trial.replicate for trial in trials if trial.codes == codes}
    counts = Counter(trial.replicate for trial in trials)
    left = [number for number in range(NUM_REPLICATES) if number not in had]
    return min(left, key=lambda number: counts[number]) if left else max(had) + 1


def look_up(space):
    """Return an ``evaluate`` that takes a column of a table's accuracies for each replicate."""
    numbers = {tuple(row): number for number, row in enumerate(space.codes().tolist())}
    num_columns = space.accuracies.shape[1]
    return lambda codes, replicate: float(space.accuracies[numbers[codes], replicate % num_columns])
