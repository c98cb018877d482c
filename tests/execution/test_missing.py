"""A list of assignments trained into a log: what is there, what failed, and what is told of it."""

import pytest
from support.networks import make_backbone
from support.sessions import TellingExecutor

from se_search.candidate import Candidate
from se_search.errors import DivergedError
from se_search.execution.missing import id_of, list_assignments, train_missing
from se_search.record import Evaluation, Stop
from se_search.store.training_log import TrainingLog, read_log

BACKBONE = make_backbone([8])
CANDIDATES = [Candidate.parse(text, BACKBONE) for text in ("tiny", "tiny/stage2=standard:4")]
ASSIGNMENTS = list_assignments(CANDIDATES, range(3), 2)


def evaluate(assignment):
    row = {"epoch": 2, "accuracy": 0.25, "loss": 1.0, "test_accuracy": 0.5, "test_loss": 1.0}
    bits = {"correct": b"\x40", "test_correct": b"\x80"}
    split = {"split_seed": assignment.seed, "split_hash": f"split {assignment.seed}"}
    return Evaluation(0.25, 1.0, (row,), seconds=2.0, **bits, **split)


@pytest.fixture
def train(tmp_path):
    """Train what is missing; return the ids that were trained, and the log's contents."""

    def run(evaluate=evaluate, workers=1, assignments=ASSIGNMENTS, epochs=0, **options):
        trained = []

        def note_and_evaluate(assignment):
            trained.append(id_of(assignment))
            return evaluate(assignment)

        path = tmp_path / "trainings.jsonl"
        with TrainingLog(path, {"kind": "made up"}, {"torch": "1"}) as log:
            executor = TellingExecutor(note_and_evaluate, workers, epochs)
            train_missing(assignments, log, executor, **options)
        return trained, read_log(path)

    return run


def test_all_candidates_are_trained_with_one_seed_before_the_next(train):
    trained, log = train()
    keys = [candidate.key for candidate in CANDIDATES]
    assert trained == [(key, 2, seed) for seed in range(3) for key in keys]
    assert [training.id for training in log.trainings] == trained


def test_a_training_is_logged_with_its_split(train):
    log = train()[1]
    assert [(t.split_seed, t.split_hash) for t in log.trainings] == [
        (training.seed, f"split {training.seed}") for training in log.trainings
    ]


def test_trainings_of_the_log_are_not_made_again(train):
    train(assignments=ASSIGNMENTS[1:3])
    assert train()[0] == [id_of(ASSIGNMENTS[index]) for index in (0, 3, 4, 5)]
    assert train()[0] == []


def test_a_failed_training_is_told_of_and_made_by_the_next_call(train):
    def fail_second(assignment):
        if assignment == ASSIGNMENTS[1]:
            raise DivergedError("the loss is nan")
        return evaluate(assignment)

    ended = []
    _, log = train(fail_second, observe=ended.append)
    assert len(log.trainings) == 5
    assert [each.reason for each in ended if each.reason] == ["the loss is nan"]
    assert str(ended[1]) == "1 of 6: s2:4 (replicate 0) failed: the loss is nan"
    assert train()[0] == [id_of(ASSIGNMENTS[1])]


def test_the_observer_is_told_how_many_of_the_whole_list_are_done(train):
    train(assignments=ASSIGNMENTS[:2])
    ended = []
    train(observe=ended.append)
    assert [(each.done, each.total) for each in ended] == [(3, 6), (4, 6), (5, 6), (6, 6)]
    assert str(ended[0]) == "3 of 6: no SE (replicate 1) 25.00 % in 2.0 s"


def test_a_gentle_stop_keeps_the_running_trainings(train):
    evaluated = []

    def note(assignment):
        evaluated.append(assignment)
        return evaluate(assignment)

    _, log = train(note, workers=2, stop=lambda: Stop.AFTER_RUNNING if evaluated else Stop.NO)
    assert len(log.trainings) == len(evaluated) == 2


def test_an_urgent_stop_drops_the_running_trainings(train):
    evaluated = []

    def note(assignment):
        evaluated.append(assignment)
        return evaluate(assignment)

    _, log = train(note, workers=2, stop=lambda: Stop.NOW if evaluated else Stop.NO)
    assert len(log.trainings) == 1
    assert len(train()[0]) == 5


def test_each_epoch_is_told_with_its_training(train):
    told = []
    train(epochs=2, advance=lambda assignment, row: told.append((id_of(assignment), row.epoch)))
    assert told == [(id_of(assignment), epoch) for assignment in ASSIGNMENTS for epoch in (1, 2)]
