"""A training in a child process that is killed goes on from its last state."""

import os
import signal
import time

import pytest
from support import data_sets

from se_search.candidate import Candidate
from se_search.device import Device
from se_search.execution.local import local_executor
from se_search.models.catalogue import describe_backbone
from se_search.record import Assignment, Evaluation
from se_search.training.checkpointing import Checkpointing
from se_search.training.datasets import prepare_data
from se_search.training.task import TrainingTask

DEVICE = Device("cpu", 0, 1, "32-true")


@pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")
def test_a_training_that_is_killed_goes_on_and_gives_the_same_bits(tmp_path):
    recipe = data_sets.make_recipe(epochs=4, batch_size=300, split={"validation": 200})
    data = prepare_data("digits", None, tmp_path, recipe)
    candidate = Candidate.plain(describe_backbone("resnet20_bottleneck", 1, 8, 10))
    assignment = Assignment(candidate, 0, recipe.epochs)
    checkpointing = Checkpointing(tmp_path / "states", seconds=0, max_share=1)
    task = TrainingTask(data, recipe, checkpointing=checkpointing)
    executor = local_executor(task, [DEVICE], tmp_path / "worker.log", pauses=[0.0])
    executor.submit(0, assignment)
    (running,) = executor._running.values()
    while not list(checkpointing.folder.rglob("*.state")):
        assert running.attempt._process.is_alive()
        time.sleep(0.005)
    os.kill(running.attempt._process.pid, signal.SIGKILL)

    came = []
    while not came or not isinstance(came[-1], Evaluation):
        came += [outcome for _, outcome in executor.wait(60)]
    *rows, evaluation = came
    epochs = [row.epoch for row in rows]
    assert epochs == sorted(set(epochs))  # it goes on: no epoch is made twice
    assert epochs[-1] == recipe.epochs
    assert evaluation.effort.attempts == 2
    assert not checkpointing.folder.exists()
    undisturbed = TrainingTask(data, recipe)(assignment, DEVICE)
    assert evaluation.history == undisturbed.history
    assert evaluation.correct == undisturbed.correct
