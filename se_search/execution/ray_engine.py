"""Runs jobs on the nodes of a Ray cluster; imported only where Ray is installed.

The executor decides what is tried again, and where: Ray itself retries nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import ray
from ray import exceptions
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from se_search.errors import InfrastructureError
from se_search.execution.faults import explain_error
from se_search.execution.posts import Kept
from se_search.execution.ray_office import train_on_node
from se_search.execution.remote import NodePlace
from se_search.execution.supervise import NodeJob
from se_search.record import Evaluation, Failure, Fault
from se_search.terminal import one_line

KILL_SECONDS = 10.0  # that a worker of Ray has to be gone after it was killed
LETTER_SECONDS = 600.0  # that a call waits for messages at most
DRAIN_SECONDS = 30.0  # for the last messages of a training that has ended


class RayEngine:
    """Starts jobs as tasks of Ray, each on the node of its place.

    Args:
        office: the actor through which nodes send messages.
        resources: what a training takes, as ``num_cpus`` and ``num_gpus``.
    """

    def __init__(self, office: Any, resources: dict[str, float]) -> None:
        self._office = office
        self._task = ray.remote(train_on_node)
        self._resources = resources
        self._refs: dict[int, Any] = {}
        self._letters: Any = None  # the call that brings the next messages

    def start(self, key: int, job: NodeJob, place: NodePlace, kept: Sequence[Kept]) -> None:
        """Have a job begin on the node of a place."""
        strategy = NodeAffinitySchedulingStrategy(place.node, soft=False)
        task = self._task.options(
            max_retries=0,
            scheduling_strategy=strategy,
            name=f"training {key}",
            **self._resources,
        )
        self._refs[key] = task.remote(job, self._office, key, place.name, kept)

    def collect(self, timeout: float) -> list[tuple[int, Any]]:
        """Return messages by the keys of their attempts; each one's outcome is its last."""
        try:
            return self._collect(timeout)
        except (exceptions.RayActorError, exceptions.RaySystemError, ConnectionError) as error:
            raise InfrastructureError(
                f"the connection to the Ray cluster is lost: {one_line(str(error))}. The same "
                "command goes on from the last states"
            ) from error

    def order(self, key: int, seconds: float) -> None:
        """Ask an attempt to have ended in some seconds."""
        self._office.order.remote(key, seconds)

    def kill(self, keys: Sequence[int]) -> None:
        """End attempts at once: Ray kills their workers, with which the trainings end."""
        refs = {key: self._refs.pop(key) for key in keys if key in self._refs}
        with suppress(exceptions.RayError, ConnectionError):
            for ref in refs.values():
                ray.cancel(ref, force=True)
            ray.wait(list(refs.values()), num_returns=len(refs) or 1, timeout=KILL_SECONDS)
            for key in refs:
                self._office.forget.remote(key)

    def _collect(self, timeout: float) -> list[tuple[int, Any]]:
        if self._letters is None:
            self._letters = self._office.take.remote(LETTER_SECONDS)
        ray.wait([self._letters, *self._refs.values()], timeout=timeout)
        ended = self._list_ended()
        if ended:  # all that they have sent has come, and lies at the office
            self._office.wake.remote()
        came = self._read_letters(DRAIN_SECONDS if ended else 0.0)
        for key in ended:
            came.append((key, _read_outcome(self._refs.pop(key))))
            self._office.forget.remote(key)
        return came

    def _list_ended(self) -> list[int]:
        if not self._refs:
            return []
        refs = list(self._refs.values())
        ready = set(ray.wait(refs, num_returns=len(refs), timeout=0)[0])
        return [key for key, ref in self._refs.items() if ref in ready]

    def _read_letters(self, timeout: float) -> list[tuple[int, Any]]:
        ready, _ = ray.wait([self._letters], timeout=timeout)
        if not ready:
            return []
        letters: list[tuple[int, Any]] = ray.get(self._letters)
        self._letters = None
        return letters


def _read_outcome(ref: Any) -> Evaluation | Failure:
    try:
        outcome: Evaluation | Failure = ray.get(ref)
        return outcome
    except exceptions.RayError as error:
        return explain_ray_error(error)


def explain_ray_error(error: Exception) -> Failure:
    """Return the failure of a training whose node or worker Ray has lost.

    Only a lack of memory that Ray has noticed is told apart: it kills the worker that takes most.
    """
    text = one_line(str(error).strip().partition("\n")[0])
    if isinstance(error, exceptions.OutOfMemoryError):
        return Failure(f"out of memory: {text}", Fault.RESOURCE)
    if isinstance(error, exceptions.RayTaskError):
        cause = error.cause if isinstance(error.cause, Exception) else error
        failure = explain_error(cause)
        fault = Fault.INFRASTRUCTURE if failure.fault == Fault.CANDIDATE else failure.fault
        return Failure(failure.reason, fault)
    for kind, reason in _REASONS.items():
        if isinstance(error, kind):
            return Failure(reason, Fault.INFRASTRUCTURE)
    return Failure(f"{type(error).__name__}: {text}", Fault.INFRASTRUCTURE)


_REASONS: dict[type[Exception], str] = {
    exceptions.LocalRayletDiedError: "the node is gone",
    exceptions.NodeDiedError: "the node is gone",
    exceptions.TaskUnschedulableError: "the node is gone",
    exceptions.WorkerCrashedError: "the worker of Ray was killed, or its node is gone",
    exceptions.OwnerDiedError: "what the training was sent is lost",
    exceptions.ObjectLostError: "what the training was sent is lost",
    exceptions.TaskCancelledError: "the training was cancelled in Ray",
}
