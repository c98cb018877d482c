"""The room on the disk of a folder: how much there is, and a reserve for results that end late."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from se_search.store.files import explaining_write

RESERVE = 8 << 20  # bytes; SQLite's log takes up to 4 MiB before it is folded into the file
TRIAL_BYTES = 16 << 10  # that a trial or a line of a log takes at most, but for what follows
EPOCH_BYTES = 256  # that a row of a training's history takes at most
REPORT_BYTES = 2 << 20  # that tables and figures take


class Reserve:
    """Bytes of a folder's disk that nobody else can take; give them free when the disk is full.

    A training that ends on a full disk can then be stored all the same. What a process that was
    killed has left is made anew. Enter the reserve in a ``with``.

    Args:
        path: the file that takes the bytes; no other process may have it, and its folder is there.
        size: how many bytes are reserved.
    """

    def __init__(self, path: Path, size: int = RESERVE) -> None:
        self._path = path
        self._size = size

    def __enter__(self) -> Reserve:
        """Take the bytes.

        Raises:
            UnwritableError: the disk lacks room for them.
        """
        self.release()
        with explaining_write(self._path.parent, self._size):
            try:
                with self._path.open("wb") as file:
                    _fill(file.fileno(), self._size)
            except OSError:
                self.release()
                raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def refuse_lack(self, needed: int) -> None:
        """Refuse to begin what would fill the disk.

        Args:
            needed: how many bytes are going to be written, besides those that are reserved.

        Raises:
            UnwritableError: the disk lacks room for them.
        """
        folder = self._path.parent
        with explaining_write(folder, needed):
            if shutil.disk_usage(folder).free < needed:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def release(self) -> bool:
        """Give the bytes free; return whether there were any."""
        with suppress(OSError):
            self._path.unlink()
            return True
        return False


def estimate_room(num_trainings: int, epochs: int, num_images: int) -> int:
    """Return how many bytes results take at most.

    Args:
        num_trainings: how many trainings there are to be.
        epochs: of each.
        num_images: how many images each is evaluated on, of all parts.
    """
    bits = num_images // 4  # of a bit each in base64, and in whole blocks of a disk
    return REPORT_BYTES + num_trainings * (TRIAL_BYTES + EPOCH_BYTES * epochs + bits)


def describe_bytes(number: int) -> str:
    """Return a number of bytes for people, as ``2.0 GB``: of 1,000 kB each."""
    value, unit = float(number), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if unit == "bytes" or value >= 9.95 else f"{value:.1f} {unit}"


def _fill(descriptor: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):  # not on macOS
        os.posix_fallocate(descriptor, 0, size)
        return
    for _ in range(0, size, 1 << 20):
        os.write(descriptor, bytes(min(size, 1 << 20)))
