"""Measures whether the statistics mean what they say: intervals, probabilities, answers, verdicts.

    python benchmarks/calibration/measure.py --processes 2

The product's own searches (rotation over replicates, a control in each, the default sampler, the
fitted posterior, its front and its answer) are made in simulated worlds, where the truth is known:
the default space, true accuracies that differ by 0.2 points, and trainings that scatter as those
of the default job do, half and twice as much. Claims whose true difference lies on their margin are
read by the plan of looks; effects are judged after trainings at random. Half of the replicates of
NAS-Bench-SE 2, real trainings of the default job, are searched, and the other half judges what is
reported (--part crossed; --page renews the figures of docs/measured.md). Tables of finished
trainings (NAS-Bench-SE always, others by --table) are searched with a training of each candidate
held back. Each printed line is a figure with its standard error, in which a search counts as one
draw, its target, and whether the target is met.

OUTPUT/searches.jsonl, or crossed.jsonl, gets a line for each search as it ends, so that a
measurement that is broken off goes on, and one with more searches adds to it; searches of another
version of the accuracy model are made anew. OUTPUT also gets the figures (figures.csv), the judged
candidates (candidates.csv) and the reliability of P(front) (reliability.csv, .png and .pdf).
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[2]))  # the top of the checkout

from benchmarks.calibration.arms import ARMS, Arm, list_jobs
from benchmarks.calibration.crossed_figures import measure_crossed
from benchmarks.calibration.crossed_replays import CHECKPOINTS, NUM_RUNS, Source, list_replays
from benchmarks.calibration.crossed_section import write_section
from benchmarks.calibration.effects import measure_effects
from benchmarks.calibration.figures import list_candidates, measure_arm
from benchmarks.calibration.lines import Job, Line, carry_out, read_lines
from benchmarks.calibration.measures import Measurement, reliability_bins
from benchmarks.calibration.plans import measure_plans
from benchmarks.calibration.tables import measure_tables, write_nas_bench_se
from se_search.errors import SESearchError
from se_search.report.figures.reliability import draw_reliability, prepare_reliability
from se_search.report.figures.style import save
from se_search.store.files import write_table

COLUMNS = ("group", "name", "value", "error", "count", "target", "verdict")
PARTS = ("searches", "claims", "effects", "tables", "crossed")


@dataclass(frozen=True)
class Effort:
    """What is measured.

    Attributes:
        parts: which of ``PARTS``.
        arms: the searches of simulated worlds.
        claims: number of simulated claims of each kind.
        effect_worlds: number of worlds of each kind and size in which effects are judged.
        looked_at: number of simulated claims that are read look by look.
        tables: files of tables.
        table_searches: searches of each table.
        log: of trainings of NAS-Bench-SE 2 that its published table lacks.
        runs: searches of each half of its replicates.
        checkpoints: numbers of trainings after which each is read.
        page: whose figures of NAS-Bench-SE 2 are renewed.
        processes: searches that are made at a time.
        minutes: no search starts later than this.
    """

    parts: Sequence[str] = PARTS
    arms: Sequence[Arm] = ARMS
    claims: int = 2_000
    effect_worlds: int = 100
    looked_at: int = 300
    tables: Sequence[Path] = ()
    table_searches: int = 10
    log: Path | None = None
    runs: int = NUM_RUNS
    checkpoints: Sequence[int] = CHECKPOINTS
    page: Path | None = None
    processes: int = 1
    minutes: float = math.inf


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure everything that the command line asks for; return the exit code."""
    usual = Effort()
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--part", action="append", choices=PARTS, help="default: all")
    names = [arm.name for arm in ARMS]
    parser.add_argument("--arm", action="append", choices=names, help="searches; default: all")
    parser.add_argument("--searches", type=int, help="at most so many searches of each arm")
    parser.add_argument("--claims", type=int, default=usual.claims, help="of each kind (2000)")
    parser.add_argument(
        "--effect-worlds", type=int, default=usual.effect_worlds, help="of each kind and size (100)"
    )
    parser.add_argument("--table", type=Path, action="append", default=[], help="a CSV file")
    parser.add_argument("--log", type=Path, help="trainings that NAS-Bench-SE 2 lacks so far")
    parser.add_argument("--runs", type=int, default=usual.runs, help="searches of each half (3)")
    parser.add_argument("--page", type=Path, help="gets the figures of NAS-Bench-SE 2")
    parser.add_argument("--processes", type=int, default=1, help="searches at a time (1)")
    parser.add_argument("--minutes", type=float, default=math.inf, help="no search starts later")
    parser.add_argument("--output", type=Path, default=Path("calibration"), help="a folder")
    options = parser.parse_args(arguments)
    arms = [arm for arm in ARMS if arm.name in (options.arm or names)]
    if options.searches is not None:
        arms = [replace(arm, num_searches=min(arm.num_searches, options.searches)) for arm in arms]
    effort = Effort(
        parts=options.part or PARTS,
        arms=arms,
        claims=options.claims,
        effect_worlds=options.effect_worlds,
        tables=options.table,
        log=options.log,
        runs=options.runs,
        page=options.page,
        processes=options.processes,
        minutes=options.minutes,
    )
    try:
        measure_all(effort, options.output)
    except SESearchError as error:
        print(f"measure.py: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def measure_all(effort: Effort, output: Path) -> list[Measurement]:
    """Print all figures, and write the files of a folder; it is made."""
    output.mkdir(parents=True, exist_ok=True)
    figures: list[Measurement] = []
    if "claims" in effort.parts:
        figures += _print(measure_plans(effort.claims, effort.looked_at))
    if "effects" in effort.parts:
        figures += _print(measure_effects(effort.effect_worlds))
    if "tables" in effort.parts:
        with tempfile.TemporaryDirectory() as folder:
            own = write_nas_bench_se(Path(folder) / "NAS-Bench-SE.csv")
            tables = [*effort.tables, *([own] if own else [])]
            figures += _print(measure_tables(tables, effort.table_searches))
    if "searches" in effort.parts:
        figures += _print(_measure_searches(effort, output))
    if "crossed" in effort.parts:
        figures += _print(_measure_crossed(effort, output))
    rows = [[getattr(figure, name) for name in COLUMNS] for figure in figures]
    write_table(output / "figures.csv", COLUMNS, rows)
    return figures


def _print(figures: list[Measurement]) -> list[Measurement]:
    print(*figures, sep="\n", flush=True)
    return figures


def _measure_searches(effort: Effort, output: Path) -> list[Measurement]:
    path = output / "searches.jsonl"
    _carry_out(list_jobs(effort.arms), path, effort, lambda line: line["arm"])
    lines = read_lines(path)
    if lines:
        _write_candidates(lines, output)
    return [figure for arm in effort.arms for figure in measure_arm(arm, lines)]


def _measure_crossed(effort: Effort, output: Path) -> list[Measurement]:
    path, source = output / "crossed.jsonl", Source.of(effort.log)
    jobs = list_replays(source, effort.runs, effort.checkpoints)
    _carry_out(jobs, path, effort, lambda line: f"{line['kind']}, replicates {line['split']}")
    figures = measure_crossed(source.read(), read_lines(path))
    if effort.page is not None:
        write_section(effort.page, figures)
    return figures


def _carry_out(
    jobs: Sequence[Job], path: Path, effort: Effort, name: Callable[[Line], str]
) -> None:
    count, started = itertools.count(1), time.monotonic()

    def tell(line: Line) -> None:
        print(
            f"{next(count)}: {name(line)}, search {line['run']}, "
            f"{line['search_seconds'] + line['fit_seconds']:.1f} s of CPU, "
            f"{(time.monotonic() - started) / 60:.0f} min",
            file=sys.stderr,
            flush=True,
        )

    carry_out(jobs, path, effort.processes, effort.minutes, tell)


def _write_candidates(lines: Sequence[Line], output: Path) -> None:
    candidates = list_candidates(lines)
    candidates.to_csv(output / "candidates.csv", index=False)
    bins = bin_probabilities(candidates[candidates["shape"] != "null"])
    bins.to_csv(output / "reliability.csv", index=False)
    prepared = prepare_reliability(
        list_bins(bins),
        "Candidates on the front: how often, against how likely",
        "The true front of the trained candidates; bars are 95 % intervals.",
    )
    save(draw_reliability(prepared), output / "reliability.png")


def bin_probabilities(candidates: pd.DataFrame) -> pd.DataFrame:
    """Return the reliability of P(front) in each arm, a row a bin."""
    rows = []
    for arm, own in candidates.groupby("arm", sort=False):
        seen = own["on_true_front"].to_numpy(np.float64)
        found = reliability_bins(own["probability"].to_numpy(), seen)
        rows += [(arm, *one) for one in found.tolist()]
    return pd.DataFrame(rows, columns=["arm", "predicted", "seen", "count"])


def list_bins(bins: pd.DataFrame) -> Mapping[str, Mapping[int, list[tuple[float, float, int]]]]:
    """Return the bins by arm and number of trainings."""
    panels: dict[str, dict[int, list[tuple[float, float, int]]]] = {}
    trainings = {arm.name: arm.num_trials for arm in ARMS}
    for row in bins.to_dict("records"):
        found = panels.setdefault(row["arm"], {}).setdefault(trainings[row["arm"]], [])
        found.append((row["predicted"], row["seen"], int(row["count"])))
    return panels


if __name__ == "__main__":
    sys.exit(main())
