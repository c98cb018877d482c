"""Optimiser and learning-rate schedule are those of the recipe."""

from functools import partial

import pytest
import torch

from se_search.recipe import Optimizer, Schedule, read_recipe
from se_search.training.classifier import make_optimizer, rate_factor


def test_frozen_parameters_are_not_optimised():
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 1))
    model[0].requires_grad_(False)
    optimizer = make_optimizer(model, Optimizer(lr=0.1))
    assert [p.shape for p in optimizer.param_groups[0]["params"]] == [(1, 2), (1,)]


@pytest.mark.parametrize(
    ("schedule", "points"),
    [
        ({"name": "linear"}, {0: 1, 0.25: 0.75, 1: 0}),
        ({"name": "linear", "warmup": 0.5}, {0: 0, 0.25: 0.5, 0.5: 1, 0.75: 0.5, 1: 0}),
        ({"name": "cosine"}, {0: 1, 0.5: 0.5, 1: 0}),
        ({"name": "step", "milestones": (0.3, 0.6), "factor": 10}, {0.29: 1, 0.3: 0.1, 0.9: 0.01}),
    ],
)
def test_the_schedule_passes_through_its_points(schedule, points):
    config = Schedule.model_validate(schedule)
    for progress, factor in points.items():
        assert rate_factor(config, progress) == pytest.approx(factor, abs=1e-12)


def test_the_papers_recipe_divides_the_rate_after_30_60_and_90_epochs():
    """Hu et al. 2019, sec. 5.1: 0.6, divided by 10 every 30 epochs, 100 epochs."""
    recipe = read_recipe("imagenet")
    rates = [recipe.optimizer.lr * rate_factor(recipe.schedule, e / 100) for e in range(100)]
    assert recipe.epochs == 100
    assert rates == pytest.approx([0.6] * 30 + [0.06] * 30 + [0.006] * 30 + [0.0006] * 10)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_weights_that_get_their_first_gradient_late_or_never_train_as_with_pytorchs_plain_step(
    name,
):
    config = Optimizer(name=name, lr=0.1, weight_decay=0.01)
    nets = [torch.nn.ModuleList(torch.nn.Linear(3, 3) for _ in range(3)) for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())
    ours = make_optimizer(nets[0], config)
    plain = {"sgd": partial(torch.optim.SGD, momentum=0.9), "adamw": torch.optim.AdamW}[name]
    theirs = plain(nets[1].parameters(), lr=0.1, weight_decay=0.01, foreach=False)
    x = torch.rand(4, 3)
    for step in range(4):
        for net, optimizer in zip(nets, (ours, theirs), strict=True):
            optimizer.zero_grad()
            used = net[:1] if step < 2 else net[:2]  # the third is never used
            sum(layer(x).square().sum() for layer in used).backward()
            optimizer.step()
    for parameter, twin in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        torch.testing.assert_close(parameter, twin)
