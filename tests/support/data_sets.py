"""Small made-up data sets: their specifications, and files in the formats of the real ones."""

from __future__ import annotations

import gzip
import pickle
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from se_search.recipe import Recipe
from se_search.training.data_catalogue import DATA_SETS
from se_search.training.dataset_spec import DataSetSpec
from se_search.training.datasets import PreparedData, prepare_arrays

NUM_TRAIN, NUM_TEST = 40, 10


def make_recipe(**changes: object) -> Recipe:
    fields: dict[str, object] = {
        "epochs": 1,
        "batch_size": 4,
        "optimizer": {"lr": 0.1},
        "split": {"validation": 8},
    }
    return Recipe.model_validate(fields | changes)


def fashion_spec(**changes: object) -> DataSetSpec:
    counts = (NUM_TRAIN // 10,) * 10
    spec = replace(DATA_SETS["fashion_mnist"], train_counts=counts, num_test=NUM_TEST)
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
        labels = random.permutation(np.arange(count, dtype=np.uint8) % 10)
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


def corrupt(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / name).write_bytes(change((folder / name).read_bytes()))

    return write


IMAGES, LABELS = "train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


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


CIFAR_COUNTS = {"cifar10": (4,) * 10, "cifar100": (2,) * 100}


def cifar_spec(name: str) -> DataSetSpec:
    counts = CIFAR_COUNTS[name]
    return replace(DATA_SETS[name], train_counts=counts, num_test=NUM_TEST, fetches=())


def write_cifar_files(folder: Path, name: str) -> dict[str, dict[bytes, object]]:
    random = np.random.default_rng(0)
    *train, test = DATA_SETS[name].files
    num_train = sum(CIFAR_COUNTS[name])
    counts = dict.fromkeys(train, num_train // len(train)) | {test: NUM_TEST}
    # Each class has its share of the training images, in a random order.
    drawn = iter(random.permutation(np.arange(num_train) % DATA_SETS[name].num_classes).tolist())
    batches: dict[str, dict[bytes, object]] = {}
    for file, count in counts.items():
        data = random.integers(0, 256, (count, 3072), dtype=np.uint8)
        if file == test:
            labels = random.integers(0, DATA_SETS[name].num_classes, count).tolist()
        else:
            labels = [next(drawn) for _ in range(count)]
        key = b"labels" if name == "cifar10" else b"fine_labels"
        batches[file] = {b"batch_label": b"x", key: labels, b"data": data}
        write_pickle(folder / file, batches[file])
    return batches


def write_image_folders(path: Path, train: int = 8, val: int = 3) -> None:
    for part, count in (("train", train), ("val", val)):
        for name in ("cat", "dog"):
            (path / part / name).mkdir(parents=True)
            for number in range(count):
                image = Image.new("RGB", (40, 30), (number, 0, 0))
                image.save(path / part / name / f"{number}.png")
