"""Images that are decoded once give the batches that files give, and are those of the scan."""

from itertools import chain

import numpy as np
import pytest
import torch
from PIL import Image
from support.batches import make_recipe

from se_search.errors import DataError
from se_search.training.datasets import prepare_data
from se_search.training.folder_data import FolderData

SIZE, NUM_TRAIN = 16, 12
FILE_BYTES = NUM_TRAIN * SIZE * SIZE  # of the training part, for one channel
RECIPE = make_recipe(image_size=SIZE, batch_size=4, split={"validation": 4})


@pytest.fixture
def prepared(tmp_path):
    """Prepare 12 training and 4 test images of noise, in three modes and sizes."""
    draw = np.random.default_rng(0)
    kinds = ((20, 17), (13, 16, 3), (16, 16, 4))  # grey, RGB, RGBA
    for part, count in (("train", NUM_TRAIN // 2), ("test", 2)):
        for name in ("cat", "dog"):
            (tmp_path / "images" / part / name).mkdir(parents=True)
            for number in range(count):
                shape = kinds[number % 3]
                image = Image.fromarray(draw.integers(0, 256, shape, dtype=np.uint8))
                image.save(tmp_path / "images" / part / name / f"{number}.png")
    return prepare_data(f"folder:{tmp_path / 'images'}", None, tmp_path / "cache", RECIPE)


def read_batches(prepared, recipe=RECIPE, channels=1, **limit):
    module = FolderData(prepared, recipe, 3, channels, 0, **limit)
    module.setup("fit")
    module.setup("test")
    loaders = (module.train_dataloader(), module.val_dataloader(), module.test_dataloader())
    return list(chain(*loaders, module.plain_dataloader("train", 3)))


def find_files(prepared):
    return sorted(prepared.listing.parent.glob("*.npy"))


def are_equal(some, others):
    assert len(some) == len(others)
    return all(
        torch.equal(a, b) and a.stride() == b.stride()
        for a, b in zip(chain(*some), chain(*others), strict=True)
    )


@pytest.mark.parametrize(
    ("augmentation", "eval_crop", "channels"),
    [
        ({}, None, 1),
        ({"crop_padding": 2, "flip": True}, None, 3),
        ({"flip": True}, 0.875, 4),
        ({"resized_crop": (0.3, 1.0), "flip": True}, None, 3),
    ],
)
def test_batches_are_those_of_the_files_to_the_bit(prepared, augmentation, eval_crop, channels):
    recipe = make_recipe(
        image_size=SIZE,
        batch_size=4,
        split={"validation": 4},
        augmentation=augmentation,
        eval_crop=eval_crop,
    )
    from_files = read_batches(prepared, recipe, channels, pixel_bytes=0)
    assert find_files(prepared) == []
    assert are_equal(read_batches(prepared, recipe, channels), from_files)
    assert find_files(prepared) != []


def test_a_worker_process_reads_the_same_batches(prepared):
    def read(num_workers):
        module = FolderData(prepared, RECIPE, 3, 1, num_workers)
        module.setup("fit")
        return list(module.train_dataloader())

    assert are_equal(read(1), read(0))


def test_images_are_decoded_once(prepared):
    before = read_batches(prepared)
    for image in prepared.folder.rglob("*.png"):
        image.unlink()
    assert are_equal(read_batches(prepared), before)


def test_a_part_of_more_bytes_than_allowed_is_left_in_its_files(prepared):
    read_batches(prepared, pixel_bytes=FILE_BYTES - 1)
    assert [file.name.split("-")[1] for file in find_files(prepared)] == ["test"]
    read_batches(prepared, pixel_bytes=FILE_BYTES)
    assert [file.name.split("-")[1] for file in find_files(prepared)] == ["test", "train"]


def test_an_image_that_has_other_pixels_than_at_the_scan_is_refused(prepared):
    Image.new("L", (20, 17), 7).save(prepared.folder / "train" / "cat" / "0.png")
    with pytest.raises(DataError, match=r"cat.0\.png has changed since the folder was scanned"):
        read_batches(prepared)
    assert [file.name.split("-")[1] for file in find_files(prepared)] == []


def test_a_file_that_was_left_unfinished_is_made_anew(prepared):
    before = read_batches(prepared)
    for file in find_files(prepared):
        file.with_name(f"{file.name}.unfinished").write_bytes(b"half")
        file.unlink()
    assert are_equal(read_batches(prepared), before)
    assert list(prepared.listing.parent.glob("*.unfinished")) == []
