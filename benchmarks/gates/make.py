"""Trains every subset of the stages of a case; each training is on disk when it has ended.

    python benchmarks/gates/make.py                # goes on where it was stopped
    python benchmarks/gates/make.py --workers 2

All subsets are trained in replicate 0, then in replicate 1, and so on. Trainings that the log or
NAS-Bench-SE 2 has are not made again. Ctrl-C lets the running trainings end, a second one kills
them.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # the top of the checkout

from benchmarks.gates.definition import CASES, RAW
from se_search.errors import SESearchError
from se_search.execution.missing import list_assignments, train_missing
from se_search.execution.session import SessionRequest, open_session
from se_search.execution.signals import StopSignals
from se_search.store.training_log import TrainingLog

NICENESS = 19


def main() -> int:
    """Train what the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--case", choices=CASES, default="default")
    parser.add_argument("--workers", type=int, default=1, help="trainings at once (1)")
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
    case = CASES[options.case]
    published = case.published_keys
    candidates = [case.candidate(stages) for stages in case.subsets]
    candidates = [candidate for candidate in candidates if candidate.key not in published]
    assignments = list_assignments(candidates, range(case.num_replicates), case.epochs)
    options.raw.mkdir(parents=True, exist_ok=True)
    request = SessionRequest(
        data=case.data,
        recipe=case.recipe,
        backbone=case.backbone_name,
        worker_log=options.raw / "worker.log",
        workers=options.workers,
        accelerator="cpu",
    )
    session = open_session(request, _note)
    log_path = options.raw / f"{options.case}.jsonl"
    identity = case.identity(session.task.data.info)
    with TrainingLog(log_path, identity, session.environment) as log, StopSignals(_note) as stop:
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
