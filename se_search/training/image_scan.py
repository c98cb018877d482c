"""Reads a folder of images once, before anything is trained: what it holds, and what is wrong.

What was read of a file is kept in the cache until its size, its times or its inode change.
"""

from __future__ import annotations

import hashlib
import heapq
import io
import os
import zipfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from se_search.errors import DataError, explain
from se_search.training.array_cache import write_cached
from se_search.training.image_listing import PARTS, Listing, list_images, printable

READ_BYTES = 2_000_000_000  # of a larger folder only headers and a sample of the files are read
NUM_DRAWN = 1_000
NUM_NAMED = 5  # of files in an error
_CHUNK = 64  # files that a thread reads between two reports of progress
_FORMAT = 1  # part of the cache's key: raise it when equal files give other records
_DIGEST_SIZE = 16
# What is known of a file: pixels of its shorter side, ``Peculiarity``, whether its bytes were
# read, and their digest.
_RECORD = np.dtype(
    [
        *(("side", "i4"), ("peculiarity", "u1"), ("is_read", "u1")),
        ("digest", "u1", (_DIGEST_SIZE,)),
    ]
)


@dataclass(frozen=True, slots=True)
class Watch:
    """Whom a scan tells what it finds.

    Attributes:
        note: takes a sentence.
        progress: takes the number of images that have been read, and of all that are to be read.
    """

    note: Callable[[str], None] = lambda _: None
    progress: Callable[[int, int], None] = lambda _done, _total: None


SILENT = Watch()


@dataclass(frozen=True, slots=True)
class FolderScan:
    """The contents of a folder of images.

    Attributes:
        listing: its images.
        records: ``_RECORD`` of each image.
        fingerprint: 16 hexadecimal digits over names, sizes and bytes.
        is_read_whole: whether the fingerprint covers all bytes; else those of a sample.
        file: where the cache has the listing.
    """

    listing: Listing
    records: NDArray[np.void]
    fingerprint: str
    is_read_whole: bool
    file: Path

    @property
    def validates(self) -> bool:
        """Whether ``val`` validates; else a share of ``train`` does."""
        return bool(self.listing.counts("val")) and bool(self.listing.counts("test"))

    @property
    def test_part(self) -> str | None:
        """The part that is the test part; None: there is none."""
        return next((part for part in ("test", "val") if self.listing.counts(part)), None)

    @property
    def median_side(self) -> float:
        """Median over the images of their shorter side, in pixels."""
        return float(np.median(self.records["side"]))


def scan_folder(
    root: Path,
    cache: Path,
    watch: Watch = SILENT,
    read_bytes: int = READ_BYTES,
    num_drawn: int = NUM_DRAWN,
) -> FolderScan:
    """Read a folder of images; what has not changed since the last scan is taken from the cache.

    Args:
        root: the folder, with ``train`` and perhaps ``val`` and ``test``.
        cache: folder of everything that is cached.
        watch: told how far the scan has come.
        read_bytes: a folder of at most this many bytes is read and decoded whole. Of a larger one
            the headers are read, and all of ``num_drawn`` files, which are drawn by their names.
        num_drawn: see ``read_bytes``.

    Raises:
        DataError: the folder is not complete (see ``list_images``), or files can't be read.
        CacheError: the cache can't be written.
    """
    listing = list_images(root)
    folder = cache / "folders" / hashlib.sha256(os.fsencode(root)).hexdigest()[:16]
    is_whole = int(listing.states[:, 0].sum()) <= read_bytes
    is_wanted = np.ones(len(listing.names), bool)
    if not is_whole:
        is_wanted[:] = False
        is_wanted[_draw(listing.names, num_drawn)] = True
    records, is_known = _recall(folder / "records.npz", listing, is_wanted)
    unreadable = dict(listing.unreadable)
    try:
        _read_files(listing, records, ~is_known, is_wanted, unreadable, watch)
    finally:  # a scan that is interrupted goes on where it was
        if not is_known.all():
            _remember(folder / "records.npz", listing, records)
    if unreadable:
        raise DataError(_describe_unreadable(root, unreadable))
    fingerprint = _fingerprint(listing, records, is_wanted)
    # Trainings that are under way keep their list when the folder is scanned with other images.
    file = folder / f"{fingerprint}.npz"
    if not file.is_file():
        _write(
            file,
            **_pack(listing),
            parts=listing.parts,
            labels=listing.labels,
            sizes=listing.states[:, 0],
            digests=records["digest"],
        )
    return FolderScan(listing, records, fingerprint, is_whole, file)


def _read_files(
    listing: Listing,
    records: NDArray[np.void],
    is_missing: NDArray[np.bool_],
    is_wanted: NDArray[np.bool_],
    unreadable: dict[bytes, str],
    watch: Watch,
) -> None:
    """Fill in the records that are missing, in several threads."""
    for i in np.flatnonzero(listing.states[:, 0] == 0).tolist():
        unreadable.setdefault(listing.names[i], "the file is empty")
    missing = [
        int(i) for i in np.flatnonzero(is_missing) if listing.names[int(i)] not in unreadable
    ]
    chunks = [missing[start : start + _CHUNK] for start in range(0, len(missing), _CHUNK)]

    def read_chunk(chunk: Sequence[int]) -> list[tuple[int, tuple[object, ...] | str]]:
        return [(i, _read_file(listing.root, listing.names[i], bool(is_wanted[i]))) for i in chunk]

    done = 0
    # Pillow and hashlib let other threads run while they work.
    pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))
    try:
        for chunk in pool.map(read_chunk, chunks):
            for index, outcome in chunk:
                done += 1
                if isinstance(outcome, str):
                    unreadable[listing.names[index]] = outcome
                else:
                    records[index] = outcome
            watch.progress(done, len(missing))
    finally:
        pool.shutdown(cancel_futures=True)


def _read_file(root: Path, name: bytes, is_whole: bool) -> tuple[object, ...] | str:
    """Return the record of a file, or why it can't be read."""
    from se_search.training.image_reading import (  # imports Pillow
        UnreadableImageError,
        describe,
        inspect_image,
    )

    path = os.path.join(root, os.fsdecode(name))
    digest = bytes(_DIGEST_SIZE)
    try:
        if is_whole:
            with open(path, "rb") as file:
                content = file.read()
            digest = digest_content(content)
            side, peculiarity = inspect_image(content, decode=True)
        else:
            side, peculiarity = inspect_image(path, decode=False)
    except UnreadableImageError as cause:
        return str(cause)
    except OSError as cause:
        return describe(cause)
    return side, int(peculiarity), is_whole, np.frombuffer(digest, np.uint8)


def digest_content(content: bytes) -> bytes:
    """Return the digest of a file's bytes, as a scan keeps it."""
    return hashlib.sha256(content).digest()[:_DIGEST_SIZE]


def _draw(names: Sequence[bytes], count: int) -> list[int]:
    """Draw the numbers of files by a hash of their names: the same ones on every machine."""
    return heapq.nsmallest(
        count, range(len(names)), key=lambda i: hashlib.sha256(names[i]).digest()
    )


def _fingerprint(listing: Listing, records: NDArray[np.void], is_wanted: NDArray[np.bool_]) -> str:
    """Return 16 hexadecimal digits over names and sizes, and over the bytes of what was wanted."""
    digest = hashlib.sha256()
    sizes = listing.states[:, 0].tolist()
    for name, size, record, wanted in zip(
        listing.names, sizes, records["digest"], is_wanted.tolist(), strict=True
    ):
        digest.update(b"%d %d " % (len(name), size) + name)
        if wanted:
            digest.update(record.tobytes())
    return digest.hexdigest()[:16]


def _recall(
    file: Path, listing: Listing, is_wanted: NDArray[np.bool_]
) -> tuple[NDArray[np.void], NDArray[np.bool_]]:
    """Return the records that the cache has, and which ones it has."""
    records = np.zeros(len(listing.names), _RECORD)
    is_known = np.zeros(len(listing.names), bool)
    try:
        with file.open("rb") as opened, np.load(opened) as stored:
            if int(stored["format"]) != _FORMAT:
                return records, is_known
            names = _unpack(stored)
            states, known = stored["states"], stored["records"].view(_RECORD).reshape(-1)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return records, is_known
    if names == listing.names:
        places = np.arange(len(names))
    else:
        by_name = {name: place for place, name in enumerate(names)}
        places = np.array([by_name.get(name, -1) for name in listing.names])
    if not len(known):
        return records, is_known
    is_known = (places >= 0) & (states[places] == listing.states).all(axis=1)
    is_known &= known["side"][places] > 0  # 0: it has not been read, or can't be
    is_known &= (known["is_read"][places] != 0) | ~is_wanted
    records[is_known] = known[places[is_known]]
    return records, is_known


def _remember(file: Path, listing: Listing, records: NDArray[np.void]) -> None:
    _write(
        file,
        **_pack(listing),
        format=np.array(_FORMAT),
        states=listing.states,
        records=records.view(np.uint8),
    )


def _pack(listing: Listing) -> dict[str, NDArray[Any]]:
    """Return the names as arrays."""
    return {
        "names": np.frombuffer(b"".join(listing.names), np.uint8),
        "lengths": np.array([len(name) for name in listing.names], np.int32),
    }


def _unpack(stored: Mapping[str, NDArray[Any]]) -> list[bytes]:
    """Return the names that ``_pack`` has made arrays of."""
    joined, lengths = stored["names"].tobytes(), stored["lengths"]
    ends = np.cumsum(lengths).tolist()
    return [joined[end - size : end] for end, size in zip(ends, lengths.tolist(), strict=True)]


def _write(file: Path, **arrays: Any) -> None:
    content = io.BytesIO()
    np.savez(content, **arrays)
    write_cached(file, content.getvalue())


def _describe_unreadable(root: Path, unreadable: dict[bytes, str]) -> str:
    named = [f"  {printable(name)}: {why}" for name, why in sorted(unreadable.items())[:NUM_NAMED]]
    count = len(unreadable)
    lines = [
        f"{printable(root)}: {count} image{'s' if count > 1 else ''} can't be read:",
        *named,
        *([f"  and {count - NUM_NAMED} more"] if count > NUM_NAMED else []),
        "Mend these files, or move them out of the folder",
    ]
    return "\n".join(lines)


def describe_changes(cache: Path, before: str, after: str) -> str | None:
    """Return how the images of two fingerprints differ, in one sentence; None: it is not known.

    Args:
        cache: folder of everything that is cached.
        before: fingerprint of images that were scanned with this cache.
        after: another one.
    """
    files = [next(cache.glob(f"folders/*/{name}.npz"), None) for name in (before, after)]
    if None in files:
        return None
    try:
        old, new = (_read_content(file) for file in files if file is not None)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None  # the cache is damaged
    kinds = {
        "new": sorted(new.keys() - old.keys()),
        "gone": sorted(old.keys() - new.keys()),
        "with other bytes": sorted(n for n in old.keys() & new.keys() if old[n] != new[n]),
    }
    texts = [
        f"{len(names):,} {kind} ({printable(names[0])}{', ...' if len(names) > 1 else ''})"
        for kind, names in kinds.items()
        if names
    ]
    return f"Images: {'; '.join(texts)}"


def _read_content(file: Path) -> dict[bytes, tuple[int, bytes]]:
    """Return size and digest of each image by its name."""
    with file.open("rb") as opened, np.load(opened) as stored:
        names, sizes, digests = _unpack(stored), stored["sizes"].tolist(), stored["digests"]
    rows = zip(names, sizes, digests, strict=True)
    return {name: (size, digest.tobytes()) for name, size, digest in rows}


@dataclass(frozen=True, slots=True)
class PartFiles:
    """The images of one part, for a process that trains.

    Attributes:
        names: paths from the folder.
        labels: ``(n,)``, from 0.
        digests: ``(n, 16)`` of the files' bytes; zeros: the scan has not read them.
    """

    names: list[bytes]
    labels: NDArray[np.int64]
    digests: NDArray[np.uint8]


def read_part(file: Path, part: str) -> PartFiles:
    """Return the images of a part, as the scan has left them in the cache.

    Raises:
        DataError: the cache has been emptied since the scan.
    """
    try:
        with file.open("rb") as opened, np.load(opened) as stored:
            names = _unpack(stored)
            chosen = np.flatnonzero(stored["parts"] == PARTS.index(part))
            digests = stored["digests"][chosen]
            return PartFiles([names[int(i)] for i in chosen], stored["labels"][chosen], digests)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as cause:
        raise DataError(
            f"{file} can't be read: {explain(cause)}; it is a list of images in the cache, which "
            "the same command makes anew"
        ) from cause
