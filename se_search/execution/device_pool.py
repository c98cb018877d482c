"""Deals out places to trainings, and puts aside devices and machines that fail repeatedly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Generic

from se_search.execution.attempts import PlaceT

FAILURES_IN_A_ROW = 2  # of a device that is put aside


class DevicePool(Generic[PlaceT]):
    """The devices that trainings run on; one that is listed several times has as many places.

    A device is put aside when the second training in a row has failed on it by no fault of its own,
    unless it is the last one.

    Args:
        devices: a place each.
    """

    def __init__(self, devices: Sequence[PlaceT]) -> None:
        self._free = list(devices)
        self._num_places = Counter(device.name for device in devices)
        self._num_failures: Counter[str] = Counter()  # in a row
        self._num_reserved: Counter[str] = Counter()
        self._aside: set[str] = set()

    def count_free(self, avoided: Collection[str] = ()) -> int:
        """Count the places that ``take`` would choose among."""
        return len(self._list_allowed(avoided))

    def take(self, avoided: Collection[str] = ()) -> PlaceT | None:
        """Take a free place; None: there is none now.

        Args:
            avoided: names of devices that are not taken, unless all that remain are among them.
        """
        free = self._list_allowed(avoided)
        if not free:
            return None
        self._free.remove(free[0])
        return free[0]

    def share(self, device: PlaceT) -> float:
        """Return how many devices a place takes, or its share of one; a CPU counts as one."""
        if device.accelerator == "cpu":
            return 1.0
        return device.num_devices / self._num_places[device.name]

    def reserve(self, name: str) -> None:
        """Let no other training start on a device until ``end_reservation``."""
        self._num_reserved[name] += 1

    def end_reservation(self, name: str) -> None:
        """Let trainings start on a device again, unless another one wants it to itself."""
        self._num_reserved[name] -= 1

    def take_alone(self, name: str) -> PlaceT | None:
        """Take a place of a reserved device if no training runs there; None: some do."""
        places = [device for device in self._free if device.name == name]
        if len(places) < self._num_places[name]:
            return None
        self._free.remove(places[0])
        return places[0]

    def give_back(self, device: PlaceT) -> None:
        """Free the place of a training that has ended, unless its machine has left."""
        if device.name in self._num_places:
            self._free.append(device)

    def follow(self, devices: Sequence[PlaceT]) -> None:
        """Have other places from now on, for machines have joined or left.

        Args:
            devices: a place each; those of a device that was there before are as many as then.
        """
        now = Counter(device.name for device in devices)
        self._free = [device for device in self._free if device.name in now]
        self._free += [device for device in devices if device.name not in self._num_places]
        self._num_places = now
        self._aside &= now.keys()

    def note_success(self, name: str) -> None:
        """Note that a device works: its failures are no longer in a row."""
        del self._num_failures[name]

    def note_failure(self, name: str) -> bool:
        """Note that a training failed on a device by no fault of its own.

        Returns:
            Whether the device has been put aside for it.
        """
        self._num_failures[name] += 1
        is_last = self._num_places.keys() - self._aside <= {name}
        if self._num_failures[name] < FAILURES_IN_A_ROW or is_last or name in self._aside:
            return False
        self._aside.add(name)
        return True

    def readmit(self, names: Collection[str]) -> None:
        """Let trainings start again on devices whose failures were not their own."""
        for name in names:
            self._aside.discard(name)
            self.note_success(name)

    def has_others(self, names: Collection[str]) -> bool:
        """Tell whether there are devices besides these, those put aside not counted."""
        return bool(self._num_places.keys() - self._aside - set(names))

    def is_aside(self, name: str) -> bool:
        """Tell whether a device has been put aside, or has left."""
        return name in self._aside or name not in self._num_places

    def _list_allowed(self, avoided: Collection[str]) -> list[PlaceT]:
        return self._list_free(avoided if self.has_others(avoided) else ())

    def _list_free(self, avoided: Collection[str] = ()) -> list[PlaceT]:
        unusable = {*self._aside, *avoided, *+self._num_reserved}
        return [device for device in self._free if device.name not in unusable]
