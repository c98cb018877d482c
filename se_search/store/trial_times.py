"""When the trials of a run began and ended: read quickly, and while a search writes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from se_search.errors import RunError
from se_search.record import TrialState
from se_search.store.places import TrialsPlace, as_place, explaining_errors

BUSY_SECONDS = 5.0  # of a database that is locked by another program

_TIMES = """
    SELECT number, state, datetime_start, datetime_complete FROM trials
    WHERE study_id = (SELECT study_id FROM studies WHERE study_name = :study) AND EXISTS (
        SELECT 1 FROM trial_user_attributes AS attribute
        WHERE attribute.trial_id = trials.trial_id AND attribute.key IN ('record', 'candidate')
    )
    ORDER BY number
"""


@dataclass(frozen=True, slots=True)
class TrialTimes:
    """When a trial began and ended.

    Attributes:
        number: of the trial.
        state: of the trial; see ``TrialRecord``.
        began: when its training began; None: not yet.
        ended: when it ended; None: not yet.
    """

    number: int
    state: TrialState
    began: datetime | None
    ended: datetime | None


def read_times(place: Path | TrialsPlace, busy_seconds: float = BUSY_SECONDS) -> list[TrialTimes]:
    """Return the times of the trials that have been assigned a training, by number.

    Args:
        place: where the run's trials are; a path is one of a SQLite file.
        busy_seconds: how long to wait while another process keeps the file locked.

    Raises:
        RunError: the trials are not there, or stay locked.
    """
    place = as_place(place)
    with explaining_errors(place, "can't be read as the trials of a run"):
        if not place.exists():
            raise RunError(f"{place} is not there: no trials have been stored")
        rows = place.fetch(_TIMES, busy_seconds)
    return [
        TrialTimes(number, state, _parse(began), _parse(ended))
        for number, state, began, ended in rows
    ]


def _parse(time: str | datetime | None) -> datetime | None:
    """Read a time as Optuna stores it: local to the coordinator, without a zone."""
    if time is None:
        return None
    return (datetime.fromisoformat(time) if isinstance(time, str) else time).astimezone()
