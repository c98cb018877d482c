"""The trainings of a run that are under way, as ``progress.jsonl`` tells of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from se_search.report.format import count, duration
from se_search.report.table import Column, ResultTable
from se_search.store.progress_log import LoggedEpoch


@dataclass(frozen=True, slots=True)
class RunningTraining:
    """A training that runs now.

    Attributes:
        trial: its number; None: it is a training of a confirmation.
        placement: short text of the candidate.
        seed: the replicate's name.
        epochs: of the whole training.
        epoch: how many have ended; None: none has.
        train_loss: mean over that epoch's batches.
        accuracy: share of the validation images classified correctly after that epoch, 0..1.
        loss: mean cross-entropy over the validation images after that epoch.
        seconds: wall time of the training up to that epoch.
        seconds_left: wall time that it will still take; None: not known.
    """

    trial: int | None
    placement: str
    seed: int
    epochs: int
    epoch: int | None = None
    train_loss: float | None = None
    accuracy: float | None = None
    loss: float | None = None
    seconds: float | None = None
    seconds_left: float | None = None


def with_epoch(row: LoggedEpoch) -> RunningTraining:
    """Return a training that runs by the last epoch that is logged of it."""
    return RunningTraining(
        row.trial,
        row.placement,
        row.seed,
        row.epochs,
        row.epoch,
        row.train_loss,
        row.accuracy,
        row.loss,
        row.seconds,
        row.seconds / row.epoch * (row.epochs - row.epoch),
    )


def is_since(row: LoggedEpoch, since: datetime | None) -> bool:
    """Tell whether an epoch has ended since a time, to the second; None: since ever."""
    return since is None or datetime.fromisoformat(row.time) >= since.replace(microsecond=0)


def running_table(trainings: Sequence[RunningTraining]) -> ResultTable:
    """Lay out the trainings that run."""
    table = ResultTable(
        [
            Column("trial"),
            Column("SE (stage:squeeze width)", is_number=False),
            Column("replicate", rank=3),
            Column("epoch"),
            Column("train loss", rank=4),
            Column("accuracy %", rank=1),
            Column("left", rank=2),
        ],
        title=f"{count(len(trainings), 'training')} under way",
    )
    for each in trainings:
        table.add_row(
            "-" if each.trial is None else str(each.trial),
            each.placement,
            f"{each.seed:,}",
            f"{each.epoch or 0}/{each.epochs}",
            "-" if each.train_loss is None else f"{each.train_loss:.3f}",
            "-" if each.accuracy is None else f"{100 * each.accuracy:.2f}",
            "-" if each.seconds_left is None else duration(each.seconds_left),
        )
    return table
