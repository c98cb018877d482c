"""Asks how well trainings of the studies repeat themselves: two sets of seeds of the same networks.

    python benchmarks/ladder/repeats.py                          # prints it
    python benchmarks/ladder/repeats.py --page docs/measured.md  # renews the page's figures

Protocol 1 trained 19 networks with 9 seeds and one split of the images; the current protocol trains
the same networks by the same recipe with seeds that draw the images, too. No cheap score can be
expected to order networks better than the one set orders them as the other does.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[2]))  # the top of the checkout

from benchmarks.ladder.definition import PROBLEMS, STUDIES, STUDY_LOG
from benchmarks.pages import renew_part
from se_search.analysis.measured import Measured, measure, measure_tau
from se_search.analysis.rungs import resample
from se_search.store.training_log import read_log

BEGIN, END = "<!-- repeats: begin -->", "<!-- repeats: end -->"
FIRST_LOG = STUDIES / "protocol_1/resnet20_bottleneck-fashion_mnist-6305df1c1025.jsonl"
POINTS = 100.0

Values = NDArray[np.float64]


def main() -> int:
    """Print the table; renew a page's if one is named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--page", type=Path, help="gets the table")
    page = parser.parse_args().page
    text = "\n".join(list_lines())
    print(text)
    if page is not None:
        renew_part(page, BEGIN, END, text)
    return 0


def list_lines() -> Iterator[str]:
    """Yield the lines of the table."""
    first, second = read_accuracies(FIRST_LOG), read_accuracies(STUDY_LOG)
    texts = [text for text in first if text in second]
    yield "| networks | how many | seeds of each set | tau of their means (95 %) | correlation |"
    yield "|---|---|---|---|---|"
    groups = {
        "all of the studies": texts,
        "those of the pilot: stages and ratios": [
            text for text in texts if text in {str(one) for one in PROBLEMS["desk_stages"].probes}
        ],
        "stages and positions": [
            text
            for text in texts
            if text in {str(one) for one in PROBLEMS["desk_positions"].probes}
        ],
    }
    for name, own in groups.items():
        tables = [_tabulate(found, own) for found in (first, second)]
        one, other = (table.mean(axis=1) for table in tables)
        draws = resample(len(own))
        tau = measure_tau(one, other, draws)
        correlation = measure(
            float(np.corrcoef(one, other)[0, 1]), _weighted_correlations(one, other, draws)
        )
        yield (
            f"| {name} | {len(own)} | {' and '.join(str(table.shape[1]) for table in tables)} "
            f"| {_describe(tau)} | {_describe(correlation)} |"
        )


def read_accuracies(path: Path) -> Mapping[str, Mapping[int, float]]:
    """Return the test accuracies of a log's trainings, in points, by network and seed."""
    log = read_log(path)
    assert log is not None
    found: dict[str, dict[int, float]] = {}
    for one in log.trainings:
        accuracy = POINTS * one.history[-1]["test_accuracy"]
        found.setdefault(one.candidate, {})[one.seed] = accuracy
    return found


def _tabulate(found: Mapping[str, Mapping[int, float]], texts: list[str]) -> Values:
    """Return the accuracies of some networks in the seeds that all of them have."""
    seeds = sorted(set.intersection(*(set(found[text]) for text in texts)))
    return np.array([[found[text][seed] for seed in seeds] for text in texts])


def _weighted_correlations(x: Values, y: Values, counts: Values) -> Values:
    total = counts.sum(axis=1)

    def covary(a: Values, b: Values) -> Values:
        return np.asarray(counts @ (a * b) / total - (counts @ a) * (counts @ b) / total**2)

    roots = np.sqrt(covary(x, x) * covary(y, y))
    return np.divide(covary(x, y), roots, out=np.full_like(roots, np.nan), where=roots > 0)


def _describe(found: Measured | None) -> str:
    return "" if found is None else f"{found.value:+.2f} ({found.low:+.2f} to {found.high:+.2f})"


if __name__ == "__main__":
    sys.exit(main())
