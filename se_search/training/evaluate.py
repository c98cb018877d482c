"""Trains one candidate with one seed: seeds the generators, and runs a Lightning Trainer."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.strategies import DDPStrategy
from torch import nn

from se_search.candidate import Candidate
from se_search.device import Device
from se_search.models.memory_layout import lay_channels_last
from se_search.models.random_state import seed_generators
from se_search.models.surgery import build
from se_search.recipe import Recipe
from se_search.record import Assignment, EpochRow, Evaluation
from se_search.seeds import derive_seed
from se_search.store.files import pack_bits
from se_search.training.array_data import ArrayData
from se_search.training.checkpointing import Checkpointing, Position, Until, never
from se_search.training.classifier import Classifier
from se_search.training.data import make_data
from se_search.training.datasets import PreparedData
from se_search.training.final_weights import keep_weights
from se_search.training.folder_data import FolderData
from se_search.training.hardware import describe_training
from se_search.training.rank import ALONE, BACKENDS, Rank, RankEnvironment
from se_search.training.repeatable import make_cuda_repeatable, noting_unrepeatable
from se_search.training.saver import Saver, identify
from se_search.training.tensorboard import log_epoch, make_logger
from se_search.training.together import train_together

LIGHTNING_ACCELERATORS = {"cpu": "cpu", "cuda": "gpu", "mps": "mps"}


def evaluate(
    assignment: Assignment[Candidate],
    data: PreparedData,
    recipe: Recipe,
    device: Device,
    weights: Path | None = None,
    freeze_backbone: bool = False,
    with_test: bool = False,
    checkpointing: Checkpointing | None = None,
    tensorboard: Path | None = None,
    tell: Callable[[EpochRow], None] | None = None,
    until: Until = never,
    rank: Rank | None = None,
) -> Evaluation:
    """Build a candidate, train it, and return its accuracy on the validation images.

    Equal arguments on equal grounds (see ``Ground``) give equal numbers to the bit, whatever was
    trained before in this process.

    Args:
        assignment: candidate, seed and epochs.
        data: the data set.
        recipe: how to train.
        device: where to train.
        weights: file with weights of the backbone to start from; None: all are drawn.
        freeze_backbone: train only the parameters that are not in that file.
        with_test: evaluate the test images after each validation, which changes no other number;
            without it the test images are not read.
        checkpointing: keeps the states of the training while it runs; if there is one of an
            equal training that was broken off, this one goes on from it. None: nothing is kept.
        tensorboard: folder that takes what TensorBoard shows of the training; None: nothing does.
        tell: handed a row after each epoch; None: nobody is told.
        until: asked after each step: a training that would take longer saves its state and ends.
        rank: of this process among those that train together; None: if the device is several, a
            process for each is started.

    Raises:
        BrokenOffError: it has saved its state and ended, as it was asked to.
        DivergedError: the loss is not finite.
        BackboneError: the weights do not fit the backbone.
    """
    if device.num_devices > 1 and rank is None:
        work = partial(
            evaluate,
            assignment,
            data,
            recipe,
            device,
            weights,
            freeze_backbone,
            with_test,
            checkpointing,
            tensorboard,
        )
        return train_together(work, device, tell, until)
    torch.set_num_threads(device.threads)
    model = build(assignment.candidate, assignment.seed, weights, freeze_backbone)
    return train(
        model,
        assignment,
        data,
        recipe,
        device,
        with_test,
        checkpointing,
        tensorboard,
        tell,
        until,
        rank or ALONE,
    )


def train(
    model: nn.Module,
    assignment: Assignment[Candidate],
    data: PreparedData,
    recipe: Recipe,
    device: Device,
    with_test: bool = False,
    checkpointing: Checkpointing | None = None,
    tensorboard: Path | None = None,
    tell: Callable[[EpochRow], None] | None = None,
    until: Until = never,
    rank: Rank = ALONE,
) -> Evaluation:
    """Train a candidate's network in place; see ``evaluate``."""
    if device.accelerator == "cuda":
        make_cuda_repeatable(device.precision)
    lay_channels_last(model)
    # Layers such as dropout draw from the global generators. Weights, order and augmentation have
    # streams of their own, so that equal seeds mean equal draws for every network.
    ranks = (rank.index,) if rank.index else ()
    seed_generators(derive_seed(assignment.seed, "training", *ranks))
    in_channels = assignment.candidate.backbone.in_channels
    datamodule = make_data(data, recipe, assignment.seed, in_channels, device.num_loaders, rank)
    datamodule.setup("fit")
    num_steps = len(datamodule.train_dataloader()) * assignment.epochs
    started = time.monotonic()
    saver = None
    if checkpointing is not None:
        files = checkpointing.files(assignment, recipe, with_test)
        identity = identify(assignment, recipe, device, with_test)
        saver = Saver(files, identity, checkpointing, until, rank=rank)
        datamodule.start = saver.find() or Position()
    has_state = saver is not None and saver.has_state
    logger = None
    if tensorboard is not None and rank.is_first:
        logger = make_logger(tensorboard, goes_on=has_state)

    def count_seconds() -> float:
        return time.monotonic() - started + (saver.earlier_seconds if saver else 0.0)

    def tell_epoch(row: Mapping[str, float]) -> None:
        epoch = EpochRow(
            int(row["epoch"]),
            assignment.epochs,
            row["train_loss"],
            row.get("loss"),
            row.get("accuracy"),
            count_seconds(),
        )
        if logger is not None:
            log_epoch(logger, epoch)
        if tell is not None:
            tell(epoch)

    classifier = Classifier(model, recipe, num_steps, tell_epoch, rank)
    evaluated = _WithTest(datamodule) if with_test else datamodule
    with noting_unrepeatable() as unrepeatable:
        fit(classifier, evaluated, recipe, assignment.epochs, device, saver, logger, rank)
    last = classifier.history[-1]
    ran_on = describe_training(device, recipe.count_at_a_time(rank.count), unrepeatable, rank)
    unkept = None
    if rank.is_first:
        unkept = keep_weights(model, assignment, recipe, last, ran_on.device)
    correct, *test_correct = (pack_bits(part.numpy()) for part in classifier.correct)
    return Evaluation(
        accuracy=last["accuracy"],
        loss=last["loss"],
        history=tuple(classifier.history),
        correct=correct,
        seconds=count_seconds(),
        test_correct=test_correct[0] if with_test else None,
        split_seed=datamodule.split.seed,
        split_hash=datamodule.split.hash,
        ran_on=ran_on,
        unkept=unkept,
    )


def make_trainer(
    recipe: Recipe,
    epochs: int,
    device: Device,
    folder: Path,
    saver: Saver | None = None,
    logger: TensorBoardLogger | None = None,
    rank: Rank = ALONE,
) -> pl.Trainer:
    """Return a Trainer without bars and checks, which cost 5 % on a CPU.

    Under Slurm a Trainer would by itself go on from any ``hpc_ckpt_*`` in its root folder, whatever
    network it is of, and answer SIGUSR1 by requeueing the job. So it is told that there is no
    cluster, and given a root folder of its own.

    Args:
        recipe: says how often is validated.
        epochs: of the whole training.
        device: where to train.
        folder: an empty folder that nothing else uses.
        saver: saves the training; None: it is not saved.
        logger: keeps curves of the training; None: none are kept.
        rank: of this process among those that train together.
    """
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    plugins: list[Any] = [RankEnvironment(rank)]
    strategy: Any = "auto"
    if rank.count > 1:
        # Units that a training skips at times (stochastic depth) have no gradient in a step.
        # Buffers are agreed upon before each evaluation, and not before each step.
        strategy = DDPStrategy(
            process_group_backend=BACKENDS[device.accelerator],
            find_unused_parameters=True,
            broadcast_buffers=False,
        )
    first, count = device.index, rank.count  # what trains a network in one process has one device
    return pl.Trainer(
        accelerator=LIGHTNING_ACCELERATORS[device.accelerator],
        devices=[*range(first, first + count)] if device.accelerator == "cuda" else count,
        strategy=strategy,
        precision=device.precision,
        max_epochs=epochs,
        check_val_every_n_epoch=recipe.validate_every or epochs,
        default_root_dir=folder,
        plugins=plugins if saver is None else [*plugins, saver.io],
        callbacks=[] if saver is None else [saver],
        logger=logger or False,
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


def fit(
    classifier: Classifier,
    datamodule: pl.LightningDataModule,
    recipe: Recipe,
    epochs: int,
    device: Device,
    saver: Saver | None = None,
    logger: TensorBoardLogger | None = None,
    rank: Rank = ALONE,
) -> None:
    """Train a classifier, from a saved state if there is one, and validate it after the last epoch.

    Args:
        classifier: what is trained.
        datamodule: the images.
        recipe: says how often is validated.
        epochs: of the whole training.
        device: where to train.
        saver: saves the training, and removes its states at the end; None: it is not saved.
        logger: keeps curves of the training; None: none are kept.
        rank: of this process among those that train together.
    """
    with warnings.catch_warnings(), TemporaryDirectory(prefix="se-search-") as folder:
        # Lightning calls a function of PyTorch by its old name.
        warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
        # Array batches already lie on the device: loader processes would not help.
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        # The data module begins where the state stands, which Lightning can't know.
        warnings.filterwarnings("ignore", message=".*your dataloader is not resumable.*")
        # A supernet is not validated while it trains.
        warnings.filterwarnings("ignore", message=".*Total length of `list` across ranks is zero.*")
        # Curves have a point an epoch, however few the steps of one.
        warnings.filterwarnings("ignore", message=".*smaller than the logging interval.*")
        # Its new name is not known to the oldest PyTorch that trains here.
        warnings.filterwarnings("ignore", message=".*`broadcast_buffers` is deprecated.*")
        trainer = make_trainer(recipe, epochs, device, Path(folder), saver, logger, rank)
        # A frozen backbone without SE has nothing to train.
        if any(parameter.requires_grad for parameter in classifier.parameters()):
            state = saver.path if saver is not None and saver.has_state else None
            trainer.fit(classifier, datamodule=datamodule, ckpt_path=state, weights_only=True)
        if not classifier.history or classifier.history[-1]["epoch"] < trainer.max_epochs:
            trainer.validate(classifier, datamodule=datamodule, verbose=False)
    if saver is not None:
        saver.remove()
