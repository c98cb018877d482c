"""Defines NAS-Bench-SE 2: its networks and their order, its recipe and data; imports no torch."""

from __future__ import annotations

import hashlib
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
FORMAT = 2
DATA = "fashion_mnist"
BACKBONE = describe_backbone("resnet20_bottleneck", in_channels=1, image_size=28, num_classes=10)
RECIPE = read_recipe(str(FOLDER / "recipe.yaml"))
SPACE = BoundSpace(read_space(str(FOLDER / "space.yaml")), BACKBONE)

NUM_LEVELS = 5  # of each stage: none, r = 4, 8, 16, 32, numbered from 0
REMAINDERS = (0, 2, 4, 1, 3)  # of the sum of a network's levels: order of the balanced parts
ADDED_TO_FIRST = ("all=none", "all=standard:r16")


def list_candidates() -> list[Candidate]:
    """Return the 625 networks in the order in which they are trained.

    They come in five parts, by the remainder of the sum of their levels (divided by 5). Each part
    has 125 networks and is an orthogonal array of strength three: any three stages meet in each
    combination of levels once (Hedayat, Sloane & Stufken 1999, sec. 1.1). Within a part the order
    is random. The plain network and r = 16 everywhere come first.
    """
    first = [Candidate.parse(f"{BACKBONE.name}/{text}", BACKBONE) for text in ADDED_TO_FIRST]
    others = sorted(
        (candidate for candidate in SPACE if candidate not in first),
        key=lambda other: (
            REMAINDERS.index(remainder_of(other)),
            derive_seed("nas_bench_se_2", other.key),
        ),
    )
    return [*first, *others]


def remainder_of(candidate: Candidate) -> int:
    """Return which balanced part a network is in: the sum of its levels, modulo 5."""
    return int(SPACE.codes_of(candidate).sum()) % NUM_LEVELS


def count_first(num_parts: int) -> int:
    """Return how many of the networks in order make up some balanced parts.

    The first part has 126 of them: r = 16 everywhere belongs to the second part.
    """
    size = NUM_LEVELS**3
    return num_parts * size + (num_parts == 1)


def describe_candidate(candidate: Candidate) -> dict[str, str | int]:
    """Return a network's stages (``x_…``), its balanced part and its costs, by column."""
    choices = SPACE.encode(candidate)
    cost = count_cost(candidate)
    stages: dict[str, str | int] = {}
    for stage in BACKBONE.stages:
        reduction = choices[f"stage{stage}.reduction"]
        stages[f"x_stage{stage}"] = "none" if reduction == "none" else f"r{reduction}"
    return {
        **stages,
        "part": REMAINDERS.index(remainder_of(candidate)) + 1,
        "params": cost.params,
        "added_params": cost.added_params,
        "macs": cost.macs,
        "added_macs": cost.added_macs,
    }


def describe_table(data: PreparedData) -> dict[str, Any]:
    """Return the identity that all trainings of the table share, as plain data."""
    info = data.info
    return {
        "format": FORMAT,
        **describe_files(),
        "data": {
            "name": info.name,
            "train": info.num_used,
            "validation": info.num_validation,
            "test": info.num_test,
            "arrays": _digest_arrays(data),
        },
    }


def describe_files() -> Mapping[str, Any]:
    """Return the part of the identity that needs no data: space, recipe, backbone, protocol."""
    return {
        "space": SPACE.space.model_dump(mode="json", exclude={"description"}, exclude_unset=True),
        "recipe": RECIPE.model_dump(
            mode="json", exclude={"description", "epochs"}, exclude_unset=True
        ),
        "backbone": {
            "name": BACKBONE.name,
            "in_channels": BACKBONE.in_channels,
            "image_size": BACKBONE.image_size,
            "num_classes": BACKBONE.num_classes,
            "params": sum(part.params for part in BACKBONE.parts),
            "macs": sum(sum(part.macs.values()) for part in BACKBONE.parts),
        },
        "protocol": PROTOCOL,
    }


def _digest_arrays(data: PreparedData) -> dict[str, str]:
    """Return the SHA-256 of each part's pixels or labels; the format of the files has no effect."""
    return {
        name: hashlib.sha256(np.load(data.array_path(name)).tobytes()).hexdigest()
        for name in ARRAY_NAMES
    }
