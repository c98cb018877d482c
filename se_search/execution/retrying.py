"""Trains assignments on places, and tries again what fails by no fault of its candidate.

Whoever asked for a training learns only how it ended. How one is begun on a place, in a process of
this machine or on a node of a cluster, is the launcher's business.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, NamedTuple

from se_search.candidate import Candidate
from se_search.execution.attempts import Launcher, PlaceT, Pool, StartedT
from se_search.execution.child import GoesOn
from se_search.execution.faults import explain_time
from se_search.execution.memory import advise_micro_batch
from se_search.record import Assignment, Effort, EpochRow, Evaluation, Failure, Fault

# Seconds before a training that failed by a fault of the machine is tried again, each time.
PAUSES = (1.0, 30.0)

# Share of the time in which trainings shall have ended by which they plan to: an estimate may err.
PLANNED_SHARE = 0.8


class RetryingExecutor(Generic[PlaceT, StartedT]):
    """Trains each assignment on a place of its own.

    A training that fails by a fault of the machine is tried again after each pause, on another
    device if there is one; one that lacks memory is tried again once, alone on its device; and one
    that hangs once.

    Args:
        launcher: begins trainings.
        pool: the places that they run on.
        timeout: seconds after which a training is killed, a first attempt that hung counted in; one
            that takes no step for a quarter of them hangs. None: never.
        note: told of each training that is tried again, and of each device that is put aside.
        pauses: seconds before each further attempt after a fault of the machine.
        images: that are trained at a time; None: not known, and so there is no advice on memory.
    """

    def __init__(
        self,
        launcher: Launcher[PlaceT, StartedT],
        pool: Pool[PlaceT],
        timeout: float | None = None,
        note: Callable[[str], None] = lambda _: None,
        pauses: Sequence[float] = PAUSES,
        images: int | None = None,
    ) -> None:
        self._launcher = launcher
        self._pool = pool
        self._timeout = timeout
        self._note = note
        self._pauses = pauses
        self._images = images
        self._peak: int | None = None  # bytes of the largest training that has ended well
        self._end: float | None = None  # when all shall have ended, by time.monotonic
        self._failed: dict[str, float] = {}  # when a device last did, by time.monotonic
        self._running: dict[int, _Running[PlaceT, StartedT]] = {}
        self._waiting: dict[int, _Job] = {}  # for a place, or to be tried again

    def has_room(self) -> bool:
        """Tell whether a place is free that no training waits for.

        One that waits for another device than those it failed on leaves those to others. One
        training may wait for a place where there is none, as when a cluster has lost its nodes.
        """
        num_waiting = sum(
            job.reserved is None and self._pool.count_free(job.failed_on) > 0
            for job in self._waiting.values()
        )
        is_idle = not self._running and not self._waiting
        return is_idle or self._pool.count_free() > num_waiting

    def submit(self, number: int, assignment: Assignment[Candidate]) -> None:
        """Start an assignment on a free place, or as soon as there is one."""
        place = self._pool.take()
        if place is None:
            self._waiting[number] = _Job(assignment)
        else:
            self._start(number, _Job(assignment), place)

    def wait(self, timeout: float) -> list[tuple[int, Evaluation | Failure | EpochRow]]:
        """Return the trainings that have ended, and how far others have come.

        Blocks up to ``timeout`` seconds for the first. A training that is tried again has not
        ended.
        """
        ended: list[tuple[int, Evaluation | Failure | EpochRow]] = [*self._give_up_waiting()]
        self._start_waiting()
        self._launcher.wait([each.attempt for each in self._running.values()], timeout)
        for number, running in list(self._running.items()):
            rows, outcome = self._collect(running)
            ended += [(number, row) for row in rows]
            if outcome is None:
                continue
            del self._running[number]
            self._free(running)
            final = self._settle(running, outcome)
            if final is None:
                self._waiting[number] = running.job
            else:
                ended.append((number, replace(final, effort=running.job.effort)))
        self._start_waiting()
        return ended

    def wind_down(self, seconds: float) -> None:
        """Ask all trainings to end within some seconds, and end those that do not.

        What fails meanwhile, or waits to be tried again, is broken off: ``wait`` says so.
        """
        now = time.monotonic()
        self._end = now + seconds
        for running in self._running.values():
            running.attempt.ask_to_end(now + PLANNED_SHARE * seconds)

    def forget(self, assignment: Assignment[Candidate]) -> None:
        """Remove the states of a training that nobody will go on with."""
        self._launcher.forget(assignment)

    def kill(self) -> dict[int, Effort]:
        """Kill all trainings, and forget what waits to be tried again."""
        self._launcher.kill([running.attempt for running in self._running.values()])
        for running in self._running.values():
            self._free(running)
        jobs = {number: running.job for number, running in self._running.items()} | self._waiting
        for job in jobs.values():
            self._end_reservation(job)
        self._running.clear()
        self._waiting.clear()
        return {number: job.effort for number, job in jobs.items()}

    def _start(self, number: int, job: _Job, place: PlaceT) -> None:
        attempt = self._launcher.launch(number, job.assignment, place)
        self._running[number] = _Running(job, attempt, place, self._pool.share(place))

    def _free(self, running: _Running[PlaceT, StartedT]) -> None:
        """Give back the place of an attempt that has ended, and note what it took."""
        seconds = time.monotonic() - running.attempt.started
        is_alone = running.job.reserved is not None
        share = max(1.0, running.share) if is_alone else running.share
        running.job.effort += Effort(1, seconds, seconds * share)
        self._pool.give_back(running.place)

    def _give_up_waiting(self) -> list[tuple[int, Failure]]:
        """Take back what waits to be tried again, if all is to end."""
        if self._end is None:
            return []
        jobs = dict(self._waiting)
        self._waiting.clear()
        for job in jobs.values():
            self._end_reservation(job)
        return [
            (number, Failure("it was to be tried again", Fault.STOPPED, job.effort))
            for number, job in jobs.items()
        ]

    def _start_waiting(self) -> None:
        for number, job in list(self._waiting.items()):
            if time.monotonic() < job.not_before:
                continue
            if job.reserved is not None and self._pool.is_aside(job.reserved):
                self._end_reservation(job)
            if job.reserved is None:
                place = self._pool.take(avoided=job.failed_on)
            else:
                place = self._pool.take_alone(job.reserved)
            if place is not None:
                del self._waiting[number]
                self._start(number, job, place)

    def _collect(
        self, running: _Running[PlaceT, StartedT]
    ) -> tuple[list[EpochRow], Evaluation | Failure | None]:
        """Return the epochs that have ended, and the outcome, None while the training goes on."""
        rows: list[EpochRow] = []
        while running.attempt.has_message():
            outcome = running.attempt.receive()
            if isinstance(outcome, EpochRow):
                rows.append(outcome)
            elif isinstance(outcome, GoesOn):
                continue
            elif isinstance(outcome, Evaluation | Failure):
                return rows, outcome
            else:
                return rows, Failure(f"the training handed back {type(outcome).__name__}")
        return rows, self._end_late(running)

    def _end_late(self, running: _Running[PlaceT, StartedT]) -> Failure | None:
        """Kill a training that takes too long, and say so; None: it may go on."""
        attempt, job = running.attempt, running.job
        now = time.monotonic()
        if self._end is not None and now > self._end:
            self._launcher.kill([attempt])
            reason = "broken off; the same command goes on from its last state, or makes it again"
            return Failure(reason, Fault.STOPPED)
        if self._timeout is None:
            return None
        ran, idle = now - attempt.started, now - attempt.went_on
        failure = explain_time(ran, idle, job.hung_seconds, self._timeout)
        if failure is not None:
            self._launcher.kill([attempt])
            if failure.fault == Fault.INFRASTRUCTURE:
                job.hung_seconds = ran
        return failure

    def _settle(
        self, running: _Running[PlaceT, StartedT], outcome: Evaluation | Failure
    ) -> Evaluation | Failure | None:
        """Return how a training ended; None: it is to be tried again, as its job says now."""
        job, name = running.job, running.place.name
        was_alone = job.reserved is not None
        self._end_reservation(job)
        if isinstance(outcome, Evaluation):
            self._note_peak(outcome)
        if isinstance(outcome, Evaluation) or outcome.fault == Fault.CANDIDATE:
            # A device on which a training hung by its own fault works, too.
            for working in (name, *(job.failed_on if job.hung_seconds else ())):
                self._pool.note_success(working)
            return outcome
        if self._end is not None:
            self._note(f"{job}: {outcome.reason}")
            return replace(outcome, fault=Fault.STOPPED)
        if outcome.fault == Fault.RESOURCE:
            if was_alone:
                return self._advise(job, outcome, name)
            job.reserved = name
            self._pool.reserve(name)
            self._note(f"{job}: {outcome.reason}. It is tried again alone on {name}")
            return None
        return self._try_again(job, name, outcome, running.attempt.started)

    def _try_again(self, job: _Job, name: str, outcome: Failure, started: float) -> Failure | None:
        """Return the failure of the last attempt; None: there is another one."""
        job.failed_on.append(name)
        job.has_crashed_only &= outcome.fault == Fault.CRASH
        # What fails with it side by side may fail by it, and so counts with it as one.
        is_new = started >= self._failed.get(name, -math.inf)
        if is_new:
            self._failed[name] = time.monotonic()
        if is_new and self._pool.note_failure(name):
            self._note(f"{name} is put aside: trainings in a row failed on it, no fault of theirs")
        num_failures = len(job.failed_on)
        if num_failures > len(self._pauses):
            if job.has_crashed_only:  # and so the devices may be as good as any
                self._pool.readmit(job.failed_on)
            reason = f"{job}: {outcome.reason} ({_describe(job.failed_on)})"
            fault = Fault.CRASH if job.has_crashed_only else Fault.INFRASTRUCTURE
            return replace(outcome, reason=reason, fault=fault)
        is_last = num_failures == len(self._pauses)
        if is_last and job.has_crashed_only and not self._pool.has_others(job.failed_on):
            job.reserved = name
            self._pool.reserve(name)
        job.not_before = time.monotonic() + self._pauses[num_failures - 1]
        self._note(f"{job}: {outcome.reason}. It is tried again")
        return None

    def _advise(self, job: _Job, failure: Failure, device: str) -> Failure:
        """Return the failure of a training that lacked memory alone on a device."""
        reason = f"{job}: {failure.reason} (also alone on {device})"
        if self._images is None:
            return replace(failure, reason=reason)
        remedy = advise_micro_batch(failure.reason, self._images, self._peak)
        return replace(failure, reason=reason, remedy=remedy)

    def _note_peak(self, evaluation: Evaluation) -> None:
        peak = evaluation.ran_on.peak_memory if evaluation.ran_on is not None else None
        if peak is not None:
            self._peak = max(peak, self._peak or 0)

    def _end_reservation(self, job: _Job) -> None:
        if job.reserved is not None:
            self._pool.end_reservation(job.reserved)
            job.reserved = None


@dataclass(slots=True)
class _Job:
    """An assignment with what has befallen it.

    Attributes:
        failed_on: the device of each attempt that failed by a fault of the machine.
        not_before: when it may be tried again, by ``time.monotonic``.
        reserved: name of the device that it has, or waits to have, to itself.
        has_crashed_only: whether all of these attempts crashed in native code.
        hung_seconds: how long an attempt took that hung; 0: none did.
        effort: what its attempts that have ended took.
    """

    assignment: Assignment[Candidate]
    failed_on: list[str] = field(default_factory=list)
    not_before: float = 0.0
    reserved: str | None = None
    has_crashed_only: bool = True
    hung_seconds: float = 0.0
    effort: Effort = field(default_factory=Effort)

    def __str__(self) -> str:
        return f"{self.assignment.candidate.placement} (replicate {self.assignment.seed:,})"


class _Running(NamedTuple, Generic[PlaceT, StartedT]):
    job: _Job
    attempt: StartedT
    place: PlaceT
    share: float  # of the device: what it was when the attempt began, for its machine may leave


def _describe(failed_on: Sequence[str]) -> str:
    return f"tried {len(failed_on)} times, on {', '.join(dict.fromkeys(failed_on))}"
