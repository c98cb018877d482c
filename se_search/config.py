"""Reads a YAML file into a strict pydantic model, with errors that name key, line and value."""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from se_search.errors import SESearchError, explain, suggest_nearest
from se_search.yaml_values import compose_yaml, find_line, find_node, misread_number

MAX_BYTES = 1_000_000
LIST_TYPES = ("tuple_type", "list_type")  # pydantic's words for a value that should be a list


class StrictModel(BaseModel):
    """A frozen pydantic model that refuses unknown keys, NaN and infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Model = TypeVar("Model", bound=StrictModel)


def read_yaml(path: Path, model: type[Model], error: type[SESearchError]) -> Model:
    """Read a YAML file into a model.

    Args:
        path: the file.
        model: class of the model that is returned.
        error: class of the exception that is raised if the file can't be read or does not fit the
            model; its message names the file, the line and the key.
    """
    try:
        if path.exists() and not path.is_file():
            raise error(f"{path} can't be read: it is not a file")
        with path.open("rb") as file:
            content = file.read(4 * MAX_BYTES + 1)  # a character has at most 4 bytes
    except (OSError, ValueError) as cause:  # ValueError: a NUL in the path
        raise error(f"{path} can't be read: {explain(cause)}") from cause
    if len(content) > 4 * MAX_BYTES:
        raise error(f"{path} is too large: at most {MAX_BYTES:,} characters are read")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        line = content[: cause.start].count(b"\n") + 1
        raise error(
            f"{path}:{line}: the byte 0x{content[cause.start]:02x} is not UTF-8; "
            "save the file as UTF-8"
        ) from cause
    return parse_yaml(text, model, error, name=str(path))


def is_file(path: Path) -> bool:
    """Return whether there is a file; no path is too long, or not text, to ask."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def parse_yaml(text: str, model: type[Model], error: type[SESearchError], name: str) -> Model:
    """Read YAML text into a model; see ``read_yaml``.

    Args:
        text: the content of a file.
        model: class of the model that is returned.
        error: class of the exception that is raised if the text does not fit the model.
        name: name of the file in the messages of errors.
    """
    if len(text) > MAX_BYTES:
        raise error(f"{name} has {len(text)} characters; at most {MAX_BYTES} are read")
    root, data = compose_yaml(text, error, name)
    if root is None or not isinstance(data, dict):
        raise error(f"{name} must be a mapping with the keys {', '.join(model.model_fields)}")
    misread = list(_find_misread(root, model, ()))
    if misread:
        raise error("\n".join(f"{name}:{line}: {key}: {what}" for line, key, what in misread))
    try:
        return model.model_validate(data)
    except ValidationError as cause:
        raise error("\n".join(describe_problems(cause.errors(), root, model, name))) from cause


def validate(data: object, model: type[Model], error: type[SESearchError], name: str) -> Model:
    """Return plain data as a model.

    Args:
        data: the keys and values.
        model: class of the model that is returned.
        error: class of the exception that is raised if the data do not fit the model.
        name: where the data come from, as messages of errors name it.
    """
    try:
        return model.model_validate(data)
    except ValidationError as cause:
        raise error("\n".join(describe_problems(cause.errors(), None, model, name))) from cause


def describe_problems(
    problems: list[ErrorDetails], root: yaml.Node | None, model: type[BaseModel], name: str
) -> list[str]:
    """Return a line for each value that does not fit a model: file, line, key, value, what fits.

    Args:
        problems: what pydantic finds.
        root: the nodes of the file; None: the data are of no file, and have no lines.
        model: class that the data do not fit.
        name: of the file.
    """
    innermost = _innermost(problems)
    return list(dict.fromkeys(_describe(problem, root, model, name) for problem in innermost))


def _find_misread(
    node: yaml.Node, annotation: Any, location: tuple[str, ...]
) -> list[tuple[int, str, str]]:
    """Return line, key and complaint for each value that YAML 1.1 reads as another number."""
    found: list[tuple[int, str, str]] = []
    if isinstance(node, yaml.MappingNode):
        model = _find_model(annotation)
        fields = {} if model is None else model.model_fields
        for key, value in node.value:
            if key.value in fields:
                own = fields[key.value].annotation
                found += _find_misread(value, own, (*location, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            found += _find_misread(value, annotation, (*location, str(index)))
    elif isinstance(node, yaml.ScalarNode):
        wanted = _leaf_types(annotation)
        if wanted & {int, float} and bool not in wanted:
            complaint = misread_number(node, takes_fractions=float in wanted)
            if complaint and not (str in wanted and node.tag.endswith(":str")):
                found.append((node.start_mark.line + 1, ".".join(location), complaint))
    return found


def _leaf_types(annotation: Any) -> set[type]:
    """Return the types of single values in a field's type, as int in ``tuple[int, ...] | None``."""
    if isinstance(annotation, type):
        return {annotation}
    inner = get_args(annotation)
    return set().union(
        *(
            _leaf_types(part)
            if isinstance(part, type) or get_args(part)
            else {type(part)}  # a value of a Literal
            for part in inner
            if part is not Ellipsis
        )
    )


def _innermost(problems: list[ErrorDetails]) -> list[ErrorDetails]:
    """Leave out problems of a value that only follow from problems inside it."""
    locations = [_strip_types(problem["loc"]) for problem in problems]
    return [
        problem
        for problem, own in zip(problems, locations, strict=True)
        if not any(len(other) > len(own) and other[: len(own)] == own for other in locations)
    ]


def _describe(
    problem: ErrorDetails, root: yaml.Node | None, model: type[BaseModel], name: str
) -> str:
    location = problem["loc"]
    place = name if root is None else f"{name}:{find_line(root, location)}"
    if problem["type"] == "extra_forbidden":
        key = ".".join(str(part) for part in location)
        known = _allowed_keys(model, location[:-1])
        hint = suggest_nearest(location[-1], known)
        return f"{place}: unknown key {key!r}{hint} (allowed here: {', '.join(known)})"
    path = _strip_types(location)
    key = ".".join(str(part) for part in path) or "the file"
    node = None if root is None else find_node(root, path)
    value = problem["input"]
    if problem["type"] == "missing":
        return f"{place}: {key}: this key is required"
    if problem["type"] == "invalid_key":
        return f"{place}: the key {value!r} is not a word"
    if problem["type"] in LIST_TYPES and isinstance(node, yaml.ScalarNode):
        return f"{place}: {key}: must be a list: [{node.value}], not {node.value!r}"
    if problem["type"] in ("model_type", "dict_type"):
        return f"{place}: {key}: must be {_describe_mapping(model, path)}, not {_shorten(value)}"
    message = _say_in_words(problem)
    if isinstance(value, dict) and problem["type"] in ("value_error", "assertion_error"):
        return f"{place}: {key}: {message}"
    hint = ""
    if problem["type"] == "literal_error":
        hint = suggest_nearest(value, re.findall(r"'([^']*)'", problem["ctx"]["expected"]))
    # true and false are the words of other languages, too; yes, no, on and off are YAML 1.1's.
    if isinstance(node, yaml.ScalarNode) and (
        isinstance(value, datetime.date)
        or (isinstance(value, bool) and node.value.lower() not in ("true", "false"))
    ):
        read = "a date" if isinstance(value, datetime.date) else str(value).lower()
        hint = f"; YAML reads {node.value} as {read}, and '{node.value}' as a text"
    return f"{place}: {key}: {message}, not {_shorten(value)}{hint}"


def _say_in_words(problem: ErrorDetails) -> str:
    """Say what would have fitted, in plain English: ``must be a whole number``."""
    form = _WORDS.get(problem["type"])
    if form is not None:
        limits = problem.get("ctx", {})
        numbers = {name: f"{n:g}" for name, n in limits.items() if isinstance(n, float)}
        return form.format(**(limits | numbers))
    return re.sub("^(Value error, |Assertion failed, |Input should )", "", problem["msg"])


# By pydantic's name of a problem (docs.pydantic.dev/latest/errors/validation_errors).
_WORDS = {
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "must be a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "must be a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "must be true or false"),
    **dict.fromkeys(("string_type", "string_sub_type", "string_unicode"), "must be a text"),
    **dict.fromkeys(("tuple_type", "list_type"), "must be a list"),
    "finite_number": "must be a finite number",
    "int_parsing_size": "must be a whole number of fewer digits",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "literal_error": "must be {expected}",
    "none_required": "must be null",
    "string_too_short": "must have a length of at least {min_length}",
    "string_too_long": "must have a length of at most {max_length}",
    "too_short": "must have at least {min_length} values",
    "too_long": "must have at most {max_length} values",
}


def _strip_types(location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Leave out the types that pydantic puts behind a key whose value may have several."""
    return tuple(part for part in location if "[" not in str(part))


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _describe_mapping(model: type[BaseModel], location: tuple[object, ...]) -> str:
    return f"a mapping with the keys {', '.join(_allowed_keys(model, location))}"


def _allowed_keys(model: type[BaseModel], location: tuple[object, ...]) -> list[str]:
    for part in location:
        field = model.model_fields.get(str(part))
        if field is not None:
            model = _find_model(field.annotation) or model
    return list(model.model_fields)


def _find_model(annotation: Any) -> type[BaseModel] | None:
    """Return the model in a field's type, as in ``tuple[Model, ...]`` and ``Model | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_find_model(part) for part in get_args(annotation))
    return next((model for model in found if model is not None), None)
