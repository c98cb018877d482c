"""A scan names what can't be read, keeps what it knows, and fingerprints the images' content."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.poison import Poison

from se_search.errors import DataError
from se_search.training import image_scan
from se_search.training.image_notes import list_notes
from se_search.training.image_scan import (
    FolderScan,
    Watch,
    describe_changes,
    read_part,
    scan_folder,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of three images a class that train and two that test, no two of them alike."""
    root = tmp_path / "images"
    rng = np.random.default_rng(0)
    for part, count in (("train", 3), ("val", 2)):
        for name in "ab":
            (root / part / name).mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 256, (20, 30, 3), np.uint8)
                Image.fromarray(pixels).save(root / part / name / f"{number}.png")
    return root


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def reads(root: Path, cache: Path, **limits: int) -> int:
    """Return how many files a scan opens."""
    totals = [0]
    scan_folder(root, cache, Watch(progress=lambda _, total: totals.append(total)), **limits)
    return totals[-1]


def notes(root: Path, cache: Path) -> str:
    return "\n".join(list_notes(scan_folder(root, cache)))


def swap_classes(root: Path) -> None:
    for part in ("train", "val"):
        (root / part / "a").rename(root / part / "c")
        (root / part / "b").rename(root / part / "a")
        (root / part / "c").rename(root / part / "b")


def overwrite_keeping_size_and_time(root: Path) -> None:
    file = root / "train" / "a" / "0.png"
    before, content = file.stat(), bytearray(file.read_bytes())
    shutil.copy(file, root / "other.png")
    with Image.open(file) as image:
        pixels = np.asarray(image).copy()
    for value in range(256):  # noise: one of these files has as many bytes
        pixels[0, 0, 0] = value
        Image.fromarray(pixels).save(root / "other.png")
        changed = (root / "other.png").read_bytes()
        if len(changed) == len(content) and changed != bytes(content):
            break
    else:
        raise AssertionError("no image of equal size was found")
    file.write_bytes(changed)
    (root / "other.png").unlink()
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    "change",
    [
        swap_classes,
        overwrite_keeping_size_and_time,
        lambda root: (root / "val" / "b" / "0.png").unlink(),
        lambda root: (root / "val" / "b" / "0.png").rename(root / "val" / "b" / "9.png"),
        lambda root: (root / "val").rename(root / "test"),
        lambda root: shutil.copy(root / "train/a/0.png", root / "train/b/9.png"),
    ],
)
def test_other_images_have_another_fingerprint(
    root: Path, cache: Path, change: Callable[[Path], object]
) -> None:
    before = scan_folder(root, cache).fingerprint
    change(root)
    assert scan_folder(root, cache).fingerprint != before


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "train" / "a" / ".DS_Store").touch(),
        lambda root: (root / "notes.txt").touch(),
        lambda root: os.utime(root / "train" / "a" / "0.png"),
    ],
)
def test_what_is_no_image_and_when_a_file_was_written_change_no_fingerprint(
    root: Path, cache: Path, change: Callable[[Path], object]
) -> None:
    before = scan_folder(root, cache).fingerprint
    change(root)
    assert scan_folder(root, cache).fingerprint == before


def test_a_copy_elsewhere_has_the_same_fingerprint(root: Path, cache: Path) -> None:
    copy = shutil.copytree(root, root.with_name("copy"))
    assert scan_folder(copy, cache).fingerprint == scan_folder(root, cache).fingerprint


def test_only_files_that_have_changed_are_read_again(root: Path, cache: Path) -> None:
    assert reads(root, cache) == 10
    assert reads(root, cache) == 0
    os.utime(root / "train" / "a" / "0.png")
    assert reads(root, cache) == 1
    (root / "train" / "a" / "1.png").unlink()
    shutil.copy(root / "train" / "a" / "0.png", root / "train" / "a" / "7.png")
    assert reads(root, cache) == 1
    assert reads(root, cache) == 0


def test_a_broken_cache_is_made_anew(root: Path, cache: Path) -> None:
    before = scan_folder(root, cache).fingerprint
    for file in cache.glob("folders/*/records.npz"):
        file.write_bytes(file.read_bytes()[:50])
    assert reads(root, cache) == 10
    assert scan_folder(root, cache).fingerprint == before


def test_a_cache_with_code_in_it_is_made_anew_and_runs_nothing(
    root: Path, cache: Path, tmp_path: Path
) -> None:
    before = scan_folder(root, cache).fingerprint
    for file in cache.glob("folders/*/*.npz"):
        poison = np.array([Poison(tmp_path / "marker")], dtype=object)
        with np.load(file) as stored:
            np.savez(file, **{name: stored[name] for name in stored} | {"names": poison})
        with pytest.raises(DataError, match="can't be read"):
            read_part(file, "train")
    assert describe_changes(cache, before, before) is None
    assert reads(root, cache) == 10
    assert scan_folder(root, cache).fingerprint == before
    assert not (tmp_path / "marker").exists()


def test_a_cache_that_cannot_be_written_is_named_with_the_way_out(root: Path, cache: Path) -> None:
    cache.write_text("a file stands here")
    with pytest.raises(DataError, match=r"cache folder .* can't be written.*SE_SEARCH_CACHE"):
        scan_folder(root, cache)


def test_images_that_cannot_be_read_are_named_once_and_counted(root: Path, cache: Path) -> None:
    for number in range(6):
        (root / "train" / "a" / f"x{number}.png").write_bytes(b"\x89PNG" + bytes(number))
    whole = (root / "train" / "a" / "0.png").read_bytes()
    with open(os.fsencode(root) + b"/train/b/M\xfcnchen.png", "wb") as file:
        file.write(whole[: len(whole) // 2])
    (root / "val" / "b" / "gone.png").symlink_to("nowhere")
    with pytest.raises(DataError) as caught:
        scan_folder(root, cache)
    lines = str(caught.value).splitlines()
    assert lines[0].endswith("images: 8 images can't be read:")
    assert lines[1] == "  train/a/x0.png: no image of a known type"
    assert lines[6:] == ["  and 3 more", "Mend these files, or move them out of the folder"]
    for number in range(6):
        (root / "train" / "a" / f"x{number}.png").unlink()
    with pytest.raises(DataError, match=r"2 images can't.*\n  train/b/M\\xfcnchen.png: .*\n  val/"):
        scan_folder(root, cache)


def test_a_file_that_was_broken_is_read_again(root: Path, cache: Path) -> None:
    file = root / "train" / "a" / "0.png"
    whole = file.read_bytes()
    file.write_bytes(whole[:99])
    for _ in range(2):
        with pytest.raises(DataError, match=r"1 image can't be read"):
            scan_folder(root, cache)
    file.write_bytes(whole)
    assert reads(root, cache) == 1


def test_a_scan_that_is_interrupted_keeps_what_it_has_read(root: Path, cache: Path) -> None:
    for number in range(200):
        Image.new("L", (4, 4), number).save(root / "train" / "a" / f"more{number}.png")

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan_folder(root, cache, Watch(progress=interrupt))
    assert reads(root, cache) == 210 - 64


# --- beyond what is read whole ------------------------------------------------------------------


def test_of_a_large_folder_names_sizes_and_drawn_files_are_fingerprinted(
    root: Path, cache: Path
) -> None:
    large = {"read_bytes": 1000, "num_drawn": 4}
    scan = scan_folder(root, cache, **large)
    assert not scan.is_read_whole
    drawn = [scan.listing.names[i] for i in np.flatnonzero(scan.records["is_read"])]
    assert len(drawn) == 4
    others = [name for name in scan.listing.names if name not in drawn]
    for name, is_noticed in ((others[0], False), (drawn[0], True)):
        before = scan_folder(root, cache, **large).fingerprint
        file = root / name.decode()
        content = bytearray(file.read_bytes())
        content[-1] ^= 1  # of the last chunk's checksum, which Pillow does not read
        file.write_bytes(content)
        assert (scan_folder(root, cache, **large).fingerprint != before) == is_noticed
    (root / others[1].decode()).rename(root / "train" / "a" / "new.png")
    assert scan_folder(root, cache, **large).fingerprint != before


def test_of_a_large_folder_the_headers_of_all_files_are_read(root: Path, cache: Path) -> None:
    (root / "train" / "a" / "x.png").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"train/a/x.png: no image of a known type"):
        scan_folder(root, cache, read_bytes=1000, num_drawn=0)


@pytest.mark.parametrize("read_bytes", [1000, 10**9])
def test_an_empty_file_is_called_empty(root: Path, cache: Path, read_bytes: int) -> None:
    (root / "train" / "a" / "x.png").touch()
    with pytest.raises(DataError, match=r"train/a/x.png: the file is empty"):
        scan_folder(root, cache, read_bytes=read_bytes, num_drawn=0)


def test_a_scan_that_reads_more_does_not_trust_one_that_read_less(root: Path, cache: Path) -> None:
    assert reads(root, cache, read_bytes=1000, num_drawn=4) == 10
    assert reads(root, cache) == 6
    assert reads(root, cache, read_bytes=1000, num_drawn=4) == 0


def test_two_gigabytes_are_read_whole() -> None:
    assert (image_scan.READ_BYTES, image_scan.NUM_DRAWN) == (2_000_000_000, 1_000)


# --- the list that trainings open ---------------------------------------------------------------


def test_a_training_finds_the_images_of_its_scan_whatever_was_scanned_later(
    root: Path, cache: Path
) -> None:
    first = scan_folder(root, cache)
    (root / "train" / "a" / "2.png").rename(root / "train" / "a" / "3.png")
    second = scan_folder(root, cache)
    assert read_part(first.file, "train").names[2] == b"train/a/2.png"
    files = read_part(second.file, "train")
    assert files.names[2] == b"train/a/3.png"
    assert files.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert read_part(second.file, "test").names == []


def test_an_emptied_cache_is_named(root: Path, cache: Path) -> None:
    file = scan_folder(root, cache).file
    shutil.rmtree(cache)
    with pytest.raises(DataError, match=r"can't be read.*a list of images in the cache"):
        read_part(file, "train")


# --- what is said -------------------------------------------------------------------------------


def test_a_clean_folder_gets_one_sentence(root: Path, cache: Path) -> None:
    assert notes(root, cache) == (
        "Images: train/ trains, and a share of it validates; val/ is used as the test part, which "
        "only confirm and reproduce read"
    )


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (("val", "test"), r"train/ trains, val/ validates, test/ is the test part"),
        (("test",), r"a share of it validates; test/ is the test part"),
        ((), r"without val/ or test/ there are no test images, which confirm and reproduce need"),
    ],
)
def test_the_use_of_each_part_is_said(
    root: Path, cache: Path, parts: tuple[str, ...], text: str
) -> None:
    (root / "val").rename(root.with_name("val"))
    for part in parts:
        shutil.copytree(root.with_name("val"), root / part)
    assert text in notes(root, cache)


@pytest.mark.parametrize(
    ("source", "target", "text"),
    [
        ("train/a/0.png", "train/b/9.png", "lie in two classes, which can't both be right: 1"),
        ("train/a/0.png", "val/a/9.png", "lie in two parts, one of which judges the other: 1"),
        ("train/a/0.png", "train/a/9.png", "lie in one class twice, where one may train and the"),
    ],
)
def test_equal_images_are_a_warning_with_an_example(
    root: Path, cache: Path, source: str, target: str, text: str
) -> None:
    shutil.copy(root / source, root / target)
    found = notes(root, cache)
    assert f"WARNING: images whose bytes {text}" in found
    assert f"({source} = {target})" in found


def test_the_example_of_equal_images_shows_what_is_wrong_with_them(root: Path, cache: Path) -> None:
    shutil.copy(root / "train/a/0.png", root / "train/a/9.png")
    shutil.copy(root / "train/a/0.png", root / "val/b/9.png")
    found = notes(root, cache)
    assert "lie in two classes, which can't both be right: 1 (train/a/0.png = val/b/9.png)" in found


def test_what_is_left_out_and_what_is_converted_is_said(root: Path, cache: Path) -> None:
    (root / "train" / "a" / "._0.png").touch()
    (root / "train" / ".ipynb_checkpoints").mkdir()
    ramp = np.arange(400, dtype=np.uint16).reshape(20, 20) * 100
    Image.fromarray(ramp).save(root / "train" / "a" / "ramp.png")
    Image.new("RGBA", (8, 8), (1, 2, 3, 4)).save(root / "train" / "b" / "glass.png")
    shutil.copy(root / "val/b/0.png", os.fsencode(root) + b"/val/b/\xfc.png")
    (root / "val/b/0.png").unlink()
    found = notes(root, cache)
    assert "hidden files: 1 (train/a/._0.png)" in found
    assert "hidden folders: 1 (train/.ipynb_checkpoints)" in found
    assert "Images of 16 bits, scaled to 8 bits (65,535 becomes 255): 1 (train/a/ramp.png)" in found
    assert "Images with transparency, which networks of 1 or 3 channels do not see: 1" in found
    assert r"written with escapes here: 1 (val/b/\xfc.png)" in found


def test_the_median_of_the_shorter_sides_is_known(root: Path, cache: Path) -> None:
    scan: FolderScan = scan_folder(root, cache)
    assert scan.median_side == 20
