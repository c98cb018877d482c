"""Trains what is missing in the table, and writes the table.

    python benchmarks/nas_bench_se/make.py [--candidates N] [--seeds K] [--epochs 2] [--workers W]
    python benchmarks/nas_bench_se/make.py --export

The first N candidates of a fixed random order are trained with seed 0, then all of them with
seed 1, and so on. Each training is on disk when it has finished; the same command continues where
it was stopped. Ctrl-C lets the running trainings end, a second one kills them.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from benchmarks.nas_bench_se.definition import (
    BACKBONE,
    DATA,
    FOLDER,
    LOG,
    RECIPE,
    describe_table,
    list_candidates,
)
from benchmarks.nas_bench_se.export import read_table, write_table
from se_search.errors import SESearchError
from se_search.execution.missing import list_assignments, train_missing
from se_search.execution.session import SessionRequest, open_session
from se_search.execution.signals import StopSignals
from se_search.store.training_log import TrainingLog


def main() -> int:
    """Train or export what the command line asks for; return the exit code."""
    options = _parse_arguments()
    signal = None
    try:
        if not options.export:
            signal = _train(options)
        counts = write_table(options.log, options.folder)
    except SESearchError as error:
        print(f"make.py: {error}", file=sys.stderr)
        return error.exit_code
    print(f"Written to {options.folder}: {counts}")
    return 128 + signal if signal else 0


def _train(options: argparse.Namespace) -> int | None:
    """Train what is missing; return the signal that stopped it, if any."""
    candidates = list_candidates()[: options.candidates]
    assignments = list_assignments(candidates, range(options.seeds), options.epochs)
    published = read_table(options.folder)
    options.log.parent.mkdir(parents=True, exist_ok=True)
    request = SessionRequest(
        data=DATA,
        recipe=RECIPE,
        backbone=BACKBONE.name,
        worker_log=options.log.with_name("worker.log"),
        workers=options.workers,
        accelerator="cpu",
        # Children run this script's imports again: the server has them already, and as they were
        # at the start, whatever is edited meanwhile.
        preload=("benchmarks.nas_bench_se.make",),
    )
    session = open_session(request, _note)
    identity = describe_table(session.task.data)
    # As this version of se-search computes it.
    environment = {**session.environment, "recipe_hash": RECIPE.hash}
    with (
        TrainingLog(options.log, identity, environment, options.mix_environments, published) as log,
        StopSignals(_note) as stop,
    ):
        train_missing(
            assignments,
            log,
            session.executor(with_test=True),
            stop=stop,
            observe=lambda ended: _note(str(ended)),
        )
    return stop.number


def _note(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--candidates", type=_positive, help="how many; all if not given")
    parser.add_argument("--seeds", type=_positive, default=1, help="seeds 0 to K-1")
    parser.add_argument("--epochs", type=_positive, default=2, help="the whole training")
    parser.add_argument("--workers", type=_positive, default=1, help="trainings at once")
    parser.add_argument("--export", action="store_true", help="write the table, train nothing")
    parser.add_argument("--mix-environments", action="store_true", help="see README.md")
    parser.add_argument("--log", type=Path, default=LOG, help="the trainings as they finish")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the table is")
    return parser.parse_args()


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is below 1")
    return value


if __name__ == "__main__":
    sys.exit(main())
