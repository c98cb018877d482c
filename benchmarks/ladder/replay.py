"""Searches a problem's trained probes with and without the scores of supernets.

    python benchmarks/ladder/replay.py --problem gates --output FOLDER

All trainings of the probes, networks x replicates, are the yardstick, and searches of them are
followed as in ``benchmarks/comparison``; the default problem is compared there. Supernets and
scores without training are paid for in trainings' worth before the first training.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # the top of the checkout

from benchmarks.comparison.arms import Arm
from benchmarks.comparison.measure import compare_arms
from benchmarks.ladder.definition import PROBLEMS
from benchmarks.ladder.table import read_problem_table

ARMS = (
    Arm("pareto", "pareto"),
    Arm("random", "random"),
    Arm("pareto with 2 supernets", "pareto", num_supernets=2),
    Arm("pareto with 4 supernets", "pareto", num_supernets=4),
    Arm("pareto with NASWOT", "pareto", zero_cost="naswot"),
    Arm("pareto with snip", "pareto", zero_cost="snip"),
)


def main() -> int:
    """Make the searches that the folder lacks, and print what all come to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    trained = [name for name, problem in PROBLEMS.items() if problem.num_replicates]
    parser.add_argument("--problem", choices=trained, required=True)
    names = [arm.name for arm in ARMS]
    parser.add_argument("--arm", action="append", choices=names, help="searches; default: all")
    parser.add_argument("--searches", type=int, default=20, help="of each kind (20)")
    parser.add_argument("--processes", type=int, default=1, help="searches at a time (1)")
    parser.add_argument("--output", type=Path, required=True, help="a folder")
    options = parser.parse_args()
    arms = [arm for arm in ARMS if arm.name in (options.arm or names)]
    compare_arms(
        *(read_problem_table(options.problem), arms, options.searches, options.output),
        num_processes=options.processes,
        problem=options.problem,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
