"""The SE block, its modifiers and its variants: what they compute, and where gates start."""

import math
from contextlib import suppress
from itertools import product

import pytest
import torch

from se_search.backbone import FeatureMap
from se_search.candidate import GATE_INITS, GATES, KINDS, SE, SQUEEZES, Candidate
from se_search.cost import count_block
from se_search.errors import CandidateError
from se_search.models.catalogue import describe_backbone
from se_search.models.squeeze_excite import ChannelAttention, initialise, make_block
from se_search.models.surgery import build
from se_search.models.trace import SE_HANDLES, FlopCountAnalysis
from se_search.seeds import derive_seed

SMALL = describe_backbone("resnet20_bottleneck", 1, 28, 10)
SIGMA = {
    "sigmoid": lambda a: 1 / (1 + (-a).exp()),
    "hard_sigmoid": lambda a: ((a + 3) / 6).clamp(0, 1),
    "tanh": lambda a: 1 - 2 / ((2 * a).exp() + 1),
    "relu": lambda a: a.clamp(min=0),
}


def all_modified():
    for squeeze, gate, bias, gate_init in product(SQUEEZES, GATES, (False, True), GATE_INITS):
        with suppress(CandidateError):  # not every gate_init goes with the rest
            yield SE("standard", 3, squeeze, gate, bias, gate_init)


def make(block, channels=6, seed=0):
    module = make_block(block, channels)
    initialise(module, "stage2.block1", seed)
    return module.double()


def some_images(channels=6, height=4, width=5):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, channels, height, width, dtype=torch.float64, generator=generator)


def excite(module, block, z):
    """Return the gates for one vector of squeezed channels, by the paper's equations."""
    w1, w2 = module.reduce.weight.flatten(1), module.expand.weight.flatten(1)
    b1, b2 = (module.reduce.bias, module.expand.bias) if block.bias else (0, 0)
    s = SIGMA[block.gate](w2 @ (w1 @ z + b1).clamp(min=0) + b2)
    return 2 * s if block.gate_init == "double" else s


def squeeze_by_hand(squeeze, pixels):
    """Squeeze the values of one channel, ``(h * w,)``."""
    mean = sum(pixels) / len(pixels)
    if squeeze == "avg":
        return mean
    if squeeze == "max":
        return max(pixels)
    if squeeze == "avgmax":
        return 0.5 * mean + 0.5 * max(pixels)
    return math.sqrt(sum((pixel - mean) ** 2 for pixel in pixels) / len(pixels))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("kind", ["ge", "se"])
def test_a_block_that_learns_has_the_output_and_the_gradient_of_a_plain_mean(kind, memory_format):
    block = SE("standard", 3) if kind == "se" else SE("standard", 0, kind="ge")
    module = make(block)
    x = some_images().contiguous(memory_format=memory_format).requires_grad_()
    found = module(x)
    z = x.mean((2, 3))
    gates = z.sigmoid() if kind == "ge" else torch.stack([excite(module, block, v) for v in z])
    expected = x * gates[:, :, None, None]
    torch.testing.assert_close(found, expected)
    target = torch.linspace(-1, 1, x.numel(), dtype=x.dtype).view_as(x)
    (gradient,) = torch.autograd.grad((found * target).sum(), x)
    (exact,) = torch.autograd.grad((expected * target).sum(), x)
    torch.testing.assert_close(gradient, exact)


def test_large_maps_in_half_precision_do_not_overflow_while_learning():
    """The sum of 10,000 pixels of 10 is above the largest number of float16, 65,504."""
    module = make(SE("standard", 0, kind="ge")).half()
    x = torch.full((1, 6, 100, 100), 10.0, dtype=torch.float16, requires_grad=True)
    torch.testing.assert_close(module(x), x * torch.sigmoid(torch.tensor(10.0)).half())


def test_learning_and_evaluation_agree_in_bfloat16():
    module = make(SE("standard", 3)).to(torch.bfloat16)
    x = some_images(height=12, width=12).to(torch.bfloat16)
    with torch.no_grad():
        evaluated = module(x)
    torch.testing.assert_close(module(x), evaluated)


@pytest.mark.parametrize("block", list(all_modified()), ids=str)
def test_a_variant_computes_its_formula(block):
    module, x = make(block), some_images()
    expected = torch.empty_like(x)
    for image in range(2):
        flat = x[image].flatten(1)
        if block.squeeze == "none":
            s = torch.stack([excite(module, block, z) for z in flat.T], dim=1)
            expected[image] = x[image] * s.reshape(6, 4, 5)
        else:
            z = [squeeze_by_hand(block.squeeze, channel) for channel in flat.tolist()]
            s = excite(module, block, torch.tensor(z, dtype=torch.float64))
            expected[image] = x[image] * s[:, None, None]
    torch.testing.assert_close(module(x), expected)


def test_effective_se_computes_its_formula():
    module, x = make(SE("standard", 0, kind="ese")), some_images()
    for image in range(2):
        z = x[image].flatten(1).sum(1) / 20
        s = SIGMA["hard_sigmoid"](module.fc.weight @ z + module.fc.bias)
        torch.testing.assert_close(module(x)[image], x[image] * s[:, None, None])


@pytest.mark.parametrize(("channels", "reach"), [(6, 1), (128, 2)])
def test_eca_computes_its_formula(channels, reach):
    module, x = make(SE("standard", 0, kind="eca"), channels), some_images(channels)
    weight = module.conv.weight.flatten()
    assert len(weight) == 2 * reach + 1
    for image in range(2):
        z = x[image].flatten(1).sum(1) / 20
        for channel in range(channels):
            near = [
                weight[reach + step] * z[channel + step]
                for step in range(-reach, reach + 1)
                if 0 <= channel + step < channels
            ]
            expected = x[image, channel] * SIGMA["sigmoid"](sum(near))
            torch.testing.assert_close(module(x)[image, channel], expected)


def test_gather_excite_computes_its_formula_without_parameters():
    module, x = make(SE("standard", 0, kind="ge")), some_images()
    s = SIGMA["sigmoid"](x.sum((2, 3)) / 20)
    torch.testing.assert_close(module(x), x * s[:, :, None, None])
    assert list(module.parameters()) == []


@pytest.mark.parametrize(
    ("kind", "make_theirs"),
    [
        ("ese", lambda timm_layers, c: timm_layers.EffectiveSEModule(c)),
        ("eca", lambda timm_layers, c: timm_layers.EcaModule(c)),
    ],
)
@pytest.mark.parametrize("channels", [16, 64, 96, 256, 512, 1024, 2048])
def test_the_kin_compute_what_timms_modules_compute(kind, make_theirs, channels):
    timm_layers = pytest.importorskip("timm.layers")
    ours = make(SE("standard", 0, kind=kind), channels)
    theirs = make_theirs(timm_layers, channels).double()
    for parameter, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        other.data = parameter.data.reshape(other.shape)
    x = some_images(channels, 3, 3)
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize("squeeze", ["avg", "avgmax"])
def test_the_block_computes_what_timms_module_computes(squeeze):
    timm_layers = pytest.importorskip("timm.layers")
    ours = make(SE("standard", 4, squeeze, bias=True), 32)
    theirs = timm_layers.SEModule(32, rd_channels=4, add_maxpool=squeeze == "avgmax").double()
    for parameter, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        other.data = parameter.data.reshape(other.shape)
    torch.testing.assert_close(ours(some_images(32)), theirs(some_images(32)))


@pytest.mark.parametrize(
    "block",
    [*all_modified(), *(SE("standard", 0, kind=kind) for kind in KINDS[1:])],
    ids=str,
)
@pytest.mark.parametrize(("channels", "side"), [(8, 5), (256, 2)])
def test_a_block_costs_what_fvcore_counts_of_it_alone(block, channels, side):
    module = make_block(block, channels)
    image = torch.zeros(1, channels, side, side)
    analysis = FlopCountAnalysis(module, image).set_op_handle(**SE_HANDLES)
    cost = count_block(block, FeatureMap(channels, side * side))
    assert dict(cost.by_operator) == dict(analysis.by_operator())
    assert cost.macs == analysis.total()
    assert cost.params == sum(parameter.numel() for parameter in module.parameters())
    assert not analysis.unsupported_ops()


def first_gates(block, channels=256):
    """Return the gates of a fresh block on feature maps as after a norm and a ReLU."""
    module = make(block, channels)
    return module.gates(some_images(channels, 8, 8).relu()).detach()


@pytest.mark.parametrize("squeeze", SQUEEZES)
@pytest.mark.parametrize("gate", ["sigmoid", "hard_sigmoid"])
def test_a_gate_starts_at_a_half_and_a_double_one_at_1(squeeze, gate):
    half = first_gates(SE("standard", 16, squeeze, gate))
    double = first_gates(SE("standard", 16, squeeze, gate, gate_init="double"))
    assert half.mean().item() == pytest.approx(0.5, abs=0.02)
    assert half.quantile(0.1) > 0.3
    assert half.quantile(0.9) < 0.7
    torch.testing.assert_close(double, 2 * half)


@pytest.mark.parametrize("squeeze", SQUEEZES)
@pytest.mark.parametrize("gate", GATES)
def test_an_open_gate_starts_near_1(squeeze, gate):
    gates = first_gates(SE("standard", 16, squeeze, gate, bias=True, gate_init="open"))
    assert gates.mean().item() == pytest.approx(0.98, abs=0.03)
    assert gates.quantile(0.1) > 0.4


def test_an_open_gate_differs_from_a_usual_one_in_the_last_bias_alone():
    text = "resnet20_bottleneck/all=standard:4+bias"
    usual = build(Candidate.parse(text, SMALL), 3).state_dict()
    opened = build(Candidate.parse(f"{text}+open", SMALL), 3).state_dict()
    assert list(usual) == list(opened)
    for name, tensor in usual.items():
        if name.endswith("se.expand.bias"):
            assert opened[name].tolist() == pytest.approx([math.log(49)] * len(tensor))
        else:
            assert torch.equal(tensor, opened[name])


@pytest.mark.parametrize("what", ["4+bias", "4+none+bias", "ese", "eca"])
def test_fresh_weights_are_uniform_from_a_stream_for_each_parameter(what):
    model = build(Candidate.parse(f"resnet20_bottleneck/stage3.block2=pre:{what}", SMALL), 7)
    (module,) = [each for each in model.modules() if isinstance(each, ChannelAttention)]
    for name, parameter in module.named_parameters():
        layer = module.get_submodule(name.split(".")[0])
        bound = layer.weight[0].numel() ** -0.5
        generator = torch.Generator().manual_seed(derive_seed(7, "stage3.block2", name))
        expected = torch.empty_like(parameter).uniform_(-bound, bound, generator=generator)
        assert torch.equal(parameter, expected)


@pytest.mark.parametrize(
    "what", [*(f"8+{squeeze}+bias" for squeeze in SQUEEZES), "8+double", "8+bias+open", *KINDS[1:]]
)
def test_every_parameter_of_every_variant_gets_a_gradient(what):
    model = build(Candidate.parse(f"resnet20_bottleneck/all=standard:{what}", SMALL), 0)
    x = torch.rand(8, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    torch.nn.functional.cross_entropy(model(x), torch.arange(8)).backward()
    modules = [each for each in model.modules() if isinstance(each, ChannelAttention)]
    assert len(modules) == len(SMALL.sites)
    for module in modules:
        for parameter in module.parameters():
            assert parameter.grad.isfinite().all()
            assert parameter.grad.abs().sum() > 0


@pytest.mark.parametrize("squeeze", ["max", "avgmax", "std"])
def test_a_constant_feature_map_has_a_finite_gradient(squeeze):
    module = make(SE("standard", 3, squeeze))
    x = torch.ones(1, 6, 4, 5, dtype=torch.float64, requires_grad=True)
    module(x).sum().backward()
    assert x.grad.isfinite().all()
