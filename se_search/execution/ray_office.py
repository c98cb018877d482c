"""The post between nodes of a Ray cluster and the coordinator: an actor beside the coordinator.

Imported only where Ray is installed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import ray

from se_search.execution.node_data import Cursor, Parcel, read_all
from se_search.execution.posts import Kept, Orders, Part
from se_search.execution.supervise import NodeJob, Supervisor


class Office:
    """Holds messages until they are fetched: from nodes, and orders to them.

    Args:
        parcel: the files that nodes may ask for.
    """

    def __init__(self, parcel: Parcel) -> None:
        self._parcel = parcel
        self._messages: deque[tuple[int, Any]] = deque()
        self._has_come = asyncio.Event()
        self._ends: dict[int, float] = {}  # of attempts that were asked to end, by the loop's time
        self._events: dict[int, asyncio.Event] = {}

    async def put(self, key: int, message: Any) -> None:
        """Take a message of a node."""
        self._messages.append((key, message))
        self._has_come.set()

    async def take(self, timeout: float) -> list[tuple[int, Any]]:
        """Return all messages; waits up to ``timeout`` seconds for the first, or for ``wake``."""
        if not self._messages:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._has_come.wait(), timeout)
        self._has_come.clear()
        taken = list(self._messages)
        self._messages.clear()
        return taken

    async def wake(self) -> None:
        """Have ``take`` return at once."""
        self._has_come.set()

    async def order(self, key: int, seconds: float) -> None:
        """Ask an attempt to have ended in some seconds."""
        self._ends[key] = asyncio.get_running_loop().time() + seconds
        self._has_order(key).set()

    async def wait_for_order(self, key: int) -> float:
        """Return the seconds that are left of the next order, for which it waits."""
        has_order = self._has_order(key)
        await has_order.wait()
        has_order.clear()
        loop = asyncio.get_running_loop()
        return self._ends.get(key, loop.time()) - loop.time()

    async def forget(self, key: int) -> None:
        """Let go of an attempt that has ended."""
        self._ends.pop(key, None)
        has_order = self._events.pop(key, None)
        if has_order is not None:
            has_order.set()

    async def read(self, name: str, cursor: Cursor) -> tuple[list[Part], Cursor | None]:
        """Return the next files of what trainings need; see ``Parcel.read``."""
        return await asyncio.to_thread(self._parcel.read, name, cursor)

    def _has_order(self, key: int) -> asyncio.Event:
        return self._events.setdefault(key, asyncio.Event())


class RayPost:
    """A node's end of the post.

    Args:
        office: the actor.
        key: the coordinator's name of the attempt.
        kept: files that earlier attempts have left.
    """

    def __init__(self, office: Any, key: int, kept: Sequence[Kept]) -> None:
        self._office = office
        self._key = key
        self._kept = kept
        self._last: Any = None  # the call that brings the last message
        self._orders = Orders()
        self._num_orders = 0
        self._order: Any = None

    def send(self, message: Any) -> None:
        """Send a message once the one before has come: an actor takes calls in any order."""
        self.flush()
        self._last = self._office.put.remote(self._key, message)

    def seconds_left(self) -> float | None:
        """Return in how many seconds the training shall have ended; None: nobody has asked."""
        if self._order is None:
            self._order = self._office.wait_for_order.remote(self._key)
        ready, _ = ray.wait([self._order], timeout=0)
        if ready:
            self._num_orders += 1
            self._orders.take(self._num_orders, ray.get(self._order))
            self._order = None
        return self._orders.seconds_left()

    def fetch_kept(self) -> list[Kept]:
        """Return the files that earlier attempts have left."""
        return list(self._kept)

    def fetch_parts(self, name: str) -> Iterator[Part]:
        """Yield the files of what trainings need."""
        return read_all(lambda cursor: ray.get(self._office.read.remote(name, cursor)))

    def flush(self) -> None:
        """Return when all messages have come."""
        if self._last is not None:
            ray.get(self._last)
            self._last = None


def train_on_node(job: NodeJob, office: Any, key: int, node: str, kept: Sequence[Kept]) -> Any:
    """Train on this node, and return how it ended; what Ray calls."""
    return Supervisor(job, RayPost(office, key, kept), node)()
