"""The latencies of a space on a device: what each SE block adds, and how well sums of it hold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from se_search.errors import LatencyError
from se_search.latency.paired import PairedTiming
from se_search.latency.settings import LatencyGround
from se_search.latency.sums import NS_PER_MS, LatencySums

Array = NDArray[np.float64]

LATENCY_VERSION = 1  # another number for another way of measuring: what was kept is not comparable


@dataclass(frozen=True, slots=True)
class Delta:
    """What one SE block of a kind, width and integration adds on feature maps of one shape.

    Attributes:
        name: see ``name_delta``.
        places: the sites that it was measured at, as ``s2`` or ``s3.2-4``.
        block: the block, as ``standard:16``.
        num_blocks: blocks that the timed network has; the timing is of all of them together.
        timing: of that network against the plain one.
        added_macs_pct: multiply-adds of one block in per cent of the plain network's.
        added_params_pct: parameters of one block in per cent of the plain network's.
    """

    name: str
    places: str
    block: str
    num_blocks: int
    timing: PairedTiming
    added_macs_pct: float
    added_params_pct: float

    @property
    def added_pct(self) -> float:
        """What one block adds, in per cent of the plain network's time, as it was measured."""
        return self.timing.added_pct / self.num_blocks

    @property
    def is_below_zero(self) -> bool:
        """Whether the network was faster with the block; sums count it as 0."""
        return self.timing.added_pct < 0


@dataclass(frozen=True, slots=True)
class WholeTiming:
    """A candidate that was measured whole, beside the sum for it.

    Attributes:
        candidate: text form.
        placement: short text.
        timing: against the plain network.
        sum_pct: what the sum says that it adds, in per cent of the plain network's time; None: it
            has an SE block that the table does not have.
    """

    candidate: str
    placement: str
    timing: PairedTiming
    sum_pct: float | None

    @property
    def error_pct(self) -> float | None:
        """The sum less what was measured, in per cent of the plain network's time."""
        return None if self.sum_pct is None else self.sum_pct - self.timing.added_pct


@dataclass(frozen=True, slots=True)
class SumError:
    """How far sums are from candidates that were measured whole.

    Attributes:
        median_pct: median of the absolute errors, in per cent of the plain network's time.
        quantile_pct: 95 % quantile of the absolute errors, in per cent of it.
        bias_pct: mean of the errors: above 0 where sums are too high.
        rank_correlation: Spearman's, of sums with measured times; None: all sums are equal.
        count: number of candidates.
    """

    median_pct: float
    quantile_pct: float
    bias_pct: float
    rank_correlation: float | None
    count: int


@dataclass(frozen=True)
class LatencyTable:
    """What the candidates of a space take on a device.

    Attributes:
        backbone: name of the network.
        image_size: pixels a side of its images.
        ground: all else that the times depend on.
        plain_ms: median time of a batch through the plain network, over all of its times.
        plain_bytes: peak memory of the plain network.
        same: timings of the plain network against another copy of it.
        deltas: what SE blocks add.
        whole: candidates that were measured whole.
        front: candidates of the front that were measured whole once the search had ended.
        number: runs that make up one time.
        launch_share: of the plain network's time on a GPU, the share in which kernels are started;
            near 1 the starts take the time, not the arithmetic. None: on a CPU.
        load: average number of busy processes of the machine in the minute before; None: unknown.
        cores: number of CPU cores.
    """

    backbone: str
    image_size: int
    ground: LatencyGround
    plain_ms: float
    plain_bytes: int
    same: tuple[PairedTiming, ...]
    deltas: tuple[Delta, ...]
    whole: tuple[WholeTiming, ...]
    number: int
    launch_share: float | None
    load: float | None
    cores: int
    front: tuple[WholeTiming, ...] = ()

    @property
    def batch(self) -> int:
        """Images at a time."""
        return self.ground.settings.batch

    @property
    def images_per_second(self) -> float:
        """Images a second through the plain network."""
        return 1000 * self.batch / self.plain_ms

    @property
    def floor_pct(self) -> float:
        """The noise floor, in per cent of the plain network's time.

        It is the median of the farther ends of the 95 % intervals of the plain network against
        itself, so that one disturbed interval does not set it. Such an end lies 2.6 standard errors
        off or a little more, and the 95 % limit of a difference between two candidates that were
        each set against the plain network is 2.8 of them.
        """
        return float(np.median([each.limit for each in self.same]))

    @property
    def spread_pct(self) -> float:
        """Median interquartile range of the plain network's times, in per cent of their median."""
        every = [*self.same, *(d.timing for d in self.deltas), *(w.timing for w in self.whole)]
        return float(np.median([timing.plain_spread_pct for timing in every]))

    @cached_property
    def sums(self) -> LatencySums:
        """What latencies are summed from."""
        plain = round(self.plain_ms * NS_PER_MS)
        return LatencySums(
            plain,
            tuple((d.name, max(0, round(plain * d.added_pct / 100))) for d in self.deltas),
            round(plain * self.floor_pct / 100),
        )

    @property
    def sum_error(self) -> SumError | None:
        """How far sums are from what was measured whole; None: no candidate was."""
        return measure_sum_error(self.whole)

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits over all that sums depend on."""
        sums = [LATENCY_VERSION, self.sums.plain, self.sums.added, self.sums.floor]
        text = json.dumps([sums, self.ground.to_json()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def with_front(self, front: Sequence[WholeTiming]) -> LatencyTable:
        """Return the table with these candidates of the front measured whole."""
        return replace(self, front=tuple(front))

    def to_json(self) -> dict[str, Any]:
        """Return plain data, from which ``from_json`` makes an equal table."""
        plain = {**asdict(self), "ground": self.ground.to_json()}
        return {"version": LATENCY_VERSION, **plain}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LatencyTable:
        """Return the table that ``to_json`` made plain data of.

        Raises:
            LatencyError: it is something else, or of another version.
        """
        try:
            if data["version"] != LATENCY_VERSION:
                raise LatencyError(
                    f"latencies of version {data['version']}; this se-search reads version "
                    f"{LATENCY_VERSION}"
                )
            fields = {name: value for name, value in data.items() if name != "version"}
            return cls(
                **fields
                | {
                    "ground": LatencyGround.from_json(data["ground"]),
                    "same": tuple(map(read_timing, data["same"])),
                    "deltas": tuple(
                        Delta(**row | {"timing": read_timing(row["timing"])})
                        for row in data["deltas"]
                    ),
                    "whole": tuple(map(_read_whole, data["whole"])),
                    "front": tuple(map(_read_whole, data["front"])),
                }
            )
        except (KeyError, TypeError, ValueError, AttributeError) as cause:
            raise LatencyError(f"no table of latencies: {cause}") from cause


def read_timing(data: Mapping[str, Any]) -> PairedTiming:
    """Return the timing of which ``dataclasses.asdict`` made plain data."""
    return PairedTiming(**dict(data) | {"quartiles": tuple(data["quartiles"])})


def measure_sum_error(whole: Sequence[WholeTiming]) -> SumError | None:
    """Return how far sums are from what was measured; None: no candidate has both."""
    pairs = [(w.sum_pct, w.timing.added_pct) for w in whole if w.sum_pct is not None]
    if not pairs:
        return None
    sums, measured = np.array(pairs).T
    errors = sums - measured
    return SumError(
        median_pct=float(np.median(np.abs(errors))),
        quantile_pct=float(np.quantile(np.abs(errors), 0.95)),
        bias_pct=float(errors.mean()),
        rank_correlation=_correlate_ranks(sums, measured),
        count=len(pairs),
    )


def _correlate_ranks(one: Array, other: Array) -> float | None:
    from scipy.stats import rankdata

    ranks = [rankdata(values) for values in (one, other)]
    if any(np.ptp(own) == 0 for own in ranks):
        return None
    return float(np.corrcoef(*ranks)[0, 1])


def _read_whole(data: Mapping[str, Any]) -> WholeTiming:
    return WholeTiming(**dict(data) | {"timing": read_timing(data["timing"])})
