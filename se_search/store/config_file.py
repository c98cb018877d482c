"""What a run's ``config.yaml`` may hold: each key with the values that it takes.

The file is written by ``se-search run`` and kept for years; people change it by hand, too. Whatever
is read from it is checked here, once, before anything uses it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from se_search.config import describe_problems
from se_search.errors import RunError
from se_search.recipe import Recipe
from se_search.record import Rung
from se_search.run_config import refuse_objectives
from se_search.space.schema import SearchSpace
from se_search.yaml_values import compose_yaml


def leave_out_chosen(space: object) -> object:
    """Return a recorded space without the properties of blocks that are choices.

    The record holds all defaults, and what is a choice may not stand under ``block`` as well.
    """
    if not isinstance(space, Mapping):
        return space
    choices, block = space.get("choices"), space.get("block")
    if not isinstance(choices, Mapping) or not isinstance(block, Mapping):
        return space
    kept = {name: value for name, value in block.items() if choices.get(name) is None}
    if choices.get("reduction") is None:
        kept.pop("rounding", None)
    return {**space, "block": kept}


def _check_objectives(names: list[str]) -> list[str]:
    if (refusal := refuse_objectives(names)) is not None:
        raise ValueError(refusal)
    return names


def _check_rungs(text: str) -> str:
    if text == "off":
        return text
    try:
        for part in text.split(","):
            Rung.parse(part)
    except ValueError as cause:
        raise ValueError("must be off, or rungs of epochs x replicates, as 1x1,3x1") from cause
    return text


def _check_arguments(words: list[str]) -> list[str]:
    is_option = [word.startswith("--") for word in words]
    has_space = any(
        word == "--space" and not following
        for word, following in zip(words[:-1], is_option[1:], strict=True)
    )
    if not has_space or not is_option[0]:
        raise ValueError("must be options of a command, as --space stages, and has no --space")
    return words


# What is missing is found by whoever needs it; paths may have bytes that are not UTF-8.
LET_BE = ("missing", "string_unicode")
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]


class _Part(BaseModel):
    """A mapping of the file; keys that nothing reads, as those of later versions, are let be.

    A key may be missing: the defaults stand for that, and are never read. Where one is needed,
    ``RunFolder`` says that it is not there.
    """

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False, extra="ignore")


class _Backbone(_Part):
    name: str = ""
    in_channels: Positive = 1
    image_size: Positive = 1
    num_classes: Positive = 1
    params: Count = 0
    macs: Count = 0
    sites: str | None = None
    parameters: str | None = None
    source: dict[str, str] = Field(default={})
    weights: str | None = None
    frozen: bool = False


class _Data(_Part):
    name: str = ""
    channels: Positive = 1
    image_size: Positive | None = None
    num_classes: Positive = 1
    train: Count = 0
    validation: Positive = 1
    test: Count = 0
    validation_part: str = ""
    pool_share: float = Field(0.0, ge=0)
    chance: float = Field(0.0, ge=0, le=1)
    fingerprint: str | None = None


class _Identity(_Part):
    space: Annotated[SearchSpace | None, BeforeValidator(leave_out_chosen)] = None
    backbone: _Backbone = _Backbone()
    data: _Data = _Data()
    recipe: Recipe | None = None
    epochs: Positive = 1
    objectives: Annotated[list[str], AfterValidator(_check_objectives)] = Field(default=[])
    seed: Count = 0
    precision: str = ""
    protocol: Positive = 1


class _Settings(_Part):
    sampler: str = ""
    promotion: Annotated[str, AfterValidator(_check_rungs)] = ""
    eta: int | None = Field(None, ge=2)
    replicates: Positive | None = None
    repeat_candidates: bool | None = None


class _Changed(_Settings):
    from_trial: Count = 0


class _Search(_Settings):
    space: str = Field("", min_length=1)
    data: str = Field("", min_length=1)
    history: list[_Changed] = Field(default=[])
    lag: Positive = 1
    trials: Positive = 1
    tolerance: float = Field(1.0, ge=0)
    workers: Positive = 1
    threads: Positive = 1
    accelerator: str = ""
    recipe: str = ""
    data_dir: str | None = None
    weights: str | None = None
    sites: str | None = None
    code: str | None = None
    recipe_hash: str = ""
    max_failures: Positive = 1
    timeout: float | None = Field(None, gt=0)
    arguments: Annotated[list[str], AfterValidator(_check_arguments)] = Field(default=[])
    ending: Literal["finished", "stopped", "settled", "exhausted"] | None = None


class _Hardware(_Part):
    accelerator: str = ""
    name: str = ""
    devices: Positive = 1
    cores: Positive = 1
    system: str = ""


class _ConfigFile(_Part):
    identity: _Identity = _Identity()
    hash: str = ""
    backbone_digest: str = ""
    search: _Search = _Search()
    versions: dict[str, str] = Field(default={})
    hardware: _Hardware = _Hardware()
    command: list[str] = Field(default=[])
    working_directory: str = ""


def check_config(path: Path, config: Mapping[str, Any]) -> None:
    """Check each value of a run's ``config.yaml``; what is missing is not looked for.

    Args:
        path: the file.
        config: what it holds.

    Raises:
        RunError: values are not as a run can have them; the message has a line for each, with the
            file, the line, the key, the value and what is allowed.
    """
    try:
        _ConfigFile.model_validate(config)
    except ValidationError as cause:
        problems = [problem for problem in cause.errors() if problem["type"] not in LET_BE]
        if not problems:
            return
        root = compose_yaml(path.read_text(encoding="utf-8"), RunError, str(path))[0]
        lines = describe_problems(problems, root, _ConfigFile, str(path))
        raise RunError("\n".join(lines)) from cause
