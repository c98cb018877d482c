"""Tables read from files, and what is refused in them."""

import gzip

import numpy as np
import pytest
from support.tables import write_table

from se_search.benchmark.table_file import read_table
from se_search.errors import SpaceError

HEADER = "x_kind,x_width,cost,accuracy_1,accuracy_2"
ROWS = ("none,16,100,0.5,0.6", "se,8,120,0.7,0.8", "se,16,140,0.9,1.0", "eca,8,110,0.25,0.35")


@pytest.fixture
def table(tmp_path):
    return read_table(write_table(tmp_path / "small.csv", HEADER, *ROWS))


def test_a_row_has_its_levels_its_cost_and_its_accuracies(table):
    assert (table.name, table.columns) == ("small", ("x_kind", "x_width"))
    assert [row.values for row in table] == [("none", 16), ("se", 8), ("se", 16), ("eca", 8)]
    assert table.costs.tolist() == [100, 120, 140, 110]
    assert table.accuracies.tolist() == [[0.5, 0.6], [0.7, 0.8], [0.9, 1.0], [0.25, 0.35]]


def test_levels_that_are_numbers_are_sorted_by_size(tmp_path):
    rows = [f"{value},{value}b,1,0.5" for value in (2, 16, 0.5, 8)]
    table = read_table(write_table(tmp_path / "t.csv", "x_a,x_b,cost,accuracy_1", *rows))
    assert table.levels == (("0.5", "2", "8", "16"), ("0.5b", "16b", "2b", "8b"))


def test_accuracies_in_per_cent_are_the_same_as_shares(tmp_path, table):
    rows = ("none,16,100,50,60", "se,8,120,70,80", "se,16,140,90,100.0", "eca,8,110,25,35")
    per_cent = read_table(write_table(tmp_path / "t.csv", HEADER, *rows))
    assert per_cent.accuracies == pytest.approx(table.accuracies)


def test_words_that_pandas_takes_for_missing_are_levels(tmp_path):
    rows = ("none,1,0.1", "NA,1,0.1", "None,1,0.1", "null,1,0.1")
    table = read_table(write_table(tmp_path / "t.csv", "x_a,cost,accuracy_1", *rows))
    assert table.levels == (("NA", "None", "none", "null"),)


def test_a_compressed_table_is_the_same(tmp_path, table):
    path = tmp_path / "small.csv.gz"
    path.write_bytes(gzip.compress("\n".join([HEADER, *ROWS]).encode()))
    again = read_table(path)
    assert again.name == "small"
    assert list(again) == list(table)
    assert again.accuracies.tolist() == table.accuracies.tolist()


def test_other_columns_are_not_read(tmp_path):
    lines = ("order,x_a,cost,latency,accuracy_1", "z,1,1,?,0.1", "z,2,1,?,0.2")
    assert read_table(write_table(tmp_path / "t.csv", *lines)).columns == ("x_a",)


def test_accuracies_after_fewer_epochs_stand_by_epochs_and_seed(tmp_path):
    lines = (
        "x_a,cost,accuracy_2@20,accuracy_1@20,accuracy_1@5,accuracy_2@5,accuracy_1,accuracy_2",
        "1,1,0.22,0.21,0.11,0.12,0.31,0.32",
        "2,1,,0.41,0.51,,0.61,",
    )
    table = read_table(write_table(tmp_path / "t.csv", *lines))
    assert list(table.shorter) == [5, 20]
    assert table.shorter[5][0].tolist() == [0.11, 0.12]
    assert table.shorter[20][0].tolist() == [0.21, 0.22]
    assert table.shorter[20][1, 0] == 0.41
    assert np.isnan(table.shorter[20][1, 1])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["x_a,cost", "1,1", "2,1"], "the columns must be accuracy_1 to accuracy_1, not none"),
        (["x_a,accuracy_1", "1,0.5", "2,0.5"], "no column cost"),
        (["cost,accuracy_1", "1,0.5", "2,0.5"], "no column x_"),
        (["x_a,cost,accuracy_1", "1,1,0.5"], "1 rows leave nothing to choose"),
        (["x_a,x_a,cost,accuracy_1", "1,1,1,0.5"], "column x_a stands twice"),
        (
            ["x_a,cost,accuracy_1,accuracy_3", "1,1,0.5,0.5", "2,1,0.5,0.5"],
            "must be accuracy_1 to accuracy_2, not accuracy_1, accuracy_3",
        ),
        (
            ["x_a,cost,accuracy_1,accuracy_2,accuracy_2@5", "1,1,0.5,0.5,0.1", "2,1,0.5,0.5,0.1"],
            "must be accuracy_1@5 to accuracy_2@5, not accuracy_2@5",
        ),
        (
            ["x_a,cost,accuracy", "1,1,0.5", "2,1,0.5"],
            "column accuracy is neither accuracy_SEED nor accuracy_SEED@EPOCHS",
        ),
        (
            ["x_a,cost,accuracy_1", "1,1,0.5", "2,0,0.5"],
            "line 3, column cost: '0' is not positive",
        ),
        (["x_a,cost,accuracy_1", "1,1,0.5", "2,,0.5"], "line 3, column cost: '' is not positive"),
        (["x_a,cost,accuracy_1", "1,nan,0.5", "2,1,0.5"], "line 2, column cost: 'nan'"),
        (["x_a,cost,accuracy_1", "1,inf,0.5", "2,1,0.5"], "line 2, column cost: 'inf'"),
        (
            ["x_a,cost,accuracy_1", "1,1,0.5", "2,1,high"],
            r"line 3, column accuracy_1: 'high' is not in 0\.\.100",
        ),
        (["x_a,cost,accuracy_1", "1,1,0.5", "2,1,101"], "line 3, column accuracy_1: '101'"),
        (["x_a,cost,accuracy_1", "1,1,0.5", "2,1,nan"], "line 3, column accuracy_1: 'nan'"),
        (
            ["x_a,cost,accuracy_1,accuracy_2", "1,1,0.5,50", "2,1,0.6,60"],
            "column accuracy_1 has shares, at most 0.6, and accuracy_2 per cent, up to 60",
        ),
        (
            ["x_a,cost,accuracy_1,accuracy_2", "1,1,0.5,0.5", "2,1,,"],
            "line 3, column accuracy_1, accuracy_2: no accuracy at all",
        ),
        (["x_a,x_b,cost,accuracy_1", "1,1,1,0.5", "1,,1,0.5"], "line 3, column x_b: empty"),
        (["x_a,cost,accuracy_1", "1,1,0.5", "", "2,1,0.5"], "line 3, column x_a: empty"),
        (["x_a,cost,accuracy_1", "1,1,0.5", "2,1"], "line 3, column accuracy_1: no accuracy"),
        (["x_a,cost,accuracy_1", "1,1,0.5", "2,1,0.5,9"], "can't be read: .* line 3"),
        (
            ["x_a,x_b,cost,accuracy_1", "1,1,1,0.5", "1,2,1,0.5", "1,1,1,0.5"],
            "lines 2 and 4 are one configuration: 1 1",
        ),
        (
            ["x_a,cost,accuracy_1,accuracy_1@5", "1,1,0.5,0.1", "2,1,0.5,"],
            "line 3, column accuracy_1@5: empty, and accuracy_1 is not; a seed needs an accuracy",
        ),
    ],
)
def test_a_mistake_is_named_with_file_line_column_and_value(tmp_path, lines, message):
    path = write_table(tmp_path / "wrong.csv", *lines)
    with pytest.raises(SpaceError, match=message) as caught:
        read_table(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", None, "can't be read"),
        ("t.csv", b"", "can't be read"),
        ("t.csv", b"\xff\xfe\x00\x01", "can't be read"),
        ("t.csv.gz", b"x_a,cost,accuracy_1\n", "can't be read"),
        ("t.xlsx", b"", r"is not one of \*.csv, \*.csv.gz, \*.parquet"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SpaceError, match=message):
        read_table(tmp_path / name)
