"""Writes the report of a run: CSV files, figures, checklist, and the closing tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from se_search.analysis.least_squares import Contrast
from se_search.analysis.pareto import CandidateSummary
from se_search.analysis.rungs import MIN_COMPARED, RungFinding, judge_rungs
from se_search.errors import UnwritableError
from se_search.record import Rung, TrialRecord
from se_search.report.checklist import write_checklist
from se_search.report.confirmation import list_confirmation_files
from se_search.report.format import count, interval, number, percent, points
from se_search.report.table import Column, ResultTable
from se_search.shell import join_words
from se_search.store.confirmations import Round, read_rounds
from se_search.store.files import WrittenFiles, write_table
from se_search.store.front_cache import read_posterior_front
from se_search.store.run_folder import RunFolder
from se_search.store.run_space import read_space
from se_search.store.trials import read_records
from se_search.surrogate.posterior_front import CREDIBLE, PosteriorCandidate, PosteriorFront

FRONT_FIELDS = (
    *(field.name for field in fields(CandidateSummary) if field.name != "on_front"),
    *("gain", "gain_sd", "low", "high", "probability_better", "probability_on_front"),
    *("is_listed", "is_plain", "on_plain_front"),
)
CANDIDATE_FIELDS = (*FRONT_FIELDS, "on_front")

VERDICTS = {True: "earns its place", False: "has not earned its place", None: "too few to judge"}
RUNG_FIELDS = (
    *("epochs", "replicates", "candidates", "compared", "tau", "tau_low", "tau_high", "ceiling"),
    *("tau_star", "earns_its_place", "wrong_signs"),
)


@dataclass(frozen=True, slots=True)
class Findings:
    """The findings of a run so far.

    Attributes:
        run: the run's folder.
        credible: all candidates that have a full training, with their posterior.
        rungs: a finding for each rung below the full training; empty if the run has no rungs.
        full_epochs: the epochs of a full training.
        files: the files that have been written.
        unwritten: the files that could not be, as in a folder that is read-only.
        rounds: the confirmations of the run, the oldest first.
        num_trials: how many trials the run has.
        has_test: whether the data have test images, which a confirmation needs.
        has_code: whether the network is of the user's own, so that its code must be allowed.
    """

    run: Path
    credible: PosteriorFront
    rungs: Sequence[RungFinding]
    full_epochs: int
    files: Sequence[Path]
    rounds: Sequence[Round] = ()
    unwritten: Sequence[UnwritableError] = ()
    num_trials: int = 0
    has_test: bool = True
    has_code: bool = False

    @property
    def advice(self) -> str:
        """How to find out whether differences are real: the command that confirms the front."""
        if not self.has_test:
            return (
                "Whether differences are real can't be confirmed without test images (a part val "
                "or test)."
            )
        allow = ["--allow-code"] if self.has_code else []
        return (
            "Before you believe a difference between candidates, train the front with fresh seeds: "
            + join_words(["se-search", "confirm", self.run, *allow])
        )


def write_report(folder: RunFolder) -> Findings:
    """Write all tables and figures of a run, and its checklist, from the trials so far.

    The findings list the files that can't be written, as in a folder that is read-only.

    Raises:
        RunError: the folder holds no trials, or a file can't be read.
    """
    # matplotlib takes a third of a second to import.
    from se_search.report.figures.pareto_front import draw_front, prepare_front
    from se_search.report.figures.style import save_one

    config = folder.read_config()
    objectives, epochs = config["identity"]["objectives"], config["identity"]["epochs"]
    records = read_records(folder.database)
    space = read_space(folder)
    credible = read_posterior_front(folder, records, space)
    rungs = judge_rungs(records, list_rungs(config, records), space)
    rounds = read_rounds(folder)
    figure = draw_front(prepare_front(credible, objectives[1:], _title(config)))
    files = WrittenFiles()
    for path in (folder.pareto_png, folder.pareto_pdf):
        files.attempt(save_one, path, figure)
    files.attempt(write_candidates, folder.pareto_csv, FRONT_FIELDS, credible.front)
    files.attempt(write_candidates, folder.candidates_csv, CANDIDATE_FIELDS, credible.candidates)
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
        rungs,
        epochs,
        files.written,
        rounds=rounds,
        unwritten=files.unwritten,
        num_trials=len(records),
        has_test=bool(config["identity"]["data"]["test"]),
        has_code=bool(config["search"].get("code")),
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


def front_table(credible: PosteriorFront) -> ResultTable:
    """Lay the front out for a terminal, cheapest candidate first."""
    front = credible.front
    table = ResultTable(
        [
            Column("SE placement (stage:squeeze width)", is_number=False),
            Column("gain"),
            Column("mean % (seeds)", rank=3),
            Column("P(front)", rank=1),
            Column("params"),
            Column("added %", rank=4),
            Column("MACs", rank=2),
        ],
        title=f"Pareto front: {len(front)} of {len(credible.candidates)} candidates trained",
    )
    for candidate in front:
        summary = candidate.summary
        table.add_row(
            summary.placement,
            describe_estimate(candidate),
            f"{percent(summary.accuracy)} ({summary.num_replicates})",
            number(candidate.probability_on_front),
            f"{summary.params:,}",
            f"{summary.added_params_pct:.2f}",
            f"{summary.macs:,}",
        )
    return table


def front_caution(findings: Findings) -> str:
    """Return in words how the front was estimated, and how many candidates may be as good."""
    credible = findings.credible
    lines = [
        _describe_estimates(credible),
        _describe_noise(credible),
        _describe_unlisted(credible),
        _describe_hypervolume(credible),
        findings.advice,
    ]
    return "\n".join(line for line in lines if line)


def rungs_table(rungs: Sequence[RungFinding]) -> ResultTable:
    """Lay out how well each rung predicts the order of the candidates after full trainings."""
    table = ResultTable(
        [
            Column("epochs x replicates", is_number=False),
            Column("candidates", rank=4),
            Column("also in full", rank=3),
            Column("tau-b (95 %)"),
            Column("ceiling", rank=2),
            Column("tau / ceiling", rank=1),
            Column("so far", is_number=False),
        ],
        title="Rungs: do they foretell the order of the candidates after full trainings?",
    )
    for finding in rungs:
        table.add_row(
            str(finding.rung),
            str(finding.num_candidates),
            str(finding.num_compared),
            _describe_tau(finding),
            number(finding.ceiling, unknown="not known"),
            number(finding.tau_star),
            VERDICTS[finding.has_earned_its_place],
        )
    return table


def rungs_caution(rungs: Sequence[RungFinding], full_epochs: int) -> str:
    """Return in words how the rungs were judged, and which rungs mislead."""
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


def _describe_estimates(credible: PosteriorFront) -> str:
    if credible.reason is not None:
        return f"Gains are plain means on validation images, as {credible.reason}."
    return "Gains are expected differences to the plain network in replicates not drawn yet."


def _describe_noise(credible: PosteriorFront) -> str:
    return credible.unproven or ""


def _describe_unlisted(credible: PosteriorFront) -> str:
    num_others = len(credible.credible_set)
    return f"{num_others} candidates have a P(front) of {CREDIBLE} or more."


def _describe_hypervolume(credible: PosteriorFront) -> str:
    area = credible.hypervolume
    return "" if area is None else f"Hypervolume: {100 * area.median:.3f} points."


def describe_estimate(candidate: PosteriorCandidate) -> str:
    """Write a gain in points, with its 95 % interval where that is known."""
    if candidate.low is None or candidate.high is None:
        return points(candidate.gain)
    return points(candidate.gain, (candidate.high - candidate.low) / 2)


def _describe_tau(finding: RungFinding) -> str:
    if finding.low is None or finding.high is None:
        return number(finding.tau)
    return f"{number(finding.tau)} ({interval(finding.low, finding.high, '.2f')})"


def _describe(effect: Contrast) -> str:
    word = "gains" if effect.value > 0 else "loses"
    return f"{word} {100 * abs(effect.value):.2f} ± {100 * effect.error:.2f}"


def rung_row(finding: RungFinding) -> list[object]:
    """Return a finding as a row of ``rungs.csv``."""
    return [
        *(
            finding.rung.epochs,
            finding.rung.replicates,
            finding.num_candidates,
            finding.num_compared,
        ),
        *(finding.tau, finding.low, finding.high, finding.ceiling, finding.tau_star),
        finding.has_earned_its_place,
        " ".join(wrong.slot.replace(" ", "_") for wrong in finding.wrong_signs),
    ]


def _title(config: dict[str, Any]) -> str:
    identity = config["identity"]
    return (
        f"{identity['backbone']['name']} on {identity['data']['name']}, "
        f"{count(identity['epochs'], 'epoch')}, space {Path(config['search']['space']).name}"
    )
