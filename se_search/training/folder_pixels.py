"""Images of a folder that were decoded and resized once, for all trainings that follow."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import v2

from se_search.errors import DataError
from se_search.training.array_cache import CacheError
from se_search.training.image_listing import printable
from se_search.training.image_reading import read_image
from se_search.training.image_scan import PartFiles, digest_content

PIXEL_BYTES = 500_000_000  # of one part; the images of a larger one are decoded in every epoch
_FORMAT = 1  # part of a file's name: raise it when equal images give other pixels


def decode_part(
    listing: Path, part: str, files: PartFiles, folder: Path, size: int, channels: int, limit: int
) -> Path | None:
    """Return a file of a part's resized pixels; it is made if the cache has none.

    Args:
        listing: the list of the folder's images; its name and its folder are the file's.
        part: of the folder, as ``train``.
        files: the images of the part.
        folder: that the files' names begin at.
        size: height and width of the images, in pixels.
        channels: see ``read_image``.
        limit: most bytes that a file may have.

    Returns:
        a ``.npy`` file of uint8 ``(n, channels, size, size)``; None: it would have more bytes, or
        the folder was so large that its files were not read when it was scanned.

    Raises:
        DataError: an image has changed since the scan, or can't be read.
        CacheError: the cache can't be written.
    """
    shape = (len(files.names), channels, size, size)
    if int(np.prod(shape)) > limit or not files.digests.any(axis=1).all():
        return None
    # Another version of Pillow may decode and resize otherwise.
    name = f"{listing.stem}-{part}-{size}-{channels}-{_FORMAT}-{version('pillow')}.npy"
    file = listing.with_name(name)
    if file.is_file():
        return file
    try:
        with FileLock(listing.with_name(f"{name}.lock")):
            if not file.is_file():  # another training has made it meanwhile
                _write(
                    file, shape, (_read(files, i, folder, channels, size) for i in range(shape[0]))
                )
    except OSError as cause:
        raise CacheError(listing.parent, cause, int(np.prod(shape))) from cause
    return file


def _write(file: Path, shape: tuple[int, ...], images: Iterable[NDArray[np.uint8]]) -> None:
    """Write a file whole or not at all; a memory map would end the process on a full disk."""
    unfinished = file.with_name(f"{file.name}.unfinished")
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    with unfinished.open("wb") as opened:
        np.lib.format.write_array_header_1_0(opened, header)
        for image in images:
            opened.write(image.tobytes())
        opened.flush()
        os.fsync(opened.fileno())
    os.replace(unfinished, file)


def _read(
    files: PartFiles, index: int, folder: Path, channels: int, size: int
) -> NDArray[np.uint8]:
    path = os.path.join(folder, os.fsdecode(files.names[index]))
    image = v2.functional.resize(read_image(path, channels), [size, size])
    with open(path, "rb") as opened:
        if digest_content(opened.read()) != files.digests[index].tobytes():
            raise DataError(
                f"{printable(path)} has changed since the folder was scanned; the same command "
                "scans it again"
            )
    pixels: NDArray[np.uint8] = v2.functional.pil_to_tensor(image).numpy()
    return pixels


class PixelImages(Dataset[Any]):
    """Chosen images of a file that ``decode_part`` has made; a batch is read at once.

    A key is an image's place, or its place and the seed of its augmentation.
    """

    def __init__(
        self,
        file: Path,
        labels: NDArray[np.int64],
        chosen: NDArray[np.int64],
        augment: Callable[[Tensor], Tensor] | None,
        finish: Callable[[Tensor], Tensor],
    ) -> None:
        self._file = file
        self._labels = torch.from_numpy(labels[chosen])
        self._chosen = chosen
        self._augment = augment
        self._finish = finish
        self._pixels: NDArray[np.uint8] | None = None  # opened by the process that reads

    def __len__(self) -> int:
        return len(self._chosen)

    def __getitem__(self, key: int) -> tuple[Tensor, Tensor]:
        images, labels = self.__getitems__([key])
        return images[0], labels[0]

    def __getitems__(self, keys: Sequence[Any]) -> tuple[Tensor, Tensor]:
        """Return images ``(n, channels, height, width)`` and labels ``(n,)`` of a batch."""
        if self._pixels is None:
            self._pixels = np.load(self._file, mmap_mode="r")
        assert self._pixels is not None
        is_seeded = isinstance(keys[0], tuple)
        places = [key[0] for key in keys] if is_seeded else list(keys)
        images = torch.from_numpy(np.asarray(self._pixels[self._chosen[places]]))
        if is_seeded and self._augment is not None:
            with torch.random.fork_rng(devices=[]):
                for row, (_, seed) in enumerate(keys):
                    torch.default_generator.manual_seed(seed)
                    images[row] = self._augment(images[row])
        return self._finish(images), self._labels[places]
