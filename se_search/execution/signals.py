"""Turns signals into a request to stop, which ``drive`` reads between two steps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from se_search.record import Stop

STOP_SECONDS = {Stop.AFTER_RUNNING: 30.0, Stop.SOON: 5.0}  # docker stop kills after 10
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)  # what asks a command to stop


class StopSignals:
    """While entered: one Ctrl-C asks for a stop after what runs, SIGTERM for one soon.

    Ctrl-C after another signal asks for a stop now. SIGUSR1, by which a batch system warns that the
    time is nearly up, is taken for SIGTERM.

    Args:
        note: told in a sentence what each signal causes.

    Attributes:
        number: SIGINT or SIGTERM, the last that came; None: none did.
    """

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._urgency = Stop.NO
        self._before: dict[int, Any] = {}
        self._notes: list[threading.Thread] = []
        self.number: int | None = None

    def __call__(self) -> Stop:
        """Return how urgent the stop is that has been asked for."""
        return self._urgency

    def __enter__(self) -> StopSignals:
        for number in STOPPING:
            self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        for note in self._notes:
            note.join()

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        self.number = signal.SIGINT if number == signal.SIGINT else signal.SIGTERM
        if self.number == signal.SIGTERM:  # may come twice, from a batch system and from a shell
            self._urgency = max(self._urgency, Stop.SOON)
        else:
            self._urgency = Stop.NOW if self._urgency != Stop.NO else Stop.AFTER_RUNNING
        # In a thread of its own: the signal may have come in the midst of another print, and a
        # stream refuses to be written to by the thread that is writing to it.
        before = self._notes[-1] if self._notes else None
        note = threading.Thread(target=self._say, args=(_describe_stop(self._urgency), before))
        self._notes.append(note)
        note.start()

    def _say(self, text: str, before: threading.Thread | None) -> None:
        if before is not None:
            before.join()
        self._note(text)


def _describe_stop(urgency: Stop) -> str:
    if urgency == Stop.NOW:
        return (
            "Stopping now: what is broken off goes on from its last state, or is made again, by "
            "the same command."
        )
    return (
        f"Stopping within {STOP_SECONDS[urgency]:g} seconds: trainings that end by then are let "
        "end, longer ones save their states now, and the same command goes on from there. "
        "Ctrl-C stops at once."
    )
