"""Batches: Lightning data modules over a prepared data set, a function of the seed alone.

Three streams of random numbers, for the order of the images, their first mirroring and their
crops, are drawn from the seed and the epoch; the global generators are neither read nor moved.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.nn.functional import pad
from torch.utils.data import DataLoader, Dataset, Sampler, Subset, default_collate
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from se_search.errors import DataError
from se_search.recipe import Augmentation, Recipe
from se_search.seeds import derive_seed
from se_search.training.datasets import DataInfo, Part, PreparedData, split_sizes

Batch = tuple[Tensor, Tensor]

EVAL_BATCH_SIZE = 1000


def make_data(
    prepared: PreparedData,
    recipe: Recipe,
    seed: int,
    batch_size: int | None = None,
    in_channels: int | None = None,
    num_workers: int | None = None,
) -> ArrayData | FolderData:
    """Return the data module that trains by this recipe on this data set.

    Args:
        prepared: the data set.
        recipe: gives the split, the batch size and the augmentation.
        seed: of the order and the augmentation; the split has its own in the recipe.
        batch_size: instead of the recipe's.
        in_channels: what the backbone takes; None: what the images have. 3 repeats grey images.
        num_workers: processes that decode a folder's images; None: one less than there are cores,
            at most 8. Arrays need none.

    Raises:
        DataError: the backbone can't take the images' channels.
        RecipeError: less than two batches of training images.
    """
    if batch_size is not None:
        recipe = recipe.model_copy(update={"batch_size": batch_size})
    channels = prepared.info.channels
    in_channels = in_channels or channels
    if channels not in (1, in_channels):
        raise DataError(
            f"{prepared.info.name} has {channels} channels, and the backbone takes {in_channels}"
        )
    if prepared.layout == "arrays":
        return ArrayData(prepared, recipe, seed, in_channels)
    workers = default_num_workers() if num_workers is None else num_workers
    return FolderData(prepared, recipe, seed, workers)


def default_num_workers() -> int:
    """Return the cores that this process may use, less one for the training; at most 8."""
    can_tell = hasattr(os, "sched_getaffinity")  # not on macOS
    cores = len(os.sched_getaffinity(0)) if can_tell else os.cpu_count() or 1
    return min(8, cores - 1)


def split_indices(recipe: Recipe, num_train: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw the images that train and those that validate from the training part.

    Both are the beginning of one permutation: first those that validate, then those that train. So
    a larger fraction trains on the same images and more, and validates on the same.

    Returns:
        indices of the images that train, and of those that validate.
    """
    train, validation = split_sizes(recipe, num_train)
    order = np.random.Generator(np.random.PCG64(recipe.split.seed)).permutation(num_train)
    return order[validation : validation + train], order[:validation]


def seeded_generator(seed: int, stream: str, epoch: int = 0) -> torch.Generator:
    """Return a CPU generator for one purpose in one epoch, unrelated to every other one's."""
    return torch.Generator().manual_seed(derive_seed(seed, stream, epoch))


# --- arrays -------------------------------------------------------------------------------------


class ArrayData(LightningDataModule):  # type: ignore[misc]  # Lightning is skipped by mypy
    """Small images that stay on the training's device, and come as whole batches.

    Batches are float32 images ``(batch, in_channels, height, width)`` in channels-last memory
    format, normalised, and int64 labels ``(batch,)``.
    """

    def __init__(self, prepared: PreparedData, recipe: Recipe, seed: int, in_channels: int) -> None:
        super().__init__()
        self.prepared = prepared
        self.recipe = recipe
        self.seed = seed
        self.in_channels = in_channels

    def setup(self, stage: str) -> None:
        """Load what the stage needs onto the trainer's device, or the CPU if there is no trainer.

        The test part's files are opened for the stage ``test`` only.
        """
        device = torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device
        if stage == "test":
            everything = np.arange(self.prepared.info.num_test)
            self._test = self._load("test_images", "test_labels", everything, device)
            return
        train, validation = split_indices(self.recipe, self.prepared.info.num_train)
        self._validation = self._load("train_images", "train_labels", validation, device)
        if stage == "fit":
            self._train = self._load("train_images", "train_labels", train, device)

    def train_dataloader(self) -> TrainBatches:
        """Return the training batches, beginning with epoch 0."""
        images, labels = self._train
        augmentation = self.recipe.augmentation
        normalise = Normalise(self.prepared.info, self.in_channels, images.device)
        return TrainBatches(
            images, labels, self.recipe.batch_size, augmentation, normalise, self.seed
        )

    def val_dataloader(self) -> EvalBatches:
        """Return the validation images in the order of the split."""
        return self._eval_batches(*self._validation)

    def test_dataloader(self) -> EvalBatches:
        """Return the data set's test part in its own order."""
        return self._eval_batches(*self._test)

    def _eval_batches(self, images: Tensor, labels: Tensor) -> EvalBatches:
        normalise = Normalise(self.prepared.info, self.in_channels, images.device)
        return EvalBatches(images, labels, EVAL_BATCH_SIZE, normalise)

    def _load(
        self, images: Part, labels: Part, indices: NDArray[np.int64], device: torch.device
    ) -> Batch:
        """Return uint8 images ``(n, height, width, channels)`` and their labels."""
        chosen = [
            np.load(self.prepared.array_path(part), mmap_mode="r")[indices]
            for part in (images, labels)
        ]
        pixels = torch.from_numpy(chosen[0]).permute(0, 2, 3, 1).contiguous()
        return pixels.to(device), torch.from_numpy(chosen[1]).to(device)


class Normalise:
    """Turns uint8 images ``(n, h, w, channels)`` into the float32 ``(n, in_channels, h, w)``.

    Subtracts the mean and divides by the standard deviation of the data set. The result's memory
    format is channels-last. One channel is repeated if the backbone wants three.
    """

    def __init__(self, info: DataInfo, in_channels: int, device: torch.device) -> None:
        self._in_channels = in_channels
        mean, std = torch.tensor(info.mean), torch.tensor(info.std)
        # A row for the whole image: broadcasting over a last dimension of 3 takes ten times longer.
        num_pixels = info.image_size**2
        self._scale = (1 / (255 * std)).repeat(num_pixels).to(device)
        self._shift = (-mean / std).repeat(num_pixels).to(device)

    def __call__(self, images: Tensor) -> Tensor:
        """Return the images as the backbone takes them."""
        rows = images.reshape(len(images), -1).float()
        images = torch.addcmul(self._shift, rows, self._scale).view(images.shape)
        images = images.expand(*images.shape[:3], self._in_channels).permute(0, 3, 1, 2)
        return images.contiguous(memory_format=torch.channels_last)


class TrainBatches:
    """One epoch of whole, augmented training batches each time it is iterated.

    Attributes:
        epoch: the next iteration's, from 0. Lightning does not tell its number to a plain iterable,
            so each iteration adds one when its first batch is drawn; set it to begin elsewhere.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        batch_size: int,
        augmentation: Augmentation,
        normalise: Normalise,
        seed: int,
    ) -> None:
        """Take uint8 images ``(n, height, width, channels)`` and labels ``(n,)``."""
        self.epoch = 0
        self._crop = RandomCrop(images, augmentation.crop_padding)
        self._labels = labels
        self._batch_size = batch_size
        self._flip = augmentation.flip
        self._normalise = normalise
        self._seed = seed

    def __len__(self) -> int:
        return len(self._labels) // self._batch_size

    def __iter__(self) -> Iterator[Batch]:
        # Runs when the first batch is drawn: Lightning makes an iterator more, to see if it can.
        epoch, self.epoch = self.epoch, self.epoch + 1
        device, count = self._labels.device, len(self._labels)
        order = torch.randperm(count, generator=seeded_generator(self._seed, "order", epoch))
        corners = self._crop.draw_corners(count, seeded_generator(self._seed, "augment", epoch))
        mirrored = mirrored_images(count, self._seed, epoch) if self._flip else None
        order, corners = order.to(device), corners.to(device)
        mirrored = None if mirrored is None else mirrored.to(device)
        for start in range(0, len(self) * self._batch_size, self._batch_size):
            batch = order[start : start + self._batch_size]
            images = self._crop(batch, corners[batch])
            if mirrored is not None:
                images = mirror(images, mirrored[batch])
            yield self._normalise(images), self._labels[batch]


class EvalBatches:
    """The images in order and without augmentation, to the last one."""

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


class RandomCrop:
    """Cuts windows of the original size out of images that are padded with zeros."""

    def __init__(self, images: Tensor, padding: int) -> None:
        """Take uint8 images ``(n, height, width, channels)``."""
        self._height, self._width, self._channels = images.shape[1:]
        self._padding = padding
        padded = pad(images, (0, 0, padding, padding, padding, padding)).contiguous()
        self._row_size = (self._width + 2 * padding) * self._channels
        self._image_size = (self._height + 2 * padding) * self._row_size
        # Every run of one window's width in memory, overlapping: selecting from these copies whole
        # rows, six times faster than indexing pixels.
        width = self._width * self._channels
        self._runs = padded.as_strided((padded.numel() - width + 1, width), (1, 1))
        self._rows = torch.arange(self._height, device=images.device) * self._row_size

    def draw_corners(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw the upper left corners ``(count, 2)`` of windows, as row and column."""
        return torch.randint(0, 2 * self._padding + 1, (count, 2), generator=generator)

    def __call__(self, indices: Tensor, corners: Tensor) -> Tensor:
        """Return the windows ``(batch, height, width, channels)`` of some images."""
        row, column = corners.unbind(1)
        start = indices * self._image_size + row * self._row_size + column * self._channels
        windows = self._runs.index_select(0, (start[:, None] + self._rows).view(-1))
        return windows.view(len(indices), self._height, self._width, self._channels)


def mirrored_images(count: int, seed: int, epoch: int) -> Tensor:
    """Mark the images that are mirrored in this epoch (Jordan 2024, arXiv 2404.00498).

    Alternating flip: a coin decides for each image in epoch 0, and every further epoch turns it
    over. In any two successive epochs the network sees both sides of every image.
    """
    first = torch.randint(0, 2, (count,), generator=seeded_generator(seed, "mirror"))
    return (first + epoch) % 2 == 1


def mirror(images: Tensor, mirrored: Tensor) -> Tensor:
    """Mirror some of the images ``(batch, height, width, channels)``, left to right."""
    # Selecting whole images from both sides is four times faster than torch.where.
    both = torch.cat((images, images.flip(2))).view(2 * len(images), -1)
    chosen = torch.arange(len(images), device=images.device) + len(images) * mirrored
    return both.index_select(0, chosen).view(images.shape)


# --- folders of images --------------------------------------------------------------------------


class FolderData(LightningDataModule):  # type: ignore[misc]  # Lightning is skipped by mypy
    """Images that are read from folders, one for each class, by worker processes.

    Batches are as those of ``ArrayData``, on the CPU. Each image's crop and mirroring has its own
    seed, so that the number of workers does not change a batch.
    """

    def __init__(self, prepared: PreparedData, recipe: Recipe, seed: int, num_workers: int) -> None:
        super().__init__()
        self.prepared = prepared
        self.recipe = recipe
        self.seed = seed
        self.num_workers = num_workers

    def setup(self, stage: str) -> None:
        """List the images that the stage needs; ``val`` is the test part."""
        info = self.prepared.info
        if stage == "test":
            self._test = _open_folder(self.prepared.folder / "val", _eval_transform(info))
            return
        folder = self.prepared.folder / "train"
        train, validation = split_indices(self.recipe, info.num_train)
        plain = _open_folder(folder, _eval_transform(info))
        if len(plain) != info.num_train:
            raise DataError(f"{folder} has {len(plain)} images, and had {info.num_train} before")
        self._validation = Subset(plain, validation.tolist())
        augmented = _open_folder(folder, _train_transform(info, self.recipe.augmentation))
        self._train = _SeededImages(Subset(augmented, train.tolist()))

    def train_dataloader(self) -> DataLoader[Any]:
        """Return the training batches of epoch 0; its ``sampler.set_epoch`` goes to another."""
        order = _SeededOrder(len(self._train), self.seed)
        return self._loader(self._train, self.recipe.batch_size, sampler=order, drop_last=True)

    def val_dataloader(self) -> DataLoader[Any]:
        """Return the validation images in the order of the split."""
        return self._loader(self._validation, self._eval_batch_size)

    def test_dataloader(self) -> DataLoader[Any]:
        """Return the test part in its own order."""
        return self._loader(self._test, self._eval_batch_size)

    @property
    def _eval_batch_size(self) -> int:
        return self.recipe.batch_size  # large images: what fits in training fits here

    def _loader(self, images: Dataset[Any], batch_size: int, **options: Any) -> DataLoader[Any]:
        return DataLoader(
            images,
            batch_size,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
            collate_fn=_collate_channels_last,
            generator=seeded_generator(self.seed, "workers"),  # else the global one is moved
            **options,
        )


class _SeededOrder(Sampler[tuple[int, int]]):
    """One epoch's permutation: (index, seed of this image's augmentation).

    It can't count epochs itself: Lightning makes an iterator more, to see if it can, and workers
    begin to draw at once.
    """

    def __init__(self, count: int, seed: int) -> None:
        self._epoch = 0
        self._count = count
        self._seed = seed

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes next; Lightning does."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[tuple[int, int]]:
        epoch = self._epoch
        order = torch.randperm(self._count, generator=seeded_generator(self._seed, "order", epoch))
        return ((i, derive_seed(self._seed, "augment", epoch, i)) for i in order.tolist())


class _SeededImages(Dataset[tuple[Tensor, int]]):
    """Images whose random transforms are a function of the seed that comes with the index."""

    def __init__(self, images: Subset[tuple[Tensor, int]]) -> None:
        self._images = images

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, int]:
        index, seed = key
        with torch.random.fork_rng(devices=[]):
            # Not torch.manual_seed: in a worker it queues a call for a GPU that is never opened.
            torch.default_generator.manual_seed(seed)
            sample: tuple[Tensor, int] = self._images[index]
        return sample


def _open_folder(folder: Path, transform: v2.Transform) -> ImageFolder:
    return ImageFolder(str(folder), transform=transform, loader=_load_image)


def _load_image(path: str) -> Image.Image:
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as cause:
        raise DataError(f"{path} can't be read as an image: {cause}") from cause


def _train_transform(info: DataInfo, augmentation: Augmentation) -> v2.Transform:
    size = (info.image_size, info.image_size)
    scale = augmentation.resized_crop
    steps: list[v2.Transform] = [v2.RandomResizedCrop(size, scale) if scale else v2.Resize(size)]
    if augmentation.crop_padding:
        steps.append(v2.RandomCrop(size, padding=augmentation.crop_padding))
    if augmentation.flip:
        steps.append(v2.RandomHorizontalFlip())
    return v2.Compose([*steps, *_to_normalised(info)])


def _eval_transform(info: DataInfo) -> v2.Transform:
    shorter_edge = round(info.image_size * 256 / 224)  # as for ImageNet since He et al. 2016
    crop = [v2.Resize(shorter_edge), v2.CenterCrop(info.image_size)]
    return v2.Compose([*crop, *_to_normalised(info)])


def _to_normalised(info: DataInfo) -> list[v2.Transform]:
    return [
        v2.ToImage(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(info.mean, info.std),
        v2.ToPureTensor(),
    ]


def _collate_channels_last(samples: list[tuple[Tensor, int]]) -> Batch:
    images, labels = default_collate(samples)
    return images.contiguous(memory_format=torch.channels_last), labels
