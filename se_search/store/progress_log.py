"""The epochs of a run's trainings as they end, a line each in ``progress.jsonl``.

The file is for whoever waits: what counts stands in the trials. So a line that can't be written is
left out, and old lines give way to new ones.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from se_search.candidate import Candidate
from se_search.errors import RunError
from se_search.record import Assignment, EpochRow, TrialRecord
from se_search.store.files import parse_json, write_text

TrainingName = tuple[int | None, str, int]
"""Number of the trial, or None, placement and seed of a training."""

MAX_BYTES = 4_000_000  # of the file: about 17,000 epochs


@dataclass(frozen=True, slots=True)
class LoggedEpoch:
    """An epoch of a training.

    Attributes:
        trial: number of the trial; None: it is a training of a confirmation or of a study.
        placement: short text of the candidate.
        seed: the replicate's name.
        epoch: how many epochs have ended.
        epochs: of the whole training.
        train_loss: mean over the epoch's batches; None: it is not finite.
        loss: mean cross-entropy over the validation images; None: they are not evaluated after
            this epoch.
        accuracy: share of the validation images classified correctly, 0..1; None likewise.
        seconds: wall time of the training so far.
        time: when the epoch ended (ISO 8601, UTC).
    """

    trial: int | None
    placement: str
    seed: int
    epoch: int
    epochs: int
    train_loss: float | None
    loss: float | None
    accuracy: float | None
    seconds: float
    time: str

    @property
    def training(self) -> TrainingName:
        """What tells its training from others of the file."""
        return self.trial, self.placement, self.seed


class ProgressLog:
    """Takes the epochs of a run's trainings; one process writes it.

    Args:
        path: the file, which is made with the first line and goes on where it is there.
        max_bytes: of the file. When it has more, the older half of its lines is left out, but for
            the last line of each training that has not ended.
    """

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self._path = path
        self._max_bytes = max_bytes

    def append(self, record: TrialRecord, row: EpochRow) -> None:
        """Add an epoch of a trial."""
        self._append((record.number, record.placement, record.seed), row)

    def append_fresh(self, assignment: Assignment[Candidate], row: EpochRow) -> None:
        """Add an epoch of a training that is no trial: of a confirmation, or of a study."""
        self._append((None, assignment.candidate.placement, assignment.seed), row)

    def _append(self, training: TrainingName, row: EpochRow) -> None:
        logged = LoggedEpoch(
            *training,
            row.epoch,
            row.epochs,
            row.train_loss if math.isfinite(row.train_loss) else None,
            row.loss,
            row.accuracy,
            round(row.seconds, 3),
            datetime.now(UTC).isoformat(timespec="seconds"),
        )
        line = json.dumps(asdict(logged)).encode() + b"\n"
        with suppress(OSError, RunError):  # a full disk must not end the search
            with self._path.open("a+b") as file:
                size = file.tell()
                if size:
                    file.seek(size - 1)
                    if file.read(1) != b"\n":  # a line that was cut off
                        line = b"\n" + line
                file.write(line)
            if size + len(line) > self._max_bytes:
                self._shorten()

    def _shorten(self) -> None:
        rows = read_progress(self._path)
        texts = [json.dumps(asdict(row)) + "\n" for row in rows]
        last = {row.training: place for place, row in enumerate(rows)}
        running = {place for place in last.values() if rows[place].epoch < rows[place].epochs}
        room, kept = self._max_bytes // 2, set[int]()
        for place in reversed(range(len(rows))):
            room -= len(texts[place])
            if room >= 0 or place in running:
                kept.add(place)
        write_text(self._path, "".join(texts[place] for place in sorted(kept)))


def read_progress(path: Path) -> list[LoggedEpoch]:
    """Return the epochs that a file holds, the oldest first; empty if there is no file.

    Lines that were cut off, or are none of this version's, are left out.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return []
    rows = []
    for line in lines:
        with suppress(ValueError, TypeError):
            row = LoggedEpoch(**parse_json(line))
            if _is_whole(row):
                rows.append(row)
    return rows


def find_last(rows: Iterable[LoggedEpoch]) -> dict[TrainingName, LoggedEpoch]:
    """Return the last epoch of each training."""
    return {row.training: row for row in rows}


def _is_whole(row: LoggedEpoch) -> bool:
    """Tell whether all values are of their types; a time that is none raises a ``ValueError``."""
    counts = (0 if row.trial is None else row.trial, row.seed, row.epoch, row.epochs)
    known = (row.train_loss, row.loss, row.accuracy)
    return (
        all(type(number) is int for number in counts)
        and all(value is None or isinstance(value, int | float) for value in known)
        and isinstance(row.seconds, int | float)
        and isinstance(row.placement, str)
        and row.epoch > 0
        and datetime.fromisoformat(row.time).tzinfo is not None
    )
