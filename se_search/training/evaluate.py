"""Trains one candidate with one seed: the one place that seeds, and that makes a Trainer."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from se_search.candidate import Candidate
from se_search.device import Device
from se_search.models.surgery import build
from se_search.recipe import Recipe
from se_search.record import Assignment, Evaluation
from se_search.seeds import derive_seed
from se_search.store.files import pack_bits
from se_search.training.classifier import Classifier
from se_search.training.data import ArrayData, FolderData, make_data
from se_search.training.datasets import PreparedData

LIGHTNING_ACCELERATORS = {"cpu": "cpu", "cuda": "gpu", "mps": "mps"}


def evaluate(
    assignment: Assignment[Candidate],
    data: PreparedData,
    recipe: Recipe,
    device: Device,
    weights: Path | None = None,
    freeze_backbone: bool = False,
    with_test: bool = False,
) -> Evaluation:
    """Train a candidate and return how it does on the validation images.

    The test images are not read unless that is asked for; then each validation goes on to them,
    which changes no other number. The same assignment, data, recipe, precision, number of threads
    and versions give the same numbers, whatever else has been trained before.

    Args:
        assignment: candidate, seed and epochs.
        data: the data set, prepared.
        recipe: how to train.
        device: where to train.
        weights: file with weights of the backbone to start from.
        freeze_backbone: train only what is not in that file.
        with_test: evaluate the test images, too.

    Raises:
        DivergedError: the loss is not finite.
    """
    torch.set_num_threads(device.threads)
    if device.accelerator == "cuda":
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False
    backbone = assignment.candidate.backbone
    model = build(assignment.candidate, assignment.seed, weights, freeze_backbone)
    model = model.to(memory_format=torch.channels_last)
    # Dropout and the like draw from the global stream; weights, order and augmentation have
    # streams of their own, so that equal seeds mean equal draws whatever the network.
    torch.manual_seed(derive_seed(assignment.seed, "training"))
    datamodule = make_data(
        data,
        recipe,
        assignment.seed,
        in_channels=backbone.in_channels,
        num_workers=device.num_loaders,
    )
    datamodule.setup("fit")
    num_steps = len(datamodule.train_dataloader()) * assignment.epochs
    classifier = Classifier(model, recipe, num_steps)
    started = time.monotonic()
    evaluated = _WithTest(datamodule) if with_test else datamodule
    _fit(classifier, evaluated, make_trainer(recipe, assignment.epochs, device))
    last = classifier.history[-1]
    correct, *test_correct = (pack_bits(part.numpy()) for part in classifier.correct)
    return Evaluation(
        accuracy=last["accuracy"],
        loss=last["loss"],
        history=tuple(classifier.history),
        correct=correct,
        seconds=time.monotonic() - started,
        test_correct=test_correct[0] if with_test else None,
    )


def make_trainer(recipe: Recipe, epochs: int, device: Device) -> pl.Trainer:
    """Make a Trainer without logger, bars, checkpoints and checks: they cost 5 % on a CPU."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    return pl.Trainer(
        accelerator=LIGHTNING_ACCELERATORS[device.accelerator],
        devices=[device.index] if device.accelerator == "cuda" else 1,
        precision=device.precision,
        max_epochs=epochs,
        check_val_every_n_epoch=recipe.validate_every or epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )


class _WithTest(pl.LightningDataModule):  # type: ignore[misc]  # Lightning is skipped by mypy
    """A data module whose every validation goes on to the test part."""

    def __init__(self, data: ArrayData | FolderData) -> None:
        super().__init__()
        self._data = data

    def setup(self, stage: str) -> None:
        self._data.trainer = self.trainer  # whose device takes the images
        self._data.setup(stage)
        self._data.setup("test")

    def train_dataloader(self) -> Iterable[Any]:
        return self._data.train_dataloader()

    def val_dataloader(self) -> list[Iterable[Any]]:
        return [self._data.val_dataloader(), self._data.test_dataloader()]


def _fit(classifier: Classifier, datamodule: pl.LightningDataModule, trainer: pl.Trainer) -> None:
    with warnings.catch_warnings():
        # Lightning calls a function of PyTorch by its old name.
        warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
        # The batches are already whole, in memory and on the device: no workers are wanted.
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        # A frozen backbone without SE has nothing to train.
        if any(parameter.requires_grad for parameter in classifier.parameters()):
            trainer.fit(classifier, datamodule=datamodule)
        if not classifier.history or classifier.history[-1]["epoch"] < trainer.max_epochs:
            trainer.validate(classifier, datamodule=datamodule, verbose=False)
