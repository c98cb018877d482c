"""Networks with SE leave for elsewhere: exported, saved, and made again from their text."""

import random
import sys
from pathlib import Path

import pytest
import torch

from se_search.candidate import Candidate
from se_search.models.names import SHAPES
from se_search.models.profile import profile
from se_search.models.surgery import build

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from check_costs import IMAGE_SIZES, draw_candidate

NAMES = [
    "resnet20_bottleneck", "resnet18", "preact_resnet110", "cifar_resnet20", "vgg16_bn",
    "mobilenet_v3_small", "mobilenetv1_100", "mobilenet_small", "shufflenet_v1_g3", "bn_inception",
]  # fmt: skip


@pytest.fixture(params=NAMES)
def candidate(request):
    """Return a candidate with a random block at most sites, of any kind and variant."""
    channels, size, _ = SHAPES[request.param]
    size = IMAGE_SIZES.get(request.param, 32 if size == 32 else 64)
    return draw_candidate(profile(request.param, channels, size, 10), random.Random(7))


def images_for(candidate, count=2):
    backbone = candidate.backbone
    generator = torch.Generator().manual_seed(0)
    size = backbone.image_size
    return torch.randn(count, backbone.in_channels, size, size, generator=generator)


def test_an_exported_network_computes_what_the_network_does(candidate):
    model = build(candidate, seed=0).eval()
    images = images_for(candidate)
    exported = torch.export.export(model, (images,)).module()
    torch.testing.assert_close(exported(images), model(images), rtol=1e-4, atol=1e-5)


def test_a_network_made_from_its_text_and_saved_weights_is_the_same(candidate, tmp_path):
    model = build(candidate, seed=3).eval()
    torch.save(model.state_dict(), tmp_path / "weights.pth")
    again = build(Candidate.parse(str(candidate), candidate.backbone), seed=4).eval()
    again.load_state_dict(torch.load(tmp_path / "weights.pth", weights_only=True))
    images = images_for(candidate)
    assert torch.equal(again(images), model(images))
