"""The names of a data set's classes, for figures and tables."""

from __future__ import annotations

import os
from collections.abc import Mapping

from se_search.training.datasets import PreparedData
from se_search.training.image_scan import read_part

KNOWN: Mapping[str, tuple[str, ...]] = {
    "fashion_mnist": (
        *("T-shirt", "trouser", "pullover", "dress", "coat"),
        *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
    ),
    "cifar10": (
        *("airplane", "automobile", "bird", "cat", "deer"),
        *("dog", "frog", "horse", "ship", "truck"),
    ),
}


def name_classes(prepared: PreparedData) -> list[str]:
    """Return a name for each class in the order of the labels: words, a folder's name, or a number.

    Args:
        prepared: the data set.
    """
    info = prepared.info
    numbers = [str(number) for number in range(info.num_classes)]
    if prepared.layout == "arrays":
        return list(KNOWN.get(info.kind, numbers))
    assert prepared.listing is not None
    part = read_part(prepared.listing, "train")
    first = {int(label): name for name, label in zip(part.names, part.labels, strict=True)}
    return [_folder_of(first[label]) for label in range(info.num_classes)]


def _folder_of(name: bytes) -> str:
    """Return the folder of a class, which is the second in the path of an image: train/CLASS/…."""
    return os.fsdecode(name).split(os.sep)[1]
