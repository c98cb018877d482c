"""Batches of folders of images depend on the seed, and not on the number of workers."""

from __future__ import annotations

import shutil
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
from se_search.training.split import draw_split

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
    return prepare_again(path)


def prepare_again(path: Path, **changes: object) -> PreparedData:
    recipe = make_recipe(**(FOLDER_CHANGES | changes))
    return prepare_data(f"folder:{path}", None, path, recipe)


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
    prepare_folder(path)
    for number, file in enumerate(sorted((path / "train").glob("*/*.png"))):
        pixels = np.arange(40 * 30 * 3).reshape(30, 40, 3) * (number + 1)
        Image.fromarray((pixels % 256).astype(np.uint8)).save(file)
    return prepare_again(path)


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


def first_validation_image(prepared: PreparedData, **changes: object) -> torch.Tensor:
    module = open_data(prepared, **(FOLDER_CHANGES | changes))
    images, _ = next(iter(module.val_dataloader()))
    return images[0]


def first_validation_file(path: Path) -> Path:
    files = sorted((path / "train").glob("*/*.png"))
    labels = np.repeat([0, 1], 10)
    return files[draw_split(make_recipe(**FOLDER_CHANGES), labels, 0).validation[0]]


def normalised(prepared: PreparedData, image: Image.Image) -> torch.Tensor:
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255
    return v2.Normalize(prepared.info.mean, prepared.info.std)(pixels)


def test_a_folders_validation_images_are_resized_whole(tmp_path: Path) -> None:
    prepared = gradient_folder(tmp_path)
    with Image.open(first_validation_file(tmp_path)) as image:
        expected = normalised(prepared, image.resize((16, 16), Image.Resampling.BILINEAR))
    torch.testing.assert_close(first_validation_image(prepared), expected)


def test_training_without_augmentation_shows_images_as_validation_does(tmp_path: Path) -> None:
    prepared = gradient_folder(tmp_path)
    module = open_data(prepared, **(FOLDER_CHANGES | {"augmentation": {}}))
    shown = torch.cat([images for images, _ in module.train_dataloader()])
    files = sorted((tmp_path / "train").glob("*/*.png"))
    whole = []
    for file in files:
        with Image.open(file) as image:
            whole.append(normalised(prepared, image.resize((16, 16), Image.Resampling.BILINEAR)))
    for image in shown:
        assert min(float((image - other).abs().max()) for other in whole) < 1e-5


def test_a_recipe_can_crop_the_centre_of_enlarged_validation_images(tmp_path: Path) -> None:
    prepared = gradient_folder(tmp_path)
    with Image.open(first_validation_file(tmp_path)) as image:  # 40 x 30; 16 / 0.875 is 18
        resized = image.resize((24, 18), Image.Resampling.BILINEAR).crop((4, 1, 20, 17))
    cropped = first_validation_image(prepared, eval_crop=0.875)
    torch.testing.assert_close(cropped, normalised(prepared, resized))


def test_val_validates_if_there_is_a_test_part_and_only_train_is_drawn_from(tmp_path: Path) -> None:
    prepare_folder(tmp_path)
    shutil.copytree(tmp_path / "val", tmp_path / "test")
    for number, file in enumerate(sorted((tmp_path / "test").glob("*/*.png"))):
        Image.new("L", (40, 30), 200 + 5 * number).save(file)
    prepared = prepare_again(tmp_path)
    module = open_data(prepared, **(FOLDER_CHANGES | {"augmentation": {}}))
    module.setup("test")
    parts = (module.train_dataloader(), module.val_dataloader(), module.test_dataloader())
    train, validation, test = (grey_levels(prepared, part) for part in parts)
    assert sorted(train) == list(range(0, 100, 5))
    assert validation == list(range(100, 130, 5))
    assert test == list(range(200, 230, 5))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_are_read_with_the_channels_that_the_network_takes(
    tmp_path: Path, channels: int
) -> None:
    prepare_folder(tmp_path)
    for file in sorted((tmp_path / "train").glob("*/*.png")):
        Image.new("RGBA", (40, 30), (250, 100, 50, 51)).save(file)
    prepared = prepare_again(tmp_path)
    module = make_data(prepared, make_recipe(**FOLDER_CHANGES), 0, channels)
    module.setup("fit")
    images, _ = next(iter(module.train_dataloader()))
    info = prepared.info.read_for(channels)
    assert images.shape == (4, channels, 16, 16)
    mean, std = (torch.tensor(values)[:, None, None] for values in (info.mean, info.std))
    found = (255 * (images * std + mean)).round()[0, :, 8, 8].tolist()
    # Grey by ITU-R 601-2: 0.299 * 250 + 0.587 * 100 + 0.114 * 50.
    assert found == {1: [139], 3: [250, 100, 50], 4: [250, 100, 50, 51]}[channels]


def test_a_network_of_other_channels_is_refused(tmp_path: Path) -> None:
    prepared = prepare_folder(tmp_path)
    with pytest.raises(DataError, match=r"takes 2 channels, .* read as 1 \(grey\), 3 \(RGB\) or 4"):
        make_data(prepared, make_recipe(**FOLDER_CHANGES), 0, in_channels=2)


@pytest.mark.parametrize(("num_workers", "eval_crop"), [(0, None), (0, 0.875), (1, 0.875)])
def test_an_image_that_breaks_after_the_scan_is_named(
    tmp_path: Path, num_workers: int, eval_crop: float | None
) -> None:
    prepared = prepare_folder(tmp_path)
    broken = tmp_path / "train" / "dog" / "4.png"
    broken.write_bytes(broken.read_bytes()[:50])
    recipe = make_recipe(**FOLDER_CHANGES, eval_crop=eval_crop)
    module = make_data(prepared, recipe, 0, 3, num_workers)

    def read() -> None:
        module.setup("fit")
        list(module.train_dataloader()), list(module.val_dataloader())

    with pytest.raises(DataError, match=r"dog.4\.png can't be read as an image"):
        read()


def test_images_that_come_after_the_scan_are_not_used(tmp_path: Path) -> None:
    prepared = prepare_folder(tmp_path)
    Image.new("L", (40, 30), 255).save(tmp_path / "train" / "dog" / "new.png")
    module = open_data(prepared, **FOLDER_CHANGES)
    assert len(all_labels(module.train_dataloader())) == 16
    assert len(all_labels(module.val_dataloader())) == 4
