"""How far the confirmation is that works on a run now."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import fmean
from typing import Any

from se_search.analysis.confirming import count_wanted
from se_search.report.format import count, duration
from se_search.report.running import RunningTraining, is_since, with_epoch
from se_search.store.confirmations import Round, read_rounds
from se_search.store.holder import Holder
from se_search.store.progress_log import LoggedEpoch, find_last, read_progress
from se_search.store.round_trainings import Trainings, list_own, pack_round, read_trainings
from se_search.store.run_folder import RunFolder

PATIENCE = 3.0  # times that an epoch took: a training that is silent for longer has failed
LEAST_PATIENCE = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Confirming:
    """How far a confirmation is; ``str`` says it.

    Attributes:
        num_ended: trainings of its next look that have ended.
        num_wanted: trainings of its next look.
        seconds_left: wall time until that look; None: not known.
        running: the trainings that run now, once an epoch of them has ended.
    """

    num_ended: int
    num_wanted: int
    seconds_left: float | None
    running: tuple[RunningTraining, ...]

    def __str__(self) -> str:
        left = "" if self.seconds_left is None else f"; about {duration(self.seconds_left)} left"
        wanted = count(self.num_wanted, "training")
        return f"Confirmation: {self.num_ended:,} of {wanted} up to its next look{left}"

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data, for a program, without the trainings that run."""
        names = ("num_ended", "num_wanted", "seconds_left")
        return {name: getattr(self, name) for name in names}


def read_confirming(
    folder: RunFolder, holder: Holder, workers: int, now: datetime | None = None
) -> Confirming | None:
    """Return how far the confirmation is that a process works on; None: it works on something else.

    Args:
        folder: of the run.
        holder: the process.
        workers: trainings that are likely to be made at a time.
        now: the time; None: the system's.

    Raises:
        RunError: a file of the run can't be read.
    """
    file = folder.confirmation_file
    if not file.is_file():
        return None
    written = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    if written < holder.since.replace(microsecond=0):  # of an earlier command
        return None
    last, trainings = read_rounds(folder)[-1], read_trainings(folder)
    wanted = count_wanted(last.stated, pack_round(last, trainings, "test_accuracy"))
    number = {seed: place for place, seed in enumerate(last.seeds)}
    own = list_own(last, trainings)
    num_ended = sum(number[each.seed] < wanted.get(each.key, 0) for each in own)
    num_wanted = sum(wanted.values())
    seconds = [each.effort.wall_seconds if each.effort else each.seconds for each in own]
    left = fmean(seconds) * (num_wanted - num_ended) / workers if seconds else None
    running = _list_running(folder, last, trainings, holder, now or datetime.now(UTC))
    return Confirming(num_ended, num_wanted, left, running)


def _list_running(
    folder: RunFolder, last: Round, trainings: Trainings, holder: Holder, now: datetime
) -> tuple[RunningTraining, ...]:
    placements = {chosen.key: chosen.placement for chosen in last.chosen}
    ended = {(placements[each.key], each.seed) for each in list_own(last, trainings)}
    rows = find_last(read_progress(folder.progress_log)).values()
    return tuple(
        with_epoch(row)
        for row in rows
        if row.trial is None and is_since(row, holder.since) and _runs(row, ended, now)
    )


def _runs(row: LoggedEpoch, ended: Collection[tuple[str, int]], now: datetime) -> bool:
    """Tell whether a training goes on: it is not in the log, and its next epoch is not overdue."""
    patience = timedelta(seconds=max(LEAST_PATIENCE, PATIENCE * row.seconds / row.epoch))
    is_silent = now - datetime.fromisoformat(row.time) > patience
    return not is_silent and (row.placement, row.seed) not in ended
