"""Trains an assignment on a node: makes the data ready there, and supervises a child process.

The child is what a local training is, so that a crash, a hang and a lack of memory are told apart
alike. It ends with the process that supervises it, which the cluster may kill at any time.
"""

from __future__ import annotations

import multiprocessing
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing import connection
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from se_search.candidate import Candidate
from se_search.device import Device, Hardware
from se_search.errors import RunError
from se_search.execution.carried import Outbox, write_kept
from se_search.execution.child import Child, GoesOn, call_in_child, warm_up, without_main
from se_search.execution.faults import explain_error
from se_search.execution.node_data import find_data, find_weights
from se_search.execution.posts import Began, Paused, Post, Printed, Ran
from se_search.ground import Ground, list_differences
from se_search.record import Assignment, EpochRow, Evaluation, Failure, Fault
from se_search.training.task import PRELOAD, FindGrounds, TrainingTask, probe_hardware

POLL_SECONDS = 0.25
FOLDERS = "se-search-node-"  # names of what trainings leave on a node begin so
FRESH_SECONDS = 60.0
MOST_PRINTED = 200_000  # bytes of what a training prints that are passed on


@dataclass(frozen=True, slots=True)
class NodeSetup:
    """What all trainings of a command have in common on their nodes; picklable.

    Attributes:
        data_dir: folder that holds data sets on the coordinator's machine.
        weights_digest: of the task's weights.
        path: the coordinator's ``sys.path``: a network of the user's own may be there.
        preload: modules that the server of the trainings imports besides PyTorch and Lightning.
        carries: whether what the training leaves is sent; else it lies on a disk of both.
        ground: what the node must be; None: anything.
    """

    data_dir: Path | None = None
    weights_digest: str | None = None
    path: tuple[str, ...] = ()
    preload: tuple[str, ...] = ()
    carries: bool = True
    ground: Ground | None = None


@dataclass(frozen=True, slots=True)
class NodeJob:
    """An assignment with all that a node needs for it; picklable.

    Attributes:
        task: trains it; its paths are those of the coordinator's machine.
        device: of the node.
        sign_seconds: between two signs of life that are passed on.
    """

    assignment: Assignment[Candidate]
    task: TrainingTask
    device: Device
    sign_seconds: float = 0.0
    setup: NodeSetup = NodeSetup()


class Supervisor:
    """Supervises one training on this node.

    Args:
        job: what is to be trained.
        post: reaches the coordinator.
        node: name of this machine.
    """

    def __init__(self, job: NodeJob, post: Post, node: str) -> None:
        self._job = job
        self._post = post
        self._node = node
        self._shall_pause = threading.Event()
        self._told = 0.0  # when a sign of life was last passed on, by time.monotonic

    def __call__(self) -> Evaluation | Failure:
        """Train, and return how it ended; whatever goes wrong beside it is the machine's fault."""
        try:
            with _private_folder() as folder:
                outcome = self._train(folder)
                self._post.flush()
                return outcome
        except Exception as error:
            failure = explain_error(error)
            if failure.fault == Fault.CANDIDATE:
                failure = replace(failure, fault=Fault.INFRASTRUCTURE)
            return replace(failure, reason=f"{failure.reason} (on {self._node})")

    def pause(self) -> None:
        """Ask the training to save its state and end now; another thread calls it."""
        self._shall_pause.set()

    def _train(self, folder: Path) -> Evaluation | Failure:
        job, setup = self._job, self._job.setup
        if multiprocessing.current_process().daemon:
            raise RunError(
                "processes of this worker may start none: Dask needs distributed.worker.daemon: "
                "False, or workers without a nanny"
            )
        _extend_path(setup.path)
        task = job.task
        data = find_data(task.data, task.recipe, setup.data_dir, self._post)
        task = replace(task, data=data)
        if task.weights is not None and setup.weights_digest is not None:
            weights = find_weights(task.weights, setup.weights_digest, self._post)
            task = replace(task, weights=weights)
        assignment = job.assignment
        if setup.carries:
            task, assignment = task.moved(assignment, folder)
            write_kept(task.outputs(assignment), self._post.fetch_kept())
        outbox = Outbox(task.outputs(assignment) if setup.carries else {})
        log = folder / "log"
        with without_main():
            warm_up((*PRELOAD, *setup.preload), job.device.threads)
            if setup.ground is not None:
                _refuse_other_ground(job, log, self._node)
            child = Child.start(task, (assignment, job.device), log, job.device.threads)
        self._post.send(Began(self._node))
        began = time.monotonic()
        try:
            outcome = self._follow(child, outbox, _Tail(log))
        finally:
            child.kill()
        ran = time.monotonic() - began
        is_paused = self._shall_pause.is_set() and not isinstance(outcome, Evaluation)
        self._post.send(Paused(ran) if is_paused else Ran(ran))
        return outcome

    def _follow(self, child: Child, outbox: Outbox, tail: _Tail) -> Evaluation | Failure:
        """Pass on what the child says and leaves, and what it is told, until it has ended."""
        ordered: float | None = None
        while True:
            connection.wait([child.receiver], POLL_SECONDS)
            outcome = self._pass_on(child)
            is_new = outbox.has_new("states")
            if outcome is not None or is_new:
                for kept in outbox.collect():
                    self._post.send(kept)
            for text in tail.read(is_last=outcome is not None):
                self._post.send(Printed(text))
            if outcome is not None:
                return outcome
            left = 0.0 if self._shall_pause.is_set() else self._post.seconds_left()
            if left is not None and left < -1:  # whoever kills trainings is not heard
                return Failure("broken off", Fault.STOPPED)
            until = None if left is None else time.monotonic() + left
            if until is not None and (ordered is None or abs(until - ordered) > 1):
                ordered = until
                child.ask_to_end(until)

    def _pass_on(self, child: Child) -> Evaluation | Failure | None:
        while child.has_message():
            message: Any = child.receive()
            if isinstance(message, EpochRow):
                self._post.send(message)
            elif isinstance(message, GoesOn):
                now = time.monotonic()
                if now - self._told >= self._job.sign_seconds:
                    self._told = now
                    self._post.send(message)
            elif isinstance(message, Evaluation | Failure):
                return message
            else:
                return Failure(f"the training handed back {type(message).__name__}")
        return None


@dataclass(frozen=True, slots=True)
class Probe:
    """Asks a machine what trainings on it would run on.

    Attributes:
        threads: CPU threads of a training.
        accelerator: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        is_auto: whether the recipe leaves the precision to the hardware.
        preload: modules that the server of the trainings imports besides PyTorch and Lightning.
        path: the coordinator's ``sys.path``.
        num_devices: GPUs that train one network.
    """

    threads: int
    accelerator: str
    is_auto: bool
    preload: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    num_devices: int = 1

    def __call__(self) -> tuple[Hardware, Device, Ground]:
        """Return the hardware, the device of a training and what that is."""
        _extend_path(self.path)
        with _private_folder() as folder, without_main():
            warm_up((*PRELOAD, *self.preload), self.threads)
            hardware = call_in_child(probe_hardware, folder / "log")
            accelerator = hardware.accelerator if self.accelerator == "auto" else self.accelerator
            is_found = accelerator == hardware.accelerator
            precision = hardware.auto_precision if is_found and self.is_auto else "32-true"
            device = Device(accelerator, 0, self.threads, precision, num_devices=self.num_devices)
            (ground,) = call_in_child(FindGrounds((device,)), folder / "log")
            return hardware, device, ground


class _Tail:
    """Reads what is added to a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0

    def read(self, *, is_last: bool) -> Iterator[str]:
        """Yield the lines that are new, in one text; what is too much is left out."""
        with suppress(OSError), self._path.open("rb") as file:
            file.seek(self._read)
            new = file.read(MOST_PRINTED)
            whole = new if is_last or len(new) == MOST_PRINTED else new[: new.rfind(b"\n") + 1]
            self._read += len(whole)
            if whole:
                yield whole.decode("utf-8", "replace")


def _extend_path(path: tuple[str, ...]) -> None:
    known = set(sys.path)
    sys.path += [place for place in path if place not in known]


def _refuse_other_ground(job: NodeJob, log: Path, node: str) -> None:
    """Raise where equal trainings would have other numbers than those of the run."""
    (ground,) = call_in_child(FindGrounds((job.device,)), log)
    assert job.setup.ground is not None
    differences = list_differences([job.setup.ground, ground])
    if differences:
        there, here = job.setup.ground.facts(), ground.facts()
        named = ", ".join(f"{name} {here.get(name)} for {there.get(name)}" for name in differences)
        raise RunError(f"{node} is of another kind than the run: {named}")


@contextmanager
def _private_folder() -> Iterator[Path]:
    """Return a folder for one training; what killed ones have left is removed."""
    for other in Path(tempfile.gettempdir()).glob(f"{FOLDERS}*"):
        with suppress(OSError, Timeout):
            if time.time() - other.stat().st_mtime < FRESH_SECONDS:  # it may not be locked yet
                continue
            with FileLock(other / "lock", timeout=0):
                shutil.rmtree(other, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=FOLDERS))
    lock = FileLock(folder / "lock", timeout=0, thread_local=False)
    try:
        with lock:
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
