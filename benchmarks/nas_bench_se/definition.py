"""Defines NAS-Bench-SE: its space, backbone, recipe and data set; imports no torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from se_search.candidate import Candidate
from se_search.cost import count_cost
from se_search.models.catalogue import describe_backbone
from se_search.recipe import PROTOCOL, read_recipe
from se_search.seeds import derive_seed
from se_search.space.bound import BoundSpace
from se_search.space.schema import read_space
from se_search.training.dataset_spec import ARRAY_NAMES
from se_search.training.datasets import PreparedData

FOLDER = Path(__file__).parent
LOG = FOLDER / "raw" / "trainings.jsonl"
FORMAT = 1
DATA = "fashion_mnist"
BACKBONE = describe_backbone("resnet20_bottleneck", in_channels=1, image_size=28, num_classes=10)
SPACE = read_space(str(FOLDER / "space.yaml"))
FILE_RECIPE = read_recipe(str(FOLDER / "recipe.yaml"))
# The table keeps which images are right in one array, whose columns are images: one split serves
# all trainings. The file says nothing of it, as the landed table's identity is the file's fields.
RECIPE = FILE_RECIPE.model_copy(
    update={"split": FILE_RECIPE.split.model_copy(update={"draw": "fixed"})}
)


def list_candidates() -> list[Candidate]:
    """Return all candidates: the plain backbone, then the others in a fixed random order.

    The order depends only on the candidates' keys. So the first N candidates are a uniform sample
    of the space for any N, and remain one when the space gets more choices.
    """
    plain = Candidate.plain(BACKBONE)
    others = [candidate for candidate in BoundSpace(SPACE, BACKBONE) if candidate != plain]
    return [plain, *sorted(others, key=lambda other: derive_seed("nas_bench_se", other.key))]


def describe_candidate(candidate: Candidate) -> dict[str, str | int]:
    """Return the choices of a candidate (``x_…``) and its costs, by the table's columns."""
    choices = BoundSpace(SPACE, BACKBONE).encode(candidate)
    has_se = candidate != Candidate.plain(BACKBONE)
    cost = count_cost(candidate)
    stages: dict[str, str | int] = {}
    for stage in BACKBONE.stages:
        reduction = choices[f"stage{stage}.reduction"]
        stages[f"x_stage{stage}"] = "none" if reduction == "none" else f"r{reduction}"
    return {
        # The plain backbone has no integration: it gets a level of its own.
        "x_integration": str(choices["integration"]) if has_se else "none",
        **stages,
        "params": cost.params,
        "added_params": cost.added_params,
        "macs": cost.macs,
        "added_macs": cost.added_macs,
    }


def describe_table(data: PreparedData) -> dict[str, Any]:
    """Return the identity that all trainings of the table share, as plain data.

    Of space and recipe it has only the fields that their files set: a later version of se-search
    with more fields can continue the table.
    """
    info = data.info
    return {
        "format": FORMAT,
        **describe_files(),
        "backbone": {
            "name": BACKBONE.name,
            "in_channels": BACKBONE.in_channels,
            "image_size": BACKBONE.image_size,
            "num_classes": BACKBONE.num_classes,
            "params": sum(part.params for part in BACKBONE.parts),
            "macs": sum(sum(part.macs.values()) for part in BACKBONE.parts),
            "digest": digest_backbone(),
        },
        "data": {
            "name": info.name,
            "train": info.num_used,
            "validation": info.num_validation,
            "test": info.num_test,
            "arrays": digest_arrays(data),
        },
        "protocol": PROTOCOL,
    }


def describe_files() -> dict[str, Any]:
    """Return the fields that space.yaml and recipe.yaml set, and a digest of candidates' keys."""
    keys = sorted(candidate.key for candidate in list_candidates())
    return {
        "space": SPACE.model_dump(mode="json", exclude={"description"}, exclude_unset=True),
        "candidates": hashlib.sha256(" ".join(keys).encode()).hexdigest()[:12],
        "recipe": FILE_RECIPE.model_dump(
            mode="json", exclude={"description", "epochs"}, exclude_unset=True
        ),
    }


def digest_backbone() -> str:
    """Return a digest of the sites, of the feature maps that the space uses, and of plain costs."""
    sites = [
        [site.name, name, site.feature_map(name).channels, site.feature_map(name).pixels]
        for site in BACKBONE.sites
        for name in SPACE.choices.integration
    ]
    parts = [[part.name, part.params, sorted(part.macs.items())] for part in BACKBONE.parts]
    return hashlib.sha256(json.dumps([sites, parts]).encode()).hexdigest()[:12]


def digest_arrays(data: PreparedData) -> Mapping[str, str]:
    """Return the SHA-256 of each part's pixels or labels; the format of the files has no effect."""
    return {
        name: hashlib.sha256(np.load(data.array_path(name)).tobytes()).hexdigest()
        for name in ARRAY_NAMES
    }
