"""The format of a search space file, which a YAML file of the user's must fit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from se_search.candidate import (
    SE,
    Gate,
    GateInit,
    Integration,
    Kind,
    Rounding,
    Squeeze,
)
from se_search.config import StrictModel, read_yaml
from se_search.errors import CandidateError, SpaceError

Axis = Literal[
    "integration",
    "kind",
    "reduction",
    "width",
    "rounding",
    "squeeze",
    "gate",
    "bias",
    "gate_init",
]


Choice = str | int | bool


Positive = Annotated[int, Field(ge=1, strict=True)]


# The axes that can stand under ``block``, for the whole space, or under ``choices``.
BLOCK_AXES: tuple[Axis, ...] = ("rounding", "squeeze", "gate", "bias", "gate_init")


def _check_width(value: object) -> object:
    if value == "original" or (type(value) is int and value >= 1):
        return value
    raise ValueError("must be a positive integer, or original")


# Checked beforehand because pydantic would report a miss once for each of the two types.
Width = Annotated[Positive | Literal["original"], BeforeValidator(_check_width)]


class Choices(StrictModel):
    """What each site may carry: every combination of these, and nothing if ``none``."""

    none: bool = Field(True, description="whether a site may carry no SE")
    integration: tuple[Integration, ...] = ("standard",)
    kind: tuple[Kind, ...] = Field(
        ("se",), description="se, or its variants, which have neither a width nor variants"
    )
    reduction: tuple[Positive, ...] | None = Field(
        None, description="ratios r: the squeeze width is channels // r, at least 1"
    )
    width: tuple[Width, ...] | None = Field(
        None,
        description="squeeze widths as they are; original is that of the block that the network "
        "came with",
    )
    rounding: tuple[Rounding, ...] | None = None
    squeeze: tuple[Squeeze, ...] | None = None
    gate: tuple[Gate, ...] | None = None
    bias: tuple[bool, ...] | None = None
    gate_init: tuple[GateInit, ...] | None = None

    @field_validator("integration", "kind", "reduction", "width", *BLOCK_AXES)
    @classmethod
    def _check_values(cls, values: tuple[Choice, ...] | None) -> tuple[Choice, ...] | None:
        if values is not None and (not values or len(set(values)) < len(values)):
            raise ValueError("must hold at least one value, and none twice")
        return values

    @model_validator(mode="after")
    def _check_widths(self) -> Choices:
        num_given = (self.reduction is not None) + (self.width is not None)
        if "se" in self.kind and num_given != 1:
            raise ValueError("needs either reduction or width")
        if "se" not in self.kind and num_given:
            raise ValueError(f"kind {', '.join(self.kind)} has neither reduction nor width")
        return self


class Block(StrictModel):
    """What all SE blocks have in common, where ``choices`` does not list it."""

    rounding: Rounding = Field(
        "floor", description="how a reduction becomes a width: multiple_of_8 as timm does it"
    )
    squeeze: Squeeze = "avg"
    gate: Gate = "sigmoid"
    bias: bool = False
    gate_init: GateInit = Field(
        "half", description="where the gate starts: half, open (near 1, by a bias) or double"
    )


class Limits(StrictModel):
    """Costs beyond which a candidate is never trained."""

    added_params: float | None = Field(None, gt=0, description="share of the plain parameters")
    added_macs: float | None = Field(None, gt=0, description="share of the plain multiply-adds")
    params: int | None = Field(None, gt=0)
    macs: int | None = Field(None, gt=0)


class SearchSpace(StrictModel):
    """Which sites may carry SE blocks, and which blocks."""

    description: str = ""
    granularity: Literal["network", "stage", "block"] = Field(
        "stage", description="what gets a choice of its own"
    )
    sites: Literal["all", "native"] | tuple[str, ...] = Field(
        "all",
        description="all, native (where the network came with SE), or a list as "
        "[stage5, stage4.block1-2]; the others carry no SE",
    )
    choices: Choices
    shared: tuple[Axis, ...] = Field((), description="axes drawn once for the whole network")
    block: Block = Block()
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _check_axes(self) -> SearchSpace:
        for axis in self.shared:
            if getattr(self.choices, axis) is None:
                raise ValueError(f"shared axis {axis!r} is not listed under choices")
        for axis in BLOCK_AXES:
            if getattr(self.choices, axis) is not None and axis in self.block.model_fields_set:
                raise ValueError(f"{axis} stands under block and under choices")
        if self.choices.reduction is None and (
            self.choices.rounding is not None or "rounding" in self.block.model_fields_set
        ):
            raise ValueError("rounding is of a reduction, and choices lists none")
        return self

    @model_validator(mode="after")
    def _check_combinations(self) -> SearchSpace:
        widths = ("reduction", "width", "rounding")
        axes = {axis: values for axis, values in self.axes.items() if axis not in widths}
        for combination in combine_axes(axes):
            try:
                SE(width=int(combination["kind"] == "se"), **combination)  # type: ignore[arg-type]  # checked on reading
            except CandidateError as cause:
                raise ValueError(f"the choices combine to what is no block: {cause}") from cause
        return self

    @property
    def axes(self) -> dict[str, tuple[Choice, ...]]:
        """The values of each axis, in the order in which they are drawn."""
        widths = {"reduction": self.choices.reduction, "width": self.choices.width}
        variants: dict[str, tuple[Choice, ...]] = {
            axis: getattr(self.choices, axis) or (getattr(self.block, axis),)
            for axis in BLOCK_AXES
            if axis != "rounding" or self.choices.reduction is not None
        }
        return {
            "integration": self.choices.integration,
            "kind": self.choices.kind,
            **{axis: values for axis, values in widths.items() if values is not None},
            **variants,
        }


def combine_axes(axes: Mapping[str, tuple[Choice, ...]]) -> list[dict[str, Choice]]:
    """Return every combination of one value for each axis, the last axis fastest."""
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


def space_names() -> list[str]:
    """Return the names of the spaces that come with the package."""
    return sorted(path.stem for path in _folder().glob("*.yaml"))


def read_space(name_or_path: str) -> SearchSpace:
    """Read a space that comes with the package, by name, or a file of the user's, by path.

    Raises:
        SpaceError: no such space, or something in it is wrong.
    """
    if name_or_path in space_names():
        return read_yaml(_folder() / f"{name_or_path}.yaml", SearchSpace, SpaceError)
    path = Path(name_or_path)
    if not path.is_file():
        names = ", ".join(space_names())
        raise SpaceError(f"space {name_or_path!r} is neither a file nor one of {names}")
    return read_yaml(path, SearchSpace, SpaceError)


def space_schema() -> str:
    """Return the JSON Schema of a space file, for editors."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps(schema | SearchSpace.model_json_schema(), indent=2) + "\n"


def _folder() -> Path:
    """Return where the spaces lie: in an installed wheel inside the package, else beside it."""
    package = Path(str(files("se_search")))
    installed = package / "search_spaces"
    return installed if installed.is_dir() else package.parent / "search_spaces"
