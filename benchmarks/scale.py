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

from benchmarks import scale_comparisons
from benchmarks.made_up_runs import OBJECTIVES, MadeUpNetworks, write_run
from benchmarks.pages import renew_part
from benchmarks.scale_comparisons import compare_posteriors, measure_search
from benchmarks.timed_loop import KINDS, MINUTES, TimedWorkers, run_loop
from se_search.report.run_report import write_report
from se_search.run_config import DIRECTIONS
from se_search.search.lag import choose_lag
from se_search.store.files import write_text
from se_search.store.memory import MemoryStore
from se_search.store.run_folder import RunFolder
from se_search.store.trials import TrialStore

SIZES = (100, 300, 1_000, 2_000, 3_000, 10_000)
NUM_ASKS = 24  # of which the first fits the model anew
NUM_WORKERS_ASKED = 8
NUM_WORKERS, NUM_BUSY_TRIALS = 1_000, 10_000
COMPARED = (1_000, 1_900)  # trainings of which both posteriors are computed
NUM_WORLDS = 2
NUM_SEARCHES = 2  # of each kind
BEGIN, END = "<!-- scale: begin -->", "<!-- scale: end -->"


def measure_open(folder: RunFolder) -> dict[str, float]:
    """Open a run to go on with it."""
    begun = time.process_time()
    TrialStore(folder.database, OBJECTIVES, [DIRECTIONS[name] for name in OBJECTIVES]).close()
    return {"open": time.process_time() - begun}


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
        "| finished trials | opening, s | an ask, s: median (longest) | the first one, s "
        "| its process, MB | report, s | its process, MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for size in sizes:
        path = folder / str(size)
        if not path.exists():
            write_run(path, networks, size)
        opened, asked, told = (measure_apart(folder, kind, str(path)) for kind in MEASURES)
        lines.append(
            f"| {size:,} | {opened['open']:.1f} | {asked['ask']:.2f} ({asked['longest']:.2f}) "
            f"| {asked['first']:.1f} | {asked['memory']:.0f} "
            f"| {told['cpu']:.1f} | {told['memory']:.0f} |"
        )
        print(lines[-1], file=sys.stderr)
    return lines


def describe_loss(folder: Path) -> list[str]:
    """Return lines of a table: the exact and the approximate posterior of equal trainings."""
    lines = [
        f"What reports lose by approximate posteriors, in {NUM_WORLDS} worlds each; the front "
        "named is worth its true best gain at a cost or less, averaged over the logarithm of the "
        "cost, in points:",
        "",
        "| trainings | interactions | posterior | 95 % intervals hold | mean width, points "
        "| error (rms) | hypervolume of the front named |",
        "|---|---|---|---|---|---|---|",
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
                    f"| {own['value']:.3f} of {mean['best value']:.3f} |"
                )
                print(lines[-1], file=sys.stderr)
    return lines


def describe_searches(folder: Path) -> list[str]:
    """Return lines of a table: searches that decide in different ways."""
    searches = f"{scale_comparisons.NUM_TRIALS} trials, {scale_comparisons.NUM_WORKERS} workers"
    lines = [
        "What searches lose by approximate posteriors and pools, in points:",
        "",
        f"| {searches} | hypervolume, by search | of the whole space | an ask, median, s |",
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
