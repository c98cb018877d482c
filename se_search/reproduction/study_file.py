"""Protocols of studies: which candidates are compared, on what, and what is claimed of them.

A study is a folder with a ``study.yaml``. Its candidates are named placements that mean something
on any backbone with the same stages; each scale says on which backbone, data and recipe they are
trained, and with how many seeds.
"""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from se_search.config import StrictModel, read_yaml
from se_search.errors import StudyFileError
from se_search.recipe import Recipe, read_recipe, recipe_names

NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
Name = Annotated[str, Field(pattern=f"^{NAME}$")]


class Scale(StrictModel):
    """On what a study is carried out."""

    backbone: str
    data: str = Field(
        description="as for `se-search run --data`; imagenet needs --data imagenet:PATH"
    )
    recipe: str = Field(description="name of a shipped recipe, or path from the study's folder")
    epochs: int | None = Field(None, ge=1, description="instead of the recipe's")
    seeds: int = Field(ge=2, description="trainings of each candidate: seeds 0 to N-1")


class PaperFigures(StrictModel):
    """What a paper gives for one candidate; errors in per cent."""

    top1_error: float | None = Field(None, ge=0, le=100)
    top5_error: float | None = Field(None, ge=0, le=100)
    params: str | None = Field(None, description="as printed")
    gflops: str | None = Field(None, description="as printed")


class Paper(StrictModel):
    """Where a study's figures come from."""

    source: str = Field(description="paper, version, section and table")
    network: str
    figures: dict[Name, PaperFigures] = Field({}, description="by the name of the candidate")


class CostTable(StrictModel):
    """Candidates whose costs are counted on several backbones, without training."""

    backbones: tuple[str, ...] = Field(min_length=1)
    candidates: dict[str, str] = Field(
        min_length=1,
        description="SE placements by name; {last} in them is the backbone's last stage",
    )


class StudyFile(StrictModel):
    """What a study.yaml says."""

    title: str
    question: str
    candidates: dict[Name, str] = Field(
        min_length=1, description="SE placements by name, as all=standard:r16/stage5=none"
    )
    baseline: Name = Field(description="the candidate that the others are set against")
    paper: Paper
    claims: tuple[str, ...] = Field((), description="as: without_stage5 equals all within 0.1")
    costs: CostTable | None = None
    scales: dict[Name, Scale] = Field(min_length=1)

    @model_validator(mode="after")
    def _check_names(self) -> StudyFile:
        used = [self.baseline, *self.paper.figures]
        unknown = [name for name in used if name not in self.candidates]
        if unknown:
            raise ValueError(
                f"{unknown[0]!r} is not one of the candidates {', '.join(self.candidates)}"
            )
        return self


def study_names() -> list[str]:
    """Return the names of the studies that come with the package."""
    return sorted(path.parent.name for path in studies_folder().glob("*/study.yaml"))


def find_study(name_or_path: str) -> Path:
    """Return the study.yaml of a shipped study, by name, or of a folder or file of the user's.

    Raises:
        StudyFileError: there is no such study.
    """
    if re.fullmatch(NAME, name_or_path) and name_or_path in study_names():
        return studies_folder() / name_or_path / "study.yaml"
    path = Path(name_or_path)
    for file in (path, path / "study.yaml"):
        if file.is_file():
            return file
    raise StudyFileError(
        f"study {name_or_path!r} is neither a file, nor a folder with a study.yaml, nor one of "
        f"{', '.join(study_names())}"
    )


def read_study(file: Path) -> StudyFile:
    """Read a study.yaml.

    Raises:
        StudyFileError: something in it is wrong.
    """
    return read_yaml(file, StudyFile, StudyFileError)


def read_scale_recipe(scale: Scale, folder: Path) -> Recipe:
    """Read the recipe of a scale: a shipped one by name, else a file beside the study.

    Raises:
        RecipeError: no such recipe, or something in it is wrong.
    """
    return read_recipe(
        scale.recipe if scale.recipe in recipe_names() else str(folder / scale.recipe)
    )


def studies_folder() -> Path:
    """Return where the studies lie: in an installed wheel inside the package, else beside it."""
    package = Path(str(files("se_search")))
    installed = package / "studies"
    return installed if installed.is_dir() else package.parent / "studies"
