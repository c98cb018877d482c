"""Drives trainings: takes assignments from any source, and hands back how each one ended.

Search, confirm, reproduce and the making of tables share this loop, so that a stop signal, a row of
failures and an accuracy that is not finite have one treatment.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Generic, Protocol

from se_search.errors import (
    InfrastructureError,
    MemoryLackingError,
    SESearchError,
    StorageError,
    TooManyFailuresError,
)
from se_search.execution.executor import Executor
from se_search.execution.signals import STOP_SECONDS
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
MOST_CRASHED = 3  # trainings that crashed each time; with them in doubt no other one starts


class Work(Protocol[CandidateT_co]):
    """Assignments that are to be trained."""

    def begin(self) -> tuple[int, Assignment[CandidateT_co]] | None:
        """Return a number and the next assignment, which then runs; None: none may start now."""

    def advance(self, number: int, row: EpochRow) -> None:
        """Take how far a running assignment has come."""

    def end(self, number: int, outcome: Evaluation | Failure) -> None:
        """Take the outcome of a running assignment; the numbers of an Evaluation are finite."""

    def has_results(self) -> bool:
        """Tell whether any assignment has ended well, those of earlier commands too."""

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
    are taken back, too. After a stop no assignment starts, and the executor is told in how many
    seconds those that run shall have ended. Nothing of the executor runs when this function returns
    or raises.

    A training that crashed in native code each time is its candidate's own fault once another one
    has ended well. Where none is left that could, it is so if earlier commands had results and no
    other training crashed; else the machine is at fault.

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
    driven = _Driven(work, executor, storing, max_failures)
    told = Stop.NO  # to the executor
    try:
        while True:
            urgency = stop()
            if urgency == Stop.NOW:
                driven.break_off()
                storing.give_up()
                return Stop.NOW
            if urgency > told:
                executor.wind_down(STOP_SECONDS[urgency])
                told = urgency
            while driven.may_begin() and executor.has_room() and stop() == Stop.NO:
                if not driven.begin():
                    break
            if driven.running:
                storing.try_again()
                driven.collect()
            elif stop() != Stop.NO or not (storing.wait() or driven.blame_the_only_crash()):
                break
    finally:
        executor.kill()
    driven.release_crashed()
    num_lost = storing.give_up()
    if storing.error is not None:
        raise _make_storage_error(storing.error, num_lost) from storing.error
    if driven.blameless and stop() == Stop.NO:
        raise _make_error(driven.blameless[0])
    if driven.has_failed():
        raise TooManyFailuresError(
            f"{len(driven.reasons)} trainings in a row failed; the last one: {driven.reasons[-1]}"
        )
    return stop()


class _Driven(Generic[CandidateT]):
    """What ``drive`` knows of the assignments that it has begun.

    Attributes:
        running: by number.
        crashed: those that crashed each time, and by whose fault is not known yet.
        blameless: failures of no fault of their candidates.
        reasons: of the failures in a row.
    """

    def __init__(
        self,
        work: Work[CandidateT],
        executor: Executor[CandidateT],
        storing: Storing,
        max_failures: int | None,
    ) -> None:
        self._work = work
        self._executor = executor
        self._storing = storing
        self._max_failures = max_failures
        self._any_ended_well = False
        self.running: dict[int, Assignment[CandidateT]] = {}
        self.crashed: dict[int, tuple[Assignment[CandidateT], Failure]] = {}
        self.blameless: list[Failure] = []
        self.reasons: list[str] = []

    def has_failed(self) -> bool:
        return self._max_failures is not None and len(self.reasons) >= self._max_failures

    def may_begin(self) -> bool:
        is_stuck = self._storing.error is not None or len(self.crashed) >= MOST_CRASHED
        return not (is_stuck or self.blameless or self.has_failed())

    def begin(self) -> bool:
        """Begin the next assignment; tell whether there was one."""
        try:
            begun = self._work.begin()
        except StorageError as error:
            self._storing.stop(error)
            return False
        if begun is None:
            return False
        self.running[begun[0]] = begun[1]
        self._executor.submit(*begun)
        return True

    def collect(self) -> None:
        """Take what has ended, and how far others have come, after half a second at most."""
        for number, result in self._executor.wait(POLL_SECONDS):
            if isinstance(result, EpochRow):
                _advance(self._work, number, result, self._storing)
                continue
            assignment, outcome = self.running.pop(number), refuse_non_finite(result)
            if isinstance(outcome, Evaluation):
                self._any_ended_well = True
                self.reasons.clear()
                self._storing.end(number, outcome)
            elif outcome.fault == Fault.CANDIDATE:
                self._fail(number, assignment, outcome)
            elif outcome.fault == Fault.CRASH:
                self.crashed[number] = assignment, outcome
            else:
                if outcome.fault != Fault.STOPPED:
                    self.blameless.append(outcome)
                self._storing.release(number, outcome.effort)
        if self._any_ended_well:
            self._blame_crashed()

    def blame_the_only_crash(self) -> bool:
        """Blame the one candidate that crashed, if others had results; tell whether that is so."""
        is_own = len(self.crashed) == 1 and not self.blameless and self._work.has_results()
        if is_own:
            self._blame_crashed()
        return is_own

    def release_crashed(self) -> None:
        """Take back what crashed by a fault of the machine, as far as is known."""
        for number, (_, failure) in self.crashed.items():
            self.blameless.append(failure)
            self._storing.release(number, failure.effort)
        self.crashed.clear()

    def break_off(self) -> None:
        """Kill and take back all that runs."""
        efforts = self._executor.kill()
        for number in sorted(self.running):
            self._storing.release(number, efforts.get(number))
        self.running.clear()
        self.release_crashed()

    def _blame_crashed(self) -> None:
        for number, (assignment, failure) in self.crashed.items():
            self._fail(number, assignment, replace(failure, fault=Fault.CANDIDATE))
        self.crashed.clear()

    def _fail(self, number: int, assignment: Assignment[CandidateT], failure: Failure) -> None:
        self._executor.forget(assignment)
        self.reasons.append(failure.reason)
        self._storing.end(number, failure)


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
