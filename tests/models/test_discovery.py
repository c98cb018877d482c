"""Sites that are found by running a network: families without a table, and users' networks."""

from functools import cache

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  (as everybody calls it)
from torchvision.models import get_model
from torchvision.models.convnext import CNBlockConfig, ConvNeXt
from torchvision.models.maxvit import MaxVit

from se_search.backbone import FeatureMap
from se_search.candidate import Candidate
from se_search.cost import count_cost
from se_search.errors import BackboneError
from se_search.models.accepted_images import own_in_channels
from se_search.models.backbones import construct
from se_search.models.catalogue import backbone_in_channels, default_shape, describe_backbone
from se_search.models.discovery import discover_sites
from se_search.models.feature_maps import measure_sites
from se_search.models.profile import attach_of
from se_search.models.recording import record
from se_search.models.sites import find_parts, named_sites
from se_search.models.surgery import build, se_modules
from se_search.models.trace import trace_cost

timm = pytest.importorskip("timm")


@cache
def described(name, size=32):
    return describe_backbone(name, 3, size, 10)


def channels(name, integration, size=32):
    return [site.feature_map(integration).channels for site in described(name, size).sites]


def points(model, size=16):
    """The attach points of a small network's sites."""
    return [
        {integration: (point.path, point.side) for integration, point in site.attach_points.items()}
        for site in discover_sites(model, 3, size)
    ]


def repeat(counts, values):
    return [value for count, value in zip(counts, values, strict=True) for _ in range(count)]


# --- families ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "size", "blocks", "standard", "inner"),
    [
        # He et al. 2016; Liu et al. 2022 (timm's smallest); Radosavovic et al. 2020, table of X
        ("resnetv2_50", 32, (3, 4, 6, 3), (256, 512, 1024, 2048), (64, 128, 256, 512)),
        ("convnext_atto", 32, (2, 2, 6, 2), (40, 80, 160, 320), (40, 80, 160, 320)),
        ("regnetx_002", 32, (1, 1, 4, 7), (24, 56, 152, 368), (24, 56, 152, 368)),
        ("regnet_x_400mf", 32, (1, 2, 7, 12), (32, 64, 160, 400), (32, 64, 160, 400)),
        # Gao et al. 2019: four scales of width 26; Yu et al. 2018
        ("res2net50_26w_4s", 32, (3, 4, 6, 3), (256, 512, 1024, 2048), (104, 208, 416, 832)),
        ("dla34", 32, (2, 4, 4, 2), (64, 128, 256, 512), (64, 128, 256, 512)),
        # Huang et al. 2017, table 1: growth rate 32, bottlenecks of 4 x 32
        ("densenet121", 32, (6, 12, 24, 16), (32,) * 4, (128,) * 4),
        # Sandler et al. 2018, table 2, by stride; Ma et al. 2018, table 5: half of the channels
        ("shufflenet_v2_x0_5", 32, (4, 8, 4), (24, 48, 96), (24, 48, 96)),
    ],
)
def test_sites_of_a_family_have_the_papers_units_and_channels(name, size, blocks, standard, inner):
    stages = [site.stage for site in described(name, size).sites]
    assert stages == repeat(blocks, range(2, 2 + len(blocks)))
    assert channels(name, "standard", size) == repeat(blocks, standard)
    assert channels(name, "inner", size) == repeat(blocks, inner)


def test_a_mobilenet_v2_has_its_papers_17_units_with_outputs_and_expansions():
    # Sandler et al. 2018, table 2: t, c, n, s
    rows = [(1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1)]
    outputs = [c for _, c, n in rows for _ in range(n)]
    inputs = [32, *outputs[:-1]]
    factors = [t for t, _, n in rows for _ in range(n)]
    assert channels("mobilenet_v2", "standard") == outputs
    assert channels("mobilenet_v2", "inner") == [
        c * t for c, t in zip(inputs, factors, strict=True)
    ]
    assert [site.stage for site in described("mobilenet_v2").sites] == repeat(
        (1, 2, 3, 7, 4), (2, 3, 4, 5, 6)
    )


def test_a_repvgg_unit_has_se_on_the_sum_of_its_branches():
    # Ding et al. 2021, table 2: RepVGG-A0 has 2, 4, 14 and 1 layers behind the first
    assert channels("repvgg_a0", "standard") == repeat((2, 4, 14, 1), (48, 96, 192, 1280))


def test_a_vovnet_unit_has_se_after_its_concatenation():
    # Lee et al. 2019, table 1
    assert channels("vovnet39a", "standard", 64) == repeat((1, 1, 2, 2), (256, 512, 768, 1024))


def test_an_efficientnet_v2_has_sites_in_fused_units_and_its_own_blocks_in_the_others():
    # Tan & Le 2021, table 4
    sites = described("efficientnet_v2_s").sites
    assert [site.stage for site in sites] == repeat((2, 4, 4, 6, 9, 15), (2, 3, 4, 5, 6, 7))
    assert [site.native is not None for site in sites] == repeat((10, 30), (False, True))
    assert [site.feature_maps["inner"].channels for site in sites[2:6]] == [96, 192, 192, 192]


def test_the_mbconv_units_of_a_maxvit_are_its_sites_stage_by_stage():
    net = MaxVit(
        input_size=(32, 32),
        stem_channels=8,
        partition_size=2,
        block_channels=[8, 16],
        block_layers=[2, 3],
        head_dim=8,
        stochastic_depth_prob=0.0,
    )
    located = discover_sites(net, 3, 32)
    assert [site.stage for site in located] == [2, 2, 3, 3, 3]
    assert all(set(site.attach_points) == {"native"} for site in located)


def test_torchvisions_convnext_unit_has_se_where_timms_has_it():
    net = ConvNeXt([CNBlockConfig(8, 16, 2), CNBlockConfig(16, None, 1)]).eval()
    sites = measure_sites(net, 3, 32, discover_sites(net, 3, 32))
    theirs = described("convnext_atto").sites[0].feature_maps
    assert [site.name for site in sites] == ["stage2.block1", "stage2.block2", "stage3.block1"]
    for site, width, pixels in zip(sites, (8, 8, 16), (64, 64, 16), strict=True):
        assert site.feature_maps == dict.fromkeys(
            ("standard", "pre", "post", "inner"), FeatureMap(width, pixels)
        )
        assert set(site.feature_maps) < set(theirs)


def test_se_in_a_dense_layer_gates_the_features_that_it_adds():
    text = "densenet121/stage2.block2=standard:4"
    model = build(Candidate.parse(text, described("densenet121")), 0).eval()
    plain = build(Candidate.plain(described("densenet121")), 0).eval()
    (se,) = se_modules(model).values()
    x = [torch.rand(2, 64, 8, 8), torch.rand(2, 32, 8, 8)]
    layer = "features.denseblock1.denselayer2"
    expected = se(plain.get_submodule(layer)(x))
    torch.testing.assert_close(model.get_submodule(layer)(x), expected)


def test_inner_se_of_a_mobilenet_v2_comes_where_mobilenet_v3_has_its_own():
    text = "mobilenet_v2/stage3.block1=inner:4"
    model = build(Candidate.parse(text, described("mobilenet_v2")), 0).eval()
    unit = build(Candidate.plain(described("mobilenet_v2")), 0).eval().features[2].conv
    (se,) = se_modules(model).values()
    x = torch.rand(2, 16, 8, 8)
    expected = unit[3](unit[2](se(unit[1](unit[0](x)))))
    torch.testing.assert_close(model.features[2](x), expected)


@pytest.mark.parametrize(
    "text",
    [
        "convnext_atto/stage2=standard:4/stage3=inner:4/stage4=pre:4/stage5=identity:4",
        "mobilenet_v2/stage2=standard:4/stage3=inner:4/stage4=pre:4/stage5=post:4",
        "repvgg_a0/stage2=standard:4/stage3=post:4",
        "mobilenet_v3_small/native=native:5/stage3=inner:4",
        "shufflenet_v2_x0_5/stage2=standard:4/stage3=inner:4/stage4=post:4",
    ],
)
def test_the_closed_form_is_what_fvcore_counts(text):
    candidate = Candidate.parse(text, described(text.partition("/")[0]))
    assert count_cost(candidate) == trace_cost(build(candidate, 0), candidate.backbone)


# --- users' networks --------------------------------------------------------------------------


class Unit(nn.Module):
    def __init__(self, width, out=None):
        super().__init__()
        self.out = nn.BatchNorm2d(out or width)
        self.last = nn.Conv2d(width, out or width, 1)
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.short = nn.Conv2d(width, out, 1) if out else None

    def forward(self, x):
        y = self.out(self.last(F.relu(self.first(x))))
        return F.relu(y + (x if self.short is None else self.short(x)))


class Net(nn.Module):
    """Modules are registered in the opposite order of their calls."""

    def __init__(self, *units, width=8):
        super().__init__()
        self.head = nn.Linear(width, 10)
        self.units = nn.ModuleList(reversed(units))
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)

    def forward(self, x):
        x = self.stem(x)
        for unit in reversed(self.units):
            x = unit(x)
        return self.head(x.mean((2, 3)))


def test_units_of_an_unknown_class_are_found_in_the_order_of_their_calls():
    assert points(Net(Unit(8), Unit(8, 16), width=16)) == [
        {
            "standard": ("units.1.out", "after"),
            "pre": ("units.1.first", "before"),
            "post": ("units.1", "after"),
            "inner": ("units.1.last", "before"),
        },
        {
            "standard": ("units.0.out", "after"),
            "pre": ("units.0.first", "before"),
            "post": ("units.0", "after"),
            "identity": ("units.0.short", "after"),
            "inner": ("units.0.last", "before"),
        },
    ]


def test_parts_of_a_network_follow_the_order_of_its_calls():
    net = Net(Unit(8))
    parts = find_parts(net, discover_sites(net, 3, 16), record(net, 3, 16).first_calls())
    assert parts == {"stem": "stem", "units": "stage2", "head": "head"}


def test_layer_scale_and_stochastic_depth_are_no_part_of_a_branch():
    class Scaled(Unit):
        """Layer scale, stochastic depth and an activation written by hand are no attention."""

        def __init__(self, width):
            super().__init__(width)
            self.scale = nn.Parameter(torch.ones(width, 1, 1))
            self.drop = timm.layers.DropPath(0.2)

        def forward(self, x):
            y = self.first(x)
            return x + self.drop(self.scale * self.out(self.last(y * torch.sigmoid(y))))

    (site,) = points(Net(Scaled(8)))
    assert site["standard"] == ("units.0.out", "after")
    assert site["inner"] == ("units.0.last", "before")


def test_an_addition_in_the_networks_own_forward_is_a_site():
    class LateStem(nn.Module):
        def __init__(self):
            super().__init__()
            self.shortcut = nn.Conv2d(8, 8, 1)
            self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
            self.branch = nn.Conv2d(8, 8, 3, padding=1)
            self.fc = nn.Linear(8, 10)

        def forward(self, x):
            x = F.relu(self.stem(x))
            return self.fc(F.relu(self.shortcut(x) + self.branch(x)).mean((2, 3)))

    assert points(LateStem()) == [
        {
            "standard": ("branch", "after"),
            "pre": ("branch", "before"),
            "identity": ("shortcut", "after"),
        }
    ]


def test_a_dense_unit_of_an_unknown_class_has_its_branch_as_standard():
    class Dense(nn.Module):
        def __init__(self):
            super().__init__()
            self.new = nn.Sequential(nn.Conv2d(8, 4, 3, padding=1), nn.ReLU())

        def forward(self, x):
            return torch.cat([x, self.new(x)], dim=1)

    (site,) = points(Net(Dense(), width=12))
    assert site["standard"] == ("units.0.new", "after")


def test_the_layers_of_a_dense_block_are_sites_wherever_they_are_concatenated():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            widths = (8, 12, 16)
            self.layers = nn.ModuleList(nn.Conv2d(width, 4, 3, padding=1) for width in widths)

        def forward(self, x):
            features = [x]
            for layer in self.layers:
                features.append(layer(torch.cat(features, 1)))
            return torch.cat(features, 1)

    found = points(Net(Block(), width=20))
    assert [site["standard"][0] for site in found] == [f"units.0.layers.{i}" for i in range(3)]


def test_parallel_branches_have_se_on_their_concatenation():
    class Parallel(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.three = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 4, 3, padding=1)

        def forward(self, x):
            return F.relu(torch.cat([self.one(x), self.three(x)], 1))

    found = points(Net(Parallel(), Parallel()))
    assert found == [{"standard": ("units.1", "after")}, {"standard": ("units.0", "after")}]


def test_a_unit_that_is_called_twice_is_refused_by_its_name():
    unit = Unit(8)
    with pytest.raises(BackboneError, match=r"called several times \(units\.0: 2 times\)"):
        points(Net(unit, unit))


@pytest.mark.filterwarnings("ignore:.*deprecated:FutureWarning")  # of TorchScript, by torch
def test_modules_of_torchscript_are_no_obstacle():
    assert len(points(Net(torch.jit.trace(nn.ReLU(), torch.zeros(1, 8, 8, 8)), Unit(8)))) == 1


@pytest.mark.filterwarnings("ignore:.*deprecated")  # of TorchScript, by torch
def test_a_network_whose_costs_can_not_be_counted_says_why():
    with pytest.raises(BackboneError, match=r"TorchScript has compiled \(act\).*allowed: the same"):
        describe_backbone("support.own_networks:HasACompiledModule", 3, 16, 10, allow_code=True)


def test_se_comes_nowhere_before_a_layer_of_flattened_pixels():
    backbone = describe_backbone(
        "support.own_networks:BeginsWithAConv1d", 3, 16, 10, allow_code=True
    )
    assert {name for site in backbone.sites for name in site.feature_maps} == {"standard", "post"}


def test_stages_begin_where_feature_maps_shrink():
    class Strided(Unit):
        def __init__(self, width):
            super().__init__(width, width)
            self.first.stride = self.short.stride = (2, 2)

    located = discover_sites(Net(Unit(8), Strided(8), Unit(8), Unit(8), Strided(8)), 3, 32)
    assert [site.stage for site in located] == [2, 3, 3, 3, 4]


def test_a_unit_inside_a_downsampling_unit_is_in_its_stage():
    class Downsampling(nn.Module):
        def __init__(self):
            super().__init__()
            self.before, self.down = Unit(8), nn.Conv2d(8, 8, 3, stride=2, padding=1)
            self.branch = nn.Conv2d(8, 8, 3, padding=1)

        def forward(self, x):
            x = self.down(self.before(x))
            return x + self.branch(x)

    located = discover_sites(Net(Unit(8), Downsampling()), 3, 16)
    assert [(site.stage, site.path) for site in located] == [
        (2, "units.1"),
        (3, "units.0.before"),
        (3, "units.0"),
    ]
    assert named_sites([site.stage for site in located], attach_of(located))


def test_units_of_a_family_without_a_shortcut_are_sites_too():
    class Inverted(nn.Module):
        def __init__(self, width, out):
            super().__init__()
            self.is_residual = width == out
            self.conv = nn.Sequential(
                nn.Conv2d(width, width, 3, padding=1, groups=width),
                nn.ReLU6(),
                nn.Conv2d(width, out, 1),
            )

        def forward(self, x):
            return x + self.conv(x) if self.is_residual else self.conv(x)

    found = points(Net(Inverted(8, 8), Inverted(8, 12), width=12))
    assert [list(site) for site in found] == [["standard", "pre", "post", "inner"]] * 2


def test_keywords_several_arguments_and_tuples_are_measured_by_their_first_tensor():
    class Branch(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(8, 12, 3, padding=1)

        def forward(self, scale, x):
            return self.conv(x) * scale, 3

    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.branch = Branch()

        def forward(self, x):
            return self.branch(0.5, x=x)[0]

    net = Net(Pair(), width=12)
    places = {"pre": ("units.0.branch", "before"), "standard": ("units.0.branch", "after")}
    sites = named_sites([2], [places])
    (site,) = measure_sites(net.eval(), 3, 16, sites)
    assert site.feature_maps == {"pre": FeatureMap(8, 64), "standard": FeatureMap(12, 64)}


# --- channels of images -----------------------------------------------------------------------

OWN = """
import torch
from torch import nn
from torch.nn import functional as F

class OneChannel(nn.Module):
    def __init__(self, num_classes=10, channels=1):
        super().__init__()
        self.late = nn.Conv2d(8, 8, 1)
        self.stem = nn.Conv2d(channels, 8, 3)
        self.head = nn.Linear(8, num_classes)
    def forward(self, x):
        return self.head(self.late(self.stem(x)).mean((2, 3)))

def deaf(num_classes=10, in_channels=3):
    return OneChannel(num_classes)

def bands(num_classes=10):
    return OneChannel(num_classes, 7)

def asked(num_classes=10, in_channels=3):
    return OneChannel(num_classes, in_channels)
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own_channels.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "own_channels"


@pytest.mark.parametrize(
    ("attribute", "images", "expected"),
    [("OneChannel", 3, 1), ("deaf", 3, 1), ("bands", 3, 7), ("asked", 1, 1), ("asked", 3, 3)],
)
def test_channels_are_those_with_which_a_network_runs(own, attribute, images, expected):
    found = backbone_in_channels(f"{own}:{attribute}", images, 16, allow_code=True)
    assert found == expected


def test_a_network_that_takes_no_such_image_is_an_error(own):
    with pytest.raises(BackboneError, match="can't take an image of 3 x 2 x 2"):
        own_in_channels(f"{own}:OneChannel", 3, 2, allow_code=True)


# --- names ------------------------------------------------------------------------------------


def test_a_name_of_both_libraries_is_torchvisions_if_asked_for():
    model = construct("torchvision:densenet121", 3, 7, 0)
    assert type(model) is type(get_model("densenet121", weights=None))
    assert backbone_in_channels("torchvision:densenet121", 1) == 3
    assert default_shape("torchvision:inception_v3") == (3, 299, 1000)


def test_a_near_name_is_suggested_once():
    with pytest.raises(BackboneError, match=r"did you mean densenet121") as caught:
        construct("torchvision:densenet12", 3, 10, 0)
    with pytest.raises(BackboneError, match="did you mean") as caught:
        construct("resnet5", 3, 10, 0)
    names = str(caught.value).partition("did you mean ")[2].partition("?")[0].split(" or ")
    assert "resnet50" in names
    assert len(set(names)) == len(names)
