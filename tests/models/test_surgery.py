"""Surgery: what a built candidate computes, and which weights it has."""

import copy
import pickle

import pytest
import torch
from torch.nn import functional as F  # noqa: N812  (as everybody calls it)
from torchvision.models import resnet18, resnet50

from se_search.backbone import INTEGRATIONS
from se_search.candidate import Candidate
from se_search.errors import BackboneError
from se_search.models.backbones import construct
from se_search.models.catalogue import describe_backbone
from se_search.models.sites import locate_sites
from se_search.models.squeeze_excite import SqueezeExcite
from se_search.models.surgery import build, insert, plain_state_dict
from se_search.seeds import derive_seed

RESIDUAL = [integration for integration in INTEGRATIONS if integration != "native"]
SMALL = describe_backbone("resnet20_bottleneck", 1, 28, 10)


def candidate(text):
    return Candidate.parse(f"resnet20_bottleneck/{text}", SMALL)


def se_modules(model):
    return [module for module in model.modules() if isinstance(module, SqueezeExcite)]


def gate(w1, w2, x):
    z = x.mean(dim=(-1, -2))
    s = torch.sigmoid(F.linear(F.relu(F.linear(z, w1)), w2))
    return x * s.reshape(*s.shape, 1, 1)


def norm(w, name, x):
    return F.batch_norm(
        x,
        w[f"{name}.running_mean"],
        w[f"{name}.running_var"],
        w[f"{name}.weight"],
        w[f"{name}.bias"],
    )


def unit(w, block, x, stride, integration, se):
    """One residual unit by hand: ``w`` has the plain weights, ``se`` maps x to a gated x."""

    def at(place, y):
        return se(y) if integration == place else y

    convs = ["conv1", "conv2", "conv3"] if f"{block}.conv3.weight" in w else ["conv1", "conv2"]
    strided = len(convs) - 2  # the 3x3 convolution of a bottleneck, the first of a basic block
    y = at("pre", x)
    for i, conv in enumerate(convs):
        weight = w[f"{block}.{conv}.weight"]
        padding = weight.shape[-1] // 2
        y = F.conv2d(y, weight, stride=stride if i == strided else 1, padding=padding)
        y = norm(w, f"{block}.bn{i + 1}", y)
        if i < len(convs) - 1:
            y = F.relu(y)
        if i == strided:
            y = at("inner", y)
    shortcut = x
    if f"{block}.downsample.0.weight" in w:
        shortcut = F.conv2d(x, w[f"{block}.downsample.0.weight"], stride=stride)
        shortcut = norm(w, f"{block}.downsample.1", shortcut)
    if integration == "rectified":
        y = se(F.relu(y))
    return at("post", F.relu(at("standard", y) + at("identity", shortcut)))


def randomise_norms(model):
    generator = torch.Generator().manual_seed(1)
    for name, tensor in model.state_dict().items():
        if "running" in name:
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)


@pytest.mark.parametrize("integration", RESIDUAL)
@pytest.mark.parametrize("block", [1, 2])
@pytest.mark.parametrize("name", ["resnet18", "resnet20_bottleneck"])
def test_an_se_block_computes_what_its_figure_shows(name, block, integration):
    backbone = describe_backbone(name, 3, 32, 10)
    where = f"stage3.block{block}={integration}:4"
    model = build(Candidate.parse(f"{name}/{where}", backbone), 0)
    randomise_norms(model)
    model.double().eval()
    (se,) = se_modules(model)
    w = plain_state_dict(model)
    x = torch.randn(
        2,
        w["layer2.0.conv1.weight"].shape[1],
        8,
        8,
        dtype=torch.float64,
        generator=torch.Generator().manual_seed(0),
    ).relu()
    expected = x
    for i, stride in enumerate((2, 1)):
        expected = unit(
            w,
            f"layer2.{i}",
            expected,
            stride,
            integration if i + 1 == block else None,
            lambda y: gate(se.reduce.weight, se.expand.weight, y),
        )
    torch.testing.assert_close(model.layer2(x.clone()), expected, rtol=1e-12, atol=1e-12)


def test_an_se_before_the_branch_leaves_the_shortcut_alone():
    model = build(candidate("stage3.block2=pre:4"), 0).eval()
    block = model.layer2[1]
    torch.nn.init.zeros_(block.bn3.weight)  # the branch gives nothing
    x = torch.rand(2, 64, 7, 7)
    assert torch.equal(block(x.clone()), x)


def test_an_se_on_the_shortcut_leaves_the_branch_alone():
    model = build(candidate("stage3.block2=identity:4+relu"), 0).eval()
    plain = build(candidate("all=none"), 0).eval()
    block = model.layer2[1]
    torch.nn.init.zeros_(block.downsample.expand.weight)  # the shortcut gives nothing
    x = torch.rand(2, 64, 7, 7)
    branch = plain.layer2[1]
    y = branch.relu(branch.bn1(branch.conv1(x)))
    y = branch.relu(branch.bn2(branch.conv2(y)))
    y = branch.bn3(branch.conv3(y))
    assert torch.equal(block(x.clone()), y.relu())


@pytest.mark.parametrize("torchvision_net", [resnet18, resnet50])
def test_a_candidate_without_se_is_the_plain_backbone_bit_for_bit(torchvision_net):
    backbone = describe_backbone(torchvision_net.__name__, 3, 64, 10)
    model = build(Candidate.plain(backbone), 5)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(5, "backbone"))
        plain = torchvision_net(weights=None, num_classes=10)
    assert list(model.state_dict()) == list(plain.state_dict())
    for built, tensor in zip(model.state_dict().values(), plain.state_dict().values(), strict=True):
        assert torch.equal(built, tensor)
    x = torch.rand(2, 3, 64, 64)
    assert torch.equal(model.eval()(x), plain.eval()(x))


@pytest.mark.parametrize("integration", RESIDUAL)
def test_candidates_of_one_seed_share_the_weights_of_the_backbone(integration):
    plain = build(candidate("all=none"), 3).state_dict()
    shared = plain_state_dict(build(candidate(f"all={integration}:4"), 3))
    assert list(shared) == list(plain)
    for name, tensor in plain.items():
        assert torch.equal(shared[name], tensor)


def test_candidates_of_one_seed_share_an_se_block_where_site_and_shape_agree():
    one = build(candidate("stage3=standard:4+bias"), 3)
    other = build(candidate("stage2=pre:1/stage3.block1=inner:2/stage3.block2=post:4+bias"), 3)
    ours, theirs = one.layer2[1].bn3.inserted_se, other.layer2[1].inserted_se
    for parameter, twin in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(parameter, twin)


def test_other_seeds_and_other_sites_have_other_weights():
    text = candidate("stage3=standard:4")
    model, other = build(text, 0), build(text, 1)
    assert not torch.equal(model.conv1.weight, other.conv1.weight)
    first, second = se_modules(model)
    assert not torch.equal(first.reduce.weight, se_modules(other)[0].reduce.weight)
    assert not torch.equal(first.reduce.weight, second.reduce.weight)


def test_se_weights_have_the_distribution_of_a_linear_layer():
    se = se_modules(build(candidate("stage5=standard:64+bias"), 0))[0]
    for layer in (se.reduce, se.expand):
        bound = layer.in_features**-0.5
        for parameter in (layer.weight, layer.bias):
            assert 0.9 * bound < parameter.abs().max() <= bound
        assert layer.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.03)


def test_building_leaves_the_global_random_state_alone():
    before = torch.get_rng_state()
    build(candidate("all=standard:4+bias"), 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_global_random_state_does_not_matter():
    text = candidate("all=standard:4")
    one = build(text, 0)
    torch.rand(7)
    other = build(text, 0)
    for parameter, twin in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(parameter, twin)


@pytest.mark.parametrize("integration", RESIDUAL)
@pytest.mark.parametrize("squeeze", ["avg", "max"])
def test_every_se_parameter_gets_a_gradient(integration, squeeze):
    variant = "" if squeeze == "avg" else "+max"
    model = build(candidate(f"all={integration}:8{variant}+bias"), 0)
    x = torch.rand(8, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    F.cross_entropy(model(x), torch.arange(8)).backward()
    modules = se_modules(model)
    assert len(modules) == len(SMALL.sites)
    for module in modules:
        for parameter in module.parameters():
            assert parameter.grad.isfinite().all()
            assert parameter.grad.abs().sum() > 0


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_computes_the_same_with_an_se_of_its_own(duplicate):
    model = build(
        candidate("stage2=identity:4/stage3=pre:4/stage4=inner:4/stage5=post:4"), 0
    ).eval()
    twin = duplicate(model)
    x = torch.rand(2, 1, 28, 28)
    expected = model(x)
    assert torch.equal(twin(x), expected)
    for module in se_modules(twin):
        torch.nn.init.zeros_(module.expand.weight)
    assert torch.equal(model(x), expected)
    assert not torch.equal(twin(x), expected)


@pytest.mark.parametrize("integration", RESIDUAL)
def test_se_goes_into_a_loaded_network_that_keeps_its_weights_type_and_mode(integration):
    model = construct("resnet20_bottleneck", 1, 10, seed=9).double().eval()
    weights = copy.deepcopy(model.state_dict())
    insert(model, candidate(f"all={integration}:4"), 0)
    for name, tensor in plain_state_dict(model).items():
        assert torch.equal(tensor, weights[name])
    assert model(torch.rand(1, 1, 28, 28, dtype=torch.float64)).dtype == torch.float64
    assert {p.dtype for p in model.parameters()} == {torch.float64}
    construct("resnet20_bottleneck", 1, 10, seed=0).double().load_state_dict(
        plain_state_dict(model)
    )


def test_the_number_of_se_modules_is_that_of_the_candidate():
    assert len(se_modules(build(candidate("stage2=pre:4/stage4.block2=post:4"), 0))) == 2


@pytest.mark.parametrize("integration", RESIDUAL)
def test_modules_and_parameters_of_the_network_keep_their_names_classes_and_order(integration):
    plain = build(candidate("all=none"), 0)
    model = build(candidate(f"stage2=none/stage3.block2=none/all={integration}:4"), 0)
    found = dict(model.named_modules())
    for path, module in plain.named_modules():
        assert type(found[path]) is type(module)
    parameters = dict(model.named_parameters())
    added = [name for name in parameters if name not in dict(plain.named_parameters())]
    assert [name for name in parameters if name not in added] == list(
        dict(plain.named_parameters())
    )
    se = {id(parameter) for block in se_modules(model) for parameter in block.parameters()}
    assert {id(parameters[name]) for name in added} == se


def test_a_network_with_other_sites_is_refused():
    model = resnet18(weights=None, num_classes=10)
    with pytest.raises(BackboneError, match=r"8 sites up to stage5.block2.*6 up to stage5.block1"):
        insert(model, candidate("all=standard:4"), 0)


def test_a_network_that_carries_se_is_refused():
    model = build(candidate("all=post:4"), 0)
    with pytest.raises(BackboneError, match="already carries SE"):
        insert(model, candidate("all=standard:4"), 0)


def test_attach_points_cover_every_integration():
    model = construct("resnet20_bottleneck", 1, 10, seed=0)
    for site in locate_sites(model):
        assert set(site.attach_points) == set(RESIDUAL)
