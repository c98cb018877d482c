"""Data modules over small made-up images, and what is in their batches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from support import data_sets
from torch import Tensor, nn

from se_search.recipe import Recipe
from se_search.training.array_data import ArrayData
from se_search.training.data import make_data
from se_search.training.data_catalogue import DATA_SETS
from se_search.training.datasets import PreparedData, prepare_arrays
from se_search.training.folder_data import FolderData

NUM_TRAIN, NUM_TEST = 50, 12


def make_recipe(**changes: object) -> Recipe:
    fields: dict[str, object] = {
        "batch_size": 8,
        "augmentation": {"crop_padding": 2, "flip": True},
        "split": {"validation": 10},
    }
    return data_sets.make_recipe(**(fields | changes))


LEVELS = 5  # grey levels of an image's own


def make_images(count: int, channels: int, size: int) -> np.ndarray:
    """Make images whose brightest pixel tells their number: image 3 has the levels 15 to 19."""
    levels = np.random.default_rng(count).integers(0, LEVELS, (count, channels, size, size))
    return (levels + LEVELS * np.arange(count)[:, None, None, None]).astype(np.uint8)


def prepare(tmp_path: Path, name: str = "fashion_mnist") -> PreparedData:
    """Prepare arrays of ten classes with five images each, which can be told apart."""
    spec = DATA_SETS[name]
    arrays = {
        "train_images": make_images(NUM_TRAIN, spec.channels, spec.image_size),
        "train_labels": make_labels(),
        "test_images": make_images(NUM_TEST, spec.channels, spec.image_size),
        "test_labels": np.arange(NUM_TEST) % 10,
    }
    small = replace(
        spec,
        train_counts=(NUM_TRAIN // 10,) * 10,
        num_test=NUM_TEST,
        files=(),
        read=lambda *_: arrays,
    )
    return prepare_arrays(small, None, tmp_path, make_recipe())


def open_data(
    prepared: PreparedData, seed: int = 0, stage: str = "fit", **changes: object
) -> ArrayData | FolderData:
    module = make_data(prepared, make_recipe(**changes), seed, prepared.info.channels)
    module.setup(stage)
    return module


def make_labels() -> np.ndarray:
    return np.arange(NUM_TRAIN) % 10


def all_numbers(prepared: PreparedData, batches: object) -> list[int]:
    """Return the numbers of the images in the batches of ``prepare``'s data, in their order."""
    return [n for images, _ in batches for n in numbers_of(prepared, images)]  # type: ignore[attr-defined]


def numbers_of(prepared: PreparedData, images: Tensor) -> list[int]:
    mean, std = (torch.tensor(v)[:, None, None] for v in (prepared.info.mean, prepared.info.std))
    levels = (255 * (images * std + mean)).round().flatten(1).amax(dim=1)
    return [int(level) // LEVELS for level in levels]


def all_labels(batches: object) -> list[int]:
    return [int(label) for _, labels in batches for label in labels]  # type: ignore[attr-defined]


def same_batches(one: object, other: object) -> bool:
    pairs = zip(one, other, strict=True)  # type: ignore[call-overload]
    return all(torch.equal(a, b) and torch.equal(c, d) for (a, c), (b, d) in pairs)


class Recorder(LightningModule):  # type: ignore[misc]
    """Trains one number and notes which images it saw in each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.seen: dict[int, list[int]] = {}
        self.sums: dict[int, list[float]] = {}
        self.validated: list[int] = []

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        self.seen.setdefault(self.current_epoch, []).extend(batch[1].tolist())
        self.sums.setdefault(self.current_epoch, []).append(float(batch[0].sum()))
        return (batch[0].mean() - self.weight).square()

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        self.validated.extend(batch[1].tolist())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(module: ArrayData | FolderData) -> Recorder:
    model = Recorder()
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=3,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(model, datamodule=module)
    return model


# Lightning 2.6 makes a LeafSpec, which torch 2.14 announces to drop.
ignore_leaf_spec = pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")
