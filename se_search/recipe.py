"""Recipes: everything that fixes how a candidate is trained, as frozen, hashed values."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from se_search.config import StrictModel, read_yaml
from se_search.errors import RecipeError

Fraction = Annotated[float, Field(gt=0, le=1)]


class Optimizer(StrictModel):
    """Stochastic gradient descent with momentum, or AdamW (then ``momentum`` is its beta 1)."""

    name: Literal["sgd", "adamw"] = Field("sgd", description="sgd with momentum, or adamw")
    lr: float = Field(gt=0, description="peak learning rate, for the recipe's batch size")
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum of sgd, beta 1 of adamw")
    weight_decay: float = Field(0.0, ge=0, description="weight decay, on all parameters")
    nesterov: bool = Field(False, description="whether sgd's momentum is Nesterov's")

    @model_validator(mode="after")
    def _check_nesterov(self) -> Optimizer:
        if self.nesterov and (self.name != "sgd" or not self.momentum):
            raise ValueError("nesterov needs sgd with a momentum above 0")
        return self


class Schedule(StrictModel):
    """The learning rate over the training, in shares of it, so that it fits any number of epochs.

    After the warm-up ``linear`` and ``cosine`` fall to 0, ``step`` is divided at the milestones.
    """

    name: Literal["linear", "cosine", "step"] = Field(
        "linear", description="shape of the learning rate after the warm-up"
    )
    warmup: float = Field(0.0, ge=0, lt=1, description="share of the training that ramps up")
    milestones: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        (), description="step: shares of the training after which the rate is divided"
    )
    factor: float = Field(10.0, gt=1, description="step: what the rate is divided by")

    @model_validator(mode="after")
    def _check_milestones(self) -> Schedule:
        if (self.name == "step") != bool(self.milestones):
            raise ValueError("milestones belong to the schedule 'step', and it needs some")
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError("milestones must ascend")
        return self


class Augmentation(StrictModel):
    """Random changes of the training images."""

    crop_padding: int = Field(0, ge=0, description="zero padding in pixels before a random crop")
    flip: bool = Field(False, description="mirror every other image, left to right")
    resized_crop: tuple[Fraction, Fraction] | None = Field(
        None, description="folders of images: least and largest share of the area that is cropped"
    )

    @model_validator(mode="after")
    def _check_crop(self) -> Augmentation:
        if self.resized_crop is not None and self.resized_crop[0] > self.resized_crop[1]:
            raise ValueError("resized_crop: the least share comes first")
        return self


class Split(StrictModel):
    """Which images train and which validate; the data set's own test part is kept for the end."""

    validation: int = Field(ge=1, description="images taken from the training part to validate on")
    fraction: Fraction = Field(1.0, description="share of the remaining images that trains")
    seed: int = Field(0, ge=0, description="of the permutation that draws both")


class Recipe(StrictModel):
    """How a candidate is trained. Two trials can be compared only if their recipes are equal."""

    description: str = Field("", description="what the recipe is for, in a sentence")
    epochs: int = Field(ge=1, description="length of a full training; --epochs changes it")
    batch_size: int = Field(ge=2, description="images of a step")
    optimizer: Optimizer
    schedule: Schedule = Schedule()
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="share of the target spread over all classes"
    )
    augmentation: Augmentation = Augmentation()
    split: Split
    image_size: int | None = Field(
        None, ge=8, description="folders of images: height and width in pixels"
    )
    validate_every: int = Field(
        1, ge=0, description="epochs between validations; 0: after the last epoch only"
    )
    precision: Literal["auto", "float32"] = Field(
        "auto", description="auto: bfloat16 or float16 where the hardware has it"
    )

    @property
    def hash(self) -> str:
        """Twelve hexadecimal digits over everything but the description and the epochs."""
        fields = self.model_dump(mode="json", exclude={"description", "epochs"})
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:12]


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with the package."""
    return sorted(path.name.removesuffix(".yaml") for path in _folder().iterdir())


def read_recipe(name_or_path: str) -> Recipe:
    """Read a recipe that comes with the package, by name, or a file of the user's, by path.

    Raises:
        RecipeError: no such recipe, or something in it is wrong.
    """
    if name_or_path in recipe_names():
        return read_yaml(_folder() / f"{name_or_path}.yaml", Recipe, RecipeError)
    path = Path(name_or_path)
    if not path.is_file():
        names = ", ".join(recipe_names())
        raise RecipeError(f"recipe {name_or_path!r} is neither a file nor one of {names}")
    return read_yaml(path, Recipe, RecipeError)


def _folder() -> Path:
    return Path(str(files("se_search"))) / "recipes"
