"""Measures the latencies of a space: plans what is timed, times it, and makes the table of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from se_search.candidate import Candidate
from se_search.cost import count_cost
from se_search.latency.paired import MIN_ROUNDS, PairedTiming, time_pairs
from se_search.latency.settings import LatencyGround
from se_search.latency.structures import DeltaStructure, draw_whole, list_deltas
from se_search.latency.table import Delta, LatencyTable, WholeTiming
from se_search.space.allowed import AllowedCandidates

NUM_SAME = 4  # how often the plain network is set against a copy of itself
MAX_ROUNDS = 100  # beyond that a median gains little, and a machine changes meanwhile
MIN_SECONDS = 0.02  # of one time: shorter ones are made of several runs
WARM_RUNS = 2  # before a time of several runs, untimed: they fill caches again
BUSY_LOAD = 0.5  # busy processes a core above which times are disturbed


class Loaded(Protocol):
    """A network that is ready to run."""

    def run(self, number: int) -> float:
        """Run a batch that many times; return the seconds that one run took."""

    @property
    def peak_bytes(self) -> int:
        """Greatest memory that weights, images and feature maps take at one moment."""


class Bench(Protocol):
    """Loads networks on a device."""

    def load(self, candidate: Candidate) -> Loaded:
        """Build an untrained network, and run it until it is warm."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What is found out before a measurement is planned.

    Attributes:
        ground: what the times will be of.
        seconds: that a batch takes through the plain network.
        loading: seconds until a network that is built is warm.
        launch_share: see ``LatencyTable``.
        foreign_bytes: memory of the GPU that other processes have taken; 0 on a CPU.
    """

    ground: LatencyGround
    seconds: float
    loading: float
    launch_share: float | None
    foreign_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Structure:
    """A network that is timed against the plain one.

    Attributes:
        name: unique among all that are timed on a ground: the text form, and for a copy of the
            plain network its number behind it.
        candidate: the network.
    """

    name: str
    candidate: Candidate


@dataclass(frozen=True, slots=True)
class Plan:
    """What is timed, and how often.

    Attributes:
        deltas: the networks that show what SE blocks add.
        whole: candidates that are measured whole.
        structures: all that is timed, in its order.
        rounds: how often each network is timed.
        number: runs that make up one time.
        seconds_each: that timing one network takes, as it is estimated.
    """

    deltas: tuple[DeltaStructure, ...]
    whole: tuple[Candidate, ...]
    structures: tuple[Structure, ...]
    rounds: int
    number: int
    seconds_each: float

    def list_missing(self, known: Mapping[str, PairedTiming]) -> tuple[Structure, ...]:
        """Return what has not been timed before."""
        return tuple(each for each in self.structures if each.name not in known)


def plan_measurement(allowed: AllowedCandidates, probe: Probe, budget: float) -> Plan:
    """Plan what is timed, within a budget of time where that leaves ten rounds.

    Args:
        allowed: the candidates whose latencies are wanted.
        probe: what was found out before.
        budget: seconds that the measurement shall take.
    """
    deltas = list_deltas(allowed.space)
    whole = draw_whole(allowed, deltas)
    timed = [Structure(str(each.candidate), each.candidate) for each in deltas]
    timed += [Structure(str(candidate), candidate) for candidate in whole]
    structures = _spread(list_same(Candidate.plain(allowed.space.backbone)), timed)
    number = max(1, math.ceil(MIN_SECONDS / probe.seconds))
    # A round has two times.
    a_round = 2 * probe.seconds * (number + (WARM_RUNS if number > 1 else 0))
    affordable = (budget / len(structures) - probe.loading) / a_round - 1
    rounds = int(min(MAX_ROUNDS, max(MIN_ROUNDS, affordable)))
    each = probe.loading + (rounds + 1) * a_round
    return Plan(deltas, whole, structures, rounds, number, each)


def list_same(plain: Candidate) -> tuple[Structure, ...]:
    """Return the copies of the plain network that it is set against."""
    return tuple(Structure(f"{plain} #{number}", plain) for number in range(1, NUM_SAME + 1))


def time_structures(
    bench: Bench,
    structures: Sequence[Structure],
    rounds: int,
    number: int,
    keep: Callable[[Structure, PairedTiming], None] = lambda *_: None,
) -> dict[str, PairedTiming]:
    """Time networks against the plain one, one after the other; two are in memory at a time.

    Args:
        bench: loads them.
        structures: what is timed.
        rounds: how often.
        number: runs that make up one time.
        keep: told of each timing at once, so that nothing is lost if a later one fails.
    """
    if not structures:
        return {}
    plain = bench.load(Candidate.plain(structures[0].candidate.backbone))
    found = {}
    for structure in structures:
        other = bench.load(structure.candidate)
        timing = time_pairs(plain.run, other.run, rounds, number, other.peak_bytes)
        del other  # before the next is loaded
        found[structure.name] = timing
        keep(structure, timing)
    return found


def make_table(
    plan: Plan, probe: Probe, timings: Mapping[str, PairedTiming], load: float | None, cores: int
) -> LatencyTable:
    """Return the table of what has been timed.

    Args:
        plan: what was planned.
        probe: what was found out before.
        timings: of all structures of the plan, by their names.
        load: busy processes of the machine before the measurement; None: unknown.
        cores: CPU cores of the machine.
    """
    backbone = plan.structures[0].candidate.backbone
    same = tuple(timings[each.name] for each in list_same(Candidate.plain(backbone)))
    plain = count_cost(Candidate.plain(backbone))
    deltas = []
    for each in plan.deltas:
        cost = count_cost(each.candidate)
        block = next(block for block in each.candidate.blocks if block is not None)
        deltas.append(
            Delta(
                each.name,
                name_places(each.candidate),
                str(block),
                each.num_blocks,
                timings[str(each.candidate)],
                100 * cost.added_macs / plain.macs / each.num_blocks,
                100 * cost.added_params / plain.params / each.num_blocks,
            )
        )
    table = LatencyTable(
        backbone=backbone.name,
        image_size=backbone.image_size,
        ground=probe.ground,
        plain_ms=float(np.median([timings[each.name].plain_ms for each in plan.structures])),
        plain_bytes=same[0].peak_bytes,
        same=same,
        deltas=tuple(deltas),
        whole=(),
        number=plan.number,
        launch_share=probe.launch_share,
        load=load,
        cores=cores,
    )
    return replace(table, whole=describe_whole(table, plan.whole, timings))


def describe_whole(
    table: LatencyTable, candidates: Sequence[Candidate], timings: Mapping[str, PairedTiming]
) -> tuple[WholeTiming, ...]:
    """Set candidates that were measured whole beside their sums."""
    sums = table.sums
    found = []
    for candidate in candidates:
        added, text = sums.add_up(candidate), str(candidate)
        share = None if added is None else 100 * added / sums.plain
        found.append(WholeTiming(text, candidate.placement, timings[text], share))
    return tuple(found)


def name_places(candidate: Candidate) -> str:
    """Return where a candidate has its SE blocks, as ``s2`` or ``s3.2-4 s4``."""
    return " ".join(part.partition(":")[0] for part in candidate.placement.split())


def _spread(same: Sequence[Structure], others: Sequence[Structure]) -> tuple[Structure, ...]:
    """Spread the copies of the plain network evenly over the others, from the first to the last."""
    places = np.linspace(0, len(others), len(same)).round().astype(int).tolist()
    order: list[Structure] = []
    for number, other in enumerate([*others, None]):
        order += [copy for copy, place in zip(same, places, strict=True) if place == number]
        if other is not None:
            order.append(other)
    return tuple(order)
