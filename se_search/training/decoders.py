"""Decoders of data set files: each verifies what it reads, and returns arrays."""

from __future__ import annotations

import gzip
import math
import pickle
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from se_search.errors import DataError, explain
from se_search.training.dataset_spec import ArrayName, Arrays, DataSetSpec, Files


def read_idx_files(spec: DataSetSpec, files: Files) -> Arrays:
    """Decode four idx files, the format of MNIST (LeCun, http://yann.lecun.com/exdb/mnist).

    Raises:
        DataError: a file can't be read, or its header, size or labels are not as ``spec`` says.
    """
    train_images, train_labels = _read_idx_pair(spec, files, "train", "train_images")
    test_images, test_labels = _read_idx_pair(spec, files, "t10k", "test_images")
    return {
        "train_images": train_images,
        "train_labels": train_labels,
        "test_images": test_images,
        "test_labels": test_labels,
    }


def _read_idx_pair(
    spec: DataSetSpec, files: Files, prefix: str, name: ArrayName
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Decode the images and the labels of one part of the data set."""
    count, _, height, width = spec.shape(name)
    images = _read_idx(files[f"{prefix}-images-idx3-ubyte"], 2051, (count, height, width))
    label_path = files[f"{prefix}-labels-idx1-ubyte"]
    labels = _read_idx(label_path, 2049, (count,))
    _check_labels(label_path, labels, spec.num_classes)
    return images[:, None], labels.astype(np.int64)


def _read_idx(path: Path, magic: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    header_size = 4 + 4 * len(shape)
    size = header_size + math.prod(shape)
    content = _read_bytes(path, limit=size + 1)
    if len(content) < header_size:
        raise DataError(f"{path} has {len(content)} bytes, and its header alone {header_size}")
    found_magic, *found_shape = struct.unpack(f">{1 + len(shape)}I", content[:header_size])
    if found_magic != magic:
        raise DataError(f"{path} has the magic number {found_magic}, expected {magic}")
    if tuple(found_shape) != shape:
        found, expected = (" x ".join(map(str, sizes)) for sizes in (found_shape, shape))
        raise DataError(f"{path} holds {found} values, expected {expected}")
    if len(content) != size:
        amount = str(len(content)) if len(content) < size else f"more than {size}"
        raise DataError(f"{path} has {amount} bytes, expected {size}")
    return np.frombuffer(content, np.uint8, offset=header_size).reshape(shape)


def _read_bytes(path: Path, limit: int) -> bytes:
    """Read at most ``limit`` bytes of a file, unpacked if it ends in ``.gz``."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return file.read(limit)
    except (OSError, EOFError, zlib.error) as cause:
        raise DataError(f"{path} can't be read: {explain(cause)}") from cause


def _check_labels(path: Path, labels: NDArray[Any], num_classes: int) -> None:
    wrong = labels[(labels < 0) | (labels >= num_classes)]
    if wrong.size:
        raise DataError(f"{path} has the label {wrong[0]}, expected 0 to {num_classes - 1}")


def read_cifar_files(spec: DataSetSpec, files: Files) -> Arrays:
    """Decode the batches of CIFAR's Python version (Krizhevsky 2009).

    The batches are pickle files. Nothing in them is executed.

    Raises:
        DataError: a file can't be read, or its arrays are not as ``spec`` says.
    """
    *train_files, test_file = spec.files
    label_key = b"labels" if spec.num_classes == 10 else b"fine_labels"
    num_rows = spec.num_train // len(train_files)
    train = [_read_cifar_batch(spec, files[name], label_key, num_rows) for name in train_files]
    test_images, test_labels = _read_cifar_batch(spec, files[test_file], label_key, spec.num_test)
    return {
        "train_images": np.concatenate([images for images, _ in train]),
        "train_labels": np.concatenate([labels for _, labels in train]),
        "test_images": test_images,
        "test_labels": test_labels,
    }


def _read_cifar_batch(
    spec: DataSetSpec, path: Path, label_key: bytes, num_rows: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    batch = _load_pickle(path)
    if not isinstance(batch, dict) or not {b"data", label_key} <= batch.keys():
        raise DataError(f"{path} is not a CIFAR batch: no data and {label_key.decode()} in it")
    data, labels = batch[b"data"], batch[label_key]
    shape = (num_rows, *spec.shape("train_images")[1:])
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8:
        raise DataError(f"{path}: data is {type(data).__name__}, expected an array of uint8")
    if data.shape != (num_rows, math.prod(shape[1:])):
        raise DataError(f"{path}: data is {data.shape}, expected {num_rows, math.prod(shape[1:])}")
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise DataError(f"{path}: {label_key.decode()} is not a list of integers")
    if len(labels) != num_rows:
        raise DataError(f"{path}: {len(labels)} labels, expected {num_rows}")
    _check_labels(path, np.array(labels), spec.num_classes)
    return data.reshape(shape), np.array(labels, np.int64)


def _load_pickle(path: Path) -> object:
    try:
        with path.open("rb") as file:
            return _ArrayUnpickler(file, encoding="bytes").load()
    except DataError as problem:
        raise DataError(f"{path}: {problem}") from problem
    except Exception as cause:  # a broken pickle can raise nearly anything
        raise DataError(f"{path} is not a whole pickle file: {cause!r}") from cause


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickles built-in values and NumPy arrays; every other class or function is refused."""

    _reconstruct = np.empty(0).__reduce__()[0]  # its module's name depends on NumPy's version
    _allowed = {  # noqa: RUF012  # never changed
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    }

    def find_class(self, module: str, name: str) -> object:
        """Return the class or function that a pickle names, if an array needs it."""
        if (module, name) not in self._allowed:
            raise DataError(f"the pickle asks for {module}.{name}, which CIFAR does not need")
        return self._allowed[module, name]


def read_digits(spec: DataSetSpec, files: Files) -> Arrays:  # no files: scikit-learn has them
    """Decode scikit-learn's digits, with 0..16 scaled to 0..255.

    The last ``spec.num_test`` images are the test part.
    """
    from sklearn.datasets import load_digits  # takes a second, and other data sets don't need it

    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)[:, None]
    labels = digits.target.astype(np.int64)
    return {
        "train_images": images[: -spec.num_test],
        "train_labels": labels[: -spec.num_test],
        "test_images": images[-spec.num_test :],
        "test_labels": labels[-spec.num_test :],
    }
