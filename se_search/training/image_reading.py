"""Reads an image file as 8-bit pixels, upright, with the channels that a network takes.

The range of 16-bit integers (0 to 65,535) is mapped to 0 to 255, and so is the range 0 to 1 of
floats. Of a file with several frames the first one is taken.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from se_search.errors import DataError
from se_search.training.image_listing import printable
from se_search.training.peculiarity import Peculiarity

CHANNEL_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")
_BIT_DEPTH_FORMATS = ("PNG", "PPM")  # their mode I holds 16-bit integers
_EIGHT_BITS = (
    *("1", "L", "P", "RGB", "RGBX", "RGBA", "RGBa"),
    *("LA", "La", "PA", "CMYK", "YCbCr", "HSV"),
)


class UnreadableImageError(ValueError):
    """A file that is no whole image, or one whose pixels have no known range."""


def read_image(path: Path | str | bytes, channels: int) -> Image.Image:
    """Return an image, upright, with 8 bits a channel: grey (1), RGB (3) or RGBA (4).

    Raises:
        DataError: the file can't be read as an image.
    """
    try:
        # A file, not its name: Pillow 13 maps a named TIFF file with the sides of the turned image.
        with open(path, "rb") as file, Image.open(file) as image:
            return _to_channels(image, channels)
    except UnreadableImageError as cause:
        raise DataError(f"{printable(path)} can't be used: {cause}") from cause
    except Exception as cause:  # Pillow can raise nearly anything on a broken file
        raise DataError(
            f"{printable(path)} can't be read as an image: {describe(cause)}"
        ) from cause


def inspect_image(source: bytes | str, *, decode: bool) -> tuple[int, Peculiarity]:
    """Return the pixels of an image's shorter side, and its peculiarities.

    Args:
        source: a file's name, as the system has it, or its content.
        decode: whether all pixels are read; floats always are, for their range is to be known.

    Raises:
        UnreadableImageError: the file can't be read as an image.
    """
    try:
        with (
            io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb") as file,
            Image.open(file) as image,
        ):
            peculiarity = _find_peculiarity(image)
            side = min(image.size)
            if decode or image.mode == "F":
                image.draft("L", (1, 1))  # a JPEG file is read to its end, at an eighth of the size
                _to_eight_bits(image)
            else:
                _refuse_unknown_range(image)
            return side, peculiarity
    except UnreadableImageError:
        raise
    except Exception as cause:  # Pillow can raise nearly anything on a broken file
        raise UnreadableImageError(describe(cause)) from cause


def describe(cause: BaseException) -> str:
    """Return an error's text in one printable line, without the object that Pillow was given."""
    if isinstance(cause, UnidentifiedImageError):
        return "no image of a known type"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return printable(str(cause) or type(cause).__name__)


def _to_channels(image: Image.Image, channels: int) -> Image.Image:
    pixels = ImageOps.exif_transpose(_to_eight_bits(image))
    if pixels.mode == "P" and "transparency" in pixels.info:
        pixels = pixels.convert("RGBA")
    mode = CHANNEL_MODES[channels]
    return pixels if pixels.mode == mode else pixels.convert(mode)


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Read all pixels; integers of 16 bits and floats are scaled to 8 bits."""
    _refuse_unknown_range(image)
    image.load()
    exif = image.getexif()  # without the orientation, if Pillow has turned the image by now
    if image.mode in _EIGHT_BITS:
        return image
    values = np.asarray(image).astype(np.float64)
    if image.mode == "F":
        low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
        if not (low >= 0 and high <= 1):  # also if one is NaN
            raise UnreadableImageError(
                f"its floats run from {low:g} to {high:g}, and only floats from 0 to 1 are read"
            )
        scaled = values * 255
    else:
        scaled = values / 257  # 65,535 is 255 times 257
    grey = Image.fromarray(np.rint(scaled).astype(np.uint8))
    grey.getexif().update(exif)
    return grey


def _refuse_unknown_range(image: Image.Image) -> None:
    mode = image.mode
    is_known = mode in _EIGHT_BITS or mode in _SIXTEEN_BITS or mode == "F"
    if is_known or (mode == "I" and image.format in _BIT_DEPTH_FORMATS):
        return
    what = "integers of 32 bits" if mode == "I" else f"pixels of the type {mode}"
    raise UnreadableImageError(
        f"it holds {what}, whose range is not known; save it with 8 or 16 bits a channel"
    )


def _find_peculiarity(image: Image.Image) -> Peculiarity:
    found = Peculiarity.NONE
    if image.mode in _SIXTEEN_BITS or image.mode == "I":
        found |= Peculiarity.SIXTEEN_BITS
    if image.mode == "F":
        found |= Peculiarity.FLOATS
    if image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        found |= Peculiarity.ALPHA
    # A camera's MPO file holds a photo and its previews.
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        found |= Peculiarity.FRAMES
    return found
