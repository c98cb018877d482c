"""Measures latencies in a process of its own, and keeps what was measured for the next time.

A fresh process leaves no context on a GPU on which trainings are to run, and its threads are its
own. What was timed is kept by the network, the device, how it was run, and the versions of all that
builds and runs it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from se_search.backbone import Backbone
from se_search.backbone_file import backbone_to_json
from se_search.candidate import Candidate
from se_search.errors import LatencyError, RunError
from se_search.execution.child import call_in_child, warm_up
from se_search.latency.measure import (
    BUSY_LOAD,
    Plan,
    Probe,
    Structure,
    describe_whole,
    make_table,
    plan_measurement,
    time_structures,
)
from se_search.latency.paired import PairedTiming
from se_search.latency.settings import BUDGET, LatencyGround, LatencySettings
from se_search.latency.table import LATENCY_VERSION, LatencyTable, WholeTiming, read_timing
from se_search.space.allowed import AllowedCandidates
from se_search.store.files import read_json, write_text
from se_search.training.array_cache import default_cache_dir
from se_search.training.task import PRELOAD

GIB = 2**30
FOREIGN_BYTES = 2 * GIB  # of a GPU: more than the context of a process that does nothing
NOISY_SPREAD = 5.0  # per cent between the quartiles of one network's times

Note = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class LatencyRequest:
    """What is to be measured, and how.

    Attributes:
        allowed: the candidates whose latencies are wanted.
        settings: how networks are run.
        log: file that takes what networks print.
        budget: seconds that the measurement shall take.
        remeasure: whether what was kept is measured again.
        cache: folder of everything that is cached; None: the usual one.
    """

    allowed: AllowedCandidates
    settings: LatencySettings
    log: Path
    budget: float = BUDGET
    remeasure: bool = False
    cache: Path | None = None

    @property
    def backbone(self) -> Backbone:
        """The network without SE."""
        return self.allowed.space.backbone


MeasureTable = Callable[[LatencyRequest, Note], LatencyTable]
MeasureWhole = Callable[
    [LatencyRequest, LatencyTable, Sequence[Candidate], Note], tuple[WholeTiming, ...]
]


@dataclass(frozen=True, slots=True)
class ProbeJob:
    """Finds out what a measurement is planned by, in a process of its own."""

    plain: Candidate
    settings: LatencySettings

    def __call__(self) -> Probe:
        """Return what ``probe_latency`` finds."""
        from se_search.training.latency_bench import probe_latency

        return probe_latency(self.plain, self.settings)


@dataclass(frozen=True, slots=True)
class TimingJob:
    """Times networks against the plain one, in a process of its own, and keeps each timing."""

    settings: LatencySettings
    structures: tuple[Structure, ...]
    rounds: int
    number: int
    kept: KeptTimings

    def __call__(self) -> dict[str, PairedTiming]:
        """Return the timings by the names of the structures."""
        from se_search.training.latency_bench import TorchBench

        return time_structures(
            TorchBench(self.settings), self.structures, self.rounds, self.number, self.kept.keep
        )


@dataclass(frozen=True, slots=True)
class KeptTimings:
    """The file of what was timed on one ground with one backbone.

    Attributes:
        path: the file; None: nothing is kept, as a network of the user's own may change.
    """

    path: Path | None

    @classmethod
    def of(cls, ground: LatencyGround, backbone: Backbone, cache: Path | None) -> KeptTimings:
        """Return the file for a ground and a backbone, which need not be there yet."""
        if backbone.allow_code:
            return cls(None)
        digest = hashlib.sha256()
        for part in ("models", "latency"):
            for path in sorted(Path(__file__).parents[1].joinpath(part).glob("*.py")):
                digest.update(path.read_bytes())
        described = [LATENCY_VERSION, backbone_to_json(backbone), ground.to_json()]
        digest.update(json.dumps(described, sort_keys=True).encode())
        name = f"{digest.hexdigest()[:16]}.json"
        return cls((cache or default_cache_dir()) / "latency" / name)

    def read(self) -> dict[str, PairedTiming]:
        """Return the timings by the names of the structures; empty: none can be read."""
        if self.path is None:
            return {}
        try:
            return {name: read_timing(own) for name, own in read_json(self.path).items()}
        except (RunError, ValueError, KeyError, TypeError, AttributeError):
            return {}  # not there, cut off or of another version: measured anew

    def keep(self, structure: Structure, timing: PairedTiming) -> None:
        """Add a timing, or put it in the place of an older one."""
        if self.path is None:
            return
        every: dict[str, Any] = {name: asdict(own) for name, own in self.read().items()}
        every[structure.name] = asdict(timing)
        with suppress(OSError, RunError):  # nothing is lost: it is measured again
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_text(self.path, json.dumps(every))


def measure_table(request: LatencyRequest, note: Note) -> LatencyTable:
    """Measure what SE blocks add, and candidates whole on which the sums are checked.

    Args:
        request: what is measured, and how.
        note: told what is measured, how long that will take, and what may have disturbed it.

    Raises:
        SESearchError: the device is not there, or a network does not run as it was asked for.
    """
    load, cores = read_load(), os.cpu_count() or 1
    warm_up(PRELOAD, request.settings.threads)
    probe = call_in_child(
        ProbeJob(Candidate.plain(request.backbone), request.settings), request.log
    )
    plan = plan_measurement(request.allowed, probe, request.budget)
    kept = KeptTimings.of(probe.ground, request.backbone, request.cache)
    known = {} if request.remeasure else kept.read()
    missing = plan.list_missing(known)
    note(describe_plan(plan, len(missing), request.budget))
    if missing:
        for line in list_disturbances(request.settings, probe, load, cores):
            note(line)
        job = TimingJob(request.settings, missing, plan.rounds, plan.number, kept)
        known |= call_in_child(job, request.log)
    table = make_table(plan, probe, known, load, cores)
    if table.spread_pct > NOISY_SPREAD:
        note(
            f"The machine was not quiet: half of the plain network's times lie within "
            f"{table.spread_pct:.1f} % of their median. The noise floor says what can be told apart"
        )
    return table


def measure_whole(
    request: LatencyRequest, table: LatencyTable, candidates: Sequence[Candidate], note: Note
) -> tuple[WholeTiming, ...]:
    """Measure candidates whole, each against the plain network, and set their sums beside them.

    Args:
        request: what was measured before, and how.
        table: what was measured before.
        candidates: none is plain.
        note: told how many are measured.

    Raises:
        LatencyError: this device, or a version on it, is not the one of the table.
        SESearchError: the device is not there, or a network does not run as it was asked for.
    """
    warm_up(PRELOAD, request.settings.threads)
    probe = call_in_child(
        ProbeJob(Candidate.plain(request.backbone), request.settings), request.log
    )
    if probe.ground != table.ground:
        raise LatencyError(
            f"these latencies were measured on {table.ground.describe()}; here it is "
            f"{probe.ground.describe()}"
        )
    plan = plan_measurement(request.allowed, probe, request.budget)
    kept = KeptTimings.of(probe.ground, request.backbone, request.cache)
    known = {} if request.remeasure else kept.read()
    structures = [Structure(str(candidate), candidate) for candidate in candidates]
    missing = tuple(each for each in structures if each.name not in known)
    if missing:
        note(
            f"Latency: {len(missing)} candidates are measured whole, about "
            f"{describe_seconds(len(missing) * plan.seconds_each)}"
        )
        job = TimingJob(request.settings, missing, plan.rounds, plan.number, kept)
        known |= call_in_child(job, request.log)
    return describe_whole(table, candidates, known)


def describe_plan(plan: Plan, num_missing: int, budget: float) -> str:
    """Say what is measured, how often, and how long that will take."""
    what = (
        f"Latency: {len(plan.deltas)} kinds of SE blocks and {len(plan.whole)} whole candidates "
        f"against the plain network, and that against itself"
    )
    if not num_missing:
        return f"{what}: all measured before on this device (--remeasure measures again)"
    seconds = num_missing * plan.seconds_each
    over = f", more than the {budget:.0f} s of the budget" if seconds > 1.05 * budget else ""
    before = len(plan.structures) - num_missing
    known = f"; {before} were measured before" if before else ""
    return (
        f"{what}: {num_missing} networks x {plan.rounds} rounds of {plan.number} "
        f"run{'s' * (plan.number != 1)}, about {describe_seconds(seconds)}{over}{known}"
    )


def describe_seconds(seconds: float) -> str:
    """Return a duration for people, as ``40 s`` or ``3 min``."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def list_disturbances(
    settings: LatencySettings, probe: Probe, load: float | None, cores: int
) -> list[str]:
    """Return what may disturb a measurement that begins now, with figures; empty: nothing known."""
    found = []
    if load is not None and load / cores > BUSY_LOAD:
        clock = (
            "CPU time is counted, so that turns of others do not, but they empty caches"
            if settings.counts_cpu_time
            else "times will be longer and scatter"
        )
        found.append(
            f"Other processes work: in the last minute {load:.1f} were busy on {cores} cores; "
            f"{clock}. For figures to quote, measure on an idle machine"
        )
    if probe.foreign_bytes > FOREIGN_BYTES:
        found.append(
            f"{probe.foreign_bytes / GIB:.1f} GiB of the GPU were taken before: if another process "
            "computes there, times will be longer and scatter"
        )
    return found


def read_load() -> float | None:
    """Return how many processes were busy on average in the last minute; None: unknown."""
    try:
        return os.getloadavg()[0]
    except (OSError, AttributeError):
        return None
