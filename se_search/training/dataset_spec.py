"""The value that describes a data set of small images: shapes, files, and where they may lie."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from numpy.typing import NDArray

ArrayName = Literal["train_images", "train_labels", "test_images", "test_labels"]
ARRAY_NAMES: tuple[ArrayName, ...] = get_args(ArrayName)
Arrays = Mapping[ArrayName, NDArray[Any]]
Files = Mapping[str, Path]


@dataclass(frozen=True, slots=True)
class DataSetSpec:
    """A data set of small images that is decoded into arrays before it is used.

    The numbers of images and classes are exact: files that hold anything else are refused.

    Attributes:
        name: ``fashion_mnist``, ``cifar10``, ...
        channels: 1 or 3.
        image_size: height and width in pixels.
        train_counts: images of each class in the training part, in the order of the labels.
        num_test: images in the test part.
        mean: of each channel over the training part, for pixels in 0..1.
        std: standard deviation of each channel over the training part, for pixels in 0..1.
        read: verifies and decodes the files; raises a DataError if a file is not as it must be.
        files: names of the files; empty if an installed package contains the data set.
        subfolders: subfolders of a data folder in which the files may lie, in the order of search.
        known_folders: data folders that are searched after the user's own.
        fetches: ways to get the files if they are in none of the folders, in order.
        torchvision_name: name of the class in ``torchvision.datasets``.
        url: address from which torchvision downloads; if it answers, a download can work.
        debian_package: Debian's package of the data set; it unpacks to the first known folder.
    """

    name: str
    channels: int
    image_size: int
    train_counts: tuple[int, ...]
    num_test: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    read: Callable[[DataSetSpec, Files], Arrays]
    files: tuple[str, ...] = ()
    subfolders: tuple[str, ...] = (".",)
    known_folders: tuple[Path, ...] = ()
    fetches: tuple[Fetch, ...] = ()
    torchvision_name: str = ""
    url: str = ""
    debian_package: str = ""

    @property
    def num_classes(self) -> int:
        """Labels run from 0 to one less than this."""
        return len(self.train_counts)

    @property
    def num_train(self) -> int:
        """Images in the training part."""
        return sum(self.train_counts)

    def shape(self, name: ArrayName) -> tuple[int, ...]:
        """Return the shape of an array: ``(n, channels, height, width)``, or ``(n,)`` of labels."""
        count = self.num_train if name.startswith("train") else self.num_test
        image = (self.channels, self.image_size, self.image_size)
        return (count, *image) if name.endswith("images") else (count,)


Fetch = Callable[[DataSetSpec, Path], None]
"""Puts a data set's files into an empty folder, or raises a DataError that says what failed."""
