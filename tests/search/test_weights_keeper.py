"""Weights are kept of what may be recommended, within a budget, and no loss is silent."""

from dataclasses import replace

import pytest
from support.made_up_fronts import SPACE, make_candidate, make_front
from support.records import make_record
from support.searching import evaluation

from se_search.execution.serial import SerialExecutor
from se_search.record import Assignment, Failure
from se_search.search.weights_keeper import (
    SPARE,
    Keeping,
    KeepingExecutor,
    WeightsKeeper,
    may_be_taken,
)
from se_search.store.kept_weights import KeptWeights

FULL = 4  # epochs
SIZE = 1_000_000  # bytes of each file


class Search:
    """Trials of a made-up search, whose trainings write files of ``SIZE`` bytes."""

    def __init__(self, path, mode="front", budget=100 * SIZE, front=(), free=10 * SPARE):
        self.weights = KeptWeights(path)
        self.records, self.notes, self.fits = [], [], 0
        self.front, self.free = make_front(candidates=front), free
        self.make_keeper(mode, budget)

    def make_keeper(self, mode="front", budget=100 * SIZE):
        self.keeper = WeightsKeeper(
            self.weights,
            Keeping(mode, budget, FULL),
            lambda: self.records,
            self.fit,
            self.notes.append,
            lambda: self.free,
        )

    def fit(self, records):
        self.fits += 1
        return self.front

    def begin(self, placement, seed=0, epochs=FULL):
        """Begin a trial; return its assignment."""
        candidate = SPACE.parse(placement)
        record = make_record("a", 0.8, params=SIZE // 5, state="RUNNING", seed=seed, epochs=epochs)
        number = len(self.records)
        self.records.append(
            replace(
                record, number=number, key=candidate.key, placement=placement, candidate=placement
            )
        )
        return self.keeper.assign(number, Assignment(candidate, seed, epochs))

    def end(self, assignment, number=-1, failure=None, unkept=None):
        """End a trial, well unless a failure is given."""
        record = self.records[number]
        outcome = failure or replace(evaluation(0.8), unkept=unkept)
        path = assignment.weights_file
        if path is not None and failure is None and unkept is None:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(bytes(SIZE))
        self.keeper.end(record.number, outcome)
        ended = "COMPLETE" if record.epochs == FULL else "PRUNED"
        self.records[record.number] = replace(record, state="FAIL" if failure else ended)

    def train(self, placement, **known):
        self.end(self.begin(placement, **known))

    @property
    def kept(self):
        """Placements, seeds and epochs of the files that there are."""
        placements = {record.key: record.placement for record in self.records}
        names = self.weights.list_names()
        return sorted((placements[n.key], n.replicate, n.epochs) for n in names)


@pytest.fixture
def make(tmp_path):
    return lambda **known: Search(tmp_path, **known)


def test_the_first_replicate_is_kept_and_no_later_one(make):
    search = make()
    for seed in (5, 0, 3):
        search.train("s2:4", seed=seed)
    assert search.kept == [("s2:4", 5, FULL)]


def test_a_second_training_that_begins_while_the_first_runs_is_not_kept(make):
    search = make()
    first, second = search.begin("s2:4", seed=1), search.begin("s2:4", seed=2)
    assert first.weights_file is not None
    assert second.weights_file is None


def test_after_a_failure_the_next_replicate_is_kept(make):
    search = make()
    search.end(search.begin("s2:4", seed=1), failure=Failure("diverged"))
    search.train("s2:4", seed=2)
    assert search.kept == [("s2:4", 2, FULL)]


def test_a_trial_that_was_broken_off_is_kept_when_it_is_made_again(make):
    search = make()
    first = search.begin("s2:4", seed=1)
    search.keeper.release()
    assert search.keeper.assign(0, replace(first, weights_file=None)) == first
    search.end(first)
    assert search.kept == [("s2:4", 1, FULL)]


def test_with_all_a_longer_training_takes_the_place_of_a_shorter_one(make):
    search = make(mode="all")
    search.train("s2:4", epochs=1)
    assert search.kept == [("s2:4", 0, 1)]
    search.train("s2:4", epochs=FULL)
    assert search.kept == [("s2:4", 0, FULL)]


def test_with_front_short_trainings_are_not_kept_as_they_are_on_no_front(make):
    search = make()
    assert search.begin("s2:4", epochs=1).weights_file is None


def test_none_keeps_nothing_and_says_nothing(make):
    search = make(mode="none")
    search.train("s2:4")
    search.keeper.finish(search.front)
    assert (search.kept, search.notes, search.keeper.describe()) == ([], [], None)


def test_at_the_end_what_can_not_be_recommended_goes(make):
    unlikely = {"on_front": False, "is_listed": False}
    search = make(
        front=[
            make_candidate("no SE", on_front=False, is_listed=False, probability_on_front=0.0),
            make_candidate("s2:4", probability_on_front=0.009, **unlikely),
            make_candidate("s2:8", probability_on_front=0.011, **unlikely),
            make_candidate("s3:4", probability_on_front=0.0, is_listed=True, on_front=False),
            make_candidate("s3:8", probability_on_front=0.0, **unlikely),
        ]
    )
    for placement in ("no SE", "s2:4", "s2:8", "s3:4", "s3:8"):
        search.train(placement)
    search.keeper.finish(search.front, also=[SPACE.parse("s3:8").key])
    assert [placement for placement, *_ in search.kept] == ["no SE", "s2:8", "s3:4", "s3:8"]
    assert search.keeper.describe() == (
        f"Weights: 4 of 5 candidates are kept in {search.weights.folder}, 4.0 MB, those that may "
        "be recommended; se-search export trains others again"
    )


def test_with_all_the_end_drops_nothing(make):
    search = make(mode="all", front=[make_candidate("s2:4", on_front=False, is_listed=False)])
    search.train("s2:4")
    search.keeper.finish(search.front)
    assert search.keeper.describe() == (
        f"Weights: 1 of 1 candidates are kept in {search.weights.folder}, 1.0 MB"
    )


def test_without_a_model_every_candidate_may_be_recommended():
    found = make_candidate("s2:4", on_front=False, is_listed=False, probability_on_front=None)
    assert may_be_taken(found)


def test_a_full_budget_drops_what_is_least_likely_and_says_which_may_be_missed(make):
    unlikely = {"on_front": False, "is_listed": False}
    search = make(
        budget=round(3.5 * SIZE),
        front=[
            make_candidate("s2:4", probability_on_front=0.3, **unlikely),
            make_candidate("s2:8", probability_on_front=0.001, **unlikely),
            make_candidate("s3:4", probability_on_front=0.02, **unlikely),
        ],
    )
    for placement in ("s2:4", "s2:8", "s3:4", "s3:8"):
        search.train(placement)
    assert [placement for placement, *_ in search.kept] == ["s2:4", "s3:4", "s3:8"]
    assert len(search.notes) == 1
    assert search.notes[0].startswith("The budget of 3.5 MB for weights is used up")
    search.train("s4:4")
    assert [placement for placement, *_ in search.kept] == ["s2:4", "s3:8", "s4:4"]
    assert search.notes[1] == (
        "The weights of s3:4 are dropped, which may still be recommended: more do not fit 3.5 MB. "
        "--weights-budget takes more"
    )
    assert search.fits == 1  # the second time there is one training more, which is few


def test_running_trainings_count_in_the_budget(make):
    search = make(mode="all", budget=round(2.5 * SIZE))
    begun = [search.begin(placement).weights_file for placement in ("s2:4", "s2:8", "s3:4")]
    assert [path is not None for path in begun] == [True, True, False]


def test_with_all_a_full_budget_keeps_what_there_is(make):
    search = make(mode="all", budget=round(1.5 * SIZE))
    for placement in ("s2:4", "s2:8", "s3:4"):
        search.train(placement)
    assert [placement for placement, *_ in search.kept] == ["s2:4"]
    assert len(search.notes) == 1
    assert search.notes[0].startswith(
        "The budget of 1.5 MB for weights is used up: those of further"
    )


def test_a_file_that_the_whole_budget_does_not_take_is_not_written(make):
    search = make(budget=SIZE // 2)
    for placement in ("s2:4", "s2:8"):
        search.train(placement)
    assert search.kept == []
    assert len(search.notes) == 1
    assert "take about 946 kB, and the budget is 500 kB" in search.notes[0]


def test_a_disk_with_little_room_keeps_its_room_for_results(make):
    search = make(free=SPARE)
    assert search.begin("s2:4").weights_file is None
    assert search.notes[0].startswith("The disk has little room left")


def test_weights_that_can_not_be_written_are_said_once(make):
    search = make()
    for placement in ("s2:4", "s2:8"):
        search.end(search.begin(placement), unkept="no space left")
    assert search.notes == [
        "The weights of s2:4 are not kept: no space left. The search goes on; se-search export "
        "trains such candidates again"
    ]


def test_beginning_removes_weights_of_no_training_of_the_run(make):
    search = make()
    for placement in ("s2:4", "s2:8"):
        search.train(placement)
    del search.records[1]
    search.make_keeper()
    search.keeper.begin()
    assert [name.key for name in search.weights.list_names()] == [SPACE.parse("s2:4").key]


def test_the_executor_trains_what_the_keeper_assigns(make):
    search = make()
    trained = []

    def evaluate(assignment):
        trained.append(assignment)
        assignment.weights_file.parent.mkdir()
        assignment.weights_file.write_bytes(bytes(SIZE))
        return evaluation(0.8)

    executor = KeepingExecutor(SerialExecutor(evaluate), search.keeper)
    plain = replace(search.begin("s2:4"), weights_file=None)
    executor.submit(0, plain)
    ((number, _),) = executor.wait(1)
    assert number == 0
    assert trained[0].weights_file is not None
    assert search.kept == [("s2:4", 0, FULL)]


def test_a_search_that_trained_nobody_says_nothing_of_weights(make):
    assert make().keeper.describe() is None
