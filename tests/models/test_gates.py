"""The gates of SE blocks are seen and replaced wherever a block is attached."""

import copy

import pytest
import torch
from torch import nn
from torchvision.models import get_model

from se_search.candidate import SE, Candidate
from se_search.errors import BackboneError
from se_search.models.attachment import attach
from se_search.models.catalogue import describe_backbone
from se_search.models.gates import changing_gates
from se_search.models.squeeze_excite import ChannelAttention, initialise, make_block
from se_search.models.surgery import build, insert

SMALL = describe_backbone("resnet20_bottleneck", 1, 28, 10)
KINDS = [
    "all=standard:4",
    "all=standard:4+tanh+bias",
    "all=standard:4+double",
    "all=standard:4+none",
    "all=standard:ese",
    "all=standard:eca",
    "all=standard:ge",
    "all=rectified:4",
    "stage2=identity:4/stage3=pre:4/stage4=inner:4/stage5=post:4",
]
IMAGES = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def small(text):
    candidate = Candidate.parse(f"{SMALL.name}/{text}", SMALL)
    return candidate, build(candidate, 0).eval()


@torch.no_grad()
def see(model, images=IMAGES):
    """Return the gates by site, and what the network answers."""
    seen = {}

    def keep(site, gates):
        assert site not in seen
        seen[site] = gates
        return gates

    with changing_gates(model, keep):
        answer = model(images)
    return seen, answer


@pytest.mark.parametrize("text", KINDS)
def test_each_site_shows_its_gates_once_and_the_answer_is_as_before(text):
    candidate, model = small(text)
    seen, answer = see(model)
    with torch.no_grad():
        assert torch.equal(answer, model(IMAGES))
    carrying = zip(SMALL.sites, candidate.blocks, strict=True)
    expected = {site.name: site.feature_map(b.integration).channels for site, b in carrying if b}
    assert {site: gates.shape[1] for site, gates in seen.items()} == expected
    assert all(len(gates) == 3 for gates in seen.values())


@pytest.mark.parametrize("text", KINDS)
@torch.no_grad()
def test_gates_of_one_are_no_se_at_all(text):
    _, model = small(text)
    with changing_gates(model, lambda _, gates: torch.ones_like(gates)):
        answer = model(IMAGES)
    if "rectified" in text:  # its ReLU stays
        return
    torch.testing.assert_close(answer, build(Candidate.plain(SMALL), 0).eval()(IMAGES))


@torch.no_grad()
def test_replacing_one_sites_gates_is_cutting_its_layers_off():
    _, model = small("all=standard:4")
    with changing_gates(model, lambda site, g: 0 * g + 0.5 if site == "stage3.block2" else g):
        answer = model(IMAGES)
    model.layer2[1].bn3.inserted_se.expand.weight.zero_()  # the sigmoid of 0 is a half
    assert torch.equal(answer, model(IMAGES))


def test_a_network_is_as_it_was_even_after_an_error():
    _, model = small("stage2=identity:4/stage3=pre:4/stage4=inner:4/stage5=post:4")
    before = {path: dict(vars(module)) for path, module in model.named_modules()}

    def fail(_site, _gates):
        raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"), changing_gates(model, fail):
        model(IMAGES)
    for path, module in model.named_modules():
        assert vars(module).keys() == before[path].keys()
        assert not {k for k, v in vars(module).items() if v is not before[path][k]}
        assert all("gates" not in repr(hook) for hook in module._forward_hooks.values())


@torch.no_grad()
def test_blocks_whose_weights_another_module_holds_are_seen_too():
    attention = make_block(SE("standard", 2), 4)
    initialise(attention, "stage2.block1", 0)
    attention.site = "stage2.block1"
    alone = copy.deepcopy(attention)
    host = nn.Sequential(nn.Conv2d(1, 4, 3))  # a container counts its children
    features = host(IMAGES)
    attach(host, "after", attention)
    assert not any(isinstance(module, ChannelAttention) for module in host.modules())
    seen, answer = see(host)
    assert torch.equal(answer, alone(features))
    assert torch.equal(seen["stage2.block1"], alone.gates(features))
    with changing_gates(host, lambda _, gates: 0.25 * torch.ones_like(gates)):
        assert torch.equal(host(IMAGES), 0.25 * features)
    assert torch.equal(host(IMAGES), alone(features))


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "legacy_seresnet18", "timm:regnety_002"])
@torch.no_grad()
def test_the_blocks_that_a_network_came_with_show_their_gates(name):
    backbone = describe_backbone(name, 3, 64, 10)
    candidate = Candidate.parse(f"{name}/native=native:original", backbone)
    model = build(candidate, 0).eval()
    images = torch.rand(2, 3, 64, 64)
    seen, answer = see(model, images)
    assert torch.equal(answer, model(images))
    assert set(seen) == {site.name for site in backbone.sites if site.native}
    with changing_gates(model, lambda _, gates: torch.ones_like(gates)):
        answer = model(images)
    torch.testing.assert_close(answer, build(Candidate.plain(backbone), 0).eval()(images))


def test_a_block_without_an_activation_of_its_own_is_refused():
    model = get_model("mobilenet_v3_small", num_classes=10)
    backbone = describe_backbone("mobilenet_v3_small", 3, 64, 10)
    insert(model, Candidate.parse(f"{backbone.name}/native=native:original", backbone), 0)
    del model.features[1].block[1].scale_activation
    with (
        pytest.raises(BackboneError, match=r"SqueezeExcitation at stage2.block1 can't be seen"),
        changing_gates(model, lambda _, gates: gates),
    ):
        pass
