"""Worlds whose candidates, replicates and noise are as measured, with known truth: no search.

625 candidates (4 slots of 5 levels, additive gains). An accuracy is the candidate's, plus the level
of its replicate, plus what the replicate does to each level of a slot, plus noise. Standard
deviations are those of SE placements on Fashion-MNIST.
"""

from dataclasses import dataclass

import numpy as np
from support.made_up_trainings import rotate

from se_search.surrogate.features import Factors
from se_search.surrogate.trainings import Trainings

NUM_SLOTS, NUM_LEVELS = 4, 5
FACTORS = Factors((({}, *({"reduction": float(r)} for r in range(1, NUM_LEVELS))),) * NUM_SLOTS)
LEVEL, INTERACTION, NOISE, NETWORKS = 0.36, 0.15, 0.45, 0.2  # points
SPREAD = np.sqrt(NUM_SLOTS * 0.8 * 0.25)  # standard deviation of candidates for effects of 1


@dataclass(frozen=True)
class World:
    """Trainings, and the true gain of each of their candidates over the plain network, a share."""

    trainings: Trainings
    gains: np.ndarray


def make_world(seed, num_trainings=200, num_replicates=8):
    """Return a world of one control in each replicate, and of random candidates."""
    rng = np.random.default_rng(seed)
    num_random = num_trainings - num_replicates
    codes = np.vstack(
        [
            np.zeros((num_replicates, NUM_SLOTS), int),
            rng.integers(0, NUM_LEVELS, (num_random, NUM_SLOTS)),
        ]
    ).astype(np.int16)
    replicates = rotate(codes, num_replicates)
    slots = np.arange(NUM_SLOTS)

    gains = _draw_effects(rng, NETWORKS)[slots, codes].sum(axis=1)
    liked = _draw_effects(rng, INTERACTION, num_replicates)[replicates[:, None], slots, codes].sum(
        axis=1
    )
    levels = rng.normal(0, LEVEL, num_replicates)[replicates]
    accuracies = 0.82 + (gains + liked + levels + rng.normal(0, NOISE, num_trainings)) / 100
    budgets = np.zeros(num_trainings, np.int64)
    return World(Trainings(codes, budgets, replicates, accuracies), gains / 100)


def gains_of_all(world):
    """Return the true gains of all 625 candidates, by their codes ascending, shares.

    The gain of a candidate adds up what its levels add, which the trainings' candidates tell.
    """
    codes = np.indices((NUM_LEVELS,) * NUM_SLOTS).reshape(NUM_SLOTS, -1).T
    rows = FACTORS.one_hot(world.trainings.codes)
    effects = np.linalg.lstsq(rows, world.gains, rcond=None)[0]
    return FACTORS.one_hot(codes) @ effects


def _draw_effects(rng, sd, *shape):
    found = rng.normal(0, sd / SPREAD, (*shape, NUM_SLOTS, NUM_LEVELS))
    found[..., 0] = 0.0  # of no SE
    return found
