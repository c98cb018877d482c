"""What a run says of its effects: tables, files and JSON."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from support.made_up_effects import SPACE, Truth, draw_candidates, train
from support.run_folders import begin_run, store_trials
from typer.testing import CliRunner

from se_search.analysis.effects import Effect, analyze_effects
from se_search.cli import app
from se_search.report import effects as report


def make_trials(seed):
    rng = np.random.default_rng(seed)
    truth = Truth(rng, main=0.3, pairs=0.1, deviation=0.1)
    return train(rng, truth, draw_candidates(rng, 60))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return the folder of a run with 60 candidates, whose trials are made up."""
    folder = begin_run(tmp_path_factory.mktemp("effects"), SPACE, epochs=4)
    store_trials(folder, [trial for trial in make_trials(11) if trial.seed == 0])
    return folder.path


def test_the_command_says_how_many_effects_were_tested_and_writes_its_files(run):
    result = CliRunner().invoke(app, ["effects", str(run)])
    assert result.exit_code == 0, result.output
    with (run / "effects.csv").open() as file:
        rows = list(csv.DictReader(file))
    main = [row for row in rows if row["family"] == "main effects"]
    marked = sum(row["holds"] == "True" for row in main)
    tested = sum(row["gain"] != "" for row in main)
    assert f"{tested} main effects tested, {marked} marked" in result.output
    assert (run / "effects.pdf").read_bytes().startswith(b"%PDF")
    assert f"{run}/effects.png, {run}/effects.pdf, {run}/effects.csv" in result.output
    assert (run / "effects.png").read_bytes().startswith(b"\x89PNG")


def test_json_has_every_effect(run):
    result = CliRunner().invoke(app, ["effects", str(run), "--json"])
    event = json.loads(result.output)
    assert event["event"] == "effects"
    with (run / "effects.csv").open() as file:
        assert len(event["effects"]) == sum(1 for _ in csv.DictReader(file))


def test_of_many_contrasts_only_those_that_hold_are_shown(run, monkeypatch):
    monkeypatch.setattr(report, "MAX_CONTRASTS", 3)
    result = CliRunner().invoke(app, ["effects", str(run)])
    with (run / "effects.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["family"] == "interactions"]
    assert len(rows) == 6
    for row in rows:
        assert (row["slot"] in result.output) == (row["holds"] == "True")
    assert "only those that differ from 0 are shown" in result.output


def test_a_figure_with_very_many_main_effects_has_those_of_slots_and_those_that_hold(run):
    found = analyze_effects(make_trials(12), SPACE)
    widths = [replace(effect, p_holm=1.0) for effect in found.main if effect.kind == "width"]
    holding = replace(widths[0], p_holm=0.001)
    slots = [effect for effect in found.main if effect.level == "any SE"]
    many = replace(found, main=(*slots, holding, *widths * 20))
    shown, *_ = report.shown_effects(many).values()
    assert list(shown) == [*slots, holding]
    assert "effects.csv has all" in report.describe_figure(many)
    shown, *_ = report.shown_effects(found).values()
    assert list(shown) == list(found.main)
    assert "effects.csv" not in report.describe_figure(found)


def test_an_effect_that_is_not_known_is_told_as_such():
    unknown = Effect("slot", "stage2", "any SE", "no SE", reason="why")
    found = analyze_effects(make_trials(12), SPACE)
    assert unknown.gain_per_pct is None
    assert not unknown.holds
    found = replace(found, main=(unknown, *found.main))
    assert "stage2 any SE" in report.caution(found)
