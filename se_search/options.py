"""Declares a command's options once: fields of a frozen dataclass, with their help and limits.

``check_options`` refuses values beyond the limits, and ``takes_options`` gives a typer command a
parameter for each field. Only typer is imported, so that ``se-search --help`` stays quick.
"""

from __future__ import annotations

import functools
import inspect
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin, get_type_hints

from se_search.errors import RunError, suggest_nearest

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True, slots=True)
class AtLeast:
    """The lowest number that an option takes."""

    low: int

    def check(self, name: str, value: Any) -> None:
        """Raise a RunError if the value is lower."""
        if value < self.low:
            raise RunError(f"{name} {value} is below {self.low}")


@dataclass(frozen=True, slots=True)
class Within:
    """The lowest and the highest number that an option takes."""

    low: int
    high: int

    def check(self, name: str, value: Any) -> None:
        """Raise a RunError if the value is lower or higher, or not a number."""
        AtLeast(self.low).check(name, value)
        if not value <= self.high:
            raise RunError(f"{name} {value} is above {self.high}")


@dataclass(frozen=True, slots=True)
class Positive:
    """An option that takes numbers above zero."""

    def check(self, name: str, value: Any) -> None:
        """Raise a RunError if the value is zero, negative or not a number."""
        if not value > 0:
            raise RunError(f"{name} {value} is not positive")


@dataclass(frozen=True, slots=True)
class OneOf:
    """The words that an option takes."""

    words: tuple[str, ...]

    def check(self, name: str, value: Any) -> None:
        """Raise a RunError if the value is another word."""
        if value not in self.words:
            hint = suggest_nearest(str(value), self.words)
            raise RunError(f"{name} {value!r}{hint} is not one of {', '.join(self.words)}")


@dataclass(frozen=True, slots=True)
class ByteSize:
    """An option that takes a number of bytes, as ``500MB`` or ``2GB``."""

    def check(self, name: str, value: Any) -> None:
        """Raise a RunError if the value is none."""
        parse_bytes(name, value)


_LIMITS = (AtLeast, Within, Positive, OneOf, ByteSize)


def parse_bytes(name: str, text: str) -> int:
    """Read a number of bytes: ``2GB``, ``1.5 GB``, ``500MB`` or ``800kB``, of 1,000 each.

    Args:
        name: of the option, for the error.
        text: what is read.

    Raises:
        RunError: it is another text.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kKMGT]?)B?\s*", text)
    if found is None:
        raise RunError(f"{name} {text!r} is not a size as 2GB, 500MB or 800kB")
    return int(float(found[1]) * 1000 ** " KMGT".index(found[2].upper() or " "))


def check_options(options: DataclassInstance) -> None:
    """Check each field that has a limit; None stands for an option that was not given.

    Raises:
        RunError: a value is beyond the limit of its field.
    """
    for name, annotation in get_type_hints(type(options), include_extras=True).items():
        value = getattr(options, name)
        for limit in getattr(annotation, "__metadata__", ()):
            if (
                isinstance(limit, AtLeast | Within | Positive | OneOf | ByteSize)
                and value is not None
            ):
                limit.check(name, value)


def read_values(kind: type[DataclassInstance], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as the fields of ``kind`` hold them; a path may be a text, and a text a path.

    Args:
        kind: the dataclass of a command's options.
        given: by the names of its fields.

    Raises:
        RunError: a value is of another type than its field.
    """
    hints = get_type_hints(kind)
    return {name: _read_value(name, value, hints[name]) for name, value in given.items()}


def _read_value(name: str, value: Any, annotation: Any) -> Any:
    kinds = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    if value is None and NoneType in kinds:
        return None
    for kind in kinds:
        if kind is bool and isinstance(value, bool):
            return value
        if kind is int and isinstance(value, Integral) and not isinstance(value, bool):
            return int(value)
        if kind is float and isinstance(value, Real) and not isinstance(value, bool):
            return float(value)
        if kind in (str, Path) and isinstance(value, str | os.PathLike):
            return kind(os.fspath(value))
    words = " or ".join(_WORDS[kind] for kind in kinds)
    raise RunError(f"{name} {value!r} is not {words}")


_WORDS = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "a text",
    Path: "a path",
    NoneType: "None",
}


def spell_options(
    options: DataclassInstance, *, always: Collection[str] = (), never: Collection[str] = ()
) -> list[str]:
    """Return the words of a command line that give these options, without those at their defaults.

    Args:
        options: the dataclass of a command's options.
        always: names of fields that are spelled at their defaults, too.
        never: names of fields that are left out.
    """
    hints = get_type_hints(type(options), include_extras=True)
    words = []
    for field in fields(options):
        value = getattr(options, field.name)
        if field.name in never or (value == field.default and field.name not in always):
            continue
        name = _name_option(field.name, getattr(hints[field.name], "__metadata__", ()))
        if isinstance(value, bool):
            words.append(name if value else name.replace("--", "--no-", 1))
            continue
        for each in map(str, value if isinstance(value, tuple) else [value]):
            # A value that starts with a hyphen would be read as an option.
            words += [f"{name}={each}"] if each.startswith("-") else [name, each]
    return words


def _name_option(field: str, metadata: Iterable[Any]) -> str:
    """Return an option's name: the declared one, or the field's."""
    for each in metadata:
        # In an annotation the first declared name stands where a default stands elsewhere.
        first, others = getattr(each, "default", None), getattr(each, "param_decls", None)
        for name in (first, *(others or ())):
            if isinstance(name, str) and name.startswith("--"):
                return name
    return f"--{field.replace('_', '-')}"


def takes_options(
    kind: type[DataclassInstance],
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that replaces a command's parameter ``options`` by the fields of ``kind``.

    The command is called with an instance of ``kind``; its other parameters follow the fields.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        names = [field.name for field in fields(kind)]

        @functools.wraps(function)
        def command(**values: Any) -> None:
            given = {name: _freeze(values.pop(name)) for name in names}
            function(options=kind(**given), **values)

        own = inspect.signature(function, eval_str=True).parameters.values()
        others = [each.replace(kind=each.KEYWORD_ONLY) for each in own if each.name != "options"]
        signature = inspect.Signature([*_list_parameters(kind), *others])
        command.__signature__ = signature  # type: ignore[attr-defined]  # inspect reads it
        return command

    return decorate


def _list_parameters(kind: type[DataclassInstance]) -> list[inspect.Parameter]:
    annotations = get_type_hints(kind, include_extras=True)
    parameters = []
    for field in fields(kind):
        default = inspect.Parameter.empty if field.default is MISSING else field.default
        parameters.append(
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=list(default) if isinstance(default, tuple) else default,
                annotation=_with_lists(annotations[field.name]),
            )
        )
    return parameters


def _with_lists(annotation: Any) -> Any:
    """Return the annotation with ``list[X]`` for ``tuple[X, ...]``: typer's repeatable option."""
    inner, *metadata = get_args(annotation)
    if get_origin(inner) is not tuple:
        return annotation
    return Annotated[list[get_args(inner)[0]], *metadata]  # type: ignore[misc]  # made at run time


def _freeze(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
