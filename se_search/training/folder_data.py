"""Batches of images that worker processes read from folders, for Lightning."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate
from torchvision.transforms import v2

from se_search.parent_death import end_with_parent
from se_search.recipe import Augmentation, Recipe
from se_search.seeds import derive_seed
from se_search.training.checkpointing import Position
from se_search.training.datasets import DataInfo, PreparedData
from se_search.training.folder_pixels import PIXEL_BYTES, PixelImages, decode_part
from se_search.training.image_reading import read_image
from se_search.training.image_scan import PartFiles, read_part
from se_search.training.prepared_split import split_prepared
from se_search.training.random_streams import seeded_generator
from se_search.training.rank import ALONE, Rank
from se_search.training.split import DrawnSplit, SplitPart, spread_evenly


class FolderData(LightningDataModule):  # type: ignore[misc]  # Lightning is skipped by mypy
    """Data module of images that worker processes read from folders, one folder a class.

    A batch is on the CPU: float32 images ``(batch, in_channels, height, width)``, normalised and
    in channels-last memory format, and int64 labels ``(batch,)``. Each image's crop and mirroring
    has its own seed, so that the number of workers does not change a batch.

    Attributes:
        split: the images of the training part that train and those that validate, once ``setup``
            has drawn them.
        start: where the training batches begin: a training that goes on sets it.
    """

    split: DrawnSplit

    def __init__(
        self,
        prepared: PreparedData,
        recipe: Recipe,
        seed: int,
        in_channels: int,
        num_workers: int,
        pixel_bytes: int = PIXEL_BYTES,
        rank: Rank = ALONE,
    ) -> None:
        super().__init__()
        self._rank = rank
        self._pixel_bytes = pixel_bytes
        self.prepared = prepared
        self.recipe = recipe
        self.seed = seed
        self.info = prepared.info.read_for(in_channels)
        self.num_workers = num_workers
        self.start = Position()

    def setup(self, stage: str) -> None:
        """List the images of a stage, as the scan of the folder has found them."""
        if stage == "test":
            assert self.prepared.test_part is not None
            self._test = self._open_rank_part(self.prepared.test_part)
            return
        self.split = split_prepared(self.prepared, self.recipe, self.seed)
        if self.info.validation_part == "val":
            self._validation = self._open_rank_part("val")
        else:
            self._validation = self._open("train", self._rank.take(self.split.validation))
        self._train = self._open("train", self.split.train, self.recipe.augmentation)

    def _list(self, part: str) -> PartFiles:
        assert self.prepared.listing is not None
        return read_part(self.prepared.listing, part)

    def _open_rank_part(self, part: str) -> PixelImages | _Images | _SeededImages:
        """Return the images of a part that this rank evaluates."""
        return self._open(part, self._rank.take(np.arange(len(self._list(part).names))))

    def _open(
        self,
        part: str,
        chosen: NDArray[np.int64] | None = None,
        augmentation: Augmentation | None = None,
    ) -> PixelImages | _Images | _SeededImages:
        """Return images of a part: all of them, or those chosen, augmented or not."""
        assert self.prepared.listing is not None
        files = self._list(part)
        if chosen is None:
            chosen = np.arange(len(files.names))
        size, steps = self.info.image_size, _list_augmentation(self.info, augmentation)
        if augmentation is None:
            begin = _begin_evaluation(size, self.recipe.eval_crop)
        else:
            begin = _begin_train(size, augmentation.resized_crop)
        finish = v2.Compose(_to_normalised(self.info))
        folder, channels, file = self.prepared.folder, self.info.channels, None
        if begin is None:
            listing, limit = self.prepared.listing, self._pixel_bytes
            file = decode_part(listing, part, files, folder, size, channels, limit)
        if file is not None:
            augment = v2.Compose(steps) if steps else None
            return PixelImages(file, files.labels, chosen, augment, finish)
        begin = begin or [v2.Resize((size, size))]
        transform = v2.Compose([*begin, *steps, finish])
        images = _Images(folder, files, chosen, transform, channels)
        return images if augmentation is None else _SeededImages(images)

    def train_dataloader(self) -> DataLoader[Any]:
        """Return the training batches from ``start``; ``sampler.set_epoch`` chooses an epoch."""
        batch_size, rank = self.recipe.batch_size, self._rank
        order = _SeededOrder(len(self._train), self.seed, self.start, batch_size, rank)
        return self._loader(self._train, order.part_size, sampler=order, drop_last=True)

    def val_dataloader(self) -> DataLoader[Any]:
        """Return the validation images in the order of the split."""
        return self._loader(self._validation, self._eval_batch_size)

    def test_dataloader(self) -> DataLoader[Any]:
        """Return the images of the test part in the order of the files."""
        return self._loader(self._test, self._eval_batch_size)

    def plain_dataloader(self, part: SplitPart, limit: int) -> DataLoader[Any]:
        """Return images without augmentation, in the order of the split.

        Args:
            part: whether images that train or that validate.
            limit: how many there are at most, spread evenly over the part.
        """
        folder, indices = "train", getattr(self.split, part)
        if part == "validation" and self.info.validation_part == "val":
            folder, indices = "val", np.arange(len(self._list("val").names))
        chosen = spread_evenly(indices, limit)
        return self._loader(self._open(folder, chosen), self._eval_batch_size)

    @property
    def _eval_batch_size(self) -> int:
        return self.recipe.images_at_a_time  # large images: what fits in training fits here

    def _loader(self, images: Dataset[Any], batch_size: int, **options: Any) -> DataLoader[Any]:
        return DataLoader(
            images,
            batch_size,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
            collate_fn=_collate_channels_last,
            generator=seeded_generator(self.seed, "workers"),  # else the global generator is moved
            # By themselves they would notice only after some seconds that this process is gone.
            worker_init_fn=partial(_end_worker_with, os.getpid()),
            **options,
        )


class _SeededOrder(Sampler[tuple[int, int]]):
    """The order of an epoch: for each image its index and the seed of its augmentation.

    A rank has its part of each whole batch: ``part_size`` images.

    It can't count epochs itself: Lightning makes an extra iterator, to see if it can, and workers
    begin to draw at once.
    """

    def __init__(self, count: int, seed: int, start: Position, batch_size: int, rank: Rank) -> None:
        self._epoch = start.epoch
        self._count = count
        self._part = rank.part(batch_size)
        self.part_size: int = self._part.stop - self._part.start
        self._seed = seed
        self._start = start
        self._batch_size = batch_size

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next iteration; Lightning calls this."""
        self._epoch = epoch

    def __len__(self) -> int:
        num_batches: int = self._count // self._batch_size
        return num_batches * self.part_size

    def __iter__(self) -> Iterator[tuple[int, int]]:
        epoch = self._epoch
        order = torch.randperm(self._count, generator=seeded_generator(self._seed, "order", epoch))
        if epoch == self._start.epoch:
            order = order[self._start.batch * self._batch_size :]
        num_batches = len(order) // self._batch_size
        batches = order[: num_batches * self._batch_size].view(num_batches, self._batch_size)
        order = batches[:, self._part].flatten()
        return ((i, derive_seed(self._seed, "augment", epoch, i)) for i in order.tolist())


class _Images(Dataset[tuple[Tensor, int]]):
    """Chosen images of a part with their labels."""

    def __init__(
        self,
        folder: Path,
        files: PartFiles,
        chosen: NDArray[np.int64],
        transform: v2.Transform,
        channels: int,
    ) -> None:
        self._folder = folder
        self._names = [files.names[place] for place in chosen.tolist()]
        self._labels = files.labels[chosen].tolist()
        self._transform = transform
        self._channels = channels

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        path = os.path.join(self._folder, os.fsdecode(self._names[index]))
        pixels: Tensor = self._transform(read_image(path, self._channels))
        return pixels, self._labels[index]


class _SeededImages(Dataset[tuple[Tensor, int]]):
    """Images whose random transforms depend on the seed that comes with the index alone."""

    def __init__(self, images: _Images) -> None:
        self._images = images

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, int]:
        index, seed = key
        with torch.random.fork_rng(devices=[]):
            # Not torch.manual_seed: in a worker it queues a call for a GPU that is never opened.
            torch.default_generator.manual_seed(seed)
            return self._images[index]


def _end_worker_with(parent: int, _worker: int) -> None:
    end_with_parent(parent)


def _list_augmentation(info: DataInfo, augmentation: Augmentation | None) -> list[v2.Transform]:
    """Return what is drawn after an image has been brought to its size."""
    if augmentation is None:
        return []
    size, steps = (info.image_size, info.image_size), []
    if augmentation.crop_padding:
        steps.append(v2.RandomCrop(size, padding=augmentation.crop_padding))
    if augmentation.flip:
        steps.append(v2.RandomHorizontalFlip())
    return steps


def _begin_train(size: int, scale: tuple[float, float] | None) -> list[v2.Transform] | None:
    """Return what brings an image to its size; None: it is resized whole."""
    return [v2.RandomResizedCrop((size, size), scale)] if scale else None


def _begin_evaluation(size: int, crop: float | None) -> list[v2.Transform] | None:
    """Return what enlarges an image and keeps a share of its side; None: it is resized whole."""
    return [v2.Resize(round(size / crop)), v2.CenterCrop(size)] if crop else None


def _to_normalised(info: DataInfo) -> list[v2.Transform]:
    return [
        v2.ToImage(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(info.mean, info.std),
        v2.ToPureTensor(),
    ]


def _collate_channels_last(
    samples: list[tuple[Tensor, int]] | tuple[Tensor, Tensor],
) -> tuple[Tensor, Tensor]:
    """Return a batch; ``PixelImages`` have put it together by then."""
    images, labels = default_collate(samples) if isinstance(samples, list) else samples
    return images.contiguous(memory_format=torch.channels_last), labels
