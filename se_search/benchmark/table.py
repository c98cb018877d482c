"""A table of finished trainings as a search space whose trainings are looked up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from se_search.cost import Cost
from se_search.errors import SpaceError
from se_search.record import Assignment, Evaluation
from se_search.seeds import derive_seed
from se_search.space.parameters import Parameter
from se_search.space.schema import Choice
from se_search.surrogate.features import columns_to_factors

# Fractional costs are rounded to whole multiples of a billionth of the smallest cost.
PARTS = 10**9


@dataclass(frozen=True, slots=True)
class TableRow:
    """A configuration of a table.

    Attributes:
        index: number of the row, from 0; None: the table has no row of these values.
        values: the level of each slot.
    """

    index: int | None
    values: tuple[Choice, ...]

    @property
    def key(self) -> str:
        """The row's number as text: a name within its table."""
        return str(self.index)

    @property
    def placement(self) -> str:
        """The values as text, for people."""
        return " ".join(map(str, self.values))

    def __str__(self) -> str:
        return f"{self.key}: {self.placement}"


class TableSpace:
    """The rows of a table as a space; other combinations of their levels are not in it.

    Attributes:
        name: name of the table, for people.
        columns: names of the ``x_…`` columns; each column is a slot.
        levels: the levels of each slot, sorted; numbers by their size.
        costs: ``(size,)``, positive.
        accuracies: ``(size, k)`` shares (0..1) after full trainings, a column a seed; NaN where a
            row has not been trained with that seed. Each row has at least one accuracy.
        shorter: by number of epochs, the ``(size, k)`` accuracies of trainings that are shorter
            than full ones; empty if the table has none.
        unit: factor that makes every cost a whole number.
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

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """A parameter for each column that has more than one level."""
        named = zip(self.columns, self.levels, strict=True)
        return tuple(Parameter(name, levels) for name, levels in named if len(levels) > 1)

    @cached_property
    def mean_accuracies(self) -> NDArray[np.float64]:
        """``(size,)``: each row's mean accuracy over all seeds that the table has of it."""
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
        """Return the attributes of each level; columns with equal levels share attributes."""
        return columns_to_factors(self.levels).levels

    def price_codes(
        self, codes: NDArray[np.int16], price: Callable[[TableRow], Sequence[int]]
    ) -> NDArray[np.int64]:
        """Return ``(n, m)``: the prices of rows that are given by their codes."""
        return np.array([price(self.with_codes(row)) for row in codes], np.int64)

    def price_ends(
        self, price: Callable[[TableRow], Sequence[int]]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the least and the greatest price of any row, ``(m,)`` each."""
        prices = self.price_codes(self._codes, price)
        return prices.min(axis=0), prices.max(axis=0)

    def draw_codes(self, count: int, rng: np.random.Generator) -> NDArray[np.int16]:
        """Return the codes of uniformly drawn rows, ``(count, num_slots)``."""
        return np.asarray(self._codes[rng.integers(self.size, size=count)])

    def neighbours(self, codes: NDArray[np.int16]) -> NDArray[np.int16]:
        """Return the codes of all rows that differ in one slot, ``(n, num_slots)``."""
        return np.asarray(self._codes[(self._codes != codes).sum(axis=1) == 1])

    @cached_property
    def _codes(self) -> NDArray[np.int16]:
        positions = [{value: at for at, value in enumerate(levels)} for levels in self.levels]
        rows = [[at[v] for at, v in zip(positions, row.values, strict=True)] for row in self]
        return np.array(rows, np.int16)

    def choose(self, choose: Callable[[Parameter], Choice]) -> TableRow:
        """Return the row of the values that ``choose`` gives for the parameters.

        Where the table has no such row, the index is None: the row is not in the space
        (``row in space``), and a sampler to which it is forbidden draws again.
        """
        drawn = {parameter.name: choose(parameter) for parameter in self.parameters}
        named = zip(self.columns, self.levels, strict=True)
        values = tuple(drawn.get(name, levels[0]) for name, levels in named)
        return TableRow(self._indices.get(values), values)

    def encode(self, row: TableRow) -> dict[str, Choice]:
        """Return the parameters that spell a row, by name."""
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
        """Return a row's cost times ``unit``, a whole number, as parameters."""
        cost = round(float(self.costs[self.index_of(row)]) * self.unit)
        return Cost(cost, 0, cost, 0, by_stage={}, by_operator={})


class TableTrainings:
    """Looks up the trainings of a table's rows, in place of training them.

    The columns of a table are its replicates: all rows' trainings of one column share a seed. The
    replicates of a search are the columns in an order that is drawn, so that searches with other
    seeds see other columns first.

    Args:
        space: the table.
        seed: of the draw.
    """

    def __init__(self, space: TableSpace, seed: int) -> None:
        self.space = space
        rng = np.random.default_rng(derive_seed(seed, "table"))
        self.columns = rng.permutation(space.accuracies.shape[1])
        self._has = ~np.isnan(space.accuracies[:, self.columns])

    @property
    def num_replicates(self) -> int:
        """How many replicates the table has."""
        return len(self.columns)

    def list_replicates(self, row: TableRow) -> list[int]:
        """Return the replicates of which the table has a training of the row."""
        found: list[int] = np.flatnonzero(self._has[self.space.index_of(row)]).tolist()
        return found

    def count_replicates(self, row: TableRow) -> int:
        """Return of how many replicates the table has a training of the row."""
        return int(self._has[self.space.index_of(row)].sum())

    def __call__(self, assignment: Assignment[TableRow]) -> Evaluation:
        """Return a training of the row; a full one where the table has none of these epochs."""
        index = self.space.index_of(assignment.candidate)
        table = self.space.shorter.get(assignment.epochs, self.space.accuracies)
        accuracy = float(table[index, self.columns[assignment.seed]])
        return Evaluation(
            accuracy=accuracy,
            loss=0.0,  # a table has no losses
            history=({"epoch": assignment.epochs, "accuracy": accuracy},),
            correct=b"",
            seconds=0.0,
        )


def _sort_levels(values: set[Choice]) -> tuple[Choice, ...]:
    def by_size(value: Choice) -> tuple[float, str]:
        return float(value), str(value)

    try:
        return tuple(sorted(values, key=by_size))
    except ValueError:
        return tuple(sorted(values, key=str))
