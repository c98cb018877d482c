"""How far a run is."""

import pytest

from se_search.report.run_state import judge_state
from se_search.store.trial_times import TrialTimes


def judge(states, *, holder=None, is_settled=False, **search):
    trials = [TrialTimes(n, state, None, None) for n, state in enumerate(states)]
    return judge_state(search, trials, holder, is_settled=is_settled)


OK, FAIL, WAIT = "COMPLETE", "FAIL", "WAITING"


@pytest.mark.parametrize(
    ("states", "options", "state"),
    [
        ([], {}, "waiting"),
        ([OK, OK], {}, "waiting"),
        ([OK, WAIT, "RUNNING"], {}, "waiting"),
        ([OK, OK], {"ending": "finished"}, "finished"),
        ([OK, OK], {"ending": "finished", "is_settled": True}, "settled"),
        ([OK, OK], {"ending": "exhausted"}, "finished"),
        ([OK, OK], {"ending": "settled"}, "settled"),
        ([FAIL, FAIL], {"ending": "finished"}, "failed"),
        ([OK, FAIL, FAIL, FAIL], {"max_failures": 3}, "failed"),
        ([OK, FAIL, FAIL], {"max_failures": 3}, "waiting"),
        ([FAIL, FAIL, FAIL, "PRUNED"], {"max_failures": 3}, "waiting"),
        ([OK, FAIL, FAIL, FAIL], {"max_failures": 3, "holder": "somebody"}, "running"),
    ],
)
def test_the_state_of_a_run_follows_from_its_trials_and_how_it_ended(states, options, state):
    assert judge(states, **options) == state
