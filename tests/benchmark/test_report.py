"""Replays laid out in tables and files: made-up replays whose scores can be told by hand."""

import csv
import io

import numpy as np
import pytest
from rich.console import Console

from se_search.benchmark.report import (
    ALL_TABLES,
    Benchmark,
    hypervolume_table,
    print_benchmark,
    promotion_table,
    reach_table,
    report_table,
    write_benchmark,
)
from se_search.benchmark.scores import Replay, Truth

# On the scale of log cost the rows lie at 0, 0.5 and 1; the reference is (1, 0.5).
TRUTH = Truth(np.array([1.0, 10.0, 100.0, 100.0]), np.array([0.5, 0.9, 0.5, 0.5]))
# Row 1 has the whole hypervolume, the others have none of it.
GOOD, LATE = [1, 0, 2], [0, 2, 1]


def replay(sampler, rows, run=0, table="t", **changes):
    fields = {
        "seeds": np.zeros(3, np.int64),
        "accuracies": TRUTH.accuracies[rows] + 0.01,
        "seconds": np.full(3, 0.002),
        "epochs": np.ones(3, np.int64),
        "full_epochs": 1,
        "budget": 3,
        **changes,
    }
    return Replay(table, sampler, run, seed=run, rows=np.array(rows), **fields)


def benchmark(*replays, tables=("t",), checkpoints=(1, 3), epochs=None):
    replays = replays or (replay("good", GOOD), replay("late", LATE))
    return Benchmark(dict.fromkeys(tables, TRUTH), replays, checkpoints, epochs)


def cells(table, row):
    return list(table.rows[row])


def test_curves_are_shares_of_the_hypervolume_after_each_trial():
    curves = benchmark().curves
    assert curves["good"]["t"].tolist() == [[1, 1, 1]]
    assert curves["late"]["t"].tolist() == [[0, 0, 1]]


def test_a_run_reaches_anothers_final_hypervolume_with_the_trial_that_finds_the_row():
    made = benchmark()
    assert made.counts_to_final("good", "late", ["t"]) == [1]
    assert made.counts_to_final("late", "good", ["t"]) == [3]


def test_several_tables_are_also_reported_together():
    assert list(benchmark().scopes) == ["t"]
    assert benchmark(tables=("t", "u")).scopes[ALL_TABLES] == ["t", "u"]


def test_hypervolumes_stand_at_the_checkpoints_and_proposals_behind_them():
    row = cells(hypervolume_table(benchmark(), "t", ["t"]), 1)
    assert row[0] == "late"
    assert row[1].startswith("0.000")
    assert row[2].startswith("1.000")
    assert row[3:] == ["3.0", "0", "2.0 / 2.0"]


def test_a_sampler_is_not_compared_with_itself():
    assert cells(reach_table(benchmark(), "t", ["t"]), 0) == ["good", "", "1 / 1"]


def test_a_hypervolume_that_is_never_reached_is_a_dash():
    never = benchmark(replay("good", GOOD), replay("never", [0, 2, 3]))
    assert cells(reach_table(never, "t", ["t"]), 1) == ["never", "- / -", ""]


def test_counts_are_in_epochs_where_a_full_trainings_length_is_known():
    assert cells(reach_table(benchmark(epochs=6), "t", ["t"]), 1)[1] == "18 / 18"


def test_an_arm_with_rungs_is_compared_with_its_sampler_without():
    rungs = replay("late", GOOD, promotion="1x1,6x1")
    made = benchmark(replay("late", LATE), rungs, epochs=6)
    assert made.promoted == {"late 1x1,6x1": "late"}
    assert cells(promotion_table(made, "t", ["t"]), 1)[-2:] == ["6 / 6", "0.33"]


def test_the_reported_front_is_held_against_the_true_one_in_points():
    row = cells(report_table(benchmark(), "t", ["t"]), 0)
    assert row[1] == "1.000"
    assert row[-1] == "+1.00"


def test_the_legend_says_how_many_epochs_a_trial_is_worth():
    console = Console(width=160, file=io.StringIO())
    print_benchmark(console, benchmark(epochs=6))
    assert "A trial is 6 epochs" in console.file.getvalue()


@pytest.mark.parametrize(("epochs", "text"), [(None, ""), (6, "18")])
def test_files_have_a_row_a_score_and_a_row_a_trial(tmp_path, epochs, text):
    paths = write_benchmark(tmp_path, benchmark(epochs=epochs))
    assert all(path.is_file() for path in paths)
    with (tmp_path / "samplers.csv").open(newline="") as file:
        scores = list(csv.DictReader(file))
    with (tmp_path / "curves.csv").open(newline="") as file:
        curves = list(csv.DictReader(file))
    assert (len(scores), len(curves)) == (2 * 2, 2 * 3)
    assert scores[-1]["epochs"] == curves[-1]["epochs"] == text
    assert float(scores[1]["hypervolume"]) == 1
    assert [float(row["mean"]) for row in curves[3:]] == [0, 0, 1]
