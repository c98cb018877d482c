"""The configuration of a run: all that makes its trials comparable with each other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Literal

from se_search.backbone import Backbone
from se_search.errors import RunError
from se_search.recipe import PROTOCOL, Recipe
from se_search.space.schema import SearchSpace

# Of the images that one replicate uses: two replicates share more images then than their
# difference, and an interval over replicates is too narrow for other images.
MAX_POOL_SHARE = 1 / 3

Direction = Literal["maximize", "minimize"]
DIRECTIONS: dict[str, Direction] = {
    "accuracy": "maximize",
    "params": "minimize",
    "macs": "minimize",
    "latency": "minimize",
}
MAX_COSTS = 2  # the front and the sampler's closed form are of at most three objectives


@dataclass(frozen=True, slots=True)
class RunConfig:
    """A space, a backbone, data, a recipe and objectives: trials of one run can be compared.

    Attributes:
        data: name and shape of the data set, and how many of its images train, validate and test.
        objectives: ``accuracy`` and one or two of ``params``, ``macs`` and ``latency``.
        epochs: of a full training.
        seed: of the sampler, and of each candidate's first training.
        precision: Lightning's word for the arithmetic that the trainings use.
        weights: digest of the file of weights that the trainings start from; None: none.
        freeze_backbone: whether only what is not in the file of weights is trained.
        latency: how latencies are measured, where one is an objective, and the digest of what was
            measured: trials by other latencies can't be compared; None: it is no objective.
        supernets: how supernets are trained and score; None: the run has none.
    """

    space: SearchSpace
    backbone: Backbone
    recipe: Recipe
    data: Mapping[str, Any]
    objectives: tuple[str, ...]
    epochs: int
    seed: int
    precision: str
    weights: str | None = None
    freeze_backbone: bool = False
    latency: Mapping[str, Any] | None = None
    supernets: Mapping[str, Any] | None = None

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The direction of each objective: ``maximize`` or ``minimize``."""
        return tuple(DIRECTIONS[name] for name in self.objectives)

    @property
    def identity(self) -> dict[str, Any]:
        """All that the trials of a run have in common, as plain data."""
        return {
            "space": self.space.model_dump(mode="json", exclude={"description"}),
            "backbone": {
                "name": self.backbone.name,
                "in_channels": self.backbone.in_channels,
                "image_size": self.backbone.image_size,
                "num_classes": self.backbone.num_classes,
                "params": sum(part.params for part in self.backbone.parts),
                "macs": sum(sum(part.macs.values()) for part in self.backbone.parts),
                "sites": _digest_sites(self.backbone),
                "parameters": self.backbone.parameters,
                "source": dict(self.backbone.source),
                "weights": self.weights,
                "frozen": self.freeze_backbone,
            },
            "data": dict(self.data),
            "recipe": self.recipe.model_dump(mode="json", exclude={"description", "epochs"}),
            "epochs": self.epochs,
            "objectives": list(self.objectives),
            "seed": self.seed,
            "precision": self.precision,
            "protocol": PROTOCOL,
            **({} if self.latency is None else {"latency": dict(self.latency)}),
            **({} if self.supernets is None else {"supernets": dict(self.supernets)}),
        }

    @property
    def hash(self) -> str:
        """Twelve hexadecimal digits of the identity."""
        return digest_identity(self.identity)


def digest_identity(identity: Mapping[str, Any]) -> str:
    """Return twelve hexadecimal digits: the beginning of the SHA-256 of an identity."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]


def name_data(config: Mapping[str, Any]) -> str:
    """Return the name of a run's data for people: of a folder of images ``folder:`` and its name.

    Args:
        config: that of a run.
    """
    kind, _, path = str(config["search"].get("data") or "").partition(":")
    return f"{kind}:{PurePath(path).name}" if path else str(config["identity"]["data"]["name"])


def holds_for_other_images(identity: Mapping[str, Any]) -> bool:
    """Tell whether differences over a run's replicates are about other images than its own, too.

    They are if each replicate draws at most a third of the images at hand. Otherwise they are for
    these images: replicates have them in common, and do not show what others would change.

    Args:
        identity: that of a run.
    """
    is_drawn = identity["recipe"]["split"]["draw"] == "replicate"
    return is_drawn and bool(identity["data"]["pool_share"] <= MAX_POOL_SHARE)


def parse_objectives(text: str) -> tuple[str, ...]:
    """Read a list as ``accuracy,params``.

    Raises:
        RunError: a name is unknown or stands twice, accuracy or every cost is missing, or there
            are more than two costs.
    """
    names = tuple(part.strip() for part in text.split(","))
    if (refusal := refuse_objectives(names)) is not None:
        raise RunError(f"objectives {text!r}: it {refusal}, as accuracy,params")
    return ("accuracy", *(name for name in names if name != "accuracy"))


def refuse_objectives(names: Sequence[str]) -> str | None:
    """Say what names of objectives must be, if these are others; None: a run can have them."""
    costs = [name for name in DIRECTIONS if name != "accuracy"]
    is_known = all(name in DIRECTIONS for name in names)
    has_costs = 1 <= len(names) - 1 <= MAX_COSTS
    if is_known and len(set(names)) == len(names) and "accuracy" in names and has_costs:
        return None
    return f"must be accuracy and one or two of {', '.join(costs)}, each once"


def _digest_sites(backbone: Backbone) -> str | None:
    """Return a digest of the sites that a user has named; None if they were found by inspection."""
    if backbone.attach is None:
        return None
    named = zip(backbone.sites, backbone.attach, strict=True)
    sites = [[site.name, sorted(points.items())] for site, points in named]
    return hashlib.sha256(json.dumps(sites).encode()).hexdigest()[:12]
