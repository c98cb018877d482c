"""Folders of images are listed with what is left out, and incomplete ones are refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support.data_sets import write_image_folders

from se_search.errors import DataError
from se_search.training.image_listing import list_images, printable


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_image_folders(tmp_path, train=3, val=2)
    return tmp_path


def copy_image(root: Path, name: str | bytes) -> None:
    path = os.path.join(os.fsencode(root), os.fsencode(name))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write((root / "train" / "cat" / "0.png").read_bytes())


def test_images_are_listed_by_part_class_and_name(root: Path) -> None:
    copy_image(root, "train/dog/more/deep.JPEG")
    listing = list_images(root)
    assert listing.class_names == ("cat", "dog")
    assert [name.decode() for name in listing.names] == [
        *(f"train/{name}/{number}.png" for name in ("cat", "dog") for number in range(3)),
        "train/dog/more/deep.JPEG",
        *(f"val/{name}/{number}.png" for name in ("cat", "dog") for number in range(2)),
    ]
    assert listing.labels.tolist() == [0, 0, 0, 1, 1, 1, 1, 0, 0, 1, 1]
    assert listing.counts("train") == (3, 4)
    assert listing.counts("test") == ()
    assert listing.left_out == {}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("train/cat/._0.png", "hidden files"),
        ("train/cat/.DS_Store", "hidden files"),
        ("val/dog/Thumbs.db", "hidden files"),
        ("train/cat/0.png~", "hidden files"),
        ("train/cat/.ipynb_checkpoints/0.png", "hidden folders"),
        ("train/.ipynb_checkpoints/0.png", "hidden folders"),
        ("train/__MACOSX/0.png", "hidden folders"),
        (".cache/0.png", "hidden folders"),
        ("val/dog/@eaDir/0.png", "hidden folders"),
        ("train/cat/notes.txt", "files that are no images by their suffix"),
        ("train/cat/0.heic", "files that are no images by their suffix"),
        ("train/0.png", "images outside of a class"),
        ("labels/0.png", "folders beside the parts"),
    ],
)
def test_what_is_no_image_of_a_class_is_left_out_and_noted(root: Path, name: str, why: str) -> None:
    before = list_images(root).names
    copy_image(root, name)
    listing = list_images(root)
    assert listing.names == before
    ((reason, (path,)),) = listing.left_out.items()
    assert reason == why
    assert name.startswith(path.decode())


def test_a_link_to_a_folder_around_it_is_left_out(root: Path) -> None:
    for name, target in (("up", ".."), ("self", "."), ("root", "../..")):
        (root / "train" / "cat" / name).symlink_to(target)
    listing = list_images(root)
    assert len(listing.names) == 10
    (paths,) = listing.left_out.values()
    assert sorted(paths) == [b"train/cat/root", b"train/cat/self", b"train/cat/up"]


def test_links_to_images_and_folders_elsewhere_are_followed(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    copy_image(root, "elsewhere/9.png")
    (root / "train" / "cat" / "linked").symlink_to(other)
    (root / "train" / "dog" / "8.png").symlink_to(other / "9.png")
    names = list_images(root).names
    assert {b"train/cat/linked/9.png", b"train/dog/8.png"} <= set(names)


def test_what_is_no_file_is_unreadable_and_never_opened(root: Path) -> None:
    os.mkfifo(root / "train" / "cat" / "pipe.png")
    (root / "train" / "cat" / "gone.png").symlink_to("nowhere.png")
    (root / "train" / "cat" / "ring.png").symlink_to("ring.png")
    assert dict(list_images(root).unreadable) == {
        b"train/cat/pipe.png": "it is no regular file",
        b"train/cat/gone.png": "No such file or directory",
        b"train/cat/ring.png": "Too many levels of symbolic links",
    }


def test_names_of_any_bytes_are_listed(root: Path) -> None:
    copy_image(root, b"train/cat/M\xfcnchen.png")
    assert b"train/cat/M\xfcnchen.png" in list_images(root).names


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"M\xfcnchen.jpg", r"M\xfcnchen.jpg"),
        ("München.jpg".encode(), "München.jpg"),
        (b"a\nb\x1b[31m.png", r"a\nb\x1b[31m.png"),
        ("M\udcfcnchen.jpg", r"M\xfcnchen.jpg"),
    ],
)
def test_a_name_is_printed_as_text_that_every_file_takes(name: str | bytes, text: str) -> None:
    assert printable(name) == text
    printable(name).encode("utf-8")


def rename(one: str, other: str) -> Callable[[Path], object]:
    return lambda root: (root / one).rename(root / other)


def empty(name: str) -> Callable[[Path], object]:
    return lambda root: [path.unlink() for path in (root / name).iterdir()]


def drop_suffixes(name: str) -> Callable[[Path], object]:
    return lambda root: [path.rename(path.with_suffix("")) for path in (root / name).iterdir()]


def remove_class(name: str) -> Callable[[Path], object]:
    def remove(root: Path) -> None:
        for part in ("train", "val"):
            empty(f"{part}/{name}")(root)
            (root / part / name).rmdir()

    return remove


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (rename("train", "Train"), r"Train: this part must be called train"),
        (rename("val", "validation"), r"validation: this part must be called val"),
        (rename("train", "pictures"), r"has no folder train: there are the folders pictures, val"),
        (rename("train/cat", "train/wolf"), r"only in train: wolf; only in val: cat"),
        (rename("val/cat", "val/Cat"), r"called cat in train and Cat in val; upper and lower"),
        (rename("val/cat", "val/dog/cat"), r"train and val must have .*; only in train: cat"),
        (empty("train/cat"), r"train/cat has no images \(.bmp"),
        (empty("val/dog"), r"val/dog has no images"),
        (
            drop_suffixes("train/cat"),
            r"has no images .* It holds \d files? of other types, such as train/cat/0$",
        ),
        (remove_class("cat"), r"has one class, dog: there is nothing to tell it from"),
    ],
)
def test_a_folder_that_is_not_as_it_must_be_is_refused_with_the_place(
    root: Path, change: Callable[[Path], object], message: str
) -> None:
    change(root)
    with pytest.raises(DataError, match=message):
        list_images(root)


def test_accents_that_are_coded_otherwise_are_named(root: Path) -> None:
    (root / "train" / "cat").rename(root / "train" / "\u00e9t\u00e9")
    (root / "val" / "cat").rename(root / "val" / "e\u0301te\u0301")
    with pytest.raises(DataError, match=r"coding of accents must be equal"):
        list_images(root)


def test_class_folders_without_a_part_around_them_are_refused(root: Path) -> None:
    with pytest.raises(DataError, match=r"train has no folder train: .* cat, dog; .*PATH/train/CL"):
        list_images(root / "train")


def test_a_folder_that_is_not_there_or_has_no_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere does not exist; a folder of images is PATH"):
        list_images(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file is no folder"):
        list_images(tmp_path / "file")
    (tmp_path / "train").mkdir()
    with pytest.raises(DataError, match=r"train has no folders in it, expected one for each class"):
        list_images(tmp_path)
