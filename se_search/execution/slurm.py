"""Runs jobs by submitit: each moment's as one array of Slurm; imported only where it is installed.

A job that Slurm warns saves the state of its training and goes back into the queue.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future as ThreadFuture
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import submitit
from submitit.helpers import DelayedSubmission

from se_search.errors import RunError
from se_search.execution.futures_engine import Future, NodeCall, Submit
from se_search.execution.supervise import Supervisor
from se_search.record import Evaluation, Failure

SAVE_SECONDS = 60.0  # that a training has for its state after the warning; submitit has 90
MOST_RETURNS = 1_000  # of a job into the queue: a training may take weeks
LOOK_SECONDS = 1.0


class SlurmCall:
    """Trains in a job, and saves the training when the job is warned; see submitit's checkpointing.

    Args:
        call: trains on whatever node calls it.
    """

    def __init__(self, call: NodeCall) -> None:
        self._call = call
        self._supervisor: Supervisor | None = None
        self._outcome: ThreadFuture[Evaluation | Failure] | None = None

    def __call__(self) -> Evaluation | Failure:
        """Train, and return how it ended; the main thread waits for signals meanwhile."""
        self._supervisor = self._call.supervise()
        with ThreadPoolExecutor(1) as pool:
            self._outcome = pool.submit(self._supervisor)
            while not self._outcome.done():
                wait([self._outcome], LOOK_SECONDS)
        return self._outcome.result()

    def checkpoint(self) -> DelayedSubmission:
        """Save the training, and return what the job does when it has been started again."""
        if self._supervisor is not None and self._outcome is not None:
            self._supervisor.pause()
            wait([self._outcome], SAVE_SECONDS)
            if self._outcome.done() and isinstance(self._outcome.result(), Evaluation):
                return DelayedSubmission(_Ended(self._outcome.result()))
        return DelayedSubmission(SlurmCall(self._call))


class _Ended:
    """Hands back a training that ended while its job was warned."""

    def __init__(self, outcome: Evaluation | Failure) -> None:
        self._outcome = outcome

    def __call__(self) -> Evaluation | Failure:
        return self._outcome

    def checkpoint(self) -> DelayedSubmission:
        return DelayedSubmission(self)


def open_jobs(
    folder: Path, parameters: Mapping[str, str], cpus: float, gpus: float
) -> submitit.AutoExecutor:
    """Return what submits jobs.

    Args:
        folder: takes what submitit keeps of jobs, pickles among them: its owner's alone, for who
            may write there decides what the jobs run.
        parameters: submitit's own, as ``slurm_partition``; ``cluster`` is ``slurm`` or ``local``.
        cpus: cores of a training.
        gpus: GPUs of a training.

    Raises:
        RunError: submitit knows no such parameter, or there is no Slurm.
    """
    if gpus != int(gpus):
        raise RunError(f"gpus per trial {gpus:g}: Slurm deals out whole GPUs")
    folder.mkdir(parents=True, exist_ok=True)
    os.chmod(folder, 0o700)
    given = {name: _read_value(value) for name, value in parameters.items()}
    cluster = str(given.pop("cluster", "slurm"))
    usual: dict[str, Any] = {"name": "se-search", "cpus_per_task": max(1, round(cpus + 0.499))}
    if gpus:
        usual["gpus_per_node"] = int(gpus)
    options = {"slurm_max_num_timeout": MOST_RETURNS} if cluster == "slurm" else {}
    try:
        jobs = submitit.AutoExecutor(folder, cluster=cluster, **options)
        jobs.update_parameters(**{**usual, **given})
    except (RuntimeError, ValueError, NameError, AssertionError, TypeError) as error:
        raise RunError(f"submitit does not take {dict(parameters)}: {error}") from error
    return jobs


def submit_as_array(jobs: submitit.AutoExecutor) -> Submit:
    """Return what has calls begin as one array of jobs."""

    def submit(calls: Sequence[Callable[[], Any]]) -> Sequence[Future]:
        wrapped = [SlurmCall(call) if isinstance(call, NodeCall) else call for call in calls]
        with jobs.batch():
            return [jobs.submit(call) for call in wrapped]

    return submit


def _read_value(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
