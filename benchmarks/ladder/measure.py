"""Judges cheap scores by trainings, on every problem: the table of the ladder's self-test.

    python benchmarks/ladder/measure.py                          # prints it
    python benchmarks/ladder/measure.py --page docs/measured.md  # renews the page's figures

A row is the self-test of a run (``se_search.analysis.rung_test``) with the published trainings as
its probes: supernets of one kind, their mean score by accuracy or by loss; or snip, synflow or
NASWOT over several seeds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # the top of the checkout

from benchmarks.ladder.definition import PROBLEMS
from benchmarks.ladder.supernets import KINDS
from benchmarks.ladder.table import (
    MEASURES,
    KindScores,
    read_probes,
    read_scores,
    read_zero_cost,
)
from benchmarks.pages import renew_part
from se_search.analysis.measured import Measured
from se_search.analysis.rung_test import RungTest, judge_scores
from se_search.score import ZERO_COST

BEGIN, END = "<!-- ladder: begin -->", "<!-- ladder: end -->"
HEAD = (
    "| problem | supernets | by | probes x replicates | tau (95 %) | ceiling | best baseline "
    "| slope | between supernets | s a supernet, a score | used |"
)
IMAGES = "test"


def main() -> int:
    """Print the table; renew a page's if one is named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--page", type=Path, help="gets the table")
    page = parser.parse_args().page
    text = "\n".join([HEAD, "|---" * (HEAD.count("|") - 1) + "|", *_list_rows()])
    print(text)
    if page is not None:
        renew_part(page, BEGIN, END, text)
    return 0


def _list_rows() -> Iterator[str]:
    for name, problem in PROBLEMS.items():
        records = read_probes(name, IMAGES)
        for kind in KINDS:
            for measure in MEASURES:
                found = read_scores(name, kind, measure)
                if found is not None:
                    (test,) = judge_scores(found.scores, records, problem.space)
                    yield _describe(name, kind, measure, test, found)
        for rung in ZERO_COST:
            found = read_zero_cost(name, rung)
            if found is not None:
                (test,) = judge_scores(found.scores, records, problem.space)
                yield _describe(name, rung, "value", test, found)


def _describe(name: str, kind: str, measure: str, test: RungTest, found: KindScores) -> str:
    best = test.best_baseline
    baseline = "" if best is None or best.tau is None else f"{best.tau.value:+.2f} ({best.name})"
    cells = (
        *(name, f"{test.num_members} {kind}", measure),
        f"{test.num_compared} x {test.num_replicates}",
        _with_interval(test.tau),
        "" if test.ceiling is None else f"{test.ceiling:.2f}",
        baseline,
        _with_interval(test.slope),
        "" if test.agreement is None else f"{test.agreement:+.2f}",
        f"{found.train_seconds:.0f}, {found.score_seconds:.2f}",
        "yes" if test.is_used else "no",
    )
    return f"| {' | '.join(cells)} |"


def _with_interval(found: Measured | None) -> str:
    if found is None:
        return ""
    return f"{found.value:+.2f} ({found.low:+.2f} to {found.high:+.2f})"


if __name__ == "__main__":
    sys.exit(main())
