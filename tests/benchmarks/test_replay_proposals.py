"""The sampler proposes what a finished search trained."""

import json
from datetime import datetime, timedelta
from pathlib import Path

from optuna.trial import TrialState, create_trial

from benchmarks.replay_proposals import replay
from se_search.candidate import Candidate
from se_search.cost import count_cost
from se_search.models.catalogue import describe_backbone
from se_search.search.candidate_set import WholeSpace
from se_search.search.pareto_sampler import ParetoSampler
from se_search.space.bound import BoundSpace
from se_search.space.everywhere import nearest_everywhere
from se_search.space.schema import read_space

HISTORY = Path(__file__).with_name("data") / "search_with_rungs.json"
START = datetime(2026, 1, 1)


def read_history():
    """Return the trials of a search on digits with rungs of 1, 2 and 4 epochs, two workers.

    It knew all results that were there, as before searches had a lag.

    A row is: candidate, epochs, replicate, accuracy, state, role, when it started and when it
    ended, in seconds.
    """
    trials = []
    for number, row in enumerate(json.loads(HISTORY.read_text())):
        candidate, epochs, seed, accuracy, state, role, begin, end = row
        attributes = {
            "candidate": candidate,
            "epochs": epochs,
            "accuracy": accuracy,
            "seed": seed,
            "role": role,
        }
        values = [accuracy, 0.0] if state == "COMPLETE" else None
        trial = create_trial(state=TrialState[state], values=values, user_attrs=attributes)
        trial.number = number
        trial.datetime_start = START + timedelta(seconds=begin)
        trial.datetime_complete = START + timedelta(seconds=end)
        trials.append(trial)
    return trials


def as_of(earlier, trial):
    """Return trials as they stood when another began: those that ended later are running."""
    past = []
    for one in earlier:
        if one.datetime_complete > trial.datetime_start:
            attributes = {k: v for k, v in one.user_attrs.items() if k != "accuracy"}
            one = create_trial(state=TrialState.RUNNING, user_attrs=attributes)
        past.append(one)
    return past


def test_the_sampler_proposes_what_the_search_trained():
    backbone = describe_backbone("resnet20_bottleneck", 1, 8, 10)
    space = BoundSpace(read_space("stages_ratio"), backbone)
    sampler = ParetoSampler(
        space,
        WholeSpace(space),
        0,
        lambda candidate: (count_cost(candidate).params,),
        4,
        control=Candidate.plain(backbone),
        first=(nearest_everywhere(space),),
    )
    trials = read_history()
    rows = replay(sampler, trials, lambda trial: as_of(trials[: trial.number], trial))
    assert len(rows) == 13
    assert [proposed for _, _, proposed in rows] == [trained for _, trained, _ in rows]
