"""Trained weights are loaded, and files that do not fit or could run code are refused."""

import os
from pathlib import Path

import pytest
import torch
from support.small_network import NAME, candidate, network
from torchvision.models import ResNet18_Weights, resnet18

from se_search.candidate import Candidate
from se_search.errors import BackboneError
from se_search.models.backbones import construct
from se_search.models.catalogue import describe_backbone
from se_search.models.surgery import build, plain_state_dict, se_modules
from se_search.models.weights import find_weights, load_weights


def test_a_torchvision_file_gives_the_network_its_weights(file):
    torch.manual_seed(0)
    theirs = resnet18(weights=None, num_classes=10).eval()
    model = construct("resnet18", 3, 10, seed=5).eval()
    load_weights(model, file(theirs.state_dict()))
    x = torch.rand(1, 3, 32, 32)
    assert torch.equal(model(x), theirs(x))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda weights: weights,
        lambda weights: {"state_dict": weights, "epoch": 3},
        lambda weights: {"model": weights},
        lambda weights: {f"module.{name}": tensor for name, tensor in weights.items()},
    ],
)
def test_the_usual_wrappings_are_taken_off(file, wrap):
    weights, model = network(seed=1).state_dict(), network(seed=2)
    loaded = load_weights(model, file(wrap(dict(weights))))
    assert (loaded.drawn, loaded.ignored) == ((), ())
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, weights[name])


def test_safetensors_are_read(tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    weights, model = network(seed=1).state_dict(), network(seed=2)
    safetensors.save_file(weights, tmp_path / "weights.safetensors")
    load_weights(model, tmp_path / "weights.safetensors")
    assert torch.equal(model.conv1.weight, weights["conv1.weight"])


def test_a_classifier_for_other_classes_is_left_as_drawn(file):
    model, weights = network(10, seed=2), network(7, seed=1).state_dict()
    drawn = model.fc.weight.clone()
    assert load_weights(model, file(weights)).drawn == ("fc.weight", "fc.bias")
    assert torch.equal(model.fc.weight, drawn)
    assert torch.equal(model.conv1.weight, weights["conv1.weight"])


def test_auxiliary_classifiers_are_ignored_and_named(file):
    weights = network(seed=1).state_dict() | {"aux1.fc1.weight": torch.zeros(3)}
    assert load_weights(network(), file(weights)).ignored == ("aux1.fc1.weight",)


def test_old_files_without_counters_are_read(file):
    weights = network(seed=1).state_dict()
    old = {name: tensor for name, tensor in weights.items() if "num_batches" not in name}
    model = network(seed=2)
    load_weights(model, file(old))
    assert torch.equal(model.bn1.running_mean, weights["bn1.running_mean"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("conv1.weight"), "it lacks conv1.weight"),
        (lambda w: w.update(extra=torch.zeros(1)), "it has unknown extra"),
        (lambda w: w.update({"bn1.weight": torch.zeros(3)}), r"bn1.weight \(3,\) for \(8,\)"),
        (lambda w: w.update({"fc.weight": torch.zeros(10, 3)}), r"fc.weight \(10, 3\) for"),
    ],
)
def test_what_does_not_fit_is_named(file, change, message):
    weights, model = dict(network(seed=1).state_dict()), network(seed=2)
    before = model.layer1[0].conv1.weight.clone()
    change(weights)
    with pytest.raises(BackboneError, match=message):
        load_weights(model, file(weights))
    assert torch.equal(model.layer1[0].conv1.weight, before)


class Poison:
    def __reduce__(self):
        return os.mkdir, (os.environ["MARKER"],)


def test_a_poisoned_file_is_refused_and_does_not_run(file, tmp_path, monkeypatch):
    monkeypatch.setenv("MARKER", str(tmp_path / "ran"))
    path = file({"conv1.weight": Poison()})
    with pytest.raises(BackboneError, match="could run code"):
        load_weights(network(), path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_what_is_no_file_of_weights_is_an_error(tmp_path, name):
    path = tmp_path / name
    with pytest.raises(BackboneError, match="can't be read as weights"):
        load_weights(network(), path)
    path.write_bytes(b"not weights")
    with pytest.raises(BackboneError, match="weights"):
        load_weights(network(), path)


@pytest.mark.parametrize("content", [[1, 2], {}, {"epoch": 3}, torch.zeros(2)])
def test_what_is_no_state_dict_is_an_error(file, content):
    with pytest.raises(BackboneError, match="holds no state dict"):
        load_weights(network(), file(content))


def test_a_candidate_is_built_around_loaded_weights(file):
    weights = network(seed=1).state_dict()
    model = build(candidate(), 0, weights=file(weights))
    for name, tensor in plain_state_dict(model).items():
        assert torch.equal(tensor, weights[name])
    drawn = se_modules(build(candidate(), 0))
    for path, block in se_modules(model).items():
        assert torch.equal(block.reduce.weight, drawn[path].reduce.weight)


def test_a_network_with_se_keeps_the_loaded_blocks_of_its_own_width(file):
    backbone = describe_backbone("mobilenet_v3_small", 3, 32, 10)
    weights = construct("mobilenet_v3_small", 3, 10, seed=1).state_dict()
    text = "mobilenet_v3_small/stage2=native:original/stage4.block1=native:5"
    model = build(Candidate.parse(text, backbone), 0, weights=file(weights))
    kept, resized = se_modules(model)
    assert torch.equal(model.state_dict()[f"{kept}.fc1.weight"], weights[f"{kept}.fc1.weight"])
    assert model.state_dict()[f"{resized}.fc1.weight"].shape[0] == 5


def test_a_file_that_is_asked_for_must_be_there(tmp_path):
    with pytest.raises(BackboneError, match="there is no such file"):
        find_weights(str(tmp_path / "none.pth"), "resnet18")


def test_default_weights_are_fetched_once(tmp_path, monkeypatch):
    asked = []

    def fetch(url, path, hash_prefix, progress):
        asked.append((url, hash_prefix))
        Path(path).write_bytes(b"weights")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", fetch)
    first, again = find_weights("DEFAULT", "resnet18"), find_weights("DEFAULT", "resnet18")
    assert first == again
    assert first.read_bytes() == b"weights"
    assert asked == [(ResNet18_Weights.DEFAULT.url, "f37072fd")]


def test_weights_that_can_not_be_had_are_an_error(tmp_path, monkeypatch):
    def fail(*arguments, **options):
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(BackboneError, match=r"resnet18 can't be downloaded.*no route.*--weights"):
        find_weights("DEFAULT", "resnet18")
    with pytest.raises(BackboneError, match="torchvision has no weights for resnet20_bottleneck"):
        find_weights("DEFAULT", NAME)
