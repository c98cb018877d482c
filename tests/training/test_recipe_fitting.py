"""A folder of images needs no recipe of its own, and what is chosen for it is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.data_sets import make_recipe, write_image_folders

from se_search.recipe import Recipe, read_recipe
from se_search.training.datasets import DataInfo, describe_data
from se_search.training.image_listing import Listing
from se_search.training.image_scan import FolderScan, Watch
from se_search.training.recipe_fitting import choose_image_size, fit_recipe
from se_search.training.split import split_indices


def describe(
    root: Path, recipe: Recipe, name: str = "folder", is_shipped: bool = True
) -> tuple[DataInfo, Recipe, str]:
    texts: list[str] = []
    info, fitted = describe_data(
        f"{name}:{root}",
        recipe,
        is_shipped=is_shipped,
        watch=Watch(note=texts.append),
        cache_dir=root / "cache",
    )
    return info, fitted, "\n".join(texts)


@pytest.mark.parametrize(
    ("side", "size"),
    [(5, 8), (24, 24), (28, 32), (32, 32), (30, 32), (63, 64), (100, 96), (500, 224), (217, 224)],
)
def test_the_image_size_is_near_the_median_and_a_multiple(side: float, size: int) -> None:
    assert choose_image_size(side) == size
    assert size % (8 if size < 64 else 32) == 0


def test_a_shipped_recipe_fits_any_folder_and_each_choice_is_said(tmp_path: Path) -> None:
    write_image_folders(tmp_path, train=30)
    info, fitted, text = describe(tmp_path, read_recipe("quick"))
    assert (info.num_used, info.num_validation, info.image_size) == (48, 12, 32)
    assert (fitted.image_size, fitted.batch_size) == (32, 8)
    assert fitted.optimizer.lr == pytest.approx(0.2 * 8 / 64)
    assert "Image size: 32 pixels, by the shorter sides of the images, in the median 30" in text
    assert "Batch size: 8 instead of 64, for 48 images train; learning rate 0.025 instead" in text
    assert "Validation: 12 of 60 training images instead of 10,000: at most a fifth" in text


def test_fitting_a_recipe_that_fits_changes_nothing_and_says_nothing(tmp_path: Path) -> None:
    write_image_folders(tmp_path, train=30)
    _, fitted, _ = describe(tmp_path, read_recipe("quick"))
    _, again, text = describe(tmp_path, fitted)
    assert again == fitted
    assert "size:" not in text


def test_a_recipe_of_the_users_own_keeps_what_it_says(tmp_path: Path) -> None:
    write_image_folders(tmp_path, train=30)
    recipe = make_recipe(batch_size=16, image_size=48, split={"validation": 7})
    info, fitted, text = describe(tmp_path, recipe, is_shipped=False)
    assert fitted == recipe
    assert info.num_validation == 7
    assert "size:" not in text
    assert "Validation:" not in text


def test_imagenet_has_224_pixels_whatever_its_images_have(tmp_path: Path) -> None:
    write_image_folders(tmp_path, train=30)
    _, fitted, text = describe(tmp_path, make_recipe(), "imagenet", is_shipped=False)
    assert fitted.image_size == 224
    assert "Image size: 224 pixels, usual for ImageNet" in text


def test_a_fraction_that_was_made_for_another_data_set_is_raised() -> None:
    """Of 10,000 images 2,000 validate; the recipe's 12 % of the others would be 960."""
    labels = np.arange(10_000) % 2
    listing = Listing(
        root=Path(),
        class_names=("a", "b"),
        names=[b"x"] * 10_000,
        parts=np.zeros(10_000, np.int8),
        labels=labels,
        states=np.zeros((10_000, 4), np.int64),
        left_out={},
        unreadable={},
    )
    scan = FolderScan(listing, np.zeros(10_000, [("side", "i4")]), "abc", True, Path())
    texts: list[str] = []
    quick = read_recipe("quick").model_copy(update={"image_size": 32})
    fitted = fit_recipe(quick, scan, is_imagenet=False, is_shipped=True, note=texts.append)
    train, validation = split_indices(fitted, labels, seed=0)
    assert (len(train), len(validation)) == (6_000, 2_000)
    assert fitted.batch_size == 64
    (text,) = texts
    assert text.startswith("Training images: 6,000 of 8,000, for split.fraction 0.12 was chosen")


def test_the_chance_level_is_that_of_the_most_frequent_class(tmp_path: Path) -> None:
    write_image_folders(tmp_path, train=19)
    for number in range(3, 19):
        (tmp_path / "train" / "dog" / f"{number}.png").unlink()
    info, _, text = describe(tmp_path, make_recipe(image_size=32, split={"validation": 4}))
    assert info.chance == 0.75  # 19 and 3 images: 3 and 1 of 4
    assert "constant answer" not in text


def test_a_class_that_nearly_all_validation_images_are_of_is_a_warning(tmp_path: Path) -> None:
    write_image_folders(tmp_path, train=76)
    for number in range(4, 76):
        (tmp_path / "train" / "dog" / f"{number}.png").unlink()
    info, _, text = describe(tmp_path, make_recipe(image_size=32, split={"validation": 12}))
    assert info.chance == 11 / 12
    assert "WARNING: a constant answer is right on 91.67 % of the validation images" in text


def test_a_class_with_a_single_image_is_refused_by_name(tmp_path: Path) -> None:
    write_image_folders(tmp_path)
    Image.new("L", (8, 8)).save(tmp_path / "val" / "dog" / "9.png")
    for part in ("train", "val"):
        (tmp_path / part / "wolf").mkdir()
        Image.new("L", (8, 8)).save(tmp_path / part / "wolf" / "0.png")
    with pytest.raises(Exception, match=r"too few images in the training part: wolf \(1\)"):
        describe(tmp_path, make_recipe(image_size=32))
