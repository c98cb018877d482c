"""Scores candidates by a trained supernet, each with batch norms computed for it alone."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # its customary name

from se_search.candidate import Candidate
from se_search.device import Device
from se_search.models.freezing import frozen_norms
from se_search.models.memory_layout import lay_channels_last
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
Statistics = list[Tensor]  # running mean and running variance of each batch norm


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
        device: where the supernet is run.

    Raises:
        CandidateError: the supernet lacks an SE block of a candidate.
    """
    in_order = sorted(dict.fromkeys(candidates), key=_describe_blocks)
    for candidate in in_order:
        supernet.check(candidate)
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
        frozen = set(frozen_norms(supernet))
        self._norms = [
            module
            for module in supernet.modules()
            if isinstance(module, nn.modules.batchnorm._BatchNorm)
            and module.running_mean is not None
            and module not in frozen
        ]

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

    @torch.inference_mode()
    def calibrate(
        self, candidates: Sequence[Candidate], batches: Iterable[Batch]
    ) -> list[Statistics]:
        """Return each candidate's statistics: those of one batch, or means weighted by images."""
        self._supernet.eval()
        found: list[Statistics] = []
        num_seen = 0
        with self._calibrating():
            for images, labels in self._moved(self._regroup(batches)):
                num_seen += len(labels)
                for index, candidate in enumerate(candidates):
                    self._run(candidate, images)
                    if num_seen == len(labels):
                        found.append([tensor.clone() for tensor in self._statistics()])
                    else:
                        for mean, value in zip(found[index], self._statistics(), strict=True):
                            mean.lerp_(value, len(labels) / num_seen)
        return found

    @torch.inference_mode()
    def classify(
        self,
        candidates: Sequence[Candidate],
        statistics: Sequence[Statistics],
        batches: Iterable[Batch],
    ) -> list[_Tally]:
        """Classify images with each candidate and its statistics."""
        self._supernet.eval()
        tallies = [_Tally() for _ in candidates]
        for images, labels in self._moved(batches):
            for tally, candidate, own in zip(tallies, candidates, statistics, strict=True):
                for statistic, value in zip(self._statistics(), own, strict=True):
                    statistic.copy_(value)
                logits = self._run(candidate, images).float()
                tally.num_images += len(labels)
                tally.num_right += int((logits.argmax(dim=1) == labels).sum())
                tally.loss += float(F.cross_entropy(logits, labels, reduction="sum"))
        return tallies

    @contextmanager
    def _calibrating(self) -> Iterator[None]:
        """Let each batch norm take the statistics of its last batch, and nothing before it."""
        hooks = []
        for norm in self._norms:
            norm.train()
            norm.momentum = None  # cumulative: the mean over all batches since the reset
            hooks.append(norm.register_forward_pre_hook(_reset))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _run(self, candidate: Candidate, images: Tensor) -> Tensor:
        self._supernet.activate(candidate)
        dtype = AUTOCAST.get(self._precision)
        with torch.autocast(self._place.type, dtype, enabled=dtype is not None):
            logits: Tensor = self._supernet(images)
        return logits

    def _statistics(self) -> Statistics:
        return [
            statistic
            for norm in self._norms
            for statistic in (norm.running_mean, norm.running_var)
            if statistic is not None
        ]

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


def _reset(norm: nn.Module, _: tuple[Tensor, ...]) -> None:
    norm.reset_running_stats()  # type: ignore[operator]  # each norm here has this method


def _describe_blocks(candidate: Candidate) -> tuple[str, ...]:
    return tuple("" if block is None else str(block) for block in candidate.blocks)
