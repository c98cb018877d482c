"""In a frozen backbone training changes SE blocks, and what was drawn anew, alone."""

import torch
from support.small_network import candidate, network
from torch.nn import functional as F  # noqa: N812  (as everybody calls it)

from se_search.models.freezing import frozen_norms
from se_search.models.surgery import build, plain_state_dict


def test_in_a_frozen_backbone_only_se_is_trained(file):
    model = build(candidate(), 0, file(network(seed=1).state_dict()), freeze_backbone=True)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained == {name for name, _ in model.named_parameters() if ".inserted_se." in name}
    assert trained


def test_a_classifier_that_was_drawn_is_trained_too(file):
    path = file(network(7, seed=1).state_dict())
    model = build(candidate("stage2=post:4"), 0, path, freeze_backbone=True)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert {name for name in trained if ".inserted_se." not in name} == {"fc.weight", "fc.bias"}


def test_a_training_step_changes_nothing_of_a_frozen_backbone(file):
    weights = network(seed=1).state_dict()
    model = build(candidate(), 0, file(weights), freeze_backbone=True).train()
    for norm in frozen_norms(model):
        norm.eval()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    F.cross_entropy(model(torch.rand(4, 1, 28, 28)), torch.arange(4)).backward()
    optimizer.step()
    for name, tensor in plain_state_dict(model).items():
        assert torch.equal(tensor, weights[name]), name


def test_norms_of_a_trained_backbone_are_not_frozen():
    assert not frozen_norms(build(candidate(), 0))
