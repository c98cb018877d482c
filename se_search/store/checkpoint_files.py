"""Keeps the last states of a training in a folder of its own, each with a checksum."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from se_search.store.files import write_bytes

NUM_KEPT = 2
DIGEST_LENGTH = 64  # hexadecimal digits of SHA-256
SUFFIX = ".state"


class CheckpointFiles:
    """The last two states of one training.

    A file begins with the SHA-256 of the rest, in hexadecimal digits and a line feed. It is written
    whole or not at all; one that was damaged afterwards is passed over.

    Args:
        folder: folder of this training alone; made with the first state, and gone with the last.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, step: int, state: bytes) -> None:
        """Keep the state after a number of steps, and remove all but the newest two.

        Raises:
            UnwritableError: the file can't be written; the older ones are still there.
        """
        digest = hashlib.sha256(state).hexdigest()
        write_bytes(self.folder / f"{step:012d}{SUFFIX}", f"{digest}\n".encode() + state)
        for path in self._newest_first()[NUM_KEPT:]:
            with suppress(OSError):
                path.unlink()

    def read(self) -> Iterator[bytes]:
        """Yield the states that are whole, the newest first."""
        for path in self._newest_first():
            with suppress(OSError):
                content = path.read_bytes()
                digest, state = content[:DIGEST_LENGTH], content[DIGEST_LENGTH + 1 :]
                if hashlib.sha256(state).hexdigest().encode() == digest:
                    yield state

    def remove(self) -> None:
        """Remove the states and their folder, and the folder around it if no other is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with suppress(OSError):
            self.folder.parent.rmdir()

    def _newest_first(self) -> list[Path]:
        return sorted(self.folder.glob(f"*{SUFFIX}"), reverse=True)
