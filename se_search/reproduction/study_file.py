"""The file of a study: its candidates, its claims about them, and how they are trained.

A study is a folder with a ``study.yaml``. Its candidates are named placements of SE, which apply to
any backbone that has the stages they name. Each scale gives the backbone, data and recipe with
which the candidates are trained, and the most replicates that the claims may take.
"""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from se_search.analysis.sequential import LOOKS
from se_search.config import StrictModel, read_yaml
from se_search.errors import StudyFileError, suggest_nearest
from se_search.recipe import Recipe, read_recipe, recipe_names

NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
Name = Annotated[str, Field(pattern=f"^{NAME}$")]


class StudyScale(StrictModel):
    """The backbone, data, recipe and replicates with which a study is carried out."""

    backbone: str
    data: str = Field(
        description="a data set, as for `se-search run --data`; imagenet: `--data imagenet:PATH`"
    )
    recipe: str = Field(description="a shipped recipe's name, or a path from the study's folder")
    epochs: int | None = Field(
        None, ge=1, description="length of each training; default: the recipe's"
    )
    replicates: int = Field(
        LOOKS[-1],
        ge=2,
        le=LOOKS[-1],
        description="the last look: the most replicates of each candidate, 0 to N-1; looks at 8, "
        "12 and 16 come before it",
    )


class PaperFigures(StrictModel):
    """The figures of a paper for one candidate; errors in per cent."""

    top1_error: float | None = Field(None, ge=0, le=100)
    top5_error: float | None = Field(None, ge=0, le=100)
    params: str | None = Field(None, description="parameters, as the paper prints them")
    gflops: str | None = Field(None, description="billions of operations, as the paper prints them")


class Paper(StrictModel):
    """The paper whose figures stand beside those of a study."""

    source: str = Field(description="paper, version, section and table")
    network: str = Field(description="the network of the figures")
    figures: dict[Name, PaperFigures] = Field({}, description="figures by name of the candidate")


class CostTable(StrictModel):
    """Candidates whose costs are counted on several backbones, without training."""

    backbones: tuple[str, ...] = Field(min_length=1)
    candidates: dict[str, str] = Field(
        min_length=1,
        description="SE placements by name; {last} in them is the backbone's last stage",
    )


class StudyFile(StrictModel):
    """The content of a study.yaml."""

    title: str
    question: str
    candidates: dict[Name, str] = Field(
        min_length=1, description="SE placements by name, as all=standard:r16/stage5=none"
    )
    baseline: Name = Field(description="the candidate that all others are compared with")
    paper: Paper | None = Field(None, description="left out where no paper has figures")
    claims: tuple[str, ...] = Field((), description="as: without_stage5 equals all within 0.1")
    costs: CostTable | None = None
    scales: dict[Name, StudyScale] = Field(min_length=1)

    @model_validator(mode="after")
    def _check_names(self) -> StudyFile:
        used = [self.baseline, *self.figures]
        unknown = [name for name in used if name not in self.candidates]
        if unknown:
            raise ValueError(
                f"{unknown[0]!r} is not one of the candidates {', '.join(self.candidates)}"
            )
        return self

    @property
    def figures(self) -> dict[str, PaperFigures]:
        """The paper's figures by name of the candidate; empty without a paper."""
        return {} if self.paper is None else self.paper.figures


def study_names() -> list[str]:
    """Return the names of the studies that come with the package, sorted."""
    return sorted(path.parent.name for path in studies_folder().glob("*/study.yaml"))


def find_study(name_or_path: str) -> Path:
    """Return the study.yaml of a study.

    Args:
        name_or_path: name of a shipped study, or path of a folder with a study.yaml, or of a file.

    Raises:
        StudyFileError: there is no such study.
    """
    if re.fullmatch(NAME, name_or_path) and name_or_path in study_names():
        return studies_folder() / name_or_path / "study.yaml"
    path = Path(name_or_path)
    for file in (path, path / "study.yaml"):
        if file.is_file():
            return file
    names = study_names()
    raise StudyFileError(
        f"study {name_or_path!r}{suggest_nearest(name_or_path, names)} is neither a file, nor a "
        f"folder with a study.yaml, nor one of {', '.join(names)}"
    )


def read_study(file: Path) -> StudyFile:
    """Read a study.yaml.

    Raises:
        StudyFileError: the file can't be read, or something in it is wrong.
    """
    return read_yaml(file, StudyFile, StudyFileError)


def read_scale_recipe(scale: StudyScale, folder: Path) -> Recipe:
    """Read the recipe of a scale: a shipped one by name, else a file beside the study.

    Raises:
        RecipeError: there is no such recipe, or something in it is wrong.
    """
    return read_recipe(
        scale.recipe if scale.recipe in recipe_names() else str(folder / scale.recipe)
    )


def studies_folder() -> Path:
    """Return the folder of the shipped studies: inside an installed package, else beside it."""
    package = Path(str(files("se_search")))
    installed = package / "studies"
    return installed if installed.is_dir() else package.parent / "studies"
