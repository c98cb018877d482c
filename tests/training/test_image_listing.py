"""Folders of images are counted as torchvision counts them, and incomplete ones are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.data_sets import make_recipe, write_image_folders

from se_search.errors import DataError
from se_search.training.datasets import describe_data


def test_incomplete_folders_of_images_are_named(tmp_path: Path) -> None:
    name, recipe = f"folder:{tmp_path}", make_recipe(image_size=32)
    with pytest.raises(DataError, match=r"train does not exist"):
        describe_data(name, recipe)
    (tmp_path / "train").mkdir()
    with pytest.raises(DataError, match=r"train has no folders in it"):
        describe_data(name, recipe)
    (tmp_path / "train" / "cat").mkdir()
    with pytest.raises(DataError, match=r"cat has no images"):
        describe_data(name, recipe)


def test_classes_that_differ_between_train_and_val_are_named(tmp_path: Path) -> None:
    write_image_folders(tmp_path)
    (tmp_path / "val" / "dog").rename(tmp_path / "val" / "wolf")
    with pytest.raises(DataError, match=r"only in train: dog; only in val: wolf"):
        describe_data(f"folder:{tmp_path}", make_recipe(image_size=32))
