"""Lists the images of a folder: its parts, its classes, and what is left out of them."""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from se_search.errors import DataError
from se_search.terminal import one_line

PARTS = ("train", "val", "test")
LAYOUT = "PATH/train/CLASS/IMAGE, and a part val or test for the test images"
SUFFIXES = frozenset(
    (
        *(".jpg", ".jpeg", ".jfif", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff"),
        *(".webp", ".gif"),
    )
)
# What file managers, archives and editors leave behind; names that begin with a dot are hidden too.
HIDDEN_NAMES = frozenset(
    (
        *("thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin"),
        *("lost+found", "system volume information", "__pycache__"),
    )
)
OTHER_WORDS = {  # other people's words for the parts
    **dict.fromkeys(("training", "trainset", "train_set"), "train"),
    **dict.fromkeys(("valid", "validation", "valset", "val_set", "dev", "eval"), "val"),
    **dict.fromkeys(("testing", "testset", "test_set"), "test"),
}
HIDDEN_FILES, HIDDEN_FOLDERS = "hidden files", "hidden folders"
OTHER_FILES, OUTSIDE = "files that are no images by their suffix", "images outside of a class"
LOOPS = "links to a folder that they lie in"
UNUSED = "folders beside the parts"


@dataclass(frozen=True, slots=True)
class Listing:
    """The images of a folder in the order of their names, and what was left out.

    Attributes:
        root: the folder.
        class_names: names of the classes, in the order of the labels.
        names: path of each image from ``root``, as the file system has it.
        parts: place of each image's part in ``PARTS``, ``(n,)``.
        labels: class of each image, ``(n,)``.
        states: size, modification time and change time (ns) and inode of each file, ``(n, 4)``.
        left_out: paths from ``root`` of what is not used, by the reason.
        unreadable: why a file can't be read, by its path from ``root``.
    """

    root: Path
    class_names: tuple[str, ...]
    names: list[bytes]
    parts: NDArray[np.int8]
    labels: NDArray[np.int64]
    states: NDArray[np.int64]
    left_out: Mapping[str, list[bytes]]
    unreadable: Mapping[bytes, str]

    def counts(self, part: str) -> tuple[int, ...]:
        """Return how many images of each class a part has; empty if the part is not there."""
        labels = self.labels[self.parts == PARTS.index(part)]
        if not labels.size:
            return ()
        return tuple(np.bincount(labels, minlength=len(self.class_names)).tolist())


def list_images(root: Path) -> Listing:
    """List the images of a folder; nothing is opened.

    Links are followed. Hidden files and folders, files of other types and links that lead back to a
    folder around them are left out.

    Raises:
        DataError: the folder or its part ``train`` is not there or has no classes, there is only
            one class, a class has no images, the parts have other classes, or a folder can't be
            listed.
    """
    walk = _Walk(root)
    parts = _find_parts(root, walk)
    classes = {part: walk.list_classes(part) for part in parts}
    _compare_classes(root, classes)
    class_names = tuple(sorted(classes["train"]))
    if len(class_names) == 1:
        raise DataError(
            f"{printable(root)} has one class, {printable(class_names[0])}: there is nothing to "
            "tell it from"
        )
    names: list[bytes] = []
    part_codes: list[int] = []
    labels: list[int] = []
    states: list[tuple[int, ...]] = []
    for part in parts:
        for label, name in enumerate(class_names):
            found = sorted(walk.list_class(part, name))
            if not found:
                raise DataError(_describe_no_images(root / part / name, walk))
            names += (path for path, _ in found)
            states += (state for _, state in found)
            part_codes += [PARTS.index(part)] * len(found)
            labels += [label] * len(found)
    return Listing(
        root=root,
        class_names=class_names,
        names=names,
        parts=np.array(part_codes, np.int8),
        labels=np.array(labels, np.int64),
        states=np.array(states, np.int64).reshape(-1, 4),
        left_out=walk.left_out,
        unreadable=walk.unreadable,
    )


def _describe_no_images(folder: Path, walk: _Walk) -> str:
    text = (
        f"{printable(folder)} has no images ({', '.join(sorted(SUFFIXES))}); add some, or remove "
        "the folder"
    )
    start = os.fsencode(folder.relative_to(walk.root)) + b"/"
    others = [path for path in walk.left_out.get(OTHER_FILES, []) if path.startswith(start)]
    if others:
        files = "file" if len(others) == 1 else "files"
        text += f". It holds {len(others):,} {files} of other types, such as {printable(others[0])}"
    return text


def printable(name: str | bytes | Path) -> str:
    """Return a file's name in one line of text that any terminal and any file takes.

    Bytes that are not UTF-8 and control characters are escaped, as in ``\\xfc``.
    """
    return one_line(os.fsdecode(name))


def is_printable(name: bytes) -> bool:
    """Tell whether ``printable`` leaves a name as it is."""
    try:
        return name.decode("utf-8").isprintable() or printable(name).encode() == name
    except UnicodeDecodeError:
        return False


def is_hidden(name: str) -> bool:
    """Tell whether a file or folder is hidden, or one that a system leaves behind."""
    return name.startswith(".") or name.endswith("~") or name.lower() in HIDDEN_NAMES


@dataclass
class _Walk:
    """Goes through a folder and notes what is left out."""

    root: Path
    left_out: dict[str, list[bytes]] = field(default_factory=dict)
    unreadable: dict[bytes, str] = field(default_factory=dict)

    def leave_out(self, why: str, path: str) -> None:
        self.left_out.setdefault(why, []).append(self._relative(path))

    def list_classes(self, part: str) -> list[str]:
        """Return the names of a part's class folders."""
        classes = []
        for entry in _list_folder(self.root / part):
            if not _is_folder(entry):
                is_image = not is_hidden(entry.name) and _suffix(entry.name) in SUFFIXES
                self.leave_out(OUTSIDE if is_image else self._file_reason(entry.name), entry.path)
            elif is_hidden(entry.name):
                self.leave_out(HIDDEN_FOLDERS, entry.path)
            else:
                classes.append(entry.name)
        if not classes:
            raise DataError(
                f"{printable(self.root / part)} has no folders in it, expected one for each class: "
                f"{LAYOUT}"
            )
        return classes

    def list_class(self, part: str, name: str) -> Iterator[tuple[bytes, tuple[int, ...]]]:
        """Go through a class's images: path from the root, and state."""
        folder = self.root / part / name
        around = [_identify(str(each)) for each in (self.root, self.root / part, folder)]
        yield from self._go_through(str(folder), around)

    def _go_through(
        self, folder: str, around: list[tuple[int, int]]
    ) -> Iterator[tuple[bytes, tuple[int, ...]]]:
        for entry in _list_folder(folder):
            if _is_folder(entry):
                own = _identify(entry.path)
                if is_hidden(entry.name):
                    self.leave_out(HIDDEN_FOLDERS, entry.path)
                elif own in around:
                    self.leave_out(LOOPS, entry.path)
                else:
                    yield from self._go_through(entry.path, [*around, own])
            elif is_hidden(entry.name) or _suffix(entry.name) not in SUFFIXES:
                self.leave_out(self._file_reason(entry.name), entry.path)
            else:
                name = self._relative(entry.path)
                yield name, self._look_at(entry, name)

    def _look_at(self, entry: os.DirEntry[str], name: bytes) -> tuple[int, ...]:
        try:
            status = entry.stat()
        except OSError as cause:  # a link that leads nowhere, or to itself
            self.unreadable[name] = cause.strerror or str(cause)
            return (0, 0, 0, 0)
        if not stat.S_ISREG(status.st_mode):
            self.unreadable[name] = "it is no regular file"
        return (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)

    def _relative(self, path: str) -> bytes:
        return os.fsencode(path)[len(os.path.join(os.fsencode(self.root), b"")) :]

    @staticmethod
    def _file_reason(name: str) -> str:
        return HIDDEN_FILES if is_hidden(name) else OTHER_FILES


def _find_parts(root: Path, walk: _Walk) -> list[str]:
    """Return the parts that are there; notes other folders."""
    if not root.is_dir():
        what = "is no folder" if root.exists() else "does not exist"
        raise DataError(f"{printable(root)} {what}; a folder of images is {LAYOUT}")
    folders = [entry for entry in _list_folder(root) if _is_folder(entry)]
    names = [entry.name for entry in folders if not is_hidden(entry.name)]
    for name in names:
        meant = OTHER_WORDS.get(name.lower(), name.lower())
        if name not in PARTS and meant in PARTS and meant not in names:
            raise DataError(
                f"{printable(root / name)}: this part must be called {meant}; "
                f"a folder of images is {LAYOUT}"
            )
    if "train" not in names:
        found = ", ".join(map(printable, names[:5])) + (", ..." if len(names) > 5 else "")
        there = f"there are the folders {found}" if names else "there are no folders"
        raise DataError(
            f"{printable(root)} has no folder train: {there}; a folder of images is {LAYOUT}"
        )
    for entry in folders:
        if is_hidden(entry.name):
            walk.leave_out(HIDDEN_FOLDERS, entry.path)
        elif entry.name not in PARTS:
            walk.leave_out(UNUSED, entry.path)
    return [part for part in PARTS if part in names]


def _compare_classes(root: Path, classes: Mapping[str, list[str]]) -> None:
    """Raise a DataError if a part has other classes than ``train``."""
    train = set(classes["train"])
    for part in [part for part in classes if part != "train"]:
        own = set(classes[part])
        here, there = sorted(train - own), sorted(own - train)
        folded = {_fold(name): name for name in there}
        for name in here:
            if _fold(name) in folded:
                raise DataError(
                    f"{printable(root)}: a class is called {printable(name)} in train and "
                    f"{printable(folded[_fold(name)])} in {part}; upper and lower case and the "
                    "coding of accents must be equal"
                )
        texts = [
            f"only in {where}: {', '.join(map(printable, names[:5]))}"
            + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            for where, names in (("train", here), (part, there))
            if names
        ]
        if texts:
            raise DataError(
                f"{printable(root)}: train and {part} must have the same classes; "
                f"{'; '.join(texts)}"
            )


def _fold(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _list_folder(folder: str | Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as cause:
        raise DataError(
            f"{printable(folder)} can't be listed: {cause.strerror or cause}"
        ) from cause


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _identify(folder: str) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino
