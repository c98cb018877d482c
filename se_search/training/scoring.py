"""Scores candidates by a trained supernet, each with batch norms computed for it alone."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # its customary name
from torch.nn.modules.batchnorm import _BatchNorm

from se_search.candidate import Candidate
from se_search.device import Device
from se_search.models.freezing import frozen_norms
from se_search.models.memory_layout import lay_channels_last
from se_search.models.prefixes import PrefixMemo
from se_search.models.supernet import Supernet
from se_search.recipe import Recipe
from se_search.score import Score, SupernetSettings
from se_search.training.data import make_data
from se_search.training.datasets import PreparedData
from se_search.training.repeatable import make_cuda_repeatable

RUNG = "supernet"
MAX_PIXELS = 2**21  # of a batch by which batch norms are computed: 2,674 images of 28 x 28
MAX_GROUP = 100  # candidates whose batch norms' statistics are kept at a time
AUTOCAST = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}

Batch = tuple[Tensor, Tensor]
Pair = tuple[Tensor, Tensor]  # running mean and running variance
Statistics = dict[_BatchNorm, Pair]  # of each batch norm


def score(
    supernet: Supernet,
    candidates: Iterable[Candidate],
    data: PreparedData,
    recipe: Recipe,
    seed: int,
    settings: SupernetSettings,
    device: Device,
) -> Iterator[Score]:
    """Yield the scores of candidates, each once, by what a supernet's weights make of them.

    Batch norms get the mean and the variance of training images under the candidate alone, from
    nothing, as the supernet's own are of a mixture of networks. All candidates see the same images.
    A score does not depend on which others are asked for. The supernet is as before whenever a
    score is handed out, but on the device.

    Args:
        supernet: a trained one.
        candidates: in any order; those that begin alike are run together.
        data: the data set.
        recipe: gives the split.
        seed: of the supernet, whose images train and validate.
        settings: numbers of images.
        device: where the supernet is run; of several devices the first one is taken.

    Raises:
        CandidateError: the supernet lacks an SE block of a candidate.
    """
    wanted = list(dict.fromkeys(candidates))
    for candidate in wanted:
        supernet.check(candidate)
    device = replace(device, num_devices=1)
    torch.set_num_threads(device.threads)
    if device.accelerator == "cuda":
        make_cuda_repeatable(device.precision)
    lay_channels_last(supernet)
    place = torch.device(device.name)
    supernet.to(place)
    in_channels = supernet.backbone.in_channels
    images = make_data(data, recipe, seed, in_channels, device.num_loaders)
    images.setup("validate")
    scoring = _Scoring(supernet, recipe, device.precision, place)
    calibration = images.plain_dataloader("train", settings.num_calibration)
    validation = images.plain_dataloader("validation", settings.num_scoring)
    in_order = scoring.sort(wanted)
    for start in range(0, len(in_order), MAX_GROUP):
        group = in_order[start : start + MAX_GROUP]
        started = time.monotonic()
        with scoring.restoring():
            statistics = scoring.calibrate(group, calibration)
            tallies = scoring.classify(group, statistics, validation)
        seconds = (time.monotonic() - started) / len(group)
        for candidate, tally in zip(group, tallies, strict=True):
            accuracy, loss = tally.num_right / tally.num_images, tally.loss / tally.num_images
            yield Score(
                RUNG, seed, str(candidate), candidate.key, accuracy, loss, accuracy, seconds
            )


@dataclass(slots=True)
class _Tally:
    """Counts over the images that a candidate has classified so far."""

    num_right: int = 0
    num_images: int = 0
    loss: float = 0.0


class _Scoring:
    """Runs the candidates of a supernet without gradients."""

    def __init__(
        self,
        supernet: Supernet,
        recipe: Recipe,
        precision: str,
        place: torch.device,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self._supernet = supernet
        self._max_pixels = max_pixels
        self._recipe = recipe
        self._precision = precision
        self._place = place
        self._memo = PrefixMemo(supernet)
        frozen = set(frozen_norms(supernet))
        self._norms = [
            module
            for module in supernet.modules()
            if isinstance(module, _BatchNorm)
            and module.running_mean is not None
            and module not in frozen
        ]

    def sort(self, candidates: Iterable[Candidate]) -> list[Candidate]:
        """Return candidates in an order in which those that begin alike are neighbours."""
        return self._memo.sort(candidates)

    @contextmanager
    def restoring(self) -> Iterator[None]:
        """Restore the supernet's buffers, modes and active candidate at the end."""
        modes = {module: module.training for module in self._supernet.modules()}
        momenta = [norm.momentum for norm in self._norms]
        buffers = [(buffer, buffer.clone()) for buffer in self._supernet.buffers()]
        active = self._supernet.candidate
        try:
            yield
        finally:
            self._supernet.activate(active)
            for buffer, kept in buffers:
                buffer.copy_(kept)
            for norm, momentum in zip(self._norms, momenta, strict=True):
                norm.momentum = momentum
            for module, mode in modes.items():
                module.training = mode
            self._memo.clear()

    @torch.no_grad()
    def calibrate(
        self, candidates: Sequence[Candidate], batches: Iterable[Batch]
    ) -> list[Statistics]:
        """Return each candidate's statistics: those of one batch, or means weighted by images.

        Candidates that begin alike have the same tensors.
        """
        self._supernet.eval()
        for norm in self._norms:
            norm.train()
            norm.momentum = None  # cumulative: the mean over all batches since the reset
        found: list[Statistics] = [{} for _ in candidates]
        num_seen = 0
        for images, labels in self._moved(self._regroup(batches)):
            num_seen += len(labels)
            before: Statistics = {}
            for own, candidate in zip(found, candidates, strict=True):
                self._supernet.activate(candidate)
                fresh = set(self._memo.find_fresh(images))
                for norm in self._norms:
                    if norm in fresh:
                        norm.reset_running_stats()
                self._run(images)
                for norm in self._norms:
                    if norm not in fresh:
                        own[norm] = before[norm]
                    else:
                        own[norm] = _average(own.get(norm), norm, len(labels) / num_seen)
                before = own
        return found

    @torch.no_grad()
    def classify(
        self,
        candidates: Sequence[Candidate],
        statistics: Sequence[Statistics],
        batches: Iterable[Batch],
    ) -> list[_Tally]:
        """Classify images with each candidate and its statistics."""
        self._supernet.eval()
        tallies = [_Tally() for _ in candidates]
        placed: Statistics = {}
        for images, labels in self._moved(batches):
            for tally, candidate, own in zip(tallies, candidates, statistics, strict=True):
                self._supernet.activate(candidate)
                for norm, values in own.items():
                    if placed.get(norm) is not values:  # what changes runs again
                        for statistic, value in zip(_read(norm), values, strict=True):
                            statistic.copy_(value)
                placed = own
                logits = self._run(images).float()
                tally.num_images += len(labels)
                tally.num_right += int((logits.argmax(dim=1) == labels).sum())
                tally.loss += float(F.cross_entropy(logits, labels, reduction="sum"))
        return tallies

    def _run(self, images: Tensor) -> Tensor:
        dtype = AUTOCAST.get(self._precision)
        with torch.autocast(self._place.type, dtype, enabled=dtype is not None):
            logits: Tensor = self._memo.run(images)
        return logits

    def _moved(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        for images, labels in batches:
            yield images.to(self._place), labels.to(self._place)

    def _regroup(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Yield the images in few batches, if they are small in one.

        The rest joins the last batch if it is small, as batch norms need more than one image.
        """
        ready: list[Batch] = []
        waiting: list[Batch] = []
        for batch in batches:
            waiting.append(batch)
            if _count_images(waiting) >= self._count_at_a_time(batch[0]):
                if ready:
                    yield _join(ready)
                ready, waiting = waiting, []
        if waiting and 2 * _count_images(waiting) < self._count_at_a_time(waiting[0][0]):
            ready, waiting = ready + waiting, []
        for rest in (ready, waiting):
            if rest:
                yield _join(rest)

    def _count_at_a_time(self, images: Tensor) -> int:
        return max(self._recipe.images_at_a_time, self._max_pixels // images[0, 0].numel())


def _join(batches: list[Batch]) -> Batch:
    images, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    return images, labels


def _count_images(batches: list[Batch]) -> int:
    return sum(len(labels) for _, labels in batches)


def _average(known: Pair | None, norm: _BatchNorm, weight: float) -> Pair:
    """Return the mean of statistics and those of a batch norm, which have a weight of 0..1."""
    mean, var = _read(norm)
    if known is None:
        return mean.clone(), var.clone()
    return known[0].lerp(mean, weight), known[1].lerp(var, weight)


def _read(norm: _BatchNorm) -> Pair:
    mean, var = norm.running_mean, norm.running_var
    assert mean is not None
    assert var is not None
    return mean, var
