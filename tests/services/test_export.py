"""Exported files of whole networks: each computes what the trained network does, anywhere."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from support.commands import call_here
from torch import nn

from se_search.candidate import Candidate
from se_search.errors import SESearchError
from se_search.export.network_files import write_exported, write_onnx
from se_search.export.write import write_export
from se_search.models.profile import profile
from se_search.models.surgery import build
from se_search.models.trained import pack_weights
from se_search.report.run import open_run
from se_search.store.files import read_yaml, write_bytes, write_yaml
from se_search.store.kept_weights import (
    KeptWeights,
    add_facts,
    describe_facts,
    read_kept_file,
)

TESTS = Path(__file__).parents[1]
OUTPUTS = "import sys, numpy as np, torch; sys.path.insert(0, sys.argv[1]); "
RUN_MODEL = (
    OUTPUTS + "from model import make_model; "
    "np.save(sys.argv[3], make_model()(torch.from_numpy(np.load(sys.argv[2]))).detach())"
)
RUN_GRAPHS = (
    OUTPUTS + "import onnxruntime; images = np.load(sys.argv[2]); "
    "model = torch.export.load(sys.argv[1] + '/model.pt2').module(); "
    "session = onnxruntime.InferenceSession(sys.argv[1] + '/model.onnx'); "
    "assert 'se_search' not in sys.modules; "
    "both = [model(torch.from_numpy(images)).detach(), session.run(None, {'images': images})[0]]; "
    "np.save(sys.argv[3], np.stack(both))"
)


def train_a_little(model, images):
    """Move the weights and the statistics of batch norms, as a training does."""
    generator = torch.Generator().manual_seed(1)
    model.train()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator))
        model(images)
    return model.eval()


@pytest.mark.parametrize(
    ("name", "shape", "text"),
    [
        ("resnet20_bottleneck", (1, 28, 10), "all=standard:r16/stage4=standard:eca"),
        ("resnet50", (3, 64, 10), "all=standard:r16/stage5=none"),
        ("mobilenetv3_small_100", (3, 64, 10), "native=native:8"),
        ("support.own_networks:LooksForLayers", (3, 32, 10), "all=standard:2+hard_sigmoid"),
    ],
    ids=["default", "resnet50", "timm", "own"],
)
def test_each_file_computes_the_network_in_a_fresh_process(name, shape, text, tmp_path):
    candidate = Candidate.parse(text, profile(name, *shape, allow_code=True))
    images = torch.rand(8, shape[0], shape[1], shape[1])
    model = train_a_little(build(candidate, seed=3), images)
    facts = describe_facts(candidate, 0, 1, accuracy=0.5)
    write_bytes(tmp_path / "kept", add_facts(pack_weights(model), facts))
    out = tmp_path / "out"
    kept = read_kept_file(tmp_path / "kept")
    done = write_export(out, candidate, kept, model, images, "A network.", {}, is_random=True)
    assert (done.failed, done.left_out) == ({}, {})
    np.save(tmp_path / "images.npy", images.numpy())
    expected = model(images).detach().numpy()
    for number, script in enumerate((RUN_MODEL, RUN_GRAPHS)):
        found = tmp_path / f"found{number}.npy"
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", script, out, tmp_path / "images.npy", found],
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)])},
            cwd=tmp_path,
            check=True,
        )
        assert np.abs(np.load(found) - expected).max() <= 1e-4 * max(1, np.abs(expected).max())


def test_a_run_keeps_trains_again_and_exports_one_network(home, environment):
    """The kept weights are those of a training made again, to the bit, and so are the outputs."""
    # In bf16 PyTorch's gradient of a kernel's weights that see padding alone is not defined on a
    # CPU, and images of 8 pixels have such weights.
    recipe = read_yaml(TESTS.parent / "se_search" / "recipes" / "quick.yaml")
    write_yaml(home / "exact.yaml", recipe | {"precision": "float32"})
    run = ["run", "--space", "stages_ratio", "--data", "digits", "--epochs", "1", "--trials", "4"]
    own = ["--recipe", "exact.yaml", "--workers", "1", "--name", "exported"]
    call = lambda *words: call_here(*words, folder=home, environment=environment)  # noqa: E731
    done = call(*run, *own)
    assert done.returncode == 0, done.stderr
    folder = home / "runs" / "exported"
    weights = KeptWeights(folder)
    before = {name: weights.path_for(*name_of(name)).read_bytes() for name in weights.list_names()}
    records = open_run(folder).records
    assert {name.key for name in before} == {record.key for record in records}
    kept = next(iter(before))
    weights.remove(kept)
    record = next(r for r in records if r.key == kept.key)
    done = call("export", "exported", "--candidate", record.placement, "--to", "out", "--json")
    assert done.returncode == 0, done.stderr
    assert "the same images as in trial" in done.stderr
    assert weights.path_for(*name_of(kept)).read_bytes() == before[kept]
    assert (home / "out" / "model.safetensors").read_bytes() == before[kept]


def name_of(name):
    return name.key, name.replicate, name.epochs


def test_a_network_that_decides_by_values_is_told_so_without_its_graph(tmp_path, capfd):
    class Deciding(nn.Module):
        def forward(self, images):
            scale = 2 if images.mean().item() > 0 else 1
            return scale * images.mean((2, 3))

    for write in (write_exported, write_onnx):
        with pytest.raises(
            SESearchError, match=r"^what the network computes depends on the values"
        ):
            write(Deciding().eval(), torch.rand(4, 3, 8, 8), tmp_path)
    assert capfd.readouterr().err == ""
    assert not list(tmp_path.iterdir())
