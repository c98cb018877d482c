"""Samplers replayed on a table: by the real loop and store, and from the command line."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from support.tables import write_made_up_table, write_table
from typer.testing import CliRunner

from se_search.benchmark.options import BenchmarkOptions
from se_search.benchmark.replay import Job, benchmark_samplers, list_jobs, replay
from se_search.benchmark.table_file import read_table
from se_search.cli import app
from se_search.errors import RunError, SpaceError
from se_search.record import Rung
from se_search.search.registry import SAMPLERS

COMPARED = [name for name in SAMPLERS if name != "grid"]
ARMS = ("off", "2x1,6x1")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_made_up_table(tmp_path_factory.mktemp("tables") / "toy.csv")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Return a table with fewer trainings than the trials that a test makes: 9 rows, 2 seeds."""
    path = tmp_path_factory.mktemp("tables") / "small.csv"
    return write_made_up_table(path, num_columns=2, num_replicates=2)


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
def test_a_replay_trains_each_row_in_each_replicate_once_and_then_ends(small, sampler, workers):
    found = replay(Job(small, sampler, run=0, seed=5, trials=24, workers=workers))
    table = read_table(small)
    pairs = set(zip(found.rows.tolist(), found.seeds.tolist(), strict=True))
    assert len(found.rows) == len(pairs) == 9 * 2  # rows x columns
    assert set(found.seeds.tolist()) == {0, 1}
    for row, accuracy in zip(found.rows, found.accuracies, strict=True):
        assert accuracy in table.accuracies[row]


def test_the_trainings_of_a_replay_take_turns_among_the_columns(path):
    found = replay(Job(path, "random", 0, 0, trials=60, workers=1))
    assert (abs(np.bincount(found.seeds) - 20) <= 2).all()
    found = replay(Job(path, "random", 0, 0, trials=60, workers=1, replicates=2))
    assert (np.bincount(found.seeds)[:2] >= 27).all()


def test_the_columns_that_a_row_lacks_are_passed_over(tmp_path):
    lines = ["x_a,cost,accuracy_1,accuracy_2", *(f"{n},{n + 1},0.{n + 1},0.5" for n in range(4))]
    lines += ["4,5,0.9,", "5,6,,0.2"]
    path = write_table(tmp_path / "t.csv", *lines)
    for sampler in sorted(SAMPLERS):
        found = replay(Job(path, sampler, 0, 0, trials=20, workers=1))
        assert np.bincount(found.rows).tolist() == [2, 2, 2, 2, 1, 1]


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
    options = BenchmarkOptions(tables=(path,), samplers="tpe,random", runs=3)
    jobs = list_jobs(options)
    assert [(job.run, job.sampler) for job in jobs] == [
        (run, sampler) for run in range(3) for sampler in ("tpe", "random")
    ]
    assert len({job.seed for job in jobs}) == 3
    assert jobs != list_jobs(replace(options, seed=1))


def test_processes_side_by_side_find_what_one_finds(path, tmp_path):
    console = Console(quiet=True)
    benchmarks = [
        benchmark_samplers(
            BenchmarkOptions(
                tables=(path,),
                samplers="random",
                trials=8,
                runs=2,
                output=tmp_path / str(jobs),
                jobs=jobs,
            ),
            console,
        )
        for jobs in (1, 2)
    ]
    one, two = ([r.rows.tolist() for r in benchmark.replays] for benchmark in benchmarks)
    assert one == two


@pytest.mark.parametrize(
    ("trials", "checkpoints"),
    [(12, (12,)), (50, (25, 50)), (60, (25, 50, 60)), (200, (25, 50, 100, 200))],
)
def test_runs_are_scored_at_the_checkpoints_that_they_reach_and_at_their_end(trials, checkpoints):
    assert BenchmarkOptions(tables=(), trials=trials).checkpoints == checkpoints


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
    names = ("samplers.csv", "curves.csv", "samplers.png", "samplers.pdf")
    assert f"Written: {', '.join(f'{folder}/{name}' for name in names)}" in output
    assert (folder / "samplers.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "samplers.pdf").read_bytes().startswith(b"%PDF")


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


@pytest.fixture(scope="module")
def climbed(tmp_path_factory):
    """Return what a benchmark with and without rungs printed, and its folder."""
    folder = tmp_path_factory.mktemp("climbed")
    table = write_made_up_table(folder / "rungs.csv", shorter=(2,))
    arms = ("--promotion", "off", "--promotion", "2x1,6x1", "--epochs", 6)
    outcome = call(
        *("--table", table, *arms, "--samplers", "random,tpe"),
        *("--trials", 14, "--runs", 3, "--output", folder / "out"),
    )
    assert outcome.exit_code == 0, outcome.output
    return outcome.output, folder


def test_arms_with_and_without_rungs_spend_the_same_epochs(climbed):
    _, folder = climbed
    rows = read_rows(folder / "out" / "samplers.csv")
    assert {(r["sampler"], r["promotion"], r["epochs"]) for r in rows} == {
        (sampler, promotion, "84") for sampler in ("random", "tpe") for promotion in ARMS
    }
    curves = read_rows(folder / "out" / "curves.csv")
    for sampler in ("random", "tpe"):
        for promotion in ARMS:
            own = [r for r in curves if (r["sampler"], r["promotion"]) == (sampler, promotion)]
            assert [int(r["epochs"]) for r in own] == [6 * t for t in range(1, 15)]
            assert [int(r["trials"]) for r in own] == list(range(1, 15))


def test_epochs_to_reach_what_the_same_sampler_reaches_without_rungs_are_printed(climbed):
    output, folder = climbed
    lines = output.splitlines()
    assert any("epochs to reach the final hypervolume of" in line for line in lines)
    start = next(i for i, line in enumerate(lines) if "epochs, of 84, to reach" in line)
    (line,) = [x for x in lines[start : start + 9] if x.startswith("│ random 2x1,6x1")]
    curves = read_rows(folder / "out" / "curves.csv")
    assert {r["trials"] for r in curves} == {str(t) for t in range(1, 15)}
    share = line.split("│")[-2].strip()
    assert share == "-" or 0 < float(share) <= 1
    assert "A trial is 6 epochs, a full training's worth" in output


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_a_replay_with_rungs_looks_up_shorter_trainings_and_keeps_to_its_epochs(
    climbed, sampler, workers
):
    path = climbed[1] / "rungs.csv"
    rungs = (Rung(2, 1), Rung(6, 1))
    found = replay(
        Job(path, sampler, 0, 5, trials=12, workers=workers, rungs=rungs, epochs=6, eta=3)
    )
    table = read_table(path)
    assert 72 - 6 < found.epochs.sum() <= 72
    assert set(found.epochs.tolist()) == {2, 6}
    assert len(found.rows) > 12
    assert found.num_duplicates == 0
    for row, accuracy, epochs in zip(found.rows, found.accuracies, found.epochs, strict=True):
        assert accuracy in (table.shorter[2] if epochs == 2 else table.accuracies)[row]


def test_short_trainings_that_sort_well_save_epochs(tmp_path):
    path = write_made_up_table(tmp_path / "t.csv", num_columns=5, shorter=(1,), noise=0.001)
    options = BenchmarkOptions(
        tables=(path,),
        samplers="random",
        trials=15,
        runs=4,
        output=tmp_path / "out",
        promotions=("off", "1x1,9x1"),
        epochs=9,
    )
    benchmark = benchmark_samplers(options, Console(quiet=True))
    plain, climbing = (benchmark.curve(arm, ["t"]).mean[-1] for arm in benchmark.arms)
    assert climbing > plain + 0.02
    counts = benchmark.counts_to_final("random 1x1,9x1", "random", ["t"])
    assert np.median(counts) < 9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--promotion", "2x1,6x1"], "promotion '2x1,6x1' needs --epochs"),
        (["--promotion", "2x1,4x1", "--epochs", "6"], "the last rung must be the full training"),
        (["--promotion", "3x1,6x1", "--epochs", "6"], "has no trainings of 3 epochs"),
        (["--promotion", "auto", "--epochs", "12"], "has no trainings of 3 epochs"),
        (["--epochs", "2"], "these have more than --epochs 2"),
        (["--promotion", "off", "--promotion", "off"], "each must be another one"),
        (["--eta", "1"], "eta 1 is below 2"),
    ],
)
def test_rungs_that_a_table_does_not_have_are_refused(climbed, arguments, message):
    outcome = call("--table", climbed[1] / "rungs.csv", *arguments)
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
