"""Says in a line each minute how far a long training has come."""

from __future__ import annotations

from collections.abc import Callable

from se_search.record import EpochRow
from se_search.report.format import duration

LINE_EVERY = 60.0  # seconds of a training between two lines about its epochs


class EpochLines:
    """Says where trainings are, each minute of a training.

    Args:
        say: takes a line.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._told: dict[str, float] = {}  # by training, when a line was said, in its own seconds

    def update(self, training: str, row: EpochRow) -> None:
        """Take an epoch that has ended; say it if a line is due, and it is not the last epoch.

        Args:
            training: how it is called in the line.
            row: its epoch.
        """
        if row.epoch >= row.epochs:
            self._told.pop(training, None)
            return
        told = self._told.get(training, 0.0)
        if row.seconds < told:  # it has begun anew
            told = self._told[training] = 0.0
        if row.seconds - told >= LINE_EVERY:
            self._told[training] = row.seconds
            self._say(_describe(training, row))


def _describe(training: str, row: EpochRow) -> str:
    accuracy = "" if row.accuracy is None else f", {100 * row.accuracy:.2f} %"
    left = duration(row.seconds / row.epoch * (row.epochs - row.epoch))
    return f"{training} epoch {row.epoch} of {row.epochs}{accuracy}, {left} left"
