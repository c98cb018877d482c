"""Trials of searches whose effects of stages, positions and widths are known."""

from itertools import product

import numpy as np
from support.networks import bind

from se_search.record import TrialRecord

POSITIONS, WIDTHS = ("standard", "pre", "post"), (4, 16)
NUM_STAGES = 4
SEED_SD = 0.25


SPACE = bind(*[[64]] * NUM_STAGES, integration=[*POSITIONS], width=[2, 4, 6, 8, 16, 32, 64])


def make_trial(text, accuracy, seed=0, *, added=100, state="COMPLETE", number=0):
    """Return a training with an accuracy in points, of a backbone with 10,000 parameters."""
    return TrialRecord(
        number=number,
        state=state,
        candidate=text,
        key=text,
        placement=text,
        seed=seed,
        epochs=4,
        accuracy=None if accuracy is None else accuracy / 100,
        loss=0.1,
        params=10_000 + added,
        added_params=added,
        added_params_pct=added / 100,
        macs=1,
        added_macs=0,
        seconds=1.0,
        reason=None,
    )


def write_text(levels):
    """Return the text of a candidate: for each stage -1 (no SE), or position and width in one."""
    parts = [
        f"stage{stage}={POSITIONS[level // 2]}:{WIDTHS[level % 2]}"
        for stage, level in enumerate(levels, start=2)
        if level >= 0
    ]
    return "/".join(["net", *parts])


class Truth:
    """Accuracies in points: main effects, interactions of two stages, and each its deviation."""

    def __init__(self, rng, main, pairs, deviation):
        self.presence = rng.normal(0, main, NUM_STAGES)
        self.positions = rng.normal(0, main / 2, (NUM_STAGES, 3))
        self.widths = rng.normal(0, main / 4, (NUM_STAGES, 2))
        self.pairs = np.triu(rng.normal(0, pairs, (NUM_STAGES, NUM_STAGES)), 1)
        self.deviations = {
            levels: rng.normal(0, deviation) for levels in product(range(-1, 6), repeat=NUM_STAGES)
        }

    def accuracy(self, levels):
        array = np.array(levels)
        carries = array >= 0
        stages = np.flatnonzero(carries)
        main = self.presence[stages] + self.positions[stages, array[stages] // 2]
        main = main + self.widths[stages, array[stages] % 2]
        return 90 + main.sum() + carries @ self.pairs @ carries + self.deviations[levels]


def draw_candidates(rng, count):
    """Draw different candidates from a space in which some stages and levels are rare."""
    carries = rng.uniform(0.35, 0.8, NUM_STAGES)
    shares = rng.dirichlet([4, 4, 4, 4, 4, 4])
    drawn = {}
    while len(drawn) < count:
        levels = rng.choice(6, NUM_STAGES, p=shares)
        drawn[tuple(np.where(rng.random(NUM_STAGES) < carries, levels, -1).tolist())] = None
    return list(drawn)


def train(rng, truth, candidates, num_replicates=4):
    """Return a training of each candidate, spread over replicates that begin with a control."""
    levels = rng.normal(0, 0.3, num_replicates)
    everything = [(-1,) * NUM_STAGES] * num_replicates + list(candidates)
    return [
        make_trial(
            write_text(own),
            truth.accuracy(own) + levels[number % num_replicates] + rng.normal(0, SEED_SD),
            number % num_replicates,
        )
        for number, own in enumerate(everything)
    ]
