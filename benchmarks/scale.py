"""What a run of ten thousand trials takes, and a search with a thousand workers.

    python benchmarks/scale.py [--folder DIR] [--page docs/measured.md]

Makes runs of 100 to 10,000 finished trials with a known truth (``made_up_runs``), stored as a
search stores them, and measures in a process of its own for each: opening the run, an ask of the
product's loop and default sampler, the report, and the most memory. Then how the posterior of many
trainings compares with the exact one where both can be had, and searches that decide by either; and
how busy a thousand workers are on a simulated clock, which goes on by what the coordinator
computes, too.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.made_up_runs import EPOCHS, OBJECTIVES, MadeUpNetworks, write_run
from benchmarks.pages import renew_part
from benchmarks.simulated_workers import SimulatedWorkers
from se_search.analysis.pareto import hypervolume
from se_search.candidate import Candidate
from se_search.cost import count_cost
from se_search.record import Assignment, Evaluation
from se_search.report.run_report import write_report
from se_search.run_config import DIRECTIONS
from se_search.search.lag import choose_lag
from se_search.search.loop import Budget, run_search
from se_search.search.pareto_sampler import ParetoSampler
from se_search.search.registry import SAMPLERS
from se_search.search.rotation import MOST_REPLICATES, Rotation
from se_search.seeds import derive_seed
from se_search.store.files import write_text
from se_search.store.memory import MemoryStore
from se_search.store.run_folder import RunFolder
from se_search.store.trials import TrialStore, read_records
from se_search.surrogate.fitted_model import FittedModel

SIZES = (100, 300, 1_000, 3_000, 10_000)
NUM_ASKS = 24  # of which the first fits the model anew
NUM_WORKERS_ASKED = 8
NUM_WORKERS, NUM_BUSY_TRIALS = 1_000, 10_000
MINUTES = (10, 30)  # of a training
COMPARED = (1_000, 1_900)  # trainings of which both posteriors are computed
NUM_WORLDS = 2
NUM_SEARCHES, NUM_SEARCHED = 2, 160  # searches of each kind, and trials of each
# What is set of the sampler: how it decides.
KINDS: dict[str, dict[str, int]] = {
    "as it is": {},
    "the whole space, exactly": {"most_scored": 10**12, "most_exact": 10**6},
    "a pool, by weights": {"most_scored": 0, "most_exact": 0},
}
BEGIN, END = "<!-- scale: begin -->", "<!-- scale: end -->"


class TimedWorkers(SimulatedWorkers[Candidate]):
    """Simulated workers that note the CPU time which the coordinator takes for each trial.

    Args:
        networks: what is trained.
        num_workers: number of trainings at a time.
        num_before: number of the first trial.

    Attributes:
        asks: CPU seconds from the end of the last training, or the last start, to each start.
    """

    def __init__(self, networks: MadeUpNetworks, num_workers: int, num_before: int = 0) -> None:
        self._number = num_before

        def evaluate(assignment: Assignment[Candidate]) -> Evaluation:
            self._number += 1
            return networks.evaluate(assignment, self._number)

        super().__init__(evaluate, draw_seconds, num_workers)
        self.asks: list[float] = []
        self._since = time.process_time()

    def submit(self, number: int, assignment: Assignment[Candidate]) -> None:
        """Start a training once the coordinator has decided it."""
        self.asks.append(self._pass_time())
        super().submit(number, assignment)

    def wait(self, timeout: float) -> list[Any]:
        """Move the clock to the end of the next training, or by what has been computed."""
        self._pass_time()
        found = super().wait(timeout)
        self._since = time.process_time()
        return found

    def _pass_time(self) -> float:
        seconds = time.process_time() - self._since
        self._since += seconds
        self.now += seconds
        return seconds


def draw_seconds(number: int) -> float:
    """Return how long the training of a trial takes."""
    share = derive_seed(0, "duration", number) % 2**32 / 2**32
    low, high = MINUTES
    return 60 * (low + (high - low) * share)


def run_loop(
    networks: MadeUpNetworks,
    store: TrialStore,
    workers: TimedWorkers,
    num_trials: int,
    lag: int,
    kind: str = "as it is",
) -> None:
    """Run the product's loop with its default sampler until there are so many trials."""
    sampler = SAMPLERS["pareto"](networks.make_setup())
    assert isinstance(sampler, ParetoSampler)
    for name, value in KINDS[kind].items():
        setattr(sampler.proposer, name, value)
    run_search(
        space=networks.space,
        store=store,
        sampler=sampler,
        executor=workers,
        count_cost=count_cost,
        objectives=OBJECTIVES,
        budget=Budget(num_trials, EPOCHS, 5),
        rotation=Rotation(MOST_REPLICATES, 0, networks.control),
        lag=lag,
    )


def measure_open(folder: RunFolder) -> dict[str, float]:
    """Open a run to go on with it, and read its trials as a report does."""
    begun = time.process_time()
    TrialStore(folder.database, OBJECTIVES, [DIRECTIONS[name] for name in OBJECTIVES]).close()
    opened = time.process_time()
    read_records(folder.database)
    return {"open": opened - begun, "read": time.process_time() - opened}


def measure_asks(folder: RunFolder) -> dict[str, float]:
    """Go on with a copy of a run for some trials."""
    networks = MadeUpNetworks()
    with tempfile.TemporaryDirectory(dir=folder.path) as name:
        copy = Path(name) / "trials.db"
        shutil.copy(folder.database, copy)
        with TrialStore(copy, OBJECTIVES, [DIRECTIONS[name] for name in OBJECTIVES]) as store:
            count = len(store.records)
            workers = TimedWorkers(networks, NUM_WORKERS_ASKED, count)
            lag = choose_lag(NUM_WORKERS_ASKED)
            run_loop(networks, store, workers, count + NUM_ASKS, lag)
    first, *rest = workers.asks
    return {"first": first, "ask": statistics.median(rest), "longest": max(rest)}


def measure_report(folder: RunFolder) -> dict[str, float]:
    """Write the report of a run that has had none, with all that it imports."""
    for kept in ("posterior.json", "history.json"):
        (folder.path / kept).unlink(missing_ok=True)
    write_report(folder)
    page = folder.report_html.stat().st_size / 1e6
    return {"page": page}


def measure_busy(num_trials: int) -> dict[str, float]:
    """Search with a thousand workers from the first trial on."""
    networks = MadeUpNetworks()
    workers = TimedWorkers(networks, NUM_WORKERS)
    store = MemoryStore(OBJECTIVES)
    run_loop(networks, store, workers, num_trials, choose_lag(NUM_WORKERS))
    asks = workers.asks
    modelled = asks[choose_lag(NUM_WORKERS) :] or asks
    return {
        "busy": workers.busy_share,
        "trials": num_trials,
        "hours": workers.now / 3600,
        "ask": statistics.fmean(modelled),
        "longest": max(asks),
    }


def measure_search(kind: str, seed: int) -> dict[str, float]:
    """Search a made-up world; return the hypervolume of what was trained, and of the space."""
    networks = MadeUpNetworks(seed)
    store = MemoryStore(OBJECTIVES)
    workers = TimedWorkers(networks, NUM_WORKERS_ASKED)
    run_loop(networks, store, workers, NUM_SEARCHED, choose_lag(NUM_WORKERS_ASKED), kind)
    plain = str(networks.control)
    texts = {r.candidate for r in store.records if r.state == "COMPLETE"} - {plain}
    codes = np.array([networks.space.codes_of(networks.space.parse(text)) for text in texts])
    every = networks.allowed.list_codes(10**6)
    assert every is not None  # 371,800 candidates
    prices = networks.space.price_codes(
        np.vstack([networks.plain, every]), lambda candidate: [count_cost(candidate).params]
    )
    ends = np.log([prices.min(), prices.max()])
    found = {}
    for name, own in (("trained", codes), ("whole", every)):
        own = np.vstack([networks.plain, own])
        paid = networks.space.price_codes(own, lambda candidate: [count_cost(candidate).params])
        truth = networks.gains(own)
        costs = (np.log(paid[:, 0]) - ends[0]) / (ends[1] - ends[0])
        found[name] = 100 * hypervolume(costs, truth, (1.0, 0.0))
    return {**found, "ask": statistics.median(workers.asks)}


def compare_posteriors(count: int, seed: int, pairs: float) -> dict[str, float]:
    """Return figures of both posteriors of the same trainings, held against the truth."""
    networks = MadeUpNetworks(seed, pairs)
    trainings = networks.draw_trainings(count)
    codes = np.unique(trainings.codes, axis=0)
    truth = networks.gains(codes)
    price = [[count_cost(networks.space.with_codes(row)).params] for row in codes]
    costs = np.log(np.array(price, np.float64)[:, 0])
    found = {}
    for name, most_exact in (("exact", count), ("approximate", 0)):
        begun = time.process_time()
        model = FittedModel.fit(networks.factors, trainings, [EPOCHS], most_exact=most_exact)
        draws = model.draw(np.vstack([model.plain, codes]))
        gains = draws[:, 1:] - draws[:, :1]
        low, high = np.quantile(gains, [0.025, 0.975], axis=0)
        expected = gains.mean(axis=0)
        found[f"{name} coverage"] = float(((truth >= low - 1e-9) & (truth <= high + 1e-9)).mean())
        found[f"{name} width"] = float(100 * (high - low).mean())
        found[f"{name} error"] = float(100 * np.sqrt(((expected - truth) ** 2).mean()))
        found[f"{name} value"] = 100 * value_of_front(costs, expected, truth)
        found[f"{name} seconds"] = time.process_time() - begun
    found["best value"] = 100 * value_of_front(costs, truth, truth)
    return found


def value_of_front(costs: Any, expected: Any, truth: Any) -> float:
    """Return the true gain of whom a front names at each cost, averaged over the cost.

    Args:
        costs: ``(n,)`` of candidates, on a logarithmic scale.
        expected: ``(n,)`` gains by which the front is chosen.
        truth: ``(n,)`` true gains.
    """
    order = np.argsort(costs, kind="stable")
    best, chosen = -np.inf, []
    named = 0
    for row in order:
        if expected[row] > best:
            best, named = expected[row], int(row)
        chosen.append(truth[named])
    steps = np.diff(costs[order])
    return float(steps @ np.array(chosen)[:-1] / steps.sum())


MEASURES: dict[str, Callable[[RunFolder], dict[str, float]]] = {
    "open": measure_open,
    "asks": measure_asks,
    "report": measure_report,
}


def measure_apart(folder: Path, what: str, of: str) -> dict[str, float]:
    """Measure in a process of its own, or return what was measured before.

    Args:
        folder: keeps figures, so that a benchmark that was broken off goes on.
        what: a measure.
        of: the path of a run, or the measure's arguments, with colons between them.

    Returns:
        The measure's figures, the most memory in megabytes, and the CPU and the wall seconds of
        all of it.
    """
    kept = folder / "figures.json"
    figures: dict[str, dict[str, float]] = json.loads(kept.read_text()) if kept.exists() else {}
    name = f"{what} {Path(of).name}"
    if name not in figures:
        command = [sys.executable, "-m", "benchmarks.scale", "--measure", what, of]
        begun = time.perf_counter()
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        wall = time.perf_counter() - begun
        figures[name] = {**json.loads(printed.splitlines()[-1]), "wall": wall}
        write_text(kept, json.dumps(figures, indent=1))
    return figures[name]


def describe_sizes(folder: Path, sizes: Sequence[int]) -> list[str]:
    """Return lines of a table: what runs of these sizes take."""
    networks = MadeUpNetworks()
    lines = [
        "| finished trials | file, MB | opening | reading | an ask: median (longest) "
        "| the first one | all asks: CPU, wall | its process, MB | report: CPU, wall "
        "| its process, MB |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for size in sizes:
        path = folder / str(size)
        run = RunFolder(path) if path.exists() else write_run(path, networks, size)
        opened, asked, told = (measure_apart(folder, kind, str(path)) for kind in MEASURES)
        megabytes = run.database.stat().st_size / 1e6
        lines.append(
            f"| {size:,} | {megabytes:.1f} | {opened['open']:.2f} | {opened['read']:.2f} "
            f"| {asked['ask']:.2f} ({asked['longest']:.2f}) | {asked['first']:.1f} "
            f"| {asked['cpu']:.0f}, {asked['wall']:.0f} | {asked['memory']:.0f} "
            f"| {told['cpu']:.1f}, {told['wall']:.0f} | {told['memory']:.0f} |"
        )
        print(lines[-1], file=sys.stderr)
    return lines


def describe_loss(folder: Path) -> list[str]:
    """Return lines of a table: the exact and the approximate posterior of the same trainings."""
    lines = [
        "| trainings | share of interactions | posterior | 95 % intervals hold | mean width "
        "| error (rms) | hypervolume of the front named | CPU, s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for count in COMPARED:
        for pairs in (0.25, 0.8):
            worlds = [
                measure_apart(folder, "posteriors", f"{count}:{seed}:{pairs}")
                for seed in range(1, NUM_WORLDS + 1)
            ]
            mean = {key: statistics.fmean(one[key] for one in worlds) for key in worlds[0]}
            for name in ("exact", "approximate"):
                own = {key.removeprefix(f"{name} "): value for key, value in mean.items()}
                lines.append(
                    f"| {count:,} | {pairs:.2f} | {name} | {own['coverage']:.3f} "
                    f"| {own['width']:.3f} | {own['error']:.3f} "
                    f"| {own['value']:.3f} of {mean['best value']:.3f} | {own['seconds']:.1f} |"
                )
                print(lines[-1], file=sys.stderr)
    return lines


def describe_searches(folder: Path) -> list[str]:
    """Return lines of a table: searches that decide in different ways."""
    lines = [
        f"| {NUM_SEARCHED} trials, {NUM_WORKERS_ASKED} workers | hypervolume, by search "
        "| of the whole space | an ask, median, s |",
        "|---|---|---|---|",
    ]
    for kind in KINDS:
        found = [
            measure_apart(folder, "search", f"{kind}:{seed}") for seed in range(1, NUM_SEARCHES + 1)
        ]
        lines.append(
            f"| {kind} | {', '.join(format(one['trained'], '.3f') for one in found)} "
            f"| {', '.join(format(one['whole'], '.3f') for one in found)} "
            f"| {statistics.fmean(one['ask'] for one in found):.2f} |"
        )
        print(lines[-1], file=sys.stderr)
    return lines


def describe_busy(folder: Path, num_trials: int) -> str:
    """Return a sentence about a thousand workers."""
    found = measure_apart(folder, "busy", str(num_trials))
    low, high = MINUTES
    return (
        f"A search of {num_trials:,} trials with {NUM_WORKERS:,} workers, whose trainings take "
        f"{low} to {high} minutes, on a simulated clock that goes on by the coordinator's CPU "
        f"time, too: the workers train for {100 * found['busy']:.1f} % of their time, over "
        f"{found['hours']:.1f} hours. An ask takes {found['ask']:.2f} s on average once the model "
        f"is asked, {found['longest']:.1f} s at most; the process takes {found['memory']:.0f} MB."
    )


def measure(what: str, of: str) -> dict[str, float]:
    """Return the figures of a measure; arguments are those of ``measure_apart``."""
    if what in MEASURES:
        return MEASURES[what](RunFolder(Path(of)))
    if what == "busy":
        return measure_busy(int(of))
    if what == "search":
        kind, seed = of.split(":")
        return measure_search(kind, int(seed))
    count, seed, pairs = of.split(":")
    return compare_posteriors(int(count), int(seed), float(pairs))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the tables, and renew a page if asked to."""
    parser = argparse.ArgumentParser(description="Measure what large runs take.")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="finished trials")
    parser.add_argument("--busy-trials", type=int, default=NUM_BUSY_TRIALS)
    parser.add_argument(
        "--folder", type=Path, help="keeps runs and figures: what is there is not made again"
    )
    parser.add_argument("--page", type=Path, help="a page whose figures are renewed")
    parser.add_argument("--measure", nargs=2, metavar=("WHAT", "OF"), help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.measure:
        what, of = given.measure
        found = measure(what, of)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({**found, "memory": peak, "cpu": time.process_time()}))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = given.folder or Path(name)
        parts = [describe_sizes(folder, given.sizes), describe_loss(folder)]
        parts += [describe_searches(folder), [describe_busy(folder, given.busy_trials)]]
    text = "\n\n".join("\n".join(part) for part in parts)
    print(text)
    if given.page:
        renew_part(given.page, BEGIN, END, text)


if __name__ == "__main__":
    main()
