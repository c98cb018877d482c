"""What a run has besides trainings, made up: supernets whose scores follow the truth, or do not."""

import numpy as np
from support.made_up_scores import (
    SPACE,
    carries,
    draw_probes,
    make_probe_trials,
    make_scores,
)

from se_search.analysis.rung_test import judge_scores
from se_search.report.ladder import Evidence, Scored
from se_search.store.supernets import Probe, Segment, SupernetRecord, Supernets
from se_search.surrogate.decision import Decision, Settled

CANDIDATES = draw_probes(12)
SEEDS = (10**9, 10**9 + 1)
# What a front has where supernets have scored and no candidate was trained.
NONE_TRAINED = {
    "candidates": (),
    "reason": "fewer than 8 trainings have ended",
    "decision": Decision("nothing", None, "fewer than 8 trainings have ended"),
    "settled": Settled(None, None, 0.002, ("there is no model",)),
    "recommended_key": None,
    "noise": None,
    "effects": None,
}


def make_supernets(*states, probes=CANDIDATES[1:]):
    records = [
        SupernetRecord(10**9 + number, 26, state, 4.0, 1.5, reason="the loss is nan")
        for number, state in enumerate(states or ("SCORED", "SCORED"))
    ]
    known = tuple(Probe(str(one), seed) for seed in (2_000_000, 2_000_001) for one in probes)
    segments = (Segment("train", 0, 26), Segment("supernets", 26, 26, SEEDS))
    return Supernets(known, segments, tuple(records))


def make_evidence(is_true=True, has_probes=True, bias=0.0, supernets=None, budget=100, trials=60):
    """Return evidence of two supernets.

    Args:
        is_true: whether their scores follow the trainings of the probes.
        has_probes: whether there are trainings of probes.
        bias: by how much supernets score SE in stage 3 too well, a share.
        supernets: the run's; None: two that have scored.
        budget: of the run.
        trials: that the run has.
    """
    rng = np.random.default_rng(3)
    truth = 0.8 + rng.normal(0, 0.004, len(CANDIDATES))
    said = truth if is_true else rng.permutation(truth)
    scores = make_scores(CANDIDATES, 0.4 * (said + bias * carries(CANDIDATES, 3)), 0.0001)
    records = make_probe_trials(CANDIDATES, truth, 0.0005) if has_probes else []
    order = (
        Scored(str(CANDIDATES[1]), CANDIDATES[1].placement, 0.012, 0.01, 0.014),
        Scored(str(CANDIDATES[0]), CANDIDATES[0].placement, 0.0, 0.0, 0.0),
    )
    tests = judge_scores(scores, records, SPACE, {"supernet": 240.0})
    known = budget, trials, len(records), 287, 0.0142
    return Evidence(supernets or make_supernets(), tuple(tests), order, *known)
