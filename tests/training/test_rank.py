"""What a rank has of batches and of images that are evaluated: together each exactly once."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.batches import make_recipe, prepare
from support.data_sets import write_image_folders

from se_search.training.checkpointing import Position
from se_search.training.data import make_data
from se_search.training.datasets import prepare_data
from se_search.training.rank import ALONE, Rank

COUNT = 3  # ranks, among which neither 8 nor 10 images are shared evenly


@given(st.integers(0, 100), st.integers(1, 9))
def test_the_parts_of_ranks_are_those_of_numpy(number, count):
    values = np.arange(number)
    parts = [Rank(index, count).take(values) for index in range(count)]
    for part, expected in zip(parts, np.array_split(values, count), strict=True):
        assert part.tolist() == expected.tolist()


@given(st.integers(2, 99), st.integers(1, 9))
def test_means_of_ranks_weigh_as_in_the_mean_over_all(number, count):
    values = np.random.default_rng(number).normal(size=number)
    weighted = []
    for index in range(min(count, number)):
        part = values[Rank(index, min(count, number)).part(number)]
        weighted.append(part.mean() * Rank(index, min(count, number)).weigh(len(part), number))
    assert np.mean(weighted) == pytest.approx(values.mean())


def open_arrays(tmp_path):
    prepared, recipe = prepare(tmp_path), make_recipe()
    return lambda rank: make_data(prepared, recipe, 5, 1, rank=rank)


def open_folder(tmp_path):
    write_image_folders(tmp_path / "images", train=20, val=5)
    augmentation = {"resized_crop": (0.3, 1.0), "flip": True}
    recipe = make_recipe(image_size=16, augmentation=augmentation, split={"validation": 8})
    prepared = prepare_data(f"folder:{tmp_path / 'images'}", None, tmp_path, recipe)
    return lambda rank: make_data(prepared, recipe, 5, 3, rank=rank)


@pytest.mark.parametrize("open_with", [open_arrays, open_folder])
def test_ranks_have_each_image_of_a_batch_and_of_an_evaluation_once_and_in_order(
    tmp_path, open_with
):
    opened = open_with(tmp_path)
    modules = [opened(rank) for rank in (ALONE, *(Rank(i, COUNT) for i in range(COUNT)))]
    for module in modules:
        module.start = Position(0, 1)  # in the midst of an epoch
        module.setup("fit")
        module.setup("test")
    alone, *parts = [list(module.train_dataloader()) for module in modules]
    assert len(modules[0].train_dataloader()) > len(alone) > 1
    for whole, *shared in zip(alone, *parts, strict=True):
        for kind in (0, 1):  # images and labels
            assert torch.equal(whole[kind], torch.cat([part[kind] for part in shared]))
    for name in ("val_dataloader", "test_dataloader"):
        for kind in (0, 1):
            whole, *shared = [
                torch.cat([batch[kind] for batch in getattr(module, name)()]) for module in modules
            ]
            assert torch.equal(whole, torch.cat(shared))
