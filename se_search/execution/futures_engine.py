"""Runs jobs by any executor of ``concurrent.futures``, or by submitit as jobs of Slurm.

Messages go over a folder that the coordinator and the nodes share, in which nothing is a pickle:
only how a training has ended comes as its future's result.
"""

from __future__ import annotations

import math
import os
import shutil
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, CancelledError
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from se_search.errors import InfrastructureError, UnwritableError, quote
from se_search.execution.faults import explain_error
from se_search.execution.posts import BEAT, BEAT_SECONDS, FolderBox, FolderPost, Kept
from se_search.execution.remote import NodePlace
from se_search.execution.supervise import NodeJob, Supervisor
from se_search.record import Evaluation, Failure, Fault
from se_search.store.files import explaining_write, write_bytes
from se_search.terminal import one_line

POLL_SECONDS = 0.1
MOST_LINES = 3  # that are told of what an executor raised
KILL_SECONDS = 10.0  # that a training has to be gone after it was killed


class Future(Protocol):
    """A call that runs elsewhere: a future of Python or Dask, or a job of submitit."""

    def done(self) -> bool:
        """Tell whether it has ended."""

    def result(self) -> Any:
        """Return what the call has returned, or raise what it has raised."""

    def cancel(self) -> Any:
        """Have it not begin, or end it, as far as that is possible."""


Submit = Callable[[Sequence[Callable[[], Any]]], Sequence[Future]]
"""Has calls begin together, and returns a future for each."""


@dataclass(slots=True)
class NodeCall:
    """Trains on whatever node calls it; picklable.

    Attributes:
        job: what is to be trained.
        folder: of the attempt, which coordinator and node share.
    """

    job: NodeJob
    folder: Path

    def __call__(self) -> Evaluation | Failure:
        """Train, and return how it ended."""
        return self.supervise()()

    def supervise(self) -> Supervisor:
        """Return what supervises the training on this machine."""
        return Supervisor(self.job, FolderPost(self.folder), socket.gethostname())


class FuturesEngine:
    """Starts jobs as calls of an executor.

    Args:
        submit: has calls begin.
        folder: takes a folder for each attempt; on a disk that all nodes share.
    """

    def __init__(self, submit: Submit, folder: Path) -> None:
        self._submit = submit
        self._folder = folder
        self._starting: dict[int, NodeCall] = {}
        self._boxes: dict[int, FolderBox] = {}
        self._futures: dict[int, Future] = {}
        self._beat = -math.inf  # when the last sign of life was given

    def start(self, key: int, job: NodeJob, place: NodePlace, kept: Sequence[Kept]) -> None:
        """Have a job begin at the next ``collect``: jobs of one moment are submitted together."""
        with explaining_write(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        box = self._boxes[key] = FolderBox(self._folder / f"{key}-{os.urandom(4).hex()}")
        self._starting[key] = NodeCall(job, box.folder)

    def collect(self, timeout: float) -> list[tuple[int, Any]]:
        """Return messages by the keys of their attempts; each one's outcome is its last."""
        self._begin()
        if self._boxes and time.monotonic() - self._beat > BEAT_SECONDS:
            self._beat = time.monotonic()
            with suppress(UnwritableError):  # it is tried again
                write_bytes(self._folder / BEAT, b"")
        end = time.monotonic() + timeout
        while True:
            came = self._collect()
            left = end - time.monotonic()
            if came or left <= 0:
                return came
            time.sleep(min(POLL_SECONDS, left))

    def order(self, key: int, seconds: float) -> None:
        """Ask an attempt to have ended in some seconds."""
        if key in self._boxes:
            self._boxes[key].order(seconds)

    def kill(self, keys: Sequence[int]) -> None:
        """End attempts; each node kills its training as soon as it sees the order."""
        boxes = {key: self._boxes.pop(key) for key in keys if key in self._boxes}
        futures = []
        for key, box in boxes.items():
            self._starting.pop(key, None)
            future = self._futures.pop(key, None)
            if future is not None and not _has_ended(future):
                box.order(-KILL_SECONDS)
                with suppress(Exception):  # of another library: the node ends it by the order
                    future.cancel()
                futures.append(future)
        end = time.monotonic() + KILL_SECONDS
        while not all(map(_has_ended, futures)) and time.monotonic() < end:
            time.sleep(POLL_SECONDS)
        for box in boxes.values():
            self._tidy(box)

    def _begin(self) -> None:
        if not self._starting:
            return
        calls, self._starting = self._starting, {}
        try:
            futures = self._submit(list(calls.values()))
        except Exception as error:  # whatever the executor has
            raise InfrastructureError(
                f"the executor takes no trainings: {type(error).__name__}: {one_line(str(error))}"
            ) from error
        self._futures |= dict(zip(calls, futures, strict=True))

    def _collect(self) -> list[tuple[int, Any]]:
        came: list[tuple[int, Any]] = []
        for key, future in list(self._futures.items()):
            has_ended = _has_ended(future)
            box = self._boxes[key]
            came += [(key, message) for message in box.collect()]
            if has_ended:
                del self._futures[key]
                del self._boxes[key]
                came.append((key, _read_outcome(future)))
                self._tidy(box)
        return came

    def _tidy(self, box: FolderBox) -> None:
        shutil.rmtree(box.folder, ignore_errors=True)
        if not self._boxes:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._beat = -math.inf


def submit_each(executor: Any) -> Submit:
    """Return what has an executor of ``concurrent.futures`` run calls."""
    return lambda calls: [executor.submit(_call, call) for call in calls]


def _call(call: Callable[[], Any]) -> Any:
    return call()


def _has_ended(future: Future) -> bool:
    """Tell whether a call has ended; one whose executor can't tell has, and has no result."""
    try:
        return future.done()
    except Exception:  # of another library
        return True


def _read_outcome(future: Future) -> Evaluation | Failure:
    try:
        future.done()  # what it raises says more than a result that is not there
        outcome: Evaluation | Failure = future.result()
        return outcome
    except CancelledError:
        return Failure("the executor has cancelled the training", Fault.INFRASTRUCTURE)
    except BrokenExecutor as error:  # a process of it was killed; it takes no more work
        return Failure(f"the executor is broken: {one_line(str(error))}", Fault.INFRASTRUCTURE)
    except Exception as error:  # a training's own errors are returned
        if "OUT_OF_MEMORY" in str(error):  # Slurm's word for what it killed
            return Failure("out of memory: the batch system has ended the job", Fault.RESOURCE)
        failure = explain_error(error)
        if failure.fault == Fault.RESOURCE:
            return failure
        fault = Fault.INFRASTRUCTURE if failure.fault == Fault.CANDIDATE else failure.fault
        return Failure(f"the executor's job has no result: {_quote_short(error)}", fault)


def _quote_short(error: Exception) -> str:
    """Return in one line what another library raised, whose message may be a whole log."""
    lines = [line for line in quote(error).splitlines() if line.strip(" -=")]
    if len(lines) > MOST_LINES:
        lines = [*lines[: MOST_LINES - 1], "...", lines[-1]]
    text = one_line(" ".join(" ".join(lines).split()))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
