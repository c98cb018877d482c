"""Defines which networks say how far gates predict retrained accuracies; imports no torch.

A case is a network whose stages carry SE or not: every subset of them, the empty one included, is
trained in the same replicates.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

from se_search.backbone import Backbone
from se_search.candidate import Candidate
from se_search.models.catalogue import describe_backbone
from se_search.recipe import PROTOCOL, Recipe, read_recipe
from se_search.training.datasets import DataInfo

FOLDER = Path(__file__).parent
RAW = FOLDER / "raw"

Stages = tuple[int, ...]


def name_stages(stages: Stages) -> str:
    """Return stages as a text: ``2+5``, or ``none``."""
    return "+".join(map(str, stages)) or "none"


@dataclass(frozen=True)
class Case:
    """A network and how it is trained.

    Attributes:
        data: name of the data set.
        backbone_name: of a backbone with stages.
        in_channels: of the images.
        image_size: height and width of the images, in pixels.
        num_classes: of the images.
        block: what each site of a stage with SE carries, as in a candidate's text.
        recipe_name: of a shipped recipe.
        epochs: of each training.
        num_replicates: 0 to ``num_replicates - 1`` are trained.
        is_published: whether NAS-Bench-SE 2 has trainings of the network without SE and of SE
            everywhere, by this recipe in these replicates.
    """

    data: str
    backbone_name: str
    in_channels: int
    image_size: int
    num_classes: int
    block: str
    recipe_name: str
    epochs: int
    num_replicates: int
    is_published: bool = False

    @cached_property
    def backbone(self) -> Backbone:
        """The network without SE."""
        return describe_backbone(
            self.backbone_name, self.in_channels, self.image_size, self.num_classes
        )

    @cached_property
    def recipe(self) -> Recipe:
        """How the networks are trained."""
        return read_recipe(self.recipe_name)

    @property
    def subsets(self) -> list[Stages]:
        """All subsets of the stages, smaller ones first: first the empty one, last all stages."""
        stages = self.backbone.stages
        return [subset for size in range(len(stages) + 1) for subset in combinations(stages, size)]

    def candidate(self, stages: Stages) -> Candidate:
        """Return the network whose given stages carry SE in all of their blocks."""
        parts = [f"stage{stage}={self.block}" for stage in stages] or ["all=none"]
        return Candidate.parse("/".join([self.backbone_name, *parts]), self.backbone)

    @property
    def published_keys(self) -> frozenset[str]:
        """The networks that need not be trained, by their keys."""
        ends = (self.subsets[0], self.subsets[-1]) if self.is_published else ()
        return frozenset(self.candidate(stages).key for stages in ends)

    def identity(self, data: DataInfo) -> dict[str, Any]:
        """Return what all trainings of the case have in common, as plain data."""
        return {
            "backbone": self.backbone_name,
            "block": self.block,
            "recipe": self.recipe.model_dump(mode="json", exclude={"description"}),
            "data": data.identity,
            "protocol": PROTOCOL,
        }


CASES = {
    "default": Case(
        data="fashion_mnist",
        backbone_name="resnet20_bottleneck",
        in_channels=1,
        image_size=28,
        num_classes=10,
        block="standard:r16",
        recipe_name="quick",
        epochs=3,
        num_replicates=6,
        is_published=True,
    ),
    "digits": Case(
        data="digits",
        backbone_name="resnet20_bottleneck",
        in_channels=1,
        image_size=8,
        num_classes=10,
        block="standard:r16",
        recipe_name="quick",
        epochs=6,
        num_replicates=8,
    ),
}
