"""The search loop: exact totals, no training twice, nothing lost when it is broken off."""

import math
from collections import Counter, defaultdict

import pytest
from support.optuna_studies import load_optuna_study
from support.records import front_of
from support.searching import evaluate, evaluation, make_space, open_store, search
from support.spaces import choose_from

from se_search.analysis.pareto import summarize
from se_search.candidate import Candidate
from se_search.cost import count_cost
from se_search.errors import (
    AllFailedError,
    DivergedError,
    InfrastructureError,
    TooManyFailuresError,
)
from se_search.execution.serial import SerialExecutor
from se_search.record import EpochRow, Failure, Fault, Stop
from se_search.search.candidate_set import WholeSpace
from se_search.search.loop import Ending, refuse_all_failed
from se_search.search.registry import SAMPLERS
from se_search.search.samplers import GridSampler
from se_search.store.trial_attributes import attributes_of

ALL_SAMPLERS = sorted(SAMPLERS)


@pytest.fixture
def database(tmp_path):
    return tmp_path / "trials.db"


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("sampler", ALL_SAMPLERS)
def test_a_study_ends_with_exactly_the_trials_asked_for(sampler, workers):
    records, ending = search(None, 13, sampler=sampler, workers=workers)
    assert ending == Ending.FINISHED
    assert [record.number for record in records] == list(range(13))
    assert {record.state for record in records} == {"COMPLETE"}


@pytest.mark.parametrize("sampler", ALL_SAMPLERS)
def test_no_training_is_made_twice_and_a_candidate_met_again_takes_another_replicate(sampler):
    space = make_space({"choices": {"reduction": [4]}})  # 8 candidates for 40 trials
    records, _ = search(None, 40, space=space, sampler=sampler, workers=2, seed=7)
    replicates = defaultdict(list)
    for record in records:
        replicates[record.key].append(record.seed)
    assert max(map(len, replicates.values())) > 1
    for found in replicates.values():
        assert len(set(found)) == len(found)
        assert set(found[:3]) <= {7, 8, 9}  # of 40 trials 3 replicates take turns


@pytest.mark.parametrize("sampler", ALL_SAMPLERS)
def test_a_continued_study_goes_on_as_an_undisturbed_one(tmp_path, sampler):
    undisturbed, _ = search(None, 30, sampler=sampler)
    search(tmp_path / "b.db", 17, sampler=sampler)
    continued, _ = search(tmp_path / "b.db", 30, sampler=sampler)
    assert continued == undisturbed


def test_another_seed_searches_otherwise():
    runs = [search(None, 10, seed=seed)[0] for seed in (0, 1)]
    assert [r.candidate for r in runs[0]] != [r.candidate for r in runs[1]]


def test_a_total_that_has_been_reached_starts_nothing(database):
    before, _ = search(database, 6)
    after, ending = search(database, 4, evaluate=None)
    assert after == before
    assert ending == Ending.FINISHED


def test_a_failed_trial_counts_and_says_why():
    def fail_third(assignment):
        fail_third.calls += 1
        if fail_third.calls == 3:
            raise DivergedError("the loss is nan at epoch 1, step 2 of 9")
        return evaluate(assignment)

    fail_third.calls = 0
    records, _ = search(None, 5, evaluate=fail_third)
    assert [r.state for r in records] == ["COMPLETE", "COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert records[2].reason == "the loss is nan at epoch 1, step 2 of 9"
    assert records[2].accuracy is None


@pytest.mark.parametrize(("accuracy", "loss"), [(math.nan, 1.0), (0.5, math.inf), (-math.inf, 0.1)])
def test_numbers_that_are_not_finite_make_a_failed_trial(accuracy, loss):
    records, _ = search(None, 1, evaluate=lambda _: evaluation(accuracy, loss))
    assert records[0].state == "FAIL"
    assert "not finite" in records[0].reason
    assert records[0].accuracy is None


def test_too_many_failures_in_a_row_stop_the_study_with_the_last_reason(database):
    def fail(assignment):
        raise DivergedError(f"no {assignment.seed}")

    with pytest.raises(
        TooManyFailuresError, match="3 trainings in a row failed; the last one: no 0"
    ):
        search(database, 50, sampler="grid", evaluate=fail, max_failures=3)
    assert [t.state.name for t in load_optuna_study(database).trials] == ["FAIL"] * 3


def test_failures_that_are_not_in_a_row_do_not_stop_the_study():
    def fail_every_other(assignment):
        fail_every_other.calls += 1
        if fail_every_other.calls % 2:
            raise DivergedError("odd")
        return evaluate(assignment)

    fail_every_other.calls = 0
    records, _ = search(None, 12, evaluate=fail_every_other, max_failures=2)
    assert Counter(r.state for r in records) == {"FAIL": 6, "COMPLETE": 6}


class StopAfter:
    """Ask the loop to stop once so many trials have been evaluated."""

    def __init__(self, num_trials, urgency):
        self.num_trials, self.urgency, self.evaluated = num_trials, urgency, 0

    def evaluate(self, assignment):
        self.evaluated += 1
        return evaluate(assignment)

    def __call__(self):
        return self.urgency if self.evaluated >= self.num_trials else Stop.NO


def test_a_gentle_stop_lets_running_trials_end_and_starts_no_other():
    stop = StopAfter(2, Stop.AFTER_RUNNING)
    records, ending = search(None, 20, evaluate=stop.evaluate, workers=3, stop=stop)
    assert ending == Ending.STOPPED
    assert [r.state for r in records] == ["COMPLETE"] * 4  # 2, and 2 that were running by then


def test_trials_broken_off_wait_and_are_trained_as_they_were_assigned(tmp_path):
    stop = StopAfter(2, Stop.NOW)
    broken, ending = search(
        tmp_path / "a.db", 9, evaluate=stop.evaluate, workers=3, stop=stop, sampler="grid"
    )
    assert ending == Ending.STOPPED
    assert Counter(r.state for r in broken) == {"COMPLETE": 2, "WAITING": 2}
    continued, _ = search(tmp_path / "a.db", 9, workers=3, sampler="grid")
    undisturbed, _ = search(None, 9, workers=3, sampler="grid")
    assert continued == undisturbed


def test_a_coordinator_that_died_leaves_no_trial_running_and_the_total_stays_exact(database):
    space = make_space()
    store = open_store(database)
    store.optuna_study.sampler = GridSampler(space, WholeSpace(space), 0)

    class DeathError(Exception):
        pass

    def die(assignment):
        raise DeathError

    with pytest.raises(DeathError):
        search(database, 5, space=space, sampler="grid", evaluate=die, workers=2)
    store.close()
    assert {t.state.name for t in load_optuna_study(database).trials} == {"RUNNING"}
    records, _ = search(database, 5, space=space, sampler="grid", workers=2)
    assert [r.candidate for r in records] == [str(space.candidate_at(i)) for i in range(5)]
    assert {r.state for r in records} == {"COMPLETE"}


def test_a_trial_that_was_asked_for_and_never_assigned_is_used_again(database):
    store = open_store(database)
    store.optuna_study.ask()
    store.close()
    records, _ = search(database, 3)
    assert [r.number for r in records] == [0, 1, 2]
    assert len(load_optuna_study(database).trials) == 3


def test_optuna_is_told_every_objective_in_its_direction(database):
    objectives = ("accuracy", "params", "macs")
    records, _ = search(database, 4, objectives=objectives)
    study = load_optuna_study(database)
    assert [d.name for d in study.directions] == ["MAXIMIZE", "MINIMIZE", "MINIMIZE"]
    assert study.metric_names == list(objectives)
    for record, trial in zip(records, study.trials, strict=True):
        assert trial.values == [record.accuracy, record.params, record.macs]


def test_the_front_is_that_of_optuna_when_every_candidate_has_one_seed(database):
    space = make_space()
    records, _ = search(database, space.size, space=space, sampler="grid")
    ours = {s.candidate for s in front_of(summarize(records, ("accuracy", "params")))}
    best = load_optuna_study(database).best_trials
    assert ours == {attributes_of(trial)["candidate"] for trial in best}


def test_optunas_parameters_spell_the_candidate_that_was_trained(database):
    space = make_space()
    records, _ = search(database, 12, space=space, sampler="tpe")
    for record, trial in zip(records, load_optuna_study(database).trials, strict=True):
        assert str(choose_from(space, trial.params)) == record.candidate


@pytest.mark.parametrize("sampler", ALL_SAMPLERS)
def test_candidates_beyond_the_limits_are_never_trained(sampler):
    def is_allowed(candidate):
        return count_cost(candidate).added_params <= 1_000

    space = make_space()
    records, _ = search(None, 25, space=space, sampler=sampler, is_allowed=is_allowed)
    assert max(r.added_params for r in records) <= 1_000
    assert max(count_cost(c).added_params for c in space) > 1_000


@pytest.mark.parametrize("sampler", ALL_SAMPLERS)
def test_of_few_allowed_candidates_none_is_trained_twice_and_the_search_ends(sampler):
    def is_allowed(candidate):
        return count_cost(candidate).added_params <= 1_300

    space = make_space()
    allowed = {str(candidate) for candidate in space if is_allowed(candidate)}
    records, ending = search(
        None, 25, space=space, sampler=sampler, is_allowed=is_allowed, repeat_candidates=False
    )
    assert ending == Ending.EXHAUSTED
    trained = Counter(r.candidate for r in records if r.role != "control")
    assert trained == Counter(allowed - {str(Candidate.plain(space.backbone))})
    assert 1 < len(allowed) < space.size


@pytest.mark.parametrize("sampler", ALL_SAMPLERS)
def test_a_search_of_nothing_ends_at_once(sampler):
    assert search(None, 3, sampler=sampler, is_allowed=lambda _: False) == (
        [],
        Ending.EXHAUSTED,
    )


def failing(database, num_trials, sampler, **options):
    """Search three candidates that all fail, those without SE for another reason."""

    def fail(assignment):
        raise DivergedError("loss nan" if assignment.candidate.blocks[0] else "rare")

    space = make_space({"granularity": "network", "choices": {"reduction": [4, 8]}})
    return search(database, num_trials, space=space, sampler=sampler, evaluate=fail, **options)


def test_that_all_trials_failed_is_an_error_with_the_most_frequent_reason(database):
    records, _ = failing(database, 3, "grid", control=False)
    with pytest.raises(AllFailedError, match=r"all 3 trials.*\(2 of 3\): loss nan") as caught:
        refuse_all_failed(records)
    assert caught.value.exit_code == 5
    with pytest.raises(AllFailedError, match=r"the only trial failed, .*: rare"):
        refuse_all_failed(records[:1])
    refuse_all_failed([])
    refuse_all_failed(search(database.with_name("good.db"), 1)[0] + records)


def test_a_search_whose_every_candidate_failed_ends(database):
    records, ending = failing(database, 10, "pareto", max_failures=9)
    assert ending == Ending.EXHAUSTED
    # The control is tried twice in each of two replicates, the others once.
    assert sorted(Counter(r.key for r in records).values()) == [1, 1, 4]


def test_every_change_is_reported_with_counts_that_add_up():
    seen = []
    search(None, 6, workers=2, observe=seen.append)
    assert seen[0].changed is None
    assert [p.changed.state for p in seen[1:]].count("RUNNING") == 6
    assert [p.changed.state for p in seen[1:]].count("COMPLETE") == 6
    assert max(p.running for p in seen) == 2
    assert (seen[-1].completed, seen[-1].failed, seen[-1].running, seen[-1].total) == (6, 0, 0, 6)


def test_the_reported_best_is_the_best_candidate_mean():
    seen = []
    records, _ = search(None, 20, observe=seen.append)
    means = defaultdict(list)
    for record in records:
        means[record.key].append(record.accuracy)
    best = max(sum(values) / len(values) for values in means.values())
    assert seen[-1].best_accuracy == pytest.approx(best, abs=1e-12)


def test_evaluations_are_kept_for_complete_trials_alone():
    def fail_first(assignment):
        fail_first.calls += 1
        if fail_first.calls == 1:
            raise DivergedError("first")
        return evaluate(assignment)

    fail_first.calls = 0
    kept = []
    search(None, 3, evaluate=fail_first, keep=lambda number, _: kept.append(number))
    assert kept == [1, 2]


def test_an_executor_may_hand_results_back_in_any_order():
    class LastFirst(SerialExecutor):
        def wait(self, timeout):
            self._queue.rotate(1)
            return super().wait(timeout)

    records, _ = search(None, 9, executor=LastFirst(evaluate, 3))
    assert [r.number for r in records] == list(range(9))
    for record in records:
        assert record.accuracy == int(record.key, 16) % 9973 / 10_000 + record.seed * 1e-6


def test_epochs_of_a_trial_are_handed_on_with_its_record():
    class Telling(SerialExecutor):
        def wait(self, timeout):
            row = EpochRow(1, 4, 0.5, None, None, 1.0)
            return [*((number, row) for number, _ in self._queue), *super().wait(timeout)]

    told = []
    records, _ = search(
        None,
        3,
        executor=Telling(evaluate),
        advance=lambda record, row: told.append((record.number, record.state, row.epoch)),
    )
    assert told == [(number, "RUNNING", 1) for number in range(3)]
    assert [record.state for record in records] == ["COMPLETE"] * 3


def test_failures_from_an_executor_are_recorded_word_for_word(database):
    class Deadly(SerialExecutor):
        def wait(self, timeout):
            number, _ = self._queue.popleft()
            return [(number, Failure("the loss is nan in epoch 3"))]

    with pytest.raises(TooManyFailuresError):
        search(database, 9, executor=Deadly(evaluate), max_failures=1)
    (trial,) = load_optuna_study(database).trials
    assert attributes_of(trial)["reason"] == "the loss is nan in epoch 3"


@pytest.mark.parametrize("workers", [1, 3])
def test_a_search_whose_machine_failed_makes_the_trials_of_an_undisturbed_one(database, workers):
    """What failed by a fault of the machine waits, unjudged, and the next command makes it."""

    class Broken(SerialExecutor):
        def wait(self, timeout):
            ended = super().wait(timeout)
            return [(n, Failure("gone", Fault.INFRASTRUCTURE) if n == 4 else o) for n, o in ended]

    with pytest.raises(InfrastructureError):
        search(database, 9, executor=Broken(evaluate, workers), max_failures=1)
    states = [trial.state.name for trial in load_optuna_study(database).trials]
    assert states[4] == "WAITING"
    assert set(states) == {"COMPLETE", "WAITING"}
    records, _ = search(database, 9, workers=workers)
    undisturbed, _ = search(None, 9, workers=workers)
    assert records == undisturbed


def is_settled_at(num_trials):
    """Return an answer that is yes from some number of trials on, and the questions it was asked.

    A question is the number of trials it is about.
    """
    asked = []

    def is_settled(records):
        assert {record.state for record in records} == {"COMPLETE"}
        asked.append(len(records))
        return len(records) >= num_trials

    return is_settled, asked


@pytest.mark.parametrize("workers", [1, 3])
def test_a_search_that_has_settled_ends_and_stays_ended(tmp_path, workers):
    path = tmp_path / "trials.db"
    is_settled, _ = is_settled_at(20)
    options = {"sampler": "random", "workers": workers, "is_settled": is_settled}
    records, ending = search(path, 60, **options)
    assert ending == Ending.SETTLED
    assert 20 <= len(records) < 20 + workers
    assert {record.state for record in records} == {"COMPLETE"}
    assert search(path, 60, **options) == (records, Ending.SETTLED)
    more, ending = search(path, len(records) + 2, sampler="random", workers=workers)
    assert (len(more), ending) == (len(records) + 2, Ending.FINISHED)


def test_whether_a_search_has_settled_is_asked_when_a_twentieth_has_been_added():
    is_settled, asked = is_settled_at(1_000)
    records, ending = search(None, 130, sampler="random", is_settled=is_settled)
    assert (len(records), ending) == (130, Ending.FINISHED)
    assert asked == [*range(5, 101, 5), 105, 111, 117, 123, 130][: len(asked)]
    assert len(asked) >= 24


def test_a_continued_search_asks_what_an_undisturbed_one_asks(tmp_path):
    is_settled, asked = is_settled_at(1_000)
    for total in (7, 8, 19, 20, 33):
        search(tmp_path / "a.db", total, sampler="random", is_settled=is_settled)
    assert sorted(set(asked)) == [5, 10, 15, 20, 25, 30]
