"""Trains the probes of a problem; each training is on disk when it has ended.

    python benchmarks/ladder/make.py --problem mobilenet             # goes on where it was stopped
    python benchmarks/ladder/make.py --problem own --workers 16

All probes are trained in replicate 0, then in replicate 1, and so on. Ctrl-C lets the running
trainings end, a second one kills them.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # the top of the checkout

from benchmarks.ladder.definition import DATA, PROBLEMS, RAW
from se_search.errors import SESearchError
from se_search.execution.missing import list_assignments, train_missing
from se_search.execution.request import SessionRequest
from se_search.execution.session import open_session
from se_search.execution.signals import StopSignals
from se_search.store.training_log import TrainingLog

NICENESS = 19


def main() -> int:
    """Train what the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    trained = [name for name, problem in PROBLEMS.items() if problem.num_replicates]
    parser.add_argument("--problem", choices=trained, required=True)
    parser.add_argument("--workers", type=int, default=1, help="trainings at once (1)")
    parser.add_argument("--accelerator", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--mix-environments", action="store_true", help="go on on other hardware")
    parser.add_argument("--data-dir", type=Path, help="folder with the files of Fashion-MNIST")
    parser.add_argument("--raw", type=Path, default=RAW, help="folder of the logs")
    options = parser.parse_args()
    try:
        signal = _train(options)
    except SESearchError as error:
        print(f"make.py: {error}", file=sys.stderr)
        return error.exit_code
    return 128 + signal if signal else 0


def _train(options: argparse.Namespace) -> int | None:
    """Train what is missing; return the signal that stopped it, if any."""
    os.nice(NICENESS)
    problem = PROBLEMS[options.problem]
    assignments = list_assignments(
        problem.probes, range(problem.num_replicates), problem.recipe.epochs
    )
    options.raw.mkdir(parents=True, exist_ok=True)
    request = SessionRequest(
        data=DATA,
        data_dir=options.data_dir,
        recipe=problem.recipe,
        backbone=problem.backbone_name,
        worker_log=options.raw / "worker.log",
        workers=options.workers,
        accelerator=options.accelerator,
    )
    session = open_session(request, _note)
    log_path = options.raw / f"{problem.name}.jsonl"
    identity = problem.identity(session.task.data.info)
    with (
        TrainingLog(log_path, identity, session.environment, options.mix_environments) as log,
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


if __name__ == "__main__":
    sys.exit(main())
