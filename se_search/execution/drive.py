"""Drives trainings: takes assignments from any source, and hands back how each one ended.

Search, confirm, reproduce and the making of tables share this loop, so that a stop signal, a row of
failures and an accuracy that is not finite have one treatment.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

from se_search.errors import TooManyFailuresError
from se_search.execution.executor import Executor
from se_search.record import Assignment, CandidateT, CandidateT_co, Evaluation, Failure, Stop

POLL_SECONDS = 0.5  # how long a stop signal may wait for an answer


class Work(Protocol[CandidateT_co]):
    """Assignments that are to be trained."""

    def begin(self) -> tuple[int, Assignment[CandidateT_co]] | None:
        """Return a number and the next assignment, which then runs; None: none may start now."""

    def end(self, number: int, outcome: Evaluation | Failure) -> None:
        """Take the outcome of a running assignment; the numbers of an Evaluation are finite."""

    def release(self, number: int) -> None:
        """Take back a running assignment that was broken off."""


def drive(
    work: Work[CandidateT],
    executor: Executor[CandidateT],
    *,
    max_failures: int | None,
    stop: Callable[[], Stop] = lambda: Stop.NO,
) -> Stop:
    """Train until nothing runs and nothing may start; return the stop that was asked for, if any.

    Nothing of the executor runs when this function returns or raises.

    Args:
        work: where assignments come from and their outcomes go.
        executor: trains them.
        max_failures: after this many failures in a row no assignment starts. The running ones end;
            if one of them ends well, the row is broken and others may start again. None: any
            number; the work itself decides.
        stop: asked before each start, and at least every half second.

    Raises:
        TooManyFailuresError: ``max_failures`` trainings in a row failed.
    """
    running: set[int] = set()
    reasons: list[str] = []  # of the failures in a row

    def has_failed() -> bool:
        return max_failures is not None and len(reasons) >= max_failures

    try:
        while True:
            if stop() == Stop.NOW:
                executor.kill()
                for number in sorted(running):
                    work.release(number)
                return Stop.NOW
            while not has_failed() and executor.has_room() and stop() == Stop.NO:
                begun = work.begin()
                if begun is None:
                    break
                running.add(begun[0])
                executor.submit(*begun)
            if not running:
                break
            for number, result in executor.wait(POLL_SECONDS):
                running.discard(number)
                outcome = refuse_non_finite(result)
                if isinstance(outcome, Failure):
                    reasons.append(outcome.reason)
                else:
                    reasons.clear()
                work.end(number, outcome)
    finally:
        executor.kill()
    if has_failed():
        raise TooManyFailuresError(
            f"{len(reasons)} trainings in a row failed; the last one: {reasons[-1]}"
        )
    return stop()


def refuse_non_finite(outcome: Evaluation | Failure) -> Evaluation | Failure:
    """Return a Failure for an accuracy or a loss that is infinite or not a number."""
    if isinstance(outcome, Failure):
        return outcome
    # Optuna would take an infinite value as a good one.
    if math.isfinite(outcome.accuracy) and math.isfinite(outcome.loss):
        return outcome
    return Failure(f"accuracy {outcome.accuracy}, loss {outcome.loss}: not finite")
