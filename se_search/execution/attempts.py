"""What the executor needs of the places that trainings run on, and of what starts them there.

A training is begun by an attempt; each further attempt at it begins anew, or from its last state.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Protocol, TypeVar

from se_search.candidate import Candidate
from se_search.record import Assignment


class Place(Protocol):
    """Where one training runs at a time."""

    @property
    def name(self) -> str:
        """Of the device, or of the machine, that fails or works as a whole; it has more places."""

    @property
    def accelerator(self) -> str:
        """``cpu``, ``cuda`` or ``mps``."""

    @property
    def num_devices(self) -> int:
        """How many devices train one network there."""


PlaceT = TypeVar("PlaceT", bound=Place)
TakenT = TypeVar("TakenT", bound=Place, contravariant=True)


class Attempt(Protocol):
    """A training that runs, as whoever has started it sees it."""

    @property
    def started(self) -> float:
        """When it began, by ``time.monotonic``; now, if it still waits to begin."""

    @property
    def went_on(self) -> float:
        """When it was last known to go on, by ``time.monotonic``."""

    def has_message(self) -> bool:
        """Tell whether ``receive`` returns at once."""

    def receive(self) -> Any:
        """Return what came next: epochs and that it goes on, then its result or a Failure."""

    def ask_to_end(self, until: float) -> None:
        """Ask it to have ended at a time, by ``time.monotonic``."""


StartedT = TypeVar("StartedT", bound=Attempt)


class Launcher(Protocol[TakenT, StartedT]):
    """Begins trainings on places."""

    def launch(self, number: int, assignment: Assignment[Candidate], place: TakenT) -> StartedT:
        """Begin a training; the number is that of its trial."""

    def wait(self, attempts: Sequence[StartedT], timeout: float) -> None:
        """Return when one of the attempts has a message, or after ``timeout`` seconds."""

    def kill(self, attempts: Sequence[StartedT]) -> None:
        """End attempts at once; nothing of them runs any more."""

    def forget(self, assignment: Assignment[Candidate]) -> None:
        """Remove the states of a training that nobody will go on with."""


class Pool(Protocol[PlaceT]):
    """The places that trainings run on; see ``DevicePool``."""

    def count_free(self, avoided: Collection[str] = ()) -> int:
        """Count the places that ``take`` would choose among."""

    def take(self, avoided: Collection[str] = ()) -> PlaceT | None:
        """Take a free place, if possible of none of these names; None: there is none now."""

    def share(self, place: PlaceT) -> float:
        """Return how many devices a place takes, or which share of one."""

    def reserve(self, name: str) -> None:
        """Let no other training start on the places of a name until ``end_reservation``."""

    def end_reservation(self, name: str) -> None:
        """Let trainings start there again, unless another one wants them to itself."""

    def take_alone(self, name: str) -> PlaceT | None:
        """Take a place of a reserved name if no training runs there; None: some do."""

    def give_back(self, place: PlaceT) -> None:
        """Free the place of a training that has ended."""

    def note_success(self, name: str) -> None:
        """Note that a device works."""

    def note_failure(self, name: str) -> bool:
        """Note a failure by a fault of the machine; tell whether it is put aside for it."""

    def readmit(self, names: Collection[str]) -> None:
        """Let trainings start again where failures were none of the machine's."""

    def has_others(self, names: Collection[str]) -> bool:
        """Tell whether there are places of other names, those put aside not counted."""

    def is_aside(self, name: str) -> bool:
        """Tell whether no training starts there any more."""
