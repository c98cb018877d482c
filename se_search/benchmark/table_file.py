"""Reads a table of finished trainings from a file, and refuses what is wrong in it."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from se_search.benchmark.table import TableSpace
from se_search.errors import SpaceError, explain
from se_search.space.schema import Choice

if TYPE_CHECKING:
    import pandas as pd

ACCURACY = re.compile(r"accuracy_([1-9]\d*)(?:@([1-9]\d*))?")
SUFFIXES = (".csv", ".csv.gz", ".parquet")


def read_table(path: Path) -> TableSpace:
    """Read a table from a file.

    A row is a configuration. Its ``x_…`` columns say what it is, by categorical levels, and
    ``cost`` what it costs, a positive number. ``accuracy_1`` … ``accuracy_k`` are its accuracies
    after full trainings with k seeds: shares (0..1) or, if any is above 1, per cent; an empty
    field says that the row has not been trained with that seed. ``accuracy_1@20`` is the accuracy
    of the first seed's training of 20 epochs. Other columns are not read.

    Args:
        path: a ``.csv`` or ``.csv.gz`` file or, where pandas has pyarrow, a ``.parquet`` file.

    Raises:
        SpaceError: the file can't be read, or something in it is wrong.
    """
    frame = _read_frame(path)
    columns = [name for name in frame.columns if name.startswith("x_")]
    if not columns:
        raise SpaceError(f"{path}: no column x_…: nothing says what the rows are")
    if len(frame) < 2:
        raise SpaceError(f"{path}: {len(frame)} rows leave nothing to choose")
    plain, shorter = _find_accuracies(path, list(frame.columns))
    rows = list(zip(*(_read_levels(path, frame[name]) for name in columns), strict=True))
    _refuse_twins(path, rows)
    costs = _read_numbers(path, frame["cost"], lambda cost: 0 < cost < math.inf, "positive")
    names = [*plain, *(name for group in shorter.values() for name in group)]
    accuracies = _read_accuracies(path, frame, names)
    full = np.column_stack([accuracies[name] for name in plain])
    for row in np.flatnonzero(np.isnan(full).all(axis=1))[:1]:
        raise SpaceError(f"{_place(path, int(row), ', '.join(plain))}: no accuracy at all")
    budgets = {
        epochs: np.column_stack([accuracies[name] for name in group])
        for epochs, group in shorter.items()
    }
    for epochs, group in shorter.items():
        _check_same_seeds(path, full, budgets[epochs], group)
    return TableSpace(path.name.split(".")[0], columns, rows, costs, full, budgets)


def _read_frame(path: Path) -> pd.DataFrame:
    """Return the fields of a file as text: ``none``, ``NA`` and ``8`` are levels like any other."""
    import pandas as pd

    if not path.name.endswith(SUFFIXES):
        raise SpaceError(f"table {path} is not one of *{', *'.join(SUFFIXES)}")
    try:
        if path.name.endswith(".parquet"):
            frame = pd.read_parquet(path)
            frame = frame.astype(object).where(frame.notna(), "").astype(str)
        else:
            # Read without a header: pandas would rename a column that stands twice.
            lines = pd.read_csv(
                path, header=None, dtype=str, keep_default_na=False, skip_blank_lines=False
            ).fillna("")
            frame = lines[1:].set_axis(lines.iloc[0], axis="columns")
    except ImportError as cause:
        raise SpaceError(f"table {path}: to read it pandas needs pyarrow") from cause
    except (OSError, ValueError) as cause:  # ValueError: pandas' parsers and Unicode
        raise SpaceError(f"table {path} can't be read: {explain(cause)}") from cause
    frame.columns = [str(name).strip() for name in frame.columns]
    twins = frame.columns[frame.columns.duplicated()]
    if len(twins):
        raise SpaceError(f"{path}: column {twins[0]} stands twice")
    if "cost" not in frame.columns:
        raise SpaceError(f"{path}: no column cost")
    return frame


def _find_accuracies(path: Path, names: list[str]) -> tuple[list[str], dict[int, list[str]]]:
    """Return the columns of full trainings by seed, and of shorter ones by epochs and seed."""
    found: dict[int, dict[int, str]] = defaultdict(dict)
    for name in names:
        if not name.startswith("accuracy"):
            continue
        match = ACCURACY.fullmatch(name)
        if match is None:
            raise SpaceError(
                f"{path}: column {name} is neither accuracy_SEED nor accuracy_SEED@EPOCHS, "
                "as accuracy_1 or accuracy_1@20"
            )
        found[int(match[2] or 0)][int(match[1])] = name
    num_replicates = len(found[0])
    for epochs, group in found.items():
        if sorted(group) != list(range(1, num_replicates + 1)) or not num_replicates:
            suffix = f"@{epochs}" if epochs else ""
            wanted = f"accuracy_1{suffix} to accuracy_{max(num_replicates, 1)}{suffix}"
            given = ", ".join(group[seed] for seed in sorted(group)) or "none"
            raise SpaceError(f"{path}: the columns must be {wanted}, not {given}")
    ordered = {
        epochs: [group[seed] for seed in sorted(group)] for epochs, group in sorted(found.items())
    }
    return ordered.pop(0), ordered


def _read_levels(path: Path, column: pd.Series[str]) -> list[Choice]:
    values = [value.strip() for value in column]
    if "" in values:
        raise SpaceError(f"{_place(path, values.index(''), column.name)}: empty")
    # Written as Python would write it: 08 and 8 are two levels, and stay text.
    is_whole = all(re.fullmatch(r"0|-?[1-9]\d*", value) for value in values)
    return [int(value) if is_whole else value for value in values]


def _refuse_twins(path: Path, rows: Sequence[tuple[Choice, ...]]) -> None:
    first: dict[tuple[Choice, ...], int] = {}
    for index, values in enumerate(rows):
        if first.setdefault(values, index) != index:
            text = " ".join(map(str, values))
            raise SpaceError(
                f"{path}: lines {first[values] + 2} and {index + 2} are one configuration: {text}"
            )


def _read_accuracies(
    path: Path, frame: pd.DataFrame, names: Sequence[str]
) -> dict[str, NDArray[np.float64]]:
    """Return the columns as shares, by name; NaN where a field is empty."""
    read = {
        name: _read_numbers(path, frame[name], lambda value: 0 <= value <= 100, "in 0..100", True)
        for name in names
    }
    highest = {name: float(np.nanmax(values, initial=0.0)) for name, values in read.items()}
    if max(highest.values()) <= 1:
        return read
    for name, value in highest.items():
        if 0 < value <= 1:
            other = max(highest, key=lambda name: highest[name])
            raise SpaceError(
                f"{path}: column {name} has shares, at most {value:g}, and {other} per cent, up "
                f"to {highest[other]:g}; all must be shares, or all per cent"
            )
    return {name: values / 100 for name, values in read.items()}


def _read_numbers(
    path: Path,
    column: pd.Series[str],
    is_right: Callable[[float], bool],
    wanted: str,
    may_be_empty: bool = False,
) -> NDArray[np.float64]:
    numbers = []
    for row, text in enumerate(column):
        try:
            number = math.nan if may_be_empty and not text.strip() else float(text)
            is_fine = is_right(number) or (may_be_empty and not text.strip())
        except ValueError:
            is_fine = False
        if not is_fine:
            raise SpaceError(f"{_place(path, row, column.name)}: {text!r} is not {wanted}")
        numbers.append(number)
    return np.array(numbers)


def _check_same_seeds(
    path: Path, full: NDArray[np.float64], short: NDArray[np.float64], names: Sequence[str]
) -> None:
    for row, column in np.argwhere(np.isnan(full) != np.isnan(short))[:1]:
        name = names[column]
        states = ("empty", "not") if np.isnan(short[row, column]) else ("not empty", "empty")
        raise SpaceError(
            f"{_place(path, int(row), name)}: {states[0]}, and {name.partition('@')[0]} is "
            f"{states[1]}; a seed needs an accuracy after every number of epochs, or none"
        )


def _place(path: Path, row: int, column: object) -> str:
    return f"{path}, line {row + 2}, column {column}"
