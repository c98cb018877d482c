"""The time after which a command starts no training any more."""

from __future__ import annotations

import math
import time
from collections.abc import Callable


class Deadline:
    """A point in time that lies a number of minutes ahead.

    Args:
        minutes: how far ahead it lies; None: it never passes.
        clock: gives the time in seconds.
    """

    def __init__(self, minutes: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = math.inf if minutes is None else clock() + 60 * minutes

    @property
    def has_passed(self) -> bool:
        """Whether the time is up."""
        return self._clock() >= self._end
