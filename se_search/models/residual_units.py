"""Finds the residual units of a network in a recorded forward pass, and where SE goes in each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import nn

from se_search.backbone import Integration
from se_search.models.attention import Attention, find_self_attention
from se_search.models.joins import Join, find_joins
from se_search.models.recording import VIEWS, WEIGHTED, Call, Recording, Value
from se_search.models.units import Points, Side, overlaps

# Operations behind a branch that SE can stand in front of: layer scale, dropout, a copy.
SCALES = ("mul", "div", "neg", *VIEWS)


@dataclass(frozen=True, slots=True)
class FoundUnit:
    """A unit that joins a branch with what the branch began with.

    Attributes:
        path: path of the module that computes both; ``""`` for the network itself.
        points: attach points; their paths lie inside the unit.
        begins: position of the first call of a module of the branch.
        stride: product of the strides between the image and the unit's output.
        self_attention: the module on the branch in which one feature map is multiplied by another
            as a matrix; None: there is none.
    """

    path: str
    points: Points
    begins: int
    stride: int
    self_attention: Attention | None = None


def find_residual_units(
    model: nn.Module, recording: Recording, known: Sequence[str] = ()
) -> list[FoundUnit]:
    """Return the units whose output is a branch joined with its input or a projection of it.

    A unit's branch has more convolutions than its shortcut, which has at most one. Units of a
    class of which one has such a join are units even where they have none (an inverted residual
    unit with a stride has no shortcut).

    Args:
        model: the network.
        recording: a forward pass of the network.
        known: paths of units that are known already; units that hold one or are in one are left
            out.
    """
    return _Finder(model, recording).describe(find_joins(recording, known), known)


class _Finder:
    def __init__(self, model: nn.Module, recording: Recording) -> None:
        self.model = model
        self.values: list[Value] = recording.values
        self.calls: list[Call] = recording.calls
        self.recording = recording
        self.num_calls = recording.num_calls()
        self.consumers: dict[int, list[int]] = {}
        for position, value in enumerate(self.values):
            for parent in value.parents:
                self.consumers.setdefault(parent, []).append(position)
        self.by_input: dict[int, list[int]] = {}
        self.by_output: dict[int, list[int]] = {}
        for number, call in enumerate(self.calls):
            if self.num_calls[call.path] == 1:
                if call.input is not None:
                    self.by_input.setdefault(call.input, []).append(number)
                if call.output is not None:
                    self.by_output.setdefault(call.output, []).append(number)

    def describe(self, joins: Sequence[Join], known: Sequence[str]) -> list[FoundUnit]:
        paths = [self.calls[join.call].path for join in joins]
        classes = {type(self.model.get_submodule(path)) for path in paths if path}
        more = []
        for number, call in enumerate(self.calls):
            is_apart = not any(overlaps(call.path, other) for other in (*paths, *known))
            if is_apart and call.path and type(self.model.get_submodule(call.path)) in classes:
                join = self._without_shortcut(number, call)
                if join is not None:
                    more.append(join)
        found = [(join, self._describe(join)) for join in (*joins, *more)]
        ordered = sorted(found, key=lambda pair: pair[0].end)
        return [unit for _, unit in ordered if unit is not None]

    def _without_shortcut(self, number: int, call: Call) -> Join | None:
        fork, end = call.input, call.output
        if self.num_calls[call.path] > 1 or fork is None or end is None:
            return None
        region = frozenset(self.recording.between(fork, end) - {fork})
        if not self.values[end].is_feature_map or not region:
            return None
        return Join(end, fork, end, None, region, number)

    def _describe(self, join: Join) -> FoundUnit | None:
        unit = self.calls[join.call]
        places: dict[Integration, tuple[str, Side] | None] = {
            "standard": self._standard(join),
            "pre": self._pre(join),
            "post": self._post(join),
            "identity": self._identity(join),
            "inner": self._inner(join),
        }
        if places["standard"] is None:
            return None
        if join.branch == join.end and self.values[join.end].op == "cat":
            places = {"standard": places["standard"]}  # parallel branches have no other in common
        inside = f"{unit.path}." if unit.path else ""
        points: Points = {
            integration: (place[0].removeprefix(inside) if place[0] != unit.path else "", place[1])
            for integration, place in places.items()
            if place is not None
        }
        begins = min(self.calls_inside(join), default=join.call)
        return FoundUnit(
            unit.path,
            points,
            begins,
            self.values[join.end].stride,
            find_self_attention(self.model, self.recording, join.region),
        )

    def calls_inside(self, join: Join) -> list[int]:
        return [self.values[i].call for i in join.region if self.values[i].call > join.call]

    # --- attach points ------------------------------------------------------------------------

    def _standard(self, join: Join) -> tuple[str, Side] | None:
        for alike in self._back_to_branch(join.branch):
            point = self._point(join, alike)
            if point is not None:
                return point
        # Branches that are joined by their concatenation: SE goes on what the unit makes of it.
        return self._post(join) if join.branch == join.end else None

    def _pre(self, join: Join) -> tuple[str, Side] | None:
        start = join.fork
        for _ in range(3):  # a norm and an activation that are functions, not modules
            if not self.values[start].is_feature_map:  # flattened for a Conv1d
                return None
            begun = [i for i in self.consumers.get(start, ()) if i in join.region]
            for number in self._inside(join, self.by_input.get(start, ())):
                if begun and all(self.calls[number].made(i) for i in begun):
                    return self.calls[number].path, "before"
            if len(begun) != 1 or self.values[begun[0]].op in WEIGHTED:
                return None
            start = begun[0]
        return None

    def _post(self, join: Join) -> tuple[str, Side] | None:
        unit = self.calls[join.call]
        end = unit.output
        if not unit.path or end is None or not self.values[end].is_feature_map:
            return None
        behind = self.recording.between(join.end, end) - {join.end}
        is_reached = end == join.end or bool(behind)
        if not is_reached or any(self.values[i].op in (*WEIGHTED, "add", "cat") for i in behind):
            return None
        return unit.path, "after"

    def _identity(self, join: Join) -> tuple[str, Side] | None:
        if join.shortcut is None:
            return None
        for alike in self._back_to_branch(join.shortcut):
            point = self._point(join, [value for value in alike if value != join.fork], ("after",))
            if point is not None:
                return point
        return None

    def _inner(self, join: Join) -> tuple[str, Side] | None:
        weighted = sorted(i for i in join.region if self.values[i].op in WEIGHTED)
        spatial = [i for i in weighted if self.values[i].kernel > 1]
        if not spatial:
            return None
        behind = [i for i in weighted if i > spatial[-1]]
        if len(spatial) < 2 and not behind:
            return None
        value = self.values[behind[0] if behind else spatial[-1]].parents[0]
        while True:  # back over copies, an activation, a norm and changes of layout
            alike = self._alike(value)
            point = self._point(join, alike)
            parents = self.values[alike[0]].parents
            if point is not None or self.values[alike[0]].op in WEIGHTED or len(parents) != 1:
                return point
            value = parents[0]

    def _point(
        self, join: Join, alike: Sequence[int], sides: Sequence[Side] = ("after", "before")
    ) -> tuple[str, Side] | None:
        """Return the best module inside the unit that ends or begins with one of equal values.

        Modules that change their input come first, then those that hold others, then the earlier.
        """
        found: list[tuple[tuple[bool, int, int, bool], str, Side]] = []
        for value in alike:
            if not self.values[value].is_feature_map:
                continue
            for number in self._inside(join, self.by_output.get(value, ())):
                found.append((self._rank(number, "after"), self.calls[number].path, "after"))
            for number in self._inside(join, self.by_input.get(value, ())):
                call = self.calls[number]
                if all(call.made(i) for i in self.consumers.get(value, ())):
                    found.append((self._rank(number, "before"), call.path, "before"))
        allowed = [(path, side) for _, path, side in sorted(found) if side in sides]
        return allowed[0] if allowed else None

    def _rank(self, number: int, side: Side) -> tuple[bool, int, int, bool]:
        call = self.calls[number]
        hands_on = call.output is not None and call.input in self._alike(call.output)
        # SE before stochastic depth, which hands its input on in evaluation mode, sees it whole.
        return hands_on, call.path.count("."), number, (side == "after") is hands_on

    def _inside(self, join: Join, numbers: Sequence[int]) -> list[int]:
        """Return the calls that the unit's call holds, the outermost first."""
        return [n for n in numbers if n > join.call and join.call in self.recording.callers(n)]

    def _back_to_branch(self, value: int) -> Iterator[list[int]]:
        """Yield the groups of equal values up to the branch's last layer, that layer's first."""
        groups = [self._alike(value)]
        while True:
            first = self.values[groups[0][0]]
            if first.op not in SCALES or len(first.parents) != 1:
                break
            if not self.values[first.parents[0]].is_feature_map:
                break
            groups.insert(0, self._alike(first.parents[0]))
        yield from groups

    def _alike(self, value: int) -> list[int]:
        """Return the values of which the value is a copy, and itself, in the order of making."""
        alike = [value]
        while self._is_copy(alike[0]):
            alike.insert(0, self.values[alike[0]].parents[0])
        return alike

    def _is_copy(self, value: int) -> bool:
        made = self.values[value]
        is_copy = made.op in ("view", "alias", "clone") and len(made.parents) == 1
        return is_copy and self.values[made.parents[0]].shape == made.shape
