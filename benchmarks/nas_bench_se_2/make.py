"""Trains what is missing in NAS-Bench-SE 2; each training is on disk when it has ended.

    python benchmarks/nas_bench_se_2/make.py --minutes 60          # goes on where it was stopped
    python benchmarks/nas_bench_se_2/make.py --parts 5 --workers 2 # all 625 networks
    python benchmarks/nas_bench_se_2/make.py --export              # only publishes what is there

The networks of the balanced parts that are wanted are trained in replicate 0, then in replicate 1,
and so on, so that the table is crossed at any time but for the last replicate. Published trainings
and those of the log are not made again. Ctrl-C lets the running trainings end, a second one kills
them. ``--export`` adds the log to the published file, also while trainings
run, and renews the figures of README.md and docs/measured.md.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # the top of the checkout

from benchmarks.nas_bench_se_2.definition import (
    BACKBONE,
    DATA,
    FOLDER,
    LOG,
    RECIPE,
    count_first,
    describe_table,
    list_candidates,
)
from benchmarks.nas_bench_se_2.export import read_table, write_table
from se_search.errors import SESearchError
from se_search.execution.deadline import Deadline
from se_search.execution.missing import list_assignments, train_missing
from se_search.execution.request import SessionRequest
from se_search.execution.session import open_session
from se_search.execution.signals import StopSignals
from se_search.record import Stop
from se_search.store.training_log import TrainingLog

NICENESS = 19


def main() -> int:
    """Train what the command line asks for; return the exit code."""
    options = _parse_arguments()
    signal = None
    try:
        if options.export:
            _export(options)
        else:
            signal = _train(options)
    except SESearchError as error:
        print(f"make.py: {error}", file=sys.stderr)
        return error.exit_code
    return 128 + signal if signal else 0


def _export(options: argparse.Namespace) -> None:
    """Publish the trainings of the log, and renew the figures of the project's texts."""
    print(f"Written to {options.folder}: {write_table(options.log, options.folder)}")
    if options.folder == FOLDER:
        # Not at the top: each training imports this script, and needs neither pandas nor scipy.
        from benchmarks.nas_bench_se_2.figures import TEXTS, renew_figures
        from benchmarks.nas_bench_se_2.table import NASBenchSE2

        renew_figures(NASBenchSE2.read(FOLDER))
        print(f"Figures renewed in {', '.join(path.name for path in TEXTS)}")


def _train(options: argparse.Namespace) -> int | None:
    """Train what is missing; return the signal that stopped it, if any."""
    os.nice(NICENESS)
    candidates = list_candidates()[: count_first(options.parts)]
    assignments = list_assignments(candidates, range(options.replicates), options.epochs)
    options.log.parent.mkdir(parents=True, exist_ok=True)
    request = SessionRequest(
        data=DATA,
        recipe=RECIPE,
        backbone=BACKBONE.name,
        worker_log=options.log.with_name("worker.log"),
        workers=options.workers,
        accelerator="cpu",
    )
    session = open_session(request, _note)
    environment = {**session.environment, "recipe_hash": RECIPE.hash}
    deadline = Deadline(options.minutes)
    with (
        TrainingLog(
            options.log,
            describe_table(session.task.data),
            environment,
            options.mix_environments,
            read_table(options.folder),
        ) as log,
        StopSignals(_note) as stop,
    ):
        train_missing(
            assignments,
            log,
            session.executor(with_test=True),
            stop=lambda: stop() or (Stop.AFTER_RUNNING if deadline.has_passed else Stop.NO),
            observe=lambda ended: _note(str(ended)),
        )
    return stop.number


def _note(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--parts", type=int, choices=range(1, 6), default=1, help="of 125 networks each (1)"
    )
    parser.add_argument("--replicates", type=_positive, default=6, help="0 to K - 1 (6)")
    parser.add_argument("--epochs", type=_positive, default=RECIPE.epochs, help="a training (3)")
    parser.add_argument("--workers", type=_positive, default=1, help="trainings at once (1)")
    parser.add_argument("--minutes", type=float, help="none starts later")
    parser.add_argument("--export", action="store_true", help="publish the log, train nothing")
    parser.add_argument("--mix-environments", action="store_true", help="see README.md")
    parser.add_argument("--log", type=Path, default=LOG, help="the trainings as they end")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of the published table")
    return parser.parse_args()


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is below 1")
    return value


if __name__ == "__main__":
    sys.exit(main())
