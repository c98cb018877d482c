"""Supernets of a few candidates, and what a network that is read out of one computes."""

import torch

from se_search.models.supernet import make_supernet, read_out
from se_search.space.designs import collect_designs


def supernet_of(candidates, seed=3, **options):
    return make_supernet(candidates[0].backbone, collect_designs(candidates), seed, **options)


def images(backbone, count=3):
    shape = (count, backbone.in_channels, backbone.image_size, backbone.image_size)
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def perturb(model):
    """Give all weights and statistics values that show, as a training does."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.is_floating_point():
                tensor.mul_(torch.rand(tensor.shape, generator=generator) + 0.5)


@torch.no_grad()
def answer(model, x):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # of dropout and stochastic depth
        return model(x.clone())


def assert_equal_states(one, other):
    assert list(one) == list(other)
    assert all(torch.equal(one[name], other[name]) for name in one)


def assert_is_read_out(supernet, candidate):
    """Hold outputs in both modes, statistics and gradients against those of the read-out."""
    x = images(candidate.backbone)
    supernet.activate(candidate)
    for training in (False, True):
        alone = read_out(supernet.train(training), candidate)
        assert alone.training == training
        assert torch.equal(answer(supernet, x), answer(alone, x))
    ours = dict(supernet.network.named_buffers())
    assert all(torch.equal(tensor, ours[name]) for name, tensor in alone.named_buffers())
