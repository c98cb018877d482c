"""Batches of arrays are a function of the seed, and hold the images of their own part."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support.batches import (
    NUM_TEST,
    all_labels,
    all_numbers,
    fit,
    ignore_leaf_spec,
    make_labels,
    make_recipe,
    numbers_of,
    open_data,
    prepare,
    same_batches,
)
from torchvision.transforms import v2

from se_search.errors import RecipeError
from se_search.training.data import make_data
from se_search.training.split import draw_split


def test_batches_hold_the_images_of_their_own_part_with_their_labels(tmp_path: Path) -> None:
    prepared = prepare(tmp_path)
    module = open_data(prepared, augmentation={})
    split = draw_split(make_recipe(), make_labels(), replicate=0)
    images = np.load(prepared.array_path("train_images"))
    normalise = v2.Normalize(prepared.info.mean, prepared.info.std)
    for batches, part in (
        (module.train_dataloader(), split.train),
        (module.val_dataloader(), split.validation),
    ):
        for batch, labels in batches:
            numbers = numbers_of(prepared, batch)
            assert set(numbers) <= set(part.tolist())
            assert labels.tolist() == make_labels()[numbers].tolist()
            torch.testing.assert_close(batch, normalise(torch.from_numpy(images[numbers]) / 255))


def test_validation_images_come_whole_and_in_the_order_of_the_split(tmp_path: Path) -> None:
    prepared = prepare(tmp_path)
    numbers = all_numbers(prepared, open_data(prepared).val_dataloader())
    assert numbers == draw_split(make_recipe(), make_labels(), replicate=0).validation.tolist()


def test_training_never_opens_the_test_part(tmp_path: Path) -> None:
    prepared = prepare(tmp_path)
    prepared.array_path("test_images").unlink()
    prepared.array_path("test_labels").unlink()
    module = open_data(prepared)
    assert len(list(module.train_dataloader())) == 5
    assert len(list(module.val_dataloader())) == 1


def test_the_test_part_comes_whole_when_it_is_asked_for(tmp_path: Path) -> None:
    prepared = prepare(tmp_path)
    module = open_data(prepared, stage="test")
    assert all_numbers(prepared, module.test_dataloader()) == list(range(NUM_TEST))


def test_the_same_seed_gives_the_same_batches_and_another_seed_others(tmp_path: Path) -> None:
    prepared = prepare(tmp_path)
    torch.manual_seed(1)
    first = list(open_data(prepared, seed=3).train_dataloader())
    torch.manual_seed(2)
    assert same_batches(first, open_data(prepared, seed=3).train_dataloader())
    assert not same_batches(first, open_data(prepared, seed=4).train_dataloader())


def test_batches_leave_the_global_generators_alone(tmp_path: Path) -> None:
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1]  # type: ignore[index]
    list(open_data(prepare(tmp_path)).train_dataloader())
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)  # type: ignore[index]


def test_another_replicate_validates_on_other_images_unless_the_recipe_fixes_them(
    tmp_path: Path,
) -> None:
    prepared = prepare(tmp_path)

    def validated(seed: int, draw: str) -> list[int]:
        module = open_data(prepared, seed, split={"validation": 10, "draw": draw})
        return all_numbers(prepared, module.val_dataloader())

    assert validated(3, "replicate") != validated(4, "replicate")
    assert validated(3, "replicate") == validated(3, "replicate")
    assert validated(3, "fixed") == validated(4, "fixed")


def test_each_epoch_has_its_own_order_and_can_be_asked_for(tmp_path: Path) -> None:
    batches = open_data(prepare(tmp_path)).train_dataloader()
    epochs = [list(batches) for _ in range(3)]
    assert not same_batches(epochs[0], epochs[1])
    batches.epoch = 1
    assert same_batches(batches, epochs[1])
    assert same_batches(batches, epochs[2])


def test_augmentation_does_not_change_the_order(tmp_path: Path) -> None:
    prepared = prepare(tmp_path)
    plain = open_data(prepared, augmentation={}).train_dataloader()
    augmented = open_data(prepared).train_dataloader()
    assert all_numbers(prepared, plain) == all_numbers(prepared, augmented)


def test_an_epoch_holds_each_training_image_once_in_whole_batches(tmp_path: Path) -> None:
    prepared = prepare(tmp_path)
    batches = open_data(prepared, batch_size=16).train_dataloader()
    numbers = all_numbers(prepared, batches)
    assert len(batches) == 2  # 40 images
    assert len(numbers) == len(set(numbers)) == 32


def test_two_epochs_show_both_sides_of_every_image(tmp_path: Path) -> None:
    prepared = prepare(tmp_path)
    module = open_data(prepared, augmentation={"flip": True})
    batches = module.train_dataloader()
    seen = [
        {
            number: image
            for images, _ in batches
            for image, number in zip(images, numbers_of(prepared, images), strict=True)
        }
        for _ in range(2)
    ]
    assert seen[0].keys() == seen[1].keys()
    for number, image in seen[0].items():
        assert torch.equal(image, seen[1][number].flip(2))


def test_validation_images_are_not_augmented(tmp_path: Path) -> None:
    prepared = prepare(tmp_path)
    plain = open_data(prepared, augmentation={}).val_dataloader()
    assert same_batches(open_data(prepared).val_dataloader(), plain)


@pytest.mark.parametrize("name", ["fashion_mnist", "cifar10"])
def test_batches_are_float32_and_channels_last(tmp_path: Path, name: str) -> None:
    module = open_data(prepare(tmp_path, name))
    for batches in (module.train_dataloader(), module.val_dataloader()):
        images, labels = next(iter(batches))
        assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
        assert images.is_contiguous(memory_format=torch.channels_last)


def test_batches_have_the_recipes_size_of_which_two_must_fit(tmp_path: Path) -> None:
    module = open_data(prepare(tmp_path), batch_size=20)
    assert [len(labels) for _, labels in module.train_dataloader()] == [20, 20]
    with pytest.raises(RecipeError, match=r"less than two batches of 21"):
        open_data(prepare(tmp_path), batch_size=21)


@ignore_leaf_spec
def test_lightnings_epochs_are_the_iterations_of_the_batches(tmp_path: Path) -> None:
    prepared = prepare(tmp_path)
    model = fit(make_data(prepared, make_recipe(), 0, in_channels=1))
    batches = open_data(prepared).train_dataloader()
    assert model.seen == {epoch: all_labels(batches) for epoch in range(3)}
    validation = draw_split(make_recipe(), make_labels(), replicate=0).validation
    assert model.validated == 3 * make_labels()[validation].tolist()
