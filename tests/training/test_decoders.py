"""Files are decoded to what others read from them, and broken or poisoned ones are refused."""

from __future__ import annotations

import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.data_sets import (
    IMAGES,
    LABELS,
    cifar_spec,
    corrupt,
    make_recipe,
    prepare_fashion,
    write_cifar_files,
    write_idx_files,
    write_pickle,
)

from se_search.errors import DataError
from se_search.recipe import read_recipe
from se_search.training.data_catalogue import DATA_SETS
from se_search.training.datasets import prepare_arrays, prepare_data


def test_decoded_fashion_mnist_is_what_torchvision_reads_from_the_same_files(
    tmp_path: Path,
) -> None:
    from torchvision.datasets import FashionMNIST

    write_idx_files(tmp_path / "FashionMNIST" / "raw")
    prepared = prepare_fashion(tmp_path, tmp_path)
    for part, is_train in (("train", True), ("test", False)):
        theirs = FashionMNIST(str(tmp_path), train=is_train)
        images = np.load(prepared.folder / f"{part}_images.npy")
        labels = np.load(prepared.folder / f"{part}_labels.npy")
        assert images.dtype == np.uint8
        assert labels.dtype == np.int64
        np.testing.assert_array_equal(images[:, 0], theirs.data.numpy())
        np.testing.assert_array_equal(labels, theirs.targets.numpy())


def test_digits_are_scikit_learns_with_the_last_360_as_test_part(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    prepared = prepare_data("digits", None, tmp_path, read_recipe("quick"))
    parts = [np.load(prepared.folder / f"{part}_images.npy") for part in ("train", "test")]
    assert [len(part) for part in parts] == [1437, 360]
    images = np.concatenate(parts)[:, 0]
    assert (images.min(), images.max()) == (0, 255)
    np.testing.assert_array_equal(np.round(images / 255 * 16), load_digits().images)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (corrupt(IMAGES, lambda b: b[:-1]), rf"{IMAGES} has 31375 bytes, expected 31376"),
        (corrupt(IMAGES, lambda b: b + b"x"), rf"{IMAGES} has more than 31376 bytes"),
        (corrupt(IMAGES, lambda b: b[:9]), rf"{IMAGES} has 9 bytes, and its header alone 16"),
        (corrupt(IMAGES, lambda b: b""), rf"{IMAGES} has 0 bytes"),
        (
            corrupt(IMAGES, lambda b: b"\0\0\x08\x01" + b[4:]),
            rf"{IMAGES} has the magic number 2049, expected 2051",
        ),
        (
            corrupt(IMAGES, lambda b: b[:4] + struct.pack(">I", 39) + b[8:]),
            rf"{IMAGES} holds 39 x 28 x 28 values, expected 40 x 28 x 28",
        ),
        (corrupt(LABELS, lambda b: b[:-1] + b"\x0a"), rf"{LABELS} has the label 10, expected 0 to"),
        (lambda folder: (folder / LABELS).unlink(), rf"has 3 of 4 files; missing: {LABELS}"),
    ],
)
def test_a_broken_idx_file_in_the_users_folder_is_named_with_what_is_wrong(
    tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    write_idx_files(tmp_path / "data")
    write_idx_files(tmp_path / "known")  # whole, and yet the user's folder is not passed over
    damage(tmp_path / "data")
    with pytest.raises(DataError, match=message):
        prepare_fashion(tmp_path, tmp_path / "data", known_folders=(tmp_path / "known",))


@pytest.mark.parametrize("keep", [0, 5, 1000])
def test_a_gzip_file_that_is_cut_off_is_named(tmp_path: Path, keep: int) -> None:
    write_idx_files(tmp_path / "data", pack=True)
    corrupt(f"{IMAGES}.gz", lambda b: b[:keep])(tmp_path / "data")
    with pytest.raises(DataError, match=rf"{IMAGES}\.gz"):
        prepare_fashion(tmp_path, tmp_path / "data")


def test_a_gzip_file_with_a_flipped_bit_is_named(tmp_path: Path) -> None:
    write_idx_files(tmp_path / "data", pack=True)
    corrupt(f"{IMAGES}.gz", lambda b: b[:-8] + bytes([b[-8] ^ 1]) + b[-7:])(tmp_path / "data")
    with pytest.raises(DataError, match=rf"{IMAGES}\.gz can't be read: CRC"):
        prepare_fashion(tmp_path, tmp_path / "data")


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
@pytest.mark.parametrize("inside", [True, False])
def test_cifar_is_decoded_from_its_own_format(tmp_path: Path, name: str, inside: bool) -> None:
    folder = tmp_path / DATA_SETS[name].subfolders[0]
    batches = write_cifar_files(folder, name)
    data_dir = folder if inside else tmp_path
    prepared = prepare_arrays(cifar_spec(name), data_dir, tmp_path / "cache", make_recipe())
    *train, test = DATA_SETS[name].files
    for part, files in (("train", train), ("test", [test])):
        images = np.load(prepared.folder / f"{part}_images.npy")
        expected = np.vstack([batches[file][b"data"] for file in files]).reshape(-1, 3, 32, 32)  # type: ignore[misc]
        np.testing.assert_array_equal(images, expected)
        labels = np.load(prepared.folder / f"{part}_labels.npy").tolist()
        key = b"labels" if name == "cifar10" else b"fine_labels"
        assert labels == [label for file in files for label in batches[file][key]]  # type: ignore[attr-defined]


class Poison:
    """Its unpickling makes a folder."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return os.makedirs, (str(self.marker),)


def test_a_poisoned_batch_runs_nothing_and_is_named(tmp_path: Path) -> None:
    write_cifar_files(tmp_path / "data", "cifar10")
    marker, batch = tmp_path / "marker", tmp_path / "data" / "data_batch_2"
    batch.write_bytes(pickle.dumps(Poison(marker)))
    with pytest.raises(DataError, match=r"data_batch_2: the pickle asks for os\.makedirs"):
        prepare_arrays(cifar_spec("cifar10"), tmp_path / "data", tmp_path / "cache", make_recipe())
    assert not marker.exists()
    pickle.loads(batch.read_bytes())
    assert marker.exists()  # so the poison is real


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({b"data": np.zeros((7, 3072), np.uint8)}, r"data is \(7, 3072\), expected \(8, 3072\)"),
        ({b"data": np.zeros((8, 3072), np.int16)}, r"expected an array of uint8"),
        ({b"data": b"text"}, r"data is bytes"),
        ({b"labels": [0] * 7}, r"7 labels, expected 8"),
        ({b"labels": [0] * 7 + [10]}, r"the label 10, expected 0 to 9"),
        ({b"labels": [0] * 7 + [None]}, r"labels is not a list of integers"),
    ],
)
def test_a_wrong_batch_is_named_with_what_is_wrong(
    tmp_path: Path, change: dict[bytes, object], message: str
) -> None:
    batches = write_cifar_files(tmp_path / "data", "cifar10")
    write_pickle(tmp_path / "data" / "data_batch_3", batches["data_batch_3"] | change)
    with pytest.raises(DataError, match=rf"data_batch_3.*{message}"):
        prepare_arrays(cifar_spec("cifar10"), tmp_path / "data", tmp_path / "cache", make_recipe())


@pytest.mark.parametrize("content", [b"", b"\x80", b"not a pickle", pickle.dumps([1])])
def test_a_file_that_is_no_batch_is_named(tmp_path: Path, content: bytes) -> None:
    write_cifar_files(tmp_path / "data", "cifar10")
    (tmp_path / "data" / "test_batch").write_bytes(content)
    with pytest.raises(DataError, match=r"test_batch is not a"):
        prepare_arrays(cifar_spec("cifar10"), tmp_path / "data", tmp_path / "cache", make_recipe())
