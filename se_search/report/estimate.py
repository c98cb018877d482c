"""Says, while a search runs, what all of it will take."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from se_search.record import ENDED_WELL, Effort, Progress, TrialRecord
from se_search.report.format import count, duration, significant

CHANGE = 1.5  # factor by which an estimate must differ from the last one to be said again


class Estimates:
    """Estimates what a search takes by the trials that have ended, failed ones included.

    The first estimate is told when two trials more have ended than train at a time, and another one
    when it differs from the one before by more than a half.

    Args:
        records: trials that the run has already.
        num_workers: trials that train at a time.
        say: takes a sentence.
    """

    def __init__(
        self, records: Iterable[TrialRecord], num_workers: int, say: Callable[[str], None]
    ) -> None:
        self._num_workers = num_workers
        self._say = say
        self._efforts: dict[int, Effort] = {}
        self._told: Effort | None = None
        for record in records:
            self._note(record)

    def update(self, progress: Progress) -> None:
        """Take how far the search has come; say what all of it takes, if that is due."""
        if progress.changed is not None:
            self._note(progress.changed)
        num_known = len(self._efforts)
        num_left = progress.total - progress.completed - progress.failed
        if num_known < self._num_workers + 2 or num_left <= 0:
            return
        spent = sum(self._efforts.values(), Effort())
        whole = Effort(
            wall_seconds=spent.wall_seconds / num_known * progress.total,
            device_seconds=spent.device_seconds / num_known * progress.total,
        )
        if self._told is not None and not _has_changed(self._told, whole):
            return
        self._told = whole
        left = whole.wall_seconds * num_left / progress.total / self._num_workers
        time = duration(whole.wall_seconds / self._num_workers)
        hours = significant(whole.device_seconds / 3600)
        self._say(
            f"By {count(num_known, 'trial')} so far, {count(progress.total, 'trial')} take about "
            f"{time} with {self._num_workers} at a time, and {hours} device-hours; about "
            f"{duration(left)} are left"
        )

    def _note(self, record: TrialRecord) -> None:
        if record.state not in (*ENDED_WELL, "FAIL") or record.attempts is None:
            return
        self._efforts[record.number] = Effort(
            record.attempts, record.wall_seconds or 0.0, record.device_seconds or 0.0
        )


def _has_changed(before: Effort, now: Effort) -> bool:
    pairs = (
        (before.wall_seconds, now.wall_seconds),
        (before.device_seconds, now.device_seconds),
    )
    return any(b > CHANGE * a or a > CHANGE * b for a, b in pairs)
