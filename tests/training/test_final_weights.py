"""What a training leaves behind: its weights, whole or not at all, and no failure by them."""

import math

import pytest
import torch
from safetensors.torch import load_file
from support.full_disk import largest_file
from support.small_network import candidate
from torch import nn

from se_search.models.surgery import build
from se_search.recipe import read_recipe
from se_search.record import Assignment
from se_search.store.kept_weights import read_kept_file, read_whole
from se_search.training.final_weights import keep_weights

RECIPE = read_recipe("quick")
FOUND = candidate("all=standard:4")
LAST = {"epoch": 1, "accuracy": 1 / 3, "loss": 0.5}


@pytest.fixture
def assignment(tmp_path):
    return Assignment(FOUND, 7, 1, tmp_path / "weights" / "0123456789ab-7-1.safetensors")


def test_the_file_has_the_weights_and_says_what_they_are_of(assignment):
    model = build(FOUND, seed=7)
    assert keep_weights(model, assignment, RECIPE, LAST, "a CPU") is None
    kept = read_kept_file(assignment.weights_file)
    assert (kept.candidate, kept.replicate, kept.epochs) == (str(FOUND), 7, 1)
    assert kept.accuracy == 1 / 3
    read_whole(kept)
    loaded = load_file(assignment.weights_file)
    assert all(torch.equal(loaded[name], value) for name, value in model.state_dict().items())


def test_nothing_is_written_where_nobody_asked(tmp_path):
    assert (
        keep_weights(build(FOUND, seed=7), Assignment(FOUND, 7, 1), RECIPE, LAST, "a CPU") is None
    )
    assert list(tmp_path.iterdir()) == []


def test_a_training_that_diverged_leaves_no_weights(assignment):
    last = LAST | {"loss": math.inf}
    assert keep_weights(build(FOUND, seed=7), assignment, RECIPE, last, "a CPU") is None
    assert not assignment.weights_file.exists()


def test_a_full_disk_is_told_and_leaves_no_half_of_a_file(assignment):
    with largest_file(1000):
        why = keep_weights(build(FOUND, seed=7), assignment, RECIPE, LAST, "a CPU")
    assert "can't be written: File too large" in why
    assert list(assignment.weights_file.parent.iterdir()) == []


def test_state_that_is_no_tensor_is_told(assignment):
    class Counts(nn.Module):
        def get_extra_state(self):
            return {"count": 3}

    why = keep_weights(nn.Sequential(Counts()), assignment, RECIPE, LAST, "a CPU")
    assert "only tensors are kept" in why
