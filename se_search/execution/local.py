"""Trains on this machine: a fresh child process for each training, on a place of a device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from multiprocessing import connection
from pathlib import Path

from se_search.candidate import Candidate
from se_search.device import Device
from se_search.execution.child import Child, Until
from se_search.execution.device_pool import DevicePool
from se_search.execution.gpu_sharing import SharedGpus
from se_search.execution.retrying import PAUSES, RetryingExecutor
from se_search.record import Assignment, Evaluation
from se_search.training.task import TrainingTask

Evaluate = Callable[[Assignment[Candidate], Device, Until], Evaluation]


class LocalLauncher:
    """Begins each training in a child process of its own.

    Args:
        evaluate: trains an assignment on a device, and ends early where it would take longer than
            it is asked to; a picklable value.
        log: file that takes what children print, and the tracebacks of failed trainings.
        forget: removes the states of a training that nobody will go on with.
        sharing: the service by which trainings share GPUs; None: they take turns.
    """

    def __init__(
        self,
        evaluate: Evaluate,
        log: Path,
        forget: Callable[[Assignment[Candidate]], None] = lambda _: None,
        sharing: SharedGpus | None = None,
    ) -> None:
        self._evaluate = evaluate
        self._log = log
        self._forget = forget
        self._sharing = sharing  # kept, for it ends with its object

    def launch(self, number: int, assignment: Assignment[Candidate], place: Device) -> Child:
        """Start a child that trains on a device."""
        task = self._evaluate
        if isinstance(task, TrainingTask):  # it may keep a folder for each trial
            task = task.for_trial(number)
        environment = {} if self._sharing is None else self._sharing.environment
        return Child.start(task, (assignment, place), self._log, place.threads, environment)

    def wait(self, attempts: Sequence[Child], timeout: float) -> None:
        """Return when a child has sent something or has died, or after ``timeout`` seconds."""
        connection.wait([child.receiver for child in attempts], timeout)

    def kill(self, attempts: Sequence[Child]) -> None:
        """Kill children."""
        for child in attempts:
            child.kill()

    def forget(self, assignment: Assignment[Candidate]) -> None:
        """Remove the states of a training that nobody will go on with."""
        self._forget(assignment)


def local_executor(
    evaluate: Evaluate,
    devices: Sequence[Device],
    log: Path,
    timeout: float | None = None,
    note: Callable[[str], None] = lambda _: None,
    pauses: Sequence[float] = PAUSES,
    images: int | None = None,
    forget: Callable[[Assignment[Candidate]], None] = lambda _: None,
    sharing: SharedGpus | None = None,
) -> RetryingExecutor[Device, Child]:
    """Return what trains on this machine, a training on each of the devices at a time.

    The arguments are those of ``LocalLauncher`` and ``RetryingExecutor``.
    """
    launcher = LocalLauncher(evaluate, log, forget, sharing)
    return RetryingExecutor(launcher, DevicePool(devices), timeout, note, pauses, images)
