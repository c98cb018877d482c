"""Attached SE blocks: the network's own code, copies, exports and checkpoints go on working."""

import copy
import pickle
from collections import namedtuple
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  (as everybody calls it)
from torch.utils.checkpoint import checkpoint
from torchvision.ops import StochasticDepth

from se_search.backbone import FeatureMap
from se_search.candidate import SE, Candidate
from se_search.models.attachment import (
    Hosts,
    attach,
    attached_parameters,
    map_first_tensor,
    takes_children,
)
from se_search.models.backbones import construct
from se_search.models.catalogue import describe_backbone
from se_search.models.squeeze_excite import initialise, make_block
from se_search.models.surgery import build, plain_state_dict, se_parameters

SMALL = describe_backbone("resnet20_bottleneck", 1, 28, 10)
TEXT = "resnet20_bottleneck/stage2=identity:4/stage3=pre:4/stage4=inner:4/stage5=post:4"
FOUR = FeatureMap(4, 25)


def small(text=TEXT, seed=0):
    return build(Candidate.parse(text, SMALL), seed)


def images(count=2, channels=1, size=28):
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(0))


def make(block="standard", channels=4, width=2, **options):
    attention = make_block(SE(block, width, **options), channels)
    initialise(attention, "stage2.block1", 0)
    return attention


def with_se(module, side, **options):
    """Attach an SE block to a module; return a copy of the block that stands alone."""
    attention = make(**options)
    alone = copy.deepcopy(attention)
    attach(Hosts(module).find(module, side), side, attention)
    return alone


class Scaled(nn.Module):
    """Is called with a number, by position or by name, and returns what it was told, too."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x, scale=1.0):
        return scale * self.conv(x), scale


class GoesThroughChildren(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)

    def forward(self, x):
        return self._run(x)

    def _run(self, x):
        for _, layer in self.named_children():
            x = layer(x)
        return x


def run_all(network, x):
    for layer in network.children():
        x = layer(x)
    return x


class LetsAFunctionGoThroughChildren(GoesThroughChildren):
    def forward(self, x):
        return run_all(self, x)


class Counted(nn.Sequential):
    """Does more than its modules do, and counts them."""

    def forward(self, x):
        return super().forward(x) * len(self)


def layers(*activations):
    return [nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), *activations]


HOSTS = {
    "a convolution": partial(nn.Conv2d, 4, 4, 3),
    "an identity": nn.Identity,
    "a sequence": lambda: nn.Sequential(*layers(nn.ReLU(inplace=True))),
    "an empty sequence": nn.Sequential,
    "nested sequences": lambda: nn.Sequential(nn.Sequential(*layers()), nn.Sequential()),
    "a sequence that does more": lambda: Counted(*layers()),
    "code that goes through children": GoesThroughChildren,
    "a function that goes through children": LetsAFunctionGoThroughChildren,
}


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("name", list(HOSTS))
def test_se_runs_once_before_or_after_any_module(name, side):
    plain = HOSTS[name]().eval()
    host = copy.deepcopy(plain)
    se = with_se(host, side)
    x = images(2, 4, 5)
    expected = plain(se(x.clone())) if side == "before" else se(plain(x.clone()))
    assert torch.equal(host(x.clone()), expected)


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("name", list(HOSTS))
def test_a_module_with_se_keeps_its_class_children_and_weights(name, side):
    plain = HOSTS[name]()
    host = copy.deepcopy(plain)
    with_se(host, side)
    assert type(host) is type(plain)
    if isinstance(plain, nn.Sequential):
        assert len(host) == len(plain)
        assert [type(module) for module in host] == [type(module) for module in plain]
    missing, unexpected = host.load_state_dict(plain.state_dict(), strict=False)
    assert unexpected == []
    assert missing == [name for name, _ in attached_parameters(host)]
    assert len(missing) == 2


@pytest.mark.parametrize(
    ("options"),
    [
        {"bias": True, "gate": "hard_sigmoid"},
        {"squeeze": "none", "bias": True},
        {"squeeze": "avgmax", "gate_init": "double"},
        {"kind": "ese", "width": 0},
        {"kind": "eca", "width": 0},
        {"kind": "ge", "width": 0},
        {"block": "rectified"},
    ],
    ids=str,
)
def test_a_container_hosts_every_design_as_parameters(options):
    host = nn.Sequential()
    se = with_se(host, "after", **options)
    x = images(2, 4, 5) - 0.5
    assert torch.equal(host(x), se(x))
    assert [p.shape for p in host.parameters()] == [p.shape for p in se.parameters()]


def test_a_module_that_stands_at_two_places_runs_no_se_at_the_other():
    relu = nn.ReLU()
    model = nn.Sequential(nn.Sequential(nn.Conv2d(4, 4, 1), relu), nn.Sequential(relu))
    plain = copy.deepcopy(model)
    attention = make()
    alone = copy.deepcopy(attention)
    attach(Hosts(model).find(model[0], "after"), "after", attention)
    x = images(2, 4, 5)
    assert torch.equal(model(x), plain[1](alone(plain[0](x))))


def test_two_blocks_on_one_module_run_in_the_order_in_which_they_are_attached():
    host = nn.Conv2d(4, 4, 1)
    plain = copy.deepcopy(host)
    first, second = with_se(host, "after"), with_se(host, "after", squeeze="max")
    x = images(2, 4, 5)
    assert torch.equal(host(x), second(first(plain(x))))


def test_a_name_that_the_module_has_already_is_left_alone():
    host = nn.Conv2d(4, 4, 1)
    host.inserted_se = "the network's own"
    with_se(host, "after")
    assert host.inserted_se == "the network's own"


@pytest.mark.parametrize("side", ["before", "after"])
def test_se_gates_the_first_tensor_of_several_arguments_and_outputs(side):
    plain = Scaled()
    for call in (lambda m, x: m(x, 0.5), lambda m, x: m(x=x, scale=0.5)):
        host = copy.deepcopy(plain)
        se = with_se(host, side)
        x = images(2, 4, 5)
        output, scale = call(host, x)
        assert scale == 0.5
        expected = plain(se(x), 0.5)[0] if side == "before" else se(plain(x, 0.5)[0])
        assert torch.equal(output, expected)


def test_the_first_tensor_is_found_in_any_container_and_the_container_is_copied():
    pair = namedtuple("pair", ["name", "maps"])
    one, two = torch.zeros(1), torch.ones(1)
    value = {"kind": "a", "pair": pair("b", [None, one, two])}
    changed, is_found = map_first_tensor(value, lambda x: x + 5)
    assert is_found
    assert changed["pair"].maps[1:] == [torch.full((1,), 5.0), two]
    assert isinstance(changed["pair"], pair)
    assert value["pair"].maps[1] is one
    assert map_first_tensor(("no tensor", 1), lambda x: x) == (("no tensor", 1), False)


@pytest.mark.parametrize("side", ["before", "after"])
def test_an_input_that_is_changed_in_place_afterwards_trains(side):
    host = nn.Identity() if side == "after" else nn.Conv2d(4, 4, 1)
    with_se(host, side)
    x = images(2, 4, 5).requires_grad_()
    shared = x * 1
    gated = host(shared)
    shared += gated
    shared.relu_().sum().backward()
    assert x.grad.isfinite().all()
    assert all(parameter.grad.abs().sum() > 0 for _, parameter in attached_parameters(host))


def hosted_and_attached():
    """A network with an SE block of its own child, and one whose weights a container has."""
    net = nn.Sequential(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU()), nn.Sequential(), nn.Flatten())
    hosts = Hosts(net)
    for module in (net[0], net[1]):
        attach(hosts.find(module, "after"), "after", make())
    return net.eval()


NETWORKS = {"by children": lambda: small().eval(), "in containers": hosted_and_attached}


@pytest.fixture(params=list(NETWORKS))
def network(request):
    return NETWORKS[request.param]()


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_runs_the_se_blocks_of_the_copy(network, duplicate):
    expected = network(images())
    twin = duplicate(network)
    assert torch.equal(twin(images()), expected)
    with torch.no_grad():
        for _, parameter in attached_parameters(twin):
            parameter.fill_(3.0)
    assert torch.equal(network(images()), expected)
    assert not torch.equal(twin(images()), expected)


# torch.jit.trace is deprecated, and users go on exporting with it.
@pytest.mark.filterwarnings("ignore:.*torch.jit.trace.*:FutureWarning")
def test_a_trace_computes_what_the_network_does(network):
    traced = torch.jit.trace(network, images())
    torch.testing.assert_close(traced(images(3)), network(images(3)))


def test_fx_traces_the_network_with_its_se_blocks(network):
    traced = torch.fx.symbolic_trace(network)
    assert torch.equal(traced(images(3)), network(images(3)))


def test_an_exported_program_computes_what_the_network_does(network):
    batch = torch.export.Dim("batch", min=2)
    program = torch.export.export(network, (images(3),), dynamic_shapes=({0: batch},))
    torch.testing.assert_close(program.module()(images(5)), network(images(5)))
    names = set(program.state_dict)
    assert {name for name, _ in attached_parameters(network)} <= names


def test_a_network_compiles_without_a_graph_break(network):
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(images(3)), network(images(3)))


def replicate(network):
    """Copy a network as ``DataParallel`` does for each device: weights are no parameters then."""
    copies = {id(m): m._replicate_for_data_parallel() for m in network.modules()}
    for module in network.modules():
        twin = copies[id(module)]
        for name, child in module._modules.items():
            setattr(twin, name, copies[id(child)])
        for name, parameter in module._parameters.items():
            setattr(twin, name, None if parameter is None else parameter.detach() * 2)
    return copies[id(network)]


def test_a_replica_of_data_parallel_runs_se_blocks_with_the_weights_of_the_replica(network):
    twin = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter *= 2
    assert torch.equal(replicate(network)(images()), twin(images()))


@pytest.mark.parametrize("use_reentrant", [True, False])
def test_gradients_are_those_of_a_network_without_checkpointing(network, use_reentrant):
    def gradients(run):
        network.zero_grad()
        run(images(3).requires_grad_()).square().sum().backward()
        return [parameter.grad.clone() for parameter in network.parameters()]

    expected = gradients(network)
    recomputed = gradients(lambda x: checkpoint(network, x, use_reentrant=use_reentrant))
    for one, other in zip(recomputed, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_the_weights_of_the_plain_network_load_and_only_se_is_missing():
    model = small()
    plain = construct("resnet20_bottleneck", 1, 10, seed=3)
    missing, unexpected = model.load_state_dict(plain.state_dict(), strict=False)
    assert unexpected == []
    assert set(missing) == set(se_parameters(model))
    assert all(torch.equal(v, plain.state_dict()[k]) for k, v in plain_state_dict(model).items())


def test_a_network_moves_to_another_type_with_its_se_blocks(network):
    assert network.double()(images().double()).dtype == torch.float64
    assert all(p.dtype == torch.float64 for _, p in attached_parameters(network))


def test_se_in_the_unit_of_a_network_that_asks_for_its_class_runs():
    class Unit(nn.Module):
        def __init__(self):
            super().__init__()
            self.branch = nn.Conv2d(4, 4, 3, padding=1)

        def forward(self, x):
            return F.relu(x + self.branch(x))

    units = nn.ModuleList([Unit(), nn.Linear(1, 1)])
    se = with_se(units[0], "after")
    plain = copy.deepcopy(units[0].branch)
    x = images(2, 4, 5)
    for unit in units:
        if isinstance(unit, Unit):
            y = unit(x)
    assert torch.equal(y, se(F.relu(x + plain(x))))


def test_code_that_names_a_type_of_functions_is_read():
    assert takes_children(StochasticDepth(0.1, "row"))
