"""Child processes: a fresh one for each training, forked from a warm server.

The server has imported PyTorch and Lightning once, and has touched no device and no thread pool, so
that a child starts in a tenth of a second. A child that dies or raises hands back a Failure.
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection, forkserver, resource_tracker
from multiprocessing.context import ForkServerContext, ForkServerProcess, SpawnContext, SpawnProcess
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

from se_search.errors import (
    BrokenOffError,
    DivergedError,
    InfrastructureError,
    RankDiedError,
    SESearchError,
    explain,
)
from se_search.execution.faults import count_memory_kills, explain_death, explain_error
from se_search.execution.signals import STOPPING
from se_search.parent_death import COORDINATOR
from se_search.record import EpochRow, Failure

Result = TypeVar("Result")
Process = ForkServerProcess | SpawnProcess

SERVER = "se_search.execution.server"  # acts as it is imported, so that only a server may do so
KEPT_AWAY = (*STOPPING, signal.SIGUSR2)  # by which submitit has Slurm warn all of a job
TELL_SECONDS = 1.0  # between two messages by which a child says that it goes on
START_PAUSES = (0.05, 0.5, 5.0)  # seconds before each further attempt to start a child


@runtime_checkable
class Telling(Protocol):
    """A function that tells how far it has come while it runs."""

    def telling(self, tell: Callable[[EpochRow], None]) -> Callable[..., Any]:
        """Return the function as it calls ``tell`` after each epoch."""


@dataclass(slots=True)
class Child:
    """A process that calls one function.

    Attributes:
        receiver: is ready to be read when the child has told how far it has come, has sent its
            result or has died.
        started: when it was started, by ``time.monotonic``.
        went_on: when it was last known to go on.
    """

    receiver: connection.Connection
    started: float
    went_on: float
    _orders: connection.Connection
    _process: Process
    _memory_kills: int | None

    @classmethod
    def start(
        cls,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        log: Path,
        threads: int,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> Child:
        """Start a process.

        Args:
            function: what it calls; picklable, as are the arguments and the result.
            arguments: what the function is called with, and after them until when it shall have
                ended, an ``Until``.
            log: file that takes what the child prints, and the tracebacks of errors.
            threads: CPU threads of the child.
            environment: variables that the child has besides those of its server.
        """
        receiver, sender = _context().Pipe(duplex=False)
        orders, giver = _context().Pipe(duplex=False)
        memory_kills = count_memory_kills()
        process = _start_process(
            (sender, orders, function, arguments, log, dict(environment)), threads
        )
        # Closed here, so that the child's death ends the pipe.
        sender.close()
        orders.close()
        now = time.monotonic()
        return cls(receiver, now, now, giver, process, memory_kills)

    def ask_to_end(self, until: float) -> None:
        """Tell the child until when it shall have ended, by ``time.monotonic``."""
        with suppress(BrokenPipeError):  # it has ended
            self._orders.send(until)

    def has_message(self) -> bool:
        """Tell whether ``receive`` returns at once."""
        return self.receiver.poll()

    def receive(self) -> Any:
        """Return what the child sent: epochs and that it goes on, then its result.

        If it died before, its result is a Failure.
        """
        try:
            message = self.receiver.recv()
        except EOFError:
            self._process.join()
            message = explain_death(self._process.exitcode, _count_since(self._memory_kills))
        if isinstance(message, EpochRow | GoesOn):
            self.went_on = time.monotonic()
        else:
            self._end()
        return message

    def kill(self) -> None:
        """End the child at once."""
        # Through the system: once its server is dead, multiprocessing takes the child to be dead.
        # A child whose pipe is open lives, and so its number is nobody else's.
        if not self.receiver.closed and not _has_ended(self.receiver):
            assert self._process.pid is not None
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)
        self._end()

    def _end(self) -> None:
        self._process.join()
        self.receiver.close()
        self._orders.close()


def _count_since(memory_kills: int | None) -> int | None:
    """Return how many processes the system has killed for memory beyond an earlier count."""
    now = count_memory_kills()
    return None if now is None or memory_kills is None else now - memory_kills


class GoesOn(NamedTuple):
    """A child's message that it takes steps."""


class Until:
    """Until when a child shall have ended, by ``time.monotonic``; None: nobody has asked it to.

    That clock is one for all processes of a machine on Linux and macOS. A child that asks goes on,
    and so the coordinator is told.
    """

    def __init__(self, orders: connection.Connection, sender: connection.Connection) -> None:
        self._orders = orders
        self._sender = sender
        self._time: float | None = None
        self._told = 0.0

    def __call__(self) -> float | None:
        """Return what has been asked for last."""
        now = time.monotonic()
        with suppress(EOFError, OSError):  # whoever asks is gone, and so is this process soon
            if now - self._told > TELL_SECONDS:
                self._told = now
                self._sender.send(GoesOn())
            while self._orders.poll():
                self._time = self._orders.recv()
        return self._time


def _start_process(arguments: tuple[Any, ...], threads: int) -> Process:
    for pause in (*START_PAUSES, None):
        process = _context().Process(target=_work, args=arguments)
        try:
            with _as_server_starts(threads):
                process.start()
            return process
        except (EOFError, OSError) as error:
            # The server is dying: once it is dead, the next attempt starts it anew.
            if pause is None:
                reason = f"no process can be started: {explain(error)}"
                raise InfrastructureError(reason) from error
            time.sleep(pause)
    raise AssertionError("the last attempt returns or raises")


def _has_ended(receiver: connection.Connection) -> bool:
    """Tell whether the other end of a pipe is closed and everything has been read."""
    try:
        while receiver.poll():
            receiver.recv()
    except EOFError:
        return True
    return False


def call_in_child(
    function: Callable[[], Result],
    log: Path,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Result:
    """Call a function in a child process and return what it returns.

    Raises:
        SESearchError: the function raised, or the child died.
    """
    child = Child.start(_call, (function,), log, threads=1, environment=environment)
    outcome = child.receive()
    if isinstance(outcome, Failure):
        raise SESearchError(f"{outcome.reason} (more in {log})")
    result: Result = outcome
    return result


def _call(function: Callable[[], Result], _until: Until) -> Result:
    return function()


@contextmanager
def without_main() -> Iterator[None]:
    """Have children that are started meanwhile not import the program that this process runs.

    A worker of a cluster runs a program of the cluster, which is no part of a training.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def warm_up(preload: Sequence[str], threads: int) -> None:
    """Start the server that children are forked from.

    Args:
        preload: modules that the server imports before the first child.
        threads: CPU threads of each child; libraries read the number as they are imported.
    """
    context = _context()
    if not isinstance(context, ForkServerContext):
        return
    context.set_forkserver_preload([SERVER, *preload])
    # Started first, because starting it lifts the mask that the server is started with.
    resource_tracker.ensure_running()
    with _as_server_starts(threads):
        forkserver.ensure_running()


@contextmanager
def _as_server_starts(threads: int) -> Iterator[None]:
    """Set, while a server may be started, what it and its children inherit.

    Ctrl-C reaches the whole process group, and so does SIGTERM from timeout, a batch system or a
    container that is stopped. This process alone decides what they mean: the server and its
    children inherit a mask that keeps them away, or a training that is broken off would count as
    failed.
    """
    inherited = {"OMP_NUM_THREADS": str(threads), COORDINATOR: str(os.getpid())}
    before = {name: os.environ.get(name) for name in inherited}
    os.environ.update(inherited)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, KEPT_AWAY)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _context() -> ForkServerContext | SpawnContext:
    if "forkserver" in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("forkserver")
    return multiprocessing.get_context("spawn")


def _work(
    sender: connection.Connection,
    orders: connection.Connection,
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    log: Path,
    environment: Mapping[str, str],
) -> None:
    """Run in the child: call the function and send its result, or a Failure with the reason."""
    # Where there is no fork server, nothing has kept Ctrl-C from this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent()
    os.environ.update(environment)
    memory_kills = count_memory_kills()
    outcome: Any
    try:
        _redirect_output(log)
        # A row is shorter than what a pipe takes at once: nobody reads half of one.
        told = function.telling(sender.send) if isinstance(function, Telling) else function
        outcome = told(*arguments, Until(orders, sender))
    except (DivergedError, BrokenOffError) as error:
        outcome = explain_error(error)
    except RankDiedError as error:  # as if this process had died so
        outcome = explain_death(error.process_exit, _count_since(memory_kills))
    except BaseException as error:  # the trial boundary: any error is one failed training
        traceback.print_exc()
        outcome = explain_error(error)
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


class _LosingFile(io.FileIO):
    """An open file descriptor that loses what its disk has no room for: no training fails by it."""

    def write(self, data: bytes) -> int:  # type: ignore[override]  # the buffer's memoryviews
        try:
            return super().write(data) or 0
        except OSError:
            return len(data)


def _redirect_output(log: Path) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    sys.stdout, sys.stderr = _open_stream(1), _open_stream(2)


def _open_stream(descriptor: int) -> io.TextIOWrapper:
    return io.TextIOWrapper(
        io.BufferedWriter(_LosingFile(descriptor, "w", closefd=False)),  # type: ignore[type-var]  # its write takes what FileIO's does
        # A network may print any sign, whatever the terminal of the search takes.
        encoding="utf-8",
        errors="backslashreplace",
        line_buffering=descriptor == 2,
    )
