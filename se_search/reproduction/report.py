"""Writes the results of a study: claims with verdicts, candidates beside the paper's figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from se_search.analysis.comparison import MIN_PAIRED, detectable_difference
from se_search.analysis.verdicts import Verdict
from se_search.report.format import count
from se_search.report.table import Column, ResultTable
from se_search.reproduction.judge import StudyReport
from se_search.reproduction.rows import (
    CLAIM_HEADINGS,
    candidate_rows,
    claim_rows,
    cost_rows,
    count_saved,
    paper_gap,
)
from se_search.reproduction.study_file import PaperFigures, StudyFile
from se_search.store.files import write_table, write_text

CANDIDATE_FIELDS = ("name", "placement", "params", "added_params_pct", "macs", "replicates", "top1")


def write_results(report: StudyReport) -> None:
    """Write candidates.csv, claims.csv, costs.csv, results.md and the figure into its folder.

    costs.csv is written where the study asks for costs.
    """
    folder = report.folder
    _write_csv(folder / "candidates.csv", candidate_rows(report))
    _write_csv(folder / "claims.csv", claim_rows(report))
    if report.costs:
        _write_csv(folder / "costs.csv", cost_rows(report))
    write_text(folder / "results.md", to_markdown(report))
    _draw(folder / "results.png", report)


def to_markdown(report: StudyReport) -> str:
    """Return the results of a study as a page in Markdown."""
    setting, study = report.setting, report.study
    lines = [
        f"# {study.title}: results at {setting.scale} scale",
        "",
        study.question,
        "",
        *_describe_setting(report),
        "",
    ]
    if report.costs:
        lines += ["## Parameters", "", *_markdown(cost_rows(report)), ""]
    lines += ["## Claims", "", *_markdown(claim_rows(report)), ""]
    lines += [f"- {_describe_verdict(verdict, study)}" for verdict in report.verdicts]
    looks = setting.looks
    fewest = MIN_PAIRED if looks is None else looks.looks[0]
    lines += [
        f"- {text}: not judged, as its candidates share fewer than {fewest} replicates."
        for text in report.unjudged
    ]
    lines += ["", _describe_power(report), "", "## Candidates", ""]
    lines += [*_markdown(candidate_rows(report)), "", f"Paper: {study.paper.source}.", ""]
    lines += ["![Gains over the baseline](results.png)", ""]
    return "\n".join(lines)


class Savings(NamedTuple):
    """What looking has saved, over several studies.

    Attributes:
        num_planned: trainings of the whole plans.
        num_needed: trainings that were made or are still needed.
    """

    num_planned: int
    num_needed: int

    def __str__(self) -> str:
        saved = self.num_planned - self.num_needed
        return (
            f"Looking saved {saved:,} of {count(self.num_planned, 'training')} of the whole plan."
        )


def write_summary(
    path: Path, reports: Sequence[StudyReport], savings: Savings | None = None
) -> None:
    """Write a page with the claims of several studies, each beside the paper's difference.

    Args:
        path: the file that is written.
        reports: studies of one scale, at least one.
        savings: trainings that were spared, of all studies together; None: there were no looks.
    """
    rows = [
        {"study": f"[{report.setting.name}]({report.setting.name}/{report.folder.name}/results.md)"}
        | {name: row[name] for name in (*CLAIM_HEADINGS, "replicates needed")}
        for report in reports
        for row in claim_rows(report)
    ]
    words = [row["verdict"] for row in rows]
    counts = ", ".join(
        f"{words.count(word)} {word}" for word in ("supported", "refuted", "undecided")
    )
    lines = [
        f"# Studies at {reports[0].setting.scale} scale",
        "",
        *_describe_setting(reports[0])[1:],
        "",
        f"{len(rows)} claims: {counts}. 'paper' and 'ours' are differences A minus B in points of "
        "test accuracy; ours are paired by replicate. 'family' is the verdict after Holm's "
        "correction over the claims of a study. 'replicates needed' is the number of replicates "
        "that would decide the claim in 80 % of cases if the observed difference were the true "
        f"one. {_say_ended(reports)}" + (f" {savings}" if savings else ""),
        "",
        *_markdown(rows),
        "",
    ]
    write_text(path, "\n".join(lines))


def study_table(report: StudyReport) -> ResultTable:
    """Return the claims and their verdicts as a table for a terminal."""
    ranks = {"paper": 2, "95 % interval": 1, "replicates": 5, "ended": 4, "family": 3}
    table = ResultTable(
        [
            Column(name, name not in ("claim", "verdict", "ended", "family"), ranks.get(name, 0))
            for name in CLAIM_HEADINGS
        ],
        title=f"{report.study.title} ({report.setting.scale})",
    )
    for row in claim_rows(report):
        table.add_row(*(str(row[name]) for name in CLAIM_HEADINGS))
    return table


def study_event(report: StudyReport) -> dict[str, Any]:
    """Return the results of a study as plain data; differences are shares (0..1) of the images."""
    setting = report.setting
    return {
        "event": "study",
        "study": setting.name,
        "title": report.study.title,
        **{name: getattr(setting, name) for name in ("scale", "backbone", "data", "epochs")},
        "looks": None if setting.looks is None else list(setting.looks.looks),
        "replicates": list(setting.replicates),
        "claims": [_claim_event(verdict, report.study) for verdict in report.verdicts],
        "unjudged": list(map(str, report.unjudged)),
        "candidates": [
            {
                **{name: getattr(each, name) for name in CANDIDATE_FIELDS},
                "gain": each.against_baseline and each.against_baseline.difference,
            }
            for each in report.candidates
        ],
        "missing": report.num_missing,
        "saved": report.num_saved,
        "files": [str(report.folder / "results.md")],
    }


def closing_lines(report: StudyReport) -> list[str]:
    """Return the sentences that go below the table: how it was trained, and with which power."""
    return [*_describe_setting(report), _describe_power(report)]


def _claim_event(verdict: Verdict, study: StudyFile) -> dict[str, Any]:
    comparison = verdict.comparison
    gap = paper_gap(verdict.claim, study)
    return {
        "claim": str(verdict.claim),
        "paper": None if gap is None else gap / 100,
        "difference": comparison.difference,
        "low": comparison.interval.low,
        "high": comparison.interval.high,
        "replicates": comparison.n,
        "verdict": verdict.outcome,
        "ending": verdict.ending,
        "saved": count_saved(verdict),
        "family": verdict.family_outcome,
        "p_supported": verdict.p.support,
        "p_refuted": verdict.p.refute,
        "replicates_needed": verdict.replicates_needed,
    }


def _describe_setting(report: StudyReport) -> list[str]:
    setting = report.setting
    train, validation, test = setting.num_images
    replicates = f"replicates {setting.replicates[0]} to {setting.replicates[-1]}"
    if setting.looks is None:
        replicates += ", a fixed plan"
    elif not setting.looks.is_fixed:
        replicates = f"{setting.looks}"
    lines = [
        f"{setting.backbone} on {setting.data}: trained on {train:,} images for "
        f"{count(setting.epochs, 'epoch')}, validated on {validation:,} others, judged on {test:,} "
        f"test images; {replicates}; recipe {setting.recipe_hash}; {report.seconds / 3600:.1f} "
        "hours of training in all."
    ]
    for environment in report.environments:
        versions = ", ".join(
            f"{name} {environment[name]}"
            for name in ("torch", "torchvision", "pytorch-lightning", "se-search")
        )
        lines.append(
            f"Made with {versions}, Python {environment['python']}, on {environment['hardware']} "
            f"({environment['accelerator']}, {environment['precision']}, "
            f"{count(environment['workers'], 'training')} at a time with "
            f"{count(environment['threads'], 'thread')} each), {environment['system']}."
        )
    if setting.num_before:
        lines.append(
            f"Looks and claims were stated when {count(setting.num_before, 'training')} of these "
            "candidates had been made."
        )
    if report.num_saved:
        lines.append(
            f"Looking saved {count(report.num_saved, 'training')} of the "
            f"{len({each.candidate for each in report.candidates}) * len(setting.replicates):,} "
            "of the whole plan."
        )
    if report.num_missing:
        missing = count(report.num_missing, "training")
        lines.append(f"Still missing: {missing}.")
    return lines


def _describe_power(report: StudyReport) -> str:
    if not report.verdicts:
        return "No claim could be judged."
    gaps = [_detectable(verdict) for verdict in report.verdicts if verdict.claim.top == 1]
    looks = report.setting.looks
    number = (
        "the replicates of this study"
        if looks is None
        else f"all {looks.looks[-1]} replicates of the plan"
    )
    power = (
        f"With {number} a paired t test (5 %, two-sided) finds a true difference in 80 % of cases "
        f"if it is at least {100 * min(gaps):.2f} to {100 * max(gaps):.2f} points, depending on "
        "the two candidates; claims about smaller differences mostly stay undecided. "
        if gaps
        else ""
    )
    num_claims = count(len(report.verdicts) + len(report.unjudged), "claim")
    return (
        f"Differences are in points of test accuracy, paired by replicate. {power}'family' is the "
        f"verdict after Holm's correction over the {num_claims} of this study. "
        f"{_say_ended([report])}"
    )


def _detectable(verdict: Verdict) -> float:
    """Return the true difference that the last look finds in 80 % of cases."""
    plan, found = verdict.plan, verdict.comparison
    if plan is None or plan.is_fixed:
        return found.detectable
    last = len(plan.looks) - 1
    return detectable_difference(found.sd, plan.looks[last], 1 - plan.confidence(last))


def _say_ended(reports: Sequence[StudyReport]) -> str:
    """Say what 'ended' means, and what each claim by itself saved on average."""
    if all(report.setting.looks is None for report in reports):
        return "A fixed plan is judged as if its number of replicates had been fixed beforehand."
    saved = [count_saved(verdict) for report in reports for verdict in report.verdicts]
    return (
        "'ended' is the look that decided a claim or gave it up (a later decision had become "
        "unlikely, below 10 %); intervals are repeated ones, which hold at all looks at once"
        + (f"; by itself a claim saved {sum(saved) / len(saved):.0f} trainings" if saved else "")
        + "."
    )


def _describe_verdict(verdict: Verdict, study: StudyFile) -> str:
    """Return whether a claim holds by the paper's figures, and the verdict on it here."""
    claim = verdict.claim
    gap = paper_gap(claim, study)
    if gap is None:
        said = "the paper has no figures for this claim"
    else:
        holds = claim.region.holds(gap / 100)
        said = f"{'holds' if holds else 'does not hold'} by the paper's figures ({gap:+.2f})"
    return f"**{claim}**: {said}; {verdict.outcome} here. {verdict.sentence}"


def _markdown(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    if not rows:
        return ["None."]
    names = list(rows[0])
    lines = [names, ["---"] * len(names), *([str(row[name]) for name in names] for row in rows)]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    write_table(path, list(rows[0]) if rows else [], rows)


def _draw(path: Path, report: StudyReport) -> None:
    """Draw each candidate's gain over the baseline, and the paper's beside it."""
    # matplotlib takes a third of a second to import.
    from se_search.report.figures.study import StudyGain, draw_study, prepare_study
    from se_search.report.figures.style import save

    paper = report.study.paper
    base = paper.figures.get(report.study.baseline, PaperFigures()).top1_error
    gains = []
    for result in report.candidates:
        against = result.against_baseline
        if against is None:
            continue
        theirs = None if result.paper is None else result.paper.top1_error
        gains.append(
            StudyGain(
                name=result.name,
                added_pct=result.added_params_pct,
                gain=100 * against.difference,
                low=100 * against.interval.low,
                high=100 * against.interval.high,
                paper=None if base is None or theirs is None else base - theirs,
            )
        )
    setting = report.setting
    prepared = prepare_study(
        gains,
        title=report.study.title,
        baseline=_name_baseline(report),
        ours=f"{setting.backbone} on {setting.data}, {_number_of_replicates(report)}",
        theirs=paper.network,
    )
    save(draw_study(prepared), path)


def _number_of_replicates(report: StudyReport) -> str:
    numbers = sorted({len(each.replicates) for each in report.candidates})
    return f"{'–'.join(map(str, dict.fromkeys((numbers[0], numbers[-1]))))} replicates"


def _name_baseline(report: StudyReport) -> str:
    """Return ``no SE`` if that is what the baseline is, else its name in the study."""
    name = report.study.baseline
    placement = next(result.placement for result in report.candidates if result.name == name)
    return "no SE" if placement == "no SE" else name
