"""Optimiser and learning-rate schedule are those of the recipe."""

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
