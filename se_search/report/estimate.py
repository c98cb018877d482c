"""Says what all of a search, or the trainings that a confirmation lacks, will take."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from se_search.record import ENDED_WELL, Effort, Progress, TrialRecord
from se_search.report.format import FEWEST_HOURS, count, duration, significant

CHANGE = 1.5  # factor by which an estimate must differ from the last one to be said again


@dataclass(frozen=True, slots=True)
class Estimate:
    """What trainings take, by those that have ended; ``str`` gives it in a sentence.

    Attributes:
        text: the sentence.
        num_known: trainings that it rests on.
        total: trainings that it is about; for a search with supernets, trainings' worth.
        at_a_time: trainings that are made at a time.
        seconds: wall time of all of them.
        seconds_left: wall time of those that have not ended.
        device_seconds: time of devices of all of them.
    """

    text: str
    num_known: int
    total: int
    at_a_time: int
    seconds: float
    seconds_left: float
    device_seconds: float

    def __str__(self) -> str:
        return self.text

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data, for a program."""
        return {"event": "estimate", **asdict(self)}


class Estimates:
    """Estimates what a search takes by the trials that have ended, failed ones included.

    The first estimate is told when two trials more have ended than train at a time, and another one
    when it differs from the one before by more than a half.

    Args:
        records: trials that the run has already.
        num_workers: trials that train at a time.
        say: takes an estimate.
    """

    def __init__(
        self, records: Iterable[TrialRecord], num_workers: int, say: Callable[[Estimate], None]
    ) -> None:
        self._num_workers = num_workers
        self._say = say
        self._efforts: dict[int, Effort] = {}
        self._told: Estimate | None = None
        for record in records:
            self._note(record)

    def update(self, progress: Progress) -> None:
        """Take how far the search has come; say what all of it takes, if that is due."""
        if progress.changed is not None:
            self._note(progress.changed)
        num_known = len(self._efforts)
        left = progress.total - progress.spent
        if num_known < self._num_workers + 2 or left < 1:
            return
        has_supernets = progress.num_supernets is not None
        what = f"{progress.total:,} trainings' worth" if has_supernets else None
        whole = self._foretell(progress.total, left, what or count(progress.total, "trial"))
        if self._told is not None and not _has_changed(self._told, whole):
            return
        self._told = whole
        self._say(whole)

    def _foretell(self, total: int, left: float, what: str) -> Estimate:
        num_known = len(self._efforts)
        spent = sum(self._efforts.values(), Effort())
        seconds = spent.wall_seconds / num_known * total / self._num_workers
        device_seconds = spent.device_seconds / num_known * total
        seconds_left = seconds * left / total
        text = (
            f"By {count(num_known, 'trial')} so far, {what} take about "
            f"{duration(seconds)} with {self._num_workers} at a time, and "
            f"{device_hours(device_seconds)}; about {duration(seconds_left)} are left"
        )
        known = text, num_known, total, self._num_workers
        return Estimate(*known, seconds, seconds_left, device_seconds)

    def _note(self, record: TrialRecord) -> None:
        if (effort := _find_effort(record)) is not None:
            self._efforts[record.number] = effort


def foretell_trainings(
    records: Iterable[TrialRecord], epochs: int, total: int, at_a_time: int
) -> Estimate | None:
    """Return what further trainings take by a run's trials of equally many epochs.

    Args:
        records: the run's trials.
        epochs: of each training.
        total: how many trainings there are to be.
        at_a_time: how many are made at a time.

    Returns:
        None: no such trial has ended.
    """
    efforts = [_find_effort(record) for record in records if record.epochs == epochs]
    known = [effort for effort in efforts if effort is not None]
    if not known or not total:
        return None
    spent = sum(known, Effort())
    seconds = spent.wall_seconds / len(known) * total / at_a_time
    device_seconds = spent.device_seconds / len(known) * total
    text = (
        f"By {count(len(known), 'trial')} of the search, {count(total, 'training')} take about "
        f"{duration(seconds)} with {at_a_time} at a time, and {device_hours(device_seconds)}"
    )
    return Estimate(text, len(known), total, at_a_time, seconds, seconds, device_seconds)


def device_hours(seconds: float) -> str:
    """Write time of devices: ``2.5 device-hours``; below six minutes ``24 device-seconds``."""
    if seconds < 3600 * FEWEST_HOURS:
        return f"{significant(seconds)} device-seconds"
    return f"{significant(seconds / 3600)} device-hours"


def _find_effort(record: TrialRecord) -> Effort | None:
    """Return what a trial has taken; None: it has not ended, or that is not recorded."""
    if record.state not in (*ENDED_WELL, "FAIL") or record.attempts is None:
        return None
    return Effort(record.attempts, record.wall_seconds or 0.0, record.device_seconds or 0.0)


def _has_changed(before: Estimate, now: Estimate) -> bool:
    pairs = ((before.seconds, now.seconds), (before.device_seconds, now.device_seconds))
    return any(b > CHANGE * a or a > CHANGE * b for a, b in pairs)
