"""Made-up probes and scores of a known truth: trials, and what members of a rung say."""

from dataclasses import replace

import numpy as np
from support.networks import bind
from support.records import make_record

from se_search.candidate import Candidate
from se_search.cost import count_cost
from se_search.score import Score

SPACE = bind([64], [64], [64], [64], width=[4, 8, 16, 32])
PROBE_SEEDS = (2_000_000, 2_000_001)
PLAIN = Candidate.plain(SPACE.backbone)


def draw_probes(num_probes, seed=0):
    """Return the plain network and other candidates of ``SPACE``, all different."""
    numbers = 1 + np.random.default_rng(seed).choice(SPACE.size - 1, num_probes, replace=False)
    return [PLAIN, *(SPACE.candidate_at(int(number)) for number in numbers)]


def make_probe_trials(candidates, truth, noise=0.0, levels=(0.0, 0.0), seed=0):
    """Return a trial of each candidate in each probe replicate; the plain network's are controls.

    Args:
        candidates: the plain network first.
        truth: ``(n,)`` accuracies.
        noise: standard deviation of a training.
        levels: what each replicate adds to all of its trainings.
        seed: of the noise.
    """
    rng = np.random.default_rng(1_000 + seed)  # not the stream that truths are drawn from
    records = []
    for replicate, level in zip(PROBE_SEEDS, levels, strict=False):
        for candidate, accuracy in zip(candidates, truth, strict=True):
            cost = count_cost(candidate)
            record = make_record(
                candidate.key,
                float(accuracy + level + rng.normal(0, noise)),
                *(cost.params, cost.macs),
                seed=replicate,
            )
            role = "control" if candidate == PLAIN else "probe"
            known = {"candidate": str(candidate), "role": role, "number": len(records)}
            records.append(replace(record, **known))
    return records


def make_scores(candidates, values, noise=0.0, levels=(0.0, 0.0), seed=1, rung="supernet"):
    """Return a score of each candidate by each member; see ``make_probe_trials``."""
    rng = np.random.default_rng(2_000 + seed)
    return [
        Score(
            *(rung, 10**9 + member, str(candidate), candidate.key, None, None),
            value=float(value + level + rng.normal(0, noise)),
            seconds=0.25,
        )
        for member, level in enumerate(levels)
        for candidate, value in zip(candidates, values, strict=True)
    ]


def carries(candidates, stage):
    """Return which candidates have SE in a stage, ``(n,)``."""
    sites = [site.stage for site in SPACE.backbone.sites]
    return np.array([one.blocks[sites.index(stage)] is not None for one in candidates])
