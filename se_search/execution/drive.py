"""Drives trainings: takes assignments from any source, and hands back how each one ended.

Search, confirm, reproduce and the making of tables share this loop, so that a stop signal, a row of
failures and an accuracy that is not finite have one treatment.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

from se_search.errors import (
    InfrastructureError,
    MemoryLackingError,
    SESearchError,
    StorageError,
    TooManyFailuresError,
)
from se_search.execution.executor import Executor
from se_search.execution.storing import Room, Storing
from se_search.record import (
    Assignment,
    CandidateT,
    CandidateT_co,
    Effort,
    EpochRow,
    Evaluation,
    Failure,
    Fault,
    Stop,
)

POLL_SECONDS = 0.5  # how long a stop signal may wait for an answer


class Work(Protocol[CandidateT_co]):
    """Assignments that are to be trained."""

    def begin(self) -> tuple[int, Assignment[CandidateT_co]] | None:
        """Return a number and the next assignment, which then runs; None: none may start now."""

    def advance(self, number: int, row: EpochRow) -> None:
        """Take how far a running assignment has come."""

    def end(self, number: int, outcome: Evaluation | Failure) -> None:
        """Take the outcome of a running assignment; the numbers of an Evaluation are finite."""

    def release(self, number: int, effort: Effort | None) -> None:
        """Take back a running assignment that was broken off, with what it has taken, if known."""


def drive(
    work: Work[CandidateT],
    executor: Executor[CandidateT],
    *,
    max_failures: int | None,
    stop: Callable[[], Stop] = lambda: Stop.NO,
    room: Room = Room(),  # noqa: B008  # frozen
) -> Stop:
    """Train until nothing runs and nothing may start; return the stop that was asked for, if any.

    Only a failure that is the candidate's own fault is an outcome of its assignment. After any
    other failure the assignment is taken back as if it had been broken off, no other one starts,
    and the running ones end. So it is after a StorageError of the work: outcomes that can't be
    stored are kept, and tried again until the room's patience has passed; then their assignments
    are taken back, too. Nothing of the executor runs when this function returns or raises.

    Args:
        work: where assignments come from and their outcomes go. It may raise a StorageError, after
            which ``end`` is called again for an outcome.
        executor: trains them.
        max_failures: after this many failures in a row no assignment starts. The running ones end;
            if one of them ends well, the row is broken and others may start again. None: any
            number; the work itself decides.
        stop: asked before each start, and at least every half second.
        room: what is done when outcomes can't be stored.

    Raises:
        TooManyFailuresError: ``max_failures`` trainings in a row failed.
        MemoryLackingError: a training lacked memory.
        InfrastructureError: a training failed by a fault of the machine, or the work could not
            store something.
    """
    storing = Storing(work.end, work.release, room)
    running: set[int] = set()
    blameless: list[Failure] = []  # of no fault of their candidates
    reasons: list[str] = []  # of the failures in a row

    def has_failed() -> bool:
        return max_failures is not None and len(reasons) >= max_failures

    try:
        while True:
            if stop() == Stop.NOW:
                efforts = executor.kill()
                for number in sorted(running):
                    storing.release(number, efforts.get(number))
                storing.give_up()
                return Stop.NOW
            while not blameless and not has_failed() and executor.has_room():
                if stop() != Stop.NO or storing.error is not None:
                    break
                try:
                    begun = work.begin()
                except StorageError as error:
                    storing.stop(error)
                    break
                if begun is None:
                    break
                running.add(begun[0])
                executor.submit(*begun)
            if not running:
                if stop() == Stop.NO and storing.wait():
                    continue
                break
            storing.try_again()
            for number, result in executor.wait(POLL_SECONDS):
                if isinstance(result, EpochRow):
                    _advance(work, number, result, storing)
                    continue
                running.discard(number)
                outcome = refuse_non_finite(result)
                if isinstance(outcome, Failure) and outcome.fault != Fault.CANDIDATE:
                    blameless.append(outcome)
                    storing.release(number, outcome.effort)
                    continue
                if isinstance(outcome, Failure):
                    reasons.append(outcome.reason)
                else:
                    reasons.clear()
                storing.end(number, outcome)
    finally:
        executor.kill()
    num_lost = storing.give_up()
    if storing.error is not None:
        raise _make_storage_error(storing.error, num_lost) from storing.error
    if blameless and stop() == Stop.NO:
        raise _make_error(blameless[0])
    if has_failed():
        raise TooManyFailuresError(
            f"{len(reasons)} trainings in a row failed; the last one: {reasons[-1]}"
        )
    return stop()


def _make_error(failure: Failure) -> SESearchError:
    """Return what ends a command whose training failed by no fault of its candidate."""
    if failure.fault == Fault.RESOURCE:
        remedy = failure.remedy or (
            "A recipe with a micro_batch needs less; it is another run, for it trains every "
            "candidate otherwise"
        )
        return MemoryLackingError(
            f"a training does not fit into memory: {failure.reason}. No candidate is judged by it: "
            f"the training is made when there is room. {remedy}"
        )
    return InfrastructureError(
        f"a training failed by a fault of the machine: {failure.reason}. No candidate is judged by "
        "it: once the cause is removed, the same command goes on, and makes the training again"
    )


def _advance(work: Work[CandidateT], number: int, row: EpochRow, storing: Storing) -> None:
    try:
        work.advance(number, row)
    except StorageError as error:  # of the output, whose disk is full
        storing.stop(error)


def _make_storage_error(error: StorageError, num_lost: int) -> InfrastructureError:
    """Return what ends a command that could not store everything."""
    ended = (
        "all trainings that have ended are stored"
        if not num_lost
        else f"{num_lost} of the trainings that have ended could not be stored and are made again"
    )
    return InfrastructureError(
        f"{error}. No candidate is judged by it, and {ended}: once the cause is removed, the same "
        "command goes on"
    )


def refuse_non_finite(outcome: Evaluation | Failure) -> Evaluation | Failure:
    """Return a Failure for an accuracy or a loss that is infinite or not a number."""
    if isinstance(outcome, Failure):
        return outcome
    # Optuna would take an infinite value as a good one.
    if math.isfinite(outcome.accuracy) and math.isfinite(outcome.loss):
        return outcome
    return Failure(f"accuracy {outcome.accuracy}, loss {outcome.loss}: not finite")
