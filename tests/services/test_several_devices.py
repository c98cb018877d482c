"""One network by two processes, on the CPU, by Lightning's DDP."""

import os
import time
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from support import data_sets, ranks
from support.processes import list_below, lives, wait_for

from se_search.candidate import Candidate
from se_search.device import Device
from se_search.errors import BrokenOffError
from se_search.execution.faults import explain_error
from se_search.execution.local import local_executor
from se_search.models.catalogue import describe_backbone
from se_search.record import Assignment, EpochRow, Evaluation, Fault
from se_search.training.checkpointing import Checkpointing, never
from se_search.training.datasets import prepare_data
from se_search.training.evaluate import evaluate
from se_search.training.rank import Rank
from se_search.training.task import TrainingTask
from se_search.training.together import train_together

ALONE = Device("cpu", 0, 1, "32-true")
TWO = replace(ALONE, num_devices=2)
BACKBONE = describe_backbone("resnet20_bottleneck", 1, 8, 10)
EVERYWHERE = Candidate.parse("resnet20_bottleneck/all=standard:r16", BACKBONE)
NUM_EPOCHS = 4


def make_recipe(**changes):
    fields = {"epochs": NUM_EPOCHS, "batch_size": 300, "split": {"validation": 201}}
    fields |= {"augmentation": {"crop_padding": 1}, "validate_every": 1}
    return data_sets.make_recipe(**(fields | changes))


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return prepare_data("digits", None, tmp_path_factory.mktemp("cache"), make_recipe())


def finish(executor):
    """Return what comes of a training until it has ended."""
    came = []
    wait_for(lambda: came.extend(executor.wait(0.5)) or (came and came[-1][1]))
    while isinstance(came[-1][1], EpochRow):
        came += executor.wait(0.5)
    return [outcome for _, outcome in came]


def test_without_batch_norm_two_processes_train_as_one_does(digits):
    """301 images a batch are 151 and 150, and 201 that validate are 101 and 100."""
    recipe, assignment = make_recipe(batch_size=301), Assignment(EVERYWHERE, 3, 2)
    rows, one_device = [], (assignment, digits, recipe, ALONE)
    alone = ranks.train_plain(*one_device, tell=None, until=never, rank=Rank())
    work = partial(ranks.train_plain, assignment, digits, recipe, TWO)
    together = train_together(work, TWO, rows.append, never)
    assert [row.epoch for row in rows] == [1, 2]
    for one, other in zip(alone.history, together.history, strict=True):
        assert one == pytest.approx(other, rel=1e-5)
    for name, number in (("correct", 201), ("test_correct", 360)):
        bits = [
            np.unpackbits(np.frombuffer(getattr(outcome, name), np.uint8))[:number]
            for outcome in (alone, together)
        ]
        assert (bits[0] != bits[1]).sum() <= 1  # of images that both classify with equal logits
        assert 0.1 * number < bits[0].sum() < number
    assert together.accuracy * 201 == pytest.approx(
        np.unpackbits(np.frombuffer(together.correct, np.uint8))[:201].sum()
    )
    assert together.split_hash == alone.split_hash
    assert together.ran_on.device == f"2 x {alone.ran_on.device}"
    assert (alone.ran_on.micro_batch, together.ran_on.micro_batch) == (301, 151)


def test_a_training_by_two_processes_is_one_in_pieces_and_goes_on_to_the_bit(digits, tmp_path):
    recipe, assignment = make_recipe(), Assignment(EVERYWHERE, 3, NUM_EPOCHS)
    assignment = replace(assignment, weights_file=tmp_path / "weights" / "some")
    checkpointing = Checkpointing(tmp_path / "states", seconds=0, max_share=1)
    executor = local_executor(
        TrainingTask(digits, recipe, with_test=True, tensorboard=tmp_path / "curves"),
        [TWO],
        tmp_path / "log",
    )
    executor.submit(0, assignment)
    *rows, undisturbed = finish(executor)
    assert isinstance(undisturbed, Evaluation), undisturbed
    weights = assignment.weights_file.read_bytes()
    assert len(list((tmp_path / "curves").rglob("*tfevents*"))) == 1
    assert [row.accuracy for row in rows] == [row["accuracy"] for row in undisturbed.history]
    pieces = evaluate(assignment, digits, make_recipe(micro_batch=150), ALONE)
    for one, other in zip(undisturbed.history, pieces.history, strict=True):
        assert one["train_loss"] == pytest.approx(other["train_loss"], rel=1e-4)
    common = {"with_test": True, "checkpointing": checkpointing}
    with pytest.raises(BrokenOffError, match=r"saved after \d"):
        evaluate(assignment, digits, recipe, TWO, **common, until=time.monotonic)
    assert list(checkpointing.folder.rglob("*.state"))
    again = evaluate(assignment, digits, recipe, TWO, **common)
    assert again.history == undisturbed.history
    assert again.correct == undisturbed.correct
    assert assignment.weights_file.read_bytes() == weights
    assert not list(checkpointing.folder.rglob("*.state"))


def test_the_death_of_one_process_ends_the_others_and_is_the_trainings(tmp_path):
    began = set(list_below(os.getpid()))
    executor = local_executor(ranks.die_together, [TWO], tmp_path / "log", pauses=())
    executor.submit(0, Assignment(EVERYWHERE, 0, 1))
    wait_for(lambda: len(set(list_below(os.getpid())) - began) >= 3)
    found = set(list_below(os.getpid())) - began
    (failure,) = finish(executor)
    assert "the training process was killed by SIGKILL" in failure.reason
    assert failure.fault == Fault.INFRASTRUCTURE
    wait_for(lambda: not any(map(lives, found)))


def test_what_one_process_raises_is_raised_with_its_cause():
    with pytest.raises(RuntimeError, match="the batch does not fit") as raised:
        train_together(ranks.lack_memory_second, TWO, None, never)
    assert explain_error(raised.value).fault == Fault.RESOURCE


def test_a_training_that_is_killed_leaves_no_process(digits, tmp_path):
    began = set(list_below(os.getpid()))
    recipe = make_recipe(epochs=500)
    executor = local_executor(TrainingTask(digits, recipe), [TWO], tmp_path / "log")
    executor.submit(0, Assignment(EVERYWHERE, 0, 500))
    wait_for(lambda: executor.wait(0.5))  # an epoch has ended
    found = set(list_below(os.getpid())) - began
    assert len(found) >= 3
    executor.kill()
    wait_for(lambda: not any(map(lives, found)))
