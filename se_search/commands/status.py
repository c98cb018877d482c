"""The command ``status``: how a run stands, also while it goes on."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from se_search.completion import complete_run
from se_search.report.console import make_console
from se_search.report.json_text import to_json
from se_search.terminal import say

if TYPE_CHECKING:
    from se_search.store.run_folder import RunFolder

RunArgument = Annotated[
    Path,
    typer.Argument(help="folder of the run, or its name in runs/", autocompletion=complete_run),
]
SECONDS_A_TRAINING = 0.015  # of CPU that fitting the model takes
NOTED_FROM = 2.0  # seconds that a fit takes from which it is announced
POLITENESS = 10  # by which the process gives way to a search that runs


def print_run_status(
    run: RunArgument,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of text")] = False,
) -> None:
    """Print how a run stands, also while it runs: trials, rate, time left, epochs, best so far.

    The run is read alone: its lock is not touched, and where a search runs this process gives way
    to it.
    """
    from se_search.errors import RunError
    from se_search.report.status import print_front, print_status, read_status, status_event
    from se_search.store.front_cache import read_kept_front, read_posterior_front
    from se_search.store.run_folder import RunFolder
    from se_search.store.run_space import read_space

    folder = RunFolder.existing(run)
    status = read_status(folder, read_kept_front(folder))
    console = make_console()
    if not as_json:
        print_status(console, status)
    if status.holder is not None and status.holder.is_sure:
        os.nice(POLITENESS)
    front, why = None, None
    if status.num_full:
        announce_fit(folder, status.num_full)
        try:
            front = read_posterior_front(folder, status.records, read_space(folder))
        except RunError as error:  # what stands above has been told
            why = str(error)
    if as_json:
        say(to_json(status_event(status, front, why), indent=1))
    elif front is None and status.evaluator == "supernet":
        print_front(console, None, "supernets give an order and no gains; se-search ladder has it")
    else:
        print_front(console, front, why)


def announce_fit(folder: RunFolder, num_trainings: int) -> None:
    """Say on standard error that fitting a model takes seconds, where the kept one is not enough.

    Args:
        folder: of the run.
        num_trainings: full trainings that the model is fitted to.
    """
    from se_search.report.format import duration
    from se_search.store.front_cache import read_kept_front

    kept = read_kept_front(folder)
    seconds = SECONDS_A_TRAINING * num_trainings
    if seconds < NOTED_FROM or (kept is not None and kept.num_trainings == num_trainings):
        return
    print(
        f"Fitting the model to {num_trainings:,} trainings: about {duration(seconds)} ...",
        file=sys.stderr,
        flush=True,
    )
