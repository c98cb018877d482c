"""Describes backbones, without importing torch if the catalogue has them."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from se_search.backbone import Backbone
from se_search.backbone_file import backbone_from_json, backbone_to_json
from se_search.errors import BackboneError
from se_search.models.names import (
    IMAGENET,
    SHAPES,
    TORCHVISION,
    TORCHVISION_NAMES,
    is_torchvision_name,
)

CATALOGUE = Path(__file__).with_name("catalogue.json")
MAX_IMAGE_SIZE = 8_192  # a larger image takes gigabytes where a network is traced
MAX_CLASSES = 1_000_000


def describe_backbone(
    name: str,
    in_channels: int,
    image_size: int,
    num_classes: int,
    *,
    allow_code: bool = False,
    sites: Path | None = None,
) -> Backbone:
    """Return a backbone's sites and costs without SE.

    They are read from the catalogue if it has the backbone with this image and number of classes;
    else the network is constructed and traced, which imports torch and takes seconds.

    Args:
        name: a network of the catalogue, of torchvision or of timm, or ``module:callable``;
            ``torchvision:NAME`` and ``timm:NAME`` where both have it.
        in_channels: channels of the images.
        image_size: height and width of the images in pixels.
        num_classes: output width of the last layer.
        allow_code: whether a user's own code may be run; needed for ``module:callable``.
        sites: file that lists the sites; None: they are found by inspection.

    Raises:
        BackboneError: there is no such backbone, it takes images of other channels, a size is
            not a positive integer or too large, it is code that may not be run, or no sites are
            found.

    Example:
        >>> backbone = describe_backbone("resnet50", 3, 224, 1000)
        >>> len(backbone.sites), backbone.stages
        (16, (2, 3, 4, 5))
        >>> backbone.sites[0].feature_map("standard")
        FeatureMap(channels=256, pixels=3136)
    """
    if is_torchvision_name(name) and in_channels != 3:
        raise BackboneError(f"{name} takes images of 3 channels, not {in_channels}")
    for what, value, highest in (
        ("number of channels", in_channels, None),
        ("image size", image_size, MAX_IMAGE_SIZE),
        ("number of classes", num_classes, MAX_CLASSES),
    ):
        _check_number(name, what, value, highest)
    if sites is None and ":" not in name:
        return _describe(name, in_channels, image_size, num_classes)
    from se_search.models.profile import profile  # imports torch, which takes seconds

    return profile(
        name, in_channels, image_size, num_classes, allow_code=allow_code, site_file=sites
    )


def _check_number(name: str, what: str, value: int, highest: int | None) -> None:
    if value < 1:
        raise BackboneError(f"{name}: {what} {value} is not a positive integer")
    if highest is not None and value > highest:
        raise BackboneError(f"{name}: {what} {value} is above {highest:,}")


def backbone_in_channels(
    name: str, image_channels: int, image_size: int | None = None, *, allow_code: bool = False
) -> int:
    """Return the channels that a backbone takes of images with ``image_channels``.

    Networks of torchvision always take 3; most others take what the images have. A user's own
    network is run to find out.

    Args:
        name: name of the backbone.
        image_channels: channels of the images.
        image_size: height and width of the images in pixels; None: 224.
        allow_code: whether a user's own code may be run.

    Raises:
        BackboneError: there is no such backbone, it is code that may not be run, or it takes no
            images of this size, which may be too large for any.
    """
    if image_size is not None:
        _check_number(name, "image size", image_size, MAX_IMAGE_SIZE)
    if is_torchvision_name(name):
        return 3
    if name in SHAPES:
        return image_channels
    from se_search.models.accepted_images import own_in_channels  # imports torch
    from se_search.models.own import is_own_name

    if is_own_name(name):
        return own_in_channels(name, image_channels, image_size or IMAGENET[1], allow_code)
    check_name(name)
    return image_channels


def default_shape(name: str) -> tuple[int, int, int]:
    """Return the image channels, image size and number of classes for which a backbone is made.

    They are the catalogue's or timm's; for other networks those of ImageNet.

    Raises:
        BackboneError: there is no such backbone.
    """
    if name in SHAPES:
        return SHAPES[name]
    if name == f"{TORCHVISION}inception_v3":
        return 3, 299, 1000
    if is_torchvision_name(name):
        return IMAGENET
    from se_search.models.backbones import timm_shape  # imports torch
    from se_search.models.own import is_own_name

    return IMAGENET if is_own_name(name) else timm_shape(name)


def check_name(name: str) -> None:
    """Raise a BackboneError if there is no backbone of this name.

    A name that is neither in the catalogue nor torchvision's is looked up in timm, which imports
    torch. A user's ``module:callable`` is not looked up.
    """
    if name in SHAPES or name in TORCHVISION_NAMES:
        return
    from se_search.models.backbones import timm_name, torchvision_name  # imports torch
    from se_search.models.own import is_own_name

    if is_torchvision_name(name):
        torchvision_name(name)
    elif not is_own_name(name):
        timm_name(name)


def write_catalogue(path: Path) -> None:
    """Measure every backbone of the catalogue and write them to a file, one line of JSON each."""
    from se_search.models.profile import profile

    rows = [backbone_to_json(profile(name, *shape)) for name, shape in SHAPES.items()]
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


@lru_cache
def _describe(name: str, in_channels: int, image_size: int, num_classes: int) -> Backbone:
    if (in_channels, image_size, num_classes) == SHAPES.get(name):
        return backbone_from_json(_read_catalogue()[name])
    from se_search.models.profile import profile  # imports torch, which takes seconds

    return profile(name, in_channels, image_size, num_classes)


@lru_cache
def _read_catalogue() -> dict[str, Any]:
    rows = json.loads(CATALOGUE.read_text(encoding="utf-8"))
    return {row["name"]: row for row in rows}


if __name__ == "__main__":
    write_catalogue(CATALOGUE)
