"""Batches of images that worker processes read from folders, for Lightning."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, Subset, default_collate
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from se_search.errors import DataError
from se_search.recipe import Augmentation, Recipe
from se_search.seeds import derive_seed
from se_search.training.datasets import DataInfo, PreparedData
from se_search.training.random_streams import seeded_generator
from se_search.training.split import split_indices


class FolderData(LightningDataModule):  # type: ignore[misc]  # Lightning is skipped by mypy
    """Data module of images that worker processes read from folders, one folder a class.

    A batch is on the CPU: float32 images ``(batch, 3, height, width)``, normalised and in
    channels-last memory format, and int64 labels ``(batch,)``. Each image's crop and mirroring
    has its own seed, so that the number of workers does not change a batch.
    """

    def __init__(self, prepared: PreparedData, recipe: Recipe, seed: int, num_workers: int) -> None:
        super().__init__()
        self.prepared = prepared
        self.recipe = recipe
        self.seed = seed
        self.num_workers = num_workers

    def setup(self, stage: str) -> None:
        """List the images of a stage; the folder ``val`` is the test part.

        Raises:
            DataError: the folder's images have changed since it was described.
        """
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
        """Return the training batches of epoch 0; ``sampler.set_epoch`` chooses another epoch."""
        order = _SeededOrder(len(self._train), self.seed)
        return self._loader(self._train, self.recipe.batch_size, sampler=order, drop_last=True)

    def val_dataloader(self) -> DataLoader[Any]:
        """Return the validation images in the order of the split."""
        return self._loader(self._validation, self._eval_batch_size)

    def test_dataloader(self) -> DataLoader[Any]:
        """Return the images of the test part in the order of the files."""
        return self._loader(self._test, self._eval_batch_size)

    @property
    def _eval_batch_size(self) -> int:
        return self.recipe.batch_size  # large images: a batch that fits in training fits here

    def _loader(self, images: Dataset[Any], batch_size: int, **options: Any) -> DataLoader[Any]:
        return DataLoader(
            images,
            batch_size,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
            collate_fn=_collate_channels_last,
            generator=seeded_generator(self.seed, "workers"),  # else the global generator is moved
            **options,
        )


class _SeededOrder(Sampler[tuple[int, int]]):
    """The order of an epoch: for each image its index and the seed of its augmentation.

    It can't count epochs itself: Lightning makes an extra iterator, to see if it can, and workers
    begin to draw at once.
    """

    def __init__(self, count: int, seed: int) -> None:
        self._epoch = 0
        self._count = count
        self._seed = seed

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next iteration; Lightning calls this."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[tuple[int, int]]:
        epoch = self._epoch
        order = torch.randperm(self._count, generator=seeded_generator(self._seed, "order", epoch))
        return ((i, derive_seed(self._seed, "augment", epoch, i)) for i in order.tolist())


class _SeededImages(Dataset[tuple[Tensor, int]]):
    """Images whose random transforms depend on the seed that comes with the index alone."""

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


def _collate_channels_last(samples: list[tuple[Tensor, int]]) -> tuple[Tensor, Tensor]:
    images, labels = default_collate(samples)
    return images.contiguous(memory_format=torch.channels_last), labels
