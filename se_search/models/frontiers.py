"""Frontiers: moments of a forward pass from which a network can go on with outputs that were kept.

At a frontier some modules' calls are done. A run that goes on from there does not make them again:
where something that still runs reads the output of a call that is done, it gets the kept one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from se_search.models.recording import Recording

BYTES = 4  # of a number in a feature map


@dataclass(frozen=True, slots=True)
class Timeline:
    """When each call of a forward pass begins and ends, in events from 0.

    Attributes:
        enters: for each call the event at which it begins.
        ends: for each call the event at which its module's ``forward`` ends.
        leaves: for each call the event at which it ends, behind the hooks on its output.
        calls: the positions of each module's calls, by its path.
        numbers: the position of each call, by the position of the call around it (-1: none), its
            path, and how often its module has been called before in the call around it.
    """

    enters: tuple[int, ...]
    ends: tuple[int, ...]
    leaves: tuple[int, ...]
    calls: Mapping[str, Sequence[int]]
    numbers: Mapping[tuple[int, str, int], int]


@dataclass(frozen=True, slots=True)
class Output:
    """An output that can be kept.

    Attributes:
        call: position of the call.
        is_gated: whether it is that of the call, or that of the module's ``forward`` alone, before
            the hooks on it.
    """

    call: int
    is_gated: bool


@dataclass(frozen=True, slots=True)
class Frontier:
    """A moment from which a network can go on.

    Attributes:
        event: what ends before this event is done.
        done: the outputs of calls that are done and that are not inside another one.
        read: those of them that something reads that still runs.
    """

    event: int
    done: frozenset[Output]
    read: frozenset[Output]


def make_timeline(recording: Recording) -> Timeline:
    """Return when each call of a recorded forward pass begins and ends."""
    num_calls = len(recording.calls)
    enters, leaves = [0] * num_calls, [0] * num_calls
    numbers: dict[tuple[int, str, int], int] = {}
    counts: Counter[tuple[int, str]] = Counter()
    running: list[int] = []
    event = 0

    def leave_until(parent: int) -> None:
        nonlocal event
        while running and running[-1] != parent:
            event += 1  # at which forward ends
            leaves[running.pop()] = event
            event += 1

    for number, call in enumerate(recording.calls):
        leave_until(call.parent)
        enters[number] = event
        event += 1
        running.append(number)
        numbers[call.parent, call.path, counts[call.parent, call.path]] = number
        counts[call.parent, call.path] += 1
    leave_until(-1)
    ends = tuple(leave - 1 for leave in leaves)
    calls: dict[str, list[int]] = {}
    for number, call in enumerate(recording.calls):
        calls.setdefault(call.path, []).append(number)
    return Timeline(tuple(enters), ends, tuple(leaves), calls, numbers)


def find_frontiers(
    recording: Recording, timeline: Timeline, events: Collection[int]
) -> list[Frontier]:
    """Return the frontiers at these events, ascending.

    An event is left out if something that still runs reads what a call that is done has made and
    does not return as its first tensor, as where a module keeps a feature map for another one.
    """
    return [
        frontier
        for event in sorted(events)
        if (frontier := _find_frontier(recording, timeline, event)) is not None
    ]


def choose_frontiers(
    frontiers: Collection[Frontier], recording: Recording, num_images: int, max_bytes: int
) -> list[Frontier]:
    """Return the last frontiers whose outputs fit into memory together, ascending.

    Args:
        frontiers: all frontiers.
        recording: the forward pass, of one image.
        num_images: number of images whose outputs are kept.
        max_bytes: of the memory.
    """
    chosen: list[Frontier] = []
    outputs: set[Output] = set()
    for frontier in sorted(frontiers, key=lambda frontier: -frontier.event):
        together = outputs | frontier.read
        if num_images * _count_bytes(recording, together) > max_bytes:
            break
        chosen.insert(0, frontier)
        outputs = together
    return chosen


def _count_bytes(recording: Recording, outputs: Collection[Output]) -> int:
    # A call and the last one in it may return one tensor, which is kept once.
    values = {(recording.calls[one.call].output, one.is_gated) for one in outputs}
    shapes = [recording.values[value].shape for value, _ in values if value is not None]
    return BYTES * sum(map(math.prod, shapes))


def _find_frontier(recording: Recording, timeline: Timeline, event: int) -> Frontier | None:
    has_ended = [end < event for end in timeline.ends]
    has_left = [leave < event for leave in timeline.leaves]
    read = set()
    for value in _values_read(recording, has_ended, has_left):
        maker = recording.values[value].call
        if not has_ended[maker]:
            continue
        outermost = [call for call in recording.callers(maker) if has_ended[call]][-1]
        if recording.calls[outermost].output != value:
            return None
        read.add(Output(outermost, has_left[outermost]))
    done = {
        Output(number, has_left[number])
        for number, call in enumerate(recording.calls)
        if has_ended[number] and not (call.parent >= 0 and has_ended[call.parent])
    }
    return Frontier(event, frozenset(done), frozenset(read))


def _values_read(
    recording: Recording, has_ended: list[bool], has_left: list[bool]
) -> Iterator[int]:
    """Yield what is read by operations, by hooks and by calls that return, as far as they run."""
    for value in recording.values[1:]:
        if not has_ended[value.call]:
            yield from value.parents
    for number, call in enumerate(recording.calls):
        if not has_ended[number] and call.input is not None:
            yield call.input
        if not has_left[number] and call.output is not None:
            yield call.output
