"""Searches of tables whose last training is held back, as ``benchmarks/calibration`` makes them."""

import csv

import numpy as np
import pytest
from support.tables import write_made_up_table

from benchmarks.calibration.tables import foretell, measure_tables, predict_trainings
from se_search.benchmark.table_file import read_table


@pytest.fixture
def path(tmp_path):
    return write_made_up_table(tmp_path / "made_up.csv")


def _change_last(path, change):
    """Write a table with other values in its last column."""
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    for row in rows[1:]:
        row[-1] = change(row[-1])
    changed = path.with_name("changed.csv")
    with changed.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return changed


def test_the_column_that_judges_is_not_seen_by_the_search(path):
    """A held-back training that is far off lies in no interval, and leads to no other trainings."""
    honest = foretell(path, run=1, num_trials=24)
    spoilt = foretell(_change_last(path, lambda _: "0.01"), run=1, num_trials=24)
    assert len(spoilt.covered) == len(honest.covered) > 12
    assert not any(spoilt.covered)
    assert np.mean(honest.covered) > 0.7


def test_rows_that_lack_a_training_are_left_out(path):
    """Of the rows that are left there are fewer than a search has trainings."""
    values = iter(range(81))
    holey = _change_last(path, lambda text: "" if next(values) % 9 else text)
    assert 4 < len(foretell(holey, run=0, num_trials=16).covered) <= 9


def test_intervals_for_new_trainings_are_as_wide_as_trainings_scatter(path):
    """The made-up table's trainings have a standard deviation of 0.005 about additive means.

    Additive means of 81 rows are known from 120 trainings to about half of that.
    """
    space = read_table(path)
    trained = np.tile(np.random.default_rng(0).permutation(81)[:40], 3)
    accuracies = space.accuracies[trained, np.repeat(np.arange(3), 40)]
    low, high = predict_trainings(space, trained, accuracies, trained[:40])
    assert np.median(high - low) / (2 * 1.96) == pytest.approx(0.006, rel=0.3)


def test_a_table_is_measured_by_what_is_found_and_what_is_foretold(path):
    figures = {figure.name: figure for figure in measure_tables([path], 2, num_trials=16)}
    assert 0.3 < figures["share of the hypervolume found"].value <= 1
    assert figures["95 % intervals hold new trainings"].verdict
    assert {figure.count for figure in figures.values()} == {2}
