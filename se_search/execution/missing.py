"""Trains the assignments of a list that a log of trainings does not have yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from se_search.candidate import Candidate
from se_search.execution.drive import drive
from se_search.execution.executor import Executor
from se_search.execution.storing import Room
from se_search.record import Assignment, Effort, EpochRow, Evaluation, Failure, Stop
from se_search.store.training_log import Training, TrainingId, TrainingLog

MAX_FAILURES = 3  # in a row

Advance = Callable[[Assignment[Candidate], EpochRow], None]


@dataclass(frozen=True, slots=True)
class EndedTraining:
    """A training that has ended; a failed one has a reason, and neither accuracy nor seconds.

    Attributes:
        done: how many of the ``total`` trainings of the list are in the log now.
        total: how many trainings the list has.
        candidate: its text form.
        placement: where it carries SE, for people.
        seed: of the replicate.
        accuracy: share of the validation images that are right, 0..1.
        seconds: wall time.
        reason: why it failed.
    """

    done: int
    total: int
    candidate: str
    placement: str
    epochs: int
    seed: int
    accuracy: float | None = None
    seconds: float | None = None
    reason: str | None = None

    def __str__(self) -> str:
        head = f"{self.done} of {self.total}: {_name(self.placement, self.seed)}"
        if self.accuracy is None or self.seconds is None:
            return f"{head} failed: {self.reason}"
        return f"{head} {100 * self.accuracy:.2f} % in {self.seconds:.1f} s"


def list_assignments(
    candidates: Sequence[Candidate], seeds: Sequence[int], epochs: int
) -> list[Assignment[Candidate]]:
    """Return the assignments in order: all candidates in one replicate, then in the next."""
    return [Assignment(candidate, seed, epochs) for seed in seeds for candidate in candidates]


def id_of(assignment: Assignment[Candidate]) -> TrainingId:
    """Return the identity under which a log keeps the training of an assignment."""
    return assignment.candidate.key, assignment.epochs, assignment.seed


def name_training(assignment: Assignment[Candidate]) -> str:
    """Return a training's name for people: placement and replicate."""
    return _name(assignment.candidate.placement, assignment.seed)


def _name(placement: str, seed: int) -> str:
    return f"{placement} (replicate {seed:,})"


def train_missing(
    assignments: Sequence[Assignment[Candidate]],
    log: TrainingLog,
    executor: Executor[Candidate],
    *,
    stop: Callable[[], Stop] = lambda: Stop.NO,
    observe: Callable[[EndedTraining], None] = lambda _: None,
    advance: Advance = lambda *_: None,
    room: Room = Room(),  # noqa: B008  # frozen
) -> None:
    """Train the assignments that the log does not have, in order, until all are done or a stop.

    Failed trainings are not in the log: the next call makes them again.

    Args:
        assignments: the whole list.
        log: entered; takes each training as it ends.
        executor: trains, and evaluates the test images.
        stop: asked before each start, and at least every half second.
        observe: told of each training that ends.
        advance: told of each epoch that ends.
        room: what is done when the log can't be written.

    Raises:
        TooManyFailuresError: three trainings in a row failed.
        InfrastructureError: a fault of the machine, as a full disk.
    """
    work = _MissingTrainings(assignments, log, observe, advance)
    drive(work, executor, max_failures=MAX_FAILURES, stop=stop, room=room)


class _MissingTrainings:
    """The assignments that a log does not have, as work for ``drive``."""

    def __init__(
        self,
        assignments: Sequence[Assignment[Candidate]],
        log: TrainingLog,
        observe: Callable[[EndedTraining], None],
        advance: Advance,
    ) -> None:
        missing = [assignment for assignment in assignments if id_of(assignment) not in log.done]
        self._log = log
        self._observe = observe
        self._advance = advance
        self._total = len(assignments)
        self._num_done = len(assignments) - len(missing)
        self._waiting = iter(enumerate(missing))
        self._running: dict[int, Assignment[Candidate]] = {}

    def begin(self) -> tuple[int, Assignment[Candidate]] | None:
        begun = next(self._waiting, None)
        if begun is not None:
            self._running[begun[0]] = begun[1]
        return begun

    def advance(self, number: int, row: EpochRow) -> None:
        self._advance(self._running[number], row)

    def end(self, number: int, outcome: Evaluation | Failure) -> None:
        assignment = self._running[number]
        accuracy, seconds, reason = None, None, None
        if isinstance(outcome, Failure):
            self._log.note_loss(id_of(assignment), outcome.effort)
            reason = outcome.reason
        else:
            self._log.append(_make_training(assignment, outcome, self._log.environment))
            self._num_done += 1
            accuracy, seconds = outcome.accuracy, outcome.seconds
        del self._running[number]
        self._observe(
            EndedTraining(
                self._num_done,
                self._total,
                str(assignment.candidate),
                assignment.candidate.placement,
                assignment.epochs,
                assignment.seed,
                accuracy,
                seconds,
                reason,
            )
        )

    def has_results(self) -> bool:
        return bool(self._log.done)

    def release(self, number: int, effort: Effort | None) -> None:
        self._log.note_loss(id_of(self._running.pop(number)), effort)


def _make_training(
    assignment: Assignment[Candidate], outcome: Evaluation, environment: int
) -> Training:
    assert outcome.test_correct is not None
    return Training(
        key=assignment.candidate.key,
        candidate=str(assignment.candidate),
        epochs=assignment.epochs,
        seed=assignment.seed,
        environment=environment,
        history=outcome.history,
        correct=outcome.correct,
        test_correct=outcome.test_correct,
        seconds=outcome.seconds,
        split_seed=outcome.split_seed,
        split_hash=outcome.split_hash,
        ran_on=outcome.ran_on,
        effort=outcome.effort,
    )
