"""What a run says of its effects: tables, files and JSON."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.made_up_effects import SPACE, Truth, draw_candidates, train
from support.records import make_record
from support.run_folders import begin_run, store_trials
from typer.testing import CliRunner

from se_search.analysis.effects import Effect, Effects
from se_search.cli import app
from se_search.errors import RunError
from se_search.report import effects as report

GAIN = Effect(
    *("slot", "stage2", "any SE", "no SE"),
    gain=0.5,
    low=0.25,
    high=0.75,
    p=0.001,
    num_candidates=9,
    num_trainings=12,
    cost_pct=0.25,
    holds=True,
)
UNSURE = replace(GAIN, kind="width", level="width 4", low=-0.25, p=0.4, holds=False)
UNKNOWN = Effect("slot", "stage3", "any SE", "no SE", reason="no trained candidate has it")
PAIR = replace(UNSURE, kind="interaction", slot="stage2 x stage3", level="SE in both")
MATCHED = replace(
    GAIN, kind="place at equal cost", level="SE in stage2", reference="in stage3", cost_pct=None
)
EFFECTS = Effects(
    (GAIN, UNSURE),
    (PAIR,),
    (MATCHED,),
    cost="params",
    num_candidates=40,
    num_trainings=50,
    num_short=0,
    num_replicates=4,
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return the folder of a run with 30 candidates in 4 replicates, whose trials are made up."""
    folder = begin_run(tmp_path_factory.mktemp("effects"), SPACE, epochs=4)
    store_trials(folder, make_trials())
    return folder.path


def make_trials():
    rng = np.random.default_rng(11)
    truth = Truth(rng, main=0.3, pairs=0.1, deviation=0.1)
    return train(rng, truth, draw_candidates(rng, 30))


def invoke(*arguments):
    result = CliRunner().invoke(app, ["effects", *map(str, arguments)])
    return result.exit_code, " ".join(result.output.split())


def test_the_command_says_how_many_effects_hold_and_writes_its_files(run):
    code, output = invoke(run)
    assert code == 0, output
    with (run / "effects.csv").open() as file:
        rows = list(csv.DictReader(file))
    main = [row for row in rows if row["family"] == "main effects"]
    marked = sum(row["holds"] == "True" for row in main)
    known = sum(row["gain"] != "" for row in main)
    assert f"{marked} of {known} main effects marked" in output
    count = len({trial.candidate for trial in make_trials()})
    assert f"34 full trainings of {count} candidates in 4 replicates" in output
    assert (run / "effects.pdf").read_bytes().startswith(b"%PDF")
    assert f"{run}/effects.png, {run}/effects.pdf, {run}/effects.csv" in output
    assert (run / "effects.png").read_bytes().startswith(b"\x89PNG")


def test_json_has_every_effect(run):
    event = json.loads(CliRunner().invoke(app, ["effects", str(run), "--json"]).output)
    assert event["event"] == "effects"
    assert (event["cost"], event["num_replicates"], event["unproven"]) == ("params", 4, None)
    with (run / "effects.csv").open() as file:
        assert len(event["effects"]) == sum(1 for _ in csv.DictReader(file))


def test_an_error_names_the_file_that_can_not_be_written_after_the_others_are(run, tmp_path):
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    (copy / "effects.csv").unlink(missing_ok=True)
    (copy / "effects.csv").mkdir()
    result = CliRunner().invoke(app, ["effects", str(copy)])
    assert str(result.exception) == f"{copy}/effects.csv can't be written: Is a directory"
    assert f"Not written (Is a directory): {copy}/effects.csv" in result.stdout
    assert (copy / "effects.png").is_file()


def test_a_run_without_a_model_says_why_there_are_no_effects(tmp_path):
    folder = begin_run(tmp_path / "run", SPACE)
    store_trials(folder, [make_record("net", 0.5)])
    with pytest.raises(RunError, match="no effects yet, as fewer than 8 trainings have ended"):
        report.write_effects(folder)


def cells_of(table):
    return [[cell.strip() for cell in row] for row in table.rows]


def test_a_gain_stands_beside_its_cost_and_a_star_says_that_it_holds():
    first, second = cells_of(report.main_table(EFFECTS))
    assert first[:5] == ["stage2", "any SE", "+0.50 (+0.25 to +0.75) *", "0.25", "+2.000"]
    assert second[:3] == ["", "width 4", "+0.50 (-0.25 to +0.75)"]
    headings = [column.heading for column in report.main_table(EFFECTS).columns]
    assert "added parameters %" in headings
    table = report.main_table(replace(EFFECTS, cost="macs"))
    assert "added MACs %" in [column.heading for column in table.columns]
    assert "added % is of MACs" in report.describe_figure(replace(EFFECTS, cost="macs"))


def test_contrasts_are_named_by_what_they_compare():
    (pair,), (matched,) = (
        cells_of(report.contrast_table(own, "")) for own in (EFFECTS.interactions, EFFECTS.matched)
    )
    assert pair[0] == "stage2 x stage3"
    assert matched[0] == "SE in stage2, not in stage3"


def test_of_many_contrasts_only_those_that_hold_are_shown():
    many = replace(EFFECTS, interactions=(replace(PAIR, holds=True), *[PAIR] * 40))
    _, shown, _ = report.shown_effects(many).values()
    assert len(shown) == 1
    assert "only those that differ from 0 are shown" in report.caution(many)
    _, shown, _ = report.shown_effects(EFFECTS).values()
    assert list(shown) == [PAIR]


def test_a_figure_with_very_many_main_effects_has_those_of_slots_and_those_that_hold():
    holding = replace(UNSURE, holds=True)
    many = replace(EFFECTS, main=(GAIN, holding, *[UNSURE] * 60))
    shown, *_ = report.shown_effects(many).values()
    assert list(shown) == [GAIN, holding]
    assert "effects.csv has all" in report.describe_figure(many)
    shown, *_ = report.shown_effects(EFFECTS).values()
    assert list(shown) == list(EFFECTS.main)
    assert "effects.csv" not in report.describe_figure(EFFECTS)


def test_an_effect_that_is_not_known_is_told_with_the_reason():
    unknown = replace(EFFECTS, main=(*EFFECTS.main, UNKNOWN))
    assert UNKNOWN.gain_per_pct is None
    assert cells_of(report.main_table(unknown))[-1][2] == "not known"
    told = "1 effect not known: stage3 any SE (no trained candidate has it)"
    assert told in report.caution(unknown)


def test_a_run_from_which_nothing_may_be_concluded_says_why_nothing_is_marked():
    unproven = replace(EFFECTS, unproven="all trainings are of one replicate")
    assert "Nothing is marked, as all trainings are of one replicate." in report.caution(unproven)
    assert "all trainings are of one replicate" in report.describe_figure(unproven)
    assert "Nothing is marked" not in report.caution(EFFECTS)
