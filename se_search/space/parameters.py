"""The parameters by which a sampler spells a candidate, one categorical choice each.

Several spellings can mean one candidate: r = 16 and r = 32 are both width 1 on 16 channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from se_search.space.levels import Level, make_level, no_se
from se_search.space.schema import Choice, SearchSpace, combine_axes
from se_search.space.slots import Slot


@dataclass(frozen=True, slots=True)
class Parameter:
    """A categorical choice that a sampler makes."""

    name: str
    choices: tuple[Choice, ...]


class Spelling:
    """The parameters of a space on the slots of a backbone, and the levels that they stand for.

    The parameters are the axes with more than one value: those of shared axes first, then each
    slot's. ``none`` joins the first parameter of a slot. If there is none to join, or it is a
    squeeze that can be ``none`` itself, the slot gets a parameter ``se`` of its own.
    """

    def __init__(self, space: SearchSpace, slots: Sequence[Slot]) -> None:
        self._slots = slots
        self._has_none = space.choices.none
        self._shared_combinations = combine_axes(space.shared_axes)
        self._own_combinations = combine_axes(space.own_axes)
        self._shared = tuple(
            Parameter(axis, values) for axis, values in space.shared_axes.items() if len(values) > 1
        )
        own_axes = {axis: values for axis, values in space.own_axes.items() if len(values) > 1}
        self._own = [tuple(self._slot_parameters(slot, own_axes)) for slot in slots]

    @property
    def raw_size(self) -> int:
        """The number of combinations of parameter values that are asked for."""
        per_slot = len(self._own_combinations) + self._has_none
        return len(self._shared_combinations) * int(per_slot ** len(self._slots))

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Every parameter; which ones are asked for depends on the values of earlier ones."""
        return (*self._shared, *(parameter for own in self._own for parameter in own))

    def choose(self, choose: Callable[[Parameter], Choice]) -> list[Level]:
        """Return each slot's level, from a choice for each parameter that matters, in order."""
        shared = self._shared_combinations[0] | {p.name: choose(p) for p in self._shared}
        return [
            self._choose_level(slot, own, shared, choose)
            for slot, own in zip(self._slots, self._own, strict=True)
        ]

    def spell(self, levels: Sequence[Level]) -> dict[str, Choice] | None:
        """Return values of parameters that stand for these levels; None if there are none."""
        for shared in self._shared_combinations:
            params = {p.name: shared[p.name] for p in self._shared}
            for slot, own, level in zip(self._slots, self._own, levels, strict=True):
                spelled = self._spell_level(slot, own, level, shared)
                if spelled is None:
                    break
                params.update(spelled)
            else:
                return params
        return None

    def _slot_parameters(
        self, slot: Slot, own_axes: dict[str, tuple[Choice, ...]]
    ) -> Iterator[Parameter]:
        none: tuple[Choice, ...] = ("none",) if self._has_none else ()
        first = next(iter(own_axes.values()), None)
        if none and (first is None or "none" in first):
            yield Parameter(f"{slot.name}.se", ("none", "on"))
            none = ()
        for axis, values in own_axes.items():
            yield Parameter(f"{slot.name}.{axis}", none + values)
            none = ()

    def _choose_level(
        self,
        slot: Slot,
        own: tuple[Parameter, ...],
        shared: dict[str, Choice],
        choose: Callable[[Parameter], Choice],
    ) -> Level:
        combination = shared | self._own_combinations[0]
        for position, parameter in enumerate(own):
            value = choose(parameter)
            if value == "none" and position == 0 and self._has_none:
                return no_se(slot)
            axis = _axis_of(slot, parameter)
            if axis != "se":
                combination[axis] = value
        return make_level(slot, combination)

    def _spell_level(
        self, slot: Slot, own: tuple[Parameter, ...], level: Level, shared: dict[str, Choice]
    ) -> dict[str, Choice] | None:
        if self._has_none and level == no_se(slot):
            return {own[0].name: "none"}
        for combination in self._own_combinations:
            if make_level(slot, shared | combination) == level:
                values: dict[str, Choice] = {"se": "on", **combination}
                return {p.name: values[_axis_of(slot, p)] for p in own}
        return None


def _axis_of(slot: Slot, parameter: Parameter) -> str:
    return parameter.name.removeprefix(f"{slot.name}.")
