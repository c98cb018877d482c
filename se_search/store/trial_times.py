"""When the trials of a run began and ended: read quickly, and while a search writes."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from se_search.errors import RunError
from se_search.record import TrialState
from se_search.store.database import connect_for_reading, explaining_errors

BUSY_SECONDS = 5.0  # of a database that is locked by another program

_TIMES = """
    SELECT number, state, datetime_start, datetime_complete FROM trials
    WHERE EXISTS (
        SELECT 1 FROM trial_user_attributes AS attribute
        WHERE attribute.trial_id = trials.trial_id AND attribute.key = 'candidate'
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


def read_times(path: Path, busy_seconds: float = BUSY_SECONDS) -> list[TrialTimes]:
    """Return the times of the trials that have been assigned a training, by number.

    Args:
        path: the run's SQLite file.
        busy_seconds: how long to wait while another process keeps the file locked.

    Raises:
        RunError: the file is not there, stays locked, or holds no trials.
    """
    if not path.is_file():
        raise RunError(f"{path} is not there: no trials have been stored")
    with (
        explaining_errors(path, "can't be read as the trials of a run"),
        closing(connect_for_reading(path, busy_seconds)) as connection,
    ):
        rows = connection.execute(_TIMES).fetchall()
    return [
        TrialTimes(number, state, _parse(began), _parse(ended))
        for number, state, began, ended in rows
    ]


def _parse(text: str | None) -> datetime | None:
    """Read a time as Optuna stores it: local, without a zone."""
    return None if text is None else datetime.fromisoformat(text).astimezone()
