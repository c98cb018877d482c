"""Writes every file that se-search leaves: whole, or not at all.

A file is first written beside its place under a name that no other process takes, brought to the
disk, and then renamed. A reader sees the old contents or the new, and a write that fails leaves
the old file as it was and nothing else behind.
"""

from __future__ import annotations

import io
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from se_search.errors import RunError


def write_bytes(path: Path, data: bytes) -> None:
    """Write a binary file; its folder must exist.

    Raises:
        RunError: the file can't be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as cause:
        temporary.unlink(missing_ok=True)
        if isinstance(cause, OSError):
            raise RunError(f"{path} can't be written: {cause.strerror or cause}") from cause
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, its line ends as they are in ``text``.

    Raises:
        RunError: the file can't be written.
    """
    write_bytes(path, text.encode("utf-8"))


def write_yaml(path: Path, data: Mapping[str, Any]) -> None:
    """Write plain data as YAML, its keys in their order.

    Raises:
        RunError: the file can't be written.
    """
    write_text(path, yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100))


def read_yaml(path: Path) -> Any:
    """Read plain data from a YAML file.

    Raises:
        RunError: the file can't be read, or is not YAML in UTF-8.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as cause:  # ValueError: not UTF-8
        raise RunError(f"{path} can't be read: {cause}") from cause


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
        RunError: the file can't be written.
    """
    import pandas as pd  # takes half a second to import, and not every command writes tables

    # As objects, or pandas would turn a column of integers with a None into floats.
    frame = pd.DataFrame(list(rows), columns=list(columns), dtype=object)
    text = io.StringIO(newline="")
    frame.to_csv(text, index=False, lineterminator="\r\n")
    write_text(path, text.getvalue())


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
        raise RunError(f"{path} can't be read: {cause.strerror or cause}") from cause
    if len(data) != -(-count // 8):
        raise RunError(f"{path} has {len(data)} bytes; {count} packed bits take {-(-count // 8)}")
    return unpack_bits(data, count)
