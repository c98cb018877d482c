"""Counts the images of a folder that has ``train`` and ``val``, each with a folder a class."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from se_search.errors import DataError

_IMAGE_SUFFIXES = frozenset(  # torchvision.datasets.folder.IMG_EXTENSIONS
    (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
)


@dataclass(frozen=True, slots=True)
class ImageCounts:
    """How many classes a folder of images has, and how many images in ``train`` and ``val``."""

    num_classes: int
    num_train: int
    num_val: int


def count_images(path: Path) -> ImageCounts:
    """Count the images of a folder as torchvision's ``ImageFolder`` does.

    Raises:
        DataError: ``train`` or ``val`` is missing, a class has no images, or the classes differ.
    """
    train, val = (_count_by_class(path / part) for part in ("train", "val"))
    if train.keys() != val.keys():
        only = {"train": train.keys() - val.keys(), "val": val.keys() - train.keys()}
        texts = [
            f"only in {part}: {', '.join(sorted(names)[:5])}"
            for part, names in only.items()
            if names
        ]
        raise DataError(f"{path}: train and val must have the same classes; {'; '.join(texts)}")
    return ImageCounts(len(train), sum(train.values()), sum(val.values()))


def _count_by_class(folder: Path) -> dict[str, int]:
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
