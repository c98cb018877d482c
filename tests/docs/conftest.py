"""Fixtures of the tests of README and docs."""

import hashlib
import shutil
import sys

import numpy as np
import pytest
from support.pages import PAGES, ROOT, TUTORIAL, read_blocks
from support.sessions import MadeUpSessions

from se_search.commands.options import SearchOptions
from se_search.commands.search import search
from se_search.models.surgery import build
from se_search.recipe import read_recipe
from se_search.record import Evaluation
from se_search.report.display import make_display
from se_search.training.final_weights import keep_weights

QUICK = read_recipe("quick")
NUM_VALIDATION = 10_000  # images, by the recipe ``quick``


def make_up(assignment):
    """Return a training whose accuracy depends on candidate and seed alone, around 80 %."""
    text = f"{assignment.candidate.key} {assignment.seed}"
    draw = int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 16**8
    correct = np.arange(NUM_VALIDATION) < round((0.79 + 0.02 * draw) * NUM_VALIDATION)
    row = {"epoch": 3, "accuracy": float(correct.mean()), "loss": 0.5}
    if assignment.weights_file is not None:  # those that were drawn stand for trained ones
        keep_weights(build(assignment.candidate, assignment.seed), assignment, QUICK, row, "a CPU")
    return Evaluation(row["accuracy"], 0.5, (row,), np.packbits(correct).tobytes(), 1.0)


@pytest.fixture(scope="session")
def example_runs(tmp_path_factory):
    """Return a folder with the run ``stages_ratio`` that the pages speak of; trainings made up."""
    folder = tmp_path_factory.mktemp("example") / "runs"
    options = SearchOptions(space="stages_ratio", trials=24, runs_dir=folder)
    search(options, make_display(quiet=True), MadeUpSessions(make_up))
    return folder


@pytest.fixture(params=[page for page in PAGES if page != TUTORIAL], ids=lambda page: page.name)
def page(request):
    return request.param


@pytest.fixture
def reader(page, example_runs, tmp_path, monkeypatch):
    """Put the test where a reader of the page is: the run, the studies and the page's own files."""
    shutil.copytree(example_runs, tmp_path / "runs")
    shutil.copytree(ROOT / "studies", tmp_path / "studies")
    for block in read_blocks(page):
        if block.file_name:
            (tmp_path / block.file_name).write_text(block.text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("mynet", None)
