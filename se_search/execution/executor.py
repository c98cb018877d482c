"""The executor: what trains assignments, several at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from se_search.record import Assignment, Configuration, Effort, EpochRow, Evaluation, Failure

TrainedT = TypeVar("TrainedT", bound=Configuration, contravariant=True)


class Executor(Protocol[TrainedT]):
    """Trains assignments, several at a time; each has a number that no other running one has."""

    def has_room(self) -> bool:
        """Tell whether another assignment can start now."""

    def submit(self, number: int, assignment: Assignment[TrainedT]) -> None:
        """Start an assignment; only while there is room."""

    def wait(self, timeout: float) -> Sequence[tuple[int, Evaluation | Failure | EpochRow]]:
        """Return which assignments have ended, and how far others have come.

        Blocks up to ``timeout`` seconds for the first.
        """

    def wind_down(self, seconds: float) -> None:
        """Have all assignments end within ``seconds``; none is submitted afterwards.

        One that would take longer is broken off, if the executor can: ``wait`` returns it with a
        Failure of ``Fault.STOPPED``. It may be called again, for fewer seconds.
        """

    def forget(self, assignment: Assignment[TrainedT]) -> None:
        """Remove whatever is kept of an assignment that has ended and is not made again."""

    def kill(self) -> dict[int, Effort]:
        """End all running assignments at once; none of them is returned by ``wait``.

        Returns:
            What each one has taken so far, as far as that is known.
        """
