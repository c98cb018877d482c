"""Trains a supernet, by the same machinery as a candidate."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from safetensors.torch import load

from se_search.device import Device
from se_search.errors import BackboneError
from se_search.models.memory_layout import lay_channels_last
from se_search.models.random_state import seed_generators
from se_search.models.supernet import Supernet, make_supernet
from se_search.recipe import Recipe
from se_search.record import EpochRow
from se_search.score import SupernetResult, SupernetSettings
from se_search.seeds import derive_seed
from se_search.space.level_draws import LevelDraws
from se_search.space.subspace import Subspace
from se_search.store.kept_weights import read_with_facts
from se_search.training.array_data import ArrayData
from se_search.training.checkpointing import Checkpointing, Position, Until, never
from se_search.training.data import make_data
from se_search.training.datasets import PreparedData
from se_search.training.evaluate import fit
from se_search.training.folder_data import FolderData
from se_search.training.hardware import describe_ground, describe_training
from se_search.training.repeatable import make_cuda_repeatable, noting_unrepeatable
from se_search.training.saver import Saver
from se_search.training.supernet_classifier import SupernetClassifier


def train_supernet(
    subspace: Subspace,
    seed: int,
    data: PreparedData,
    recipe: Recipe,
    settings: SupernetSettings,
    device: Device,
    weights: Path | None = None,
    freeze_backbone: bool = False,
    epochs: int | None = None,
    checkpointing: Checkpointing | None = None,
    tell: Callable[[EpochRow], None] | None = None,
    until: Until = never,
) -> tuple[Supernet, SupernetResult]:
    """Make a supernet and train it; it is a replicate of its seed, as a candidate's training is.

    Equal arguments on equal grounds (see ``Ground``) give equal weights to the bit.

    Args:
        subspace: the candidates that it holds.
        seed: of its weights, the order of the images, their augmentation, the draws of candidates
            and, unless the recipe fixes it, of which images train and which validate.
        data: the data set.
        recipe: how to train.
        settings: how many candidates a step trains, and by which labels.
        device: where to train; of several devices the first one is taken.
        weights: file with weights of the backbone to start from; None: all are drawn.
        freeze_backbone: train only the parameters that are not in that file.
        epochs: of the training; None: as many as the recipe has.
        checkpointing: keeps the states of the training while it runs; if there is one of an equal
            training that was broken off, this one goes on from it. None: nothing is kept.
        tell: handed a row after each epoch; None: nobody is told.
        until: asked after each step: a training that would take longer saves its state and ends.

    Returns:
        the supernet, and what its training was.

    Raises:
        BrokenOffError: it has saved its state and ended, as it was asked to.
        DivergedError: the loss is not finite.
        SupernetError: the subspace has no candidate.
        BackboneError: the weights do not fit the backbone.
    """
    device = replace(device, num_devices=1)
    torch.set_num_threads(device.threads)
    draws = LevelDraws(subspace, seed)
    supernet = make_supernet(subspace.backbone, subspace.designs, seed, weights, freeze_backbone)
    if device.accelerator == "cuda":
        make_cuda_repeatable(device.precision)
    lay_channels_last(supernet)
    seed_generators(derive_seed(seed, "training"))  # as in a candidate's training
    in_channels = subspace.backbone.in_channels
    datamodule = make_data(data, recipe, seed, in_channels, device.num_loaders)
    datamodule.setup("fit")
    num_epochs = recipe.epochs if epochs is None else epochs
    num_steps = len(datamodule.train_dataloader()) * num_epochs
    started = time.monotonic()
    saver = None
    if checkpointing is not None:
        named = _name_training(subspace, seed, recipe, settings, num_epochs)
        identity = {"named": named, "ground": asdict(describe_ground(device))}
        saver = Saver(checkpointing.files_of(named), identity, checkpointing, until)
        datamodule.start = saver.find() or Position()

    def count_seconds() -> float:
        return time.monotonic() - started + (saver.earlier_seconds if saver else 0.0)

    def tell_epoch(row: Mapping[str, float]) -> None:
        if tell is not None:
            epoch, loss = int(row["epoch"]), row["train_loss"]
            tell(EpochRow(epoch, num_epochs, loss, None, None, count_seconds()))

    classifier = SupernetClassifier(supernet, draws, settings, recipe, num_steps, tell_epoch)
    with noting_unrepeatable() as unrepeatable:
        fit(classifier, _OnlyTraining(datamodule), recipe, num_epochs, device, saver)
    return supernet, SupernetResult(
        seed=seed,
        history=tuple(classifier.history),
        train_seconds=count_seconds(),
        ran_on=describe_training(device, recipe.images_at_a_time, unrepeatable),
        split_hash=datamodule.split.hash,
    )


def describe_supernet(supernet: Supernet, result: SupernetResult) -> dict[str, str]:
    """Return the facts that the header of a file of a supernet's weights has."""
    frozen = [name for name, value in supernet.named_parameters() if not value.requires_grad]
    return {
        "supernet": supernet.backbone.name,
        "seed": str(result.seed),
        "device": result.ran_on.device,
        "frozen": " ".join(frozen),
    }


def load_supernet(subspace: Subspace, weights_file: Path) -> Supernet:
    """Return a supernet with trained weights, on the CPU.

    Args:
        subspace: the candidates that it holds.
        weights_file: as ``TrainSupernet`` has written it.

    Raises:
        RunError: the file can't be read, or is damaged.
        BackboneError: the weights are of another supernet.
    """
    content, facts = read_with_facts(weights_file)
    supernet = make_supernet(subspace.backbone, subspace.designs, seed=0)
    try:
        supernet.load_state_dict(load(content))
    except RuntimeError as error:
        raise BackboneError(f"{weights_file} is of another supernet: {error}") from error
    for name in facts["frozen"].split():
        supernet.get_parameter(name).requires_grad_(False)
    return supernet


def _name_training(
    subspace: Subspace, seed: int, recipe: Recipe, settings: SupernetSettings, epochs: int
) -> list[Any]:
    """Return plain values that tell the training of a supernet from all others of a run."""
    levels = [
        [
            [str(block) for block in level] + sorted(shared)
            for level, shared in zip(*own, strict=True)
        ]
        for own in zip(subspace.levels, subspace.possible, strict=True)
    ]
    trained_by = [settings.num_drawn, settings.distillation]
    return ["supernet", subspace.backbone.name, levels, seed, epochs, recipe.hash, trained_by]


class _OnlyTraining(pl.LightningDataModule):  # type: ignore[misc]  # Lightning is skipped by mypy
    """A data module without validation: of which candidate it would have to be chosen."""

    def __init__(self, data: ArrayData | FolderData) -> None:
        super().__init__()
        self._data = data

    def setup(self, stage: str) -> None:
        self._data.trainer = self.trainer  # whose device takes the images
        self._data.setup(stage)

    def train_dataloader(self) -> Iterable[Any]:
        return self._data.train_dataloader()

    def val_dataloader(self) -> list[Iterable[Any]]:
        return []
