"""Our SE networks compute what timm's do, once they have its weights."""

import re

import pytest
import torch
from torch import nn
from torchvision.models import resnet

from se_search.backbone import Backbone
from se_search.candidate import Candidate
from se_search.models.feature_maps import measure_sites
from se_search.models.paper_resnets import PAPER_RESNETS
from se_search.models.surgery import insert

timm = pytest.importorskip("timm")

SIZE = 64  # the max-pooling of v1 and of v1.5 differ at every size


def torchvision_net(name):
    return getattr(resnet, name)(num_classes=11)


def resnet18_with_the_pooling_of_v1():
    net = torchvision_net("resnet18")
    net.maxpool = PAPER_RESNETS["resnet50_v1"](3, 11).maxpool
    return net


def with_se(model, block):
    """Put an SE block into all sites of a network."""
    backbone = Backbone("net", 3, 32, 11, measure_sites(model.eval(), 3, 32), ())
    insert(model, Candidate.parse(f"net/all={block}", backbone), seed=0)
    return model


def randomise(model):
    """Give every parameter and statistic of timm's network a value that shows."""
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in (
                (module.running_mean, -0.1, 0.1),
                (module.running_var, 0.5, 1.5),
                (module.weight.data, 0.4, 1.0),  # so that a hundred of them do not explode
                (module.bias.data, -0.1, 0.1),
            ):
                tensor.uniform_(low, high, generator=generator)
    return model.double().eval()


def timm_name(ours, legacy):
    """Return timm's name for a parameter of ours."""
    se = re.fullmatch(r"(layer\d\.\d+)\..*\binserted_se\.(reduce|expand)\.(weight|bias)", ours)
    if se:
        block, layer, what = se.groups()
        module = "se_module" if legacy else "se"
        return f"{block}.{module}.{'fc1' if layer == 'reduce' else 'fc2'}.{what}"
    name = ours
    if not legacy:
        return name
    stem = re.fullmatch(r"stem\.(\d)\.(\w+)", name)  # of SENet-154: a norm after each convolution
    if stem:
        number, what = int(stem[1]), stem[2]
        return f"layer0.{'bn' if number % 3 else 'conv'}{number // 3 + 1}.{what}"
    return re.sub(r"^(?=conv1|bn1)", "layer0.", name).replace("fc.", "last_linear.")


def take_weights(model, theirs, legacy):
    """Load all of timm's weights into our network."""
    weights = dict(theirs.state_dict())
    mapped = {}
    for name, tensor in model.state_dict().items():
        mapped[name] = weights.pop(timm_name(name, legacy)).reshape(tensor.shape)
    assert not weights
    model.load_state_dict(mapped, assign=True)
    return model.eval()


@pytest.mark.parametrize(
    ("name", "make", "block"),
    [
        *(
            pytest.param(f"se{name}", lambda name=name: torchvision_net(name), "standard:r16+bias")
            for name in ("resnet50", "resnet101", "resnet152", "resnext50_32x4d")
        ),
        *(
            pytest.param(theirs, lambda ours=ours: PAPER_RESNETS[ours](3, 11), "standard:r16+bias")
            for theirs, ours in (
                ("seresnext101_32x4d", "resnext101_32x4d"),
                ("legacy_seresnet50", "resnet50_v1"),
                ("legacy_seresnet101", "resnet101_v1"),
                ("legacy_seresnet152", "resnet152_v1"),
                ("legacy_senet154", "senet154"),
            )
        ),
        pytest.param(
            "legacy_seresnet18", resnet18_with_the_pooling_of_v1, "rectified:r16+bias"
        ),  # timm's legacy basic block has a ReLU in front of its SE
    ],
)
def test_scores_are_those_of_timm(name, make, block):
    torch.manual_seed(0)
    theirs = randomise(timm.create_model(name, pretrained=False, num_classes=11))
    ours = take_weights(with_se(make(), block), theirs, legacy=name.startswith("legacy"))
    image = torch.randn(2, 3, SIZE, SIZE, dtype=torch.float64)
    with torch.inference_mode():
        expected = theirs(image)
        scores = ours(image)
    assert expected.isfinite().all()
    assert (expected[0] - expected[1]).abs().max() > 1e-3 * expected.abs().max()
    torch.testing.assert_close(scores, expected, rtol=1e-9, atol=1e-9 * expected.abs().max().item())


def test_another_form_with_the_same_weights_scores_differently():
    """So the comparison sees the stride, the pooling and the ReLU in front of SE."""
    torch.manual_seed(0)
    image = torch.randn(2, 3, SIZE, SIZE, dtype=torch.float64)
    for name, make, block in (
        ("legacy_seresnet50", lambda: torchvision_net("resnet50"), "standard:r16+bias"),
        ("legacy_seresnet18", lambda: torchvision_net("resnet18"), "rectified:r16+bias"),
        ("legacy_seresnet18", resnet18_with_the_pooling_of_v1, "standard:r16+bias"),
    ):
        theirs = randomise(timm.create_model(name, pretrained=False, num_classes=11))
        ours = take_weights(with_se(make(), block), theirs, legacy=True)
        with torch.inference_mode():
            expected = theirs(image)
            assert (ours(image) - expected).abs().max() > 1e-3 * expected.abs().max()
