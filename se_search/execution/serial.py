"""Evaluates in this process, one assignment after the other: for tests, tables and debuggers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic

from se_search.errors import DivergedError
from se_search.record import Assignment, CandidateT, Effort, Evaluation, Failure


class SerialExecutor(Generic[CandidateT]):
    """Evaluates the oldest assignment in each ``wait``.

    A DivergedError of an evaluation is a failed training; any other exception is raised.

    Args:
        evaluate: trains an assignment, or looks its result up.
        num_workers: number of assignments that may wait at once, as if each had its process.
    """

    def __init__(
        self, evaluate: Callable[[Assignment[CandidateT]], Evaluation], num_workers: int = 1
    ) -> None:
        self._evaluate = evaluate
        self._num_workers = num_workers
        self._queue: deque[tuple[int, Assignment[CandidateT]]] = deque()

    def has_room(self) -> bool:
        """Tell whether another assignment may be handed in."""
        return len(self._queue) < self._num_workers

    def submit(self, number: int, assignment: Assignment[CandidateT]) -> None:
        """Queue an assignment."""
        self._queue.append((number, assignment))

    def wait(self, timeout: float) -> list[tuple[int, Evaluation | Failure]]:
        """Evaluate the oldest assignment and return its result; empty if none waits."""
        if not self._queue:
            return []
        number, assignment = self._queue.popleft()
        try:
            return [(number, self._evaluate(assignment))]
        except DivergedError as error:
            return [(number, Failure(str(error)))]

    def wind_down(self, seconds: float) -> None:
        """Do nothing: an evaluation in this process can't be broken off."""

    def forget(self, assignment: Assignment[CandidateT]) -> None:
        """Do nothing: nothing is kept."""

    def kill(self) -> dict[int, Effort]:
        """Forget the queued assignments, which have taken nothing."""
        self._queue.clear()
        return {}
