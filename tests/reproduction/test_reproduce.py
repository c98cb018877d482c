"""Studies carried out: what is trained, shared, judged and written."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from se_search.device import Hardware
from se_search.errors import StudyFileError
from se_search.execution.serial import SerialExecutor
from se_search.record import Evaluation
from se_search.reproduction import reproduce as module
from se_search.reproduction.reproduce import ReproduceOptions, make_plan, reproduce
from se_search.store.training_log import read_log

COMMAND = str(Path(sys.executable).with_name("se-search"))
RECIPE = """
epochs: 1
batch_size: 64
optimizer: {name: sgd, lr: 0.1}
split: {validation: 100}
validate_every: 0
"""
STUDY = """
title: SE on digits
question: Does it help?
baseline: none
candidates:
  none: all=none
  all: all=standard:r16
  CANDIDATE
paper:
  source: made up
  network: none
  figures: {none: {top1_error: 10.0}, all: {top1_error: 9.0, top5_error: 1.0}}
claims: [all beats none, none beats all by 1, all equals none within 30 in top-5,
  all equals none within 30]
scales:
  desk: {backbone: resnet20_bottleneck, data: digits, recipe: r.yaml, seeds: 6}
"""


@pytest.fixture
def folder(tmp_path):
    """Two studies that share two candidates."""
    for name, line in (("one", "first: stage2=standard:r16"), ("two", "last: stage5=standard:r16")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "study.yaml").write_text(STUDY.replace("CANDIDATE", line))
        (tmp_path / name / "r.yaml").write_text(RECIPE)
    return tmp_path


def right_images(assignment, num_test):
    """SE gains 4 points; seeds move a training by 1."""
    rng = np.random.default_rng([assignment.seed, int(assignment.candidate.key, 16)])
    share = 0.8 + 0.04 * any(assignment.candidate.blocks) + 0.01 * rng.standard_normal()
    return rng.random(num_test) < share


@pytest.fixture
def trained(monkeypatch, cache_dir):
    """Make trainings up, and return those that were asked for."""
    asked = []

    def evaluate(assignment):
        asked.append(assignment)
        right = right_images(assignment, 360)
        row = {
            "epoch": assignment.epochs,
            "accuracy": 0.5,
            "loss": 1.0,
            "test_accuracy": float(right.mean()),
            "test_loss": 1.0,
            "test_top5": 0.99,
        }
        bits = np.packbits(right).tobytes()
        return Evaluation(0.5, 1.0, (row,), bits, 0.1, test_correct=bits)

    monkeypatch.setattr(module, "LocalExecutor", lambda *rest: SerialExecutor(evaluate))
    monkeypatch.setattr(module, "warm_up", lambda *rest: None)
    hardware = Hardware("cpu", 1, 2, "a CPU", "32-true")
    monkeypatch.setattr(module, "call_in_child", lambda *rest: hardware)
    return asked


@pytest.fixture
def cache_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("SE_SEARCH_CACHE", str(tmp_path / "cache"))


def options(folder, *names, **changes):
    return ReproduceOptions(
        names=tuple(str(folder / name) for name in names), store=folder / "store", **changes
    )


def note(text):
    pass


def test_studies_share_the_trainings_that_they_have_in_common(folder, trained):
    reproduce(options(folder, "one"), note)
    assert len(trained) == 3 * 6
    reports, signal = reproduce(options(folder, "one", "two"), note)
    assert len(trained) == 4 * 6
    assert len({(a.candidate.key, a.seed) for a in trained}) == 4 * 6
    assert signal is None
    assert [report.num_missing for report in reports] == [0, 0]
    assert len(list((folder / "store").glob("*.jsonl"))) == 1


def test_all_candidates_are_trained_with_one_seed_before_the_next(folder, trained):
    reproduce(options(folder, "one", "two", seeds=3), note)
    assert [a.seed for a in trained] == [0] * 4 + [1] * 4 + [2] * 4


def test_more_seeds_go_on_with_the_same_trainings(folder, trained):
    reproduce(options(folder, "one", seeds=2), note)
    reproduce(options(folder, "one", seeds=4), note)
    assert [a.seed for a in trained] == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3


def test_another_recipe_has_trainings_of_its_own(folder, trained):
    reproduce(options(folder, "one", seeds=2), note)
    (folder / "one" / "r.yaml").write_text(RECIPE.replace("0.1", "0.2"))
    reproduce(options(folder, "one", seeds=2), note)
    assert len(trained) == 2 * 3 * 2


def test_a_page_has_the_claims_of_all_studies_beside_the_paper(folder, trained):
    reproduce(options(folder, "one"), note)
    assert not (folder / "store" / "desk.md").exists()
    reproduce(options(folder, "one", "two"), note)
    page = (folder / "store" / "desk.md").read_text()
    assert "8 claims: 6 supported, 2 refuted, 0 undecided" in page
    line = "| [two](two/desk/results.md) | all beats none | +1.00 |"
    assert page.count(line) == 1


def test_results_can_be_made_again_without_training(folder, trained):
    reproduce(options(folder, "one", seeds=2), note)
    num_trained = len(trained)
    ((report,), _) = reproduce(options(folder, "one", train=False), note)
    assert len(trained) == num_trained
    assert report.num_missing == 3 * 4
    assert "12 trainings are missing" in (report.folder / "results.md").read_text()


def test_without_any_training_there_is_nothing_to_report(folder, cache_dir):
    with pytest.raises(StudyFileError, match="no trainings of one yet"):
        reproduce(options(folder, "one", train=False), note)


def test_imagenet_must_be_told_where_it_is():
    with pytest.raises(StudyFileError, match="imagenet:PATH"):
        make_plan("gate", ReproduceOptions(names=("gate",), scale="paper"))


def test_a_scale_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(StudyFileError, match="'moon' is not one of desk, paper"):
        make_plan("gate", ReproduceOptions(names=("gate",), scale="moon"))


def test_a_study_runs_from_the_command_line_and_is_not_trained_twice(folder, tmp_path):
    environment = os.environ | {"SE_SEARCH_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    command = [COMMAND, "reproduce", "one", "--seeds", "2", "--store", "store"]
    outcome = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240
    )
    assert outcome.returncode == 0, outcome.stderr
    assert "6 of them missing" in outcome.stderr
    assert "all beats none" in outcome.stdout
    log = next((folder / "store").glob("*.jsonl"))
    before = log.read_bytes()
    assert len(read_log(log).trainings) == 6
    again = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240
    )
    assert "0 of them missing" in again.stderr
    assert log.read_bytes() == before
    assert again.stdout == outcome.stdout
