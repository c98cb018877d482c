"""Decisions of the default sampler where replicates begin with the network without SE."""

from dataclasses import replace

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState
from support.networks import bind
from support.proposing import EPOCHS, NUM_REPLICATES, Trial, history_of, next_replicate
from support.records import make_record

from se_search.candidate import Candidate
from se_search.cost import count_cost
from se_search.search.candidate_set import WholeSpace
from se_search.search.pareto_sampler import ParetoSampler
from se_search.search.pool import PoolSource
from se_search.search.proposer import Proposer
from se_search.surrogate.features import Factors

WITH_PLAIN = bind([32], [64], [64], width=[4, 8, 16])
SE_ONLY = bind([32], [64], [64], width=[4, 8, 16], none=False)
SPACES = {"with plain": WITH_PLAIN, "SE only": SE_ONLY}
PLAIN = Candidate.plain(SE_ONLY.backbone)


def price(candidate):
    return [count_cost(candidate).params]


def make_proposer(space, **options):
    factors = Factors(space.describe_levels()).with_empty_levels()
    source = PoolSource(space, price, 0)
    usual = {"plain": factors.plain}
    return Proposer(factors, source, lambda codes: True, 0, **usual | options)


def make_sampler(space, **options):
    return ParetoSampler(space, WholeSpace(space), 0, price, EPOCHS, control=PLAIN, **options)


def evaluate(codes, replicate, noise):
    """Return an accuracy that is a function of the candidate and the replicate."""
    rng = np.random.default_rng([replicate, *codes])
    level = np.random.default_rng(replicate).normal(0, 0.01)
    return 0.8 + level + 0.002 * float(np.sum(codes)) + rng.normal(0, noise)


def run(proposer, num_trials, num_controls=NUM_REPLICATES, noise=0.004):
    """Return the trials and decisions of a search that begins with controls."""
    plain = tuple(proposer.factors.plain.tolist())
    trials = [
        Trial(plain, "finished", evaluate((0, 0, 0), replicate, noise), replicate=replicate)
        for replicate in range(num_controls)
    ]
    decisions = []
    for _ in range(num_trials):
        decisions.append(proposer.decide(history_of(trials, 3)))
        codes = tuple(decisions[-1].codes.tolist())
        replicate = next_replicate(trials, codes)
        accuracy = evaluate(codes, replicate, noise)
        trials.append(Trial(codes, "finished", accuracy, replicate=replicate))
    return trials, decisions


@pytest.mark.parametrize("name", SPACES)
def test_the_plain_network_is_never_proposed_as_a_new_candidate(name):
    proposer = make_proposer(SPACES[name])
    _, decisions = run(proposer, 24)
    again = [d.kind for d in decisions if (d.codes == proposer.plain).all()]
    assert set(again) <= {"repeat"}
    assert {"start", "explore"} <= {decision.kind for decision in decisions}


def test_a_plain_network_outside_of_the_space_is_never_proposed():
    _, decisions = run(make_proposer(SE_ONLY), 40)  # of 27 candidates
    assert all(SE_ONLY.with_codes(decision.codes) in SE_ONLY for decision in decisions)
    assert decisions[-1].kind == "repeat"


def test_controls_leave_repeats_their_share_of_the_trainings():
    """Twelve trainings of the plain network: counted as repeats, they would use the share up."""
    plain = make_proposer(WITH_PLAIN).plain
    kinds = {
        name: [d.kind for d in run(make_proposer(WITH_PLAIN, plain=own), 30, 12, 0.03)[1]]
        for name, own in (("controls", plain), ("candidates", None))
    }
    assert "repeat" in kinds["controls"]
    assert "repeat" not in kinds["candidates"]


def test_no_repeat_opens_a_replicate_while_there_are_new_candidates():
    """Another replicate costs a control, too: 58 trainings leave new ones of 64."""
    trials, decisions = run(make_proposer(WITH_PLAIN), 58, noise=0.01)
    assert "repeat" in [decision.kind for decision in decisions]
    assert max(trial.replicate for trial in trials) < NUM_REPLICATES


def test_first_candidates_come_first_in_their_order_and_then_the_start_design():
    first = [np.array(codes, np.int16) for codes in ((3, 3, 3), (1, 0, 2), (0, 0, 1))]
    proposer = make_proposer(WITH_PLAIN, first=first)
    _, decisions = run(proposer, proposer.num_starts)
    rows = [decision.codes.tolist() for decision in decisions]
    assert rows[:3] == [[3, 3, 3], [1, 0, 2], [0, 0, 1]]
    assert len({tuple(row) for row in rows}) == len(rows)
    _, usual = run(make_proposer(WITH_PLAIN), 4)
    others = [decision.codes.tolist() for decision in usual]
    assert rows[3] == next(row for row in others if row not in rows[:3])


def test_a_first_candidate_that_may_not_be_proposed_is_passed_over():
    first = [np.array(codes, np.int16) for codes in ((3, 3, 3), (1, 0, 2))]
    proposer = make_proposer(WITH_PLAIN, first=first, is_open=lambda codes: codes[0] != 3)
    _, decisions = run(proposer, 1)
    assert decisions[0].codes.tolist() == [1, 0, 2]


@pytest.mark.parametrize("name", SPACES)
def test_equal_trials_give_equal_decisions_whoever_is_asked(name):
    options = {"first": [np.array([1, 1, 1], np.int16)]}
    trials, decisions = run(make_proposer(SPACES[name], **options), 24)
    for number in (0, 5, 12, 20, 23):
        history = history_of(trials[: NUM_REPLICATES + number], 3)
        found = make_proposer(SPACES[name], **options).decide(history)
        assert found.codes.tolist() == decisions[number].codes.tolist()
        assert (found.kind, found.gain) == (decisions[number].kind, decisions[number].gain)


def test_a_replicate_that_is_better_as_a_whole_changes_no_decision_by_much():
    """Its level is known from its trainings: the front's expected rise stays as it was."""
    trials, _ = run(make_proposer(WITH_PLAIN), 24)
    lifted = [
        Trial(t.codes, t.state, t.accuracy + 0.1 * (t.replicate == 1), replicate=t.replicate)
        for t in trials
    ]
    estimates = [
        make_proposer(WITH_PLAIN).estimate(history_of(each, 3)) for each in (trials, lifted)
    ]
    (mean, sd), (moved, _) = estimates
    gains, others = mean - mean[0], moved - moved[0]
    assert np.abs(gains - others).max() < 0.5 * sd.max()


# Optuna studies.


def begin(sampler, num_controls=2):
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    for seed in range(num_controls):
        attributes = {"candidate": str(PLAIN), "epochs": EPOCHS, "seed": seed, "accuracy": 0.8}
        trial = optuna.create_trial(
            state=TrialState.COMPLETE, values=[0.8, 1.0], user_attrs=attributes
        )
        study.add_trial(trial)
    return study


@pytest.mark.parametrize("name", SPACES)
def test_controls_of_a_study_are_trainings_of_the_plain_network_in_their_replicates(name):
    sampler = make_sampler(SPACES[name])
    history = sampler.history_of(begin(sampler))
    assert history.trainings.codes.tolist() == [sampler.proposer.plain.tolist()] * 2
    assert history.trainings.replicates.tolist() == [0, 1]


def test_in_a_study_first_candidates_come_after_the_controls():
    everywhere = SE_ONLY.candidate_at(SE_ONLY.size - 1)
    sampler = make_sampler(SE_ONLY, first=[everywhere])
    study = begin(sampler)
    assert SE_ONLY.with_codes(sampler.decide(study).codes) == everywhere


def test_the_plain_network_outside_of_the_space_has_an_estimate():
    sampler = make_sampler(SE_ONLY)
    texts = [str(PLAIN), *(str(SE_ONLY.candidate_at(n)) for n in (0, 13, 26))]
    records = [
        replace(make_record(text, 0.7 + 0.02 * i, seed=seed), candidate=text)
        for seed in range(2)
        for i, text in enumerate(texts)
    ]
    found = sampler.estimate(records)
    assert list(found) == texts
    accuracies = [estimate.accuracy for estimate in found.values()]
    assert accuracies[0] == min(accuracies)


@pytest.mark.parametrize("most_exact", [2_000, 0])
def test_a_part_of_a_space_is_scored_also_where_controls_alone_have_finished(most_exact):
    proposer = make_proposer(WITH_PLAIN, most_scored=0, most_exact=most_exact)
    trials, _ = run(proposer, 0, 2)
    kinds = []
    for _ in range(proposer.num_starts + 2):
        decision = proposer.decide(history_of(trials, 3))
        kinds.append(decision.kind)
        trials.append(Trial(tuple(decision.codes.tolist()), "running"))
    assert kinds[-1] == "explore"
