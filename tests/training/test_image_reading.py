"""Images of every type become 8-bit pixels by their type, or are refused by name."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from se_search.errors import DataError
from se_search.training.image_reading import (
    UnreadableImageError,
    inspect_image,
    read_image,
)
from se_search.training.peculiarity import Peculiarity

RAMP = np.linspace(0, 65_535, 64 * 64).reshape(64, 64).astype(np.uint16)


def pixels(path: Path, channels: int = 1) -> NDArray[np.uint8]:
    return np.asarray(read_image(path, channels))


@pytest.mark.parametrize("name", ["ramp.png", "ramp.tif", "ramp.pgm"])
def test_integers_of_16_bits_are_scaled_by_their_type(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith("pgm"):
        path.write_bytes(b"P5 64 64 65535\n" + RAMP.astype(">u2").tobytes())
    else:
        Image.fromarray(RAMP).save(path)
    expected = np.rint(RAMP / 65_535 * 255)
    np.testing.assert_array_equal(pixels(path), expected)
    np.testing.assert_array_equal(pixels(path, 3), np.stack([expected] * 3, axis=2))
    assert inspect_image(str(path), decode=False) == (64, Peculiarity.SIXTEEN_BITS)


def test_big_endian_integers_are_scaled_alike(tmp_path: Path) -> None:
    path = tmp_path / "ramp.tif"
    Image.frombytes("I;16B", (64, 64), RAMP.astype(">u2").tobytes()).save(path)
    np.testing.assert_array_equal(pixels(path), np.rint(RAMP / 65_535 * 255))


def test_floats_from_0_to_1_are_scaled(tmp_path: Path) -> None:
    values = np.linspace(0, 1, 24, dtype=np.float32).reshape(4, 6)
    Image.fromarray(values).save(tmp_path / "floats.tif")
    np.testing.assert_array_equal(pixels(tmp_path / "floats.tif"), np.rint(values * 255))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([[0, 200.0]], np.float32), r"x.tif can't be used: its floats run from 0 to 200"),
        (np.array([[-0.5, 1]], np.float32), r"its floats run from -0.5 to 1"),
        (np.array([[0, np.nan]], np.float32), r"its floats run from nan to nan"),
        (np.array([[0, 70_000]], np.int32), r"x.tif can't be used: it holds integers of 32 bits"),
    ],
)
def test_values_whose_range_is_not_known_are_refused_by_name(
    tmp_path: Path, values: NDArray[np.generic], message: str
) -> None:
    Image.fromarray(values).save(tmp_path / "x.tif")
    with pytest.raises(DataError, match=message):
        read_image(tmp_path / "x.tif", 3)
    for decode in (False, True):  # also if only headers are read
        with pytest.raises(UnreadableImageError):
            inspect_image(str(tmp_path / "x.tif"), decode=decode)


def test_lab_colours_are_refused_by_name(tmp_path: Path) -> None:
    Image.new("LAB", (4, 4)).save(tmp_path / "x.tif")
    with pytest.raises(DataError, match=r"x.tif can't be used: it holds pixels of the type LAB"):
        read_image(tmp_path / "x.tif", 3)


@pytest.mark.parametrize(
    ("mode", "colour", "suffix", "rgb"),
    [
        ("1", 1, "png", (255, 255, 255)),
        ("L", 77, "png", (77, 77, 77)),
        ("LA", (77, 10), "png", (77, 77, 77)),
        ("RGB", (200, 100, 50), "png", (200, 100, 50)),
        ("RGBA", (200, 100, 50, 128), "png", (200, 100, 50)),
        ("P", (200, 100, 50), "gif", (200, 100, 50)),
        ("P", (200, 100, 50), "png", (200, 100, 50)),
        ("CMYK", (0, 255, 255, 0), "tif", (255, 0, 0)),
    ],
)
def test_every_usual_type_becomes_grey_rgb_and_rgba(
    tmp_path: Path, mode: str, colour: object, suffix: str, rgb: tuple[int, int, int]
) -> None:
    path = tmp_path / f"x.{suffix}"
    if mode == "P":
        Image.new("RGB", (3, 2), colour).convert("P", palette=Image.Palette.ADAPTIVE).save(path)  # type: ignore[arg-type]
    else:
        Image.new(mode, (3, 2), colour).save(path)  # type: ignore[arg-type]
    assert pixels(path, 3)[0, 0].tolist() == list(rgb)
    assert pixels(path, 4).shape == (2, 3, 4)
    grey = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]
    assert abs(int(pixels(path)[0, 0]) - grey) <= 1


def test_a_palette_with_transparency_is_read_without_a_warning(tmp_path: Path) -> None:
    image = Image.new("RGB", (3, 2), (200, 100, 50)).convert("P", palette=Image.Palette.ADAPTIVE)
    image.save(tmp_path / "x.png", transparency=b"\x80")
    assert pixels(tmp_path / "x.png", 3)[0, 0].tolist() == [200, 100, 50]
    assert pixels(tmp_path / "x.png", 4)[0, 0].tolist() == [200, 100, 50, 128]
    assert inspect_image(str(tmp_path / "x.png"), decode=True)[1] == Peculiarity.ALPHA


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_the_orientation_of_exif_data_is_honoured(tmp_path: Path, suffix: str) -> None:
    upright = np.zeros((16, 32), np.uint8)
    upright[:8] = 255  # the upper half is white
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter: the viewer has to turn it clockwise
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(np.rot90(upright)).convert("RGB").save(path, exif=exif)
    found = pixels(path)
    assert found.shape == (16, 32)
    assert found[:6].min() > 200
    assert found[10:].max() < 50


def test_the_orientation_of_integers_of_16_bits_is_honoured(tmp_path: Path) -> None:
    for name in ("x.tif", "x.png"):
        Image.fromarray(RAMP[:16, :32]).save(tmp_path / name, exif=turned())
        expected = np.rot90(np.rint(RAMP[:16, :32] / 65_535 * 255), -1)
        np.testing.assert_array_equal(pixels(tmp_path / name), expected)


def test_the_orientation_of_a_plain_grey_tiff_is_honoured(tmp_path: Path) -> None:
    grey = (np.arange(512) % 251).astype(np.uint8).reshape(16, 32)
    Image.fromarray(grey).save(tmp_path / "x.tif", exif=turned())
    np.testing.assert_array_equal(pixels(tmp_path / "x.tif"), np.rot90(grey, -1))


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


@pytest.mark.parametrize("suffix", ["gif", "tif", "webp", "png"])
def test_of_several_frames_the_first_is_read(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (4, 4), (level, level, level)) for level in (250, 10)]
    path = tmp_path / f"x.{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert abs(int(pixels(path)[0, 0]) - 250) <= 2
    assert inspect_image(str(path), decode=False)[1] & Peculiarity.FRAMES


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "webp", "tif", "gif"])
def test_a_file_that_is_cut_off_is_unreadable(suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    content = io.BytesIO()
    Image.fromarray(noise).save(content, {"jpg": "jpeg", "tif": "tiff"}.get(suffix, suffix))
    whole = content.getvalue()
    assert inspect_image(whole, decode=True)[0] == 64
    for length in (0, 10, len(whole) // 2, int(0.9 * len(whole))):
        with pytest.raises(UnreadableImageError):
            inspect_image(whole[:length], decode=True)


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\xff\xd8\xff", b"text", bytes(999)])
def test_a_file_that_is_no_image_is_named_with_its_name_escaped(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "M\udcfcnchen.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"M\\xfcnchen.png can't be read as an image: ") as caught:
        read_image(path, 3)
    str(caught.value).encode("utf-8")
