"""Checks what a training takes by ``evaluate``, against a plain loop that does the same work."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # its customary name

from benchmarks.gpu_check.findings import Finding, at_most, require, tell
from benchmarks.gpu_check.setting import Setting
from se_search.candidate import Candidate
from se_search.models.random_state import seed_generators
from se_search.models.surgery import build
from se_search.recipe import Recipe
from se_search.record import Assignment
from se_search.seeds import derive_seed
from se_search.training.classifier import rate_factor
from se_search.training.data import make_data
from se_search.training.evaluate import evaluate

MAX_RATIO = 1.05
MAX_GRAPHED = 90  # steps
NUM_WARM_UP = 20


def check_throughput(setting: Setting) -> Iterator[Finding]:
    """Train by ``evaluate`` and by a plain loop in turns, and compare seconds and numbers."""
    name = setting.amount.backbones[-1]
    candidate, recipe = setting.candidate(name), setting.drawing_recipe()
    assignment = Assignment(candidate, 0, setting.amount.timed)
    torch.set_num_threads(1)

    def train_by_evaluate(assignment: Assignment[Candidate]) -> tuple[float, float]:
        setting.wait()
        began = time.monotonic()
        ended = evaluate(assignment, setting.data, recipe, setting.device())
        setting.wait()
        return time.monotonic() - began, ended.accuracy

    def train_plainly(assignment: Assignment[Candidate]) -> tuple[float, float]:
        return train_in_plain_loop(setting, assignment, recipe)

    for train in (train_by_evaluate, train_plainly):  # what is loaded or chosen once is so then
        train(replace(assignment, epochs=1))
    plain, ours = [train_plainly(assignment)], []
    for _ in range(setting.amount.pairs):
        ours.append(train_by_evaluate(assignment))
        plain.append(train_plainly(assignment))
    accuracies = {accuracy for _, accuracy in ours + plain}
    yield require(f"{name}: accuracies of both are equal to the bit", len(accuracies) == 1)
    ratios = [
        seconds / statistics.mean((plain[index][0], plain[index + 1][0]))
        for index, (seconds, _) in enumerate(ours)
    ]
    medians = [statistics.median(seconds for seconds, _ in each) for each in (ours, plain)]
    yield tell(f"{name}: seconds of {assignment.epochs} epochs by evaluate", medians[0], "s")
    yield tell(f"{name}: seconds by a plain loop", medians[1], "s")
    yield tell(f"{name}: smallest ratio", min(ratios))
    yield tell(f"{name}: largest ratio", max(ratios))
    what = f"{name}: evaluate over the plain loop, median of {len(ratios)}"
    ratio = statistics.median(ratios)
    yield at_most(what, ratio, MAX_RATIO) if setting.is_cuda else tell(what, ratio)


def train_in_plain_loop(
    setting: Setting, assignment: Assignment[Candidate], recipe: Recipe
) -> tuple[float, float]:
    """Train and evaluate without Lightning; return the seconds and the last accuracy.

    The batches, the start, the schedule and the random streams are those of ``evaluate``.
    """
    candidate, seed, epochs = assignment.candidate, assignment.seed, assignment.epochs
    setting.wait()
    began = time.monotonic()
    model = setting.lay_out(build(candidate, seed))
    seed_generators(derive_seed(seed, "training"))
    data = make_data(setting.data, recipe, seed, candidate.backbone.in_channels)
    # All that a data module asks of a trainer is on which device the images shall lie.
    data.trainer = SimpleNamespace(strategy=SimpleNamespace(root_device=setting.torch_device))
    data.setup("fit")
    batches = data.train_dataloader()
    optimizer = make_plain_optimizer(model, recipe)
    num_steps = len(batches) * epochs
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: rate_factor(recipe.schedule, step / num_steps)
    )
    accuracy = 0.0
    for _ in range(epochs):
        model.train()
        losses = []
        for images, labels in batches:
            loss = F.cross_entropy(model(images), labels, label_smoothing=recipe.label_smoothing)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            losses.append(loss.detach())
        float(torch.stack(losses).mean())
        accuracy = _evaluate_plainly(model, data.val_dataloader())
    setting.wait()
    return time.monotonic() - began, accuracy


def make_plain_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return PyTorch's optimiser as the recipe says, made as its documentation makes it."""
    config = recipe.optimizer
    if config.name != "sgd":
        raise ValueError(f"the plain loop knows sgd, and the recipe has {config.name}")
    return torch.optim.SGD(
        model.parameters(),
        lr=config.lr,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        nesterov=config.nesterov,
        fused=True,
    )


def _evaluate_plainly(model: nn.Module, batches: Any) -> float:
    model.eval()
    correct, losses = [], []
    with torch.inference_mode():
        for images, labels in batches:
            logits = model(images)
            losses.append(F.cross_entropy(logits, labels, reduction="sum"))
            correct.append(logits.argmax(1) == labels)
    float(torch.stack(losses).sum())
    return float(torch.cat(correct).cpu().double().mean())


def check_graphs(setting: Setting) -> Iterator[Finding]:
    """Take steps with and without CUDA graphs."""
    recipe = setting.recipe
    data = make_data(setting.data, recipe, 0, setting.data.info.channels)
    data.setup("fit")
    batches = [
        (images.to(setting.torch_device), labels.to(setting.torch_device))
        for images, labels in data.train_dataloader()
    ][:MAX_GRAPHED]
    torch.set_num_threads(1)
    for name in setting.amount.backbones:
        candidate = setting.candidate(name)
        model = setting.lay_out(build(candidate, 0))
        seconds, loss = time_steps(setting, model, batches, recipe, graphed=False)
        yield tell(f"{name}: a step of a plain loop", 1e3 * seconds, "ms")
        if not setting.is_cuda:
            yield require(f"{name}: a finite loss", loss == loss)
            continue
        model = setting.lay_out(build(candidate, 0))
        graphed, graphed_loss = time_steps(setting, model, batches, recipe, graphed=True)
        yield tell(f"{name}: a step with CUDA graphs", 1e3 * graphed, "ms")
        yield require(f"{name}: the same loss with CUDA graphs", loss == graphed_loss)


def time_steps(
    setting: Setting,
    model: nn.Module,
    batches: list[tuple[Tensor, Tensor]],
    recipe: Recipe,
    *,
    graphed: bool,
) -> tuple[float, float]:
    """Train on batches and return the seconds that a step took, and the last loss."""
    optimizer = make_plain_optimizer(model, recipe)
    network = model
    if graphed:
        state = {key: value.clone() for key, value in model.state_dict().items()}
        network = torch.cuda.make_graphed_callables(model, (torch.zeros_like(batches[0][0]),))
        model.load_state_dict(state)
        for parameter in model.parameters():
            parameter.grad = None
    num_warm_up = min(NUM_WARM_UP, len(batches) // 2)
    started = time.monotonic()
    for index, (images, labels) in enumerate(batches):
        if index == num_warm_up:
            setting.wait()
            started = time.monotonic()
        loss = F.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    setting.wait()
    return (time.monotonic() - started) / (len(batches) - num_warm_up), float(loss.detach())
