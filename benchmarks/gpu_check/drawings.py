"""Draws folders of JPEG images, whose files are as large as photographs of their size."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

NUM_PICTURES = 100  # that differ in their pixels; other files differ by a comment
NUM_CLASSES = 10
COARSE = 12  # pixels of a patch of about one colour
NOISE = 12.0  # standard deviation of each pixel, of 255
QUALITY = 90
START = b"\xff\xd8"  # of a JPEG file
COMMENT = b"\xff\xfe"


def draw_folder(folder: Path, count: int, size: tuple[int, int]) -> Path:
    """Draw images into ``folder/train/CLASS`` and return the folder.

    Args:
        folder: takes them.
        count: number of files.
        size: width and height in pixels.
    """
    pictures = [_draw(number, size) for number in range(min(count, NUM_PICTURES))]
    for number in range(NUM_CLASSES):
        (folder / "train" / f"class{number}").mkdir(parents=True)
    for number in range(count):
        # No two files may be equal: a scan would say so.
        text = f"image {number}".encode()
        picture = pictures[number % len(pictures)]
        comment = COMMENT + (len(text) + 2).to_bytes(2, "big") + text
        place = folder / "train" / f"class{number % NUM_CLASSES}" / f"{number:05d}.jpg"
        place.write_bytes(START + comment + picture[len(START) :])
    return folder


def _draw(number: int, size: tuple[int, int]) -> bytes:
    generator = np.random.default_rng(number)
    width, height = size
    shape = (height // COARSE + 2, width // COARSE + 2, 3)
    coarse = generator.integers(0, 256, shape, dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))
    noise = generator.normal(0, NOISE, smooth.shape)
    pixels = np.clip(smooth + noise, 0, 255).astype(np.uint8)
    opened = io.BytesIO()
    Image.fromarray(pixels).save(opened, "JPEG", quality=QUALITY)
    return opened.getvalue()
