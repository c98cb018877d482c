"""A supernet computes what each candidate's network does, to the bit."""

import copy
import pickle
from functools import cache

import pytest
import torch
from safetensors.torch import load
from support.read_outs import (
    answer,
    assert_equal_states,
    assert_is_read_out,
    images,
    perturb,
    supernet_of,
)
from torch import nn
from torch.nn import functional as F  # noqa: N812  (as everybody calls it)

from se_search.candidate import Candidate
from se_search.errors import CandidateError
from se_search.models.catalogue import describe_backbone
from se_search.models.memory_layout import lay_channels_last
from se_search.models.supernet import read_out
from se_search.models.surgery import build, se_parameters
from se_search.models.trained import pack_weights

SMALL = "resnet20_bottleneck"
RESIDUAL = ["standard", "pre", "post", "identity", "inner", "rectified"]
VARIANTS = [
    "4+max",
    "4+avgmax+tanh+bias",
    "4+std+hard_sigmoid+double",
    "4+none+bias+open",
    "4+relu+bias+open",
    "ese",
    "eca",
    "ge",
]
MIXED = (
    "all=standard:2",
    "stage2=identity:4/stage3=pre:4/stage4=inner:4/stage5=post:4",
    "stage2=pre:2+bias/stage3.block1=standard:8/stage3.block2=identity:2/stage5=rectified:8",
)


@cache
def described(name, in_channels=1, size=28):
    return describe_backbone(name, in_channels, size, 10)


def parse(texts, name=SMALL, **shape):
    backbone = described(name, **shape)
    return [Candidate.parse(f"{name}/{text}" if text else name, backbone) for text in texts]


@pytest.mark.parametrize("text", ["", *(f"all={i}:4" for i in RESIDUAL), *MIXED])
def test_with_initial_weights_a_supernet_computes_what_build_returns(text):
    candidates = parse([*(f"all={i}:{w}" for i in RESIDUAL for w in (2, 4, 9)), text, *MIXED])
    supernet, (candidate,) = supernet_of(candidates), parse([text])
    supernet.activate(candidate)
    model = build(candidate, 3)
    x = images(candidate.backbone)
    for training in (False, True):
        assert torch.equal(answer(supernet.train(training), x), answer(model.train(training), x))
    assert_equal_states(read_out(supernet, candidate).state_dict(), model.state_dict())


@pytest.mark.parametrize("text", MIXED)
def test_a_read_out_network_computes_what_the_supernet_does(text):
    supernet = supernet_of(parse(["all=standard:16", *MIXED]))
    perturb(supernet)
    assert_is_read_out(supernet, *parse([text]))


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_can_be_read_out_at_several_positions(variant):
    wide = variant.replace("4", "7", 1)
    candidates = parse([f"all={i}:{v}" for i in ("standard", "pre") for v in (variant, wide)])
    supernet = supernet_of([*candidates, *parse(["all=standard:4"])])
    perturb(supernet)
    assert_is_read_out(supernet, candidates[0])


def test_without_se_a_supernet_is_the_plain_backbone_to_the_bit():
    supernet = supernet_of(parse(MIXED))
    plain = build(Candidate.plain(described(SMALL)), 3)
    assert_equal_states(supernet.network.state_dict(), plain.state_dict())
    x = images(supernet.backbone)
    for candidate in (*parse(MIXED), Candidate.plain(supernet.backbone)):
        supernet.activate(candidate)  # the plain candidate once more, after others
    assert torch.equal(answer(supernet.eval(), x), answer(plain.eval(), x))
    assert torch.equal(answer(supernet.train(), x), answer(plain.train(), x))
    assert_equal_states(supernet.network.state_dict(), plain.state_dict())
    assert [type(m) for m in supernet.network.modules()] == [type(m) for m in plain.modules()]


def test_gradients_are_those_of_the_networks_own_and_reach_nothing_else():
    candidates = parse([*MIXED[1:], "all=standard:5+bias", "all=pre:5"])
    supernet = supernet_of(candidates)
    for candidate in candidates[:2]:
        supernet.activate(candidate)
        supernet.zero_grad()
        alone = read_out(supernet, candidate)
        x, labels = images(candidate.backbone), torch.arange(3)
        for model in (supernet, alone):
            F.cross_entropy(model(x), labels).backward()
        with_gradient = {n for n, p in supernet.named_parameters() if p.grad is not None}
        assert len(with_gradient) == len(list(alone.parameters()))
        total = sum(p.grad.double().square().sum() for p in alone.parameters())
        ours = sum(supernet.get_parameter(n).grad.double().square().sum() for n in with_gradient)
        torch.testing.assert_close(ours, total, rtol=1e-12, atol=0)
        for name, parameter in alone.named_parameters():
            if name not in se_parameters(alone):
                assert torch.equal(supernet.network.get_parameter(name).grad, parameter.grad)


def test_hidden_units_beyond_the_width_get_no_gradient():
    narrow, wide = parse(["stage2=standard:2", "stage2=standard:5"])
    supernet = supernet_of([narrow, wide])
    supernet.activate(narrow)
    supernet(images(narrow.backbone)).square().sum().backward()
    gradient = supernet.blocks["stage2_block1"]["standard"].reduce.weight.grad
    assert gradient.shape == (5, 32)
    assert (gradient[:2] != 0).any(dim=1).all()
    assert not gradient[2:].any()


def test_first_rows_do_not_depend_on_which_other_designs_there_are():
    (narrow,) = parse(["all=standard:2+bias"])
    few = supernet_of([narrow])
    many = supernet_of([narrow, *parse(["all=standard:8+bias", "all=pre:16", "all=standard:ese"])])
    assert_equal_states(read_out(few, narrow).state_dict(), read_out(many, narrow).state_dict())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stage3=standard:3", r"no SE block standard:3 at stage3.block1 \(it has standard:2"),
        ("stage3=standard:2+max", r"no SE block standard:2\+max at stage3.block1"),
        ("stage5=inner:4", r"no SE block inner:4 at stage5.block1 \(it has "),
        ("stage3=standard:ese", r"no SE block standard:ese at stage3.block1"),
    ],
)
def test_a_block_that_the_supernet_lacks_is_named_with_its_site(text, message):
    active, other = parse([MIXED[0], text])
    supernet = supernet_of(parse(MIXED))
    supernet.activate(active)
    before = answer(supernet.eval(), images(active.backbone))
    for use in (supernet.activate, lambda candidate: read_out(supernet, candidate)):
        with pytest.raises(CandidateError, match=message):
            use(other)
    assert supernet.candidate == active
    assert torch.equal(answer(supernet, images(active.backbone)), before)


def test_a_candidate_of_another_backbone_is_refused():
    supernet = supernet_of(parse(MIXED))
    with pytest.raises(CandidateError, match="of another backbone, cifar_resnet20"):
        supernet.activate(Candidate.plain(describe_backbone("cifar_resnet20", 3, 32, 10)))


def duplicates(supernet):
    twin = supernet_of(parse(MIXED), seed=4)
    twin.load_state_dict(load(pack_weights(supernet)))
    return {
        "a deep copy": copy.deepcopy(supernet),
        "a pickled copy": pickle.loads(pickle.dumps(supernet)),
        "loaded weights": twin,
    }


@pytest.mark.parametrize("way", ["a deep copy", "a pickled copy", "loaded weights"])
def test_a_copy_is_a_supernet_of_its_own(way):
    supernet = supernet_of(parse(MIXED)).eval()
    perturb(supernet)
    x = images(supernet.backbone)
    supernet.activate(parse(MIXED)[1])
    twin = duplicates(supernet)[way].eval()
    answers = {}
    for candidate in parse(MIXED):
        supernet.activate(candidate)
        twin.activate(candidate)
        answers[candidate] = answer(supernet, x)
        assert torch.equal(answer(twin, x), answers[candidate])
    perturb(twin)
    twin.activate(parse(MIXED)[0])
    for candidate, expected in answers.items():
        supernet.activate(candidate)
        assert torch.equal(answer(supernet, x), expected)
        twin.activate(candidate)
        assert not torch.equal(answer(twin, x), expected)


@pytest.mark.parametrize("text", MIXED)
def test_other_memory_layouts_and_types_are_read_out_with_the_weights(text):
    supernet = supernet_of(parse(MIXED)).double()
    lay_channels_last(supernet)
    (candidate,) = parse([text])
    supernet.activate(candidate)
    x = images(supernet.backbone).double().contiguous(memory_format=torch.channels_last)
    alone = read_out(supernet, candidate)
    assert torch.equal(answer(supernet, x), answer(alone, x))
    assert {parameter.dtype for parameter in alone.parameters()} == {torch.float64}


def test_a_frozen_backbone_is_frozen_as_build_freezes_it():
    candidates = parse(["all=standard:2", "all=pre:4"])
    supernet = supernet_of(candidates, freeze_backbone=True)
    for candidate in candidates:
        ours = read_out(supernet, candidate).named_parameters()
        theirs = build(candidate, 3, freeze_backbone=True).named_parameters()
        assert [(n, p.requires_grad) for n, p in ours] == [(n, p.requires_grad) for n, p in theirs]


def test_weights_of_the_backbone_are_taken_from_a_file(file):
    plain = build(Candidate.plain(described(SMALL)), 9)
    perturb(plain)
    weights = file(plain.state_dict())
    candidates = parse(MIXED)
    supernet = supernet_of(candidates, weights=weights)
    for candidate in candidates:
        expected = build(candidate, 3, weights=weights).state_dict()
        assert_equal_states(read_out(supernet, candidate).state_dict(), expected)


def test_making_a_supernet_leaves_the_global_random_state_alone():
    before = torch.get_rng_state()
    read_out(supernet_of(parse(MIXED)), parse(MIXED)[0])
    assert torch.equal(torch.get_rng_state(), before)


def test_a_network_that_counts_its_children_runs_as_it_does_without_se():
    supernet = supernet_of(parse(MIXED))
    plain = build(Candidate.plain(supernet.backbone), 3)
    for path, module in supernet.network.named_modules():
        assert [n for n, _ in module.named_children()] == [
            n for n, _ in plain.get_submodule(path).named_children()
        ]
        assert isinstance(module, nn.Module)
