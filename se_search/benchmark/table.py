"""A table of finished trainings as a search space, whose trainings are looked up.

A row is a configuration: ``x_…`` columns say what it is, ``cost`` what it costs, ``accuracy_1``,
``accuracy_2``, … how its trainings ended, one column a seed. Other columns are not read.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from se_search.cost import Cost
from se_search.errors import SpaceError
from se_search.record import Assignment, Evaluation
from se_search.seeds import derive_seed
from se_search.space.parameters import Parameter
from se_search.space.schema import Choice
from se_search.surrogate.features import columns_to_factors

if TYPE_CHECKING:
    import pandas as pd

ACCURACY = re.compile(r"accuracy_([1-9]\d*)(?:@([1-9]\d*))?")
SUFFIXES = (".csv", ".csv.gz", ".parquet")
# Costs are kept as whole numbers; those that are not are counted in so many parts of the least.
PARTS = 10**9


@dataclass(frozen=True, slots=True)
class TableRow:
    """A configuration of a table.

    Attributes:
        index: of the row, from 0; None: the table has no training of these values.
        values: one for each ``x_…`` column.
    """

    index: int | None
    values: tuple[Choice, ...]

    @property
    def key(self) -> str:
        """The row's number: a name within its table."""
        return str(self.index)

    @property
    def placement(self) -> str:
        """The values."""
        return " ".join(map(str, self.values))

    def __str__(self) -> str:
        return f"{self.key}: {self.placement}"


class TableSpace:
    """The configurations of a table: a space that holds the rows, and no other combination.

    Attributes:
        name: the table's, for people.
        columns: of the ``x_…`` columns: each is a slot.
        levels: what each slot can carry, sorted; numbers by their size.
        costs: ``(size,)``, positive.
        accuracies: ``(size, k)`` shares (0..1) of the full trainings, a column a seed; NaN where a
            row has not been trained with that seed. Each row has at least one.
        shorter: the same after fewer epochs, by number of epochs; empty if the table has none.
        unit: what multiplies a cost so that it becomes a whole number.
    """

    def __init__(
        self,
        name: str,
        columns: Sequence[str],
        rows: Sequence[tuple[Choice, ...]],
        costs: NDArray[np.float64],
        accuracies: NDArray[np.float64],
        shorter: Mapping[int, NDArray[np.float64]] | None = None,
    ) -> None:
        self.name = name
        self.columns = tuple(columns)
        self.levels: tuple[tuple[Choice, ...], ...] = tuple(
            _sort_levels(set(values)) for values in zip(*rows, strict=True)
        )
        self.costs = costs
        self.accuracies = accuracies
        self.shorter = dict(shorter or {})
        self.unit = 1.0 if (costs == np.round(costs)).all() else PARTS / float(costs.min())
        self._rows = [TableRow(index, values) for index, values in enumerate(rows)]
        self._indices = {row.values: index for index, row in enumerate(self._rows)}

    @property
    def size(self) -> int:
        """The number of rows."""
        return len(self._rows)

    @property
    def num_combinations(self) -> int:
        """The number of combinations of levels, whether or not the table has them."""
        return math.prod(len(levels) for levels in self.levels)

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """One for each column that has more than one level."""
        named = zip(self.columns, self.levels, strict=True)
        return tuple(Parameter(name, levels) for name, levels in named if len(levels) > 1)

    @cached_property
    def mean_accuracies(self) -> NDArray[np.float64]:
        """``(size,)``: the mean over all seeds that the table has of a row."""
        return np.asarray(np.nanmean(self.accuracies, axis=1))

    def __iter__(self) -> Iterator[TableRow]:
        return iter(self._rows)

    def __contains__(self, row: object) -> bool:
        return isinstance(row, TableRow) and row.index is not None

    def candidate_at(self, index: int) -> TableRow:
        """Return row ``index`` (0 <= index < size)."""
        if not 0 <= index < self.size:
            raise IndexError(f"row {index} is not in 0..{self.size - 1}")
        return self._rows[index]

    def index_of(self, row: TableRow) -> int:
        """Return the number of a row.

        Raises:
            SpaceError: the table has no such row.
        """
        if row.values not in self._indices:
            raise SpaceError(f"{self.name} has no row of {row.placement}")
        return self._indices[row.values]

    def codes(self) -> NDArray[np.int16]:
        """Return ``(size, num_slots)``: positions in ``levels[slot]``, by row."""
        return self._codes.copy()

    def codes_of(self, row: TableRow) -> NDArray[np.int16]:
        """Return ``(num_slots,)``: positions in ``levels[slot]`` of a row's values.

        Raises:
            SpaceError: the table has no such row.
        """
        return np.asarray(self._codes[self.index_of(row)])

    def with_codes(self, codes: NDArray[np.int16]) -> TableRow:
        """Return the row with these levels, ``(num_slots,)``."""
        named = zip(self.levels, codes, strict=True)
        return self._rows[self._indices[tuple(levels[code] for levels, code in named)]]

    def describe_levels(self) -> tuple[tuple[Mapping[str, str | float], ...], ...]:
        """Describe the levels: columns with the same ones speak the same language."""
        return columns_to_factors(self.levels).levels

    def price_codes(
        self, codes: NDArray[np.int16], price: Callable[[TableRow], Sequence[int]]
    ) -> NDArray[np.int64]:
        """Return ``(n, m)``: the prices of rows given by their codes."""
        return np.array([price(self.with_codes(row)) for row in codes], np.int64)

    def price_ends(
        self, price: Callable[[TableRow], Sequence[int]]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the least and the greatest price of any row, ``(m,)`` each."""
        prices = self.price_codes(self._codes, price)
        return prices.min(axis=0), prices.max(axis=0)

    def draw_codes(self, count: int, rng: np.random.Generator) -> NDArray[np.int16]:
        """Draw rows uniformly, as ``(count, num_slots)``."""
        return np.asarray(self._codes[rng.integers(self.size, size=count)])

    def neighbours(self, codes: NDArray[np.int16]) -> NDArray[np.int16]:
        """Return the rows that differ in one slot from one, ``(n, num_slots)``."""
        return np.asarray(self._codes[(self._codes != codes).sum(axis=1) == 1])

    @cached_property
    def _codes(self) -> NDArray[np.int16]:
        positions = [{value: at for at, value in enumerate(levels)} for levels in self.levels]
        rows = [[at[v] for at, v in zip(positions, row.values, strict=True)] for row in self]
        return np.array(rows, np.int16)

    def choose(self, choose: Callable[[Parameter], Choice]) -> TableRow:
        """Draw a row; where the table has none of these values, its index is None.

        Such a row is not in the space (``row in space``), and a sampler that is told so draws
        again.
        """
        drawn = {parameter.name: choose(parameter) for parameter in self.parameters}
        named = zip(self.columns, self.levels, strict=True)
        values = tuple(drawn.get(name, levels[0]) for name, levels in named)
        return TableRow(self._indices.get(values), values)

    def encode(self, row: TableRow) -> dict[str, Choice]:
        """Return the parameters that spell a row."""
        values = dict(zip(self.columns, row.values, strict=True))
        return {parameter.name: values[parameter.name] for parameter in self.parameters}

    def parse(self, text: str) -> TableRow:
        """Read the text form of a row.

        Raises:
            SpaceError: the table has no such row.
        """
        number = text.partition(":")[0]
        if not (number.isdecimal() and int(number) < self.size):
            raise SpaceError(f"{self.name} has no row {text!r}")
        return self._rows[int(number)]

    def count_cost(self, row: TableRow) -> Cost:
        """Return a row's cost as parameters, in whole numbers: times ``unit``."""
        cost = round(float(self.costs[self.index_of(row)]) * self.unit)
        return Cost(cost, 0, cost, 0, by_stage={}, by_operator={})


class TableTrainings:
    """Looks up what trainings of a table's rows came to, as an executor's ``evaluate``.

    A seed stands for one of the columns: which one is drawn for each row, so that runs with other
    seeds see other trainings of it first. A table has few: when all of a row's have been given,
    further seeds draw among them again, which is counted.

    Args:
        space: the table.
        first_seed: that of a row's first training.
        seed: of the draws.

    Attributes:
        num_repeats: trainings that were given a second time, as the table has no more seeds.
    """

    def __init__(self, space: TableSpace, first_seed: int, seed: int) -> None:
        self.space = space
        self.first_seed = first_seed
        self.seed = seed
        self.num_repeats = 0

    def __call__(self, assignment: Assignment[TableRow]) -> Evaluation:
        """Return a training of the row, to the table's full epochs if it has no such others."""
        index = self.space.index_of(assignment.candidate)
        table = self.space.shorter.get(assignment.epochs, self.space.accuracies)
        order = self.order(index)
        position = assignment.seed - self.first_seed
        if position < len(order):
            column = order[position]
        else:
            self.num_repeats += 1
            column = self._rng(index, position).choice(order)
        accuracy = float(table[index, column])
        return Evaluation(
            accuracy=accuracy,
            loss=0.0,  # a table has none
            history=({"epoch": assignment.epochs, "accuracy": accuracy},),
            correct=b"",
            seconds=0.0,
        )

    def order(self, index: int) -> NDArray[np.intp]:
        """Return the columns that a row has trainings in, in the order of their seeds."""
        columns = np.flatnonzero(~np.isnan(self.space.accuracies[index]))
        return self._rng(index).permutation(columns)

    def _rng(self, *names: int) -> np.random.Generator:
        return np.random.default_rng(derive_seed(self.seed, "table", *names))


def read_table(path: Path) -> TableSpace:
    """Read a table: ``.csv``, ``.csv.gz`` or, where pandas can, ``.parquet``.

    Columns: ``x_…`` are categorical; ``cost`` is positive; ``accuracy_1`` … ``accuracy_k`` are
    shares (0..1) or, if one is above 1, per cent; an empty field says that the row has not been
    trained with that seed. ``accuracy_1@20`` is that of the first seed after 20 epochs, where the
    columns without a number are of the full training.

    Raises:
        SpaceError: it can't be read, or something in it is wrong.
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
    """Read a file as text, so that ``none``, ``NA`` and ``8`` stay what they are."""
    import pandas as pd

    if not path.name.endswith(SUFFIXES):
        raise SpaceError(f"table {path} is not one of *{', *'.join(SUFFIXES)}")
    try:
        if path.name.endswith(".parquet"):
            frame = pd.read_parquet(path)
            frame = frame.astype(object).where(frame.notna(), "").astype(str)
        else:
            # Read without a header, for pandas would rename a column that stands twice.
            lines = pd.read_csv(
                path, header=None, dtype=str, keep_default_na=False, skip_blank_lines=False
            ).fillna("")
            frame = lines[1:].set_axis(lines.iloc[0], axis="columns")
    except ImportError as cause:
        raise SpaceError(f"table {path}: to read it pandas needs pyarrow") from cause
    except (OSError, ValueError) as cause:  # ValueError: pandas' and Unicode's, of all kinds
        raise SpaceError(f"table {path} can't be read: {cause}") from cause
    frame.columns = [str(name).strip() for name in frame.columns]
    twins = frame.columns[frame.columns.duplicated()]
    if len(twins):
        raise SpaceError(f"{path}: column {twins[0]} stands twice")
    if "cost" not in frame.columns:
        raise SpaceError(f"{path}: no column cost")
    return frame


def _find_accuracies(path: Path, names: list[str]) -> tuple[list[str], dict[int, list[str]]]:
    """Return the columns of full trainings, by seed, and those of shorter ones, by epochs."""
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
    num_seeds = len(found[0])
    for epochs, group in found.items():
        if sorted(group) != list(range(1, num_seeds + 1)) or not num_seeds:
            suffix = f"@{epochs}" if epochs else ""
            wanted = f"accuracy_1{suffix} to accuracy_{max(num_seeds, 1)}{suffix}"
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


def _sort_levels(values: set[Choice]) -> tuple[Choice, ...]:
    def by_size(value: Choice) -> tuple[float, str]:
        return float(value), str(value)

    try:
        return tuple(sorted(values, key=by_size))
    except ValueError:
        return tuple(sorted(values, key=str))


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
    """Read the columns as shares; NaN where a field is empty."""
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
                f"to {highest[other]:g}; all must be the same"
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
        states = ("empty", "not") if np.isnan(short[row, column]) else ("there", "empty")
        raise SpaceError(
            f"{_place(path, int(row), name)}: {states[0]}, and {name.partition('@')[0]} is "
            f"{states[1]}; a seed has all numbers of epochs or none"
        )


def _place(path: Path, row: int, column: object) -> str:
    return f"{path}, line {row + 2}, column {column}"
