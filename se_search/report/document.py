"""Writes what a run leaves: its CSV files, pareto.png, and the closing tables."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from rich.table import Table

from se_search.analysis.pareto import CandidateSummary, front_of, seed_sd, summarize
from se_search.analysis.rungs import MIN_COMPARED, Effect, RungFinding, judge_rungs
from se_search.record import Rung, TrialRecord
from se_search.report.figure import draw_front
from se_search.store.folder import RunFolder
from se_search.store.reader import read_records

FRONT_FIELDS = tuple(field.name for field in fields(CandidateSummary) if field.name != "on_front")


VERDICTS = {True: "earns its place", False: "has not earned its place", None: "too few to judge"}
RUNG_FIELDS = (
    *("epochs", "seeds", "candidates", "compared", "tau", "tau_low", "tau_high", "ceiling"),
    *("tau_star", "earns_its_place", "wrong_signs"),
)


@dataclass(frozen=True, slots=True)
class Findings:
    """What a run has found so far.

    Attributes:
        summaries: of all candidates that have a full training.
        rungs: what is known of each rung below the full training; empty: there are none.
        full_epochs: of a full training.
        files: that have been written.
        gain: by how much the front is expected to rise if the most promising candidate became
            known: accuracy (0..1), averaged over the logarithm of the cost; None: not known.
        tolerance: the gain below which the front counts as settled.
    """

    summaries: Sequence[CandidateSummary]
    rungs: Sequence[RungFinding]
    full_epochs: int
    files: Sequence[Path]
    gain: float | None = None
    tolerance: float = 0.0


def write_report(folder: RunFolder) -> Findings:
    """Make trials.csv, pareto.csv, pareto.png and, if there are rungs, rungs.csv anew.

    Raises:
        RunError: the folder holds no study.
    """
    config = folder.read_config()
    objectives = config["study"]["objectives"]
    records = read_records(folder.database)
    summaries = summarize(records, objectives)
    rungs = judge_rungs(records, list_rungs(config, records))
    write_trials(folder.trials_csv, records)
    _write_rows(
        folder.pareto_csv,
        FRONT_FIELDS,
        [[getattr(s, name) for name in FRONT_FIELDS] for s in front_of(summaries)],
    )
    draw_front(folder.pareto_png, records, summaries, objectives[1:], title=_title(config))
    files = [folder.pareto_png, folder.pareto_csv, folder.trials_csv]
    if rungs:
        _write_rows(folder.rungs_csv, RUNG_FIELDS, [_rung_row(finding) for finding in rungs])
        files.append(folder.rungs_csv)
    return Findings(summaries, rungs, config["study"]["epochs"], files)


def list_rungs(config: Mapping[str, Any], records: Iterable[TrialRecord]) -> list[Rung]:
    """List a run's rungs: those last asked for, and of shorter trainings from before that."""
    full = Rung(config["study"]["epochs"], 1)
    text = config["search"].get("promotion", "off")
    rungs = [full] if text == "off" else [Rung.parse(part) for part in text.split(",")]
    known = {rung.epochs for rung in rungs}
    shorter = {r.epochs for r in records if r.state == "PRUNED"} - known
    return sorted([*rungs, *(Rung(epochs, 1) for epochs in shorter)])


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


def rungs_table(rungs: Sequence[RungFinding]) -> Table:
    """Lay out how well each rung foretells the order after the full training."""
    table = Table(title="Rungs: do they foretell the order of the candidates after full trainings?")
    table.add_column("epochs x seeds")
    for heading in ("candidates", "also in full", "tau-b (95 %)", "ceiling", "tau / ceiling"):
        table.add_column(heading, justify="right")
    table.add_column("so far")
    for finding in rungs:
        table.add_row(
            str(finding.rung),
            str(finding.num_candidates),
            str(finding.num_compared),
            _describe_tau(finding),
            _number(finding.ceiling, "not known"),
            _number(finding.tau_star),
            VERDICTS[finding.has_earned_its_place],
        )
    return table


def rungs_caution(rungs: Sequence[RungFinding], full_epochs: int) -> str:
    """Say what the table of rungs rests on, and which of them mislead."""
    lines = [
        "tau-b is 1 for the same order, 0 for none; noise of seeds alone puts it below the "
        "ceiling. Candidates with a full training were promoted: a selected, narrower range; "
        "over all candidates tau would be higher."
    ]
    for finding in rungs:
        if finding.has_earned_its_place is False:
            lines.append(
                f"Rung {finding.rung} has not earned its place: by the interval of its tau it may "
                "sort candidates no better than chance."
            )
        lines += [
            f"Rung {finding.rung} misleads about {wrong.slot}: there SE {_describe(wrong.here)} "
            f"points, and after {full_epochs} epochs it {_describe(wrong.full)}."
            for wrong in finding.wrong_signs
        ]
    if any(finding.ceiling is None for finding in rungs):
        lines.append(
            "A ceiling is not known until candidates have two seeds both at the rung and in full, "
            f"and at least {MIN_COMPARED} can be compared."
        )
    return "\n".join(lines)


def _describe_tau(finding: RungFinding) -> str:
    if finding.low is None:
        return _number(finding.tau)
    return f"{_number(finding.tau)} ({_number(finding.low)} to {_number(finding.high)})"


def _describe(effect: Effect) -> str:
    word = "gains" if effect.size > 0 else "loses"
    return f"{word} {100 * abs(effect.size):.2f} ± {100 * effect.error:.2f}"


def _number(value: float | None, unknown: str = "-") -> str:
    return unknown if value is None else f"{value:.2f}"


def _rung_row(finding: RungFinding) -> list[object]:
    return [
        *(finding.rung.epochs, finding.rung.seeds, finding.num_candidates, finding.num_compared),
        *(finding.tau, finding.low, finding.high, finding.ceiling, finding.tau_star),
        finding.has_earned_its_place,
        " ".join(wrong.slot.replace(" ", "_") for wrong in finding.wrong_signs),
    ]


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
