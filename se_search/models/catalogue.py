"""The catalogue: describes a backbone without importing torch, where it was measured before."""

from __future__ import annotations

import difflib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from se_search.candidate import Backbone, FeatureMap, Part, Site
from se_search.errors import BackboneError

# Those of torchvision take images of 3 channels.
TORCHVISION_NAMES = (
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "wide_resnet50_2",
    "wide_resnet101_2",
)
BACKBONE_NAMES = ("resnet20_bottleneck", *TORCHVISION_NAMES)

CATALOGUE = Path(__file__).with_name("catalogue.json")


def describe_backbone(name: str, in_channels: int, image_size: int, num_classes: int) -> Backbone:
    """Return a backbone's sites and costs: from the catalogue, or else measured (with torch).

    Raises:
        BackboneError: there is no such backbone, it takes images of other channels, or a size is
            not a positive integer.
    """
    if in_channels != backbone_in_channels(name, in_channels):
        raise BackboneError(f"{name} takes images of 3 channels, not {in_channels}")
    for what, value in (
        ("number of channels", in_channels),
        ("image size", image_size),
        ("number of classes", num_classes),
    ):
        if value < 1:
            raise BackboneError(f"{name}: {what} {value} is not a positive integer")
    return _describe(name, in_channels, image_size, num_classes)


def backbone_in_channels(name: str, image_channels: int) -> int:
    """Return the channels that a backbone wants of such images: torchvision's nets always want 3.

    Raises:
        BackboneError: there is no such backbone.
    """
    check_name(name)
    return 3 if name in TORCHVISION_NAMES else image_channels


def default_shape(name: str) -> tuple[int, int, int]:
    """Return the catalogue's image channels, image size and number of classes for a backbone.

    Raises:
        BackboneError: there is no such backbone.
    """
    check_name(name)
    return (3, 224, 1000) if name in TORCHVISION_NAMES else (1, 28, 10)


def check_name(name: str) -> None:
    """Raise a BackboneError if there is no backbone of this name."""
    if name not in BACKBONE_NAMES:
        longer = [known for known in BACKBONE_NAMES if name and known.startswith(name)]
        close = longer or difflib.get_close_matches(name, BACKBONE_NAMES)
        hint = f" (did you mean {' or '.join(close)}?)" if close else ""
        allowed = ", ".join(BACKBONE_NAMES)
        raise BackboneError(f"backbone {name!r}{hint} is not one of {allowed}")


def write_catalogue(path: Path) -> None:
    """Measure every backbone anew, one line of JSON each."""
    from se_search.models.profile import profile

    rows = [_to_json(profile(name, *default_shape(name))) for name in BACKBONE_NAMES]
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


@lru_cache
def _describe(name: str, in_channels: int, image_size: int, num_classes: int) -> Backbone:
    if (in_channels, image_size, num_classes) == default_shape(name):
        return _from_json(_read_catalogue()[name])
    from se_search.models.profile import profile  # imports torch, which takes seconds

    return profile(name, in_channels, image_size, num_classes)


@lru_cache
def _read_catalogue() -> dict[str, Any]:
    rows = json.loads(CATALOGUE.read_text(encoding="utf-8"))
    return {row["name"]: row for row in rows}


def _to_json(backbone: Backbone) -> dict[str, Any]:
    return {
        "name": backbone.name,
        "in_channels": backbone.in_channels,
        "image_size": backbone.image_size,
        "num_classes": backbone.num_classes,
        "parts": {part.name: [part.params, part.macs] for part in backbone.parts},
        "uncounted": backbone.uncounted,
        "sites": {
            site.name: {
                integration: [feature_map.channels, feature_map.pixels]
                for integration, feature_map in site.feature_maps.items()
            }
            for site in backbone.sites
        },
    }


def _from_json(row: dict[str, Any]) -> Backbone:
    sites = []
    for name, feature_maps in row["sites"].items():
        stage, block = name.removeprefix("stage").split(".block")
        maps = {integration: FeatureMap(*sizes) for integration, sizes in feature_maps.items()}
        sites.append(Site(int(stage), int(block), maps))
    return Backbone(
        row["name"],
        row["in_channels"],
        row["image_size"],
        row["num_classes"],
        tuple(sites),
        tuple(Part(name, params, macs) for name, (params, macs) in row["parts"].items()),
        tuple(row["uncounted"]),
    )


if __name__ == "__main__":
    write_catalogue(CATALOGUE)
