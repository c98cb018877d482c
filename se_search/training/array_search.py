"""Finds a data set of small images: the user's folder, known folders, the cache, a download."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from se_search.errors import DataError
from se_search.training.array_cache import CacheError, decode, lock_cache
from se_search.training.dataset_spec import DataSetSpec, Files


def find_arrays(spec: DataSetSpec, data_dir: Path | None, cache: Path) -> tuple[Path, str]:
    """Find a data set's files, and decode them if that has not been done yet.

    What the user's folder holds is used or refused. Only if it holds none of the files, the search
    goes on to the known folders, to what was fetched before, and to a download.

    Args:
        spec: the data set.
        data_dir: folder in which the user keeps data sets; None: there is none.
        cache: folder of decoded and fetched files.

    Returns:
        the folder with the arrays, and where the data set was found.

    Raises:
        DataError: the data set is nowhere to be found, or the user's folder does not exist or
            holds broken files.
        CacheError: the cache can't be written.
    """
    if not spec.files:
        return decode(spec, {}, cache), spec.name
    if data_dir is not None:
        data_dir = data_dir.expanduser().absolute()
        if not data_dir.is_dir():
            raise DataError(f"data folder {data_dir} does not exist")
        if (files := _find_files(spec, data_dir)) is not None:
            return decode(spec, files, cache), str(data_dir)
    tried = [] if data_dir is None else [f"{data_dir}: {_describe_absence(spec)}"]
    fetched = cache / "fetched" / spec.name
    for folder in (*spec.known_folders, fetched):
        if decoded := _try_folder(spec, folder, cache, tried):
            return decoded, str(folder)
    with lock_cache(cache, spec.name):
        decoded = _try_folder(spec, fetched, cache, [])  # another run may have fetched it meanwhile
        return decoded or _fetch_and_decode(spec, fetched, cache, tried), str(fetched)


def _find_files(spec: DataSetSpec, folder: Path) -> Files | None:
    """Return the data set's files in a data folder, or None if it has none of them.

    Raises:
        DataError: some of the files are there, and some are missing.
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


def _try_folder(spec: DataSetSpec, folder: Path, cache: Path, tried: list[str]) -> Path | None:
    """Decode the files in a folder; if they are missing or broken, add the reason to ``tried``."""
    if not folder.is_dir():
        tried.append(f"{folder}: no such folder")
        return None
    try:
        files = _find_files(spec, folder)
        if files is not None:
            return decode(spec, files, cache)
        tried.append(f"{folder}: {_describe_absence(spec)}")
    except CacheError:
        raise
    except DataError as problem:
        tried.append(f"{folder}: {problem}")
    return None


def _fetch_and_decode(spec: DataSetSpec, fetched: Path, cache: Path, tried: list[str]) -> Path:
    """Go through the ways to fetch the data set until one puts all of it into ``fetched``."""
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


def _describe_absence(spec: DataSetSpec) -> str:
    return f"has none of {', '.join(spec.files)}"
