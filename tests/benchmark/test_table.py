"""Tables of finished trainings: as spaces, and as what trainings come to."""

import numpy as np
import pytest
from support.tables import write_made_up_table, write_table

from se_search.benchmark.table import TableRow, TableTrainings
from se_search.benchmark.table_file import read_table
from se_search.errors import SpaceError
from se_search.record import Assignment
from se_search.search.candidate_set import WholeSpace
from se_search.search.registry import SAMPLERS, Setup

HEADER = "x_kind,x_width,cost,accuracy_1,accuracy_2"
ROWS = ("none,16,100,0.5,0.6", "se,8,120,0.7,0.8", "se,16,140,0.9,1.0", "eca,8,110,0.25,0.35")


@pytest.fixture
def table(tmp_path):
    return read_table(write_table(tmp_path / "small.csv", HEADER, *ROWS))


@pytest.fixture
def sparse(tmp_path):
    """Return a table of 15 of 81 combinations."""
    path = write_made_up_table(tmp_path / "sparse.csv", keep=lambda values: sum(values) >= 6)
    return read_table(path)


def test_a_tables_rows_are_its_candidates_and_its_columns_its_parameters(table):
    assert (table.name, table.size) == ("small", 4)
    assert [row.values for row in table] == [("none", 16), ("se", 8), ("se", 16), ("eca", 8)]
    assert {p.name: p.choices for p in table.parameters} == {
        "x_kind": ("eca", "none", "se"),
        "x_width": (8, 16),
    }
    assert table.costs.tolist() == [100, 120, 140, 110]
    assert table.mean_accuracies.tolist() == pytest.approx([0.55, 0.75, 0.95, 0.3])


def test_a_column_of_one_level_is_a_slot_and_no_parameter(tmp_path):
    lines = ("x_a,x_b,cost,accuracy_1", "1,same,1,0.5", "2,same,1,0.5")
    table = read_table(write_table(tmp_path / "t.csv", *lines))
    assert table.levels == ((1, 2), ("same",))
    assert [p.name for p in table.parameters] == ["x_a"]
    assert table.choose(lambda parameter: 2) == table.candidate_at(1)


def test_a_row_is_found_by_its_number_its_text_and_its_parameters(sparse):
    for index, row in enumerate(sparse):
        assert sparse.candidate_at(index) == row
        assert sparse.index_of(row) == index
        assert sparse.parse(str(row)) == row
        params = sparse.encode(row)
        assert sparse.choose(lambda parameter, params=params: params[parameter.name]) == row
        assert row in sparse


def test_the_codes_spell_the_rows(sparse):
    spelled = [
        tuple(levels[code] for levels, code in zip(sparse.levels, codes, strict=True))
        for codes in sparse.codes().tolist()
    ]
    assert spelled == [row.values for row in sparse]


def test_rows_have_different_keys(sparse):
    assert len({row.key for row in sparse}) == sparse.size


def test_a_combination_that_the_table_lacks_is_not_in_it(table):
    row = table.choose(lambda parameter: {"x_kind": "eca", "x_width": 16}[parameter.name])
    assert row == TableRow(None, ("eca", 16))
    assert row not in table
    with pytest.raises(SpaceError, match="small has no row of eca 16"):
        table.index_of(row)


@pytest.mark.parametrize("text", ["4: se 8", "none", "-1: se 8", ""])
def test_a_text_of_no_row_is_refused(table, text):
    with pytest.raises(SpaceError, match=f"small has no row '{text}'"):
        table.parse(text)


@pytest.mark.parametrize("index", [-1, 4])
def test_a_number_beyond_the_rows_is_refused(table, index):
    with pytest.raises(IndexError, match=rf"row {index} is not in 0\.\.3"):
        table.candidate_at(index)


def test_whole_costs_are_kept_as_they_are(table):
    assert [table.count_cost(row).params for row in table] == [100, 120, 140, 110]


def test_other_costs_keep_their_proportions(tmp_path):
    rows = ("1,0.001234567,0.5", "2,0.002469134,0.5", "3,12345.67,0.5")
    table = read_table(write_table(tmp_path / "t.csv", "x_a,cost,accuracy_1", *rows))
    costs = np.array([table.count_cost(row).params for row in table])
    assert costs / costs[0] == pytest.approx([1, 2, 1e7], rel=1e-8)


# --- trainings ------------------------------------------------------------------------------


def train(trainings, index, seeds, epochs=1):
    row = trainings.space.candidate_at(index)
    return [trainings(Assignment(row, seed, epochs)).accuracy for seed in seeds]


def test_a_replicate_is_one_column_for_all_rows(sparse):
    trainings = TableTrainings(sparse, seed=1)
    assert sorted(trainings.columns) == [0, 1, 2]
    for replicate, column in enumerate(trainings.columns):
        for index in range(sparse.size):
            assert train(trainings, index, [replicate]) == [sparse.accuracies[index, column]]


def test_another_run_sees_the_columns_in_another_order(sparse):
    orders = {tuple(TableTrainings(sparse, seed).columns.tolist()) for seed in range(20)}
    assert len(orders) == 6
    assert len({tuple(TableTrainings(sparse, 3).columns.tolist()) for _ in range(2)}) == 1


def test_fields_that_are_empty_are_no_trainings(tmp_path):
    lines = ("x_a,cost,accuracy_1,accuracy_2,accuracy_3", "1,1,0.1,,0.3", "2,1,0.4,0.5,0.6")
    table = read_table(write_table(tmp_path / "t.csv", *lines))
    trainings = TableTrainings(table, seed=0)
    replicates = trainings.list_replicates(table.candidate_at(0))
    assert sorted(train(trainings, 0, replicates)) == [0.1, 0.3]
    assert trainings.count_replicates(table.candidate_at(0)) == 2
    assert trainings.list_replicates(table.candidate_at(1)) == [0, 1, 2]
    assert table.mean_accuracies.tolist() == pytest.approx([0.2, 0.5])


def test_a_seed_has_the_same_column_after_any_number_of_epochs(tmp_path):
    lines = (
        "x_a,cost,accuracy_1@20,accuracy_2@20,accuracy_1,accuracy_2",
        "1,1,0.21,0.22,0.31,0.32",
        "2,1,0.41,,0.61,",
    )
    table = read_table(write_table(tmp_path / "t.csv", *lines))
    trainings = TableTrainings(table, seed=3)
    (full, short) = (
        [trainings(Assignment(table.candidate_at(0), seed, epochs)).accuracy for seed in (0, 1)]
        for epochs in (100, 20)
    )
    assert sorted(full) == [0.31, 0.32]
    assert [f - s for f, s in zip(full, short, strict=True)] == pytest.approx([0.1, 0.1])


@pytest.mark.parametrize("name", sorted(SAMPLERS))
def test_samplers_propose_rows_that_are_in_the_table(sparse, name):
    import optuna

    sampler = SAMPLERS[name](
        Setup(
            *(sparse, WholeSpace(sparse), 0, sparse.count_cost, ("accuracy", "params"), 1),
            most_replicates=TableTrainings(sparse, 0).count_replicates,
        )
    )
    study = optuna.create_study(sampler=sampler, directions=["maximize", "minimize"])
    for _ in range(25):
        trial = study.ask()
        row = sparse.choose(lambda p, t=trial: t.suggest_categorical(p.name, p.choices))
        assert row in sparse
        for name_of, value in (("key", row.key), ("seed", 0), ("role", "proposal")):
            trial.set_user_attr(name_of, value)
        study.tell(trial, [float(sparse.mean_accuracies[row.index]), float(row.index)])
