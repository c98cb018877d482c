"""Latencies of a run: measured before its first trial, and of its front once nothing trains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from se_search.candidate import Candidate
from se_search.commands.latency_options import LatencyOptions
from se_search.errors import LatencyError
from se_search.execution.latency import (
    LatencyRequest,
    MeasureTable,
    MeasureWhole,
    Note,
    measure_table,
    measure_whole,
)
from se_search.latency.settings import LatencySettings
from se_search.latency.table import LatencyTable, WholeTiming
from se_search.run_config import RunConfig
from se_search.space.allowed import AllowedCandidates
from se_search.store.front_cache import read_posterior_front
from se_search.store.latency import read_latency, write_latency
from se_search.store.run_folder import RunFolder
from se_search.store.run_trials import find_trials
from se_search.store.trials import read_records


@dataclass(frozen=True, slots=True)
class LatencyMeasuring:
    """What measures latencies; a test hands in functions that make them up.

    Attributes:
        table: measures what SE blocks add.
        whole: measures candidates whole.
    """

    table: MeasureTable = measure_table
    whole: MeasureWhole = measure_whole


def describe_asked(options: LatencyOptions) -> dict[str, Any]:
    """Return what a run's identity says of latencies, as far as the options tell it.

    What they leave open is None, for it depends on the machine or is not measured yet.
    """
    return {
        "device": options.device and options.choose("").device,
        "batch": options.batch,
        "threads": options.threads,
        "precision": options.precision,
        "channels_last": options.channels_last,
        "compile": options.compile,
        "digest": None,
    }


def recall_options(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a run by which its latencies were measured; empty: it has none."""
    known = identity.get("latency") or {}
    return {f"latency_{name}": value for name, value in known.items() if name != "digest"}


def describe_measured(table: LatencyTable) -> dict[str, Any]:
    """Return what a run's identity says of the latencies that it has measured."""
    return {**asdict(table.ground.settings), "digest": table.digest}


def measure_for_run(
    folder: RunFolder,
    run: RunConfig,
    allowed: AllowedCandidates,
    options: LatencyOptions,
    num_trials: int,
    accelerator: str,
    measure: MeasureTable,
    note: Note,
) -> RunConfig:
    """Return the run with its latencies, measured now unless the folder has them.

    Args:
        folder: of the run; takes ``latency.json``.
        run: as far as it is known.
        allowed: the candidates whose latencies are wanted.
        options: how latencies are measured.
        num_trials: of the run so far; with any nothing is measured, for they were made without.
        accelerator: of the trainings, ``cpu``, ``cuda`` or ``mps``.
        measure: measures what SE blocks add.
        note: told what is measured, how long that takes, and what it found.

    Raises:
        SESearchError: latencies can't be measured as they were asked for, or those of the run
            are gone.
    """
    table = read_latency(folder)
    if table is None and num_trials:
        note("Latencies are measured before the first trial alone: this run goes on without")
        return run
    if table is None:
        request = _make_request(folder, allowed, options.choose(accelerator), options)
        table = measure(request, note)
        write_latency(folder, table)
        note(describe_found(table))
    if "latency" not in run.objectives:
        return run
    return replace(run, latency=describe_measured(table))


@dataclass(frozen=True, slots=True)
class TimesFront:
    """Measures the listed candidates of a run's front whole, as nothing trains.

    On a device or with versions other than those of the run's table nothing is measured, and that
    is told.

    Attributes:
        folder: of the run; its ``latency.json`` takes what is measured.
        allowed: the candidates of the run.
        options: how latencies are measured.
        measure: measures candidates whole.
        note: told what is measured, or why nothing is.
    """

    folder: RunFolder
    allowed: AllowedCandidates
    options: LatencyOptions
    measure: MeasureWhole
    note: Note

    def __call__(self) -> bool:
        """Measure what has not been; return whether the run's latencies have changed."""
        table = read_latency(self.folder)
        if table is None:
            return False
        space = self.allowed.space
        front = read_posterior_front(self.folder, read_records(find_trials(self.folder)), space)
        plain = str(Candidate.plain(space.backbone))
        listed = [c.summary.candidate for c in front.listed if c.summary.candidate != plain]
        known = {each.candidate: each for each in table.front}
        missing = [space.parse(text) for text in listed if text not in known]
        found: tuple[WholeTiming, ...] = ()
        if missing:
            request = _make_request(self.folder, self.allowed, table.ground.settings, self.options)
            try:
                found = self.measure(request, table, missing, self.note)
            except LatencyError as error:
                self.note(f"The front was not measured whole: {error}")
        known |= {each.candidate: each for each in found}
        changed = table.with_front([known[text] for text in listed if text in known])
        if changed != table:
            write_latency(self.folder, changed)
        return changed != table


def describe_found(table: LatencyTable) -> str:
    """Say what a measurement found, in one line."""
    error = table.sum_error
    off = (
        ""
        if error is None
        else f"; sums are off by {error.median_pct:.2f} % of it (median of {error.count} "
        f"candidates measured whole), in 95 % by at most {error.quantile_pct:.2f} %"
    )
    return (
        f"Latency: {table.plain_ms:.3f} ms a batch without SE; less than "
        f"{table.floor_pct:.2f} % can't be told apart{off}"
    )


def _make_request(
    folder: RunFolder,
    allowed: AllowedCandidates,
    settings: LatencySettings,
    options: LatencyOptions,
) -> LatencyRequest:
    return LatencyRequest(allowed, settings, folder.worker_log, options.seconds, options.remeasure)
