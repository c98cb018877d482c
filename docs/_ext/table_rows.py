"""Rows of the site's reference tables, made from the code: keys of a file, backbones, spaces."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from se_search.backbone import Backbone
from se_search.candidate import Candidate
from se_search.cost import count_cost
from se_search.models.catalogue import default_shape, describe_backbone
from se_search.models.names import BACKBONE_NAMES
from se_search.report.spaces import list_sizes


@dataclass(frozen=True, slots=True)
class Row:
    """One key of a YAML file.

    Attributes:
        key: with dots, as it lies in the file: ``choices.reduction``.
        allowed: what may stand there, as Markdown.
        default: as it would stand in the file; None: the key must be given.
        meaning: the model's description of it, as Markdown.
    """

    key: str
    allowed: str
    default: str | None
    meaning: str


def read_rows(model: type[BaseModel]) -> list[Row]:
    """List every key of the file that a model describes, inner keys after the one that holds them.

    The source is the JSON Schema that pydantic makes of the model.
    """
    schema = model.model_json_schema()
    return _read_object(schema, schema.get("$defs", {}), "")


def to_markdown(rows: list[Row]) -> str:
    """Lay rows of keys out as a Markdown table."""
    cells = []
    for row in rows:
        default = "required" if row.default is None else f"`{row.default}`" if row.default else ""
        cells.append((f"`{row.key}`", row.allowed, default, row.meaning))
    return lay_out(("key", "allowed", "default", "meaning"), cells)


def lay_out(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay rows of Markdown cells out as a table; columns of numbers are flush right."""
    rows = list(rows)
    rule = [
        "---:" if all(row[i][:1].isdigit() or not row[i] for row in rows) else "---"
        for i in range(len(columns))
    ]
    lines = [columns, rule, *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def backbone_rows() -> list[tuple[str, ...]]:
    """List the measured backbones: image size, sites, costs, and what SE on every site adds."""
    rows = []
    for name in BACKBONE_NAMES:
        backbone = describe_backbone(name, *default_shape(name))
        stages = [str(stage) for stage in backbone.stages]
        plain = count_cost(Candidate.plain(backbone))
        everywhere = count_cost(_with_se_everywhere(backbone))
        row = (
            f"`{name}`",
            str(backbone.image_size),
            str(len(backbone.sites)),
            f"{stages[0]} to {stages[-1]}",
            f"{plain.params:,}",
            f"{plain.macs:,}",
            f"{everywhere.added_params:,} ({everywhere.added_params_pct:.2f} %)",
        )
        rows.append(row)
    return rows


def space_rows() -> list[tuple[str, ...]]:
    """List the shipped spaces on the default backbone."""
    backbone = describe_backbone("resnet20_bottleneck", *default_shape("resnet20_bottleneck"))
    return [
        (
            f"`{row['space']}`",
            "" if row["misfit"] else f"{row['size']:,}",
            ""
            if row["misfit"]
            else f"{row['least_added_params']:,} to {row['most_added_params']:,}",
            row["description"],
        )
        for row in list_sizes(backbone)
    ]


def _with_se_everywhere(backbone: Backbone) -> Candidate:
    is_native = any(site.native for site in backbone.sites)
    setting = "native=native:original" if is_native else "all=standard:r16"
    return Candidate.parse(f"{backbone.name}/{setting}", backbone)


def _read_object(schema: Mapping[str, Any], defs: Mapping[str, Any], prefix: str) -> list[Row]:
    rows = []
    for name, field in schema["properties"].items():
        key = prefix + name
        inner = _resolve(field, defs)
        is_section = "properties" in inner
        if name in schema.get("required", ()):
            default = None
        else:
            default = "" if is_section else _yaml(field.get("default"))
        allowed = "the keys below" if is_section else _allowed(inner, defs)
        meaning = field.get("description") or inner.get("description", "")
        rows.append(Row(key, allowed, default, meaning.replace("\n", " ").strip()))
        if is_section:
            rows += _read_object(inner, defs, f"{key}.")
        for named in _read_named(field, defs):
            rows += _read_object(named, defs, f"{key}.NAME.")
    return rows


def _read_named(field: Mapping[str, Any], defs: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what stands under each name of a mapping by names, if that has keys of its own."""
    values = [*field.get("patternProperties", {}).values(), field.get("additionalProperties")]
    return [
        _resolve(value, defs) for value in values if isinstance(value, dict) and "$ref" in value
    ]


def _resolve(field: Mapping[str, Any], defs: Mapping[str, Any]) -> Mapping[str, Any]:
    return defs[field["$ref"].rpartition("/")[2]] if "$ref" in field else field


def _allowed(field: Mapping[str, Any], defs: Mapping[str, Any]) -> str:
    """Say in words what a JSON Schema allows."""
    if "$ref" in field:
        keys = ", ".join(f"`{key}`" for key in _resolve(field, defs)["properties"])
        return f"a mapping with {keys}"
    if "anyOf" in field:
        kinds = [_allowed(kind, defs) for kind in field["anyOf"] if kind.get("type") != "null"]
        return ", or ".join(kinds)
    if "enum" in field:
        return ", ".join(f"`{_yaml(value)}`" for value in field["enum"])
    if "const" in field:
        return f"`{_yaml(field['const'])}`"
    if "prefixItems" in field:
        return (
            f"a list of {len(field['prefixItems'])}, each {_allowed(field['prefixItems'][0], defs)}"
        )
    if field.get("type") == "array":
        return f"a list, each {_allowed(field['items'], defs)}"
    if field.get("type") == "object":
        return "a mapping by names"
    if field.get("type") == "boolean":
        return "`true`, `false`"
    names = {"integer": "a whole number", "number": "a number", "string": "text"}
    return names[field["type"]] + _bounds(field)


def _bounds(field: Mapping[str, Any]) -> str:
    low = {"minimum": "≥", "exclusiveMinimum": ">"}
    high = {"maximum": "≤", "exclusiveMaximum": "<"}
    found = [
        f"{sign} {field[name]:g}"
        for name, sign in (low | high).items()
        if field.get(name) is not None
    ]
    return f" {', '.join(found)}" if found else ""


def _yaml(value: Any) -> str:
    """Write a default as it would stand in a YAML file; an empty value stands for none."""
    if value is None or value == "":
        return ""
    return value if isinstance(value, str) else json.dumps(value).replace('"', "")
