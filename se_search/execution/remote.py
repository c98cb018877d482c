"""Begins trainings on the nodes of a cluster, and takes what they say and leave.

What a training leaves is written to where a local one would write it, so that the same run goes on
on this machine, on another cluster, or on another node when one is lost in the middle.
"""

from __future__ import annotations

import itertools
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from se_search.candidate import Candidate
from se_search.device import Device
from se_search.errors import UnwritableError
from se_search.execution.carried import read_kept, write_kept
from se_search.execution.child import GoesOn
from se_search.execution.faults import HUNG_SHARE
from se_search.execution.posts import Began, Kept, Paused, Printed, Ran
from se_search.execution.supervise import NodeJob, NodeSetup
from se_search.record import Assignment, EpochRow, Evaluation, Failure
from se_search.training.task import RESUMED, TrainingTask

SIGNS = 20  # of life that a training passes on before it counts as hung


@dataclass(frozen=True, slots=True)
class NodePlace:
    """A place on a node.

    Attributes:
        node: the cluster's name of the node.
        name: a short one, for people.
        device: what a training runs on there.
        share: how many devices the place takes, or which share of one.
    """

    node: str
    name: str
    device: Device
    share: float = 1.0

    @property
    def accelerator(self) -> str:
        """``cpu``, ``cuda`` or ``mps``."""
        return self.device.accelerator

    @property
    def num_devices(self) -> int:
        """How many devices train one network there."""
        return self.device.num_devices


class Engine(Protocol):
    """What starts a job on a node and brings what comes of it: Ray, Slurm, Dask, a pool."""

    def start(self, key: int, job: NodeJob, place: NodePlace, kept: Sequence[Kept]) -> None:
        """Have a job begin on a node.

        Args:
            key: names the attempt from now on.
            job: what is to be trained.
            place: where.
            kept: files that earlier attempts have left.
        """

    def collect(self, timeout: float) -> Sequence[tuple[int, Any]]:
        """Return messages by the keys of their attempts, in order: each one's outcome is its last.

        Blocks up to ``timeout`` seconds for the first.
        """

    def order(self, key: int, seconds: float) -> None:
        """Ask an attempt to have ended in some seconds."""

    def kill(self, keys: Sequence[int]) -> None:
        """End attempts at once, and forget them."""


class RemoteAttempt:
    """An attempt at a training on a node.

    Args:
        key: the engine's name of it.
        engine: has started it.
        folders: take what it leaves, by kind.

    Attributes:
        went_on: when it was last known to go on, by ``time.monotonic``.
    """

    def __init__(self, key: int, engine: Engine, folders: dict[str, Path]) -> None:
        self.key = key
        self.folders = folders
        self.went_on = time.monotonic()
        self._engine = engine
        self._began: float | None = None
        self._earlier = 0.0  # seconds before a pause
        self._messages: deque[Any] = deque()

    @property
    def started(self) -> float:
        """When it began, by ``time.monotonic``; now, if it still waits for its node."""
        now = time.monotonic()
        return (now if self._began is None else self._began) - self._earlier

    def take(self, message: Any) -> None:
        """Take a message of its node."""
        now = self.went_on = time.monotonic()
        if isinstance(message, Began):
            self._began = now
        elif isinstance(message, Ran):  # which is more exact than when messages were read
            self._began = now - message.seconds
        elif isinstance(message, Paused):
            self._earlier += message.seconds
            self._began = None
        else:
            self._messages.append(message)

    def has_message(self) -> bool:
        """Tell whether ``receive`` returns at once."""
        if self._began is None:
            self.went_on = time.monotonic()  # it waits for its node, which is no hang
        return bool(self._messages)

    def receive(self) -> EpochRow | GoesOn | Evaluation | Failure:
        """Return what came next: epochs and that it goes on, then its result or a Failure."""
        message: EpochRow | GoesOn | Evaluation | Failure = self._messages.popleft()
        return message

    def ask_to_end(self, until: float) -> None:
        """Ask it to have ended at a time, by ``time.monotonic``."""
        self._engine.order(self.key, until - time.monotonic())


@dataclass(slots=True)
class RemoteLauncher:
    """Begins trainings on nodes.

    Attributes:
        engine: starts jobs there.
        task: trains an assignment; its paths are of this machine.
        setup: what all trainings have in common on their nodes.
        log: file that takes what trainings print.
        timeout: seconds after which a training is killed; None: never.
        follow: called while waiting, to look for nodes that have joined or left.
    """

    engine: Engine
    task: TrainingTask
    setup: NodeSetup
    log: Path
    timeout: float | None = None
    follow: Callable[[], None] = lambda: None
    _running: dict[int, RemoteAttempt] = field(default_factory=dict)

    def launch(
        self, number: int, assignment: Assignment[Candidate], place: NodePlace
    ) -> RemoteAttempt:
        """Begin a training on a node, from the last state that an earlier attempt has left."""
        task = self.task.for_trial(number)
        folders = task.outputs(assignment)
        signs = math.inf if self.timeout is None else HUNG_SHARE * self.timeout / SIGNS
        job = NodeJob(assignment, task, place.device, signs, self.setup)
        kept = read_kept(folders, RESUMED) if self.setup.carries else []
        key = next(_KEYS)
        self.engine.start(key, job, place, kept)
        attempt = self._running[key] = RemoteAttempt(key, self.engine, folders)
        return attempt

    def wait(self, attempts: Sequence[RemoteAttempt], timeout: float) -> None:
        """Take what has come from the nodes; blocks up to ``timeout`` seconds for the first."""
        self._running = {attempt.key: attempt for attempt in attempts}
        self.follow()
        if any(attempt.has_message() for attempt in attempts):
            timeout = 0.0
        for key, message in self.engine.collect(timeout):
            attempt = self._running.get(key)
            if attempt is None:  # it has been killed
                continue
            if isinstance(message, Kept):
                self._keep(attempt, message)
            elif isinstance(message, Printed):
                self._print(message.text)
            else:
                attempt.take(message)

    def kill(self, attempts: Sequence[RemoteAttempt]) -> None:
        """End attempts at once, with the trainings on their nodes."""
        self.engine.kill([attempt.key for attempt in attempts])

    def forget(self, assignment: Assignment[Candidate]) -> None:
        """Remove the states of a training that nobody will go on with."""
        self.task.forget(assignment)

    def _keep(self, attempt: RemoteAttempt, kept: Kept) -> None:
        try:
            write_kept(attempt.folders, [kept])
        except UnwritableError as error:  # the training goes on, and its next state comes
            self._print(f"{kept.name} of a training on a node is lost: {error}\n")

    def _print(self, text: str) -> None:
        with suppress(OSError), self.log.open("a", encoding="utf-8", errors="replace") as file:
            file.write(text)


_KEYS = itertools.count()  # no two attempts of a process share one
