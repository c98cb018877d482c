"""``model.py``: at most forty lines that make the exported network again."""

import json
import runpy

import pytest
import torch
from safetensors.torch import save_file
from support.trained_runs import SPACE

from se_search.candidate import Candidate
from se_search.errors import RunError
from se_search.export.candidate_file import is_export, read_candidate, write_candidate
from se_search.export.model_source import write_source
from se_search.models.catalogue import describe_backbone
from se_search.models.profile import profile
from se_search.models.surgery import build

TITLE = "A network."


@pytest.fixture
def make(tmp_path):
    """Return a function that writes an export without graphs, and what ``model.py`` makes."""

    def run(candidate, model):
        write_candidate(tmp_path, candidate, {})
        save_file(model.state_dict(), tmp_path / "model.safetensors")
        text = write_source(candidate.backbone, TITLE)
        assert len(text.splitlines()) <= 40
        (tmp_path / "model.py").write_text(text, encoding="utf-8")
        return runpy.run_path(tmp_path / "model.py")["make_model"]()

    return run


@pytest.mark.parametrize(
    ("name", "shape", "text"),
    [
        ("resnet20_bottleneck", (1, 28, 10), "all=standard:4"),
        ("cifar_resnet20", (3, 32, 10), "stage2=pre:ese/stage3=post:4+max+double/stage4=inner:eca"),
        ("resnet18", (3, 32, 10), "stage2=identity:ge/stage5=standard:r16"),
        ("torchvision:mobilenet_v3_small", (3, 32, 10), "native=native:8"),
        ("mobilenetv3_small_050", (1, 32, 10), "native=none"),
    ],
)
def test_it_makes_the_network_of_each_library_with_its_outputs(make, name, shape, text):
    backbone = describe_backbone(name, *shape)
    candidate = Candidate.parse(f"{name}/{text}", backbone)
    model = build(candidate, seed=4).eval()
    images = torch.rand(2, shape[0], shape[1], shape[1])
    made = make(candidate, model)
    assert not made.training
    assert torch.equal(made(images), model(images))


@pytest.mark.parametrize("own", ["Net", "HasLazyWeights", "LooksForLayers"])
def test_it_makes_a_network_of_the_users_module(make, own, tmp_path):
    backbone = profile(f"support.own_networks:{own}", 3, 16, 10, allow_code=True)
    candidate = Candidate.parse("all=standard:2", backbone)
    model = build(candidate, seed=4).eval()
    images = torch.rand(2, 3, 16, 16)
    assert torch.equal(make(candidate, model)(images), model(images))
    text = (tmp_path / "model.py").read_text(encoding="utf-8")
    assert f"from support.own_networks import {own}\n" in text
    assert "which must lie beside this file or in a folder of PYTHONPATH" in text


def test_a_title_with_quotes_and_backslashes_is_no_code(make):
    text = write_source(SPACE.backbone, 'a"""\nimport os\n"""\\')
    compile(text, "model.py", "exec")
    assert "\nimport os" in text.split("from pathlib")[0]


def test_a_candidate_is_read_from_its_folder_as_it_was_written(tmp_path):
    candidate = SPACE.parse("s2:4 s3:8")
    write_candidate(tmp_path, candidate, {"more": 1})
    assert read_candidate(tmp_path) == read_candidate(tmp_path / "candidate.json") == candidate
    assert is_export(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda content: content | {"se_search_export": 2}, "is of format 2"),
        (lambda content: content | {"candidate": "s2:4:4:4"}, "is no file of se-search export"),
        (lambda content: {"x": 1}, "is no file of se-search export"),
        (lambda content: [1], "is no file of se-search export"),
    ],
)
def test_another_file_is_refused_by_its_name(tmp_path, change, said):
    write_candidate(tmp_path, SPACE.parse("s2:4"), {})
    path = tmp_path / "candidate.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(RunError, match=rf"candidate\.json {said}"):
        read_candidate(tmp_path)
