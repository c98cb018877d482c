"""Carries messages between a training on a node and its coordinator, over a folder of both.

A node sends how far a training has come, what it prints, and the files that it leaves; it is told
when the training shall have ended. Everything in the folder is JSON: nothing of it is ever run.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from se_search.errors import DataError
from se_search.execution.child import GoesOn
from se_search.record import EpochRow
from se_search.store.files import parse_json, write_bytes


class Began(NamedTuple):
    """A training has begun, or goes on after a pause."""

    node: str


class Ran(NamedTuple):
    """How long an attempt ran by the clock of its node; its outcome follows."""

    seconds: float


class Paused(NamedTuple):
    """A training has saved its state, and waits until its batch system starts it again."""

    seconds: float  # that it ran by the clock of its node


class Printed(NamedTuple):
    """What a training, or its node, has printed."""

    text: str


class Kept(NamedTuple):
    """A file that a training leaves.

    Attributes:
        kind: of the folder that it belongs into; see ``carried``.
        name: relative to that folder.
        content: None: the file is gone.
    """

    kind: str
    name: str
    content: bytes | None


class Part(NamedTuple):
    """A file that trainings need, or a piece of it.

    Attributes:
        name: relative to the folder of all of them.
        is_first: whether the file begins with it.
    """

    name: str
    content: bytes
    is_first: bool


class Post(Protocol):
    """What a node has of its coordinator."""

    def send(self, message: Any) -> None:
        """Send a message; messages come in their order."""

    def seconds_left(self) -> float | None:
        """Return in how many seconds the training shall have ended; None: nobody has asked."""

    def fetch_kept(self) -> list[Kept]:
        """Return the files that earlier attempts have left."""

    def fetch_parts(self, name: str) -> Iterator[Part]:
        """Yield the files of what trainings need, ``data`` or ``weights``.

        Raises:
            DataError: nothing is sent this way.
        """

    def flush(self) -> None:
        """Return when all messages have come; raise what has gone wrong with one."""


@dataclass(slots=True)
class Orders:
    """Turns an order into the seconds that are left: clocks differ between machines.

    Attributes:
        clock: tells the seconds of this machine.
    """

    clock: Callable[[], float] = time.monotonic
    _end: float | None = None
    _taken: object = None

    def take(self, order: object, seconds: float) -> None:
        """Take an order, unless it has been taken before.

        Args:
            order: differs from all others of the training.
            seconds: that are left from now on.
        """
        if order != self._taken:
            self._taken = order
            self._end = self.clock() + seconds

    def seconds_left(self) -> float | None:
        """Return how many seconds are left of the order that was taken last."""
        return None if self._end is None else self._end - self.clock()


@dataclass(slots=True)
class FolderPost:
    """A node's end of a folder that the coordinator sees, too.

    Files that a training keeps are not sent: they lie where the coordinator has them. A training
    whose coordinator gives no sign of life any more is asked to end, for the next command would
    make it again beside it.

    Attributes:
        folder: of this attempt alone, in that of all.
        clock: tells the seconds of this machine.
    """

    folder: Path
    clock: Callable[[], float] = time.monotonic
    _orders: Orders | None = None
    _looked: float = -math.inf  # at the folder
    _beat: int | None = None  # when the coordinator gave its last sign of life, by the disk's clock
    _heard: float = 0.0  # when that was seen

    def send(self, message: Any) -> None:
        """Add a line to the file of messages."""
        line = json.dumps(_to_json(message)) + "\n"
        with (self.folder / UP).open("a", encoding="utf-8") as file:
            file.write(line)

    def seconds_left(self) -> float | None:
        """Return in how many seconds the training shall have ended; None: nobody has asked."""
        now = self.clock()
        self._orders = self._orders or Orders(self.clock)
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            with suppress(OSError, ValueError):
                order = parse_json((self.folder / DOWN).read_bytes())
                self._orders.take(order["order"], float(order["seconds"]))
            beat = None
            with suppress(OSError):
                beat = (self.folder.parent / BEAT).stat().st_mtime_ns
            if beat != self._beat or self._heard == 0.0:
                self._beat, self._heard = beat, now
            if now - self._heard > SILENT_SECONDS:
                self._orders.take("silence", END_SECONDS)
        return self._orders.seconds_left()

    def fetch_kept(self) -> list[Kept]:
        """Return nothing: what earlier attempts have left is there."""
        return []

    def fetch_parts(self, name: str) -> Iterator[Part]:
        """Refuse: what trainings need lies on a disk that all nodes share."""
        raise DataError(
            f"the {name} of the trainings are not there: nodes of this kind need a disk that they "
            "share with the coordinator (SE_SEARCH_CACHE, --data-dir)"
        )

    def flush(self) -> None:
        """Return: each message has been written."""


UP = "messages.jsonl"
DOWN = "order.json"
BEAT = "alive"  # is written anew as long as the coordinator lives
BEAT_SECONDS = 20.0
LOOK_SECONDS = 1.0  # between two looks of a node at the folder: many nodes share its disk
SILENT_SECONDS = 600.0  # after which a coordinator counts as gone: a network's disk may hang
END_SECONDS = 60.0  # that trainings have to save their states then


class FolderBox:
    """The coordinator's end of a folder.

    Args:
        folder: of an attempt; made here, for its owner alone.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, mode=0o700)
        self.folder = folder
        self._read = 0
        self._num_orders = 0

    def collect(self) -> list[Any]:
        """Return the messages that have come since the last call."""
        try:
            with (self.folder / UP).open("rb") as file:
                file.seek(self._read)
                new = file.read()
        except OSError:
            return []
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        return [_from_json(parse_json(line)) for line in whole.splitlines()]

    def order(self, seconds: float) -> None:
        """Ask the training to have ended in some seconds."""
        self._num_orders += 1
        order = {"order": self._num_orders, "seconds": seconds}
        write_bytes(self.folder / DOWN, json.dumps(order).encode())


_KINDS: Mapping[str, Callable[..., Any]] = {
    "row": EpochRow,
    "goes_on": GoesOn,
    "began": Began,
    "ran": Ran,
    "paused": Paused,
    "printed": Printed,
}


def _to_json(message: Any) -> dict[str, Any]:
    if isinstance(message, EpochRow):
        return {"kind": "row", **asdict(message)}
    kind = next(name for name, each in _KINDS.items() if type(message) is each)
    return {"kind": kind, **message._asdict()}


def _from_json(value: dict[str, Any]) -> Any:
    kind = value.pop("kind")
    return _KINDS[kind](**value)
