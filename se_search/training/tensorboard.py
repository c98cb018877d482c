"""What TensorBoard shows of a training, through Lightning's own logger."""

from __future__ import annotations

import shutil
from pathlib import Path

from pytorch_lightning.loggers import TensorBoardLogger

from se_search.record import EpochRow

NAMES = {"train_loss": "loss/train", "loss": "loss/validation", "accuracy": "accuracy/validation"}


def make_logger(folder: Path, *, goes_on: bool) -> TensorBoardLogger:
    """Return what writes the curves of one training into a folder of its own.

    Args:
        folder: of the training.
        goes_on: whether the training goes on from a state; otherwise the curves of an earlier
            attempt are removed.
    """
    if not goes_on:
        shutil.rmtree(folder, ignore_errors=True)
    return TensorBoardLogger(save_dir=folder.parent, name="", version=folder.name)


def log_epoch(logger: TensorBoardLogger, row: EpochRow) -> None:
    """Write the losses and the accuracy of an epoch, by its number."""
    values = {text: getattr(row, name) for name, text in NAMES.items()}
    known = {text: value for text, value in values.items() if value is not None}
    logger.log_metrics(known, step=row.epoch)
    logger.save()
