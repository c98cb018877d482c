"""Writes every file that se-search leaves: whole, or not at all.

A file is first written beside its place under a name that no other process takes, brought to the
disk, and then renamed. A reader sees the old contents or the new, and a write that fails leaves
the old file as it was and nothing else behind.
"""

from __future__ import annotations

import errno
import io
import json
import os
import re
import resource
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from se_search.errors import RunError, StorageError, UnwritableError, explain, find_exit_code
from se_search.terminal import escape
from se_search.yaml_values import MAX_DEPTH, compose_yaml

# As safe as SafeLoader, and seven times as quick where PyYAML comes with it.
_YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a binary file, and make its folder where that is not there.

    Raises:
        UnwritableError: the file can't be written.
    """
    if not path.name:
        raise UnwritableError(path, IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)))
    # Without the file's own name, which may be as long as the system allows.
    temporary = path.with_name(f".{os.getpid()}-{secrets.token_hex(4)}.tmp")
    with explaining_write(path, len(data)):
        try:
            if not path.parent.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise


def refuse_unwritable(path: Path) -> None:
    """Refuse a file that can't be written, before the work whose result it is to take.

    Nothing is written and no folder is made.

    Raises:
        UnwritableError: the path is that of a folder, or nothing can be put where it leads.
    """
    if path.is_dir():
        raise UnwritableError(path, IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)))
    folder = next(each for each in path.absolute().parents if each.exists())
    with explaining_write(path), tempfile.NamedTemporaryFile(dir=folder, prefix="."):
        pass


@contextmanager
def explaining_write(path: Path, needed: int | None = None) -> Iterator[None]:
    """Turn an error of the system, until the ``with`` block ends, into an UnwritableError.

    Args:
        path: what is written, as errors name it.
        needed: how many bytes are to be written, if that is known.
    """
    try:
        yield
    except OSError as cause:
        raise UnwritableError(path, cause, describe_room(path, cause, needed)) from cause


def describe_free(path: Path) -> str:
    """Say in a few words how much room the disk has that a path lies on, or would lie on."""
    for folder in (path, *path.absolute().parents):
        with suppress(OSError):
            return f"{shutil.disk_usage(folder).free:,} bytes are free on its disk"
    return "its disk can't be reached"


def describe_room(path: Path, cause: OSError, needed: int | None) -> str:
    """Say what room a write lacks; nothing where room is not the matter.

    Args:
        path: what is written.
        cause: why it failed.
        needed: how many bytes were to be written, if that is known.
    """
    asked = "" if needed is None else f"{needed:,} bytes are needed, "
    if cause.errno == errno.EFBIG:
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        return f"{asked}a file may have {limit:,} by the limit of this shell, ulimit -f"
    full = (errno.ENOSPC, errno.EDQUOT)
    return f"{asked}{describe_free(path)}" if cause.errno in full else ""


class WrittenFiles:
    """Files that are written one by one; one that can't be does not keep the others from it.

    Attributes:
        written: the files that have been written, in their order.
        unwritten: why others could not be.
    """

    def __init__(self) -> None:
        self.written: list[Path] = []
        self.unwritten: list[UnwritableError] = []

    def attempt(self, write: Callable[..., object], path: Path, *contents: object) -> None:
        """Call ``write`` with the path and the contents, and note how that ended."""
        try:
            write(path, *contents)
            self.written.append(path)
        except UnwritableError as error:
            self.unwritten.append(error)


def describe_unwritten(errors: Iterable[UnwritableError]) -> list[dict[str, str]]:
    """Return as plain data which files can't be written, and why."""
    return [{"path": str(error.path), "reason": error.reason} for error in errors]


def refuse_unwritten(errors: Sequence[UnwritableError]) -> None:
    """Raise one error for files that could not be written, after all others have been.

    Raises:
        StorageError: there are such files. It names one, a file that a full or broken disk lacks
            before any other, and has that file's error as its cause.
    """
    if errors:
        worst = max(errors, key=find_exit_code)
        number = len(errors)
        text = f"{number:,} files can't be written, among them {worst.path}: {worst.reason}"
        raise StorageError(str(worst) if number == 1 else text) from worst


def remove_leftovers(folder: Path) -> None:
    """Remove what writers that were killed have left in a folder."""
    for path in folder.glob(".*-*.tmp"):
        found = re.fullmatch(r"\.(\d+)-[0-9a-f]{8}\.tmp", path.name)
        if found and not _is_alive(int(found[1])):
            with suppress(OSError):
                path.unlink()


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, its line ends as they are in ``text``.

    Every text can be written, and what is written can be read: a byte of a name that is not in
    UTF-8 stands in the file as its escape, ``\\xe9``.

    Raises:
        UnwritableError: the file can't be written.
    """
    write_bytes(path, escape(text).encode())


class _Dumper(yaml.SafeDumper):
    """Writes a value that stands twice twice, for no alias is read back."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def write_yaml(path: Path, data: Mapping[str, Any]) -> None:
    """Write plain data as YAML, its keys in their order.

    Raises:
        UnwritableError: the file can't be written.
    """
    text = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    write_text(path, text)


def read_yaml(path: Path) -> Any:
    """Read plain data from a YAML file; somebody else may have written it.

    Raises:
        RunError: the file can't be read, or is not YAML in UTF-8, or has tags, aliases or values
            that are nested too deeply.
    """
    try:
        text = path.read_text(encoding="utf-8")
        with suppress(yaml.YAMLError):  # libyaml takes fewer signs than PyYAML, and words errors
            if _is_plain(text):
                return yaml.load(text, Loader=_YAML_LOADER)
        return compose_yaml(text, RunError, path.name)[1]
    except (OSError, ValueError, RunError) as cause:  # ValueError: not UTF-8
        raise RunError(f"{path} can't be read: {explain(cause)}") from cause


def _is_plain(text: str) -> bool:
    """Tell whether a YAML text has neither aliases nor tags, and is not nested deeply."""
    depth = 0
    for event in yaml.parse(text, Loader=_YAML_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        has_tag = getattr(event, "tag", None) is not None
        if has_tag or depth > MAX_DEPTH or isinstance(event, yaml.AliasEvent):
            return False
    return True


def read_json(path: Path) -> Any:
    """Read plain data from a JSON file; somebody else may have written it.

    Raises:
        RunError: the file can't be read, or is not JSON in UTF-8.
    """
    try:
        return parse_json(path.read_bytes())
    except (OSError, ValueError) as cause:
        raise RunError(f"{path} can't be read: {explain(cause)}") from cause


def parse_json(text: bytes) -> Any:
    """Return the plain data of a JSON text.

    Raises:
        ValueError: it is no JSON in UTF-8, or is nested too deeply.
    """
    try:
        return json.loads(text.decode())
    except RecursionError as cause:
        raise ValueError("its values are nested too deeply") from cause


def write_table(
    path: Path,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]] | Iterable[Mapping[str, object]],
) -> None:
    """Write a CSV file with a heading (RFC 4180: commas, lines that end in CR LF).

    Args:
        path: the file.
        columns: the heading.
        rows: each a sequence as long as ``columns``, or a mapping, of which only ``columns`` are
            written. None and NaN become empty fields; a float is written with the fewest digits
            that read back as that float.

    Raises:
        UnwritableError: the file can't be written.
    """
    import pandas as pd  # takes half a second to import, and not every command writes tables

    # As objects, or pandas would turn a column of integers with a None into floats.
    frame = pd.DataFrame(list(rows), columns=list(columns), dtype=object)
    text = io.StringIO(newline="")
    frame.to_csv(text, index=False, lineterminator="\r\n")
    write_text(path, text.getvalue())


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        pass
    return True


def pack_bits(flags: NDArray[np.bool_]) -> bytes:
    """Pack ``(n,)`` booleans, eight a byte, the first in the highest bit; zeros fill the last."""
    return np.packbits(flags).tobytes()


def unpack_bits(data: bytes, count: int) -> NDArray[np.bool_]:
    """Return the first ``count`` of packed booleans: ``(count,)``."""
    assert 8 * len(data) >= count, f"{len(data)} bytes hold fewer than {count} bits"
    return np.unpackbits(np.frombuffer(data, np.uint8), count=count).astype(np.bool_)


def read_bits(path: Path, count: int) -> NDArray[np.bool_]:
    """Read ``(count,)`` booleans from a file of packed bits.

    Raises:
        RunError: the file can't be read, or does not hold ``count`` bits.
    """
    try:
        data = path.read_bytes()
    except OSError as cause:
        raise RunError(f"{path} can't be read: {explain(cause)}") from cause
    if len(data) != -(-count // 8):
        raise RunError(f"{path} has {len(data)} bytes; {count} packed bits take {-(-count // 8)}")
    return unpack_bits(data, count)
