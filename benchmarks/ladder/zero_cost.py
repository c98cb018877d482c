"""Scores the probes of every problem without training, and publishes the scores.

    python benchmarks/ladder/zero_cost.py                      # all problems, four seeds
    python benchmarks/ladder/zero_cost.py --problem own

zero_cost.csv has a row for each problem, rung, seed and probe. Rows of problems that are not asked
for stay. Each score takes one batch of 64 images; synflow takes none. Its seconds are of CPU, a
mean over the scores of a seed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[2]))  # the top of the checkout

from benchmarks.ladder.definition import DATA, FOLDER, PROBLEMS
from se_search.device import Device
from se_search.score import zero_cost_seed
from se_search.store.files import write_table

FILE = FOLDER / "zero_cost.csv"
COLUMNS = ("problem", "rung", "number", "key", "value", "seconds", "device", "torch")
NUM_MEMBERS = 4


def main() -> int:
    """Score what the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--problem", choices=PROBLEMS, action="append", help="(all)")
    parser.add_argument("--data-dir", type=Path, help="folder with the files of Fashion-MNIST")
    options = parser.parse_args()
    asked = options.problem or list(PROBLEMS)
    rows: list[tuple[object, ...]] = []
    for name in PROBLEMS:
        if name in asked:
            rows.extend(_score_all(name, options.data_dir))
        elif FILE.exists():
            published = pd.read_csv(FILE)
            rows.extend(published[published["problem"] == name].itertuples(index=False, name=None))
    write_table(FILE, COLUMNS, rows)
    return 0


def _score_all(name: str, data_dir: Path | None) -> Iterator[tuple[object, ...]]:
    from se_search.training.datasets import prepare_data
    from se_search.training.hardware import describe_ground
    from se_search.training.zero_cost_task import ScoreUntrained

    problem = PROBLEMS[name]
    device = Device("cpu", 0, 1, "32-true")
    ground = describe_ground(device)
    data = prepare_data(DATA, data_dir, None, problem.recipe)
    for number in range(NUM_MEMBERS):
        started = time.process_time()
        seed = zero_cost_seed(0, number)
        scores = ScoreUntrained(problem.probes, seed, data, problem.recipe, device)()
        seconds = time.process_time() - started
        print(f"{name} {number}: {len(scores)} scores in {seconds:.0f} s of CPU", flush=True)
        for one in scores:
            yield (
                *(name, one.rung, number, one.key, round(one.value, 6)),
                *(round(seconds / len(scores), 2), ground.device, ground.torch),
            )


if __name__ == "__main__":
    sys.exit(main())
