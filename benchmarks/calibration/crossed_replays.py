"""Whole searches of half of a crossed table's replicates, for the other half to judge."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import Any

from benchmarks.calibration.crossed_reports import ONE_SEED, REPLICATES, report
from benchmarks.calibration.crossed_world import (
    CrossedTable,
    CrossedWorld,
    read_crossed_table,
)
from benchmarks.calibration.lines import Line
from benchmarks.calibration.searches import make_record, search, search_one_seed
from benchmarks.nas_bench_se_2.definition import FOLDER
from se_search.errors import RunError
from se_search.record import TrialRecord
from se_search.seeds import derive_seed
from se_search.surrogate.posterior_front import MODEL_VERSION

CHECKPOINTS = (60, 120, 200)  # trainings after which a search is read
NUM_RUNS = 3  # searches of each half; each begins with another of its replicates
FEWEST_REPLICATES = 4  # two to search and two to judge
WHOLE = "whole table"
SAMPLER = "pareto"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a process finds the table.

    Attributes:
        log: of trainings that the published table lacks; it may be growing.
        folder: of the published table.
        replicates: seeds of those that are used.
        digest: of the table of these replicates.
    """

    log: Path | None
    folder: Path
    replicates: tuple[int, ...]
    digest: str

    @classmethod
    def of(cls, log: Path | None = None, folder: Path = FOLDER) -> Source:
        """Return the source of the largest even number of complete replicates.

        Raises:
            RunError: fewer than four replicates are complete.
        """
        complete = read_crossed_table(log, folder).replicates
        if len(complete) < FEWEST_REPLICATES:
            raise RunError(
                f"complete replicates of the table: {len(complete)}, and a replay takes "
                f"{FEWEST_REPLICATES}: half of them search, and half of them judge"
            )
        used = complete[: len(complete) // 2 * 2]
        return cls(log, folder, used, _read(log, folder, used).digest)

    def read(self) -> CrossedTable:
        """Return the table."""
        table = _read(self.log, self.folder, self.replicates)
        assert table.digest == self.digest, "complete replicates do not change"
        return table


@lru_cache(maxsize=1)
def _read(log: Path | None, folder: Path, replicates: tuple[int, ...]) -> CrossedTable:
    return read_crossed_table(log, folder).with_replicates(replicates)


@dataclass(frozen=True, slots=True)
class Replay:
    """One search of half of the replicates.

    Attributes:
        source: of the table.
        kind: ``replicates``: as the product searches; ``one seed``: as it did before it knew
            replicates.
        split: seeds of the replicates that are searched.
        run: number of the search among those of its replicates.
        checkpoints: numbers of trainings after which it is read.
    """

    source: Source
    kind: str
    split: tuple[int, ...]
    run: int
    checkpoints: tuple[int, ...]

    @property
    def identity(self) -> Mapping[str, Any]:
        """The fields of its line that no other search's has."""
        return {
            "kind": self.kind,
            "split": list(self.split),
            "run": self.run,
            "checkpoints": list(self.checkpoints),
            "table": self.source.digest,
        }

    def world(self) -> CrossedWorld:
        """Return what is searched; each search of a half begins with another replicate of it."""
        first = self.run % len(self.split)
        return CrossedWorld(self.source.read(), self.split[first:] + self.split[:first])

    def carry_out(self) -> Line:
        """Search, and return what was reported at each checkpoint, as plain data.

        The beginning of a search is the shorter search: neither the sampler nor the rotation over
        these few replicates depends on how many trainings will follow.
        """
        world, table = self.world(), self.source.read()
        seed = derive_seed("crossed", self.split, self.run) % 2**32
        started = time.process_time()
        if self.kind == ONE_SEED:
            records = search_one_seed(world, seed, max(self.checkpoints))
        else:
            records = search(world, SAMPLER, seed, max(self.checkpoints))
        searched = time.process_time()
        num_judges = len(table.replicates) - len(self.split)
        lengths = dict.fromkeys(min(number, len(records)) for number in self.checkpoints)
        reports = [
            report(world, records[:number], self.kind, (num_judges, num_judges - 1))
            for number in lengths
        ]
        return {
            **self.identity,
            "model": MODEL_VERSION,
            "search_seconds": searched - started,
            "fit_seconds": time.process_time() - searched,
            "trials": [[table.row_of(record.key), record.seed] for record in records],
            "reports": [asdict(one) for one in reports],
        }


@dataclass(frozen=True, slots=True)
class WholeTable:
    """The product's answer to all trainings of all replicates.

    Attributes:
        source: of the table.
    """

    source: Source

    @property
    def identity(self) -> Mapping[str, Any]:
        """The fields of its line that no search's has."""
        return {"kind": WHOLE, "table": self.source.digest}

    def carry_out(self) -> Line:
        """Fit, and return what is reported, as plain data."""
        table = self.source.read()
        started = time.process_time()
        found = report(
            CrossedWorld(table, table.replicates), list_all(table), REPLICATES, judges=()
        )
        return {
            **self.identity,
            "split": list(table.replicates),
            "run": 0,
            "model": MODEL_VERSION,
            "search_seconds": 0.0,
            "fit_seconds": time.process_time() - started,
            "reports": [asdict(found)],
        }


def list_replays(
    source: Source,
    num_runs: int = NUM_RUNS,
    checkpoints: Sequence[int] = CHECKPOINTS,
) -> list[Replay | WholeTable]:
    """Return all replays: the first searches of every half come first."""
    half = len(source.replicates) // 2
    searches = [
        Replay(source, kind, split, run, tuple(checkpoints))
        for run in range(num_runs)
        for split in combinations(source.replicates, half)
        for kind in (REPLICATES, ONE_SEED)
    ]
    return [WholeTable(source), *searches]


def list_all(table: CrossedTable) -> list[TrialRecord]:
    """Return a record of each full training, by its validation accuracy."""
    values = table.accuracies["validation"][table.epochs]
    cells = [
        (network, place, float(values[row, place]))
        for place in range(len(table.replicates))
        for row, network in enumerate(table.networks)
    ]
    return [
        make_record(number, network, place, table.epochs, accuracy)
        for number, (network, place, accuracy) in enumerate(cells)
    ]
