"""Writes the report of a run: its page, CSV files, figures, tables for LaTeX and checklist."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from se_search.analysis.pareto import CandidateSummary
from se_search.analysis.rungs import RungFinding
from se_search.errors import UnwritableError
from se_search.latency.table import LatencyTable
from se_search.record import TrialRecord
from se_search.report.answer import Answer
from se_search.report.checklist import write_checklist
from se_search.report.confirmation import list_confirmation_files
from se_search.report.format import count
from se_search.report.front_table import list_front
from se_search.report.ladder import Evidence
from se_search.report.latency import write_latency_csv
from se_search.report.latex import list_latex_files
from se_search.report.page.write import write_pages
from se_search.report.rungs import RUNG_FIELDS, rung_row
from se_search.report.source import read_source
from se_search.store.confirmations import Round
from se_search.store.files import WrittenFiles, write_table, write_text
from se_search.store.run_folder import RunFolder
from se_search.surrogate.posterior_front import PosteriorCandidate, PosteriorFront

FRONT_FIELDS = (
    *(field.name for field in fields(CandidateSummary) if field.name != "on_front"),
    *("gain", "gain_sd", "low", "high", "probability_better", "probability_on_front"),
    *("is_better", "is_listed", "on_front", "is_plain", "on_plain_front"),
)


@dataclass(frozen=True, slots=True)
class Findings:
    """The findings of a run so far.

    Attributes:
        run: the run's folder.
        credible: all candidates that have a full training, with their posterior.
        answer: what follows from them.
        rungs: a finding for each rung below the full training; empty if the run has no rungs.
        full_epochs: the epochs of a full training.
        files: the files that have been written.
        rounds: the confirmations of the run, the oldest first.
        unwritten: the files that could not be, as in a folder that is read-only.
        num_trials: how many trials the run has.
        latency: what SE takes in time; None: the run has measured none.
        evidence: what the run has besides trainings; None: it was searched without supernets.
    """

    run: Path
    credible: PosteriorFront
    answer: Answer
    rungs: Sequence[RungFinding]
    full_epochs: int
    files: Sequence[Path]
    rounds: Sequence[Round] = ()
    unwritten: Sequence[UnwritableError] = ()
    num_trials: int = 0
    latency: LatencyTable | None = None
    evidence: Evidence | None = None


def write_report(folder: RunFolder, *, latex: bool = False) -> Findings:
    """Write all tables and figures of a run, its page and its checklist, from the trials so far.

    The findings list the files that can't be written, as in a folder that is read-only.

    Args:
        folder: the run's.
        latex: whether tables for LaTeX are written, too.

    Raises:
        RunError: the folder holds no trials, or a file can't be read.
    """
    # matplotlib takes a third of a second to import.
    from se_search.report.figures.front_points import prepare_front
    from se_search.report.figures.latency import draw_latency, prepare_latency
    from se_search.report.figures.pareto_front import draw_front
    from se_search.report.figures.style import save_one

    source = read_source(folder)
    config, records, credible = source.config, source.records, source.front
    costs = config["identity"]["objectives"][1:]
    figure = draw_front(prepare_front(credible, costs, describe_search(config)))
    files = WrittenFiles()
    write_pages(files, folder, source)
    for path in (folder.pareto_png, folder.pareto_pdf):
        files.attempt(save_one, path, figure)
    files.attempt(write_candidates, folder.pareto_csv, FRONT_FIELDS, list_front(credible))
    files.attempt(write_candidates, folder.candidates_csv, FRONT_FIELDS, credible.candidates)
    files.attempt(write_trials, folder.trials_csv, records)
    if source.latency is not None:
        files.attempt(write_latency_csv, folder.latency_csv, source.latency)
        timed = draw_latency(prepare_latency(source.latency))
        for path in (folder.latency_png, folder.latency_pdf):
            files.attempt(save_one, path, timed)
    if source.rungs:
        rows = [rung_row(each) for each in source.rungs]
        files.attempt(write_table, folder.rungs_csv, RUNG_FIELDS, rows)
    for write, path, *contents in list_confirmation_files(folder, source.rounds):
        files.attempt(write, path, *contents)
    files.attempt(write_checklist, folder.checklist, config, records, source.rounds, source.fresh)
    if latex:
        for path, text in list_latex_files(folder, source):
            files.attempt(write_text, path, text)
    return Findings(
        folder.path,
        credible,
        source.answer,
        source.rungs,
        config["identity"]["epochs"],
        files.written,
        rounds=source.rounds,
        unwritten=files.unwritten,
        num_trials=len(records),
        latency=source.latency,
        evidence=source.facts.evidence,
    )


def write_trials(path: Path, records: Sequence[TrialRecord]) -> None:
    """Write a row for each trial; accuracies are shares (0..1), seconds are wall time."""
    names = [field.name for field in fields(TrialRecord)]
    write_table(path, names, [[getattr(record, name) for name in names] for record in records])


def write_candidates(
    path: Path, columns: Sequence[str], candidates: Iterable[PosteriorCandidate]
) -> None:
    """Write a row for each candidate; accuracies are shares (0..1)."""
    write_table(path, columns, [candidate.flat() for candidate in candidates])


def describe_search(config: Mapping[str, Any]) -> str:
    """Return what a run searches, in a phrase: network, data, epochs and space."""
    identity = config["identity"]
    return (
        f"{identity['backbone']['name']} on {identity['data']['name']}, "
        f"{count(identity['epochs'], 'epoch')}, space {Path(config['search']['space']).name}"
    )
