"""Judges the model's posterior of a search's candidates by true accuracies or held-back seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from se_search.surrogate.candidate_posterior import compute_posterior

from benchmarks.calibration.searches import Search
from benchmarks.calibration.worlds import POINTS, Array
from se_search.analysis.pareto import front_probability, is_non_dominated
from se_search.surrogate.features import Factors
from se_search.surrogate.trainings import Trainings

NUM_CONFIRM = 5


@dataclass(frozen=True)
class Judge:
    """Accuracies of all candidates of a world that judge a search; all are shares.

    Attributes:
        values: ``(size,)`` true accuracies, or means of held-back seeds.
        sds: ``(size,)`` standard deviations of ``values`` about the truth; 0 where it is known.
        fresh: ``(size, k)`` accuracies of seeds that confirm; None: no seeds are left for it.
        last: ``(size,)`` accuracies that judge confirmed candidates.
        best: ``(size,)`` true accuracies, or the best estimate of them: means over all seeds.
    """

    values: Array
    sds: Array
    fresh: Array | None
    last: Array
    best: Array


def make_judge(search: Search) -> Judge:
    """Return the accuracies that judge a search."""
    world, held_back = search.world, search.held_back
    if world.truth is not None:
        truth = world.truth
        return Judge(truth, np.zeros_like(truth), held_back[:, :NUM_CONFIRM], truth, truth)
    spare = held_back.shape[1] - 1
    return Judge(
        held_back.mean(axis=1),
        world.seed_sds / np.sqrt(held_back.shape[1]),
        held_back[:, :spare] if spare else None,
        held_back[:, -1],
        world.space.mean_accuracies,
    )


def judge_search(search: Search) -> pd.DataFrame:
    """Return a row for each trained candidate: posterior and judging accuracy, in points.

    Columns:
        seeds, mean: number and mean accuracy of the search's trainings.
        estimate, low, high, probability, noise_sd: the model's posterior mean, 95 % interval,
            probability of being on the front, and standard deviation of a seed.
        judged: the judging accuracy.
        reach_low, reach_high: the interval that should hold ``judged``, with the table's noise.
        model_low, model_high: the interval that should hold ``judged``, with the model's noise.
        plain_front, front: whether it is on the front of the means, and of the estimates.
        true_front: whether it is on the front of true accuracies or of means over all seeds.
        held_front, held_probability: whether it is on the front of held-back seeds, and the
            predicted probability of that.
        confirmed, confirmed_front: of the members of ``front``, the mean over fresh seeds, and
            whether it is on the front of these means.
        last: the accuracy that judges ``confirmed``.
    """
    space = search.world.space
    trained = Trainings(
        space.codes()[search.rows], np.zeros(len(search.rows), np.int64), search.accuracies
    )
    costs = space.costs[search.rows][:, None]
    found = compute_posterior(Factors(space.describe_levels()), trained, (1,), costs)
    rows, paid = search.rows[found.members], costs[found.members]
    judge = make_judge(search)
    rng = np.random.default_rng(0)
    normal = rng.standard_normal(found.draws.shape)
    reached = found.draws + normal * judge.sds[rows]
    is_true = not judge.sds.any()
    width = 0.0 if is_true else found.noise_sd / np.sqrt(search.held_back.shape[1])
    ends = np.quantile(reached, [0.025, 0.975], axis=0)
    model_ends = np.quantile(found.draws + width * normal, [0.025, 0.975], axis=0)
    front = mark_front(paid, found.estimates)
    frame = pd.DataFrame(
        {
            "row": rows,
            "cost": paid[:, 0],
            "seeds": found.num_replicates,
            "mean": POINTS * found.means,
            "estimate": POINTS * found.estimates,
            "low": POINTS * found.lows,
            "high": POINTS * found.highs,
            "probability": found.probabilities,
            "noise_sd": POINTS * found.noise_sd,
            "judged": POINTS * judge.values[rows],
            "reach_low": POINTS * (found.lows if is_true else ends[0]),
            "reach_high": POINTS * (found.highs if is_true else ends[1]),
            "model_low": POINTS * (found.lows if is_true else model_ends[0]),
            "model_high": POINTS * (found.highs if is_true else model_ends[1]),
            "plain_front": mark_front(paid, found.means),
            "front": front,
            "true_front": mark_front(paid, judge.best[rows]),
            "held_front": mark_front(paid, judge.values[rows]),
            "held_probability": front_probability(paid, reached),
            "last": POINTS * judge.last[rows],
            "confirmed": np.nan,
            "confirmed_front": False,
        }
    )
    if judge.fresh is not None:
        means = judge.fresh[rows].mean(axis=1)
        frame.loc[front, "confirmed"] = POINTS * means[front]
        frame.loc[front, "confirmed_front"] = mark_front(paid[front], means[front])
    return frame


def mark_front(costs: Array, accuracies: Array) -> NDArray[np.bool_]:
    """Mark the candidates that no other one dominates, ``(n,)``."""
    return is_non_dominated(np.column_stack([-accuracies, costs]))
