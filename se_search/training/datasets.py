"""Data sets: what each one is, and where its images are; needs no torch.

Small images (``fashion_mnist``, ``cifar10``, ``cifar100``, ``digits``) are verified to the last
byte and decoded once into memory-mapped arrays, which every training then opens. Folders of images
(``folder:PATH``, ``imagenet:PATH``) stay where they are.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import pickle
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import platformdirs
from filelock import FileLock
from numpy.typing import NDArray

from se_search.errors import DataError, RecipeError
from se_search.recipe import Recipe

Part = Literal["train_images", "train_labels", "test_images", "test_labels"]
Arrays = Mapping[Part, NDArray[Any]]
Files = Mapping[str, Path]

CACHE_VARIABLE = "SE_SEARCH_CACHE"
WHOLE_BELOW = 10_000
_ARRAY_FORMAT = 1  # part of the cache's key: raise it when the same files give other arrays
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)
_IMAGE_SUFFIXES = frozenset(  # torchvision.datasets.folder.IMG_EXTENSIONS
    (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
)


@dataclass(frozen=True, slots=True)
class DataInfo:
    """What a data set is, and how many images a recipe uses of it.

    Attributes:
        name: as the user gives it.
        channels: 1 or 3.
        image_size: height and width in pixels.
        num_train: images in the training part: the search draws from these only.
        num_used: those of them that train a candidate.
        num_validation: those of them that it is validated on.
        num_test: images in the data set's own test part (``val`` of a folder).
        mean: of each channel over the training part, for pixels in 0..1.
        std: the same.
    """

    name: str
    channels: int
    image_size: int
    num_classes: int
    num_train: int
    num_used: int
    num_validation: int
    num_test: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class PreparedData:
    """A data set that is complete and can be opened by any process.

    Attributes:
        layout: ``arrays``: ``folder`` holds one ``.npy`` file for each ``Part``, images as uint8
            ``(n, channels, height, width)`` and labels as int64 ``(n,)``. ``folders``: it holds
            ``train`` and ``val``, each with a folder of images for each class.
        source: where the data set was found.
    """

    info: DataInfo
    layout: Literal["arrays", "folders"]
    folder: Path
    source: str

    def array_path(self, part: Part) -> Path:
        """Return the ``.npy`` file of one part."""
        return self.folder / f"{part}.npy"


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """What a data set of small images must be, to the last one, and where it may lie.

    Attributes:
        files: names of its files; none if it comes with a package.
        subfolders: where in a data folder they may lie, in the order of search.
        read: verifies and decodes the files.
        known_folders: data folders that are searched after the user's own.
        fetches: ways to get the files when they are in none of the folders, in order.
        torchvision_name: the class in ``torchvision.datasets``.
        url: what torchvision downloads; reaching it tells whether a download can work.
        debian_package: Debian's package of it, which unpacks to the first known folder.
    """

    name: str
    channels: int
    image_size: int
    num_classes: int
    num_train: int
    num_test: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    read: Callable[[ArraySpec, Files], Arrays]
    files: tuple[str, ...] = ()
    subfolders: tuple[str, ...] = (".",)
    known_folders: tuple[Path, ...] = ()
    fetches: tuple[Fetch, ...] = ()
    torchvision_name: str = ""
    url: str = ""
    debian_package: str = ""

    def shape(self, part: Part) -> tuple[int, ...]:
        """Return the shape of one part's array."""
        count = self.num_train if part.startswith("train") else self.num_test
        image = (self.channels, self.image_size, self.image_size)
        return (count, *image) if part.endswith("images") else (count,)


Fetch = Callable[[ArraySpec, Path], None]
"""Fills an empty folder with the data set's files, or raises a DataError that says what failed."""


def describe_data(name: str, recipe: Recipe) -> DataInfo:
    """Tell what a data set is and how the recipe splits it, without reading images.

    Raises:
        DataError: no such data set, or a folder of images that is incomplete.
        RecipeError: the recipe does not fit the data set.
    """
    kind, path = _parse_name(name)
    if path is not None:
        return _describe_folders(name, path, recipe)
    return _describe_arrays(DATA_SETS[kind], recipe)


def prepare_data(
    name: str, data_dir: Path | None, cache_dir: Path | None, recipe: Recipe
) -> PreparedData:
    """Find a data set, verify it and decode it into the cache; at once if that has been done.

    Args:
        name: one of ``DATA_SETS``, ``folder:PATH`` or ``imagenet:PATH``.
        data_dir: where the user keeps data sets; searched first.
        cache_dir: where decoded and fetched files go; None: ``$SE_SEARCH_CACHE`` or the user's
            cache folder.
        recipe: says how large a folder's images are, and how many validate.

    Raises:
        DataError: the data set is nowhere to be found, or what is in ``data_dir`` is broken, or
            the cache can't be written.
        RecipeError: the recipe does not fit the data set.
    """
    kind, path = _parse_name(name)
    if path is not None:
        info = _describe_folders(name, path, recipe)
        return PreparedData(info, "folders", path, source=str(path))
    return prepare_arrays(DATA_SETS[kind], data_dir, cache_dir or default_cache_dir(), recipe)


def default_cache_dir() -> Path:
    """Return ``$SE_SEARCH_CACHE``, or else the user's cache folder."""
    folder = os.environ.get(CACHE_VARIABLE)
    return Path(folder).expanduser() if folder else platformdirs.user_cache_path("se-search")


def split_sizes(recipe: Recipe, num_train: int) -> tuple[int, int]:
    """Return how many images of the training part train, and how many validate.

    At most a fifth of the training part validates, however many the recipe asks for. A training
    part below 10,000 images is used whole: ``recipe.split.fraction`` is for larger ones.

    Raises:
        RecipeError: what is left to train on is less than two batches.
    """
    validation = max(1, min(recipe.split.validation, num_train // 5))
    rest = num_train - validation
    train = rest if num_train < WHOLE_BELOW else round(recipe.split.fraction * rest)
    if train < 2 * recipe.batch_size:
        raise RecipeError(
            f"of {num_train} training images {validation} validate and {train} train, which is "
            f"less than two batches of {recipe.batch_size} (batch_size, split.fraction)"
        )
    return train, validation


# --- arrays -------------------------------------------------------------------------------------


def prepare_arrays(
    spec: ArraySpec, data_dir: Path | None, cache_dir: Path, recipe: Recipe
) -> PreparedData:
    """Do ``prepare_data`` for one data set of small images."""
    info = _describe_arrays(spec, recipe)
    cache = cache_dir.expanduser().absolute()
    if not spec.files:
        return PreparedData(info, "arrays", _decode(spec, {}, cache), source=spec.name)
    if data_dir is not None:
        data_dir = data_dir.expanduser().absolute()
        if not data_dir.is_dir():
            raise DataError(f"data folder {data_dir} does not exist")
        # What the user points at is used or refused; only if there is nothing, the search goes on.
        if (files := _find_files(spec, data_dir)) is not None:
            return PreparedData(info, "arrays", _decode(spec, files, cache), source=str(data_dir))
    tried = [] if data_dir is None else [f"{data_dir}: {_describe_absence(spec)}"]
    fetched = cache / "fetched" / spec.name
    for folder in (*spec.known_folders, fetched):
        if decoded := _try_folder(spec, folder, cache, tried):
            return PreparedData(info, "arrays", decoded, source=str(folder))
    with _lock(cache, spec.name):
        decoded = _try_folder(spec, fetched, cache, [])  # another run may have fetched it meanwhile
        decoded = decoded or _fetch_and_decode(spec, fetched, cache, tried)
    return PreparedData(info, "arrays", decoded, source=str(fetched))


def fetch_by_torchvision(spec: ArraySpec, folder: Path) -> None:
    """Let torchvision download the data set, in a process of its own."""
    what = f"torchvision's download of {spec.url}"
    # Name servers and sockets may hang for minutes, so a short look comes first.
    reach = (
        "import sys, urllib.request as r;"
        "r.urlopen(r.Request(sys.argv[1], method='HEAD'), timeout=5)"
    )
    _run(what, [sys.executable, "-c", reach, spec.url], timeout=8)
    download = (
        "import socket, sys; socket.setdefaulttimeout(20); from torchvision import datasets;"
        "getattr(datasets, sys.argv[1])(sys.argv[2], download=True)"
    )
    command = [sys.executable, "-c", download, spec.torchvision_name, str(folder)]
    _run(what, command, timeout=1800)


def fetch_debian_package(spec: ArraySpec, folder: Path) -> None:
    """Download the data set's Debian package and unpack it; needs no root."""
    what = f"apt-get download {spec.debian_package}"
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise DataError(f"{what}: there is no {program} here")
    bounds = ["-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=5"]
    apt = ["apt-get", "-q", *bounds, "download", spec.debian_package]
    with tempfile.TemporaryDirectory(dir=folder) as temp:
        _run(what, apt, timeout=300, folder=Path(temp))
        for package in Path(temp).glob("*.deb"):
            _run(what, ["dpkg-deb", "-x", str(package), temp], timeout=60)
        unpacked = Path(temp) / spec.known_folders[0].relative_to("/")
        for file in unpacked.glob("*"):
            os.replace(file, folder / file.name)


def _describe_arrays(spec: ArraySpec, recipe: Recipe) -> DataInfo:
    if recipe.augmentation.resized_crop is not None:
        raise RecipeError(
            f"augmentation.resized_crop is for folders of images, and {spec.name} is not one"
        )
    if recipe.image_size not in (None, spec.image_size):
        raise RecipeError(
            f"image_size {recipe.image_size} does not fit {spec.name}: "
            f"its images have {spec.image_size} pixels a side"
        )
    train, validation = split_sizes(recipe, spec.num_train)
    return DataInfo(
        name=spec.name,
        channels=spec.channels,
        image_size=spec.image_size,
        num_classes=spec.num_classes,
        num_train=spec.num_train,
        num_used=train,
        num_validation=validation,
        num_test=spec.num_test,
        mean=spec.mean,
        std=spec.std,
    )


def _find_files(spec: ArraySpec, folder: Path) -> Files | None:
    """Return the data set's files in a data folder, or None if it has none of them.

    Raises:
        DataError: some are there, and some are missing.
    """
    partial: Files = {}
    for place in (folder / name for name in spec.subfolders):
        found = {
            name: path
            for name in spec.files
            for path in (place / f"{name}.gz", place / name)  # unpacked wins, as in torchvision
            if path.is_file()
        }
        if len(found) == len(spec.files):
            return found
        partial = partial or found
    if not partial:
        return None
    missing = ", ".join(name for name in spec.files if name not in partial)
    where = next(iter(partial.values())).parent
    raise DataError(f"{where} has {len(partial)} of {len(spec.files)} files; missing: {missing}")


def _try_folder(spec: ArraySpec, folder: Path, cache: Path, tried: list[str]) -> Path | None:
    """Decode what a folder has; if it has nothing, or something broken, note why in ``tried``."""
    if not folder.is_dir():
        tried.append(f"{folder}: no such folder")
        return None
    try:
        files = _find_files(spec, folder)
        if files is not None:
            return _decode(spec, files, cache)
        tried.append(f"{folder}: {_describe_absence(spec)}")
    except _CacheError:
        raise
    except DataError as problem:
        tried.append(f"{folder}: {problem}")
    return None


def _fetch_and_decode(spec: ArraySpec, fetched: Path, cache: Path, tried: list[str]) -> Path:
    """Go through the spec's fetches until one brings the whole data set into ``fetched``."""
    for fetch in spec.fetches:
        with tempfile.TemporaryDirectory(dir=cache) as temp:
            folder = Path(temp) / spec.name
            folder.mkdir()
            try:
                fetch(spec, folder)
            except (DataError, OSError) as problem:
                tried.append(str(problem))
                continue
            shutil.rmtree(fetched, ignore_errors=True)  # if there is one, it is broken
            fetched.parent.mkdir(exist_ok=True)
            os.replace(folder, fetched)
        if decoded := _try_folder(spec, fetched, cache, tried):
            return decoded
    remedies = ["--data-dir DIR, a folder that has it", "--data digits, which needs no files"]
    if spec.debian_package:
        remedies.insert(0, f"apt install {spec.debian_package}")
    lines = [f"{spec.name} was not found:", *(f"  {line}" for line in tried), "Any of these helps:"]
    raise DataError("\n".join((*lines, *(f"  {remedy}" for remedy in remedies))))


def _describe_absence(spec: ArraySpec) -> str:
    return f"has none of {', '.join(spec.files)}"


def _run(what: str, command: Sequence[str], timeout: float, folder: Path | None = None) -> None:
    """Run a program in silence; what goes wrong is a DataError with the last line it printed."""
    try:
        done = subprocess.run(
            command, cwd=folder, timeout=timeout, capture_output=True, text=True, errors="replace"
        )
    except subprocess.TimeoutExpired as cause:
        raise DataError(f"{what}: no answer within {timeout:g} s") from cause
    except OSError as cause:
        raise DataError(f"{what}: {cause}") from cause
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise DataError(f"{what}: {lines[-1]}")


# --- the cache ----------------------------------------------------------------------------------


class _CacheError(DataError):
    """The cache folder can't be written: no other source of the data would help."""

    def __init__(self, cache: Path, cause: OSError) -> None:
        super().__init__(
            f"cache folder {cache} can't be written: {cause}; "
            f"set {CACHE_VARIABLE} to a folder that can"
        )


def _decode(spec: ArraySpec, files: Files, cache: Path) -> Path:
    """Return the folder with the arrays of these very files, which is filled if need be."""
    folder = cache / "arrays" / f"{spec.name}-{_key(spec, files)}"
    if not _is_complete(spec, folder):
        arrays = spec.read(spec, files)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for part, array in arrays.items():
                assert array.shape == spec.shape(part)
                _write_array(folder / f"{part}.npy", array)
        except OSError as cause:
            raise _CacheError(cache, cause) from cause
    return folder


def _key(spec: ArraySpec, files: Files) -> str:
    parts: list[object] = [_ARRAY_FORMAT, spec.num_train, spec.num_test]
    for path in files.values():
        status = path.stat()
        parts += [str(path), status.st_size, status.st_mtime_ns]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _is_complete(spec: ArraySpec, folder: Path) -> bool:
    """Compare the headers and file sizes with what they must be, without reading the arrays."""
    parts: tuple[Part, ...] = ("train_images", "train_labels", "test_images", "test_labels")
    for part in parts:
        try:
            array = np.load(folder / f"{part}.npy", mmap_mode="r")
        except (OSError, ValueError, EOFError):
            return False
        dtype = np.uint8 if part.endswith("images") else np.int64
        if array.shape != spec.shape(part) or array.dtype != dtype:
            return False
    return True


def _write_array(path: Path, array: NDArray[Any]) -> None:
    """Write the file whole or not at all, whatever happens meanwhile."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            np.save(file, array)
            file.flush()
            os.fsync(file.fileno())
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def _lock(cache: Path, name: str) -> FileLock:
    """Keep two runs from fetching the same data set at once."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=cache).close()
    except OSError as cause:
        raise _CacheError(cache, cause) from cause
    return FileLock(cache / f"{name}.lock")


# --- file formats -------------------------------------------------------------------------------


def read_idx_files(spec: ArraySpec, files: Files) -> Arrays:
    """Decode the four idx files of MNIST and of the sets in its format (LeCun, http://yann.lecun.com/exdb/mnist)."""
    arrays: dict[Part, NDArray[Any]] = {}
    for part, prefix in (("train", "train"), ("test", "t10k")):
        count = spec.num_train if part == "train" else spec.num_test
        image_shape = (count, spec.image_size, spec.image_size)
        images = _read_idx(files[f"{prefix}-images-idx3-ubyte"], 2051, image_shape)
        label_path = files[f"{prefix}-labels-idx1-ubyte"]
        labels = _read_idx(label_path, 2049, (count,))
        _check_labels(label_path, labels, spec.num_classes)
        arrays[f"{part}_images"] = images[:, None]  # type: ignore[index]  # part is one of two
        arrays[f"{part}_labels"] = labels.astype(np.int64)  # type: ignore[index]  # as above
    return arrays


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
        raise DataError(f"{path} can't be read: {cause}") from cause


def _check_labels(path: Path, labels: NDArray[Any], num_classes: int) -> None:
    wrong = labels[(labels < 0) | (labels >= num_classes)]
    if wrong.size:
        raise DataError(f"{path} has the label {wrong[0]}, expected 0 to {num_classes - 1}")


def read_cifar_files(spec: ArraySpec, files: Files) -> Arrays:
    """Decode the batches of CIFAR's Python version (Krizhevsky 2009), without trusting them."""
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
    spec: ArraySpec, path: Path, label_key: bytes, num_rows: int
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
    """Unpickles built-in values and numpy arrays; every other class or function is refused."""

    _reconstruct = np.empty(0).__reduce__()[0]  # its module's name depends on numpy's version
    _allowed = {  # noqa: RUF012  # never changed
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    }

    def find_class(self, module: str, name: str) -> object:
        """Return what a pickle names, if an array needs it."""
        if (module, name) not in self._allowed:
            raise DataError(f"the pickle asks for {module}.{name}, which CIFAR does not need")
        return self._allowed[module, name]


def read_digits(spec: ArraySpec, files: Files) -> Arrays:  # none: scikit-learn has them
    """Decode scikit-learn's digits, 0..16 scaled to 0..255; the last images are the test part."""
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


# --- folders of images --------------------------------------------------------------------------


def _parse_name(name: str) -> tuple[str, Path | None]:
    """Return a data set's kind, and the path if it is a folder of images."""
    kind, colon, path = name.partition(":")
    if kind in ("folder", "imagenet") and path:
        return kind, Path(path).expanduser().absolute()
    if colon or kind not in DATA_SETS:
        allowed = ", ".join((*DATA_SETS, "folder:PATH", "imagenet:PATH"))
        raise DataError(f"data set {name!r} is not one of {allowed}")
    return kind, None


def _describe_folders(name: str, path: Path, recipe: Recipe) -> DataInfo:
    image_size = recipe.image_size or (224 if name.startswith("imagenet:") else None)
    if image_size is None:
        raise RecipeError(f"{name}: the recipe must give image_size for a folder of images")
    train, val = (_count_images(path / part) for part in ("train", "val"))
    if train.keys() != val.keys():
        only = {"train": train.keys() - val.keys(), "val": val.keys() - train.keys()}
        texts = [
            f"only in {part}: {', '.join(sorted(names)[:5])}"
            for part, names in only.items()
            if names
        ]
        raise DataError(f"{path}: train and val must have the same classes; {'; '.join(texts)}")
    num_train = sum(train.values())
    num_used, num_validation = split_sizes(recipe, num_train)
    return DataInfo(
        name=name,
        channels=3,
        image_size=image_size,
        num_classes=len(train),
        num_train=num_train,
        num_used=num_used,
        num_validation=num_validation,
        num_test=sum(val.values()),
        mean=_IMAGENET_MEAN,
        std=_IMAGENET_STD,
    )


def _count_images(folder: Path) -> dict[str, int]:
    """Count the images of each class as torchvision's ImageFolder does."""
    if not folder.is_dir():
        raise DataError(f"{folder} does not exist; a folder of images needs train and val")
    classes = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    if not classes:
        raise DataError(f"{folder} has no folders in it, expected one for each class")
    counts = {}
    for name in classes:
        tree = os.walk(folder / name, followlinks=True)
        counts[name] = sum(
            os.path.splitext(file)[1].lower() in _IMAGE_SUFFIXES
            for *_, files in tree
            for file in files
        )
        if counts[name] == 0:
            raise DataError(f"{folder / name} has no images ({', '.join(sorted(_IMAGE_SUFFIXES))})")
    return counts


# --- the data sets ------------------------------------------------------------------------------

DATA_SETS: Mapping[str, ArraySpec] = {
    "fashion_mnist": ArraySpec(  # Xiao et al. 2017; mean and std computed over the training part
        name="fashion_mnist",
        channels=1,
        image_size=28,
        num_classes=10,
        num_train=60_000,
        num_test=10_000,
        mean=(0.2860,),
        std=(0.3530,),
        read=read_idx_files,
        files=(
            "train-images-idx3-ubyte",
            "train-labels-idx1-ubyte",
            "t10k-images-idx3-ubyte",
            "t10k-labels-idx1-ubyte",
        ),
        subfolders=("FashionMNIST/raw", "raw", "."),
        known_folders=(Path("/usr/share/datasets/fashion-mnist"),),
        fetches=(fetch_by_torchvision, fetch_debian_package),
        torchvision_name="FashionMNIST",
        url="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/train-images-idx3-ubyte.gz",
        debian_package="dataset-fashion-mnist",
    ),
    "cifar10": ArraySpec(  # Krizhevsky 2009; mean and std as in Jordan's airbench (2024)
        name="cifar10",
        channels=3,
        image_size=32,
        num_classes=10,
        num_train=50_000,
        num_test=10_000,
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
        read=read_cifar_files,
        files=(*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"),
        subfolders=("cifar-10-batches-py", "."),
        fetches=(fetch_by_torchvision,),
        torchvision_name="CIFAR10",
        url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    ),
    "cifar100": ArraySpec(  # Krizhevsky 2009; mean and std as in weiaicunzai/pytorch-cifar100
        name="cifar100",
        channels=3,
        image_size=32,
        num_classes=100,
        num_train=50_000,
        num_test=10_000,
        mean=(0.5071, 0.4865, 0.4409),
        std=(0.2673, 0.2564, 0.2762),
        read=read_cifar_files,
        files=("train", "test"),
        subfolders=("cifar-100-python", "."),
        fetches=(fetch_by_torchvision,),
        torchvision_name="CIFAR100",
        url="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
    ),
    "digits": ArraySpec(  # Alpaydin and Kaynak 1998, as in scikit-learn; 360 test images
        name="digits",
        channels=1,
        image_size=8,
        num_classes=10,
        num_train=1437,
        num_test=360,
        mean=(0.3054,),
        std=(0.3753,),
        read=read_digits,
    ),
}
