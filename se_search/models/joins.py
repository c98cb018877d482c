"""Finds in a recorded forward pass where a branch of convolutions is joined with its input."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from se_search.models.recording import WEIGHTED, Recording, Value
from se_search.models.units import overlaps


@dataclass(frozen=True, slots=True)
class Join:
    """A join of a branch and a shortcut that begin at one value. Values are named by position.

    Attributes:
        end: the value that joins them.
        fork: the value at which they begin.
        branch: the branch's last value.
        shortcut: the shortcut's last value; None: there is none.
        region: the values of the branch.
        call: position of the call of the unit: the innermost that runs the branch and joins it.
        is_tie: whether the shortcut has as many layers with weights as the branch.
    """

    end: int
    fork: int
    branch: int
    shortcut: int | None
    region: frozenset[int]
    call: int
    is_tie: bool = False


def find_joins(recording: Recording, known: Sequence[str]) -> list[Join]:
    """Return joins that have nothing in common, each in a module that is called once.

    They are additions, or, if there are none, concatenations of a branch and its input, or else of
    parallel branches.

    Args:
        recording: a forward pass.
        known: paths of units that are known; joins in them, or around them, are left out.
    """
    for read in (_read_addition, _read_dense_concatenation, _read_parallel_concatenation):
        found = [read(recording, i, value) for i, value in enumerate(recording.values)]
        joins = _choose(recording, (join for join in found if join is not None), known)
        if joins or known:
            return joins
    return []


def find_repeated(recording: Recording) -> list[str]:
    """Return the paths of modules that are called several times and add a branch to its input."""
    num_calls = recording.num_calls()
    found = [_read_addition(recording, i, value) for i, value in enumerate(recording.values)]
    paths = [recording.calls[join.call].path for join in found if join is not None]
    return list(dict.fromkeys(path for path in paths if num_calls[path] > 1))


def _read_addition(recording: Recording, end: int, value: Value) -> Join | None:
    if value.op != "add" or len(set(value.parents)) != 2 or not value.is_feature_map:
        return None
    maps = [recording.values[parent] for parent in value.parents]
    if not all(made.is_feature_map for made in maps) or maps[0].shape != maps[1].shape:
        return None
    fork = value.dominator
    sides = [(_weigh(recording, fork, side), side) for side in value.parents]
    (light, shortcut), (heavy, branch) = sorted(sides)
    # A slice of the input is no shortcut (Res2Net adds slices inside its units).
    is_slice = not light[0] and maps[0].shape[1] < recording.values[fork].shape[1]
    if not heavy[0] or light[0] > 1 or is_slice:
        return None
    return _make_join(recording, end, fork, branch, shortcut, is_tie=light[0] == heavy[0])


def _read_dense_concatenation(recording: Recording, end: int, value: Value) -> Join | None:
    """Read a concatenation of new features with all of those that they are computed from."""
    if value.op != "cat" or len(set(value.parents)) < 2 or not value.is_feature_map:
        return None
    branch = max(value.parents)
    others = set(value.parents) - {branch}

    def joins_others(position: int) -> bool:
        made = recording.values[position]
        return {position} == others or (made.op == "cat" and set(made.parents) == others)

    fork = recording.values[branch].dominator
    while fork > min(others) and not joins_others(fork):
        fork = recording.values[fork].dominator
    if not joins_others(fork):  # a branch of a part of the input, as in ShuffleNetV2
        fork = value.dominator
        if len(others) > 1 or _weigh(recording, fork, min(others))[0]:
            return None
    if not _weigh(recording, fork, branch)[0]:
        return None
    return _make_join(recording, end, fork, branch, None)


def _read_parallel_concatenation(recording: Recording, end: int, value: Value) -> Join | None:
    if value.op != "cat" or len(set(value.parents)) < 2 or not value.is_feature_map:
        return None
    fork = value.dominator
    weights = [_weigh(recording, fork, side)[0] for side in value.parents]
    if sum(weight > 0 for weight in weights) < 2:
        return None
    return _make_join(recording, end, fork, end, None)


def _make_join(
    recording: Recording,
    end: int,
    fork: int,
    branch: int,
    shortcut: int | None,
    is_tie: bool = False,
) -> Join:
    region = frozenset(recording.between(fork, branch) - {fork})
    call = _unit_call(recording, recording.values[end].call, region)
    return Join(end, fork, branch, shortcut, region, call, is_tie)


def _weigh(recording: Recording, fork: int, end: int) -> tuple[int, int]:
    """Return how many layers with weights lie between, and the pixels that they see."""
    inside = recording.between(fork, end) - {fork}
    weighted = [recording.values[i] for i in inside if recording.values[i].op in WEIGHTED]
    return len(weighted), sum(value.kernel for value in weighted)


def _unit_call(recording: Recording, call: int, region: Iterable[int]) -> int:
    """Return the innermost call around the join that also makes weighted layers' outputs."""
    weighted = [i for i in region if recording.values[i].op in WEIGHTED]
    for around in recording.callers(call):
        if any(recording.calls[around].made(i) for i in weighted):
            return around
    return 0


def _choose(recording: Recording, joins: Iterator[Join], known: Sequence[str]) -> list[Join]:
    """Choose joins that lie apart, the smaller ones first, ties of branch and shortcut last."""
    num_calls = recording.num_calls()
    chosen: list[Join] = []
    taken: set[int] = set()
    for join in sorted(joins, key=lambda join: (join.is_tie, len(join.region))):
        path = recording.calls[join.call].path
        is_known = any(overlaps(path, other) for other in known) if path else bool(known)
        if num_calls[path] == 1 and not is_known and not taken & join.region:
            taken |= join.region | {join.end}
            chosen.append(join)
    return chosen
