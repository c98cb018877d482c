"""Fixtures of the tests of README and docs."""

import shutil
import sys

import pytest
from support.pages import PAGES, ROOT, read_blocks


@pytest.fixture(scope="session")
def example_runs(call, tmp_path_factory):
    """Return a folder with the run ``stages_ratio`` that the pages speak of, though a small one."""
    folder = tmp_path_factory.mktemp("example")
    options = ("--data", "digits", "--epochs", 1, "--trials", 12, "--quiet")
    call("run", "--space", "stages_ratio", *options, folder=folder)
    return folder / "runs"


@pytest.fixture(params=PAGES, ids=lambda page: page.name)
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
