"""Deals out the places of a cluster, whose nodes join and leave."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from se_search.execution.device_pool import DevicePool
from se_search.execution.remote import NodePlace


class NodePool(DevicePool[NodePlace]):
    """The places on the nodes of a cluster, of which a limited number is taken at a time.

    Args:
        places: of all nodes.
        limit: trainings at a time; None: any number.
    """

    def __init__(self, places: Sequence[NodePlace], limit: int | None = None) -> None:
        super().__init__(places)
        self._limit = limit
        self._num_taken = 0

    def take(self, avoided: Collection[str] = ()) -> NodePlace | None:
        """Take a free place; see ``DevicePool``."""
        return self._count(super().take(avoided))

    def take_alone(self, name: str) -> NodePlace | None:
        """Take a place of a node on which no training runs; None: some do."""
        return self._count(super().take_alone(name))

    def give_back(self, device: NodePlace) -> None:
        """Free the place of a training that has ended, unless its node has left."""
        self._num_taken -= 1
        super().give_back(device)

    def share(self, device: NodePlace) -> float:
        """Return the share of a device that a place of it is."""
        return device.share

    def _list_free(self, avoided: Collection[str] = ()) -> list[NodePlace]:
        free = super()._list_free(avoided)
        return free if self._limit is None else free[: max(0, self._limit - self._num_taken)]

    def _count(self, place: NodePlace | None) -> NodePlace | None:
        self._num_taken += place is not None
        return place


def list_places(nodes: Sequence[Sequence[NodePlace]]) -> list[NodePlace]:
    """Return the places of nodes in turn, so that few trainings are spread over many nodes."""
    most = max(map(len, nodes), default=0)
    return [places[i] for i in range(most) for places in nodes if i < len(places)]


class JobPool(NodePool):
    """Places that are jobs of a batch system: each has memory and a node of its own.

    So a training that lacked memory waits for no other one to end, and no place is put aside: which
    node a job gets is the batch system's business.
    """

    def reserve(self, name: str) -> None:
        """Reserve nothing."""

    def end_reservation(self, name: str) -> None:
        """Reserve nothing."""

    def take_alone(self, name: str) -> NodePlace | None:
        """Take any place: each has its memory to itself."""
        return self.take()

    def note_failure(self, name: str) -> bool:
        """Put nothing aside."""
        return False
