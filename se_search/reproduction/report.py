"""Writes the results of a study: claims with verdicts, candidates beside the paper's figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from se_search.analysis.comparison import MIN_PAIRED, PairedComparison, detectable_difference
from se_search.analysis.sequential import LookPlan
from se_search.analysis.verdicts import Verdict
from se_search.report.format import FEWEST_HOURS, count, duration
from se_search.report.table import Column, ResultTable
from se_search.reproduction.judge import CandidateResult, StudyReport
from se_search.reproduction.progress import say_progress
from se_search.reproduction.rows import (
    CLAIM_HEADINGS,
    candidate_rows,
    claim_rows,
    cost_rows,
    count_saved,
    paper_gap,
    shown_claim_rows,
)
from se_search.reproduction.study_file import PaperFigures, StudyFile
from se_search.store.files import write_table, write_text
from se_search.store.training_log import Environment

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
        lines += ["## Parameters", "", *to_table(cost_rows(report)), ""]
    lines += ["## Claims", "", *to_table(_shown(shown_claim_rows(report), study)), ""]
    lines += [f"- {_describe_verdict(verdict, study)}" for verdict in report.verdicts]
    looks = setting.looks
    fewest = MIN_PAIRED if looks is None else looks.looks[0]
    lines += [
        f"- {text}: not judged, as its candidates share fewer than {fewest} replicates."
        for text in report.unjudged
    ]
    lines += ["", _describe_power(report), "", "## Candidates", ""]
    lines += [*to_table(_shown(candidate_rows(report), study)), ""]
    if study.paper is not None:
        lines += [f"Paper: {study.paper.source}.", ""]
    if _list_gains(report):
        lines += ["![Gains over the baseline](results.png)", ""]
    return "\n".join(lines)


def study_table(report: StudyReport) -> ResultTable:
    """Return the claims and their verdicts as a table for a terminal."""
    ranks = {
        "paper": 2,
        "95 % interval": 1,
        "replicates": 6,
        "ended": 5,
        "family": 4,
        "trainings saved": 3,
    }
    names = [name for name in CLAIM_HEADINGS if name != "paper" or report.study.paper is not None]
    table = ResultTable(
        [
            Column(name, name not in ("claim", "verdict", "ended", "family"), ranks.get(name, 0))
            for name in names
        ],
        title=f"{report.study.title} ({report.setting.scale})",
    )
    for row in shown_claim_rows(report):
        table.add_row(*(str(row[name]) for name in names))
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
        f"test images; {replicates}; recipe {setting.recipe_hash}; "
        f"{_say_time(report.seconds)} of training in all."
    ]
    lines += describe_environments(report.environments)
    if setting.num_before:
        lines.append(
            f"Looks and claims were stated when {count(setting.num_before, 'training')} of these "
            "candidates had been made."
        )
    progress = say_progress(report)
    if progress is not None:
        lines.append(progress)
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


def describe_environments(environments: Iterable[Environment]) -> list[str]:
    """Return a line with versions and hardware for each environment of trainings."""
    lines = []
    for environment in environments:
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
    return lines


def _describe_power(report: StudyReport) -> str:
    if not report.verdicts:
        looks = report.setting.looks
        first = "" if looks is None else f" before the first look, at {looks.looks[0]} replicates"
        return f"No claim could be judged{first}."
    gaps = [_detectable(verdict) for verdict in report.verdicts if verdict.claim.top == 1]
    looks = report.setting.looks
    number = (
        "the replicates of this study"
        if looks is None
        else f"all {looks.looks[-1]} replicates of the plan"
    )
    power = (
        f"With {number} a paired t test ({_say_level(looks)}) finds a true difference in 80 % of "
        f"cases if it is at least {_say_gaps(gaps)}; claims about smaller differences mostly stay "
        "undecided. "
        if gaps
        else ""
    )
    num_claims = count(len(report.verdicts) + len(report.unjudged), "claim")
    return (
        f"Differences are in points of test accuracy, paired by replicate. {power}'family' is the "
        f"verdict after Holm's correction over the {num_claims} of this study. "
        f"{say_ended([report])}"
    )


def _say_gaps(gaps: Sequence[float]) -> str:
    low, high = (f"{100 * gap:.2f}" for gap in (min(gaps), max(gaps)))
    if low == high:
        return f"{low} points"
    return f"{low} to {high} points, depending on the two candidates"


def _say_time(seconds: float) -> str:
    hours = seconds / 3600
    return duration(seconds) if hours < FEWEST_HOURS else f"{hours:.1f} hours"


def _say_level(looks: LookPlan | None) -> str:
    """Return the level of the test whose power is told: under a plan, that of its last look."""
    if looks is None or looks.is_fixed:
        return "5 %, two-sided"
    level = 1 - looks.confidence(len(looks.looks) - 1)
    return f"{100 * level:.1f} %, two-sided, as at the last look"


def _detectable(verdict: Verdict) -> float:
    """Return the true difference that the last look finds in 80 % of cases."""
    plan, found = verdict.plan, verdict.comparison
    if plan is None or plan.is_fixed:
        return found.detectable
    last = len(plan.looks) - 1
    return detectable_difference(found.sd, plan.looks[last], 1 - plan.confidence(last))


def say_ended(reports: Sequence[StudyReport]) -> str:
    """Return what 'ended' means, and what each claim by itself saved on average, in sentences."""
    if all(report.setting.looks is None for report in reports):
        return "A fixed plan is judged as if its number of replicates had been fixed beforehand."
    saved = [
        count_saved(verdict)
        for report in reports
        for verdict in report.verdicts
        if verdict.ending != "open"
    ]
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
    if study.paper is None:
        return f"**{claim}**: {verdict.outcome}. {verdict.sentence}"
    if gap is None:
        said = "the paper has no figures for this claim"
    else:
        holds = claim.region.holds(gap / 100)
        said = f"{'holds' if holds else 'does not hold'} by the paper's figures ({gap:+.2f})"
    return f"**{claim}**: {said}; {verdict.outcome} here. {verdict.sentence}"


def _shown(rows: Sequence[Mapping[str, Any]], study: StudyFile) -> list[Mapping[str, Any]]:
    """Return rows without the columns of a paper where the study has none."""
    if study.paper is not None:
        return list(rows)
    return [{name: row[name] for name in row if not name.startswith("paper")} for row in rows]


def to_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return rows as the lines of a table in Markdown; the first row names the columns."""
    if not rows:
        return ["None."]
    names = list(rows[0])
    lines = [names, ["---"] * len(names), *([str(row[name]) for name in names] for row in rows)]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    write_table(path, list(rows[0]) if rows else [], rows)


def _list_gains(report: StudyReport) -> list[tuple[CandidateResult, PairedComparison]]:
    """Return the candidates that have been compared with the baseline, each with how."""
    compared = [(each, each.against_baseline) for each in report.candidates]
    return [(each, against) for each, against in compared if against is not None]


def _draw(path: Path, report: StudyReport) -> None:
    """Draw each candidate's gain over the baseline, and the paper's beside it.

    Nothing is drawn where nothing has been compared, or where the files show these gains already.
    """
    found = _list_gains(report)
    if not found:
        return
    # matplotlib takes a third of a second to import.
    from se_search.report.figures.study import StudyGain, prepare_study, save_study

    base = report.study.figures.get(report.study.baseline, PaperFigures()).top1_error
    gains = []
    for result, against in found:
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
        theirs="" if report.study.paper is None else report.study.paper.network,
    )
    save_study(prepared, path)


def _number_of_replicates(report: StudyReport) -> str:
    numbers = sorted({len(each.replicates) for each in report.candidates})
    return f"{'–'.join(map(str, dict.fromkeys((numbers[0], numbers[-1]))))} replicates"


def _name_baseline(report: StudyReport) -> str:
    """Return ``no SE`` if that is what the baseline is, else its name in the study."""
    name = report.study.baseline
    placement = next(result.placement for result in report.candidates if result.name == name)
    return "no SE" if placement == "no SE" else name
