"""Searches of folders of images, on made-up trainings: what a run is, and what it refuses."""

import shutil

import numpy as np
import pytest
import yaml
from PIL import Image
from support.sessions import MadeUpSessions

from se_search.commands.confirm import confirm
from se_search.commands.options import ConfirmOptions, SearchOptions
from se_search.commands.search import search
from se_search.errors import DataError, RunChangedError, RunError
from se_search.record import Evaluation
from se_search.report.display import QuietDisplay, ScanLines


def evaluate(assignment):
    accuracy = int(assignment.candidate.key, 16) % 9973 / 10_000 + assignment.seed * 1e-6
    return Evaluation(accuracy, 0.5, (), b"\x80", 1.0)


class Notes(QuietDisplay):
    def __init__(self):
        self.texts = []

    def note(self, text):
        self.texts.append(text)


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SE_SEARCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def images(tmp_path):
    rng = np.random.default_rng(0)
    for part, count in (("train", 10), ("val", 2)):
        for name in "ab":
            folder = tmp_path / "images" / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 256, (28, 28, 3), np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "images"


@pytest.fixture
def run_search(tmp_path, images):
    """Search the images with made-up trainings; return the configuration and the notes."""

    def run(folder=images, **options):
        options = {
            "space": "stages",
            "data": f"folder:{folder}",
            "epochs": 1,
            "trials": 2,
            "sampler": "random",
            "backbone": "resnet20_bottleneck",
        } | options
        notes = Notes()
        options = SearchOptions(runs_dir=tmp_path / "runs", **options)
        outcome = search(options, notes, MadeUpSessions(evaluate))
        return yaml.safe_load(outcome.folder.config_file.read_text()), notes.texts, outcome.folder

    return run


def test_a_folder_needs_no_recipe_and_the_identity_records_the_fitted_one(run_search):
    config, texts, _ = run_search()
    recipe, data = config["identity"]["recipe"], config["identity"]["data"]
    assert (recipe["image_size"], recipe["batch_size"]) == (32, 4)
    assert data["image_size"] == config["identity"]["backbone"]["image_size"] == 32
    assert (data["train"], data["validation"], data["test"]) == (16, 4, 4)
    for start in ("Images: train/", "Image size: 32", "Batch size: 4", "Validation: 4 of 20"):
        assert sum(text.startswith(start) for text in texts) == 1


def test_the_image_size_can_be_asked_for(run_search):
    config, texts, _ = run_search(image_size=40)
    assert config["identity"]["backbone"]["image_size"] == 40
    assert not any(text.startswith("Image size") for text in texts)


def test_a_missing_folder_is_told_before_anything_else(run_search, tmp_path):
    with pytest.raises(DataError, match=r"nowhere does not exist; a folder of images is PATH"):
        run_search(tmp_path / "nowhere")


def test_the_same_images_go_on_wherever_they_lie(run_search, images):
    config, _, _ = run_search()
    moved = images.rename(images.with_name("elsewhere"))
    again, _, _ = run_search(moved, trials=3)
    assert again["identity"] == config["identity"]
    assert again["search"]["data"] == f"folder:{moved}"


def test_a_relative_path_is_recorded_as_an_absolute_one(run_search, images, monkeypatch):
    monkeypatch.chdir(images.parent)
    assert run_search("images")[0]["search"]["data"] == f"folder:{images}"


def test_swapped_classes_are_other_images_and_the_run_does_not_go_on(run_search, images):
    run_search()
    for part in ("train", "val"):
        (images / part / "a").rename(images / part / "c")
        (images / part / "b").rename(images / part / "a")
        (images / part / "c").rename(images / part / "b")
    with pytest.raises(RunChangedError) as caught:
        run_search(trials=3)
    assert 'data.fingerprint: "' in str(caught.value)
    assert "Images: 24 with other bytes (train/a/0.png, ...)" in str(caught.value)


def test_images_that_came_and_went_are_named(run_search, images):
    run_search()
    (images / "train" / "a" / "0.png").rename(images / "train" / "a" / "99.png")
    with pytest.raises(RunChangedError) as caught:
        run_search(trials=3)
    message = str(caught.value)
    assert message.endswith("Images: 1 new (train/a/99.png); 1 gone (train/a/0.png)")


def test_a_confirmation_with_other_images_is_refused(run_search, images):
    _, _, folder = run_search()
    (images / "val" / "a" / "0.png").unlink()
    with pytest.raises(RunError, match=r"can't be confirmed, .*\n.*data.test: 4 in the run, 3 as"):
        confirm(folder, ConfirmOptions(), open_session=MadeUpSessions(evaluate))


def test_without_test_images_a_run_is_searched_and_not_confirmed(run_search, images):
    shutil.rmtree(images / "val")
    config, texts, folder = run_search()
    assert config["identity"]["data"]["test"] == 0
    assert any("without val/ or test/ there are no test images" in text for text in texts)
    with pytest.raises(RunError, match=r"can't be confirmed: folder:.* has no test images"):
        confirm(folder, ConfirmOptions(), open_session=MadeUpSessions(evaluate))


def test_a_search_that_is_to_be_confirmed_is_refused_at_the_start_without_test_images(
    tmp_path, images
):
    shutil.rmtree(images / "val")
    options = SearchOptions(data=f"folder:{images}", runs_dir=tmp_path / "runs", trials=1)
    with pytest.raises(RunError, match=r"can't be confirmed: folder:.* has no test images"):
        search(options, QuietDisplay(), MadeUpSessions(evaluate), is_confirmed=True)
    assert not (tmp_path / "runs").exists()


NETWORK = """
from torch import nn


class Net(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.stem = nn.Conv2d(CHANNELS, 8, 3, stride=2)
        self.fc = nn.Linear(8, num_classes)

    def forward(self, x):
        return self.fc(self.stem(x).mean((2, 3)))

    def se_sites(self):
        return [{"stage": 2, "standard": {"after": "stem"}}]
"""


def name_network(folder, monkeypatch, channels):
    """Write a network that takes images of so many channels; return its name."""
    monkeypatch.syspath_prepend(folder)
    name = f"takes_{channels}_channels"
    (folder / f"{name}.py").write_text(NETWORK.replace("CHANNELS", str(channels)))
    return f"{name}:Net"


@pytest.mark.parametrize("channels", [1, 4])
def test_images_are_read_with_the_channels_of_ones_own_network(
    run_search, tmp_path, monkeypatch, channels
):
    name = name_network(tmp_path, monkeypatch, channels)
    identity = run_search(backbone=name, allow_code=True)[0]["identity"]
    assert identity["data"]["channels"] == identity["backbone"]["in_channels"] == channels


def test_a_network_that_no_images_fit_is_refused_at_the_start(run_search, tmp_path, monkeypatch):
    name = name_network(tmp_path, monkeypatch, 5)
    with pytest.raises(DataError, match=r"backbone takes 5 channels, and images of a folder are"):
        run_search(backbone=name, allow_code=True)


def test_how_images_are_split_is_named_on_the_checklist(run_search):
    text = run_search()[2].checklist.read_text()
    assert "drawn from the training part, class by class in proportion" in text
    assert "A constant answer is right on 50.00 % of them" in text


def test_a_scan_that_takes_seconds_prints_lines_to_stderr(capsys):
    times = iter((0.0, 1.0, 3.0, 4.0, 9.0))
    lines = ScanLines(lambda: next(times))
    for done in (64, 128, 192, 256, 1_320):
        lines.update(done, 2_000)
    output = capsys.readouterr()
    assert output.err == "Reading images: 192 of 2,000\nReading images: 1,320 of 2,000\n"
    assert output.out == ""
