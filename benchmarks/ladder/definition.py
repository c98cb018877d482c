"""Defines the problems on which cheap scores are judged by trainings; imports no torch.

A problem is a network, a space, data, a recipe, and probes: candidates spread over the space by
their codes and by nothing that a training has told, or those that the studies of the paper name.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.nas_bench_se_2 import definition as nas_bench_se_2
from se_search.backbone import Backbone
from se_search.candidate import Candidate
from se_search.cost import find_allowed
from se_search.models.catalogue import describe_backbone
from se_search.recipe import PROTOCOL, Recipe, read_recipe
from se_search.seeds import derive_seed
from se_search.space.bound import BoundSpace
from se_search.space.schema import read_space
from se_search.store.training_log import Training, read_log
from se_search.training.datasets import DataInfo

FOLDER = Path(__file__).parent
STUDIES = FOLDER.parents[1] / "studies"
RAW = FOLDER / "raw"
DATA = "fashion_mnist"
STUDY_LOG = STUDIES / "resnet20_bottleneck-fashion_mnist-dca49c846a9e.jsonl"
OWN_NETWORK = "benchmarks.ladder.networks:PreActResNet"


@dataclass(frozen=True)
class Problem:
    """A question about SE that trainings have answered for some candidates.

    Attributes:
        name: unique; that of the space's file beside this module, too.
        backbone_name: of the network without SE.
        num_probes: candidates that are trained, the network without SE among them.
        num_replicates: 0 to ``num_replicates - 1`` are trained; 0: the trainings are those of
            NAS-Bench-SE 2, or of the studies.
        allow_code: whether the network's code is a user's own.
        study_log: trainings of the studies at desk scale, of which the problem takes all networks
            of its space; None: it takes none.
    """

    name: str
    backbone_name: str
    num_probes: int
    num_replicates: int
    allow_code: bool = False
    study_log: Path | None = None

    @cached_property
    def backbone(self) -> Backbone:
        """The network without SE, for one channel of 28 x 28 pixels and ten classes."""
        return describe_backbone(self.backbone_name, 1, 28, 10, allow_code=self.allow_code)

    @property
    def is_crossed(self) -> bool:
        """Whether its trainings are those of NAS-Bench-SE 2."""
        return not self.num_replicates and self.study_log is None

    @cached_property
    def space(self) -> BoundSpace:
        """Where SE may go."""
        if self.is_crossed:
            return nas_bench_se_2.SPACE
        return BoundSpace(read_space(str(FOLDER / f"{self.name}.yaml")), self.backbone)

    @cached_property
    def recipe(self) -> Recipe:
        """How candidates are trained."""
        if self.study_log is not None:
            return read_recipe(str(STUDIES / "recipes/desk.yaml"))
        return nas_bench_se_2.RECIPE if self.is_crossed else read_recipe("quick")

    @cached_property
    def probes(self) -> tuple[Candidate, ...]:
        """The candidates that are trained: no SE first, then candidates spread over the space.

        In each slot every level stands equally often, but for a rest, in an order drawn for each.
        """
        if self.is_crossed:
            count = nas_bench_se_2.count_first(1)
            return tuple(nas_bench_se_2.list_candidates()[:count])
        if self.study_log is not None:
            texts = dict.fromkeys(one.candidate for one in self.study_trainings)
            named = [Candidate.parse(text, self.backbone) for text in texts]
            return tuple(one for one in named if one in self.space)
        rng = np.random.default_rng(derive_seed("ladder probes", self.name))
        plain = Candidate.plain(self.backbone)
        allowed = find_allowed(self.space)
        found = [plain]
        while len(found) < self.num_probes:
            columns = [
                rng.permutation(np.arange(self.num_probes) % len(levels))
                for levels in self.space.levels
            ]
            for codes in np.column_stack(columns).astype(np.int16):
                candidate = self.space.with_codes(codes)
                if candidate in allowed and candidate not in found:
                    found.append(candidate)
        return tuple(found[: self.num_probes])

    @cached_property
    def study_trainings(self) -> tuple[Training, ...]:
        """The trainings of the studies, those of no SE first; empty: it takes none."""
        log = None if self.study_log is None else read_log(self.study_log)
        trainings = () if log is None else log.trainings
        return tuple(sorted(trainings, key=lambda one: "/" in one.candidate))

    def identity(self, data: DataInfo) -> dict[str, Any]:
        """Return what all trainings of the problem have in common, as plain data."""
        return {
            "problem": self.name,
            "backbone": self.backbone_name,
            "recipe": self.recipe.model_dump(mode="json", exclude={"description"}),
            "data": data.identity,
            "protocol": PROTOCOL,
        }


PROBLEMS = {
    problem.name: problem
    for problem in (
        Problem("default", "resnet20_bottleneck", 126, 0),
        Problem("mobilenet", "mobilenet_small", 32, 4),
        Problem("own", OWN_NETWORK, 32, 4, allow_code=True),
        Problem("gates", "resnet20_bottleneck", 24, 4),
        Problem("desk_stages", "resnet20_bottleneck", 11, 0, study_log=STUDY_LOG),
        Problem("desk_positions", "resnet20_bottleneck", 11, 0, study_log=STUDY_LOG),
    )
}
