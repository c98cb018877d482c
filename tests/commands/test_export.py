"""``se-search export``: a run's trained network as a folder of files."""

import json
import runpy
import shutil
from typing import NamedTuple

import pytest
import torch
from support.trained_runs import RECIPE, SPACE, make_sessions, make_trained_run, make_trial
from typer.testing import CliRunner

from se_search.cli import app
from se_search.commands.export import ExportOptions
from se_search.commands.exporting import describe_export, export_candidates, export_event
from se_search.errors import BackboneError, CandidateError, RunError, SESearchError
from se_search.export.write import Graphs
from se_search.models.surgery import build
from se_search.report.run import Run
from se_search.store.exports import read_exports
from se_search.store.kept_weights import KeptWeights
from se_search.store.run_folder import RunFolder

CANDIDATE = SPACE.parse("s2:4")
RECORDS = [
    make_trial("no SE", 0.7),
    make_trial("s2:4", 0.8, seed=2),
    make_trial("s2:4", 0.95, seed=1),
    make_trial("s3:8", 0.6, seed=1),
]


LACKING = ["onnxruntime"]


class Graph(NamedTuple):
    """A made-up graph: what exporters really write is in tests/services."""

    difference: float = 1e-6
    seconds: float = 0.5


def write_graph(model, images, folder):
    assert (len(images), model.training) == (8, False)
    (folder / "model.pt2").write_bytes(b"graph")
    return Graph()


def export(folder, to, *candidates, **options):
    notes = []
    exports = export_candidates(
        folder,
        ExportOptions(candidate=candidates or ("s2:4",), to=to, **options),
        notes.append,
        make_sessions(),
        graphs=Graphs({"model.pt2": write_graph, "model.onnx": write_graph}, lambda: LACKING),
    )
    return exports, notes


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Return a run, the export of one of its candidates, what was said, and its folder."""
    home = tmp_path_factory.mktemp("export")
    folder = make_trained_run(home / "run", RECORDS)
    (done,), notes = export(folder, home / "out")
    return folder, done, notes, home / "out"


def test_the_folder_has_all_files_and_the_network_of_the_first_replicate(exported):
    _, done, _, out = exported
    names = {path.name for path in out.iterdir()}
    assert names == {"model.safetensors", "model.py", "model.pt2", "candidate.json", "README.md"}
    model = runpy.run_path(out / "model.py")["make_model"]()
    images = torch.rand(3, 1, 8, 8)
    assert torch.equal(model(images), build(CANDIDATE, seed=2).eval()(images))
    assert done.failed == {}


def test_a_training_is_said_before_it_begins(exported):
    notes = exported[2]
    assert notes[0].startswith("The weights of s2:4 were not kept. It is trained again, as trial 1")


def test_lacking_packages_leave_onnx_out_and_are_said_with_what_installs_them(exported):
    _, done, notes, _ = exported
    assert done.left_out == {
        "model.onnx": "onnxruntime not installed; pip install 'se-search[onnx]' installs what it "
        "takes"
    }
    assert notes[-1].startswith("model.onnx is left out: onnxruntime not installed")


def test_the_card_says_what_one_must_know(exported):
    text = (exported[3] / "README.md").read_text(encoding="utf-8")
    for part in (
        "80.00 (49.02 to 94.33) % of the 10 validation images of replicate 2 are right",
        "Mean 0.3054, standard deviation 0.3753.",
        "Classes: 0: 0, 1: 1,",
        "values of 0 to 1 (a byte divided by 255)",
        "0.168 % of the plain network's",
        "se-search export run --candidate s2:4 --to ",
        "drawn at random: no foreign weights are part of it",
        "se-search (Apache-2.0)",
        f"by the recipe {RECIPE.hash}",
        "Trained again: 80.00 % right, where trial 1 had 80.00 %",
        "torchvision ",
        "model.onnx is not there: onnxruntime not installed",
    ):
        assert part in text


def test_the_facts_have_a_checksum_of_each_file(exported):
    facts = json.loads((exported[3] / "candidate.json").read_text())
    assert set(facts["files"]) == {"model.safetensors", "model.py", "model.pt2"}
    assert facts["files"]["model.pt2"]["largest_difference"] == 1e-6
    assert (
        facts["training"]["weights_sha256"] == KeptWeights(exported[0].path).find(CANDIDATE).digest
    )


def test_the_run_notes_where_it_was_exported_to(exported):
    folder, _, _, out = exported
    (noted,) = read_exports(folder)
    assert (noted.folder, noted.placement) == (str(out), "s2:4")


def test_what_was_written_is_told_to_people_and_to_programs(exported):
    _, done, _, out = exported
    lines = list(describe_export(done))
    assert lines[0] == (
        "s2:4: 80.00 % of the validation images of replicate 2 are right after 4 epochs"
    )
    assert lines[-1] == f"Written to {out}; README.md says what it is and how to use it."
    event = json.loads(json.dumps(export_event(done)))
    assert (event["placement"], event["replicate"], event["left_out"].keys()) == (
        "s2:4",
        2,
        {"model.onnx"},
    )


def test_a_trained_network_is_built_in_python(exported):
    folder = exported[0]
    network = Run(folder).build("s2:4")
    images = torch.rand(2, 1, 8, 8)
    assert torch.equal(network(images), build(CANDIDATE, seed=2).eval()(images))
    with pytest.raises(RunError, match="replicate 3: trained weights are of a candidate's first"):
        Run(folder).build("s2:4", replicate=3)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_trained_run(tmp_path_factory.mktemp("made") / "run", RECORDS)


@pytest.fixture
def folder(made, tmp_path):
    return RunFolder(shutil.copytree(made.path, tmp_path / "run"))


def test_a_folder_with_other_files_is_refused_before_anything_is_trained(folder, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    with pytest.raises(RunError, match="is not empty and is no export of se-search"):
        export(folder, out)
    with pytest.raises(RunError, match="is a file, and an export takes a folder"):
        export(folder, out / "mine.txt")
    assert KeptWeights(folder.path).list_names() == {}


def test_a_later_export_takes_the_place_of_an_earlier_one(exported):
    folder, _, _, out = exported
    facts = json.loads((out / "candidate.json").read_text())
    facts["files"]["model.onnx"] = {}
    (out / "candidate.json").write_text(json.dumps(facts))
    (out / "model.onnx").write_bytes(b"earlier")
    (out / "mine.txt").write_text("mine")
    export(folder, out, onnx=False)
    assert not (out / "model.onnx").exists()
    assert (out / "mine.txt").exists()
    (out / "mine.txt").unlink()


def test_a_graph_that_can_not_be_made_leaves_the_other_files(folder, tmp_path):
    def fail(model, images, to):
        raise SESearchError("model.pt2 can't be made: a loop")

    graphs = Graphs({"model.pt2": fail}, list)
    options = ExportOptions(candidate=("s2:4",), to=tmp_path / "out")
    (done,) = export_candidates(folder, options, open_session=make_sessions(), graphs=graphs)
    assert done.failed == {"model.pt2": "model.pt2 can't be made: a loop"}
    assert (tmp_path / "out" / "model.safetensors").is_file()
    assert "model.pt2 is not there: model.pt2 can't be made: a loop" in (
        tmp_path / "out" / "README.md"
    ).read_text(encoding="utf-8")


@pytest.mark.parametrize("text", ["recomended", "s9:4"])
def test_an_unknown_candidate_is_refused_with_what_is_allowed(folder, tmp_path, text):
    with pytest.raises(CandidateError, match="allowed are recommended, best, front"):
        export(folder, tmp_path / "out", text)


def test_where_nothing_is_recommended_the_reason_is_told(folder, tmp_path):
    with pytest.raises(RunError, match=r"no network is recommended\. Nothing can be said"):
        export(folder, tmp_path / "out", "recommended")


def test_a_network_of_ones_own_is_not_run_without_leave(tmp_path):
    folder = make_trained_run(tmp_path / "run", RECORDS)
    row = json.loads(folder.backbone_file.read_text())
    folder.backbone_file.write_text(json.dumps(row | {"name": "support.own_networks:Net"}))
    config = folder.read_config()
    config.pop("backbone_digest", None)
    folder.write_config(config)
    with pytest.raises((BackboneError, RunError), match="allow-code"):
        export(folder, tmp_path / "out", "stage2=standard:4")


def test_the_command_names_a_run_that_is_not_there(tmp_path):
    outcome = CliRunner().invoke(app, ["export", str(tmp_path / "none"), "--to", str(tmp_path)])
    assert outcome.exit_code != 0
    assert "no run at" in str(outcome.exception)
