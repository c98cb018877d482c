"""Measures whether the statistics mean what they say: intervals, probabilities and verdicts.

    python benchmarks/make_nas_bench_201.py tables
    python benchmarks/calibration/measure.py --table tables/cifar10.csv --table tables/cifar100.csv

Searches are made on simulated spaces, whose true accuracies are known, and on tables of finished
trainings, of which some seeds are held back from the search (NAS-Bench-SE is always one of the
tables). After 50 and 100 trainings the model's posterior of the trained candidates
(``compute_posterior``) is judged by the truth or by the held-back seeds. Claims are judged where
the true difference lies on their margin. Each printed line is a measured number with its
Monte-Carlo standard error, its target, and whether the target is met. OUTPUT gets the numbers as
measurements.csv, the judged candidates as candidates.csv, and the reliability of the predicted
probabilities as reliability.csv, .png and .pdf.

What is measured:

coverage: the share of 95 % intervals that hold the judging accuracy. On tables that is a noisy mean
    of held-back seeds, so the interval is widened by the standard deviation of this mean, from the
    table's rows of similar accuracy; with "model's noise", from the model's own estimate.
reliability: the predicted probability of being on the front of the trained candidates against how
    often that is so, as Brier score and as expected calibration error over ten bins. Where the
    truth is simulated, the front is the true one. On tables it is the front of the means over all
    seeds, those of the search among them; or, "held back", of the held-back seeds alone. That one
    is shuffled by noise, so the prediction is made by draws of the model with this noise added.
sure members: the share on the front of candidates with a predicted probability of at least 0.9.
optimism: reported minus judging accuracy, mean over a front's members: of the front of plain means,
    of the model's front, and of the model's members that are also on the front of their confirmed
    means (5 fresh seeds where simulated, one on tables with three seeds).
false verdicts: the share of claims that are supported though the difference lies on the margin.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[2]))  # the top of the checkout

from benchmarks.calibration.claims import NUM_PAIRS, made_up_noises, measure_claims, table_noise
from benchmarks.calibration.judging import judge_search
from benchmarks.calibration.measures import FRONTS, Measurement, measure, reliability_bins
from benchmarks.calibration.searches import search
from benchmarks.calibration.worlds import (
    SEED_SDS,
    SHAPES,
    World,
    read_nas_bench_se,
    restrict,
    simulate,
)
from se_search.benchmark.table import TableSpace
from se_search.benchmark.table_file import read_table
from se_search.report.figures.reliability import draw_reliability, prepare_reliability
from se_search.report.figures.style import save
from se_search.store.files import write_table

COLUMNS = ("group", "name", "value", "error", "low", "high", "count", "verdict")


@dataclass(frozen=True)
class Effort:
    """The searches and simulated studies that are made.

    Attributes:
        runs: number of searches of each kind.
        trainings: numbers of trainings after which a search is judged.
        claims: number of simulated studies of each claim.
        shapes: the simulated truths, each one of ``SHAPES``.
        seed_sds: standard deviations of a seed in the simulated spaces, in points.
        pairs: numbers of paired trainings of the simulated studies.
    """

    runs: int = 10
    trainings: Sequence[int] = (50, 100)
    claims: int = 2_000
    shapes: Sequence[str] = field(default_factory=lambda: tuple(SHAPES))
    seed_sds: Sequence[float] = SEED_SDS
    pairs: Sequence[int] = NUM_PAIRS


def measure_all(tables: Sequence[TableSpace], effort: Effort, output: Path) -> list[Measurement]:
    """Measure all numbers, print each as it is known, and write the files of a folder.

    Args:
        tables: of finished trainings.
        effort: the searches and simulated studies.
        output: a folder; it is made.
    """
    output.mkdir(parents=True, exist_ok=True)
    noises = made_up_noises()
    for table in tables:
        noise = table_noise(table)
        noises[table.name] = noise, noise
    measurements = measure_claims(noises, effort.claims, effort.pairs)
    print(*measurements, sep="\n", flush=True)
    frame = judge_searches(tables, effort, output / "candidates.csv")
    of_searches = measure_searches(frame)
    print(*of_searches, sep="\n")
    measurements += of_searches
    write_table(
        output / "measurements.csv",
        COLUMNS,
        [[getattr(one, name) for name in COLUMNS] for one in measurements],
    )
    bins = bin_searches(frame)
    bins.to_csv(output / "reliability.csv", index=False)
    prepared = prepare_reliability(
        list_bins(bins),
        "Candidates on the front: how often, against how likely",
        "The true front where it is simulated, else that of the means over all seeds; bars are "
        "95 % intervals.",
    )
    save(draw_reliability(prepared), output / "reliability.png")
    return measurements


def list_searches(
    tables: Sequence[TableSpace], effort: Effort
) -> Iterator[tuple[str, World, str, int]]:
    """Yield the group that a search counts to, its world, its sampler and its run."""
    worlds = [
        (f"tables, {num_seen} seed{'s' * (num_seen > 1)}", restrict(space, num_seen))
        for space in tables
        for num_seen in range(1, min(3, space.accuracies.shape[1]))
    ]
    for run in range(effort.runs):
        for shape, seed_sd in product(effort.shapes, effort.seed_sds):
            world = simulate(shape, seed_sd, run)
            for sampler in ("random", "pareto"):
                yield f"simulated, {sampler}", world, sampler, run
        for group, world in worlds:
            yield group, world, "pareto", run


def judge_searches(tables: Sequence[TableSpace], effort: Effort, path: Path) -> pd.DataFrame:
    """Make all searches and return their judged candidates; progress goes to stderr.

    Each search's rows are added to the file at ``path`` as it ends.
    """
    frames: list[pd.DataFrame] = []
    started = time.monotonic()
    path.unlink(missing_ok=True)
    for number, (group, world, sampler, run) in enumerate(list_searches(tables, effort), start=1):
        made = search(world, sampler, run, min(max(effort.trainings), world.space.size))
        for count in effort.trainings:
            frame = judge_search(made.first(count))
            frame.insert(0, "search", f"{world.name}, {sampler}, {run}")
            frame.insert(0, "trainings", count)
            frame.insert(0, "world", world.name)
            frame.insert(0, "group", group)
            frame.to_csv(path, mode="a", header=not frames, index=False)
            frames.append(frame)
        seconds = time.monotonic() - started
        print(f"{number}: {group}: {world.name}, run {run}, {seconds:.0f} s", file=sys.stderr)
    return pd.concat(frames, ignore_index=True)


def measure_searches(frame: pd.DataFrame) -> list[Measurement]:
    """Return the measurements of each group of searches after each number of trainings."""
    return [
        measurement
        for (group, trainings), own in frame.groupby(["group", "trainings"], sort=False)
        for measurement in measure(f"{group}, {trainings} trainings", own)
    ]


def bin_searches(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the reliability of each group after each number of trainings, a row a bin."""
    rows = []
    for (group, trainings), own in frame.groupby(["group", "trainings"], sort=False):
        for front, column in FRONTS.items():
            found = reliability_bins(own[column].to_numpy(), own[front].to_numpy(np.float64))
            rows += [(group, trainings, front, *one) for one in found.tolist()]
    columns = ["group", "trainings", "front", "predicted", "seen", "count"]
    return pd.DataFrame(rows, columns=columns)


def list_bins(bins: pd.DataFrame) -> Mapping[str, Mapping[int, list[tuple[float, float, int]]]]:
    """Return the bins of the true front by group and number of trainings."""
    panels: dict[str, dict[int, list[tuple[float, float, int]]]] = {}
    own = bins[bins["front"] == "true_front"]
    for row in own.to_dict("records"):
        found = panels.setdefault(row["group"], {}).setdefault(row["trainings"], [])
        found.append((row["predicted"], row["seen"], int(row["count"])))
    return panels


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure everything that the command line asks for."""
    effort = Effort()
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--table", type=Path, action="append", default=[], help="a CSV file")
    parser.add_argument("--runs", type=int, default=effort.runs, help="searches of each kind (10)")
    parser.add_argument("--trainings", type=int, nargs="+", default=effort.trainings)
    parser.add_argument("--claims", type=int, default=effort.claims, help="of each kind (2000)")
    parser.add_argument("--output", type=Path, default=Path("calibration"), help="a folder")
    options = parser.parse_args(arguments)
    own = read_nas_bench_se()
    tables = [*map(read_table, options.table), *([own] if own else [])]
    measure_all(tables, Effort(options.runs, options.trainings, options.claims), options.output)


if __name__ == "__main__":
    main()
