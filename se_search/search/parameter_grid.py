"""All combinations of finite Optuna distributions, numbered, and found again in trials."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from se_search.errors import SpaceError, name_foreign
from se_search.search.pool import MAX_WHOLE, Codes
from se_search.surrogate.features import Description, Factors

MAX_LEVELS = 1_000  # of all parameters: the model holds a matrix of their distances
TOLERANCE = 1e-6  # of a step: a value this near to a value of the grid is that value


class ParameterGrid:
    """All combinations of the values of finite distributions.

    Args:
        search_space: the parameters by name.

    Attributes:
        names: of the parameters.
        levels: for each parameter its values.

    Raises:
        SpaceError: a parameter has no finite number of values, or values that Optuna does not tell
            apart, or there are more than a million combinations.
    """

    def __init__(self, search_space: Mapping[str, BaseDistribution]) -> None:
        if not isinstance(search_space, Mapping) or not search_space:
            raise SpaceError(
                f"search_space is {search_space!r}; it takes the distribution of each parameter "
                'by name, as {"depth": IntDistribution(1, 8)}'
            )
        self.names = tuple(search_space)
        counts = {name: _count_values(name, one) for name, one in search_space.items()}
        size = math.prod(counts.values())
        if size > MAX_WHOLE:
            raise SpaceError(f"{size:,} combinations are more than {MAX_WHOLE:,}")
        if sum(counts.values()) > MAX_LEVELS:
            longest = max(counts, key=lambda name: counts[name])
            raise SpaceError(
                f"the parameters have {sum(counts.values()):,} values together, most of them "
                f"{longest!r} with {counts[longest]:,}, and {MAX_LEVELS:,} are allowed: give it a "
                "larger step"
            )
        self._distributions = tuple(search_space.values())
        self.levels = [_list_values(one, counts[name]) for name, one in search_space.items()]
        for name, distribution, levels in zip(
            self.names, self._distributions, self.levels, strict=True
        ):
            _refuse_equals(name, distribution, levels)
        self._codes_by_text = [
            {repr(value): code for code, value in enumerate(levels)} for levels in self.levels
        ]

    def all_codes(self) -> Codes:
        """Return ``(n, num_parameters)``: positions in ``levels`` of every combination."""
        axes = np.indices([len(levels) for levels in self.levels])
        return np.asarray(axes.reshape(len(self.levels), -1).T, np.int16)

    def params(self, codes: Sequence[int] | Codes) -> dict[str, Any]:
        """Return the parameters of one combination, by name."""
        named = zip(self.names, self.levels, codes, strict=True)
        return {name: levels[code] for name, levels, code in named}

    def code_of(self, name: str, value: object) -> int | None:
        """Return the position in its parameter's ``levels`` of a value; None: it is not there."""
        at = self.names.index(name)
        distribution = self._distributions[at]
        if isinstance(distribution, CategoricalDistribution):
            return _find_choice(distribution, value)
        assert isinstance(distribution, FloatDistribution | IntDistribution)
        if not isinstance(value, Real) or isinstance(value, bool) or not math.isfinite(value):
            return None
        place = (float(value) - distribution.low) / (distribution.step or 1.0)
        code = round(place)
        inside = 0 <= code < len(self.levels[at]) and abs(place - code) < TOLERANCE
        return code if inside else None

    def to_texts(self, codes: Sequence[int] | Codes) -> dict[str, str]:
        """Return a combination as Optuna's storages keep it, of which ``from_texts`` makes codes.

        Positions would mean other values where the search space is another one.
        """
        return {name: repr(value) for name, value in self.params(codes).items()}

    def from_texts(self, texts: Mapping[str, str]) -> dict[str, int]:
        """Return the positions in ``levels`` of a combination's values; empty: it is not here."""
        found = zip(self.names, self._codes_by_text, strict=True)
        codes = {name: codes[texts[name]] for name, codes in found if texts.get(name) in codes}
        return codes if len(codes) == len(self.names) else {}

    def factors(self) -> Factors:
        """Describe the values to the accuracy model.

        Numbers are points on a scale, a logarithmic one if all are positive; other values are
        words. Parameters with the same values share their description.
        """
        groups: dict[tuple[str, ...], str] = {}
        described: list[tuple[Description, ...]] = []
        for levels in self.levels:
            words = tuple(map(repr, levels))
            name = groups.setdefault(tuple(sorted(words)), f"values{len(groups) + 1}")
            described.append(
                tuple(
                    {name: value}
                    for value in (_points(levels) if all(map(_is_number, levels)) else words)
                )
            )
        return Factors(tuple(described))


class AllowedCombinations:
    """The combinations of a grid that may be tried, with what a pool asks of a space.

    Args:
        grid: the parameters.
        is_allowed: whether a combination may be tried; None: every one may.

    Raises:
        SpaceError: none may be tried, or ``is_allowed`` raised.
    """

    def __init__(
        self, grid: ParameterGrid, is_allowed: Callable[[dict[str, Any]], bool] | None
    ) -> None:
        self.grid = grid
        self._codes = grid.all_codes()
        if is_allowed is not None:
            marks = [_call("is_allowed", is_allowed, grid.params(row)) for row in self._codes]
            self._codes = self._codes[np.array([bool(mark) for mark in marks])]
        if not len(self._codes):
            raise SpaceError("is_allowed allows no combination of the search space")

    @property
    def size(self) -> int:
        """The number of combinations."""
        return len(self._codes)

    def codes(self) -> Codes:
        """Return ``(size, num_parameters)``: positions in the grid's ``levels``."""
        return self._codes

    def price_codes(
        self, codes: Codes, price: Callable[[dict[str, Any]], Sequence[float]]
    ) -> NDArray[np.float64]:
        """Return the costs of combinations, ``(n, m)``."""
        return np.array([price(self.grid.params(row)) for row in codes], np.float64)


def call_cost(
    number: int, function: Callable[[dict[str, Any]], Any], params: dict[str, Any]
) -> float:
    """Return the cost of a combination.

    Raises:
        SpaceError: the function raised, or did not return a finite number.
    """
    value = _call(f"costs[{number}]", function, dict(params))
    shown = "an integer beyond 1e308"  # repr may refuse it, for it has too many digits
    try:
        cost = float(value)
        shown = f"{value!r:.80}"
    except OverflowError:
        cost = math.nan
    except (TypeError, ValueError):
        cost, shown = math.nan, f"{value!r:.80}"
    if isinstance(value, str) or not math.isfinite(cost):
        raise SpaceError(
            f"costs[{number}] returned {shown} for {params}; allowed: a finite number for every "
            "combination that is_allowed leaves"
        )
    return cost


def _call(name: str, function: Callable[[dict[str, Any]], Any], params: dict[str, Any]) -> Any:
    try:
        return function(params)
    except Exception as cause:  # foreign code may raise whatever it likes
        raise SpaceError(f"{name} raised {name_foreign(cause)} for {params}") from cause


def _count_values(name: str, distribution: object) -> int:
    if not isinstance(name, str):
        raise SpaceError(f"search_space has the name {name!r}, which is not a text")
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    if isinstance(distribution, IntDistribution):
        return (distribution.high - distribution.low) // distribution.step + 1
    if isinstance(distribution, FloatDistribution):
        if distribution.step is not None:
            low, high, step = _decimals(distribution)
            return int((high - low) / step) + 1
        if distribution.single():
            return 1
        raise SpaceError(
            f"parameter {name!r} has no step: its values can't be listed; give it a step, or "
            "list its values in a CategoricalDistribution"
        )
    raise SpaceError(
        f"parameter {name!r}: {distribution!r} is none of Optuna's IntDistribution, "
        "FloatDistribution and CategoricalDistribution"
    )


def _list_values(distribution: BaseDistribution, count: int) -> list[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    if isinstance(distribution, IntDistribution):
        return list(
            islice(range(distribution.low, distribution.high + 1, distribution.step), count)
        )
    assert isinstance(distribution, FloatDistribution)
    if distribution.step is None:
        return [distribution.low]
    low, _, step = _decimals(distribution)
    # Decimal numbers give 0.3 where 3 * 0.1 gives 0.30000000000000004, and never pass the end.
    return [float(low + number * step) for number in range(count)]


def _decimals(distribution: FloatDistribution) -> tuple[Decimal, ...]:
    numbers = (distribution.low, distribution.high, distribution.step)
    return tuple(Decimal(str(number)) for number in numbers)


def _refuse_equals(name: str, distribution: BaseDistribution, levels: Sequence[Any]) -> None:
    """Refuse values that Optuna records as one, such as True and 1: both would be tried as one."""
    seen: dict[float, Any] = {}
    for value in levels:
        try:
            recorded = distribution.to_internal_repr(value)
        except (TypeError, ValueError) as cause:
            raise SpaceError(
                f"parameter {name!r}: {value!r} can't be compared with other values"
            ) from cause
        if recorded in seen:
            raise SpaceError(
                f"parameter {name!r}: Optuna can't tell {value!r} from {seen[recorded]!r}, and "
                "would record one for the other; each value must be unlike all others"
            )
        seen[recorded] = value


def _find_choice(distribution: CategoricalDistribution, value: object) -> int | None:
    # A storage in a file gives a tuple back as a list.
    for spelled in (value, tuple(value)) if isinstance(value, list) else (value,):
        try:
            return int(distribution.to_internal_repr(spelled))  # type: ignore[arg-type]  # foreign
        except (TypeError, ValueError):
            continue
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _points(levels: Sequence[float]) -> list[float]:
    if all(value > 0 for value in levels):
        return [float(np.log2(value)) for value in levels]
    return [float(value) for value in levels]
