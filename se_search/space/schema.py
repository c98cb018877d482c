"""The format of a search space file (YAML): models that check it, and functions that read it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from se_search.backbone import Integration
from se_search.candidate import SE, Gate, GateInit, Kind, Rounding, Squeeze
from se_search.config import StrictModel, is_file, read_yaml
from se_search.errors import CandidateError, SpaceError, suggest_nearest

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


MAX_WIDTH = 999_999_999  # nine digits, as in a candidate's text
Positive = Annotated[int, Field(ge=1, le=MAX_WIDTH, strict=True)]


# The axes that can stand under ``block``, for the whole space, or under ``choices``.
BLOCK_AXES: tuple[Axis, ...] = ("rounding", "squeeze", "gate", "bias", "gate_init")


def _check_width(value: object) -> object:
    if value == "original" or (type(value) is int and 1 <= value <= MAX_WIDTH):
        return value
    raise ValueError(f"must be a positive integer of at most {MAX_WIDTH}, or original")


# Checked beforehand because pydantic would report a wrong value once for each of the two types.
Width = Annotated[Positive | Literal["original"], BeforeValidator(_check_width)]


class Choices(StrictModel):
    """What each site may carry: every combination of the listed values, and no SE if ``none``."""

    none: bool = Field(True, description="whether a site may carry no SE")
    integration: tuple[Integration, ...] = Field(
        ("standard",),
        description="positions of SE in a residual unit: standard, pre, post, identity (Hu et al. "
        "2019, fig. 5), inner (SE_3x3, table 15), rectified (standard behind a ReLU), native (in "
        "place of the network's own block)",
    )
    kind: tuple[Kind, ...] = Field(
        ("se",),
        description="se, or its variants ese, eca and ge, which have no width and a fixed design",
    )
    reduction: tuple[Positive, ...] | None = Field(
        None, description="reduction ratios r: the squeeze width is channels // r, at least 1"
    )
    width: tuple[Width, ...] | None = Field(
        None,
        description="squeeze widths; original is the width of the block that the network came with",
    )
    rounding: tuple[Rounding, ...] | None = Field(
        None, description="how a reduction becomes a width: floor, multiple_of_8 (as in timm)"
    )
    squeeze: tuple[Squeeze, ...] | None = Field(
        None, description="poolings to one number a channel: avg, max, avgmax, std, none"
    )
    gate: tuple[Gate, ...] | None = Field(
        None, description="non-linearities of the gate: sigmoid, hard_sigmoid, tanh, relu"
    )
    bias: tuple[bool, ...] | None = Field(
        None, description="whether the two fully connected layers have biases"
    )
    gate_init: tuple[GateInit, ...] | None = Field(
        None, description="value of the gate before training: half, open (near 1), double"
    )

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
    """Properties of all SE blocks that ``choices`` does not list."""

    rounding: Rounding = Field(
        "floor",
        description="how a reduction becomes a width: floor, or multiple_of_8 (as in timm)",
    )
    squeeze: Squeeze = Field(
        "avg",
        description="pooling to one number a channel: avg, max, avgmax (the mean of both), std "
        "(standard deviation), none (each pixel has its own gates)",
    )
    gate: Gate = Field("sigmoid", description="non-linearity of the gate")
    bias: bool = Field(False, description="whether the two fully connected layers have biases")
    gate_init: GateInit = Field(
        "half",
        description="value of the gate before training: half (0.5 for a sigmoid), open (near 1, "
        "by the last layer's bias), double (near 1: the gate is multiplied by 2)",
    )


class Limits(StrictModel):
    """Greatest costs: a candidate beyond one of them is never trained."""

    added_params: float | None = Field(
        None, gt=0, description="parameters of the SE blocks, as a share of the plain network's"
    )
    added_macs: float | None = Field(
        None, gt=0, description="multiply-adds of the SE blocks, as a share of the plain network's"
    )
    params: int | None = Field(None, gt=0, description="all parameters of the network")
    macs: int | None = Field(None, gt=0, description="all multiply-adds for one image")


class SearchSpace(StrictModel):
    """Which sites may carry SE blocks, and which blocks; the content of a space file.

    ``read_space`` reads it from a file. Bound to a backbone (``BoundSpace``) it is a set of
    candidates.

    Example:
        >>> space = SearchSpace(granularity="stage", choices={"reduction": [4, 16]})
        >>> space.choices.integration
        ('standard',)
    """

    description: str = Field("", description="what the space asks, in one line")
    granularity: Literal["network", "stage", "block"] = Field(
        "stage",
        description="which sites share a choice: all of the network, those of a stage, or none "
        "(each block has its own)",
    )
    sites: Literal["all", "native"] | tuple[str, ...] = Field(
        "all",
        description="sites that may carry SE: all, native (where the network came with SE), or a "
        "list such as [stage5, stage4.block1-2]",
    )
    choices: Choices = Field(description="what each site may carry")
    shared: tuple[Axis, ...] = Field(
        (), description="choices that are drawn once for the whole network, such as [integration]"
    )
    block: Block = Field(Block(), description="properties of all SE blocks")
    limits: Limits = Field(Limits(), description="costs beyond which no candidate is trained")

    @model_validator(mode="after")
    def _check_axes(self) -> SearchSpace:
        if len(set(self.shared)) < len(self.shared):
            raise ValueError("shared lists an axis twice")
        for axis in self.shared:
            if getattr(self.choices, axis) is None:
                raise ValueError(f"shared axis {axis!r} is not listed under choices")
        for axis in BLOCK_AXES:
            if getattr(self.choices, axis) is not None and axis in self.block.model_fields_set:
                raise ValueError(f"{axis} stands under block and under choices")
        if self.choices.reduction is None and (
            self.choices.rounding is not None or "rounding" in self.block.model_fields_set
        ):
            raise ValueError("rounding needs a reduction, and choices lists none")
        return self

    @model_validator(mode="after")
    def _check_combinations(self) -> SearchSpace:
        widths = ("reduction", "width", "rounding")
        axes = {axis: values for axis, values in self.axes.items() if axis not in widths}
        for combination in combine_axes(axes):
            try:
                SE(width=int(combination["kind"] == "se"), **combination)  # type: ignore[arg-type]  # checked on reading
            except CandidateError as cause:
                raise ValueError(f"some of the choices can't be combined: {cause}") from cause
        return self

    @property
    def axes(self) -> dict[str, tuple[Choice, ...]]:
        """The values of each axis, in the order in which they are drawn."""
        widths = {"reduction": self.choices.reduction, "width": self.choices.width}
        block: dict[str, tuple[Choice, ...]] = {
            axis: getattr(self.choices, axis) or (getattr(self.block, axis),)
            for axis in BLOCK_AXES
            if axis != "rounding" or self.choices.reduction is not None
        }
        return {
            "integration": self.choices.integration,
            "kind": self.choices.kind,
            **{axis: values for axis, values in widths.items() if values is not None},
            **block,
        }

    @property
    def shared_axes(self) -> dict[str, tuple[Choice, ...]]:
        """The values of each axis that is drawn once for the whole network."""
        return {str(axis): self.axes[axis] for axis in self.shared}

    @property
    def own_axes(self) -> dict[str, tuple[Choice, ...]]:
        """The values of each axis that is drawn for each slot."""
        return {axis: values for axis, values in self.axes.items() if axis not in self.shared}


def combine_axes(axes: Mapping[str, tuple[Choice, ...]]) -> list[dict[str, Choice]]:
    """Return every combination of one value for each axis, the last axis fastest."""
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


def space_names() -> list[str]:
    """Return the names of the spaces that come with the package."""
    return sorted(path.stem for path in _folder().glob("*.yaml"))


def read_space(name_or_path: str) -> SearchSpace:
    """Read a search space by the name of one that comes with the package, or by a file's path.

    Raises:
        SpaceError: there is no such space, or the file is wrong; the message names line and key.

    Example:
        >>> read_space("stages_ratio").choices.reduction
        (4, 8, 16, 32)
    """
    if name_or_path in space_names():
        return read_yaml(_folder() / f"{name_or_path}.yaml", SearchSpace, SpaceError)
    path = Path(name_or_path)
    if not is_file(path):
        names = ", ".join(space_names())
        hint = suggest_nearest(name_or_path, space_names())
        raise SpaceError(f"space {name_or_path!r} is neither a file nor one of {names}{hint}")
    return read_yaml(path, SearchSpace, SpaceError)


def space_schema() -> str:
    """Return the JSON Schema of a space file, for editors."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps(schema | SearchSpace.model_json_schema(), indent=2) + "\n"


def _folder() -> Path:
    """Return the folder of the spaces: inside the package in a wheel, beside it in a checkout."""
    package = Path(str(files("se_search")))
    installed = package / "search_spaces"
    return installed if installed.is_dir() else package.parent / "search_spaces"
