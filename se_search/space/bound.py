"""Search spaces: a YAML file says what each site may carry; bound to a backbone it is a set.

A point of the raw space is a dictionary of parameters, as a sampler draws it. Several points can
be one network (r = 16 and r = 32 on 16 channels, a position drawn where nothing stands): the
bound space counts, lists and numbers the networks, each once.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from se_search.candidate import (
    SE,
    Backbone,
    Candidate,
    Integration,
    Site,
    find_sites,
    squeeze_width,
)
from se_search.errors import CandidateError, SpaceError
from se_search.space.schema import Choice, SearchSpace, combine_axes

Placement = tuple[SE | None, ...]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One categorical choice that a sampler makes."""

    name: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class Slot:
    """Sites that share a choice: the network, a stage or a block."""

    name: str
    indices: tuple[int, ...]
    sites: tuple[Site, ...]


class BoundSpace:
    """A search space on the sites of one backbone: a set of candidates, numbered from 0.

    Candidates are ordered slot by slot, the last slot fastest, ``none`` first in each.
    """

    def __init__(self, space: SearchSpace, backbone: Backbone) -> None:
        self.space = space
        self.backbone = backbone
        self.slots = _make_slots(space, backbone)
        own = {axis: values for axis, values in space.axes.items() if axis not in space.shared}
        shared = {str(axis): space.axes[axis] for axis in space.shared}
        self._own_combinations = combine_axes(own)
        self._shared_combinations = combine_axes(shared)
        self._shared_parameters = tuple(
            Parameter(axis, values) for axis, values in shared.items() if len(values) > 1
        )
        self._own_axes = {axis: values for axis, values in own.items() if len(values) > 1}
        self._elements = [self._list_elements(slot) for slot in self.slots]
        self._completions: dict[tuple[int, frozenset[int]], int] = {}
        if self.size == 1:
            raise SpaceError(f"the space leaves nothing to choose on {backbone.name}")

    @property
    def size(self) -> int:
        """The number of different candidates."""
        return self._count(0, self._all_shared)

    @property
    def raw_size(self) -> int:
        """The number of points of the raw space."""
        per_slot = len(self._own_combinations) + self.space.choices.none
        return len(self._shared_combinations) * int(per_slot ** len(self.slots))

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Every parameter that can be drawn; which ones are drawn depends on the values drawn."""
        return (
            *self._shared_parameters,
            *(parameter for slot in self.slots for parameter in self._slot_parameters(slot)),
        )

    def __iter__(self) -> Iterator[Candidate]:
        return (self._make(elements) for elements in self._walk(0, self._all_shared))

    def candidate_at(self, index: int) -> Candidate:
        """Return candidate number ``index`` (0 <= index < size) without listing the others."""
        if not 0 <= index < self.size:
            raise IndexError(f"candidate {index} is not in 0..{self.size - 1}")
        chosen: list[Placement] = []
        state = self._all_shared
        for depth, elements in enumerate(self._elements):
            for element, allowed in elements.items():
                count = self._count(depth + 1, state & allowed) if state & allowed else 0
                if index < count:
                    chosen.append(element)
                    state = state & allowed
                    break
                index -= count
        return self._make(chosen)

    def index_of(self, candidate: Candidate) -> int:
        """Return the number of a candidate without listing the others.

        Raises:
            SpaceError: the candidate is not in the space.
        """
        index = 0
        state = self._all_shared
        wanted = self._split(candidate) or (None,) * len(self.slots)
        for depth, (elements, own) in enumerate(zip(self._elements, wanted, strict=True)):
            if own is None or not state & elements.get(own, frozenset()):
                raise SpaceError(f"candidate {candidate} is not in the space")
            for element, allowed in elements.items():
                if element == own:
                    break
                if state & allowed:
                    index += self._count(depth + 1, state & allowed)
            state = state & elements[own]
        return index

    def parse(self, text: str) -> Candidate:
        """Read the text form of a candidate of the backbone; see ``Candidate.parse``."""
        return Candidate.parse(text, self.backbone)

    @property
    def levels(self) -> tuple[tuple[Placement, ...], ...]:
        """For each slot all that it can carry, in the order in which candidates are numbered."""
        return tuple(tuple(elements) for elements in self._elements)

    def codes(self) -> NDArray[np.int16]:
        """Return what every candidate carries, in the order of their numbers, all at once.

        All must fit into memory.

        Returns:
            ``(size, num_slots)``: the position in ``levels[slot]`` of what the slot carries.
        """
        known: dict[tuple[int, frozenset[int]], NDArray[np.int16]] = {}

        def list_from(depth: int, state: frozenset[int]) -> NDArray[np.int16]:
            if depth == len(self.slots):
                return np.zeros((1, 0), np.int16)
            if (depth, state) not in known:
                parts = []
                for level, allowed in enumerate(self._elements[depth].values()):
                    if state & allowed:
                        rest = list_from(depth + 1, state & allowed)
                        own = np.full((len(rest), 1), level, np.int16)
                        parts.append(np.hstack([own, rest]))
                known[depth, state] = np.concatenate(parts)
            return known[depth, state]

        return list_from(0, self._all_shared)

    def codes_of(self, candidate: Candidate) -> NDArray[np.int16]:
        """Return ``(num_slots,)``: positions in ``levels[slot]`` of what the slots carry.

        Raises:
            SpaceError: the candidate is not in the space.
        """
        if candidate not in self:
            raise SpaceError(f"candidate {candidate} is not in the space")
        wanted = self._split(candidate) or ()
        return np.array(
            [at[own] for at, own in zip(self._positions, wanted, strict=True)], np.int16
        )

    def with_codes(self, codes: NDArray[np.int16]) -> Candidate:
        """Return the candidate that carries these levels, ``(num_slots,)``."""
        return self._make([levels[code] for levels, code in zip(self.levels, codes, strict=True)])

    def describe_levels(self) -> tuple[tuple[Mapping[str, str | float], ...], ...]:
        """Describe all that each slot can carry: the choices that tell blocks apart.

        The width stands as ``reduction``, the logarithm (to base 2) of channels over width, a mean
        over the slot's sites, so that equal ratios are alike wherever they stand.
        """
        return tuple(
            tuple(_describe(slot, placement) for placement in placements)
            for slot, placements in zip(self.slots, self.levels, strict=True)
        )

    def price_codes(
        self, codes: NDArray[np.int16], price: Callable[[Candidate], Sequence[int]]
    ) -> NDArray[np.int64]:
        """Return the prices of candidates given by their codes, all at once.

        Args:
            codes: ``(n, num_slots)``.
            price: what a candidate costs, plain backbone included, one number or several; what
                each slot adds must add up.

        Returns:
            ``(n, m)`` where ``price`` returns ``m`` numbers.
        """
        plain, added = self._price_levels(price)
        prices = np.tile(plain, (len(codes), 1))
        for slot, own in enumerate(added):
            prices += own[codes[:, slot]]
        return prices

    def price_ends(
        self, price: Callable[[Candidate], Sequence[int]]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return bounds ``(m,)`` on the least and the greatest price of any candidate."""
        plain, added = self._price_levels(price)
        low = plain + np.sum([own.min(axis=0) for own in added], axis=0)
        return low, plain + np.sum([own.max(axis=0) for own in added], axis=0)

    def _price_levels(
        self, price: Callable[[Candidate], Sequence[int]]
    ) -> tuple[NDArray[np.int64], list[NDArray[np.int64]]]:
        """Return the plain backbone's prices and what each level of each slot adds."""
        plain = np.array(price(Candidate.plain(self.backbone)), np.int64)
        return plain, [
            np.array([price(self._make_alone(depth, own)) for own in elements], np.int64) - plain
            for depth, elements in enumerate(self._elements)
        ]

    def draw_codes(self, count: int, rng: np.random.Generator) -> NDArray[np.int16]:
        """Draw candidates at random, as ``(count, num_slots)``.

        What is shared is drawn first, then each slot's level among those that go with it: all
        candidates are equally likely if the shared choices leave equally many.
        """
        shared = rng.integers(len(self._shared_combinations), size=count)
        codes: NDArray[np.int16] = np.zeros((count, len(self.slots)), np.int16)
        for slot, allowed in enumerate(self._allowances):
            for combination in np.unique(shared):
                own = np.flatnonzero(shared == combination)
                codes[own, slot] = rng.choice(np.flatnonzero(allowed[:, combination]), len(own))
        return codes

    def neighbours(self, codes: NDArray[np.int16]) -> NDArray[np.int16]:
        """Return the candidates that differ in one slot from one, ``(n, num_slots)``."""
        changed = []
        for slot, allowed in enumerate(self._allowances):
            own = np.tile(codes, (len(allowed), 1))
            own[:, slot] = np.arange(len(allowed))
            changed.append(own[own[:, slot] != codes[slot]])
        rows = np.concatenate(changed)
        goes = np.ones((len(rows), len(self._shared_combinations)), bool)
        for slot, allowed in enumerate(self._allowances):
            goes &= allowed[rows[:, slot]]
        return rows[goes.any(axis=1)]

    @cached_property
    def _positions(self) -> list[dict[Placement, int]]:
        return [{element: at for at, element in enumerate(own)} for own in self._elements]

    @cached_property
    def _allowances(self) -> list[NDArray[np.bool_]]:
        """For each slot ``(num_levels, num_shared)``: which level goes with what is shared."""
        num_shared = len(self._shared_combinations)
        return [
            np.array(
                [[index in allowed for index in range(num_shared)] for allowed in own.values()]
            )
            for own in self._elements
        ]

    def choose(self, choose: Callable[[Parameter], Choice]) -> Candidate:
        """Draw a candidate: ``choose`` is asked for each parameter that matters, in order."""
        shared = self._shared_combinations[0] | {p.name: choose(p) for p in self._shared_parameters}
        elements = []
        for slot in self.slots:
            combination = shared | self._own_combinations[0]
            for position, parameter in enumerate(self._slot_parameters(slot)):
                value = choose(parameter)
                if value == "none" and position == 0 and self.space.choices.none:
                    elements.append(_nothing(slot))
                    break
                combination[parameter.name.removeprefix(f"{slot.name}.")] = value
            else:
                elements.append(_place(slot, combination))
        return self._make(elements)

    def decode(self, params: Mapping[str, Choice]) -> Candidate:
        """Return the candidate that a point of the raw space stands for.

        Raises:
            SpaceError: a parameter is missing, or has a value that is not in the space.
        """

        def look_up(parameter: Parameter) -> Choice:
            if params.get(parameter.name) not in parameter.choices:
                value = params.get(parameter.name)
                raise SpaceError(f"{parameter.name} = {value!r} is not one of {parameter.choices}")
            return params[parameter.name]

        return self.choose(look_up)

    def encode(self, candidate: Candidate) -> dict[str, Choice]:
        """Return a point of the raw space that stands for the candidate.

        Raises:
            SpaceError: the candidate is not in the space.
        """
        params = self._spell(candidate)
        if params is None:
            raise SpaceError(f"candidate {candidate} is not in the space")
        return params

    def __contains__(self, candidate: object) -> bool:
        return isinstance(candidate, Candidate) and self._spell(candidate) is not None

    def extreme(
        self, price: Callable[[Candidate], int], pick: Callable[[Iterable[int]], int]
    ) -> int:
        """Return the least (``pick=min``) or greatest (``max``) price of the space's candidates.

        Args:
            price: what a candidate costs beyond the plain backbone; it must add up over slots.
            pick: ``min`` or ``max``.
        """
        return pick(
            sum(
                pick(
                    price(self._make_alone(depth, element))
                    for element, allowed in elements.items()
                    if index in allowed
                )
                for depth, elements in enumerate(self._elements)
            )
            for index in self._all_shared
        )

    def add_up(self, price: Callable[[Candidate], Sequence[int]]) -> NDArray[np.int64]:
        """Return the prices of every candidate, in the order of their numbers, all at once.

        Only what each slot can carry is priced, by itself; the rest are sums. All must fit into
        memory.

        Args:
            price: what a candidate costs beyond the plain backbone, one number or several; each
                must add up over slots.

        Returns:
            ``(size, m)`` where ``price`` returns ``m`` numbers.
        """
        alone = [
            [np.array(price(self._make_alone(depth, element)), np.int64) for element in elements]
            for depth, elements in enumerate(self._elements)
        ]
        nothing: NDArray[np.int64] = np.zeros((1, len(alone[0][0])), np.int64)
        known: dict[tuple[int, frozenset[int]], NDArray[np.int64]] = {}

        def add_up_from(depth: int, state: frozenset[int]) -> NDArray[np.int64]:
            if depth == len(self.slots):
                return nothing
            if (depth, state) not in known:
                known[depth, state] = np.concatenate(
                    [
                        own + add_up_from(depth + 1, state & allowed)
                        for own, allowed in zip(
                            alone[depth], self._elements[depth].values(), strict=True
                        )
                        if state & allowed
                    ]
                )
            return known[depth, state]

        return add_up_from(0, self._all_shared)

    # The parameters of a slot are its axes with more than one value. "none" joins the first of
    # them; where there is none to join, or it is a squeeze that can be "none" itself, the slot
    # gets a parameter "se" of its own.

    def _slot_parameters(self, slot: Slot) -> Iterator[Parameter]:
        nothing: tuple[Choice, ...] = ("none",) if self.space.choices.none else ()
        first = next(iter(self._own_axes.values()), None)
        if nothing and (first is None or "none" in first):
            yield Parameter(f"{slot.name}.se", ("none", "on"))
            nothing = ()
        for axis, values in self._own_axes.items():
            yield Parameter(f"{slot.name}.{axis}", nothing + values)
            nothing = ()

    @cached_property
    def _all_shared(self) -> frozenset[int]:
        return frozenset(range(len(self._shared_combinations)))

    def _list_elements(self, slot: Slot) -> dict[Placement, frozenset[int]]:
        """Map all that a slot can carry to the shared combinations under which it can."""
        elements: dict[Placement, set[int]] = {}
        if self.space.choices.none:
            elements[_nothing(slot)] = set(self._all_shared)
        for index, shared in enumerate(self._shared_combinations):
            for own in self._own_combinations:
                elements.setdefault(_place(slot, shared | own), set()).add(index)
        return {element: frozenset(allowed) for element, allowed in elements.items()}

    def _count(self, depth: int, state: frozenset[int]) -> int:
        """Count the candidates that agree on the slots before ``depth``.

        ``state`` holds the shared combinations under which those slots can carry what they do. A
        candidate is one way through the slots, whatever the number of its spellings.
        """
        if depth == len(self.slots):
            return 1
        if (depth, state) not in self._completions:
            self._completions[depth, state] = sum(
                self._count(depth + 1, state & allowed)
                for allowed in self._elements[depth].values()
                if state & allowed
            )
        return self._completions[depth, state]

    def _walk(self, depth: int, state: frozenset[int]) -> Iterator[list[Placement]]:
        if depth == len(self.slots):
            yield []
            return
        for element, allowed in self._elements[depth].items():
            if state & allowed:
                for rest in self._walk(depth + 1, state & allowed):
                    yield [element, *rest]

    def _make_alone(self, depth: int, element: Placement) -> Candidate:
        """Return the candidate that carries this at one slot, and nothing elsewhere."""
        nothing = [_nothing(slot) for slot in self.slots]
        return self._make([*nothing[:depth], element, *nothing[depth + 1 :]])

    def _make(self, elements: Sequence[Placement]) -> Candidate:
        blocks: list[SE | None] = [None] * len(self.backbone.sites)
        for slot, element in zip(self.slots, elements, strict=True):
            for index, block in zip(slot.indices, element, strict=True):
                blocks[index] = block
        return Candidate(self.backbone, tuple(blocks))

    def _split(self, candidate: Candidate) -> tuple[Placement, ...] | None:
        """Return what each slot carries, or None if other sites carry SE or exist."""
        if candidate.backbone != self.backbone:
            return None
        searched = {index for slot in self.slots for index in slot.indices}
        if any(block and i not in searched for i, block in enumerate(candidate.blocks)):
            return None
        return tuple(tuple(candidate.blocks[i] for i in slot.indices) for slot in self.slots)

    def _spell(self, candidate: Candidate) -> dict[str, Choice] | None:
        wanted = self._split(candidate)
        if wanted is None:
            return None
        for shared in self._shared_combinations:
            params = {p.name: shared[p.name] for p in self._shared_parameters}
            for slot, element in zip(self.slots, wanted, strict=True):
                spelled = self._spell_slot(slot, element, shared)
                if spelled is None:
                    break
                params.update(spelled)
            else:
                return params
        return None

    def _spell_slot(
        self, slot: Slot, element: Placement, shared: dict[str, Choice]
    ) -> dict[str, Choice] | None:
        parameters = list(self._slot_parameters(slot))
        if self.space.choices.none and element == _nothing(slot):
            return {parameters[0].name: "none"}
        for own in self._own_combinations:
            if _place(slot, shared | own) == element:
                values: dict[str, Choice] = {"se": "on", **own}
                return {p.name: values[p.name.removeprefix(f"{slot.name}.")] for p in parameters}
        return None


def _nothing(slot: Slot) -> Placement:
    return (None,) * len(slot.sites)


def _describe(slot: Slot, placement: Placement) -> Mapping[str, str | float]:
    block = placement[0]
    if block is None:
        return {}
    described: dict[str, str | float] = {
        "integration": block.integration,
        "kind": block.kind,
        "squeeze": block.squeeze,
        "gate": block.gate,
        "bias": str(block.bias),
        "gate_init": block.gate_init,
    }
    if block.width:
        # Sites of few channels can have one width where others of the slot have two.
        described["reduction"] = statistics.fmean(
            math.log2(site.feature_map(own.integration).channels / own.width)
            for site, own in zip(slot.sites, placement, strict=True)
            if own is not None
        )
    return described


def _place(slot: Slot, combination: Mapping[str, Choice]) -> Placement:
    return tuple(_resolve(site, combination) for site in slot.sites)


def _resolve(site: Site, combination: Mapping[str, Choice]) -> SE:
    """Turn a combination of axis values into the block that it means at a site."""
    values = {axis: value for axis, value in combination.items() if axis != "se"}
    reduction, rounding, width = (
        values.pop(axis, None) for axis in ("reduction", "rounding", "width")
    )
    if values["kind"] != "se":
        width = 0
    elif reduction is not None:
        integration: Integration = values["integration"]  # type: ignore[assignment]  # checked on reading
        channels = site.feature_map(integration).channels
        width = squeeze_width(channels, int(reduction), rounding)  # type: ignore[arg-type]  # checked on reading
    elif width == "original":
        assert site.native is not None
        width = site.native.width
    return SE(width=width, **values)  # type: ignore[arg-type]  # checked on reading


def _make_slots(space: SearchSpace, backbone: Backbone) -> tuple[Slot, ...]:
    indices = _searched_sites(space, backbone)
    groups: dict[str, list[int]] = {}
    for index in indices:
        site = backbone.sites[index]
        name = {"network": "network", "stage": f"stage{site.stage}", "block": site.name}
        groups.setdefault(name[space.granularity], []).append(index)
    return tuple(
        Slot(name, tuple(members), tuple(backbone.sites[index] for index in members))
        for name, members in groups.items()
    )


def _searched_sites(space: SearchSpace, backbone: Backbone) -> list[int]:
    if space.sites == "native":
        indices = [index for index, site in enumerate(backbone.sites) if site.native]
        if not indices:
            raise SpaceError(f"the space does not fit {backbone.name}: it came without SE blocks")
    else:
        listed = ("all",) if space.sites == "all" else space.sites
        try:
            indices = sorted({index for where in listed for index in find_sites(where, backbone)})
        except CandidateError as cause:
            raise SpaceError(f"the space does not fit {backbone.name}: {cause}") from cause
    if not indices:
        raise SpaceError("sites: the list is empty; it takes all, native, or names as stage5")
    for index in indices:
        _check_site(space, backbone, backbone.sites[index])
    return indices


def _check_site(space: SearchSpace, backbone: Backbone, site: Site) -> None:
    try:
        for integration in space.choices.integration:
            site.feature_map(integration)
    except CandidateError as cause:
        raise SpaceError(f"the space does not fit {backbone.name}: {cause}") from cause
    if "original" in (space.choices.width or ()) and site.native is None:
        raise SpaceError(
            f"the space does not fit {backbone.name}: {site.name} came without an SE block, so "
            "there is no original width"
        )


def magnitude(count: int) -> str:
    """Write a count for people: exact below ten million, else in powers of ten."""
    return f"{count:,}" if count < 10**7 else f"about 10^{math.log10(count):.1f}"
