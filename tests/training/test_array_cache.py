"""Data sets are decoded once, and the cache never holds half an array."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.data_sets import (
    IMAGES,
    NUM_TEST,
    NUM_TRAIN,
    prepare_fashion,
    train_images,
    write_idx_files,
)
from support.full_disk import largest_file
from support.poison import Poison

from se_search.errors import DataError, find_exit_code
from se_search.recipe import read_recipe
from se_search.training.dataset_spec import Arrays, DataSetSpec, Files
from se_search.training.datasets import prepare_data


def refuse_to_read(spec: DataSetSpec, files: Files) -> Arrays:
    raise AssertionError("decoded again")


def test_the_second_call_uses_the_first_ones_arrays(tmp_path: Path) -> None:
    write_idx_files(tmp_path / "data")
    first = prepare_fashion(tmp_path, tmp_path / "data")
    assert prepare_fashion(tmp_path, tmp_path / "data", read=refuse_to_read) == first


def test_changed_files_are_decoded_again(tmp_path: Path) -> None:
    write_idx_files(tmp_path / "data", pack=True)
    prepare_fashion(tmp_path, tmp_path / "data")
    written = write_idx_files(tmp_path / "data", pack=True, seed=1)
    prepared = prepare_fashion(tmp_path, tmp_path / "data")
    np.testing.assert_array_equal(train_images(prepared)[:, 0], written[IMAGES])


@pytest.mark.parametrize("part", ["train_images", "train_labels", "test_images", "test_labels"])
@pytest.mark.parametrize("keep", [None, 0, 100, -1])
def test_a_cache_with_a_missing_or_cut_off_array_is_filled_again(
    tmp_path: Path, part: str, keep: int | None
) -> None:
    write_idx_files(tmp_path / "data")
    path = prepare_fashion(tmp_path, tmp_path / "data").folder / f"{part}.npy"
    whole = path.read_bytes()
    path.unlink()
    if keep is not None:
        path.write_bytes(whole[:keep])
    prepare_fashion(tmp_path, tmp_path / "data")
    assert path.read_bytes() == whole


@pytest.mark.parametrize("part", ["train_images", "train_labels"])
def test_a_cache_with_code_in_it_is_filled_again_and_runs_nothing(
    tmp_path: Path, part: str
) -> None:
    write_idx_files(tmp_path / "data")
    path = prepare_fashion(tmp_path, tmp_path / "data").folder / f"{part}.npy"
    whole = path.read_bytes()
    np.save(path, np.array([Poison(tmp_path / "marker")], dtype=object))
    prepare_fashion(tmp_path, tmp_path / "data")
    assert path.read_bytes() == whole
    assert not (tmp_path / "marker").exists()


def test_a_decoding_that_breaks_off_leaves_nothing_that_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_idx_files(tmp_path / "data")
    real_save, saved = np.save, []

    def save(file: object, array: NDArray[np.generic]) -> None:
        saved.append(array)
        real_save(file, array[: len(array) // 2] if len(saved) == 3 else array)  # type: ignore[call-overload]
        if len(saved) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(np, "save", save)
    with pytest.raises(KeyboardInterrupt):
        prepare_fashion(tmp_path, tmp_path / "data")
    monkeypatch.undo()
    (folder,) = (tmp_path / "cache" / "arrays").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == [
        "train_images.npy",
        "train_labels.npy",
    ]
    prepared = prepare_fashion(tmp_path, tmp_path / "data")
    assert np.load(prepared.array_path("test_images")).shape == (NUM_TEST, 1, 28, 28)


def test_a_cache_folder_that_cannot_be_written_is_named_with_the_way_out(tmp_path: Path) -> None:
    write_idx_files(tmp_path / "data")
    (tmp_path / "cache").write_text("a file stands here")
    for data_dir, known in ((tmp_path / "data", ()), (None, (tmp_path / "data",)), (None, ())):
        with pytest.raises(DataError, match=r"cache folder .*cache can't be written.*SE_SEARCH"):
            prepare_fashion(tmp_path, data_dir, known_folders=known)


def test_a_cache_on_a_full_disk_is_named_with_bytes_needed_and_leaves_no_half_array(
    tmp_path: Path,
) -> None:
    write_idx_files(tmp_path / "data")
    needed = (NUM_TRAIN + NUM_TEST) * (28 * 28 + 8)
    with largest_file(10_000), pytest.raises(DataError) as caught:
        prepare_fashion(tmp_path, tmp_path / "data")
    assert f"cache folder {tmp_path / 'cache'} can't be written" in str(caught.value)
    assert f"({needed:,} bytes are needed, " in str(caught.value)
    assert find_exit_code(caught.value) == 75
    assert list((tmp_path / "cache" / "arrays").rglob("*.npy")) == []
    prepare_fashion(tmp_path, tmp_path / "data")


def test_equal_pixels_and_labels_have_one_fingerprint_wherever_they_come_from(
    tmp_path: Path,
) -> None:
    write_idx_files(tmp_path / "one", pack=True)
    write_idx_files(tmp_path / "two")
    first, second = (prepare_fashion(tmp_path, tmp_path / name) for name in ("one", "two"))
    assert first.folder != second.folder
    assert first.info.fingerprint == second.info.fingerprint
    assert first.info.fingerprint is not None


@pytest.mark.parametrize("part", ["train_images", "train_labels", "test_images", "test_labels"])
def test_another_pixel_or_label_is_another_fingerprint(tmp_path: Path, part: str) -> None:
    write_idx_files(tmp_path / "data")
    prepared = prepare_fashion(tmp_path, tmp_path / "data")
    path = prepared.folder / f"{part}.npy"
    array = np.load(path)
    array.flat[7] = (array.flat[7] + 1) % 10
    np.save(path, array)
    os.utime(path, ns=(0, 0))
    again = prepare_fashion(tmp_path, tmp_path / "data", read=refuse_to_read)
    assert again.info.fingerprint != prepared.info.fingerprint


def test_the_fingerprint_is_kept_until_an_array_changes(tmp_path: Path) -> None:
    write_idx_files(tmp_path / "data")
    prepared = prepare_fashion(tmp_path, tmp_path / "data")
    kept = prepared.folder / "fingerprint.json"
    assert prepared.info.fingerprint is not None
    kept.write_text(kept.read_text().replace(prepared.info.fingerprint, "from the file"))
    assert prepare_fashion(tmp_path, tmp_path / "data").info.fingerprint == "from the file"


def test_labels_of_other_numbers_of_images_a_class_are_refused(tmp_path: Path) -> None:
    write_idx_files(tmp_path / "data")
    with pytest.raises(DataError, match=r"fashion_mnist: the training labels stand for \[4, 4,"):
        prepare_fashion(tmp_path, tmp_path / "data", train_counts=(3, 5, *(4,) * 8))


def test_the_environment_variable_names_the_cache_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SE_SEARCH_CACHE", str(tmp_path / "elsewhere"))
    prepared = prepare_data("digits", None, None, read_recipe("quick"))
    assert prepared.folder.is_relative_to(tmp_path / "elsewhere")
