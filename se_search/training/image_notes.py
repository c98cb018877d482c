"""Says what a scan of a folder of images has found that its owner may not know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from se_search.training.image_listing import PARTS, is_printable, printable
from se_search.training.image_scan import FolderScan
from se_search.training.peculiarity import Peculiarity

NUM_EXAMPLES = 3
_PECULIARITIES = {
    Peculiarity.SIXTEEN_BITS: "of 16 bits, scaled to 8 bits (65,535 becomes 255)",
    Peculiarity.FLOATS: "of floats, scaled to 8 bits (1.0 becomes 255)",
    Peculiarity.ALPHA: "with transparency, which networks of 1 or 3 channels do not see",
    Peculiarity.FRAMES: "with several frames, of which the first one is used",
}


def list_notes(scan: FolderScan) -> list[str]:
    """Return a sentence for each thing that is to be said about a folder of images."""
    return [
        *_describe_parts(scan),
        *_describe_left_out(scan),
        *_describe_peculiarities(scan),
        *_describe_names(scan),
        *_describe_duplicates(scan),
        *_describe_sample(scan),
    ]


def _describe_parts(scan: FolderScan) -> Iterator[str]:
    has = [bool(scan.listing.counts(part)) for part in PARTS]
    if has == [True, True, True]:
        yield "Images: train/ trains, val/ validates, test/ is the test part"
    elif has == [True, True, False]:
        yield (
            "Images: train/ trains, and a share of it validates; val/ is used as the test part, "
            "which only confirm and reproduce read"
        )
    elif has == [True, False, True]:
        yield "Images: train/ trains, and a share of it validates; test/ is the test part"
    else:
        yield (
            "Images: train/ trains, and a share of it validates; without val/ or test/ there are "
            "no test images, which confirm and reproduce need"
        )


def _describe_left_out(scan: FolderScan) -> Iterator[str]:
    left_out = scan.listing.left_out
    if left_out:
        texts = [f"{why}: {len(paths):,} ({_name(paths)})" for why, paths in left_out.items()]
        yield f"Left out: {'; '.join(texts)}"


def _describe_peculiarities(scan: FolderScan) -> Iterator[str]:
    for peculiarity, text in _PECULIARITIES.items():
        places = np.flatnonzero(scan.records["peculiarity"] & int(peculiarity))
        if places.size:
            names = [scan.listing.names[int(i)] for i in places[:NUM_EXAMPLES]]
            yield f"Images {text}: {places.size:,} ({_name(names, places.size)})"


def _describe_names(scan: FolderScan) -> Iterator[str]:
    odd = [name for name in scan.listing.names if not is_printable(name)]
    if odd:
        yield (
            "Images whose names are not UTF-8 or can't be printed, written with escapes here: "
            f"{len(odd):,} ({_name(odd)})"
        )


def _describe_duplicates(scan: FolderScan) -> Iterator[str]:
    listing = scan.listing
    groups: dict[int, list[int]] = {}
    places = np.flatnonzero(scan.records["is_read"])
    digests = np.ascontiguousarray(scan.records["digest"][places]).view("S16").ravel()
    _, which, counts = np.unique(digests, return_inverse=True, return_counts=True)
    for place, group in zip(places.tolist(), which.tolist(), strict=True):
        if counts[group] > 1:
            groups.setdefault(group, []).append(place)
    found: dict[str, list[list[int]]] = {}
    for copies in groups.values():
        if len(set(listing.labels[copies])) > 1:
            why = "two classes, which can't both be right"
        elif len(set(listing.parts[copies])) > 1:
            why = "two parts, one of which judges the other"
        else:
            why = "one class twice, where one may train and the other validate"
        found.setdefault(why, []).append(copies)
    for why, sets in found.items():
        examples = "; ".join(_name_pair(scan, copies) for copies in sets[:NUM_EXAMPLES])
        yield f"WARNING: images whose bytes lie in {why}: {len(sets):,} ({examples})"


def _name_pair(scan: FolderScan, copies: Sequence[int]) -> str:
    """Name two of several equal images: of different classes or parts, if there are such."""
    listing = scan.listing
    first = copies[0]

    def differs_more(place: int) -> tuple[bool, bool]:
        return (
            bool(listing.labels[place] != listing.labels[first]),
            bool(listing.parts[place] != listing.parts[first]),
        )

    other = max(copies[1:], key=differs_more)
    return f"{printable(listing.names[first])} = {printable(listing.names[other])}"


def _describe_sample(scan: FolderScan) -> Iterator[str]:
    if not scan.is_read_whole:
        num_read = int(scan.records["is_read"].sum())
        yield (
            f"The folder is large: of {len(scan.listing.names):,} images the headers were read, "
            f"and of {num_read:,} all bytes; the fingerprint covers names, sizes and these"
        )


def _name(names: Sequence[bytes], total: int | None = None) -> str:
    shown = ", ".join(printable(name) for name in names[:NUM_EXAMPLES])
    return shown + (", ..." if (total or len(names)) > NUM_EXAMPLES else "")
