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

    def kill(self) -> dict[int, Effort]:
        """End all running assignments at once; none of them is returned by ``wait``.

        Returns:
            What each one has taken so far, as far as that is known.
        """
