"""The commands that look at runs, in this process; the fronts are kept, so nothing is fitted."""

import json
import os

import pytest
from support.kept_runs import make_front, make_run, make_trial
from support.made_up_fronts import GOOD, PLAIN
from typer.testing import CliRunner

from se_search.cli import app
from se_search.commands.status import announce_fit
from se_search.errors import RunChangedError
from se_search.store.run_folder import RunFolder

TRIALS = [make_trial("no SE", 0.80), make_trial("s2:4", 0.81)]


def invoke(*arguments, expect=0, width="80"):
    outcome = CliRunner(env={"COLUMNS": width}).invoke(app, list(map(os.fspath, arguments)))
    assert outcome.exit_code == expect, outcome.output + repr(outcome.exception)
    return outcome


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    front = make_front(candidates=(PLAIN, GOOD))
    for name in ("one", "two"):
        make_run(tmp_path / "runs" / name, TRIALS, front, ending="finished", trials=2)
    return tmp_path / "runs"


def test_ls_lists_the_runs_of_the_usual_folder(runs):
    text = invoke("ls").stdout
    assert "2 runs in runs" in text
    assert text.count("settled") == 2
    assert max(map(len, text.splitlines())) <= 80
    rows = json.loads(invoke("ls", runs, "--json").stdout)["runs"]
    assert {row["name"]: row["gain"] for row in rows} == {"one": GOOD.gain, "two": GOOD.gain}


def test_ls_of_an_empty_folder_says_what_begins_a_run(tmp_path):
    assert "No runs in" in invoke("ls", tmp_path).stdout
    assert json.loads(invoke("ls", tmp_path, "--json").stdout)["runs"] == []


def test_status_of_a_run_says_how_far_it_is_and_what_is_best(runs):
    text = invoke("status", "one").stdout
    assert "State: settled" in text
    assert "Trials: 2 of 2;" in text
    assert "s2:4 +0.62 (0.31 to 0.93)" in text
    event = json.loads(invoke("status", "one", "--json").stdout)
    assert event["answer"] == "s2:4 +0.62 (0.31 to 0.93)"


def test_status_of_a_run_without_trials_is_told(tmp_path):
    make_run(tmp_path / "new", trials=200)
    assert "Nothing is known so far" in invoke("status", tmp_path / "new").stdout
    assert json.loads(invoke("status", tmp_path / "new", "--json").stdout)["best"] is None


def test_compare_puts_two_runs_side_by_side(runs):
    assert "The best at a cost or less" in invoke("compare", "one", "two").stdout
    event = json.loads(invoke("compare", "one", "two", "--json").stdout)
    assert [run["run"] for run in event["runs"]] == ["runs/one", "runs/two"]


def test_compare_refuses_runs_of_two_protocols(runs):
    make_run(runs / "three", TRIALS, identity={"epochs": 8})
    outcome = invoke("compare", "one", "three", expect=1)  # the command line's main maps it to 4
    assert isinstance(outcome.exception, RunChangedError)


def test_a_fit_that_takes_seconds_is_announced_unless_the_front_is_kept(runs, capsys):
    announce_fit(RunFolder(runs / "one"), 2)
    assert capsys.readouterr().err == ""
    announce_fit(RunFolder(runs / "one"), 1_000)
    assert capsys.readouterr().err == "Fitting the model to 1,000 trainings: about 15 s ...\n"
