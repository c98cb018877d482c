"""The cache of decoded data sets: one folder of ``.npy`` files for each set of source files."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from filelock import FileLock
from numpy.typing import NDArray

from se_search.errors import DataError, RunError, explain
from se_search.store.files import describe_room, parse_json, write_bytes
from se_search.training.dataset_spec import ARRAY_NAMES, Arrays, DataSetSpec, Files

CACHE_VARIABLE = "SE_SEARCH_CACHE"
_ARRAY_FORMAT = 1  # part of the cache's key: raise it when equal files give other arrays


class CacheError(DataError):
    """The cache folder can't be written, so no other source of the data would help."""

    def __init__(self, cache: Path, cause: Exception, needed: int | None = None) -> None:
        room = describe_room(cache, cause, needed) if isinstance(cause, OSError) else ""
        super().__init__(
            f"cache folder {cache} can't be written: {explain(cause)}"
            f"{f' ({room})' if room else ''}; set {CACHE_VARIABLE} to a folder that can"
        )


def default_cache_dir() -> Path:
    """Return ``$SE_SEARCH_CACHE``, or else the user's cache folder."""
    folder = os.environ.get(CACHE_VARIABLE)
    return Path(folder).expanduser() if folder else platformdirs.user_cache_path("se-search")


def decode(spec: DataSetSpec, files: Files, cache: Path) -> Path:
    """Return the folder with the arrays of these files; decodes them if they are not there yet.

    Args:
        spec: the data set.
        files: the path of each file of the data set, by name.
        cache: folder of everything that is cached.

    Raises:
        DataError: a file is not as ``spec`` says.
        CacheError: the cache can't be written.
    """
    folder = cache / "arrays" / f"{spec.name}-{_key(spec, files)}"
    if not _is_complete(spec, folder):
        arrays = spec.read(spec, files)
        _check_counts(spec, arrays)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, array in arrays.items():
                assert array.shape == spec.shape(name)
                _write_array(folder / f"{name}.npy", array)
        except OSError as cause:
            needed = sum(array.nbytes for array in arrays.values())
            raise CacheError(cache, cause, needed) from cause
    return folder


def fingerprint_arrays(folder: Path) -> str:
    """Return 16 hexadecimal digits over all pixels and labels of a folder that ``decode`` made.

    They are computed once, and again if a file has another size or modification time since.

    Raises:
        CacheError: the cache can't be written.
    """
    states = {}
    for name in ARRAY_NAMES:
        status = (folder / f"{name}.npy").stat()
        states[name] = [status.st_size, status.st_mtime_ns]
    file = folder / "fingerprint.json"
    try:
        known = parse_json(file.read_bytes())
        if known["files"] == states:
            return str(known["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # it has not been computed yet
    digest = hashlib.sha256()
    for name in ARRAY_NAMES:
        array = np.load(folder / f"{name}.npy", mmap_mode="r")
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    fingerprint = digest.hexdigest()[:16]
    write_cached(file, json.dumps({"files": states, "fingerprint": fingerprint}).encode())
    return fingerprint


def lock_cache(cache: Path, name: str) -> FileLock:
    """Return a lock that keeps two runs from fetching one data set at once.

    Raises:
        CacheError: the cache can't be written.
    """
    try:
        cache.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=cache).close()
    except OSError as cause:
        raise CacheError(cache, cause) from cause
    return FileLock(cache / f"{name}.lock")


def write_cached(path: Path, content: bytes) -> None:
    """Write a file of the cache, whole or not at all; its folder is made.

    Raises:
        CacheError: the file can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, content)
    except (OSError, RunError) as cause:
        raise CacheError(path.parent, cause) from cause


def _key(spec: DataSetSpec, files: Files) -> str:
    parts: list[object] = [_ARRAY_FORMAT, spec.num_train, spec.num_test]
    for path in files.values():
        status = path.stat()
        parts += [str(path), status.st_size, status.st_mtime_ns]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _is_complete(spec: DataSetSpec, folder: Path) -> bool:
    """Tell whether all arrays are there, by their headers and file sizes alone."""
    for name in ARRAY_NAMES:
        try:
            array = np.load(folder / f"{name}.npy", mmap_mode="r")
        except (OSError, ValueError, EOFError):
            return False
        dtype = np.uint8 if name.endswith("images") else np.int64
        if array.shape != spec.shape(name) or array.dtype != dtype:
            return False
    return True


def _write_array(path: Path, array: NDArray[Any]) -> None:
    """Write the whole file or nothing, even if the process is interrupted."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            np.save(file, array)
            file.flush()
            os.fsync(file.fileno())
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def _check_counts(spec: DataSetSpec, arrays: Arrays) -> None:
    found = np.bincount(arrays["train_labels"], minlength=spec.num_classes).tolist()
    if tuple(found) != spec.train_counts:
        raise DataError(
            f"{spec.name}: the training labels stand for {found} images a class, expected "
            f"{list(spec.train_counts)}"
        )
