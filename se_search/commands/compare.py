"""The command ``compare``: two runs of one protocol side by side."""

from __future__ import annotations

from typing import Annotated

import typer

from se_search.commands.status import RunArgument, announce_fit
from se_search.report.console import make_console
from se_search.report.json_text import to_json
from se_search.terminal import say


def compare_runs(
    first: RunArgument,
    second: RunArgument,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of text")] = False,
) -> None:
    """Compare two runs of one protocol: answers, fronts, differences in common replicates.

    Runs are of one protocol if they train one network on the same data by one recipe. Exit code 4:
    they are not, and what differs is said.
    """
    from se_search.report.run_comparison import (
        ComparedRun,
        compare_fronts,
        comparison_event,
        print_comparison,
        read_compared,
        refuse_other_protocol,
    )
    from se_search.store.front_cache import read_posterior_front
    from se_search.store.run_folder import RunFolder
    from se_search.store.run_space import read_space
    from se_search.store.run_trials import find_trials
    from se_search.store.trials import read_records

    def read(folder: RunFolder) -> ComparedRun:
        records = read_records(find_trials(folder))
        announce_fit(folder, sum(record.state == "COMPLETE" for record in records))
        front = read_posterior_front(folder, records, read_space(folder))
        return read_compared(folder, front)

    a, b = RunFolder.existing(first), RunFolder.existing(second)
    refuse_other_protocol(a, b)
    minimised = [folder.read_config()["identity"]["objectives"][1:] for folder in (a, b)]
    common = [cost for cost in minimised[0] if cost in minimised[1]]
    found = compare_fronts(read(a), read(b), common)
    if as_json:
        say(to_json(comparison_event(found), indent=1))
    else:
        print_comparison(make_console(), found)
