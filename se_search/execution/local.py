"""Trains on this machine: a fresh child process for each training, forked from a warm server.

The server has imported PyTorch and Lightning once, and has touched no device and no thread pool, so
that a child starts in a tenth of a second. A child that dies, hangs or raises is one failed
training.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import connection, forkserver, resource_tracker
from multiprocessing.context import ForkServerContext, ForkServerProcess, SpawnContext, SpawnProcess
from pathlib import Path
from typing import Any, TypeVar

from se_search.candidate import Candidate
from se_search.device import Device
from se_search.errors import DivergedError, SESearchError
from se_search.record import Assignment, Evaluation, Failure

Result = TypeVar("Result")
Evaluate = Callable[[Assignment[Candidate], Device], Evaluation]
Process = ForkServerProcess | SpawnProcess


class LocalExecutor:
    """Trains each assignment in a child process of its own, one on each device at a time.

    Args:
        evaluate: trains an assignment on a device; a picklable value.
        devices: the devices that children train on.
        log: file that takes what children print, and the tracebacks of failed trainings.
        timeout: seconds after which a child is killed; None: never.
    """

    def __init__(
        self,
        evaluate: Evaluate,
        devices: Sequence[Device],
        log: Path,
        timeout: float | None = None,
    ) -> None:
        self._evaluate = evaluate
        self._free = list(devices)
        self._log = log
        self._timeout = timeout
        self._children: dict[int, _Child] = {}

    def has_room(self) -> bool:
        """Tell whether a device is free."""
        return bool(self._free)

    def submit(self, number: int, assignment: Assignment[Candidate]) -> None:
        """Start an assignment on a free device."""
        device = self._free.pop(0)
        arguments = (assignment, device)
        self._children[number] = _Child.start(self._evaluate, arguments, self._log, device)

    def wait(self, timeout: float) -> list[tuple[int, Evaluation | Failure]]:
        """Return the trainings that have ended; block up to ``timeout`` seconds for the first."""
        connection.wait([child.receiver for child in self._children.values()], timeout)
        ended = []
        for number, child in list(self._children.items()):
            outcome = self._collect(child)
            if outcome is not None:
                del self._children[number]
                self._free.append(child.device)
                ended.append((number, outcome))
        return ended

    def kill(self) -> None:
        """Kill all children."""
        for child in self._children.values():
            child.kill()
            self._free.append(child.device)
        self._children.clear()

    def _collect(self, child: _Child) -> Evaluation | Failure | None:
        if child.receiver.poll():
            outcome = child.receive()
            if isinstance(outcome, Evaluation | Failure):
                return outcome
            return Failure(f"the training handed back {type(outcome).__name__}")
        if self._timeout is not None and time.monotonic() - child.started > self._timeout:
            child.kill()
            return Failure(f"killed after {self._timeout:g} seconds (--timeout)")
        return None


STOPPING = {signal.SIGINT, signal.SIGTERM}  # what asks a command to stop


@dataclass(slots=True)
class _Child:
    process: Process
    receiver: connection.Connection
    device: Device
    started: float

    @classmethod
    def start(
        cls, function: Callable[..., Any], arguments: tuple[Any, ...], log: Path, device: Device
    ) -> _Child:
        context = _context()
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(sender, function, arguments, log))
        process.start()
        # Closed here, so that the child's death ends the pipe.
        sender.close()
        return cls(process, receiver, device, time.monotonic())

    def receive(self) -> Any:
        """Return what the child sent; a Failure with the reason if it died before."""
        try:
            outcome = self.receiver.recv()
        except EOFError:
            self.process.join()
            return Failure(_describe_death(self.process.exitcode))
        self.process.join()
        self.receiver.close()
        return outcome

    def kill(self) -> None:
        self.process.kill()
        self.process.join()
        self.receiver.close()


def call_in_child(function: Callable[[], Result], log: Path) -> Result:
    """Call a function in a child process and return what it returns.

    Raises:
        SESearchError: the function raised, or the child died.
    """
    child = _Child.start(function, (), log, Device("cpu", 0, 1, "32-true"))
    outcome = child.receive()
    if isinstance(outcome, Failure):
        raise SESearchError(f"{outcome.reason} (more in {log})")
    result: Result = outcome
    return result


def warm_up(preload: Sequence[str], threads: int) -> None:
    """Start the server that children are forked from.

    Args:
        preload: modules that the server imports before the first child.
        threads: CPU threads of each child; libraries read the number as they are imported.
    """
    context = _context()
    if not isinstance(context, ForkServerContext):
        return
    context.set_forkserver_preload(list(preload))
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(threads)
    # Ctrl-C reaches the whole process group, and so does SIGTERM from timeout, a batch system or a
    # container that is stopped. This process alone decides what they mean: the server and its
    # children inherit a mask that keeps them away, or a training that is broken off would count as
    # failed. The resource tracker is started first, because starting it lifts the mask.
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before


def _context() -> ForkServerContext | SpawnContext:
    if "forkserver" in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("forkserver")
    return multiprocessing.get_context("spawn")


def _work(
    sender: connection.Connection,
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    log: Path,
) -> None:
    """Run in the child: call the function and send its result, or a Failure with the reason."""
    # Where there is no fork server, nothing has kept Ctrl-C from this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent()
    _redirect_output(log)
    outcome: Any
    try:
        outcome = function(*arguments)
    except DivergedError as error:
        outcome = Failure(str(error))
    except BaseException as error:  # the trial boundary: any error is one failed training
        traceback.print_exc()
        outcome = Failure(_describe_error(error))
    sys.stdout.flush()
    sys.stderr.flush()
    sender.send(outcome)
    sender.close()


def _die_with_parent() -> None:
    """End this process when its parent is gone, even if the parent was killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _redirect_output(log: Path) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    # A network may print any sign, whatever the terminal that the search was started from takes.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def _describe_error(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, SESearchError):
        return text  # it names the cause by itself
    if isinstance(error, MemoryError) or "out of memory" in text.lower():
        return f"out of memory: {text or 'an allocation failed'}"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _describe_death(exit_code: int | None) -> str:
    if exit_code is None or exit_code >= 0:
        return f"the training process ended without a result (exit code {exit_code})"
    name = signal.Signals(-exit_code).name
    hint = "; the system does that when memory runs out" if name == "SIGKILL" else ""
    return f"the training process was killed by {name}{hint}"
