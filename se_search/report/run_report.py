"""Writes the report of a run: its answer, CSV files, figures and checklist."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from se_search.analysis.pareto import CandidateSummary
from se_search.analysis.rungs import RungFinding, judge_rungs
from se_search.errors import UnwritableError
from se_search.record import Rung, TrialRecord
from se_search.report.answer import Answer, make_answer
from se_search.report.checklist import write_checklist
from se_search.report.confirmation import list_confirmation_files
from se_search.report.format import count
from se_search.report.front_table import list_front
from se_search.report.run_facts import read_facts
from se_search.report.rungs import RUNG_FIELDS, rung_row
from se_search.store.confirmations import Round, read_rounds
from se_search.store.files import WrittenFiles, write_table
from se_search.store.front_cache import read_posterior_front
from se_search.store.run_folder import RunFolder
from se_search.store.run_space import read_space
from se_search.store.trials import read_records
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


def write_report(folder: RunFolder) -> Findings:
    """Write all tables and figures of a run, and its checklist, from the trials so far.

    The findings list the files that can't be written, as in a folder that is read-only.

    Raises:
        RunError: the folder holds no trials, or a file can't be read.
    """
    # matplotlib takes a third of a second to import.
    from se_search.report.figures.front_points import prepare_front
    from se_search.report.figures.pareto_front import draw_front
    from se_search.report.figures.style import save_one

    config = folder.read_config()
    objectives, epochs = config["identity"]["objectives"], config["identity"]["epochs"]
    records = read_records(folder.database)
    space = read_space(folder)
    credible = read_posterior_front(folder, records, space)
    rungs = judge_rungs(records, list_rungs(config, records), space)
    rounds = read_rounds(folder)
    figure = draw_front(prepare_front(credible, objectives[1:], _title(config)))
    facts = read_facts(folder.path, config, records, space)
    answer = make_answer(credible, facts, rounds[-1] if rounds else None)
    files = WrittenFiles()
    for path in (folder.pareto_png, folder.pareto_pdf):
        files.attempt(save_one, path, figure)
    files.attempt(write_candidates, folder.pareto_csv, FRONT_FIELDS, list_front(credible))
    files.attempt(write_candidates, folder.candidates_csv, FRONT_FIELDS, credible.candidates)
    files.attempt(write_trials, folder.trials_csv, records)
    if rungs:
        files.attempt(
            write_table, folder.rungs_csv, RUNG_FIELDS, [rung_row(each) for each in rungs]
        )
    for write, path, *contents in list_confirmation_files(folder, rounds):
        files.attempt(write, path, *contents)
    files.attempt(write_checklist, folder.checklist, config, records, rounds)
    return Findings(
        folder.path,
        credible,
        answer,
        rungs,
        epochs,
        files.written,
        rounds=rounds,
        unwritten=files.unwritten,
        num_trials=len(records),
    )


def list_rungs(config: Mapping[str, Any], records: Iterable[TrialRecord]) -> list[Rung]:
    """List a run's rungs: the rungs last asked for, and those of earlier, shorter trainings."""
    full = Rung(config["identity"]["epochs"], 1)
    text = config["search"].get("promotion", "off")
    rungs = [full] if text == "off" else [Rung.parse(part) for part in text.split(",")]
    known = {rung.epochs for rung in rungs}
    shorter = {r.epochs for r in records if r.state == "PRUNED"} - known
    return sorted([*rungs, *(Rung(epochs, 1) for epochs in shorter)])


def write_trials(path: Path, records: Sequence[TrialRecord]) -> None:
    """Write a row for each trial; accuracies are shares (0..1), seconds are wall time."""
    names = [field.name for field in fields(TrialRecord)]
    write_table(path, names, [[getattr(record, name) for name in names] for record in records])


def write_candidates(
    path: Path, columns: Sequence[str], candidates: Iterable[PosteriorCandidate]
) -> None:
    """Write a row for each candidate; accuracies are shares (0..1)."""
    write_table(path, columns, [candidate.flat() for candidate in candidates])


def _title(config: dict[str, Any]) -> str:
    identity = config["identity"]
    return (
        f"{identity['backbone']['name']} on {identity['data']['name']}, "
        f"{count(identity['epochs'], 'epoch')}, space {Path(config['search']['space']).name}"
    )
