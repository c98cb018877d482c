"""The means and deviations of the named data sets are those of their training images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.data_sets import train_images

from se_search.recipe import read_recipe
from se_search.training.data_catalogue import DATA_SETS
from se_search.training.datasets import prepare_data

DEBIAN_FOLDER = DATA_SETS["fashion_mnist"].known_folders[0]


@pytest.mark.skipif(not DEBIAN_FOLDER.is_dir(), reason="dataset-fashion-mnist is not installed")
def test_the_real_fashion_mnist_has_the_published_mean_and_deviation(tmp_path: Path) -> None:
    prepared = prepare_data("fashion_mnist", None, tmp_path, read_recipe("quick"))
    counts, values = (
        np.bincount(train_images(prepared).ravel(), minlength=256),
        np.arange(256) / 255,
    )
    mean = np.average(values, weights=counts)
    std = np.average((values - mean) ** 2, weights=counts) ** 0.5
    assert (mean, std) == pytest.approx((prepared.info.mean[0], prepared.info.std[0]), abs=1e-4)
    labels = np.load(prepared.array_path("train_labels"))
    assert np.bincount(labels).tolist() == [6000] * 10  # Xiao et al. 2017, sec. 2


def test_the_digits_mean_and_deviation_are_those_of_the_training_part(tmp_path: Path) -> None:
    prepared = prepare_data("digits", None, tmp_path, read_recipe("quick"))
    images = train_images(prepared) / 255
    assert images.mean() == pytest.approx(prepared.info.mean[0], abs=1e-4)
    assert images.std() == pytest.approx(prepared.info.std[0], abs=1e-4)
