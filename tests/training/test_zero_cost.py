"""Scores without training are those of the papers, on networks that can be computed by hand."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from support.small_network import SMALL, candidate
from support.supernets import DEVICE, make_recipe, prepare_images
from torch import nn

from se_search.candidate import Candidate
from se_search.errors import RungError
from se_search.models.catalogue import describe_backbone
from se_search.models.surgery import build
from se_search.score import ZERO_COST, supernet_seed, zero_cost_seed
from se_search.training.zero_cost import (
    measure_naswot,
    measure_snip,
    measure_synflow,
    score_untrained,
)
from se_search.training.zero_cost_task import ScoreUntrained

PLAIN = Candidate.plain(SMALL)
OWN = describe_backbone("support.own_networks:Net", 3, 32, 10, allow_code=True)
rng = np.random.default_rng(5)
FIRST, SECOND = rng.normal(size=(4, 3)), rng.normal(size=(2, 4))
INPUTS, LABELS = rng.normal(size=(5, 3)), np.array([0, 1, 1, 0, 1])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return prepare_images(tmp_path_factory.mktemp("images"))


def two_layers(first=FIRST, second=SECOND, activation=None):
    """Return two linear layers without biases, in float64."""
    model = nn.Sequential(
        nn.Linear(3, 4, bias=False), activation or nn.ReLU(), nn.Linear(4, 2, bias=False)
    ).double()
    with torch.no_grad():
        model[0].weight.copy_(torch.from_numpy(first))
        model[2].weight.copy_(torch.from_numpy(second))
    return model


def snip_of(model):
    return measure_snip(model, torch.from_numpy(INPUTS), torch.from_numpy(LABELS))


def naswot_of(model):
    return measure_naswot(model, torch.from_numpy(INPUTS))


def draw_images(count=6, channels=1, size=28):
    return torch.randn(count, channels, size, size, generator=torch.Generator().manual_seed(2))


def test_snip_is_what_backpropagation_by_hand_gives():
    hidden = np.maximum(INPUTS @ FIRST.T, 0)
    logits = hidden @ SECOND.T
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    errors = (shares - np.eye(2)[LABELS]) / len(LABELS)  # gradient of the mean cross-entropy
    second = errors.T @ hidden
    first = ((errors @ SECOND) * (hidden > 0)).T @ INPUTS
    total = np.abs(FIRST * first).sum() + np.abs(SECOND * second).sum()
    assert snip_of(two_layers()) == pytest.approx(math.log(total), abs=1e-12)


def test_snip_does_not_see_factors_that_cancel():
    assert snip_of(two_layers(4 * FIRST, SECOND / 4)) == pytest.approx(snip_of(two_layers()))


def test_snip_does_not_see_the_scale_of_weights_before_a_batch_norm():
    model, images, labels = build(PLAIN, 3), draw_images(), torch.arange(6)
    scaled = copy.deepcopy(model)
    conv = next(each for each in scaled.modules() if isinstance(each, nn.Conv2d))
    with torch.no_grad():
        conv.weight.mul_(8)
    found = measure_snip(model, images, labels), measure_snip(scaled, images, labels)
    assert found[0] == pytest.approx(found[1], abs=1e-3)


def test_snip_leaves_biases_and_norms_out():
    """A single layer's sum is that of its weights, though its bias has a gradient, too."""
    model = nn.Linear(3, 2).double()
    x, y = torch.from_numpy(INPUTS), torch.from_numpy(LABELS)
    nn.functional.cross_entropy(model(x), y).backward()
    own = float((model.weight * model.weight.grad).abs().sum().detach())
    assert measure_snip(model, x, y) == pytest.approx(math.log(own))


def test_synflow_of_two_layers_is_twice_the_flow_through_them():
    """Each layer has the whole flow, 1' |W2| |W1| 1 (Tanaka et al. 2020, theorem 2)."""
    flow = np.abs(SECOND) @ np.abs(FIRST) @ np.ones(3)
    found = measure_synflow(two_layers(), torch.from_numpy(INPUTS))
    assert found == pytest.approx(math.log(2 * flow.sum()), abs=1e-6)


def test_synflow_sees_no_image_and_no_batch_norm():
    images = draw_images()
    plain = measure_synflow(build(PLAIN, 3), images)
    changed = build(PLAIN, 3)
    for norm in changed.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for tensor in (norm.running_mean, norm.running_var, norm.weight.data, norm.bias.data):
                tensor.uniform_(0.5, 3.0)
    assert measure_synflow(changed, 100 * images[:2]) == plain
    without = build(PLAIN, 3)
    for parent in list(without.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, nn.Identity())
    assert measure_synflow(without, images) == plain


def test_synflow_refuses_a_norm_that_subtracts_an_image_s_mean_by_name():
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.GroupNorm(1, 2), nn.Flatten())
    with pytest.raises(RungError, match=r"GroupNorm \(1\)"):
        measure_synflow(model, draw_images(2, 1, 4))


def test_synflow_sees_se_before_sigmoids_are_saturated_and_not_behind():
    """The sigmoid of 40 is 1 in float64: the flow through the default network is 1e17."""
    images = draw_images(2, 3, 32)
    chosen = own("all=none"), own("stage2=pre:2")
    first, second = (measure_synflow(build(each, 3), images) for each in chosen)
    assert abs(first - second) > 1e-3
    grey = draw_images()
    plain = measure_synflow(build(PLAIN, 3), grey)
    assert measure_synflow(build(candidate("stage5=post:4"), 3), grey) == plain


def test_a_gate_of_one_half_halves_the_flow():
    """With weights of 0 a gate is the sigmoid of 0, and hands no gradient on."""
    model = two_layers()
    gate = nn.Linear(2, 2).double()
    nn.init.zeros_(gate.weight)
    nn.init.zeros_(gate.bias)
    gated = nn.Sequential(model, Gated(gate))
    plain = measure_synflow(two_layers(), torch.from_numpy(INPUTS))
    found = measure_synflow(gated, torch.from_numpy(INPUTS))
    assert found == pytest.approx(plain - math.log(2), abs=2e-6)


class Gated(nn.Module):
    """Multiplies by the sigmoid of a layer."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return x * torch.sigmoid(self.layer(x))


def test_naswot_counts_the_units_that_agree_pair_by_pair():
    codes = INPUTS[:2] @ FIRST.T > 0
    agreeing = sum(a == b for a, b in zip(*codes, strict=True))
    assert agreeing < 4  # units
    found = measure_naswot(two_layers(), torch.from_numpy(INPUTS[:2]))
    assert found == pytest.approx(math.log(4**2 - agreeing**2))


def test_naswot_is_that_of_hooks_on_the_modules_of_a_network():
    """Mellor et al. run a hook at each nn.ReLU: the kernel is that of codes and their opposites."""
    model, images = build(PLAIN, 3), draw_images()
    codes = []
    relus = [each for each in model.modules() if isinstance(each, nn.ReLU)]
    assert len(relus) == 7  # of a stem and six units, each of which runs one thrice or once
    for relu in relus:
        relu.register_forward_pre_hook(lambda _, args: codes.append((args[0] > 0).flatten(1)))
    found = measure_naswot(model, images)
    on = torch.cat(codes, dim=1).double()
    kernel = on @ on.T + (1 - on) @ (1 - on).T
    assert found == pytest.approx(float(torch.logdet(kernel)))


class Function(nn.Module):
    """Runs a function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@pytest.mark.parametrize(
    "activation",
    [
        *(nn.ReLU(inplace=True), nn.ReLU6(), nn.ReLU6(inplace=True), nn.LeakyReLU(), nn.PReLU()),
        *(Function(torch.relu), Function(torch.Tensor.relu_), Function(nn.functional.relu6)),
    ],
    ids=str,
)
def test_naswot_sees_each_kind_of_relu_as_a_module_and_as_a_function(activation):
    two = torch.from_numpy(INPUTS[[0, 1]])
    other = two_layers(activation=activation).double()
    assert measure_naswot(other, two) == measure_naswot(two_layers(), two)


def test_naswot_refuses_a_network_without_relus_by_name():
    for activation in (nn.SiLU(), nn.Hardtanh(), nn.Identity()):
        with pytest.raises(RungError, match="Sequential runs none"):
            naswot_of(two_layers(activation=activation))


def test_naswot_refuses_images_that_its_units_do_not_tell_apart():
    with pytest.raises(RungError, match="4 ReLU units of Sequential do not tell 2 images apart"):
        measure_naswot(two_layers(), torch.from_numpy(INPUTS[[0, 0]]))


def own(text):
    return Candidate.parse(f"{OWN.name}/{text}", OWN)


def test_candidates_are_scored_with_the_weights_of_the_seed(data):
    chosen = [own("all=none"), own("stage3=standard:4"), own("all=none")]
    scores = list(score_untrained(chosen, ZERO_COST, data, make_recipe(), 7, DEVICE))
    assert [(one.rung, one.candidate) for one in scores] == [
        (rung, str(each)) for each in chosen[:2] for rung in ZERO_COST
    ]
    assert {(one.member, one.accuracy, one.loss) for one in scores} == {(7, None, None)}
    flow = measure_synflow(build(chosen[1], 7), draw_images(2, 3, 28))
    assert next(one.value for one in scores[3:] if one.rung == "synflow") == flow


def test_the_seed_changes_each_score_and_the_company_none(data):
    def score(chosen, seed=7, rungs=ZERO_COST):
        found = score_untrained(chosen, rungs, data, make_recipe(), seed, DEVICE)
        return {(one.rung, one.key): one.value for one in found}

    plain, other = own("all=none"), own("all=standard:4")
    both = score([plain, other])
    assert score([other]).items() <= both.items()
    assert score([other], rungs=["naswot"]).items() <= both.items()
    elsewhere = score([plain, other], seed=8)
    assert all(elsewhere[name] != value for name, value in both.items())


@pytest.mark.parametrize(
    "text",
    [
        "stage2=standard:4/stage3=pre:4/stage4=identity:4/stage5=post:4",
        "stage2=inner:4/stage3=standard:ese/stage4=standard:eca/stage5=standard:ge",
    ],
)
def test_every_position_and_kind_of_se_gets_scores(data, text):
    scores = score_untrained([candidate(text)], ZERO_COST, data, make_recipe(), 1, DEVICE)
    assert [one.rung for one in scores] == list(ZERO_COST)


def test_a_network_with_functional_relus_is_scored_with_se_anywhere(data):
    texts = ("all=none", "stage2=pre:4", "all=standard:2", "stage3=post:4")
    chosen = [own(text) for text in texts]
    scores = list(score_untrained(chosen, ZERO_COST, data, make_recipe(), 2, DEVICE))
    for rung in ZERO_COST:
        assert len({one.value for one in scores if one.rung == rung}) == len(texts)


def test_a_backbone_without_relus_is_refused_though_se_has_some(data):
    backbone = describe_backbone(
        "support.own_networks:PutsChannelsLast", 3, 32, 10, allow_code=True
    )
    with_se = Candidate.parse(f"{backbone.name}/all=post:4", backbone)
    with pytest.raises(RungError, match="runs none"):
        list(score_untrained([with_se], ["naswot"], data, make_recipe(), 2, DEVICE))


def test_an_unknown_rung_is_refused_with_those_that_there_are(data):
    with pytest.raises(RungError, match="unknown rung 'grasp'; allowed: snip, synflow, naswot"):
        list(score_untrained([own("all=none")], ["grasp"], data, make_recipe(), 2, DEVICE))


def test_a_score_that_is_not_finite_is_refused_with_its_candidate(data):
    backbone = describe_backbone("support.own_networks:Explodes", 3, 32, 10, allow_code=True)
    scores = score_untrained([Candidate.plain(backbone)], ["snip"], data, make_recipe(), 2, DEVICE)
    with pytest.raises(RungError, match=r"snip of .*Explodes with seed 2 is nan, not finite"):
        list(scores)


def test_the_task_for_a_child_process_gives_the_same_scores(data):
    pair = own("all=none"), own("all=standard:4")
    task = ScoreUntrained(pair, 4, data, make_recipe(), DEVICE, ("synflow",))
    calls = []
    sent = pickle.loads(pickle.dumps(task))
    found = sent(until=lambda: calls.append(1))
    direct = score_untrained(task.candidates, task.rungs, data, make_recipe(), 4, DEVICE)
    assert [one.value for one in found] == [one.value for one in direct]
    assert len(calls) == len(found) == 2


def test_seeds_are_no_supernet_s_and_no_replicate_s():
    own = {zero_cost_seed(0, number) for number in range(50)}
    assert len(own) == 50
    assert not own & {supernet_seed(0, number) for number in range(50)}
    assert all(len(str(seed)) == 10 for seed in own)
