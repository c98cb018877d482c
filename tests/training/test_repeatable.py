"""Operators without a repeatable version are found in PyTorch's warnings, which go on."""

import warnings

import pytest
import torch
from support import data_sets
from torch import nn

from se_search.candidate import Candidate
from se_search.device import Device
from se_search.models.catalogue import describe_backbone
from se_search.record import Assignment
from se_search.training.datasets import prepare_data
from se_search.training.evaluate import train
from se_search.training.repeatable import noting_unrepeatable

FAKE = (
    "{} does not have a deterministic implementation, but you set "
    "'torch.use_deterministic_algorithms(True, warn_only=True)'. You can file an issue at"
)
PLAIN = Candidate.plain(describe_backbone("resnet20_bottleneck", 1, 8, 10))


def test_operators_are_named_once_and_their_warnings_are_shown():
    texts = [
        FAKE.format("cumsum_cuda_kernel"),
        FAKE.format("median CUDA with indices output"),
        FAKE.format("cumsum_cuda_kernel"),
        "Deterministic behavior was enabled with either `torch.use_deterministic_algorithms(True)` "
        "or `at::Context`, but this operation is not deterministic because it uses CuBLAS and",
        "Flash Attention defaults to a non-deterministic algorithm. To explicitly enable",
    ]
    with warnings.catch_warnings(record=True) as shown, noting_unrepeatable() as found:
        for text in texts:
            warnings.warn(text, stacklevel=1)
    assert found == {
        "cumsum_cuda_kernel",
        "median CUDA with indices output",
        "CuBLAS",
        "Flash Attention",
    }
    assert {str(each.message) for each in shown} == set(texts)


def test_the_warnings_of_this_version_of_pytorch_are_understood():
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with warnings.catch_warnings(record=True), noting_unrepeatable() as found:
            torch.zeros(4, 4, 4).unsqueeze(0).put_(torch.tensor([1]), torch.tensor([1.0]))
    finally:
        torch.use_deterministic_algorithms(False)
    assert found == {"put_"}


class WarningLayer(nn.Module):
    """Warns as PyTorch does of an operator of CUDA."""

    def forward(self, x):
        warnings.warn(FAKE.format("fake_operator_cuda"), stacklevel=1)
        return x


@pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")
def test_a_training_records_the_operators_that_warned(tmp_path):
    recipe = data_sets.make_recipe(epochs=1, batch_size=500, optimizer={"lr": 0.1})
    data = prepare_data("digits", None, tmp_path, recipe)
    found = []
    for first in (WarningLayer(), nn.Identity()):
        model = nn.Sequential(first, nn.Flatten(), nn.Linear(64, 10))
        with warnings.catch_warnings(record=True):
            evaluation = train(
                model, Assignment(PLAIN, 0, 1), data, recipe, Device("cpu", 0, 1, "32-true")
            )
        found.append(evaluation.ran_on.unrepeatable)
    assert found == ["fake_operator_cuda", None]
