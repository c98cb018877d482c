"""Tables in terminals of any width: no number is cut, and what is left out is named."""

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from se_search.report.table import Column, ResultTable

ROWS = [
    ("s2:16 s3:32 s4:64 s5:128", "93.12 ± 0.21", "25,557,032", "4,111,512,576", "+1,572,864"),
    ("no SE", "91.00 ± 0.30", "24,000,000", "4,000,000,000", "0"),
]


def make_table(rows=ROWS):
    table = ResultTable(
        [
            Column("SE placement (stage:squeeze width)", is_number=False),
            Column("estimate %"),
            Column("params"),
            Column("MACs", rank=1),
            Column("added", rank=2),
        ],
        title="Pareto front",
        caption="a caption that goes on for a while and is broken where the table ends",
    )
    for row in rows:
        table.add_row(*row)
    return table


def show(table, width, encoding="utf-8"):
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    Console(file=file, width=width).print(table)
    file.flush()
    return file.buffer.getvalue().decode(encoding)


@pytest.mark.parametrize("width", [160, 80, 60, 48, 40, 30])
def test_a_table_is_no_wider_than_the_terminal_and_cuts_no_number(width):
    text = show(make_table(), width)
    assert max(map(cell_len, text.splitlines())) <= width
    shown = [column for column in range(1, 5) if ROWS[0][column] in text]
    assert {1, 2} <= set(shown)
    for row in ROWS:
        assert all(row[column] in text for column in shown)
        assert all(word in text for word in row[0].split())


@pytest.mark.parametrize(
    ("width", "left_out"), [(160, None), (70, "added"), (60, "MACs, added"), (50, "MACs, added")]
)
def test_columns_are_left_out_in_order_of_importance_and_named(width, left_out):
    text = show(make_table(), width)
    lines = [line for line in text.splitlines() if line.startswith("Left out")]
    assert [line.partition(": ")[2] for line in lines] == ([] if left_out is None else [left_out])


def test_the_width_that_takes_all_columns_is_told_exactly():
    (line,) = [line for line in show(make_table(), 60).splitlines() if "Left out" in line]
    whole = int(line.partition(" take ")[2].partition(":")[0])
    assert "Left out" not in show(make_table(), whole)
    assert "Left out" in show(make_table(), whole - 1)


def test_where_the_important_columns_do_not_fit_each_row_is_a_list_of_all_cells():
    text = show(make_table(), 40)
    assert "  estimate %: 93.12 ± 0.21\n  params: 25,557,032\n  MACs: 4,111,512,576\n" in text
    assert "Left out" not in text


def test_signs_of_markup_and_emoji_stand_in_cells_as_they_are():
    text = show(make_table([("[red] [/] :smile: [bold", "1", "2", "3", "4")]), 160)
    assert "[red] [/] :smile: [bold" in text


def test_a_terminal_without_unicode_gets_a_frame_that_it_can_show():
    table = make_table([("a", "1", "2", "3", "4")])
    assert "|" in show(table, 80, "ascii")


def test_a_row_may_leave_cells_empty_and_may_not_have_too_many():
    table = make_table([("a",)])
    assert table.rows == [("a", "", "", "", "")]
    with pytest.raises(AssertionError):
        table.add_row(*"abcdef")
