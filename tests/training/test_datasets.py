"""Data sets are described by name, and refused where the recipe does not fit them."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from support.data_sets import make_recipe, write_idx_files, write_image_folders

from se_search.errors import DataError, RecipeError
from se_search.recipe import read_recipe
from se_search.training.datasets import describe_data, prepare_data


@pytest.mark.parametrize("name", ["mnist", "folder:", "digits:x", "", "folder"])
def test_an_unknown_data_set_is_answered_with_the_known_ones(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"fashion_mnist, cifar10, cifar100, digits, folder:PATH"):
        prepare_data(name, None, tmp_path, make_recipe())


def test_a_prepared_data_set_travels_by_pickle(tmp_path: Path) -> None:
    prepared = prepare_data("digits", None, tmp_path, read_recipe("quick"))
    content = pickle.dumps(prepared)
    assert pickle.loads(content) == prepared
    assert len(content) < 2000


def test_preparing_needs_no_torch(tmp_path: Path) -> None:
    write_idx_files(tmp_path / "data")
    code = (
        "import sys; from pathlib import Path; from se_search.recipe import read_recipe;"
        "from se_search.training.datasets import prepare_data;"
        f"prepare_data('digits', None, Path({str(tmp_path)!r}), read_recipe('quick'));"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_folder_of_images_is_described_by_its_files(tmp_path: Path) -> None:
    write_image_folders(tmp_path)
    (tmp_path / "train" / "cat" / "notes.txt").write_text("not an image")
    recipe = make_recipe(image_size=32)
    info, _ = describe_data(f"folder:{tmp_path}", recipe, cache_dir=tmp_path)
    assert (info.channels, info.image_size, info.num_classes) == (3, 32, 2)
    assert (info.num_train, info.num_used, info.num_validation, info.num_test) == (16, 13, 3, 6)
    assert prepare_data(f"folder:{tmp_path}", None, tmp_path, recipe).info == info


def test_imagenet_has_224_pixels_unless_the_recipe_says_otherwise(tmp_path: Path) -> None:
    write_image_folders(tmp_path)
    for recipe, expected in ((make_recipe(), 224), (make_recipe(image_size=64), 64)):
        info, fitted = describe_data(f"imagenet:{tmp_path}", recipe, cache_dir=tmp_path)
        assert info.image_size == fitted.image_size == expected


def test_recipes_for_folders_of_images_are_refused_for_arrays() -> None:
    with pytest.raises(RecipeError, match=r"resized_crop is for folders of images"):
        describe_data("cifar10", make_recipe(augmentation={"resized_crop": (0.1, 1)}))
    with pytest.raises(RecipeError, match=r"image_size 64 does not fit cifar10"):
        describe_data("cifar10", make_recipe(image_size=64))
    with pytest.raises(RecipeError, match=r"eval_crop is for folders of images"):
        describe_data("cifar10", make_recipe(eval_crop=0.875))


def test_the_shipped_quick_recipe_fits_digits() -> None:
    info, _ = describe_data("digits", read_recipe("quick"))
    assert (info.num_used, info.num_validation) == (1150, 287)


def test_a_folder_that_is_named_without_folder_is_answered_with_how_it_is_named(tmp_path):
    with pytest.raises(DataError, match=rf"\(did you mean folder:{tmp_path}\?\)$"):
        describe_data(str(tmp_path), make_recipe())
