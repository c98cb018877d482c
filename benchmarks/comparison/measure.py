"""Compares samplers in the world of NAS-Bench-SE 2: trainings until the front is near enough.

    python benchmarks/comparison/measure.py --processes 2 --page docs/measured.md

All trainings of the table, networks x replicates, are given to the product's model: its gains over
the plain network are the yardstick. Searches of the table are followed: after some trainings, the
front that they recommend is scored by how much of the hypervolume it lacks (gap), by what its user
loses (loss), and by what one loses who must have SE (placement). `pareto`, `tpe`, `nsga2` and
`random` all have the product's loop: replicates take turns, each with its control, and the fitted
model recommends. TPE as it is has one seed, no control and accuracies as they come. Where the table
has shorter trainings, `pareto` and `random` are also tried with rungs.

OUTPUT/searches.jsonl gets a line for each search as it ends, so that a measurement that is broken
off goes on, and one with more searches adds to it; searches of another table, as it grows, or of
another version of the accuracy model are made anew. OUTPUT also gets the times (times.csv), medians
and ratios (medians.csv, ratios.csv), mean scores by trainings (scores.csv) and the curves
(survival.png and .pdf). --page renews the figures of docs/measured.md, and the picture beside it.
A search takes 10 to 40 s of CPU, so that 20 of each kind take about half an hour.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).parents[2]))  # the top of the checkout

from benchmarks.calibration.crossed_world import CrossedTable, read_crossed_table
from benchmarks.calibration.lines import Line, carry_out, read_lines
from benchmarks.comparison.arms import ARMS, Arm, find_truth, list_jobs
from benchmarks.comparison.results import RULES, SCORES, Comparison, Means
from benchmarks.comparison.section import BEGIN, END, make_section
from benchmarks.comparison.survival import survival_curve
from benchmarks.pages import renew_part
from se_search.errors import SESearchError
from se_search.report.figures.style import save
from se_search.report.figures.survival import draw_survival, prepare_survival
from se_search.store.files import write_table

PICTURE = "comparison.png"
PICTURE_TEXT = "Share of searches whose front is not near enough yet, against trainings"
PANELS = {
    "gap": "hypervolume lacks more than 0.05 points",
    "loss": "a user loses more than 0.05 points",
    "placement": "one who must have SE loses more than 0.05 points",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare what the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    names = [arm.name for arm in ARMS]
    parser.add_argument("--arm", action="append", choices=names, help="searches; default: all")
    parser.add_argument("--searches", type=int, default=20, help="of each arm (20)")
    parser.add_argument("--log", type=Path, help="trainings that the table lacks so far")
    parser.add_argument("--page", type=Path, help="gets the figures, and a picture beside it")
    parser.add_argument("--processes", type=int, default=1, help="searches at a time (1)")
    parser.add_argument("--minutes", type=float, default=math.inf, help="no search starts later")
    parser.add_argument("--output", type=Path, default=Path("comparison"), help="a folder")
    options = parser.parse_args(arguments)
    arms = [arm for arm in ARMS if arm.name in (options.arm or names)]
    try:
        compare_arms(
            *(read_crossed_table(options.log), arms, options.searches, options.output),
            page=options.page,
            num_processes=options.processes,
            minutes=options.minutes,
        )
    except SESearchError as error:
        print(f"measure.py: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def compare_arms(
    table: CrossedTable,
    arms: Sequence[Arm],
    num_searches: int,
    output: Path,
    *,
    page: Path | None = None,
    num_processes: int = 1,
    minutes: float = math.inf,
    problem: str = "default",
) -> Comparison | None:
    """Make the searches that a folder lacks, print what all come to, and write its files.

    Args:
        table: that is searched.
        arms: the kinds of searches.
        num_searches: of each kind.
        output: a folder; it is made.
        page: whose figures are renewed; None: none.
        num_processes: searches that are made at a time.
        minutes: no search starts later than this.
        problem: whose supernets score the networks.

    Returns:
        None: there was time for no search of each kind.
    """
    output.mkdir(parents=True, exist_ok=True)
    truth = find_truth(table)
    jobs = list_jobs(table, truth, arms, num_searches, problem)
    carry_out(jobs, output / "searches.jsonl", num_processes, minutes, _teller(len(jobs)))
    names = {job.arm.name for job in jobs}
    lines = [
        line
        for line in read_lines(output / "searches.jsonl")
        if line["table"] == table.digest and line["arm"] in names and line["run"] < num_searches
    ]
    comparison = Comparison.of(lines, table, truth)
    if comparison.searches.keys() != names or not comparison.num_searches:
        print("There is no search of each kind yet: nothing to compare.", file=sys.stderr)
        return None
    section = make_section(comparison)
    print(section)
    write_files(comparison, output)
    if page is not None:
        renew_part(page, BEGIN, END, f"{section}\n\n![{PICTURE_TEXT}]({PICTURE})")
        save(_draw(comparison), page.with_name(PICTURE))
    return comparison


def write_files(comparison: Comparison, output: Path) -> None:
    """Write the tables and the figure of a comparison into a folder."""
    keys = [(score, rule) for score in SCORES for rule in RULES]
    write_table(
        output / "times.csv",
        ("arm", "run", "score", "rule", "trainings", "ended"),
        (
            (arm, searches[at].run, score, rule, int(found.times[at]), bool(found.ended[at]))
            for arm, searches in comparison.searches.items()
            for score, rule in keys
            for found in [comparison.times(arm, score, rule)]
            for at in range(len(searches))
        ),
    )
    write_table(
        output / "medians.csv",
        ("arm", "score", "rule", "searches", "ended", "median", "low", "high"),
        (
            (arm, score, rule, len(found), int(found.ended.sum()), one.value, one.low, one.high)
            for arm in comparison.searches
            for score, rule in keys
            for found in [comparison.times(arm, score, rule)]
            for one in [comparison.median(arm, score, rule)]
        ),
    )
    write_table(
        output / "ratios.csv",
        ("arm", "other", "score", "rule", "ratio", "low", "high", "p", "target", "verdict"),
        _list_ratios(comparison, keys),
    )
    write_table(
        output / "scores.csv",
        ("arm", "trainings", *Means._fields),
        (
            (arm, trainings, *(round(value, 5) for value in means))
            for arm in comparison.searches
            for trainings, means in comparison.mean_scores(arm).items()
        ),
    )
    save(_draw(comparison), output / "survival.png")


def _list_ratios(
    comparison: Comparison, keys: Sequence[tuple[str, str]]
) -> Iterator[tuple[object, ...]]:
    for arm, other in itertools.permutations(comparison.searches, 2):
        for key in keys:
            found = comparison.compare(arm, other, *key)
            one = found.ratio
            values = (one.value, one.low, one.high, found.p_value, found.target, found.verdict)
            yield (arm, other, *key, *values)


def _draw(comparison: Comparison) -> Figure:
    panels = {}
    for score, title in PANELS.items():
        curves = {
            arm: survival_curve(comparison.times(arm, score, "kept"))
            for arm in comparison.searches
            if "rungs" not in arm
        }
        panels[title] = {
            arm: list(zip(curve.times.tolist(), curve.share.tolist(), strict=True))
            for arm, curve in curves.items()
        }
    prepared = prepare_survival(
        panels,
        comparison.horizon,
        "Searches whose front is not near enough yet",
        f"{comparison.num_searches} searches each of {len(comparison.table.networks)} networks x "
        f"{len(comparison.table.replicates)} replicates of real trainings (Kaplan-Meier); the "
        "yardstick is the model of all trainings.",
    )
    return draw_survival(prepared)


def _teller(total: int) -> Callable[[Line], None]:
    numbers, started = itertools.count(1), time.monotonic()

    def tell(line: Line) -> None:
        print(
            f"{next(numbers)} of at most {total}: {line['arm']}, search {line['run']}, "
            f"{line['seconds']:.1f} s of CPU, {(time.monotonic() - started) / 60:.0f} min",
            file=sys.stderr,
            flush=True,
        )

    return tell


if __name__ == "__main__":
    sys.exit(main())
