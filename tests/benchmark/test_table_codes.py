"""Rows of a table as rows of codes: against the table listed and priced one by one."""

import numpy as np
import pytest
from scipy import stats
from support.tables import write_made_up_table

from se_search.benchmark.table import TableRow
from se_search.benchmark.table_file import read_table
from se_search.errors import SpaceError


@pytest.fixture
def table(tmp_path):
    return read_table(
        write_made_up_table(tmp_path / "t.csv", 4, keep=lambda values: sum(values) != 3)
    )


def as_set(codes):
    return {tuple(row) for row in codes.tolist()}


def test_codes_and_rows_of_a_table_are_each_others_inverse(table):
    assert table.size == len(table.codes()) == 3**4 - 16
    for row, codes in zip(table, table.codes(), strict=True):
        assert tuple(table.levels[slot][code] for slot, code in enumerate(codes)) == row.values
        np.testing.assert_array_equal(table.codes_of(row), codes)
        assert table.with_codes(codes) == row


def test_a_row_that_a_table_lacks_has_no_codes(table):
    with pytest.raises(SpaceError, match="no row"):
        table.codes_of(TableRow(None, (0, 1, 1, 1)))


def test_prices_of_a_table_are_those_of_its_rows(table):
    def price(row):
        return (table.count_cost(row).params,)

    codes = table.codes()[::7]
    wanted = [price(table.candidate_at(number)) for number in range(0, table.size, 7)]
    np.testing.assert_array_equal(table.price_codes(codes, price), wanted)
    low, high = table.price_ends(price)
    assert (low.tolist(), high.tolist()) == ([101], [100 + 2**8])


def test_a_table_draws_its_rows_uniformly(table):
    drawn = table.draw_codes(60 * table.size, np.random.default_rng(0))
    unique, counts = np.unique(drawn, axis=0, return_counts=True)
    assert as_set(unique) == as_set(table.codes())
    assert stats.chisquare(counts).pvalue > 0.001


def test_neighbours_in_a_table_are_rows_that_it_has(table):
    codes = table.codes()
    for row in codes[::5]:
        wanted = {
            tuple(o)
            for o in codes.tolist()
            if sum(a != b for a, b in zip(o, row, strict=True)) == 1
        }
        assert as_set(table.neighbours(row)) == wanted


def test_columns_of_a_table_with_the_same_levels_speak_the_same_language(table):
    first, *others = table.describe_levels()
    assert all(other == first for other in others)
    assert len({tuple(level.items()) for level in first}) == 3
