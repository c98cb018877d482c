"""Workers whose trainings take a made-up time, on a clock that is simulated."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Generic

from se_search.errors import DivergedError
from se_search.record import Assignment, CandidateT, Evaluation, Failure
from se_search.seeds import derive_seed

SLOW_SHARE, SLOW_FACTOR, SPREAD = 0.1, 3.0, 3.0


def draw_duration(seed: int, number: int) -> float:
    """Return how long the training of a trial takes, with a shortest one of 1.

    Durations vary threefold, evenly on a logarithmic scale, and one training in ten takes three
    times as long as that.
    """
    shares = [derive_seed(seed, kind, number) % 2**32 / 2**32 for kind in ("spread", "slow")]
    slow = SLOW_FACTOR if shares[1] < SLOW_SHARE else 1.0
    return float(SPREAD ** shares[0] * slow)


def simulate_busy_share(num_workers: int, lag: int, num_trials: int, seed: int) -> float:
    """Return the share of the workers' time in which they train, until the last training starts.

    A trial starts when a worker is free and the trials up to the lag have ended; that is all that
    is simulated of a search.
    """
    free = [0.0] * num_workers
    starts: list[float] = []
    ends: list[float] = []
    known = 0.0
    for number in range(num_trials):
        if number >= lag:
            known = max(known, ends[number - lag])
        starts.append(max(free[0], known))
        ends.append(starts[-1] + draw_duration(seed, number))
        heapq.heapreplace(free, ends[-1])
    last = max(starts)
    busy = sum(min(end, last) - start for start, end in zip(starts, ends, strict=True))
    return busy / (last * num_workers)


class SimulatedWorkers(Generic[CandidateT]):
    """An executor whose trainings end in the order of a simulated clock.

    A DivergedError of an evaluation is a failed training.

    Args:
        evaluate: looks the result of an assignment up.
        duration: returns how long the training of a trial takes, by the trial's number.
        num_workers: number of trainings at a time.

    Attributes:
        now: what the clock says.
    """

    def __init__(
        self,
        evaluate: Callable[[Assignment[CandidateT]], Evaluation],
        duration: Callable[[int], float],
        num_workers: int,
    ) -> None:
        self._evaluate = evaluate
        self._duration = duration
        self._num_workers = num_workers
        self._running: list[tuple[float, int, Assignment[CandidateT]]] = []
        self._spans: list[tuple[float, float]] = []
        self.now = 0.0

    def has_room(self) -> bool:
        """Tell whether a worker is free."""
        return len(self._running) < self._num_workers

    def submit(self, number: int, assignment: Assignment[CandidateT]) -> None:
        """Start an assignment."""
        end = self.now + self._duration(number)
        heapq.heappush(self._running, (end, number, assignment))
        self._spans.append((self.now, end))

    def wait(self, timeout: float) -> list[tuple[int, Evaluation | Failure]]:
        """Move the clock to the end of the next training, and return its result."""
        if not self._running:
            return []
        self.now, number, assignment = heapq.heappop(self._running)
        try:
            return [(number, self._evaluate(assignment))]
        except DivergedError as error:
            return [(number, Failure(str(error)))]

    def wind_down(self, seconds: float) -> None:
        """Do nothing: the clock is simulated."""

    def forget(self, assignment: Assignment[CandidateT]) -> None:
        """Do nothing: nothing is kept."""

    def kill(self) -> None:
        """Forget the running assignments."""
        self._running.clear()

    @property
    def busy_share(self) -> float:
        """The share of the workers' time in which they train, until the last training starts.

        After that a search of whatever kind has nothing for workers that become free.
        """
        last = max(start for start, _ in self._spans)
        busy = sum(min(end, last) - start for start, end in self._spans)
        return busy / (last * self._num_workers) if last else 1.0
