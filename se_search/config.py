"""Reads a YAML file into a strict pydantic model, with errors that name key, line and value."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from se_search.errors import SESearchError

MAX_BYTES = 1_000_000


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
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as cause:
        raise error(f"{path} can't be read: {cause}") from cause
    return parse_yaml(text, model, error, name=str(path))


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
    try:
        # No file needs aliases or tags. Nested aliases can fill the memory, and a tag on a value
        # that does not fit it (!!bool maybe) makes PyYAML raise exceptions of any class.
        for token in yaml.scan(text):
            if isinstance(token, yaml.AliasToken | yaml.TagToken):
                line = token.start_mark.line + 1
                raise error(f"{name}:{line}: YAML aliases (*name) and tags (!name) are not allowed")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as cause:  # ValueError: 2026-13-01
        raise error(f"{name} is not valid YAML: {cause}") from cause
    if root is None or not isinstance(data, dict):
        raise error(f"{name} must be a mapping with the keys {', '.join(model.model_fields)}")
    _refuse_duplicate_keys(root, error, name)
    try:
        return model.model_validate(data)
    except ValidationError as cause:
        lines = [_describe(problem, root, model, name) for problem in _innermost(cause.errors())]
        raise error("\n".join(lines)) from cause


def find_line(node: yaml.Node, location: tuple[object, ...]) -> int:
    """Return the line, from 1, of the innermost key of ``location`` that is in a file.

    Args:
        node: the file as PyYAML composes it.
        location: keys and list positions from the outermost to the innermost.
    """
    line = node.start_mark.line + 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = [pair for pair in node.value if pair[0].value == str(part)]
            if not found:
                break
            line, node = found[0][0].start_mark.line + 1, found[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line


def _innermost(problems: list[ErrorDetails]) -> list[ErrorDetails]:
    """Leave out problems of a value that only follow from problems inside it."""
    locations = [problem["loc"] for problem in problems]
    return [
        problem
        for problem, own in zip(problems, locations, strict=True)
        if not any(len(other) > len(own) and other[: len(own)] == own for other in locations)
    ]


def _describe(problem: ErrorDetails, root: yaml.Node, model: type[BaseModel], name: str) -> str:
    location = problem["loc"]
    line = find_line(root, location)
    if problem["type"] == "extra_forbidden":
        key = ".".join(str(part) for part in location)
        allowed = ", ".join(_allowed_keys(model, location[:-1]))
        return f"{name}:{line}: unknown key {key!r} (allowed here: {allowed})"
    # Where a value may have one of several types, pydantic puts the type behind the key.
    key = ".".join(str(part) for part in location if "[" not in str(part)) or "the file"
    message = problem["msg"].removeprefix("Value error, ")
    is_about_keys = problem["type"] == "missing" or isinstance(problem["input"], dict)
    value = "" if is_about_keys else f", not {problem['input']!r}"
    return f"{name}:{line}: {key}: {message}{value}"


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


def _refuse_duplicate_keys(node: yaml.Node, error: type[SESearchError], name: str) -> None:
    """Raise ``error`` if a mapping has a key twice; PyYAML would silently keep the last value."""
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in seen:
                raise error(f"{name}:{line}: key {key.value!r} is on line {seen[key.value]} too")
            seen[key.value] = line
            _refuse_duplicate_keys(value, error, name)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _refuse_duplicate_keys(value, error, name)
