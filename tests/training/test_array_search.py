"""Data sets are looked for in the user's folder, then in known ones, then fetched."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.data_sets import (
    IMAGES,
    NUM_TRAIN,
    corrupt,
    prepare_fashion,
    train_images,
    write_idx_files,
)

from se_search.errors import DataError
from se_search.training.dataset_spec import DataSetSpec, Fetch


@pytest.mark.parametrize("subfolder", ["FashionMNIST/raw", "raw", "."])
@pytest.mark.parametrize("pack", [True, False])
def test_idx_files_are_found_in_every_usual_layout_packed_or_not(
    tmp_path: Path, subfolder: str, pack: bool
) -> None:
    written = write_idx_files(tmp_path / "data" / subfolder, pack)
    prepared = prepare_fashion(tmp_path, tmp_path / "data")
    np.testing.assert_array_equal(train_images(prepared)[:, 0], written["train-images-idx3-ubyte"])


def test_a_data_folder_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere does not exist"):
        prepare_fashion(tmp_path, tmp_path / "nowhere")


def fetch_into(log: list[str], name: str, outcome: str) -> Fetch:
    def fetch(spec: DataSetSpec, folder: Path) -> None:
        log.append(name)
        if outcome == "fails":
            raise DataError(f"{name} can't be reached")
        write_idx_files(folder / "FashionMNIST" / "raw")
        if outcome == "is cut off":
            corrupt(IMAGES, lambda b: b[:-1])(folder / "FashionMNIST" / "raw")

    return fetch


def test_the_users_folder_comes_before_the_known_ones_and_those_before_fetching(
    tmp_path: Path,
) -> None:
    for seed, name in enumerate(("own", "known")):
        write_idx_files(tmp_path / name, seed=seed)
    (tmp_path / "empty").mkdir()
    log: list[str] = []
    places = {
        "known_folders": (tmp_path / "absent", tmp_path / "known"),
        "fetches": (fetch_into(log, "first", "works"),),
    }
    assert prepare_fashion(tmp_path, tmp_path / "own", **places).source == str(tmp_path / "own")
    for data_dir in (None, tmp_path / "empty"):
        assert prepare_fashion(tmp_path, data_dir, **places).source == str(tmp_path / "known")
    assert log == []


def test_fetches_are_tried_in_order_until_one_brings_a_whole_data_set(tmp_path: Path) -> None:
    log: list[str] = []
    outcomes = ("fails", "is cut off", "works", "works")
    fetches = tuple(fetch_into(log, str(i), outcome) for i, outcome in enumerate(outcomes))
    prepared = prepare_fashion(tmp_path, None, fetches=fetches)
    assert log == ["0", "1", "2"]
    assert train_images(prepared).shape == (NUM_TRAIN, 1, 28, 28)


def test_what_was_fetched_once_is_not_fetched_again(tmp_path: Path) -> None:
    log: list[str] = []
    first = prepare_fashion(tmp_path, None, fetches=(fetch_into(log, "0", "works"),))
    assert prepare_fashion(tmp_path, None) == first
    assert log == ["0"]


def test_a_broken_known_folder_is_noted_and_the_search_goes_on(tmp_path: Path) -> None:
    write_idx_files(tmp_path / "known")
    corrupt(IMAGES, lambda b: b[:-1])(tmp_path / "known")
    prepared = prepare_fashion(
        tmp_path, None, known_folders=(tmp_path / "known",), fetches=(fetch_into([], "0", "works"),)
    )
    assert "fetched" in prepared.source


def test_one_error_names_every_place_why_it_failed_and_each_remedy(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    fetches = (fetch_into([], "the mirror", "fails"), fetch_into([], "the package", "fails"))
    with pytest.raises(DataError) as caught:
        prepare_fashion(
            tmp_path, tmp_path / "empty", known_folders=(tmp_path / "absent",), fetches=fetches
        )
    for text in (
        f"{tmp_path / 'empty'}: has none of train-images",
        f"{tmp_path / 'absent'}: no such folder",
        f"{tmp_path / 'cache' / 'fetched' / 'fashion_mnist'}: no such folder",
        "the mirror can't be reached",
        "the package can't be reached",
        "apt install dataset-fashion-mnist",
        "--data-dir DIR",
        "--data digits",
    ):
        assert text in str(caught.value)
