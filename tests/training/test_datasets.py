"""Data sets are found, verified and decoded once."""

from __future__ import annotations

import gzip
import pickle
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from se_search.errors import DataError, RecipeError
from se_search.recipe import Recipe, read_recipe
from se_search.training import datasets
from se_search.training.datasets import (
    DATA_SETS,
    ArraySpec,
    PreparedData,
    describe_data,
    prepare_arrays,
    prepare_data,
    split_sizes,
)

NUM_TRAIN, NUM_TEST = 40, 10
DEBIAN_FOLDER = DATA_SETS["fashion_mnist"].known_folders[0]


def make_recipe(**changes: object) -> Recipe:
    fields: dict[str, object] = {
        "epochs": 1,
        "batch_size": 4,
        "optimizer": {"lr": 0.1},
        "split": {"validation": 8},
    }
    return Recipe.model_validate(fields | changes)


def fashion_spec(**changes: object) -> ArraySpec:
    spec = replace(DATA_SETS["fashion_mnist"], num_train=NUM_TRAIN, num_test=NUM_TEST)
    return replace(spec, **({"known_folders": (), "fetches": ()} | changes))  # type: ignore[arg-type]


def write_idx_files(
    folder: Path, pack: bool = False, seed: int = 0
) -> dict[str, NDArray[np.uint8]]:
    """Write tiny files in the format of http://yann.lecun.com/exdb/mnist; return what they hold."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for prefix, count in (("train", NUM_TRAIN), ("t10k", NUM_TEST)):
        images = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = random.integers(0, 10, count, dtype=np.uint8)
        for name, magic, array in (
            (f"{prefix}-images-idx3-ubyte", 0x803, images),
            (f"{prefix}-labels-idx1-ubyte", 0x801, labels),
        ):
            content = struct.pack(f">I{array.ndim}I", magic, *array.shape) + array.tobytes()
            path = folder / (f"{name}.gz" if pack else name)
            path.write_bytes(gzip.compress(content) if pack else content)
            written[name] = array
    return written


def train_images(prepared: PreparedData) -> NDArray[np.uint8]:
    return np.load(prepared.array_path("train_images"))


def prepare_fashion(tmp_path: Path, data_dir: Path | None, **changes: object) -> PreparedData:
    return prepare_arrays(fashion_spec(**changes), data_dir, tmp_path / "cache", make_recipe())


# --- what is decoded ----------------------------------------------------------------------------


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


@pytest.mark.parametrize("subfolder", ["FashionMNIST/raw", "raw", "."])
@pytest.mark.parametrize("pack", [True, False])
def test_idx_files_are_found_in_every_usual_layout_packed_or_not(
    tmp_path: Path, subfolder: str, pack: bool
) -> None:
    written = write_idx_files(tmp_path / "data" / subfolder, pack)
    prepared = prepare_fashion(tmp_path, tmp_path / "data")
    np.testing.assert_array_equal(train_images(prepared)[:, 0], written["train-images-idx3-ubyte"])


def test_digits_are_scikit_learns_with_the_last_360_as_test_part(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    prepared = prepare_data("digits", None, tmp_path, read_recipe("quick"))
    parts = [np.load(prepared.folder / f"{part}_images.npy") for part in ("train", "test")]
    assert [len(part) for part in parts] == [1437, 360]
    images = np.concatenate(parts)[:, 0]
    assert (images.min(), images.max()) == (0, 255)
    np.testing.assert_array_equal(np.round(images / 255 * 16), load_digits().images)


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


# --- what is refused ----------------------------------------------------------------------------


def corrupt(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / name).write_bytes(change((folder / name).read_bytes()))

    return write


IMAGES, LABELS = "train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


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


def test_a_data_folder_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere does not exist"):
        prepare_fashion(tmp_path, tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["mnist", "folder:", "digits:x", "", "folder"])
def test_an_unknown_data_set_is_answered_with_the_known_ones(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"fashion_mnist, cifar10, cifar100, digits, folder:PATH"):
        prepare_data(name, None, tmp_path, make_recipe())


# --- where it is looked for ---------------------------------------------------------------------


def fetch_into(log: list[str], name: str, outcome: str) -> datasets.Fetch:
    def fetch(spec: ArraySpec, folder: Path) -> None:
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


@pytest.mark.parametrize("fetch", [datasets.fetch_by_torchvision, datasets.fetch_debian_package])
def test_a_fetch_whose_program_hangs_is_an_error_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fetch: datasets.Fetch
) -> None:
    def hang(command: list[str], timeout: float, **_: object) -> None:
        assert timeout <= (8 if sys.executable in command else 300)
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(subprocess, "run", hang)
    monkeypatch.setattr(datasets.shutil, "which", lambda name: name)
    with pytest.raises(DataError, match=r"no answer within \d+ s"):
        fetch(fashion_spec(known_folders=(DEBIAN_FOLDER,)), tmp_path)


def test_the_error_of_a_fetch_is_the_last_line_of_its_program(tmp_path: Path) -> None:
    spec = fashion_spec(url="unknown-scheme://host/file")
    with pytest.raises(DataError, match=r"torchvision's download .*unknown url type") as caught:
        datasets.fetch_by_torchvision(spec, tmp_path)
    assert "\n" not in str(caught.value)


# --- the cache ----------------------------------------------------------------------------------


def refuse_to_read(spec: ArraySpec, files: datasets.Files) -> datasets.Arrays:
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


def test_the_environment_variable_names_the_cache_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SE_SEARCH_CACHE", str(tmp_path / "elsewhere"))
    prepared = prepare_data("digits", None, None, read_recipe("quick"))
    assert prepared.folder.is_relative_to(tmp_path / "elsewhere")


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


# --- CIFAR --------------------------------------------------------------------------------------


class Python2Pickler(pickle._Pickler):  # type: ignore[name-defined, misc]
    """Writes bytes as the strings of Python 2, which CIFAR's own files are made of."""

    def save_string(self, value: bytes) -> None:
        self.write(b"T" + struct.pack("<i", len(value)) + value)
        self.memoize(value)

    dispatch = {**pickle._Pickler.dispatch, bytes: save_string}  # type: ignore[attr-defined]  # noqa: RUF012


def write_pickle(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        Python2Pickler(file, protocol=2).dump(value)
    # NumPy 2 writes its new module name; the files on the web have the old one.
    path.write_bytes(path.read_bytes().replace(b"numpy._core.multi", b"numpy.core.multi"))


def cifar_spec(name: str) -> ArraySpec:
    return replace(DATA_SETS[name], num_train=NUM_TRAIN, num_test=NUM_TEST, fetches=())


def write_cifar_files(folder: Path, name: str) -> dict[str, dict[bytes, object]]:
    random = np.random.default_rng(0)
    *train, test = DATA_SETS[name].files
    counts = dict.fromkeys(train, NUM_TRAIN // len(train)) | {test: NUM_TEST}
    batches: dict[str, dict[bytes, object]] = {}
    for file, count in counts.items():
        data = random.integers(0, 256, (count, 3072), dtype=np.uint8)
        labels = random.integers(0, DATA_SETS[name].num_classes, count).tolist()
        key = b"labels" if name == "cifar10" else b"fine_labels"
        batches[file] = {b"batch_label": b"x", key: labels, b"data": data}
        write_pickle(folder / file, batches[file])
    return batches


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
    """Its unpickling writes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return Path.write_text, (self.marker, "poisoned")


def test_a_poisoned_batch_runs_nothing_and_is_named(tmp_path: Path) -> None:
    write_cifar_files(tmp_path / "data", "cifar10")
    marker, batch = tmp_path / "marker", tmp_path / "data" / "data_batch_2"
    batch.write_bytes(pickle.dumps(Poison(marker)))
    with pytest.raises(DataError, match=r"data_batch_2: the pickle asks for pathlib\.Path"):
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


# --- folders of images --------------------------------------------------------------------------


def write_image_folders(path: Path, train: int = 8, val: int = 3) -> None:
    for part, count in (("train", train), ("val", val)):
        for name in ("cat", "dog"):
            (path / part / name).mkdir(parents=True)
            for number in range(count):
                image = Image.new("RGB", (40, 30), (number, 0, 0))
                image.save(path / part / name / f"{number}.png")


def test_a_folder_of_images_is_described_by_its_files(tmp_path: Path) -> None:
    write_image_folders(tmp_path)
    (tmp_path / "train" / "cat" / "notes.txt").write_text("not an image")
    info = describe_data(f"folder:{tmp_path}", make_recipe(image_size=32))
    assert (info.channels, info.image_size, info.num_classes) == (3, 32, 2)
    assert (info.num_train, info.num_used, info.num_validation, info.num_test) == (16, 13, 3, 6)
    assert prepare_data(f"folder:{tmp_path}", None, None, make_recipe(image_size=32)).info == info


def test_imagenet_has_224_pixels_unless_the_recipe_says_otherwise(tmp_path: Path) -> None:
    write_image_folders(tmp_path)
    assert describe_data(f"imagenet:{tmp_path}", make_recipe()).image_size == 224
    assert describe_data(f"imagenet:{tmp_path}", make_recipe(image_size=64)).image_size == 64


def test_a_folder_of_images_without_a_size_in_the_recipe_is_refused(tmp_path: Path) -> None:
    write_image_folders(tmp_path)
    with pytest.raises(RecipeError, match=r"the recipe must give image_size"):
        describe_data(f"folder:{tmp_path}", make_recipe())


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


# --- recipe and data ----------------------------------------------------------------------------


def test_recipes_for_folders_of_images_are_refused_for_arrays() -> None:
    with pytest.raises(RecipeError, match=r"resized_crop is for folders of images"):
        describe_data("cifar10", make_recipe(augmentation={"resized_crop": (0.1, 1)}))
    with pytest.raises(RecipeError, match=r"image_size 64 does not fit cifar10"):
        describe_data("cifar10", make_recipe(image_size=64))


@pytest.mark.parametrize(
    ("split", "num_train", "expected"),
    [
        ({"validation": 10_000, "fraction": 0.12}, 60_000, (6000, 10_000)),
        ({"validation": 5000}, 50_000, (45_000, 5000)),
        ({"validation": 5000, "fraction": 0.1}, 10_000, (800, 2000)),  # at most a fifth
        ({"validation": 5000, "fraction": 0.1}, 9_999, (8000, 1999)),  # below 10,000: used whole
        ({"validation": 10, "fraction": 0.1}, 1437, (1427, 10)),
    ],
)
def test_the_split_has_the_documented_sizes(
    split: dict[str, float], num_train: int, expected: tuple[int, int]
) -> None:
    assert split_sizes(make_recipe(split=split), num_train) == expected


def test_less_than_two_batches_are_refused() -> None:
    assert split_sizes(make_recipe(), 10) == (8, 2)
    with pytest.raises(RecipeError, match=r"of 9 training images 1 validate and 8 train"):
        split_sizes(make_recipe(batch_size=5), 9)


def test_the_shipped_quick_recipe_fits_digits() -> None:
    info = describe_data("digits", read_recipe("quick"))
    assert (info.num_used, info.num_validation) == (1150, 287)
