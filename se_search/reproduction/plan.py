"""Plans a study at one scale: its candidates, looks and recipe, and the log of its trainings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from se_search.analysis.claims import Claim
from se_search.analysis.sequential import LookPlan
from se_search.backbone import Backbone
from se_search.candidate import Candidate
from se_search.errors import SESearchError, StudyFileError, suggest_nearest
from se_search.execution.missing import list_assignments
from se_search.models.catalogue import backbone_in_channels, describe_backbone
from se_search.recipe import PROTOCOL, Recipe, recipe_names
from se_search.record import Assignment
from se_search.reproduction.options import ReproduceOptions
from se_search.reproduction.study_file import StudyFile, find_study, read_scale_recipe, read_study
from se_search.training.datasets import DataInfo, describe_absent_imagenet, describe_data
from se_search.training.image_listing import LAYOUT, printable

FORMAT = 2


@dataclass(frozen=True, slots=True)
class Plan:
    """One study at one scale.

    Attributes:
        name: of the study's folder.
        study: the content of its ``study.yaml``.
        claims: about its candidates.
        info: sizes of the data set.
        data: name of the data set, as options have it.
        candidates: by their names in the study.
        looks: at how many replicates its claims are looked at.
        log: file of the trainings; several plans may share it.
        earlier_log: file of the trainings of protocol 1, which are judged and never continued.
    """

    name: str
    study: StudyFile
    claims: tuple[Claim, ...]
    scale_name: str
    recipe: Recipe
    info: DataInfo
    data: str
    candidates: Mapping[str, Candidate]
    looks: LookPlan
    epochs: int
    log: Path
    earlier_log: Path

    @property
    def backbone(self) -> Backbone:
        """The backbone of all candidates."""
        return next(iter(self.candidates.values())).backbone

    @property
    def identity(self) -> dict[str, Any]:
        """What the trainings of the log have in common, as plain data."""
        return {
            "format": FORMAT,
            "backbone": {
                "name": self.backbone.name,
                "in_channels": self.backbone.in_channels,
                "image_size": self.backbone.image_size,
                "num_classes": self.backbone.num_classes,
                "params": sum(part.params for part in self.backbone.parts),
                "macs": sum(sum(part.macs.values()) for part in self.backbone.parts),
            },
            "data": self.info.identity,
            "recipe": self.recipe.model_dump(mode="json", exclude={"description", "epochs"}),
            "protocol": PROTOCOL,
        }

    @property
    def earlier_identity(self) -> dict[str, Any]:
        """What the trainings of ``earlier_log`` have in common, as protocol 1 wrote it down."""
        info = self.info
        return {
            "format": 1,
            "backbone": self.identity["backbone"],
            "data": {
                "name": info.name,
                "train": info.num_used,
                "validation": info.num_validation,
                "test": info.num_test,
            },
            "recipe": _earlier_fields(self.recipe),
        }

    @property
    def assignments(self) -> list[Assignment[Candidate]]:
        """All trainings of the whole plan; each candidate's come in the order of the replicates."""
        replicates = range(self.looks.looks[-1])
        return list_assignments(list(self.candidates.values()), replicates, self.epochs)


def make_plan(name: str, options: ReproduceOptions) -> Plan:
    """Plan a study, by its name or its folder.

    Raises:
        SESearchError: the study, its scale, its data or a candidate is not there.
    """
    file = find_study(name)
    study = read_study(file)
    if options.scale not in study.scales:
        hint = suggest_nearest(options.scale, study.scales)
        raise StudyFileError(
            f"{file}: scale {options.scale!r}{hint} is not one of {', '.join(study.scales)}"
        )
    scale = study.scales[options.scale]
    recipe = read_scale_recipe(scale, file.parent)
    data = options.data or scale.data
    if data == "imagenet" and not options.only_plan:
        raise StudyFileError(
            f"{file}: the scale {options.scale!r} needs ImageNet: --data imagenet:PATH, or --plan "
            "to hear what its trainings would take"
        )
    if data == "imagenet":
        info = describe_absent_imagenet(recipe)
    else:
        info, recipe = describe_data(data, recipe, is_shipped=scale.recipe in recipe_names())
    backbone = describe_backbone(
        scale.backbone,
        in_channels=backbone_in_channels(scale.backbone, info.channels, allow_code=False),
        image_size=info.image_size,
        num_classes=info.num_classes,
        allow_code=False,
    )
    info = info.read_for(backbone.in_channels)
    if not info.num_test:
        raise StudyFileError(
            f"{printable(data)} has no test images, which the studies judge: {LAYOUT}"
        )
    return Plan(
        name=file.parent.name,
        study=study,
        claims=parse_claims(study, file),
        scale_name=options.scale,
        recipe=recipe,
        info=info,
        data=data,
        candidates=parse_candidates(study, backbone),
        looks=LookPlan.until(options.replicates or scale.replicates),
        epochs=scale.epochs or recipe.epochs,
        log=options.store / f"{backbone.name}-{info.kind}-{recipe.hash}.jsonl",
        earlier_log=options.store / f"{backbone.name}-{info.kind}-{earlier_hash(recipe)}.jsonl",
    )


def earlier_hash(recipe: Recipe) -> str:
    """Return the hash that a recipe had under protocol 1."""
    text = json.dumps(_earlier_fields(recipe), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _earlier_fields(recipe: Recipe) -> dict[str, Any]:
    # Protocol 1 had neither a view of validation images nor a choice of what a replicate draws.
    fields = recipe.model_dump(mode="json", exclude={"description", "epochs", "eval_crop"})
    del fields["split"]["draw"]
    return fields


def parse_candidates(study: StudyFile, backbone: Backbone) -> dict[str, Candidate]:
    """Return a study's candidates on a backbone, by their names."""
    return {
        name: Candidate.parse(f"{backbone.name}/{text}", backbone)
        for name, text in study.candidates.items()
    }


def parse_claims(study: StudyFile, file: Path) -> tuple[Claim, ...]:
    """Read a study's claims.

    Args:
        study: the content of ``study.yaml``.
        file: where it lies, for messages.

    Raises:
        StudyFileError: a claim can't be read, or is about something else than a candidate.
    """
    claims = []
    for text in study.claims:
        try:
            claim = Claim.parse(text)
        except SESearchError as cause:
            raise StudyFileError(f"{file}: {cause}") from cause
        for name in (claim.a, claim.b):
            if name not in study.candidates:
                known = ", ".join(study.candidates)
                raise StudyFileError(f"{file}: claim {text!r}: {name!r} is not one of {known}")
        claims.append(claim)
    return tuple(claims)
