"""The notebooks of examples/ run with few trainings, and hold the outputs of all of theirs."""

import os
import sys
from pathlib import Path

import nbformat
import pytest
from support.pages import ROOT

from se_search.candidate import Candidate
from se_search.cost import count_cost
from se_search.models.catalogue import describe_backbone

sys.path.append(str(ROOT / "examples"))

from execute import NOTEBOOKS, execute

FEW = {"default_run": {"TRIALS": 10, "LOOK": 2}, "own_network": {"TRIALS": 10, "EPOCHS": 1}}
MACHINE = ("/tmp/", "/root/", "/home/")  # paths of the machine that made the outputs


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    """Return the path of a notebook, and its cells of code as they are kept."""
    return request.param, code_of(nbformat.read(request.param, as_version=4))


@pytest.fixture(scope="module")
def executed(notebook, tmp_path_factory, environment):
    """Return the cells of code of a notebook that was executed with few trainings."""
    path, _ = notebook
    programs = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    folder = tmp_path_factory.mktemp(path.stem)
    return code_of(execute(path, folder, FEW[path.stem], environment | {"PATH": programs}))


def code_of(notebook):
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [cell for cell in cells if cell.id != "values"]


def kinds_of(cell):
    """Return what kinds of output a cell has: what it prints, pictures, tables, texts."""
    kinds = {output.get("name", output.output_type) for output in cell.outputs}
    return kinds | {kind for output in cell.outputs for kind in output.get("data", ())}


def test_every_cell_shows_what_its_kept_outputs_show(notebook, executed):
    _, kept = notebook
    assert [cell.source for cell in executed] == [cell.source for cell in kept]
    assert list(map(kinds_of, executed)) == list(map(kinds_of, kept))


def test_the_outputs_that_are_kept_are_small_and_name_no_folder_of_a_machine(notebook):
    path, _ = notebook
    text = path.read_text(encoding="utf-8")
    assert len(text) < 600_000
    assert [name for name in MACHINE if name in text] == []


def test_a_run_has_as_many_trainings_as_the_parameters_say(notebook, executed):
    path, kept = notebook
    (trials,) = [int(line.split()[2]) for line in kept[0].source.splitlines() if "TRIALS" in line]
    for cells, number in ((kept, trials), (executed, FEW[path.stem]["TRIALS"])):
        shown = "".join(str(cell.outputs) for cell in cells)
        assert f"rests on {number} trainings" in shown


def test_the_network_has_the_parameters_that_its_costs_say(notebook, executed):
    path, _ = notebook
    if path.stem == "own_network":
        expected = 2_322 + 2 * 32 * 8  # of the plain network, and two layers between 32 and 8
    else:
        backbone = describe_backbone("resnet20_bottleneck", 1, 8, 10)
        name = "resnet20_bottleneck/stage3=standard:8/stage4=standard:16"
        expected = count_cost(Candidate.parse(name, backbone)).params
    assert executed[-1].outputs[-1].data["text/plain"] == str(expected)
