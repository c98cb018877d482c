"""Carries the files that a training leaves from its node to where a local one would write them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from se_search.errors import RunError
from se_search.execution.posts import Kept
from se_search.store.files import write_bytes

UNFINISHED = "."  # a file's name begins so while it is written


class Outbox:
    """Notices which files of some folders are new, have changed, or are gone.

    Args:
        folders: by kind.
    """

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._folders = dict(folders)
        self._known = {kind: _list(folder) for kind, folder in self._folders.items()}

    def has_new(self, kind: str) -> bool:
        """Tell whether a folder has a file that has not been sent."""
        return kind in self._folders and bool(_list(self._folders[kind]).keys() - self._known[kind])

    def collect(self) -> Iterator[Kept]:
        """Yield what has changed since the last call: new files first, then those that are gone."""
        gone = []
        for kind, folder in self._folders.items():
            now, known = _list(folder), self._known[kind]
            for name, state in now.items():
                if known.get(name) == state:
                    continue
                with suppress(FileNotFoundError):  # a newer state has taken its place
                    content = (folder / name).read_bytes()
                    known[name] = state
                    yield Kept(kind, name, content)
            for name in known.keys() - now.keys():
                del known[name]
                gone.append(Kept(kind, name, None))
        yield from gone


def read_kept(folders: Mapping[str, Path], kinds: Collection[str]) -> list[Kept]:
    """Return all files of the folders of some kinds."""
    found = []
    for kind in kinds:
        folder = folders.get(kind)
        for name in _list(folder) if folder is not None else ():
            assert folder is not None
            with suppress(FileNotFoundError):
                found.append(Kept(kind, name, (folder / name).read_bytes()))
    return found


def write_kept(folders: Mapping[str, Path], files: Iterable[Kept]) -> None:
    """Write files into the folders of their kinds, or remove those that are gone.

    Raises:
        RunError: a name leads out of its folder, or no folder is of a kind.
        UnwritableError: a file can't be written.
    """
    for kept in files:
        folder = folders.get(kept.kind)
        path = Path(kept.name)
        if folder is None or path.is_absolute() or ".." in path.parts:
            raise RunError(f"a node sent the file {kept.name!r} of kind {kept.kind!r}: refused")
        if kept.content is not None:
            write_bytes(folder / path, kept.content)
            continue
        with suppress(OSError):
            (folder / path).unlink()
        for empty in (folder, folder.parent):  # of a training that has ended
            with suppress(OSError):
                empty.rmdir()


def _list(folder: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of each finished file, by its path in the folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        with suppress(OSError):
            status = path.stat()
            if path.is_file() and not path.name.startswith(UNFINISHED):
                name = path.relative_to(folder).as_posix()
                found[name] = (status.st_size, status.st_mtime_ns)
    return found
