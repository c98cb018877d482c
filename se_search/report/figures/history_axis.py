"""The axis of a run's history: the number of trainings, or their wall time added up."""

from __future__ import annotations

from typing import Literal

from se_search.surrogate.history import History

Against = Literal["trainings", "time"]
# Units of time: the least seconds that are told in one, its own seconds, and its name.
UNITS = ((3600 * 2, 3600, "hours"), (60 * 3, 60, "minutes"), (0, 1, "seconds"))


def has_times(history: History) -> bool:
    """Tell whether it is known how long the trainings took."""
    return all(point.seconds is not None for point in history.points)


def measure(history: History, against: Against) -> tuple[list[float], str]:
    """Return the positions of the points, and the name of their axis with its unit."""
    if against == "trainings":
        return [float(point.num_trainings) for point in history.points], "trainings"
    seconds = [point.seconds or 0.0 for point in history.points]
    unit, name = next((u, n) for least, u, n in UNITS if max(seconds) >= least)
    return [each / unit for each in seconds], f"time of trainings, added up ({name})"
