"""Recipes: all that determines how a candidate is trained, as frozen values with a hash."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from se_search.config import StrictModel, is_file, read_yaml
from se_search.errors import RecipeError, suggest_nearest

Fraction = Annotated[float, Field(gt=0, le=1)]

# Part of every identity: raise it when equal recipes train or validate otherwise than before.
# 1: plain random splits, and every folder's validation images enlarged and cropped.
# 2: stratified splits, the view of validation images is the recipe's, other initial weights.
# 3: each replicate draws the images that train and validate, unless the recipe fixes them; SE's
#    mean over pixels is summed in another order.
PROTOCOL = 3


class Optimizer(StrictModel):
    """Stochastic gradient descent with momentum, or AdamW."""

    name: Literal["sgd", "adamw"] = Field(
        "sgd", description="sgd: stochastic gradient descent; adamw: AdamW"
    )
    lr: float = Field(gt=0, description="peak learning rate, for the recipe's batch size")
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum of sgd, or beta 1 of adamw")
    weight_decay: float = Field(0.0, ge=0, description="weight decay of all trained parameters")
    nesterov: bool = Field(False, description="whether the momentum of sgd is Nesterov's")

    @model_validator(mode="after")
    def _check_nesterov(self) -> Optimizer:
        if self.nesterov and (self.name != "sgd" or not self.momentum):
            raise ValueError("nesterov needs sgd with a momentum above 0")
        return self


class Schedule(StrictModel):
    """The learning rate over a training.

    Times are shares of the training (0..1), so that a schedule fits any number of epochs.
    """

    name: Literal["linear", "cosine", "step"] = Field(
        "linear",
        description="linear and cosine: the rate falls to 0 after the warm-up; step: it is divided "
        "at the milestones",
    )
    warmup: float = Field(
        0.0, ge=0, lt=1, description="share of the training in which the rate rises from 0 to lr"
    )
    milestones: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        (), description="step only: shares of the training after which the rate is divided"
    )
    factor: float = Field(
        10.0, gt=1, description="step only: the number by which the rate is divided"
    )

    @model_validator(mode="after")
    def _check_milestones(self) -> Schedule:
        if (self.name == "step") != bool(self.milestones):
            raise ValueError("milestones are for the schedule 'step', which needs at least one")
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError("milestones must ascend")
        return self


class Augmentation(StrictModel):
    """Random changes of the training images."""

    crop_padding: int = Field(
        0, ge=0, description="pixels of zeros added on each side before a random crop; 0: no crop"
    )
    flip: bool = Field(
        False,
        description="mirror half of the images left to right: of small images the other half in "
        "each epoch (alternating flip), of folders at random",
    )
    resized_crop: tuple[Fraction, Fraction] | None = Field(
        None,
        description="folders of images only: smallest and largest share of the area that a random "
        "crop keeps before it is resized; null: the whole image is resized",
    )

    @model_validator(mode="after")
    def _check_crop(self) -> Augmentation:
        if self.resized_crop is not None and self.resized_crop[0] > self.resized_crop[1]:
            raise ValueError("resized_crop: the smallest share comes first")
        return self


class Split(StrictModel):
    """Which images of the training part train, and which validate.

    Both are drawn class by class, in proportion, and by default anew in each replicate: then a
    difference of two candidates over several replicates holds for other images too. The data set's
    own test part is not split: it is read once, at the end of a study.
    """

    draw: Literal["replicate", "fixed"] = Field(
        "replicate",
        description="replicate: each replicate draws the images that train and those that "
        "validate; fixed: they are equal in all replicates",
    )

    validation: int = Field(
        ge=1,
        description="number of images of the training part that validate; at most a fifth of them, "
        "and at least one of each class; ignored if a folder has a part that validates",
    )
    fraction: Fraction = Field(
        1.0,
        description="share of the remaining images that trains; ignored if the training part has "
        "fewer than 10,000 images",
    )
    seed: int = Field(
        0,
        ge=0,
        description="seed of the permutation that draws both; with draw: replicate that seed is "
        "derived from this one and the replicate's",
    )


class Recipe(StrictModel):
    """How a candidate is trained; the content of a recipe file, which ``read_recipe`` reads.

    Two trials can be compared only if the hashes of their recipes are equal.

    Example:
        >>> recipe = Recipe(
        ...     epochs=4, batch_size=128, optimizer={"lr": 0.4}, split={"validation": 10_000}
        ... )
        >>> recipe.schedule.name
        'linear'
        >>> recipe.hash == recipe.model_copy(update={"epochs": 8}).hash
        True
    """

    description: str = Field("", description="what the recipe is for, in one line")
    epochs: int = Field(ge=1, description="epochs of a full training")
    batch_size: int = Field(ge=2, description="images in a batch of the training")
    micro_batch: int | None = Field(
        None,
        ge=2,
        # A recipe without it trains as before there was this field, and keeps its hash.
        exclude_if=lambda value: value is None,
        description="images of a batch that are trained at a time, at most: the batch is trained "
        "in equal pieces whose gradients add up, and needs less memory; null: all at once",
    )
    optimizer: Optimizer = Field(description="optimiser and its learning rate")
    schedule: Schedule = Field(Schedule(), description="the learning rate over the training")
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="label smoothing of the training loss (Szegedy et al. 2016)"
    )
    augmentation: Augmentation = Field(
        Augmentation(), description="random changes of the training images"
    )
    split: Split = Field(description="which images train, and which validate")
    image_size: int | None = Field(
        None,
        ge=8,
        description="height and width in pixels, for folders of images; null: 224 for imagenet, "
        "else chosen by the images' median size; small images have a fixed size",
    )
    eval_crop: Fraction | None = Field(
        None,
        description="folders of images only: share of the shorter side that validation and test "
        "images keep in a centre crop (224 of 256 pixels: 0.875); null: they are resized whole, "
        "as training images are without resized_crop",
    )
    validate_every: int = Field(
        1,
        ge=0,
        description="epochs between validations; the last epoch is always followed by one, and 0 "
        "means by that one only",
    )
    precision: Literal["auto", "float32"] = Field(
        "auto",
        description="auto: bfloat16 or float16 where the hardware computes in it, else float32",
    )

    @model_validator(mode="after")
    def _check_micro_batch(self) -> Recipe:
        if self.micro_batch is None:
            return self
        if self.micro_batch >= self.batch_size:
            raise ValueError(
                f"micro_batch {self.micro_batch} is not below batch_size {self.batch_size}: leave "
                "it out to train a whole batch at once"
            )
        if self.batch_size // self.num_pieces < 2:
            raise ValueError(
                f"micro_batch {self.micro_batch} would leave a single image of a batch of "
                f"{self.batch_size}, and batch norm needs two: take a divisor of batch_size"
            )
        return self

    @property
    def num_pieces(self) -> int:
        """Into how many pieces of (nearly) equal size a batch is split."""
        return self.count_pieces(self.batch_size)

    def count_pieces(self, num_images: int) -> int:
        """Return in how many pieces some images of a batch are trained."""
        return 1 if self.micro_batch is None else -(-num_images // self.micro_batch)

    def count_at_a_time(self, num_processes: int) -> int:
        """Return how many images each of some processes that share a batch trains at a time."""
        most = -(-self.batch_size // num_processes)
        return -(-most // self.count_pieces(most))

    @property
    def images_at_a_time(self) -> int:
        """How many images are trained at a time, at most."""
        return self.count_at_a_time(1)

    @property
    def hash(self) -> str:
        """Twelve hexadecimal digits that depend on all fields except description and epochs."""
        fields = self.model_dump(mode="json", exclude={"description", "epochs"})
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:12]


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with the package."""
    return sorted(path.name.removesuffix(".yaml") for path in _folder().iterdir())


def read_recipe(name_or_path: str) -> Recipe:
    """Read a recipe by the name of one that comes with the package, or by a file's path.

    Raises:
        RecipeError: there is no such recipe, or the file is wrong; the message names line and key.

    Example:
        >>> read_recipe("imagenet").optimizer.lr
        0.6
    """
    if name_or_path in recipe_names():
        return read_yaml(_folder() / f"{name_or_path}.yaml", Recipe, RecipeError)
    path = Path(name_or_path)
    if not is_file(path):
        names = ", ".join(recipe_names())
        hint = suggest_nearest(name_or_path, recipe_names())
        raise RecipeError(f"recipe {name_or_path!r} is neither a file nor one of {names}{hint}")
    return read_yaml(path, Recipe, RecipeError)


def _folder() -> Path:
    return Path(str(files("se_search"))) / "recipes"
