"""Runs of a user's own network: what they are is their content, and they go on from anywhere."""

import shutil
import sys

import pytest
import yaml
from support.sessions import MadeUpSessions

from se_search.commands.confirm import confirm
from se_search.commands.options import ConfirmOptions, SearchOptions
from se_search.commands.search import search
from se_search.commands.settings import absolute
from se_search.errors import BackboneError, RunChangedError, RunError
from se_search.record import Evaluation
from se_search.report.display import QuietDisplay
from se_search.store.run_folder import RunFolder
from se_search.store.trials import read_records

NETWORK = """
from torch import nn
from confirmed_blocks import make


class Net(nn.Module):
    def __init__(self, num_classes, in_channels):
        super().__init__()
        self.conv = make(in_channels, 4)
        self.fc = nn.Linear(4, num_classes)

    def forward(self, x):
        return self.fc(self.conv(x).mean((2, 3)))

    def se_sites(self):
        return [{"stage": 2, "standard": {"after": "conv"}}]
"""
BLOCKS = """
from torch import nn


def make(before, after):
    return nn.Conv2d(before, after, (1, 3))
"""
SPACE = "granularity: stage\nchoices: {none: true, reduction: [1, 2, 4]}\n"
RECIPE = "epochs: 1\nbatch_size: 64\noptimizer: {lr: 0.1}\nsplit: {validation: 287}\n"


def evaluate(assignment):
    bits = (b"\x80" + 35 * b"\x00", b"\x80" + 44 * b"\x00")
    row = {"epoch": 1, "accuracy": 1 / 287, "loss": 1.0, "test_accuracy": 1 / 360, "test_loss": 1.0}
    return Evaluation(1 / 287, 1.0, (row,), bits[0], 1.0, bits[1])


class Project:
    """A user's folder with a network of two files, and a run of it that lies beside the folder."""

    def __init__(self, parent):
        self.folder, self.elsewhere = parent / "project", parent / "elsewhere"
        self.runs, self.notes = parent / "runs", []
        for path in (self.folder, self.elsewhere):
            path.mkdir()
        self.write()

    def write(self, network=NETWORK, blocks=BLOCKS):
        for name, text in (
            ("confirmed_network.py", network),
            ("confirmed_blocks.py", blocks),
            ("space.yaml", SPACE),
            ("recipe.yaml", RECIPE),
        ):
            (self.folder / name).write_text(text)

    def search(self, trials=2, **options):
        forget()
        display = QuietDisplay()
        display.note = self.notes.append
        given = {"space": "space.yaml", "recipe": "recipe.yaml", "data": "digits", "name": "run"}
        options = SearchOptions(
            backbone="confirmed_network:Net",
            allow_code=True,
            trials=trials,
            runs_dir=self.runs,
            **(given | options),
        )
        return search(options, display, MadeUpSessions(evaluate)).folder

    def confirm(self, run, allow_code=True):
        forget()
        sessions = MadeUpSessions(evaluate)
        options = ConfirmOptions(replicates=2, allow_code=allow_code)
        confirm(run, options, self.notes.append, open_session=sessions)
        return sessions.trained


def forget():
    """Be another process, as far as imports go."""
    for name in ("confirmed_network", "confirmed_blocks"):
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", list(sys.path))
        project = Project(tmp_path_factory.mktemp("own"))
        patch.chdir(project.folder)
        return project, project.search()


@pytest.fixture
def project(template, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(template[0].folder)
    yield template[0]
    template[0].write()
    forget()


@pytest.fixture
def run(template, tmp_path):
    return RunFolder(shutil.copytree(template[1].path, tmp_path / "run"))


@pytest.fixture
def recorded(template):
    return template[1].read_config()


def test_another_source_of_what_the_network_imports_is_refused_by_the_name_of_its_file(
    project, run
):
    project.write(blocks=BLOCKS + "# nobody knows whether a file that has changed trains alike\n")
    for again in (lambda: project.search(3), lambda: project.confirm(run)):
        with pytest.raises(RunError, match=r"\n  confirmed_blocks\.py: another content"):
            again()


def test_files_that_are_imported_now_or_were_before_are_refused_by_their_names(project):
    (project.folder / "confirmed_more.py").write_text("")
    project.write(
        network=NETWORK.replace("from confirmed_blocks import", "from confirmed_more import")
    )
    with pytest.raises(BackboneError, match="importing confirmed_network raised ImportError"):
        project.search(3)
    project.write(network="import confirmed_more\n" + NETWORK)
    with pytest.raises(RunChangedError) as caught:
        project.search(3)
    assert sorted(str(caught.value).splitlines()[1:-1]) == [
        "  confirmed_more.py: imported now, and not before",
        "  confirmed_network.py: another content",
    ]


def test_another_shape_of_a_parameter_is_refused_where_parameters_and_costs_are_as_many(project):
    project.write(blocks=BLOCKS.replace("(1, 3)", "(3, 1)"))
    with pytest.raises(RunChangedError, match=r"backbone\.parameters: "):
        project.search(3)


def test_another_place_of_a_site_is_refused(project):
    project.write(network=NETWORK.replace('"after": "conv"', '"before": "fc"'))
    with pytest.raises((RunChangedError, BackboneError)):
        project.search(3)


def test_paths_of_files_are_absolute_and_no_part_of_what_a_run_is(project, recorded):
    search = recorded["search"]
    assert search["code"] == recorded["working_directory"] == str(project.folder)
    assert search["space"] == str(project.folder / "space.yaml")
    assert search["recipe"] == str(project.folder / "recipe.yaml")
    assert str(project.folder.parent) not in yaml.safe_dump(recorded["identity"])


def test_names_of_what_is_shipped_are_no_paths():
    assert absolute("stages", ["stages"]) == "stages"
    assert absolute(None) is None


def test_code_is_not_run_for_a_confirmation_unless_that_is_allowed(project, run, monkeypatch):
    monkeypatch.chdir(project.elsewhere)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p != str(project.folder)])
    with pytest.raises(BackboneError, match="--allow-code"):
        project.confirm(run, allow_code=False)
    assert str(project.folder) not in sys.path


def test_a_run_is_confirmed_from_another_folder_and_goes_on_where_its_project_was_moved(
    project, run, recorded, monkeypatch, tmp_path
):
    monkeypatch.chdir(project.elsewhere)
    assert project.confirm(run)
    moved = project.folder.rename(tmp_path / "moved")
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p != str(project.folder)])
    try:
        with pytest.raises(BackboneError, match="no module confirmed_network in ") as caught:
            project.search(3, space=str(moved / "space.yaml"), recipe=str(moved / "recipe.yaml"))
        assert all(str(place) in str(caught.value) for place in (project.folder, project.elsewhere))
        monkeypatch.chdir(moved)
        folder = project.search(3)
        assert folder.read_config()["search"]["code"] == str(moved)
        assert len(read_records(folder.database)) == 3
    finally:
        moved.rename(project.folder)
