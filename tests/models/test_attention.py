"""Attention that a network came with is refused by name, and what only looks like it is not."""

import pytest
import torch
from torch import nn
from torchvision.models.resnet import BasicBlock
from torchvision.ops import SqueezeExcitation

from se_search.errors import BackboneError
from se_search.models.attention import find_attention
from se_search.models.catalogue import describe_backbone
from se_search.models.discovery import discover_sites
from se_search.models.recording import record

timm = pytest.importorskip("timm")

CHANNELS = 8


class Net(nn.Module):
    def __init__(self, gate):
        super().__init__()
        self.stem = nn.Conv2d(3, CHANNELS, 3, stride=2, padding=1)
        self.gate = gate
        self.head = nn.Linear(CHANNELS, 10)

    def forward(self, x):
        return self.head(self.gate(self.stem(x)).mean((2, 3)))


def module(forward, **children):
    """A module that runs a function of itself and a feature map."""
    made = type("Made", (nn.Module,), {"forward": forward})()
    for name, child in children.items():
        setattr(made, name, child)
    return made


def found(gate):
    net = Net(gate)
    return [attention.path for attention in find_attention(net, record(net, 3, 16))]


def handwritten_se(self, x):
    b, c, _, _ = x.size()
    y = torch.relu(self.reduce(x.mean((2, 3))))
    return x * torch.sigmoid(self.expand(y)).view(b, c, 1, 1).expand_as(x)


def spatial(self, x):
    pooled = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
    return x * torch.sigmoid(self.conv(pooled))


LINEARS = {"reduce": nn.Linear(CHANNELS, 2), "expand": nn.Linear(2, CHANNELS)}

ATTENTION = {
    "an SE block of a user's own": module(handwritten_se, **LINEARS),
    "a gate of each pixel (CBAM)": module(spatial, conv=nn.Conv2d(2, 1, 7, padding=3)),
    "gather and excite without parameters": module(
        lambda self, x: x * torch.sigmoid(nn.functional.adaptive_avg_pool2d(x, 1))
    ),
    "a gate of each value (large kernels)": module(
        lambda self, x: x * self.conv(x), conv=nn.Conv2d(CHANNELS, CHANNELS, 5, padding=2)
    ),
    "a context that is added": module(
        lambda self, x: x + self.conv(x.mean((2, 3), keepdim=True)),
        conv=nn.Conv2d(CHANNELS, CHANNELS, 1),
    ),
    "global response normalisation": module(
        lambda self, x: x * (x.norm(2, (2, 3), keepdim=True) / x.norm(2, (1, 2, 3), keepdim=True))
    ),
    "gates of statistics that are normalised (SimAM)": module(
        lambda self, x: x * torch.sigmoid((x - x.mean((2, 3), keepdim=True)).pow(2) / 4 + 0.5)
    ),
    "channels that are gated with their pixels in one axis": module(
        lambda self, x: (x.flatten(2) * torch.sigmoid(self.fc(x.mean((2, 3))))[..., None]).view_as(
            x
        ),
        fc=nn.Linear(CHANNELS, CHANNELS),
    ),
    "a mask of another resolution (GhostNetV2)": module(
        lambda self, x: (
            self.a(x)
            * nn.functional.interpolate(
                torch.sigmoid(self.b(nn.functional.avg_pool2d(x, 2))), size=x.shape[2:]
            )
        ),
        a=nn.Conv2d(CHANNELS, CHANNELS, 1),
        b=nn.Conv2d(CHANNELS, CHANNELS, 1),
    ),
    "a block of timm": timm.layers.EcaModule(CHANNELS),
}
NONE = {
    "swish": module(lambda self, x: x * torch.sigmoid(x)),
    "a hard swish": module(lambda self, x: x * nn.functional.relu6(x + 3) / 6),
    "SiLU": nn.SiLU(),
    "layer scale": module(
        lambda self, x: x * self.scale, scale=nn.Parameter(torch.ones(CHANNELS, 1, 1))
    ),
    "stochastic depth": timm.layers.DropPath(0.5),
    "a normalisation written by hand": module(
        lambda self, x: (x - x.mean(1, True)) * torch.rsqrt(x.var(1, keepdim=True) + 1e-6)
    ),
    "a gated linear unit": module(
        lambda self, x: self.a(x) * torch.sigmoid(self.b(x)),
        a=nn.Conv2d(CHANNELS, CHANNELS, 1),
        b=nn.Conv2d(CHANNELS, CHANNELS, 1),
    ),
    "filter response normalisation": module(
        lambda self, x: x * torch.rsqrt(x.pow(2).mean((2, 3), keepdim=True) + 1e-6)
    ),
    "a batch norm": nn.BatchNorm2d(CHANNELS),
    "a group norm": nn.GroupNorm(2, CHANNELS),
}


@pytest.mark.parametrize("name", ATTENTION)
def test_attention_is_found_with_its_path(name):
    assert found(ATTENTION[name]) == ["gate"]


@pytest.mark.parametrize("name", NONE)
def test_what_is_no_attention_is_left_alone(name):
    assert found(NONE[name]) == []


def test_se_on_a_feature_map_of_one_pixel_is_found():
    net = Net(ATTENTION["an SE block of a user's own"])
    assert [one.path for one in find_attention(net, record(net, 3, 2))] == ["gate"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ecaresnet26t", r"layer1\.0\.se \(EcaModule\), .* and 5 more"),
        ("ese_vovnet19b_dw", r"stages\.0\.blocks\.0\.attn \(EffectiveSEModule\)"),
        ("skresnet18", r"layer1\.0\.conv1 \(SelectiveKernel\)"),
        ("resnest14d", r"layer1\.0\.conv2 \(SplitAttn\)"),
        ("convnextv2_atto", r"stages\.0\.blocks\.0\.mlp\.grn \(GlobalResponseNorm\)"),
        ("gcresnext26ts", r"stages\.0\.0\.attn \(GlobalContext\)"),
    ],
)
def test_networks_with_attention_of_their_own_are_refused_by_its_name(name, message):
    with pytest.raises(BackboneError, match=f"neither price nor remove: {message}.*--sites FILE"):
        describe_backbone(name, 3, 64, 10)


def test_a_known_unit_with_a_users_se_block_in_it_is_not_plain():
    class Block(BasicBlock):
        def __init__(self):
            super().__init__(CHANNELS, CHANNELS)
            self.se = module(handwritten_se, **LINEARS)

        def forward(self, x):
            y = self.se(self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x))))))
            return torch.relu(x + y)

    with pytest.raises(BackboneError, match=r"gate\.se \(Made\)"):
        discover_sites(Net(Block()), 3, 16)


def test_a_subclass_of_a_known_se_block_is_a_site_of_native():
    class Mine(SqueezeExcitation):
        pass

    (site,) = discover_sites(Net(Mine(CHANNELS, 2)), 3, 16)
    assert site.attach_points["native"].path == "gate"


def test_self_attention_in_a_residual_unit_is_refused():
    class Mixing(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv = nn.Conv2d(CHANNELS, 3 * CHANNELS, 1)
            self.out = nn.Conv2d(CHANNELS, CHANNELS, 1)

        def forward(self, x):
            q, k, v = self.qkv(x).flatten(2).chunk(3, dim=1)
            mixed = v @ (q.transpose(1, 2) @ k).softmax(-1)
            return x + self.out(mixed.view_as(x))

    with pytest.raises(BackboneError, match=r"gate \(Mixing\)"):
        discover_sites(Net(Mixing()), 3, 16)
