"""Has what trainings need on a node: data and weights that are there, or sent once by the command.

What is found counts only if its fingerprint is that of the coordinator's.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from se_search.errors import DataError, SESearchError
from se_search.execution.posts import Part, Post
from se_search.recipe import Recipe
from se_search.training.array_cache import default_cache_dir, fingerprint_arrays, lock_cache
from se_search.training.dataset_spec import ARRAY_NAMES
from se_search.training.datasets import PreparedData, prepare_data
from se_search.training.image_scan import read_part

BUNDLE_BYTES = 32_000_000  # that are read at a time on their way to a node

Cursor = tuple[int, int]  # place in the list of files, and in the file


class Parcel:
    """The files that nodes may ask the coordinator's machine for.

    Args:
        data: as the coordinator has found it.
        weights: file that networks start from; None: there is none.
    """

    def __init__(self, data: PreparedData, weights: Path | None) -> None:
        self._data = data
        self._weights = weights
        self._files: dict[str, Sequence[tuple[str, Path]]] = {}

    def read(self, name: str, cursor: Cursor, size: int = BUNDLE_BYTES) -> _Bundle:
        """Return the next files of ``data`` or ``weights``, and where to go on; None: at no place.

        Args:
            name: what is asked for.
            cursor: where to go on; ``(0, 0)`` is the beginning.
            size: bytes that are read at least, if the file has them.
        """
        if name not in self._files:
            self._files[name] = self._list(name)
        files, (index, offset) = self._files[name], cursor
        parts: list[Part] = []
        while index < len(files) and size > 0:
            label, path = files[index]
            with path.open("rb") as file:
                file.seek(offset)
                content = file.read(size)
                is_whole = not file.peek(1)
            parts.append(Part(label, content, is_first=offset == 0))
            size -= max(1, len(content))
            index, offset = (index + 1, 0) if is_whole else (index, offset + len(content))
        return parts, (index, offset) if index < len(files) else None

    def _list(self, name: str) -> Sequence[tuple[str, Path]]:
        if name == "weights":
            return [] if self._weights is None else [(self._weights.name, self._weights)]
        data = self._data
        if data.layout == "arrays":
            return [(f"{each}.npy", data.array_path(each)) for each in ARRAY_NAMES]
        assert data.listing is not None
        names = [
            os.fsdecode(each)
            for part in ("train", "val", "test")
            for each in read_part(data.listing, part).names
        ]
        return [(each, data.folder / each) for each in names]


_Bundle = tuple[list[Part], Cursor | None]


def read_all(read: Callable[[Cursor], _Bundle]) -> Iterator[Part]:
    """Yield the parts that a function reads from one place to the next."""
    cursor: Cursor | None = (0, 0)
    while cursor is not None:
        parts, cursor = read(cursor)
        yield from parts


def find_data(
    data: PreparedData,
    recipe: Recipe,
    data_dir: Path | None,
    post: Post,
    cache: Path | None = None,
) -> PreparedData:
    """Return the coordinator's data as this machine has it; it is sent here if it has none.

    Args:
        data: as the coordinator has found it.
        recipe: how it is split.
        data_dir: folder that holds data sets on the coordinator's machine, and perhaps here.
        post: fetches what is not here.
        cache: folder of everything that is cached; None: the usual one.

    Raises:
        DataError: it is not here, and can't be sent.
    """
    cache = (cache or default_cache_dir()).expanduser().absolute()
    key = (data.info.name, data.info.fingerprint, str(cache))
    if key not in _FOUND:
        look = _look_for_arrays if data.layout == "arrays" else _look_for_images
        _FOUND[key] = look(data, recipe, data_dir, post, cache)
    found = _FOUND[key]
    # How the recipe splits it is known, whatever the folder is called here.
    return replace(found, info=data.info)


# Found once in each process: a folder of images is a million files.
_FOUND: dict[tuple[str, str | None, str], PreparedData] = {}


def find_weights(path: Path, digest: str, post: Post, cache: Path | None = None) -> Path:
    """Return a file of weights with a digest; it is sent here if there is none.

    Args:
        path: where the coordinator has it.
        digest: twelve hexadecimal digits of SHA-256.
        post: fetches what is not here.
        cache: folder of everything that is cached; None: the usual one.

    Raises:
        DataError: it is not here, and can't be sent.
    """
    cache = (cache or default_cache_dir()).expanduser().absolute()
    folder = cache / "received" / f"weights-{digest}"
    received = folder / path.name
    with lock_cache(cache, folder.name):
        for place in (path, received):
            if _has_digest(place, digest):
                return place
        _receive(folder, post.fetch_parts("weights"))
    if not _has_digest(received, digest):
        raise DataError(f"{received} is not what {path} was when the command began")
    return received


def digest_file(path: Path) -> str:
    """Return twelve hexadecimal digits of the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def _look_for_arrays(
    data: PreparedData, recipe: Recipe, data_dir: Path | None, post: Post, cache: Path
) -> PreparedData:
    received = cache / "received" / f"{data.info.kind}-{data.info.fingerprint}"
    with lock_cache(cache, received.name):
        for folder in (data.folder, received):
            if _has_arrays(folder, data.info.fingerprint):
                return replace(data, folder=folder)
        try:
            _receive(received, post.fetch_parts("data"))
        except DataError:  # what this machine finds by itself may do
            found = _prepare(data, recipe, data_dir, cache)
            if found is None:
                raise
            return found
    if not _has_arrays(received, data.info.fingerprint):
        raise DataError(f"{received} is not what {data.folder} was when the command began")
    return replace(data, folder=received)


def _look_for_images(
    data: PreparedData, recipe: Recipe, data_dir: Path | None, post: Post, cache: Path
) -> PreparedData:
    found = _prepare(data, recipe, data_dir, cache)
    if found is not None:
        return found
    received = cache / "received" / f"{data.info.kind}-{data.info.fingerprint}"
    here = replace(data, info=replace(data.info, name=f"{data.info.kind}:{received}"))
    with lock_cache(cache, received.name):
        found = _prepare(here, recipe, None, cache)
        if found is None:
            _receive(received, post.fetch_parts("data"))
            found = _prepare(here, recipe, None, cache)
    if found is None:
        raise DataError(f"{received} is not what {data.folder} was when the command began")
    return found


def _prepare(
    data: PreparedData, recipe: Recipe, data_dir: Path | None, cache: Path
) -> PreparedData | None:
    """Return the data that this machine has by that name, if they are the coordinator's."""
    with suppress(SESearchError, OSError):
        found = prepare_data(data.info.name, data_dir, cache, recipe)
        if found.info.fingerprint == data.info.fingerprint:
            return found
    return None


def _has_arrays(folder: Path, fingerprint: str | None) -> bool:
    try:
        return fingerprint_arrays(folder) == fingerprint
    except (OSError, ValueError, SESearchError):
        return False


def _has_digest(path: Path, digest: str) -> bool:
    try:
        return digest_file(path) == digest
    except OSError:
        return False


def _receive(folder: Path, parts: Iterator[Part]) -> None:
    """Write files into a folder, which is there whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".draft-"))
    try:
        for part in parts:
            path = draft / part.name
            if not path.resolve().is_relative_to(draft.resolve()):
                raise DataError(f"the coordinator sent the file {part.name!r}: refused")
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb" if part.is_first else "ab") as file:
                file.write(part.content)
        shutil.rmtree(folder, ignore_errors=True)  # what is there is damaged
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
