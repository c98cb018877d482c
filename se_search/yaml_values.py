"""YAML text into nodes and plain values, without aliases, tags and YAML 1.1's misreadings."""

from __future__ import annotations

import re
from typing import Any

import yaml

from se_search.errors import SESearchError

MAX_DEPTH = 30  # no file of se-search nests its values half as deeply
DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]*)")
FRACTION = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
TAGS = "tag:yaml.org,2002:"


class _RefusedError(Exception):
    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


class _Loader(yaml.SafeLoader):
    """Composes nodes; refuses what no file of se-search needs, before it takes time or memory."""

    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # PyYAML's
        line = event.start_mark.line + 1
        # Nested aliases can fill the memory, and a tag on a value that does not fit it
        # (!!bool maybe) makes PyYAML raise exceptions of any class.
        if isinstance(event, yaml.AliasEvent) or getattr(event, "tag", None) is not None:
            raise _RefusedError(line, "YAML aliases (*name) and tags (!name) are not allowed")
        if self._depth == MAX_DEPTH:
            raise _RefusedError(line, f"values are nested deeper than {MAX_DEPTH} levels")
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def compose_yaml(
    text: str, error: type[SESearchError], name: str
) -> tuple[yaml.Node | None, object]:
    """Return the nodes of a YAML text, which know their lines, and the values they stand for.

    Args:
        text: the content of a file.
        error: class of the exception that is raised if the text is not YAML, has a key twice, an
            alias or a tag, or is nested too deeply.
        name: name of the file in the messages of errors.
    """
    try:
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
            if root is None:
                return None, None
            _check_nodes(root)
            return root, loader.construct_document(root)
        finally:
            loader.dispose()
    except _RefusedError as cause:
        raise error(f"{name}:{cause.line}: {cause}") from cause
    except yaml.MarkedYAMLError as cause:
        mark = cause.problem_mark or cause.context_mark
        line = 1 if mark is None else mark.line + 1
        hint = "; indent with spaces" if "'\\t'" in str(cause.problem) else ""
        raise error(f"{name}:{line}: not valid YAML: {cause.problem}{hint}") from cause
    except yaml.reader.ReaderError as cause:
        line = text[: cause.position].count("\n") + 1
        code = cause.character if isinstance(cause.character, int) else ord(cause.character)
        raise error(
            f"{name}:{line}: not valid YAML: the character U+{code:04X} is not allowed"
        ) from cause
    except yaml.YAMLError as cause:
        raise error(f"{name}: not valid YAML: {cause}") from cause


def _check_nodes(node: yaml.Node) -> None:
    """Refuse keys that stand twice, of which PyYAML would keep the last, and impossible values."""
    line = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise _RefusedError(line, "not valid YAML: a key must be a word")
            if key.tag == f"{TAGS}merge":
                raise _RefusedError(line, "YAML merge keys (<<) are not allowed")
            if key.value in seen:
                raise _RefusedError(line, f"key {key.value!r} is on line {seen[key.value]} too")
            seen[key.value] = line
            _check_nodes(key)
            _check_nodes(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _check_nodes(value)
    else:
        try:
            yaml.constructor.SafeConstructor().construct_object(node)
        except (ValueError, OverflowError, yaml.YAMLError) as cause:  # 2026-13-01, 0x_
            value = node.value if len(node.value) <= 40 else f"{node.value[:40]}..."
            kind = node.tag.removeprefix(TAGS)
            detail = f": {cause}" if kind == "timestamp" else ""
            raise _RefusedError(line, f"not valid YAML: {value} is no {kind}{detail}") from cause


def misread_number(node: yaml.ScalarNode, *, takes_fractions: bool) -> str | None:
    """Say what YAML 1.1 makes of a value where a number is wanted; None: just that number.

    Args:
        node: a single value.
        takes_fractions: whether the number need not be whole.
    """
    text, kind = node.value, node.tag.removeprefix(TAGS)
    is_quoted = node.style is not None
    if kind == "bool":
        value = yaml.constructor.SafeConstructor().construct_object(node)
        return f"a number is wanted, and YAML reads {text} as {str(value).lower()}"
    if kind == "timestamp":
        return f"a number is wanted, and YAML reads {text} as a date"
    if kind == "int" and not DECIMAL.fullmatch(text):
        value = yaml.constructor.SafeConstructor().construct_object(node)
        plain = text.replace("_", "").lstrip("+").lstrip("0") or "0"
        meant = f"write {plain} or {value}" if plain.isdigit() and plain != str(value) else None
        return f"YAML reads {text} as {value}: {meant or f'write {value}'}"
    if kind == "float" and not FRACTION.fullmatch(text):
        value = yaml.constructor.SafeConstructor().construct_object(node)
        if value != value or value in (float("inf"), float("-inf")):
            return f"a number is wanted, and {text} is not finite"
        return f"YAML reads {text} as {value:.10g}: write {value:.10g}"
    if kind == "str" and not is_quoted and not takes_fractions and FRACTION.fullmatch(text):
        value = float(text)
        meant = f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else "a whole number"
        return f"a whole number is wanted, and YAML reads {text} as a text: write {meant}"
    return None


def find_node(node: yaml.Node, location: tuple[object, ...]) -> yaml.Node | None:
    """Return the node at a location of keys and list positions; None: there is none."""
    for part in location:
        inner = _enter(node, part)
        if inner is None:
            return None
        node = inner[1]
    return node


def find_line(node: yaml.Node, location: tuple[object, ...]) -> int:
    """Return the line, from 1, of the innermost key of ``location`` that is in a file.

    Args:
        node: the file as PyYAML composes it.
        location: keys and list positions from the outermost to the innermost.
    """
    line = node.start_mark.line + 1
    for part in location:
        inner = _enter(node, part)
        if inner is not None:
            line, node = inner
    return line


def _enter(node: yaml.Node, part: Any) -> tuple[int, yaml.Node] | None:
    """Return the line of a key or list position of a node, and the node there."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return key.start_mark.line + 1, value
        return None
    is_position = isinstance(part, int) and isinstance(node, yaml.SequenceNode)
    if is_position and part < len(node.value):
        return node.value[part].start_mark.line + 1, node.value[part]
    return None
