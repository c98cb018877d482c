"""Batches of folders of images depend on the seed, and not on the number of workers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.batches import all_labels, fit, ignore_leaf_spec, make_recipe, open_data, same_batches
from torchvision.transforms import v2

from se_search.errors import DataError
from se_search.training.data import make_data
from se_search.training.datasets import PreparedData, prepare_data
from se_search.training.split import split_indices

FOLDER_CHANGES: dict[str, object] = {
    "image_size": 16,
    "batch_size": 4,
    "augmentation": {"resized_crop": (0.3, 1.0), "flip": True},
}


def prepare_folder(path: Path) -> PreparedData:
    """Prepare 20 training images (10 a class) and 6 test images, each of one grey level."""
    levels = iter(range(0, 250, 5))
    for part, count in (("train", 10), ("val", 3)):
        for name in ("cat", "dog"):
            (path / part / name).mkdir(parents=True)
            for number in range(count):
                image = Image.new("L", (40, 30), next(levels))
                image.save(path / part / name / f"{number}.png")
    return prepare_data(f"folder:{path}", None, None, make_recipe(**FOLDER_CHANGES))


def grey_levels(prepared: PreparedData, batches: object) -> list[int]:
    mean, std = prepared.info.mean[0], prepared.info.std[0]
    centres = [image[0, 8, 8] for images, _ in batches for image in images]  # type: ignore[attr-defined]
    return [round(float(255 * (centre * std + mean))) for centre in centres]


def test_a_folders_parts_share_no_image(tmp_path: Path) -> None:
    prepared = prepare_folder(tmp_path)
    module = open_data(prepared, **FOLDER_CHANGES)
    train = grey_levels(prepared, module.train_dataloader())
    validation = grey_levels(prepared, module.val_dataloader())
    module.setup("test")
    test = grey_levels(prepared, module.test_dataloader())
    assert [len(part) for part in (train, validation, test)] == [16, 4, 6]
    assert sorted(train + validation) == list(range(0, 100, 5))
    assert test == list(range(100, 130, 5))


def test_a_folders_batches_have_the_recipes_size_and_the_right_labels(tmp_path: Path) -> None:
    prepared = prepare_folder(tmp_path)
    batches = list(open_data(prepared, **FOLDER_CHANGES).train_dataloader())
    for images, _ in batches:
        assert images.shape == (4, 3, 16, 16)
        assert images.is_contiguous(memory_format=torch.channels_last)
    labels = all_labels(batches)
    assert labels == [int(level >= 50) for level in grey_levels(prepared, batches)]


def gradient_folder(path: Path) -> PreparedData:
    prepared = prepare_folder(path)
    for number, file in enumerate(sorted((path / "train").glob("*/*.png"))):
        pixels = np.arange(40 * 30 * 3).reshape(30, 40, 3) * (number + 1)
        Image.fromarray((pixels % 256).astype(np.uint8)).save(file)
    return prepared


def test_a_folders_batches_depend_on_the_seed_and_not_on_the_workers(tmp_path: Path) -> None:
    prepared = gradient_folder(tmp_path)
    state = torch.get_rng_state()
    first = list(open_data(prepared, seed=3, **FOLDER_CHANGES).train_dataloader())
    assert torch.equal(torch.get_rng_state(), state)
    with_workers = make_data(prepared, make_recipe(**FOLDER_CHANGES), 3, 3, num_workers=1)
    with_workers.setup("fit")
    torch.manual_seed(7)
    batches = with_workers.train_dataloader()
    assert same_batches(first, batches)
    batches.sampler.set_epoch(1)
    assert not same_batches(first, batches)
    assert not same_batches(first, open_data(prepared, 4, **FOLDER_CHANGES).train_dataloader())


@ignore_leaf_spec
@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.parametrize("num_workers", [0, 1])
def test_lightning_goes_through_a_folders_epochs(tmp_path: Path, num_workers: int) -> None:
    path = tmp_path / "images"
    prepared, recipe = gradient_folder(path), make_recipe(**FOLDER_CHANGES)
    model = fit(make_data(prepared, recipe, 0, 3, num_workers))
    loader = open_data(prepared, **FOLDER_CHANGES).train_dataloader()
    for epoch in range(3):
        loader.sampler.set_epoch(epoch)
        assert model.sums[epoch] == [float(images.sum()) for images, _ in loader]


def test_a_folders_validation_is_resized_by_the_shorter_edge_and_cropped(tmp_path: Path) -> None:
    prepared = gradient_folder(tmp_path)
    module = open_data(prepared, **FOLDER_CHANGES)
    images, _ = next(iter(module.val_dataloader()))
    files = sorted((tmp_path / "train").glob("*/*.png"))
    first = split_indices(make_recipe(**FOLDER_CHANGES), 20)[1][0]
    with Image.open(files[first]) as image:  # 40 x 30; 16 * 256 / 224 is 18
        resized = image.resize((24, 18), Image.Resampling.BILINEAR).crop((4, 1, 20, 17))
    pixels = torch.from_numpy(np.array(resized)).permute(2, 0, 1) / 255
    expected = v2.Normalize(prepared.info.mean, prepared.info.std)(pixels)
    torch.testing.assert_close(images[0], expected)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_corrupt_image_is_named(tmp_path: Path, num_workers: int) -> None:
    prepared = prepare_folder(tmp_path)
    broken = tmp_path / "train" / "dog" / "4.png"
    broken.write_bytes(broken.read_bytes()[:50])
    module = make_data(prepared, make_recipe(**FOLDER_CHANGES), 0, 3, num_workers)
    module.setup("fit")
    with pytest.raises(DataError, match=r"dog.4\.png can't be read as an image"):
        list(module.train_dataloader()), list(module.val_dataloader())


def test_a_folder_that_has_changed_since_it_was_described_is_refused(tmp_path: Path) -> None:
    prepared = prepare_folder(tmp_path)
    (tmp_path / "train" / "dog" / "4.png").unlink()
    with pytest.raises(DataError, match=r"train has 19 images, and had 20 before"):
        open_data(prepared, **FOLDER_CHANGES)
