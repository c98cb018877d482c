"""Writes what a run leaves: trials.csv, pareto.csv, pareto.png, and the closing table."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from rich.table import Table

from se_search.analysis.pareto import CandidateSummary, front_of, seed_sd, summarize
from se_search.record import TrialRecord
from se_search.report.figure import draw_front
from se_search.store.folder import RunFolder
from se_search.store.reader import read_records

FRONT_FIELDS = tuple(field.name for field in fields(CandidateSummary) if field.name != "on_front")


def write_report(folder: RunFolder) -> list[CandidateSummary]:
    """Make trials.csv, pareto.csv and pareto.png anew from the study.

    Returns:
        The summaries of all candidates.

    Raises:
        RunError: the folder holds no study.
    """
    config = folder.read_config()
    objectives = config["study"]["objectives"]
    records = read_records(folder.database)
    summaries = summarize(records, objectives)
    write_trials(folder.trials_csv, records)
    _write_rows(
        folder.pareto_csv,
        FRONT_FIELDS,
        [[getattr(s, name) for name in FRONT_FIELDS] for s in front_of(summaries)],
    )
    draw_front(folder.pareto_png, records, summaries, objectives[1:], title=_title(config))
    return summaries


def write_trials(path: Path, records: Sequence[TrialRecord]) -> None:
    """Write a row for each trial; accuracies are shares (0..1), seconds are wall time."""
    names = [field.name for field in fields(TrialRecord)]
    _write_rows(path, names, [[getattr(record, name) for name in names] for record in records])


def front_table(summaries: Sequence[CandidateSummary]) -> Table:
    """Lay the front out for a terminal, cheapest candidate first."""
    front = front_of(summaries)
    table = Table(title=f"Pareto front: {len(front)} of {len(summaries)} candidates trained")
    table.add_column("SE placement (stage:squeeze width)")
    for heading in ("accuracy %", "seeds", "params", "added", "added %", "MACs", "added MACs"):
        table.add_column(heading, justify="right")
    for summary in front:
        spread = f" ± {100 * summary.accuracy_sd:.2f}" if summary.accuracy_sd is not None else ""
        table.add_row(
            summary.placement,
            f"{100 * summary.accuracy:.2f}{spread}",
            str(summary.num_seeds),
            f"{summary.params:,}",
            f"{summary.added_params:+,}" if summary.added_params else "0",
            f"{summary.added_params_pct:.2f}",
            f"{summary.macs:,}",
            f"{summary.added_macs:+,}" if summary.added_macs else "0",
        )
    return table


def front_caution(summaries: Sequence[CandidateSummary]) -> str:
    """Say what the front's accuracies rest on."""
    front = front_of(summaries)
    single = sum(summary.num_seeds == 1 for summary in front)
    sd = seed_sd(summaries)
    noise = (
        "how far seeds move a training is not known yet: no candidate has two"
        if sd is None
        else f"seeds alone move a training by {100 * sd:.2f} points (standard deviation)"
    )
    return (
        f"Accuracy is the mean over a candidate's seeds on validation images; {single} of the "
        f"{len(front)} members rest on one seed, and {noise}.\nThe best of many looks better than "
        "it is: train the members that you care about again before you believe a difference of "
        "that size."
    )


def _title(config: dict[str, Any]) -> str:
    study = config["study"]
    return (
        f"{study['backbone']['name']} on {study['data']['name']}, {study['epochs']} epochs, "
        f"space {config['search']['space']}"
    )


def _write_rows(path: Path, names: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write a CSV file, whole or not at all; None becomes an empty field."""
    temporary = path.with_suffix(".tmp")
    with temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(rows)
    temporary.replace(path)
