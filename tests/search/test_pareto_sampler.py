"""The default sampler on Optuna studies of candidates."""

import dataclasses

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState
from support.networks import make_backbone
from support.proposing import EPOCHS, Trial, look_up, make_table, next_replicate, price
from support.records import make_record
from support.scored_designs import list_scores
from support.searching import Only
from support.spaces import choose_from

from se_search.cost import count_cost
from se_search.search.candidate_set import WholeSpace
from se_search.search.pareto_sampler import ParetoSampler
from se_search.space.bound import BoundSpace
from se_search.space.schema import SearchSpace

TABLE = make_table(num_columns=2, num_levels=5)
NOISY = make_table(num_columns=2, num_levels=5, noise=0.03, num_replicates=40)
STAGES = BoundSpace(
    SearchSpace.model_validate({"choices": {"reduction": [4, 8]}}), make_backbone([32], [64], [64])
)


def make_sampler(space=TABLE, seed=0, is_allowed=None, **options):
    return ParetoSampler(space, Only(space, is_allowed), seed, price(space), EPOCHS, **options)


def make_study(sampler=None):
    return optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)


def ask(study, space, epochs=EPOCHS):
    """Ask for a trial and note what it trains, as the loop does."""
    before = [
        Trial(
            tuple(space.codes_of(space.parse(t.user_attrs["candidate"]))),
            replicate=t.user_attrs["seed"],
        )
        for t in study.trials
        if "candidate" in t.user_attrs
    ]
    trial = study.ask()
    row = space.choose(lambda p: trial.suggest_categorical(p.name, p.choices))
    note(trial, row, next_replicate(before, tuple(space.codes_of(row))), epochs)
    return trial, row


def note(trial, candidate, seed, epochs=EPOCHS):
    trial.set_user_attr("candidate", str(candidate))
    trial.set_user_attr("epochs", epochs)
    trial.set_user_attr("seed", seed)


def tell(study, trial, row, accuracy):
    trial.set_user_attr("accuracy", accuracy)
    study.tell(trial, [accuracy, float(row.index)])


def search(study, space, num_trials):
    evaluate = look_up(space)
    rows = []
    for _ in range(num_trials):
        trial, row = ask(study, space)
        seed = study.trials[trial.number].user_attrs["seed"]
        tell(study, trial, row, evaluate(tuple(space.codes_of(row).tolist()), seed))
        rows.append(row)
    return rows


def test_a_continued_study_goes_on_as_an_undisturbed_one():
    undisturbed = search(make_study(make_sampler(NOISY)), NOISY, 20)
    study = make_study(make_sampler(NOISY))
    begun = search(study, NOISY, 12)
    continued = make_study(make_sampler(NOISY))
    continued.add_trials(study.trials)
    assert begun + search(continued, NOISY, 8) == undisturbed


def test_it_goes_by_the_trials_and_not_by_what_it_proposed_itself():
    """Another sampler's trials, some of them failed and some still running."""
    study = make_study(optuna.samplers.RandomSampler(seed=0))
    rows = search(study, TABLE, 8)
    running = ask(study, TABLE)[1]
    trial, failed = ask(study, TABLE)
    study.tell(trial, state=TrialState.FAIL)
    study.sampler = make_sampler(repeats=False)
    proposed = search(study, TABLE, 25 - len({*rows, running, failed}))
    assert not {*proposed} & {*rows, running, failed}
    assert len({*proposed}) == len(proposed)


def test_what_a_trial_is_asked_to_train_is_spelled_by_its_parameters():
    study = optuna.create_study(
        directions=["maximize", "minimize"],
        sampler=ParetoSampler(
            STAGES, WholeSpace(STAGES), 0, lambda c: (count_cost(c).params,), EPOCHS
        ),
    )
    seen = set()
    for _ in range(STAGES.size):
        trial, candidate = ask(study, STAGES)
        assert choose_from(STAGES, trial.params) == candidate
        seen.add(candidate)
        trial.set_user_attr("accuracy", 0.5 + 0.01 * len(seen))
        study.tell(trial, [0.5, 1.0])
    assert next(iter(study.trials)).user_attrs["candidate"] == str(STAGES.candidate_at(0))  # plain
    assert len(seen) > STAGES.size / 2


def test_what_is_planned_is_trained_instead_of_a_proposal():
    sampler = make_sampler()
    study = make_study(sampler)
    search(study, TABLE, 10)
    sampler.planned = TABLE.candidate_at(7)
    assert ask(study, TABLE)[1] == TABLE.candidate_at(7)


def test_limits_are_kept():
    rows = search(make_study(make_sampler(is_allowed=lambda row: row.index % 2 == 0)), TABLE, 16)
    assert {row.index for row in rows} == set(range(0, 25, 2))


@pytest.mark.parametrize("repeats", [True, False])
def test_of_few_candidates_each_has_its_turn_and_then_only_further_replicates(repeats):
    sampler = make_sampler(is_allowed=lambda row: row.index % 8 == 0, repeats=repeats)
    study = make_study(sampler)
    rows = []
    while sampler.has_next(study) and len(rows) < 6:
        rows += search(study, TABLE, 1)
    assert {row.index for row in rows} == {0, 8, 16, 24}
    assert len(rows) == (6 if repeats else 4)


def test_where_nothing_is_allowed_there_is_no_next_candidate():
    sampler = make_sampler(is_allowed=lambda row: False)
    assert not sampler.has_next(make_study(sampler))


def test_the_decision_is_that_of_the_next_proposal():
    sampler = make_sampler(NOISY)
    study = make_study(sampler)
    for _ in range(6):
        search(study, NOISY, 3)
        decision = sampler.decide(study)
        assert search(study, NOISY, 1)[0] == NOISY.with_codes(decision.codes)
    assert decision.gain >= 0


def test_a_short_trainings_trial_is_no_full_one():
    """It tells what is good, but is not a repeat of a full training."""
    study = make_study(make_sampler(TABLE))
    for row in TABLE:
        study.add_trial(
            optuna.create_trial(
                state=TrialState.PRUNED,
                user_attrs={"candidate": str(row), "epochs": 1, "seed": 0, "accuracy": 0.3},
            )
        )
    sampler = study.sampler
    assert sampler.decide(study).kind == "repeat"
    history = sampler.history_of(study)
    assert history.budgets == (1, EPOCHS)
    assert history.trainings.budgets.tolist() == [0] * 25


# --- estimates --------------------------------------------------------------------------------


def records_of(accuracies, epochs=EPOCHS, state="COMPLETE"):
    """Return trials of rows of a table; four replicates take turns by the rows' numbers."""
    return [
        dataclasses.replace(
            make_record("", accuracy, state=state, epochs=epochs, seed=row.index % 4),
            candidate=str(row),
            key=row.key,
            placement=row.placement,
        )
        for row, accuracy in accuracies
    ]


def test_estimates_are_of_all_that_has_been_trained_by_key():
    records = records_of([(TABLE.candidate_at(n), 0.5 + n / 100) for n in (3, 7, 7, 19)])
    failed = records_of([(TABLE.candidate_at(9), 0.0)], state="FAIL")
    running = records_of([(TABLE.candidate_at(10), 0.0)], state="RUNNING")
    found = make_sampler().estimate([*records, *failed, *running])
    assert set(found) == {"3", "7", "19"}
    assert found["3"].accuracy < found["7"].accuracy < found["19"].accuracy
    assert found["7"].sd < found["3"].sd


def test_there_is_no_estimate_of_nothing():
    assert make_sampler().estimate([]) == {}
    failed = records_of([(TABLE.candidate_at(9), 0.0)], state="FAIL")
    assert make_sampler().estimate(failed) == {}


def test_estimates_pool_noisy_trainings():
    """They are nearer the truth than the single trainings that they are made of."""
    rows = list(NOISY)
    records = records_of([(row, float(NOISY.accuracies[row.index, 0])) for row in rows])
    found = make_sampler(NOISY).estimate(records)
    truth = NOISY.mean_accuracies
    top = np.flatnonzero(truth > np.median(truth))
    error = [found[rows[n].key].accuracy - truth[n] for n in top]
    seen = NOISY.accuracies[top, 0] - truth[top]
    assert np.std(error) < 0.75 * np.std(seen)


def test_estimates_take_off_what_short_trainings_favour():
    """Short trainings see one level too high; half of the candidates have had a full one too."""
    table = make_table()
    truth, is_favoured = table.mean_accuracies, table.codes()[:, 0] == 1
    rows = list(table)
    short = truth - 0.2 + 0.1 * is_favoured
    pruned = records_of([(row, float(short[row.index])) for row in rows], epochs=2, state="PRUNED")
    full = records_of([(row, float(truth[row.index])) for row in rows[::2]])
    found = make_sampler(table).estimate([*pruned, *full])
    error = np.array([found[row.key].accuracy for row in rows]) - truth
    has_short_only = np.arange(len(rows)) % 2 == 1
    favour = (
        error[has_short_only & is_favoured].mean() - error[has_short_only & ~is_favoured].mean()
    )
    assert abs(favour) < 0.3 * 0.1


def test_scores_are_taken_as_candidates_of_the_space_and_change_estimates():
    sampler, records = make_sampler(), []
    for number, row in enumerate(list(TABLE)[:12]):
        record = make_record(row.key, 0.5 + 0.01 * (number % 5), seed=number % 3, epochs=EPOCHS)
        records.append(dataclasses.replace(record, number=number, candidate=str(row)))
    before = sampler.estimate(records)
    values = np.arange(float(TABLE.size))
    sampler.take_scores(list_scores([str(row) for row in TABLE], values))
    (rung,) = sampler.proposer.scores
    assert {tuple(c): v for c, v in zip(rung.codes.tolist(), rung.values, strict=True)} == {
        tuple(c): v for c, v in zip(TABLE.codes().tolist(), values, strict=True)
    }
    assert sampler.estimate(records) != before
    sampler.take_scores(())
    assert sampler.estimate(records) == before
