"""Packed weights give the same outputs in the network that is built anew."""

import pytest
import torch
from support.small_network import candidate
from torch import nn

from se_search.candidate import Candidate
from se_search.errors import BackboneError
from se_search.models.memory_layout import lay_channels_last
from se_search.models.profile import profile
from se_search.models.surgery import build
from se_search.models.trained import load_trained, pack_weights


def move(model):
    """Change all weights and statistics, as a training does."""
    torch.manual_seed(0)
    model.train()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


@pytest.mark.parametrize(
    "text", ["all=standard:4", "all=pre:ese", "stage2=post:eca/stage3=inner:ge", "no SE"]
)
def test_a_loaded_network_has_the_outputs_of_the_packed_one(text):
    found = candidate(text)
    model = move(build(found, seed=5))
    lay_channels_last(model)
    images = torch.randn(4, 1, 28, 28)
    with torch.no_grad():
        model(images)  # moves the statistics of batch norms
        loaded = load_trained(found, pack_weights(model))
        assert torch.allclose(loaded(images), model.eval()(images), atol=1e-5)
    assert not loaded.training


def test_se_whose_weights_stand_in_another_module_is_packed_too():
    backbone = profile("support.own_networks:LooksForLayers", 3, 16, 10, allow_code=True)
    found = Candidate.parse("all=standard:2", backbone)
    model = move(build(found, seed=5)).eval()
    images = torch.randn(2, 3, 16, 16)
    assert torch.equal(load_trained(found, pack_weights(model))(images), model(images))


def test_a_module_in_two_places_is_packed_under_both_names():
    layer = nn.Linear(3, 3)
    packed = pack_weights(nn.Sequential(layer, layer))
    other = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    from safetensors.torch import load

    other.load_state_dict(load(packed))
    assert all(torch.equal(each.weight, layer.weight) for each in other)


def test_state_that_is_no_tensor_is_refused_by_its_name():
    class Counts(nn.Module):
        def get_extra_state(self):
            return {"count": 3}

    with pytest.raises(BackboneError, match=r"has 0\._extra_state, a dict; only tensors"):
        pack_weights(nn.Sequential(Counts()))


def test_weights_of_another_candidate_are_refused():
    content = pack_weights(build(candidate("all=standard:4"), seed=0))
    with pytest.raises(BackboneError, match="the weights do not fit"):
        load_trained(candidate("all=standard:2"), content)
