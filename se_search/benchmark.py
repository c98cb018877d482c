"""Replays samplers on tables of finished trainings, by the real loop and the real store."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from se_search.analysis.replays import Replay, Truth
from se_search.errors import RunError, SpaceError
from se_search.execution.serial import SerialExecutor
from se_search.report.samplers import Contest, print_contest, write_contest
from se_search.search.loop import Budget, run_search
from se_search.search.samplers import SAMPLERS, CandidateSampler
from se_search.search.table import TableRow, TableSpace, TableTrainings, read_table
from se_search.seeds import derive_seed
from se_search.store.writer import TrialStore
from se_search.study import DIRECTIONS

OBJECTIVES = ("accuracy", "params")
CHECKPOINTS = (25, 50, 100, 200)
# A grid takes the rows in the order of the file: it says more of the file than of a search.
DEFAULT_SAMPLERS = tuple(name for name in SAMPLERS if name != "grid")
TIMED = ("before_trial", "infer_relative_search_space", "sample_relative", "after_trial")

_read_once = lru_cache(read_table)


@dataclass(frozen=True, slots=True)
class BenchmarkOptions:
    """What a user asks for; the fields are the options of ``se-search benchmark samplers``."""

    tables: tuple[Path, ...]
    samplers: tuple[str, ...] = DEFAULT_SAMPLERS
    trials: int = 200
    runs: int = 10
    workers: int = 1
    seed: int = 0
    output: Path = Path("samplers")
    jobs: int = 1

    def __post_init__(self) -> None:
        """Refuse what is not to be had."""
        for name, low in (("trials", 1), ("runs", 1), ("workers", 1), ("seed", 0), ("jobs", 1)):
            if getattr(self, name) < low:
                raise RunError(f"{name} {getattr(self, name)} is below {low}")
        for sampler in self.samplers:
            if sampler not in SAMPLERS:
                raise RunError(f"sampler {sampler!r} is not one of {', '.join(SAMPLERS)}")
        if not self.samplers or len(set(self.samplers)) < len(self.samplers):
            raise RunError(f"samplers {','.join(self.samplers)!r}: at least one, and none twice")

    @property
    def checkpoints(self) -> tuple[int, ...]:
        """After how many trials the runs are scored."""
        return tuple(sorted({*(c for c in CHECKPOINTS if c < self.trials), self.trials}))


@dataclass(frozen=True, slots=True)
class Job:
    """One replay that is to be made: of which sampler, on which table, with which seed."""

    table: Path
    sampler: str
    run: int
    seed: int
    trials: int
    workers: int


def benchmark_samplers(options: BenchmarkOptions, console: Console) -> Contest:
    """Replay samplers on tables, print how they fare and write it to ``options.output``.

    Raises:
        SESearchError: a table can't be read, or shows no trade between cost and accuracy.
    """
    truths = _read_truths(options.tables)
    jobs = list_jobs(options)
    seeds = ", ".join(str(seed) for seed in dict.fromkeys(job.seed for job in jobs))
    _note(console, f"Seeds of the runs, from --seed {options.seed}: {seeds}")
    replays: dict[Job, Replay] = {}
    with _starter(options.jobs) as start:
        for job, replay in start(jobs):
            replays[job] = replay
            share = truths[replay.table].share(replay.rows)
            _note(
                console,
                f"{len(replays)} of {len(jobs)}: {replay.table}, {replay.sampler}, "
                f"run {replay.run}: {share:.3f}",
            )
    contest = Contest(truths, [replays[job] for job in jobs], options.checkpoints)
    print_contest(console, contest)
    paths = write_contest(options.output, contest)
    _note(console, f"Written: {', '.join(map(str, paths))}")
    return contest


def list_jobs(options: BenchmarkOptions) -> list[Job]:
    """List the replays, the samplers taking turns; the runs of one number share a seed."""
    return [
        Job(table, sampler, run, seed, options.trials, options.workers)
        for run in range(options.runs)
        for seed in [derive_seed(options.seed, "benchmark", run) % 2**32]
        for table in options.tables
        for sampler in options.samplers
    ]


def replay(job: Job) -> Replay:
    """Search a table and return what was trained, and how long the sampler took."""
    space = _read_once(job.table)
    trainings = TableTrainings(space, first_seed=0, seed=job.seed)
    sampler = make_sampler(job.sampler, space, job.seed)
    seconds = _time_sampler(sampler)
    with tempfile.TemporaryDirectory() as folder:
        store = TrialStore(
            Path(folder) / "study.db", OBJECTIVES, [DIRECTIONS[name] for name in OBJECTIVES]
        )
        try:
            run_search(
                space=space,
                store=store,
                sampler=sampler,
                executor=SerialExecutor(trainings, job.workers),
                count_cost=space.count_cost,
                objectives=OBJECTIVES,
                budget=Budget(job.trials, epochs=1, first_seed=0, max_failures=1),
            )
            records = store.records
        finally:
            store.close()
    return Replay(
        table=space.name,
        sampler=job.sampler,
        run=job.run,
        seed=job.seed,
        rows=np.array([space.parse(record.candidate).index for record in records], np.int64),
        seeds=np.array([record.seed for record in records], np.int64),
        accuracies=np.array([record.accuracy for record in records], np.float64),
        seconds=np.array([seconds[record.number] for record in records]),
        num_repeats=trainings.num_repeats,
    )


def make_sampler(name: str, space: TableSpace, seed: int) -> CandidateSampler[TableRow]:
    """Make a sampler that proposes rows of a table, and no combination that the table lacks."""
    return SAMPLERS[name](space, space.__contains__, seed)


def _time_sampler(sampler: CandidateSampler[Any]) -> dict[int, float]:
    """Let a sampler note its seconds, by trial number, in the dictionary that is returned."""
    seconds: dict[int, float] = defaultdict(float)

    def timed(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(study: Any, trial: Any, *rest: Any) -> Any:
            started = time.perf_counter()
            try:
                return method(study, trial, *rest)
            finally:
                seconds[trial.number] += time.perf_counter() - started

        return call

    for name in TIMED:
        setattr(sampler, name, timed(getattr(sampler, name)))
    return seconds


def _read_truths(tables: tuple[Path, ...]) -> dict[str, Truth]:
    truths: dict[str, Truth] = {}
    for path in tables:
        space = _read_once(path)
        if space.name in truths:
            raise RunError(f"two tables are named {space.name}; rename one, as {path}")
        truth = Truth(space.costs, space.mean_accuracies)
        if truth.whole <= 0:
            raise SpaceError(
                f"{path}: no row is cheaper than the dearest and better than the lower quartile, "
                "so there is no front to find"
            )
        truths[space.name] = truth
    return truths


@contextmanager
def _starter(num_jobs: int) -> Iterator[Callable[[list[Job]], Iterator[tuple[Job, Replay]]]]:
    """Give what makes replays, as they end: here, or in processes of one thread each."""
    if num_jobs == 1:
        yield lambda jobs: ((job, replay(job)) for job in jobs)
        return
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"  # read by numpy's libraries as they are imported
    pool = ProcessPoolExecutor(num_jobs, mp_context=multiprocessing.get_context("spawn"))

    def start(jobs: list[Job]) -> Iterator[tuple[Job, Replay]]:
        futures = {pool.submit(replay, job): job for job in jobs}
        for future in as_completed(futures):
            yield futures[future], future.result()

    try:
        yield start
    finally:
        pool.shutdown(cancel_futures=True)
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before


def _note(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
