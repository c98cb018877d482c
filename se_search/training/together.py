"""Trains one network by several processes, a device each, which average their gradients.

This process starts them, passes on what the first one tells, and ends with the first that fails, in
place of which it raises. They end with this process, even if it is killed.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from multiprocessing import connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, Protocol

from se_search.device import Device
from se_search.errors import RankDiedError, list_causes
from se_search.parent_death import end_with_parent
from se_search.record import EpochRow, Evaluation
from se_search.training.checkpointing import Until
from se_search.training.rank import Rank, joined

TELL_SECONDS = 0.25  # between two messages by which the first rank says that it goes on


class RankWork(Protocol):
    """What each rank does; a picklable value."""

    def __call__(
        self, *, tell: Callable[[EpochRow], None] | None, until: Until, rank: Rank
    ) -> Evaluation:
        """Train; that of rank 0 is the Evaluation that is handed back."""


def train_together(
    work: RankWork, device: Device, tell: Callable[[EpochRow], None] | None, until: Until
) -> Evaluation:
    """Return the Evaluation of a training by a rank for each of a device's GPUs.

    Args:
        work: what each rank does.
        device: whose ``num_devices`` are trained on.
        tell: handed a row after each epoch; None: nobody is told.
        until: asked while the first rank takes steps; see ``evaluate``.

    Raises:
        RankDiedError: a rank has died without a word.
        Exception: what the first rank to fail has raised.
    """
    with TemporaryDirectory(prefix="se-search-ranks-") as folder:
        # Fresh processes, for this one may have touched threads and devices.
        context = multiprocessing.get_context("spawn")
        ranks = []
        try:
            for index in range(device.num_devices):
                ranks.append(_start(context, index, device, work, Path(folder) / "meeting"))
            return _follow(ranks, tell, until)
        finally:
            for each in ranks:
                each.process.kill()
            for each in ranks:
                each.process.join()
                each.receiver.close()
                each.orders.close()


class _Started(NamedTuple):
    process: Any
    receiver: connection.Connection
    orders: connection.Connection


class _GoesOn(NamedTuple):
    """The first rank's message that it takes steps."""


def _start(context: Any, index: int, device: Device, work: RankWork, meeting: Path) -> _Started:
    receiver, sender = context.Pipe(duplex=False)
    orders, giver = context.Pipe(duplex=False)
    arguments = (index, device, work, meeting, os.getpid(), sender, orders)
    process = context.Process(target=_train, args=arguments, daemon=False)
    process.start()
    sender.close()  # here, so that the rank's death ends the pipe
    orders.close()
    return _Started(process, receiver, giver)


def _follow(
    ranks: list[_Started], tell: Callable[[EpochRow], None] | None, until: Until
) -> Evaluation:
    """Pass on what ranks say, and what they are told, until all have ended."""
    by_receiver = {each.receiver: each for each in ranks}
    evaluations: dict[connection.Connection, Evaluation] = {}
    asked: float | None = None
    while len(evaluations) < len(ranks):
        for receiver in connection.wait([r for r in by_receiver if r not in evaluations]):
            assert isinstance(receiver, connection.Connection)
            try:
                message = receiver.recv()
            except EOFError:
                process = by_receiver[receiver].process
                process.join()
                raise RankDiedError(process.exitcode) from None
            if isinstance(message, list):
                raise _chain(message)
            if isinstance(message, Evaluation):
                evaluations[receiver] = message
            elif isinstance(message, EpochRow) and tell is not None:
                tell(message)
        # Only now, so that nobody takes ranks that hang for ones that take steps.
        now = until()
        if now != asked:
            asked = now
            with suppress(BrokenPipeError):  # it has died, which is read next
                ranks[0].orders.send(now)
    return evaluations[ranks[0].receiver]


def _train(
    index: int,
    device: Device,
    work: RankWork,
    meeting: Path,
    parent: int,
    sender: connection.Connection,
    orders: connection.Connection,
) -> None:
    """Run in a rank: train, and send the Evaluation, or what has been raised."""
    end_with_parent(parent)
    until = _Asked(orders, sender if index == 0 else None)
    tell = sender.send if index == 0 else None
    try:
        with joined(index, device.num_devices, device, meeting) as rank:
            sender.send(work(tell=tell, until=until, rank=rank))
    except BaseException as error:  # whatever it is, the process that has started the ranks raises
        traceback.print_exc()
        sender.send([_make_portable(each) for each in list_causes(error)])
        # Others would fail by this one's end: the cause is to be heard first.
        connection.wait([orders])


class _Asked:
    """Until when the training shall have ended, as the process that has started it says."""

    def __init__(self, orders: connection.Connection, sender: connection.Connection | None) -> None:
        self._orders = orders
        self._sender = sender
        self._time: float | None = None
        self._told = 0.0

    def __call__(self) -> float | None:
        now = time.monotonic()
        if self._sender is not None and now - self._told > TELL_SECONDS:
            self._told = now
            self._sender.send(_GoesOn())
        while self._orders.poll():
            self._time = self._orders.recv()
        return self._time


def _make_portable(error: BaseException) -> BaseException:
    """Return an exception that can be sent, with the message and, if it can be, the class."""
    try:
        sent: BaseException = pickle.loads(pickle.dumps(error))  # our own bytes, to see if it works
    except Exception:  # classes may have whatever constructor they like
        return RuntimeError(f"{type(error).__name__}: {error}")
    return sent


def _chain(errors: list[BaseException]) -> BaseException:
    """Return the first of some exceptions, each of which the next one has caused."""
    for error, cause in pairwise(errors):
        error.__cause__ = cause
    return errors[0]
