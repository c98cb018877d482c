"""Tables for a terminal of any width: no number is cut; the columns that matter least are left out.

A column that is left out is named below the table. Where not even the important columns fit side
by side, each row is a list.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

FOLDED = 16  # columns of the terminal that a longer word of a text is broken to, if it has to be
EDGE = 3  # columns of the terminal that the frame takes for each column of the table, and 1 for all


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        heading: may be broken between words.
        is_number: numbers stand at the right and are never broken; texts are broken between words.
        rank: columns of the highest rank are left out first; those of rank 0 always stay.
        is_name: whether a text's long words stay whole, too: names that are pasted elsewhere.
        least: how wide a text likes to be, before others that are ranked higher.
    """

    heading: str
    is_number: bool = True
    rank: int = 0
    is_name: bool = False
    least: int = 0


class ResultTable:
    """A table that rich prints, at most as wide as the terminal.

    Args:
        columns: from left to right.
        title: stands above.
        caption: stands below, at most as wide as the table.
    """

    def __init__(self, columns: Sequence[Column], title: str = "", caption: str = "") -> None:
        self.columns = tuple(columns)
        self.rows: list[tuple[str, ...]] = []
        self._sections: list[int] = []
        self.title, self.caption = title, caption

    def add_row(self, *cells: str) -> None:
        """Add a row; the cells that are not given are empty."""
        missing = len(self.columns) - len(cells)
        assert missing >= 0, f"{len(cells)} cells for {len(self.columns)} columns"
        self.rows.append((*cells, *[""] * missing))

    def add_section(self) -> None:
        """Draw a line below the rows so far."""
        self._sections.append(len(self.rows))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        shown = self._choose(options.max_width)
        if not shown:
            yield from self._list_rows()
            return
        widths = self._share(shown, options.max_width)
        table = Table(
            title=self.title or None,
            caption=self.caption or None,
            caption_justify="left",
        )
        for index in shown:
            column = self.columns[index]
            table.add_column(
                Text(column.heading),
                justify="right" if column.is_number else "left",
                width=widths[index],
                overflow="fold",
            )
        for number, row in enumerate(self.rows):
            if number in self._sections:
                table.add_section()
            table.add_row(*(Text(row[index]) for index in shown))
        yield table
        left_out = [c.heading for i, c in enumerate(self.columns) if i not in shown]
        if left_out:
            whole = _frame(self.columns) + sum(map(self._least, range(len(self.columns))))
            yield Text(f"Left out, as all columns take {whole}: {', '.join(left_out)}")

    def _choose(self, room: int) -> list[int]:
        """Return the columns that fit side by side, by their places; empty: too few would fit."""
        shown = list(range(len(self.columns)))
        while _frame(shown) + sum(map(self._least, shown)) > room:
            # The last of the least important: what stands at the left tells the rows apart.
            last = max(shown, key=lambda index: (self.columns[index].rank, index))
            if self.columns[last].rank == 0:
                return []
            shown.remove(last)
        return shown

    def _list_rows(self) -> Iterator[Text]:
        """Write each cell in a line of its own, below its row's first: no column is left out."""
        yield Text(self.title)
        for row in self.rows:
            yield Text(f"{self.columns[0].heading}: {row[0]}")
            for column, cell in zip(self.columns[1:], row[1:], strict=True):
                if cell:
                    yield Text(f"  {column.heading}: {cell}")
        yield Text(self.caption)

    def _share(self, shown: Sequence[int], room: int) -> dict[int, int]:
        """Return how wide each column is: as wide as it likes to be, or else narrower texts."""
        widths = {index: self._most(index) for index in shown}
        excess = _frame(shown) + sum(widths.values()) - room
        while excess > 0:
            loose = [index for index in shown if widths[index] > self._least(index)]
            if not loose:
                break
            widths[max(loose, key=lambda index: widths[index])] -= 1
            excess -= 1
        return widths

    def _least(self, index: int) -> int:
        """Return the fewest columns of the terminal that cut no number and no word of a heading."""
        column = self.columns[index]
        heading = max(map(cell_len, column.heading.split()), default=1)
        if column.is_number:
            return max(heading, self._widest(index))
        words = (cell_len(word) for row in self.rows for word in row[index].split())
        longest = max(words, default=1)
        wished = min(column.least, self._widest(index))
        return max(heading, wished, longest if column.is_name else min(longest, FOLDED))

    def _most(self, index: int) -> int:
        return max(cell_len(self.columns[index].heading), self._widest(index), 1)

    def _widest(self, index: int) -> int:
        return max((cell_len(row[index]) for row in self.rows), default=0)


def _frame(columns: Sequence[object]) -> int:
    return EDGE * len(columns) + 1
