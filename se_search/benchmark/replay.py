"""Replays samplers on tables of finished trainings: by the loop of real searches, in memory."""

from __future__ import annotations

import multiprocessing
import os
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

from se_search.benchmark.options import BenchmarkOptions
from se_search.benchmark.report import Benchmark, print_benchmark, write_benchmark
from se_search.benchmark.scores import Replay, Truth
from se_search.benchmark.table import TableRow, TableSpace, TableTrainings
from se_search.benchmark.table_file import read_table
from se_search.errors import RunError, SpaceError
from se_search.execution.serial import SerialExecutor
from se_search.record import Assignment, Evaluation, Rung, Stop
from se_search.report.console import print_files, print_line
from se_search.search.candidate_set import WholeSpace
from se_search.search.loop import Budget, run_search
from se_search.search.promotion import Promotion
from se_search.search.registry import SAMPLERS, Setup
from se_search.search.rotation import Rotation, count_replicates
from se_search.search.samplers import CandidateSampler
from se_search.seeds import derive_seed
from se_search.store.memory import MemoryStore

OBJECTIVES = ("accuracy", "params")
TIMED = ("before_trial", "infer_relative_search_space", "sample_relative", "after_trial")

_read_once = lru_cache(read_table)


@dataclass(frozen=True, slots=True)
class Job:
    """One replay that is to be made.

    Attributes:
        table: file of the table.
        sampler: name of the sampler.
        run: number of the replay among those of one sampler on one table.
        seed: of the sampler, and of which of the table's columns come first.
        trials: budget in full trainings; shorter ones are paid by their share of the epochs.
        workers: number of trainings at a time.
        promotion: the rungs as text, or ``off``.
        epochs: length of a full training.
        eta: one row in ``eta`` is promoted to the next rung.
        repeat_candidates: whether ``pareto`` may train a row again, in another replicate.
        replicates: how many replicates take turns, at most those of the table; None: as many as a
            search of so many trials has.
    """

    table: Path
    sampler: str
    run: int
    seed: int
    trials: int
    workers: int
    promotion: str = "off"
    rungs: tuple[Rung, ...] = ()
    epochs: int = 1
    eta: int = 3
    repeat_candidates: bool = True
    replicates: int | None = None


def benchmark_samplers(options: BenchmarkOptions, console: Console) -> Benchmark:
    """Replay samplers on tables, print their scores and write them to ``options.output``.

    Raises:
        SESearchError: a table can't be read, lacks trainings that the rungs need, or has no row
            that is cheaper than the dearest and better than the lower quartile.
    """
    truths = _read_truths(options.tables)
    for table in options.tables:
        _check_epochs(table, options)
    jobs = list_jobs(options)
    seeds = ", ".join(str(seed) for seed in dict.fromkeys(job.seed for job in jobs))
    print_line(console, f"Seeds of the runs, from --seed {options.seed}: {seeds}")
    replays: dict[Job, Replay] = {}
    with _starter(options.jobs) as start:
        for job, replay in start(jobs):
            replays[job] = replay
            share = truths[replay.table].share(replay.rows[replay.full(options.trials)])
            print_line(
                console,
                f"{len(replays)} of {len(jobs)}: {replay.table}, {replay.arm}, "
                f"run {replay.run}: {share:.3f}",
            )
    benchmark = Benchmark(
        truths, [replays[job] for job in jobs], options.checkpoints, options.epochs
    )
    print_benchmark(console, benchmark)
    paths = write_benchmark(options.output, benchmark)
    print_files(console, paths)
    return benchmark


def list_jobs(options: BenchmarkOptions) -> list[Job]:
    """Return all replays, the samplers taking turns; runs with equal numbers have equal seeds."""
    return [
        Job(
            *(table, sampler, run, seed, options.trials, options.workers),
            *(promotion, rungs, options.epochs or 1, options.eta),
            *(options.repeat_candidates, options.replicates),
        )
        for run in range(options.runs)
        for seed in [derive_seed(options.seed, "benchmark", run) % 2**32]
        for table in options.tables
        for sampler in options.sampler_names
        for promotion, rungs in options.rungs.items()
    ]


def replay(job: Job) -> Replay:
    """Search a table; return the trainings of the search and the sampler's own seconds."""
    space = _read_once(job.table)
    trainings = TableTrainings(space, job.seed)
    wanted = job.replicates or count_replicates(job.trials)
    meter = _Meter(trainings, job.trials * job.epochs)
    sampler = make_sampler(job, space, trainings)
    seconds = _time_sampler(sampler)
    # The number of trials that the epochs pay for if every training is of the shortest kind.
    num_trials = meter.limit // min((rung.epochs for rung in job.rungs), default=job.epochs)
    with MemoryStore(OBJECTIVES) as store:
        run_search(
            space=space,
            store=store,
            sampler=sampler,
            executor=SerialExecutor(meter, job.workers),
            count_cost=space.count_cost,
            objectives=OBJECTIVES,
            budget=Budget(num_trials, job.epochs, max_failures=1, rungs=job.rungs),
            rotation=Rotation(
                min(wanted, trainings.num_replicates),
                first_seed=0,
                offered=trainings.list_replicates,
            ),
            lag=job.workers,  # trainings end in the order in which they begin
            promotion=Promotion(job.eta),
            stop=meter.is_spent,
        )
        records = store.records
    epochs = np.array([record.epochs for record in records], np.int64)
    paid = records[: int(np.sum(np.cumsum(epochs) <= meter.limit))]
    return Replay(
        table=space.name,
        sampler=job.sampler,
        run=job.run,
        seed=job.seed,
        rows=np.array([space.parse(record.candidate).index for record in paid], np.int64),
        seeds=np.array([record.seed for record in paid], np.int64),
        accuracies=np.array([record.accuracy for record in paid], np.float64),
        seconds=np.array([seconds[record.number] for record in paid]),
        epochs=epochs[: len(paid)],
        full_epochs=job.epochs,
        budget=job.trials,
        promotion=job.promotion,
    )


class _Meter:
    """Looks trainings up, and counts their epochs."""

    def __init__(self, trainings: TableTrainings, limit: int) -> None:
        self._trainings = trainings
        self._spent = 0
        self.limit = limit

    def __call__(self, assignment: Assignment[TableRow]) -> Evaluation:
        self._spent += assignment.epochs
        return self._trainings(assignment)

    def is_spent(self) -> Stop:
        """Return ``AFTER_RUNNING`` once the epochs are spent, which ends the loop."""
        return Stop.AFTER_RUNNING if self._spent >= self.limit else Stop.NO


def make_sampler(
    job: Job, space: TableSpace, trainings: TableTrainings
) -> CandidateSampler[TableRow]:
    """Return a sampler that proposes rows of a table, each as often as the table has it trained."""
    return SAMPLERS[job.sampler](
        Setup(
            *(space, WholeSpace(space), job.seed, space.count_cost, OBJECTIVES, job.epochs),
            repeat_candidates=job.repeat_candidates,
            most_replicates=trainings.count_replicates,
        )
    )


def _time_sampler(sampler: CandidateSampler[Any]) -> dict[int, float]:
    """Make a sampler record its seconds in the dictionary that is returned, by trial number."""
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


def _check_epochs(path: Path, options: BenchmarkOptions) -> None:
    """Refuse rungs for which a table has no trainings."""
    shorter = _read_once(path).shorter
    if options.epochs is None:
        return
    if shorter and max(shorter) >= options.epochs:
        raise RunError(
            f"{path} has trainings of {max(shorter)} epochs that are shorter than its full ones, "
            f"so these have more than --epochs {options.epochs}"
        )
    wanted = {rung.epochs for rungs in options.rungs.values() for rung in rungs}
    for epochs in sorted(wanted - {options.epochs} - set(shorter)):
        have = ", ".join(map(str, sorted(shorter))) or "no shorter ones"
        raise RunError(
            f"{path} has no trainings of {epochs} epochs (columns accuracy_1@{epochs}, ...), "
            f"but {have}"
        )


@contextmanager
def _starter(num_jobs: int) -> Iterator[Callable[[list[Job]], Iterator[tuple[Job, Replay]]]]:
    """Give the function that yields jobs with their replays as they end.

    One job at a time is made in this process, several in processes of one thread each.
    """
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
