"""Checks how many images a second the input delivers, and whether that keeps a network busy."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812  # its customary name

from benchmarks.gpu_check.drawings import draw_folder
from benchmarks.gpu_check.findings import Finding, at_least, require, tell
from benchmarks.gpu_check.loops import make_plain_optimizer, time_steps
from benchmarks.gpu_check.setting import Setting
from se_search.candidate import Candidate
from se_search.models.catalogue import describe_backbone
from se_search.models.surgery import build
from se_search.recipe import Augmentation, Optimizer, Recipe, Split
from se_search.training.data import make_data
from se_search.training.datasets import PreparedData, prepare_data

MIN_SURPLUS = 5.0  # images/s of the array path over those that the quickest network takes
MIN_SCALING = 0.4  # of the rate of one process, for each of as many as there are cores
FIRST_STEPS, TIMED_STEPS = 5, 20
QUEUED = 2  # batches that each process has read ahead: PyTorch's default


def check_inputs(setting: Setting) -> Iterator[Finding]:
    """Read arrays and folders as trainings do, and hold them against what a network takes."""
    yield from _check_arrays(setting)
    yield from _check_folder(setting)


def _check_arrays(setting: Setting) -> Iterator[Finding]:
    recipe = setting.drawing_recipe()
    name = setting.amount.backbones[-1]
    batches = _open_arrays(setting, recipe)
    rate = read_rate(setting, batches, len(batches), setting.amount.input_seconds)
    yield tell(f"arrays of {setting.data_name}: images a second", rate)
    some = list(batches)
    model = setting.lay_out(build(setting.candidate(name), 0))
    seconds, _ = time_steps(setting, model, some, recipe, graphed=False)
    taken = recipe.batch_size / seconds
    yield tell(f"{name}: images a second that its steps take", taken)
    surplus = rate / taken
    what = "arrays: images a second over those that the steps take"
    yield at_least(what, surplus, MIN_SURPLUS) if setting.is_cuda else tell(what, surplus)


def _open_arrays(setting: Setting, recipe: Recipe) -> Any:
    data = make_data(setting.data, recipe, 0, setting.data.info.channels)
    data.trainer = SimpleNamespace(strategy=SimpleNamespace(root_device=setting.torch_device))
    data.setup("fit")
    return data.train_dataloader()


def _check_folder(setting: Setting) -> Iterator[Finding]:
    amount = setting.amount
    width, height = amount.drawn_size
    began = time.monotonic()
    folder = draw_folder(setting.folder / "input_images", amount.drawn, amount.drawn_size)
    size = next(folder.rglob("*.jpg")).stat().st_size
    recipe = folder_recipe(amount.read_batch, amount.pixels)
    data = prepare_data(f"folder:{folder}", None, setting.folder / "cache", recipe)
    seconds = time.monotonic() - began
    yield tell(f"{amount.drawn:,} JPEGs of {width} x {height}: drawn and scanned in", seconds, "s")
    yield tell("JPEGs: kB of one", size / 1000, "kB")
    yield require("JPEGs: batches are as a network takes them", _is_usable(data, recipe))
    rates = {}
    for count in choose_loaders(amount.loaders, setting.cores):
        rates[count] = _read_folder(setting, data, recipe, count)
        yield tell(f"JPEGs, {count} processes: images a second", rates[count])
    taken = _measure_consumer(setting)
    name = f"{amount.consumer}, bfloat16, {amount.batch} x {amount.pixels} pixels"
    yield tell(f"{name}: images a second that its steps take", taken)
    most = max(rates)
    needed = math.ceil(taken / (rates[most] / most))
    yield tell(f"{name}: processes that keep it busy", needed)
    slower = "the input" if rates[most] < taken else "the network"
    yield tell(f"{name}: slower of input ({most} processes) and network", slower)
    scaling = rates[most] / most / rates[min(rates)] * min(rates)
    what = f"JPEGs: images a second of each of {most} processes over those of one alone"
    yield at_least(what, scaling, MIN_SCALING) if setting.is_cuda else tell(what, scaling)


def choose_loaders(counts: Iterable[int], cores: int) -> list[int]:
    """Return the numbers of processes that leave a core to the training, and the largest such."""
    most = max(1, cores - 1)
    return sorted({count for count in counts if count <= most} | {most})


def folder_recipe(batch_size: int, pixels: int) -> Recipe:
    """Return a recipe that crops, resizes and mirrors, as is usual for ImageNet."""
    return Recipe(
        epochs=1,
        batch_size=batch_size,
        optimizer=Optimizer(lr=0.05),
        augmentation=Augmentation(flip=True, resized_crop=(0.08, 1.0)),
        split=Split(validation=100),
        image_size=pixels,
    )


def _read_folder(setting: Setting, data: PreparedData, recipe: Recipe, count: int) -> float:
    module = make_data(data, recipe, 0, 3, count)
    module.setup("fit")
    loader = module.train_dataloader()
    # The first batches wait for the processes to start, the next ones have been read ahead.
    return read_rate(setting, loader, (QUEUED + 1) * count, setting.amount.input_seconds)


def _is_usable(data: PreparedData, recipe: Recipe) -> bool:
    module = make_data(data, recipe, 0, 3)
    module.setup("fit")
    images, labels = next(iter(module.train_dataloader()))
    shape = (recipe.batch_size, 3, recipe.image_size, recipe.image_size)
    return (
        images.shape == shape
        and images.dtype == torch.float32
        and images.is_contiguous(memory_format=torch.channels_last)
        and bool(images.isfinite().all())
        and len(labels) == recipe.batch_size
    )


def read_rate(setting: Setting, batches: Iterable[Any], num_first: int, seconds: float) -> float:
    """Return the images a second that batches bring to the device, epoch after epoch.

    Args:
        setting: has the device.
        batches: each iteration is an epoch.
        num_first: batches that are not timed.
        seconds: that are timed, at least.
    """

    def repeat() -> Iterator[Any]:
        while True:
            yield from batches

    count, began = 0, math.nan
    for number, (images, labels) in enumerate(repeat()):
        images.to(setting.torch_device, non_blocking=True)
        labels.to(setting.torch_device, non_blocking=True)
        if number == num_first:
            setting.wait()
            began = time.monotonic()
        elif number > num_first:
            count += len(images)
            if time.monotonic() - began >= seconds:
                break
    setting.wait()
    return count / (time.monotonic() - began)


def _measure_consumer(setting: Setting) -> float:
    """Return the images a second that steps of the large network take in bfloat16."""
    amount = setting.amount
    classes = 1000 if setting.is_cuda else 10
    backbone = describe_backbone(amount.consumer, 3, amount.pixels, classes)
    model = setting.lay_out(build(Candidate.plain(backbone), 0), "bf16-mixed")
    optimizer = make_plain_optimizer(model, folder_recipe(amount.batch, amount.pixels))
    images = torch.randn(amount.batch, 3, amount.pixels, amount.pixels, device=setting.torch_device)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.zeros(amount.batch, dtype=torch.int64, device=setting.torch_device)
    began = math.nan
    num_steps = TIMED_STEPS if setting.is_cuda else 1
    for step in range(FIRST_STEPS + num_steps):
        if step == FIRST_STEPS:
            setting.wait()
            began = time.monotonic()
        with torch.autocast(setting.accelerator, dtype=torch.bfloat16):
            loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    setting.wait()
    return amount.batch * num_steps / (time.monotonic() - began)
