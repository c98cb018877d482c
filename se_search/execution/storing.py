"""Hands the outcomes of trainings to what stores them, again and again where that fails.

A disk that is full or away is no reason to lose a training that has ended, nor one that runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from se_search.errors import StorageError
from se_search.record import Effort, Evaluation, Failure

PATIENCE = 300.0  # seconds that outcomes wait to be stored, once nothing runs any more
LONGEST_PAUSE = 15.0  # seconds between two attempts; the first one is a second


@dataclass(frozen=True, slots=True)
class Room:
    """What is done when results can't be stored.

    Attributes:
        make: gives reserved bytes free; returns whether there were any.
        note: told that results can't be stored.
        patience: seconds that results wait to be stored, once nothing runs any more.
        clock: tells the seconds.
        sleep: waits for a number of seconds.
    """

    make: Callable[[], bool] = lambda: False
    note: Callable[[str], None] = lambda _: None
    patience: float = PATIENCE
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class Storing:
    """Stores outcomes, and keeps those in memory that can't be stored now.

    Args:
        end: takes the outcome of an assignment by its number; called again after a StorageError.
        release: takes back an assignment that was broken off, with what it has taken.
        room: what is done when results can't be stored.

    Attributes:
        error: the first error of the storage, while nothing more should begin because of it. It is
            forgotten when all has been stored, unless reserved bytes were needed for that.
    """

    def __init__(
        self,
        end: Callable[[int, Evaluation | Failure], None],
        release: Callable[[int, Effort | None], None],
        room: Room,
    ) -> None:
        self.error: StorageError | None = None
        self._end = end
        self._release = release
        self._room = room
        self._kept: dict[int, Evaluation | Failure] = {}
        self._next_attempt = 0.0
        self._pause = 1.0
        self._is_final = False
        self._idle_since: float | None = None

    def end(self, number: int, outcome: Evaluation | Failure) -> None:
        """Store an outcome, or keep it."""
        self._kept[number] = outcome
        self._try()

    def release(self, number: int, effort: Effort | None) -> None:
        """Note that an assignment was broken off; a note that can't be stored is left out."""
        try:
            self._release(number, effort)
        except StorageError as error:  # what the files say of it means that it is made again
            self.stop(error)

    def stop(self, error: StorageError) -> None:
        """Note an error after which nothing more should begin, even if the storage comes back."""
        self._is_final = True
        self._note(error)

    def wait(self) -> bool:
        """Try again what is due, as nothing runs; return False when nothing is to be waited for."""
        now = self._room.clock()
        self._idle_since = now if self._idle_since is None else self._idle_since
        if not self._kept or now - self._idle_since > self._room.patience:
            return False
        if now >= self._next_attempt:
            self._try()
        if self._kept:
            self._room.sleep(0.5)  # a stop signal is asked for as often
        return bool(self._kept) or self.error is None

    def give_up(self) -> int:
        """Let what can't be stored be made again; return how many outcomes are lost."""
        if self._kept:
            self._try()
        lost, self._kept = list(self._kept), {}
        for number in lost:
            with suppress(StorageError):
                self._release(number, None)
        return len(lost)

    def try_again(self) -> None:
        """Try again what is due, while other trainings run."""
        if self._kept and self._room.clock() >= self._next_attempt:
            self._try()

    def _note(self, error: StorageError) -> None:
        if self.error is None:
            self.error = error
            self._room.note(
                f"{error}. Nothing more begins; what runs goes on, and what has ended is kept"
            )

    def _try(self) -> None:
        for number in list(self._kept):
            try:
                self._store(number)
            except StorageError as error:
                self._note(error)
                self._next_attempt = self._room.clock() + self._pause
                self._pause = min(2 * self._pause, LONGEST_PAUSE)
                return
        self._pause = 1.0
        if self.error is not None and not self._is_final:
            self.error = None
            self._room.note("All that had ended is stored now, and trainings begin again")

    def _store(self, number: int) -> None:
        try:
            self._end(number, self._kept[number])
        except StorageError as error:
            self._note(error)
            if not self._room.make():
                raise
            self._is_final = True
            self._end(number, self._kept[number])
        del self._kept[number]
