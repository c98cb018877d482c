"""Batches of small images that lie as arrays on the training's device, for Lightning."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning import LightningDataModule
from torch import Tensor

from se_search.recipe import Augmentation, Recipe
from se_search.training.augmentation import Normalise, RandomCrop, draw_mirrored, mirror
from se_search.training.checkpointing import Position
from se_search.training.dataset_spec import ArrayName
from se_search.training.datasets import PreparedData
from se_search.training.prepared_split import split_prepared
from se_search.training.random_streams import seeded_generator
from se_search.training.rank import ALONE, Rank
from se_search.training.split import DrawnSplit, SplitPart, spread_evenly

Batch = tuple[Tensor, Tensor]

EVAL_BATCH_SIZE = 1000


class ArrayData(LightningDataModule):  # type: ignore[misc]  # Lightning is skipped by mypy
    """Data module of small images that stay on the training's device.

    A batch is float32 images ``(batch, in_channels, height, width)``, normalised and in
    channels-last memory format, and int64 labels ``(batch,)``.

    Attributes:
        split: the images that train and those that validate, once ``setup`` has drawn them.
        start: where the training batches begin: a training that goes on sets it.
    """

    split: DrawnSplit

    def __init__(
        self,
        prepared: PreparedData,
        recipe: Recipe,
        seed: int,
        in_channels: int,
        rank: Rank = ALONE,
    ) -> None:
        super().__init__()
        self._rank = rank
        self.prepared = prepared
        self.recipe = recipe
        self.seed = seed
        self.in_channels = in_channels
        self.start = Position()

    def setup(self, stage: str) -> None:
        """Load the images of a stage onto the trainer's device, or the CPU if there is no trainer.

        The test part's files are opened for the stage ``test`` only.
        """
        device = torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device
        if stage == "test":
            everything = self._rank.take(np.arange(self.prepared.info.num_test))
            self._test = self._load("test_images", "test_labels", everything, device)
            return
        self.split = split_prepared(self.prepared, self.recipe, self.seed)
        part = self._rank.take(self.split.validation)
        self._validation = self._load("train_images", "train_labels", part, device)
        if stage == "fit":
            self._train = self._load("train_images", "train_labels", self.split.train, device)

    def train_dataloader(self) -> TrainBatches:
        """Return the training batches, beginning with ``start``."""
        images, labels = self._train
        augmentation = self.recipe.augmentation
        normalise = Normalise(self.prepared.info, self.in_channels, images.device)
        return TrainBatches(
            images,
            labels,
            self.recipe.batch_size,
            augmentation,
            normalise,
            self.seed,
            self.start,
            self._rank,
        )

    def val_dataloader(self) -> EvalBatches:
        """Return the validation images in the order of the split."""
        return self._eval_batches(*self._validation)

    def test_dataloader(self) -> EvalBatches:
        """Return the images of the test part in the order of the files."""
        return self._eval_batches(*self._test)

    def plain_dataloader(self, part: SplitPart, limit: int) -> EvalBatches:
        """Return images without augmentation, in the order of the split.

        Args:
            part: whether images that train or that validate.
            limit: how many there are at most, spread evenly over the part.
        """
        indices = spread_evenly(getattr(self.split, part), limit)
        return self._eval_batches(
            *self._load("train_images", "train_labels", indices, torch.device("cpu"))
        )

    def _eval_batches(self, images: Tensor, labels: Tensor) -> EvalBatches:
        normalise = Normalise(self.prepared.info, self.in_channels, images.device)
        return EvalBatches(images, labels, EVAL_BATCH_SIZE, normalise)

    def _load(
        self,
        images: ArrayName,
        labels: ArrayName,
        indices: NDArray[np.int64],
        device: torch.device,
    ) -> Batch:
        """Return the chosen uint8 images ``(n, height, width, channels)`` and labels ``(n,)``."""
        chosen = [
            np.load(self.prepared.array_path(name), mmap_mode="r")[indices]
            for name in (images, labels)
        ]
        pixels = torch.from_numpy(chosen[0]).permute(0, 2, 3, 1).contiguous()
        return pixels.to(device), torch.from_numpy(chosen[1]).to(device)


class TrainBatches:
    """Training batches of full size, augmented; each iteration is one epoch.

    Attributes:
        epoch: number of the next iteration's epoch, from 0. Lightning does not tell it to a plain
            iterable, so each iteration adds one when its first batch is drawn. Set it to begin
            with another epoch.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        batch_size: int,
        augmentation: Augmentation,
        normalise: Normalise,
        seed: int,
        start: Position,
        rank: Rank,
    ) -> None:
        """Take uint8 images ``(n, height, width, channels)`` and labels ``(n,)``."""
        self.epoch = start.epoch
        self._start = start
        self._crop = RandomCrop(images, augmentation.crop_padding)
        self._labels = labels
        self._batch_size = batch_size
        self._part = rank.part(batch_size)
        self._flip = augmentation.flip
        self._normalise = normalise
        self._seed = seed

    def __len__(self) -> int:
        return len(self._labels) // self._batch_size

    def __iter__(self) -> Iterator[Batch]:
        # Runs when the first batch is drawn: Lightning makes an extra iterator, to see if it can.
        epoch, self.epoch = self.epoch, self.epoch + 1
        device, count = self._labels.device, len(self._labels)
        order = torch.randperm(count, generator=seeded_generator(self._seed, "order", epoch))
        corners = self._crop.draw_corners(count, seeded_generator(self._seed, "augment", epoch))
        mirrored = draw_mirrored(count, self._seed, epoch) if self._flip else None
        order, corners = order.to(device), corners.to(device)
        mirrored = None if mirrored is None else mirrored.to(device)
        num_passed = self._start.batch if epoch == self._start.epoch else 0
        for number in range(num_passed, len(self)):
            start = number * self._batch_size
            batch = order[start : start + self._batch_size][self._part]
            images = self._crop(batch, corners[batch])
            if mirrored is not None:
                images = mirror(images, mirrored[batch])
            yield self._normalise(images), self._labels[batch]


class EvalBatches:
    """All images in order and without augmentation; the last batch may be smaller."""

    def __init__(
        self, images: Tensor, labels: Tensor, batch_size: int, normalise: Normalise
    ) -> None:
        self._images = images
        self._labels = labels
        self._batch_size = batch_size
        self._normalise = normalise

    def __len__(self) -> int:
        return -(-len(self._labels) // self._batch_size)

    def __iter__(self) -> Iterator[Batch]:
        for start in range(0, len(self._labels), self._batch_size):
            batch = slice(start, start + self._batch_size)
            yield self._normalise(self._images[batch]), self._labels[batch]
