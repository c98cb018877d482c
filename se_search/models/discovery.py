"""Finds the sites of a network by running it: known units, residual units, its own SE blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from torch import nn

from se_search.errors import BackboneError
from se_search.models.attention import Attention, find_attention, is_mixer
from se_search.models.drafts import draft_sites, explain_lack
from se_search.models.recording import Recording, record
from se_search.models.residual_units import FoundUnit, find_residual_units
from se_search.models.sites import ModuleSite, number_stages, place_units
from se_search.models.units import (
    MORE_UNITS,
    UNITS,
    Points,
    find_chain,
    find_known_units,
    find_native_units,
    find_units,
    overlaps,
)

MAX_NAMED = 3  # modules in the message of an error


@dataclass(frozen=True, slots=True)
class _Unit:
    path: str
    points: Points
    begins: int
    stride: int


def discover_sites(model: nn.Module, in_channels: int, image_size: int) -> tuple[ModuleSite, ...]:
    """Return the sites of a network, in the order in which a forward pass reaches them.

    Sites are the SE blocks that the network came with, units of known classes, and units that the
    forward pass shows: a branch of convolutions that is joined with its input.

    Args:
        model: the network.
        in_channels: channels of the images.
        image_size: height and width of the images in pixels.

    Raises:
        BackboneError: the network can't take such an image, has attention that is not known, or
            has no sites.
    """
    recording = record(model, in_channels, image_size)
    called = recording.first_calls()
    native = [(path, points) for path, points in find_native_units(model) if path in called]
    blocks = [f"{path}.{points['native'][0]}".rstrip(".") for path, points in native]
    _refuse(model, find_attention(model, recording, blocks))
    chain = find_chain(model)
    known = chain or _find_known(model, native)
    known = [(path, points) for path, points in known if path in called]
    more: list[_Unit] = []
    if not chain:
        taken = [path for path, _ in (*native, *known)]
        found = [
            unit
            for unit in find_residual_units(model, recording, taken)
            if not (unit.path.startswith("stem") or _mixes_pixels(model, unit))
        ]
        _refuse(model, [unit.self_attention for unit in found if unit.self_attention])
        more = [_Unit(unit.path, unit.points, unit.begins, unit.stride) for unit in found]
    listed = [
        _Unit(path, points, called[path], _stride(recording, called[path]))
        for path, points in (*native, *known)
    ]
    units = _join_nested(sorted([*listed, *more], key=lambda unit: unit.begins))
    if not units:
        raise BackboneError(
            f"{type(model).__name__} has no sites that are found by running it: "
            f"{explain_lack(model, recording)}. List them in a file (--sites FILE) or by a method "
            f"se_sites() of the network.{draft_sites(recording)}"
        )
    return place_units([(unit.path, unit.points) for unit in units], _number_stages(model, units))


def _join_nested(units: Sequence[_Unit]) -> list[_Unit]:
    """Return units so that one inside another has the other's stride, and so its stage."""
    return [
        replace(
            unit,
            stride=max(
                other.stride for other in units if f"{unit.path}.".startswith(f"{other.path}.")
            ),
        )
        for unit in units
    ]


def _find_known(model: nn.Module, native: Sequence[tuple[str, Points]]) -> list[tuple[str, Points]]:
    return [
        (path, points)
        for path, points in find_known_units(model, UNITS | MORE_UNITS)
        if not path.startswith("stem") and not any(overlaps(path, other) for other, _ in native)
    ]


def _mixes_pixels(model: nn.Module, unit: FoundUnit) -> bool:
    return unit.self_attention is not None and any(
        is_mixer(module) for module in model.get_submodule(unit.path).modules()
    )


def _refuse(model: nn.Module, found: Sequence[Attention]) -> None:
    if not found:
        return
    more = f" and {len(found) - MAX_NAMED} more" if len(found) > MAX_NAMED else ""
    raise BackboneError(
        f"{type(model).__name__} has attention of its own that se-search can neither price nor "
        f"remove: {', '.join(map(str, found[:MAX_NAMED]))}{more}. Allowed: networks without "
        "attention, or with SE blocks of torchvision's or timm's classes; or list the sites in a "
        "file (--sites FILE), which leaves the network's attention as it is"
    )


def _stride(recording: Recording, number: int) -> int:
    """Return the product of the strides between the image and the output of a call."""
    call = recording.calls[number]
    made = call.input if call.output is None else call.output
    return 1 if made is None else recording.values[made].stride


def _number_stages(model: nn.Module, units: Sequence[_Unit]) -> list[int]:
    """Number the stages of units: as ``locate_sites`` does if it finds these, or else from 2.

    Else the parts of the network are its stages, as far as they have to be told apart: parts whose
    units have different strides are parted further (``stages`` into ``stages.0``, ...). If that
    gives each unit a stage, a stage begins at each stride.
    """
    paths = [unit.path for unit in units]
    if [path for path, _ in find_units(model)] == paths:
        stages = number_stages(model, paths)
        if len(set(stages)) < len(stages):
            return stages
    parts = _part(units, 1)
    if parts and 1 < len(parts) < len(units):
        return [number for number, part in enumerate(parts, start=2) for _ in part]
    stage, stride = 1, 0
    stages = []
    for unit in units:
        if unit.stride > stride:
            stage, stride = stage + 1, unit.stride
        stages.append(stage)
    return stages


def _part(units: Sequence[_Unit], depth: int) -> list[list[_Unit]]:
    """Part units by the first names of their paths; empty if parts would not follow each other."""
    names = [".".join(unit.path.split(".")[:depth]) for unit in units]
    groups = [
        [unit for _, unit in members]
        for _, members in groupby(zip(names, units, strict=True), key=lambda pair: pair[0])
    ]
    if len(groups) > len(set(names)) or all(unit.path.count(".") < depth - 1 for unit in units):
        return []
    parts: list[list[_Unit]] = []
    for group in groups:
        is_whole = len({unit.stride for unit in group}) == 1
        inner = [group] if is_whole else _part(group, depth + 1)
        if not inner:
            return []
        parts += inner
    return parts
