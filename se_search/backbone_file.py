"""Writes and reads a backbone's description as plain data: the catalogue's rows, a run's file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, replace
from typing import Any

from se_search.backbone import Backbone, FeatureMap, Integration, NativeSE, Part, Site
from se_search.errors import BackboneError


def backbone_to_json(backbone: Backbone) -> dict[str, Any]:
    """Return a backbone as plain data, of which ``backbone_from_json`` makes an equal one.

    Whether the user's code may be run is left out: it is allowed by an option, never by a file.
    """
    row = {
        "name": backbone.name,
        "in_channels": backbone.in_channels,
        "image_size": backbone.image_size,
        "num_classes": backbone.num_classes,
        "parts": {part.name: [part.params, dict(part.macs)] for part in backbone.parts},
        "uncounted": list(backbone.uncounted),
        "sites": {
            site.name: {
                integration: [feature_map.channels, feature_map.pixels]
                for integration, feature_map in site.feature_maps.items()
            }
            for site in backbone.sites
        },
    }
    native = {site.name: _list_native(site.native) for site in backbone.sites if site.native}
    if native:
        row["native"] = native
    if backbone.attach is not None:
        row["attach"] = [
            {integration: list(point) for integration, point in points.items()}
            for points in backbone.attach
        ]
    if backbone.parameters is not None:
        row["parameters"] = backbone.parameters
    if backbone.source:
        row["source"] = dict(backbone.source)
    return row


def backbone_from_json(row: Mapping[str, Any], *, allow_code: bool = False) -> Backbone:
    """Return the backbone that ``backbone_to_json`` wrote down.

    Args:
        row: what it returned, as it is or after JSON.
        allow_code: whether the user's code may be run to make the network.

    Raises:
        BackboneError: ``row`` is something else.
    """
    try:
        native = row.get("native", {})
        attach = row.get("attach")
        return Backbone(
            name=row["name"],
            in_channels=row["in_channels"],
            image_size=row["image_size"],
            num_classes=row["num_classes"],
            sites=tuple(
                _read_site(name, feature_maps, native.get(name))
                for name, feature_maps in row["sites"].items()
            ),
            parts=tuple(Part(name, params, macs) for name, (params, macs) in row["parts"].items()),
            uncounted=tuple(row["uncounted"]),
            allow_code=allow_code,
            attach=None if attach is None else tuple(map(_read_points, attach)),
            parameters=row.get("parameters"),
            source=dict(row.get("source", {})),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as cause:
        raise BackboneError(f"this is no description of a backbone: {cause!r}") from cause


def _read_site(
    name: str, feature_maps: Mapping[Integration, list[int]], native: list[Any] | None
) -> Site:
    stage, block = name.removeprefix("stage").split(".block")
    maps = {integration: FeatureMap(*sizes) for integration, sizes in feature_maps.items()}
    return Site(int(stage), int(block), maps, None if native is None else _read_native(native))


def _list_native(native: NativeSE) -> list[Any]:
    *design, uncounted = astuple(native)
    return [*design, list(uncounted)] if uncounted else design


def _read_native(row: list[Any]) -> NativeSE:
    native = NativeSE(*row[:5])
    return replace(native, uncounted=tuple(row[5])) if len(row) > 5 else native


def _read_points(points: Mapping[Integration, list[str]]) -> dict[Integration, tuple[str, str]]:
    return {integration: (path, side) for integration, (path, side) in points.items()}
