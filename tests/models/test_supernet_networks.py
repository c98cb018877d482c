"""Supernets of many kinds of networks: what is read out computes the same."""

import copy
import random
from functools import cache

import pytest
import torch
from support.networks import native_se
from support.read_outs import answer, assert_equal_states, assert_is_read_out, perturb, supernet_of
from torchvision.ops import SqueezeExcitation

from se_search.candidate import SE, Candidate
from se_search.models.catalogue import describe_backbone
from se_search.models.elastic import has_width, make_elastic_native, read_weights, set_width
from se_search.models.supernet import make_supernet, read_out
from se_search.models.surgery import build, resize_native
from se_search.space.designs import collect_designs

NETWORKS = [
    "cifar_resnet20",  # shortcuts that pad
    "mobilenet_small",
    "shufflenet_v1_g3",
    "mobilenet_v3_small",  # SE of its own in some units
    *(
        f"support.own_networks:{name}"
        for name in (
            "small_densenet",
            "small_inception",
            "AsksForItsClass",
            "TakesSeveralArguments",
            "ChangesItsInput",
            "PutsChannelsLast",
            "RunsItsChildren",
            "BeginsWithAConv1d",
            "HasAConv3d",
            "HasLazyWeights",
        )
    ),
]


@cache
def described(name):
    return describe_backbone(name, 3, 32, 10, allow_code=name.startswith("support"))


def draw_candidates(backbone, count=3):
    draw = random.Random(0)
    candidates = []
    for _ in range(count):
        blocks = []
        for site in backbone.sites:
            integration = draw.choice(list(site.feature_maps))
            widths = [draw.randint(1, 9), *([site.native.width] if site.native else [])]
            blocks.append(draw.choice([None, SE(integration, draw.choice(widths))]))
        candidates.append(Candidate(backbone, tuple(blocks)))
    return candidates


@pytest.mark.parametrize("name", NETWORKS)
def test_a_read_out_network_computes_what_the_supernet_does(name):
    candidates = draw_candidates(described(name))
    supernet = supernet_of(candidates)
    perturb(supernet)
    for candidate in candidates[:2]:
        assert_is_read_out(supernet, candidate)


# --- SE blocks that a network came with -----------------------------------------------------------


NATIVE = "mobilenet_v3_small"


def native(text):
    return Candidate.parse(f"{NATIVE}/{text}", described(NATIVE))


def test_with_its_original_blocks_a_supernet_is_the_network_as_its_library_makes_it():
    original, narrow = native("native=native:original"), native("native=native:3")
    supernet = supernet_of([original, narrow, native("native=native:200")])
    assert_equal_states(read_out(supernet, original).state_dict(), build(original, 3).state_dict())


def test_a_narrower_block_has_the_first_rows_of_the_original_and_an_output_layer_of_its_own():
    original, narrow = native("native=native:original"), native("native=native:3")
    supernet = supernet_of([original, narrow])
    theirs, ours = build(narrow, 3).state_dict(), read_out(supernet, narrow).state_dict()
    rows = build(original, 3).state_dict()
    firsts = [name for name in rows if ".fc1." in name]
    for name, tensor in ours.items():
        expected = rows[name][:3] if name in firsts else theirs[name]
        assert torch.equal(tensor, expected), name
    assert len(firsts) == 2 * sum(site.native is not None for site in supernet.backbone.sites)


def test_wider_blocks_than_the_original_begin_with_its_rows():
    original, wide = native("native=native:original"), native("native=native:200")
    supernet = supernet_of([original, wide])
    first = "features.4.block.2.fc1.weight"
    width = build(original, 3).state_dict()[first].shape[0]
    rows = read_out(supernet, wide).state_dict()[first]
    assert torch.equal(rows[:width], build(original, 3).state_dict()[first])
    assert torch.equal(rows[width:], build(wide, 3).state_dict()[first][width:])


def test_without_its_own_blocks_among_the_designs_a_network_has_none():
    backbone = described(NATIVE)
    supernet = make_supernet(backbone, collect_designs([Candidate.plain(backbone)]), 3).eval()
    plain = build(Candidate.plain(backbone), 3).eval()
    assert_equal_states(supernet.network.state_dict(), plain.state_dict())
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(answer(supernet, x), answer(plain, x))
    assert len(supernet.blocks) == 0


def own_blocks():
    timm = pytest.importorskip("timm")
    return {
        "torchvision": SqueezeExcitation(12, 6),
        "timm": timm.layers.SEModule(12, rd_channels=6),
        "timm's EfficientNet": timm.models._efficientnet_blocks.SqueezeExcite(12, 0.5),
        "timm's legacy SENet": timm.models.senet.SEModule(12, 2),
    }


@pytest.mark.parametrize(
    "name", ["torchvision", "timm", "timm's EfficientNet", "timm's legacy SENet"]
)
@torch.no_grad()
def test_every_class_of_own_blocks_can_have_other_widths(name):
    own = own_blocks()[name]
    designs = [SE("native", width) for width in (2, 6, 9)]
    elastic = make_elastic_native(own, native_se(6), designs, "stage2.block1", 3)
    x = torch.randn(2, 12, 3, 3)
    for width in (2, 6, 9):
        plain = copy.deepcopy(own) if width == 6 else resize_native(own, width, "", 0)
        set_width(elastic, width)
        plain.load_state_dict(read_weights(elastic, width))
        assert torch.equal(elastic(x.clone()), plain(x.clone()))
        assert [has_width(elastic, w) for w in (width, 3)] == [True, False]
    set_width(elastic, 6)
    assert torch.equal(elastic(x.clone()), own(x.clone()))
