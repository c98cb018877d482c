"""Lays readings of gates out: a row for each block, each stage and all of them, and a ranking."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from se_search.analysis.gates import (
    Drop,
    GateReading,
    GateStatistics,
    Sites,
    mean_drop,
    paired_drop,
)
from se_search.candidate import SE, Candidate

Scope = Literal["block", "stage", "all"]
ALL = "all"
STATISTICS = (
    *("mean", "sd_channels", "sd_images", "sd_pixels", "variation", "class_share"),
    *("near_zero", "near_one", "near_constant"),
)


@dataclass(frozen=True, slots=True)
class GateRow:
    """The gates of a block, or what is lost without those of a block, of a stage or of all.

    Attributes:
        replicate: whose network it is; None: the mean of all replicates.
        scope: ``block``, ``stage`` or ``all``.
        place: ``stage5.block1``, ``stage5`` or ``all``.
        se: the SE block as in a candidate's text; empty for a stage and for all.
        channels: that are gated.
        start: value near which an untrained gate is; None: not known, or no block.
        mean: gate over images and channels; of a stage and of all nothing is known but drops.
        sd_channels: standard deviation over channels of their means.
        sd_images: standard deviation over images within a channel.
        sd_pixels: standard deviation over pixels within an image; None: there is one gate a
            channel.
        variation: ``sd_images`` by ``mean``.
        class_share: share of the variance over images that is between classes.
        near_zero: share of gates within 0.05 of 0.
        near_one: share of gates within 0.05 of 1.
        near_constant: share of gates within 0.05 of their channel's mean over training images.
        accuracy: share of the images that are right if these gates are constants.
        drop: what is lost by that, as a share of the images.
        drop_low: lower end of its 95 % interval; None: not known.
        drop_high: upper end of its 95 % interval; None: not known.
        rank: 1 for the block whose constants lose most; None for a stage and for all.
    """

    replicate: int | None
    scope: Scope
    place: str
    se: str
    channels: int
    start: float | None
    mean: float | None
    sd_channels: float | None
    sd_images: float | None
    sd_pixels: float | None
    variation: float | None
    class_share: float | None
    near_zero: float | None
    near_one: float | None
    near_constant: float | None
    accuracy: float
    drop: float
    drop_low: float | None
    drop_high: float | None
    rank: int | None = None


def list_places(candidate: Candidate) -> dict[str, Sites]:
    """Return the sites of a candidate that carry SE; see ``group_sites``."""
    pairs = zip(candidate.backbone.sites, candidate.blocks, strict=True)
    return group_sites([site.name for site, block in pairs if block is not None])


def group_sites(names: Sequence[str]) -> dict[str, Sites]:
    """Return sites by block, by stage, and all of them, each group by its place.

    A stage with one block is not listed besides it, nor are all where there is one alone.

    Args:
        names: of the sites, as ``stage5.block1``, in forward order.
    """
    groups: dict[str, Sites] = {
        stage: tuple(name for name in names if name.partition(".")[0] == stage)
        for stage in dict.fromkeys(name.partition(".")[0] for name in names)
    }
    groups[ALL] = tuple(names)
    several = {place: sites for place, sites in groups.items() if len(sites) > 1}
    return {name: (name,) for name in names} | several


def tabulate(readings: Mapping[int, GateReading], candidate: Candidate) -> list[GateRow]:
    """Return the rows of each replicate, and behind them those of their mean if there are several.

    Intervals of one replicate's drops are for other images and its weights as they are; those of
    the mean are for fresh replicates.

    Args:
        readings: of the candidate's networks by replicate, with the places of ``list_places``.
        candidate: the candidate.
    """
    by_replicate = [_rank(_tabulate_one(number, r, candidate)) for number, r in readings.items()]
    rows = [row for rows in by_replicate for row in rows]
    if len(by_replicate) > 1:
        rows += _rank([_average(same) for same in zip(*by_replicate, strict=True)])
    return rows


def find_start(block: SE | None) -> float | None:
    """Return the value near which the gates of a block are before it is trained; None: not known.

    An SE block that a network came with may have any, and one without parameters has no start.
    """
    if block is None or block.integration == "native" or block.kind == "ge":
        return None
    if block.gate_init != "half":
        return 1.0
    return 0.5 if block.gate in ("sigmoid", "hard_sigmoid") else 0.0


def summary_rows(rows: Sequence[GateRow]) -> list[GateRow]:
    """Return the rows of the mean of all replicates, or those of the only one."""
    return [row for row in rows if row.replicate is None] or list(rows)


def _tabulate_one(replicate: int, reading: GateReading, candidate: Candidate) -> Iterator[GateRow]:
    carried = {
        site.name: block
        for site, block in zip(candidate.backbone.sites, candidate.blocks, strict=True)
    }
    for place, sites in list_places(candidate).items():
        scope: Scope = "block" if place in carried else "all" if place == ALL else "stage"
        block = reading.blocks[place] if scope == "block" else None
        after = reading.without[sites]
        drop = paired_drop(reading.correct, after)
        yield GateRow(
            replicate=replicate,
            scope=scope,
            place=place,
            se=str(carried[place]) if scope == "block" else "",
            channels=sum(len(reading.constants[site]) for site in sites),
            start=find_start(carried[place]) if scope == "block" else None,
            **_statistics(block),
            accuracy=float(after.mean()),
            **_flat(drop),
        )


def _statistics(block: GateStatistics | None) -> dict[str, Any]:
    return {name: None if block is None else getattr(block, name) for name in STATISTICS}


def _flat(drop: Drop) -> dict[str, Any]:
    return {"drop": drop.value, "drop_low": drop.low, "drop_high": drop.high}


def _average(rows: Sequence[GateRow]) -> GateRow:
    """Return the mean of one place's rows in several replicates."""
    means: dict[str, Any] = {}
    for name in (*STATISTICS, "accuracy"):
        values = [value for row in rows if (value := getattr(row, name)) is not None]
        means[name] = float(np.mean(values)) if values else None
    drop = mean_drop([Drop(row.drop, row.drop_low, row.drop_high) for row in rows])
    return replace(rows[0], replicate=None, **means, **_flat(drop))


def _rank(rows: Iterator[GateRow] | Sequence[GateRow]) -> list[GateRow]:
    listed = list(rows)
    blocks = sorted((row for row in listed if row.scope == "block"), key=lambda row: -row.drop)
    ranks = {row.place: rank for rank, row in enumerate(blocks, 1)}
    return [replace(row, rank=ranks.get(row.place)) for row in listed]
