"""Trains a fixed list of assignments: what its log does not have yet, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from se_search.candidate import Candidate
from se_search.errors import TooManyFailuresError
from se_search.record import Assignment, Evaluation, Failure, Stop
from se_search.store.training_log import Training, TrainingLog

MAX_FAILURES = 3


class Executor(Protocol):
    """Runs trainings; ``se_search.execution`` has two."""

    def has_room(self) -> bool: ...  # noqa: D102
    def submit(self, number: int, assignment: Assignment[Candidate]) -> None: ...  # noqa: D102
    def wait(self, timeout: float) -> list[tuple[int, Evaluation | Failure]]: ...  # noqa: D102


def list_assignments(
    candidates: Sequence[Candidate], seeds: Sequence[int], epochs: int
) -> list[Assignment[Candidate]]:
    """Return what is to be trained, in order: all candidates with one seed, then with the next."""
    return [Assignment(candidate, seed, epochs) for seed in seeds for candidate in candidates]


def train_missing(
    assignments: Sequence[Assignment[Candidate]],
    log: TrainingLog,
    executor: Executor,
    stop: Callable[[], Stop],
    note: Callable[[str], None],
) -> None:
    """Train what the log does not have, in order, until all is done or a stop is asked for.

    Raises:
        TooManyFailuresError: three trainings in a row failed; those that failed are not in the log.
    """
    missing = [a for a in assignments if (a.candidate.key, a.epochs, a.seed) not in log.done]
    total, num_done = len(assignments), len(assignments) - len(missing)
    waiting: Iterator[tuple[int, Assignment[Candidate]]] = iter(enumerate(missing))
    running: dict[int, Assignment[Candidate]] = {}
    num_failures = 0
    while True:
        while stop() == Stop.NO and executor.has_room() and (following := next(waiting, None)):
            executor.submit(*following)
            running[following[0]] = following[1]
        if not running or stop() == Stop.NOW:
            return
        for number, outcome in executor.wait(timeout=1.0):
            assignment = running.pop(number)
            what = f"{assignment.candidate}, {assignment.epochs} epochs, seed {assignment.seed}"
            if isinstance(outcome, Failure):
                num_failures += 1
                note(f"failed: {what}: {outcome.reason}")
                if num_failures == MAX_FAILURES:
                    raise TooManyFailuresError(f"{MAX_FAILURES} trainings in a row failed")
                continue
            num_failures = 0
            log.append(make_training(assignment, outcome, log.environment))
            num_done += 1
            note(
                f"{num_done}/{total} {what}: validation {100 * outcome.accuracy:.2f} %, "
                f"test {100 * outcome.history[-1]['test_accuracy']:.2f} %, {outcome.seconds:.1f} s"
            )


def make_training(
    assignment: Assignment[Candidate], outcome: Evaluation, environment: int
) -> Training:
    """Return a finished training as the log keeps it."""
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
    )
