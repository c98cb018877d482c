"""Writes the results of a study: claims with verdicts, candidates beside the paper's figures."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from se_search.analysis.claims import Claim
from se_search.analysis.comparison import MIN_PAIRED, PairedComparison
from se_search.analysis.power import MAX_REPLICATES
from se_search.analysis.verdicts import Verdict
from se_search.report.format import count, interval, number, percent, points
from se_search.report.table import Column, ResultTable
from se_search.reproduction.judge import StudyReport
from se_search.reproduction.study_file import PaperFigures, StudyFile
from se_search.store.files import write_table, write_text

CANDIDATE_FIELDS = ("name", "placement", "params", "added_params_pct", "macs", "seeds", "top1")
CLAIM_HEADINGS = ("claim", "paper", "ours", "95 % interval", "seeds", "verdict", "family")


def write_results(report: StudyReport) -> None:
    """Write candidates.csv, claims.csv, costs.csv, results.md and the figure into its folder.

    costs.csv is written where the study asks for costs.
    """
    folder = report.folder
    _write_csv(folder / "candidates.csv", _candidate_rows(report))
    _write_csv(folder / "claims.csv", _claim_rows(report))
    if report.costs:
        _write_csv(folder / "costs.csv", _cost_rows(report))
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
        lines += ["## Parameters", "", *_markdown(_cost_rows(report)), ""]
    lines += ["## Claims", "", *_markdown(_claim_rows(report)), ""]
    lines += [f"- {_describe_verdict(verdict, study)}" for verdict in report.verdicts]
    lines += [
        f"- {text}: not judged, as its candidates share fewer than {MIN_PAIRED} seeds."
        for text in report.unjudged
    ]
    lines += ["", _describe_power(report), "", "## Candidates", ""]
    lines += [*_markdown(_candidate_rows(report)), "", f"Paper: {study.paper.source}.", ""]
    lines += ["![Gains over the baseline](results.png)", ""]
    return "\n".join(lines)


def write_summary(path: Path, reports: Sequence[StudyReport]) -> None:
    """Write a page with the claims of several studies, each beside the paper's difference.

    Args:
        path: the file that is written.
        reports: studies of one scale, at least one.
    """
    rows = [
        {"study": f"[{report.setting.name}]({report.setting.name}/{report.folder.name}/results.md)"}
        | {name: row[name] for name in (*CLAIM_HEADINGS, "seeds needed")}
        for report in reports
        for row in _claim_rows(report)
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
        "test accuracy; ours are paired by seed. 'family' is the verdict after Holm's correction "
        "over the claims of a study. 'seeds needed' is the number of seeds that would decide the "
        "claim in 80 % of cases if the observed difference were the true one.",
        "",
        *_markdown(rows),
        "",
    ]
    write_text(path, "\n".join(lines))


def study_table(report: StudyReport) -> ResultTable:
    """Return the claims and their verdicts as a table for a terminal."""
    ranks = {"paper": 2, "95 % interval": 1, "seeds": 4, "family": 3}
    table = ResultTable(
        [
            Column(name, name not in ("claim", "verdict", "family"), ranks.get(name, 0))
            for name in CLAIM_HEADINGS
        ],
        title=f"{report.study.title} ({report.setting.scale})",
    )
    for row in _claim_rows(report):
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
        "seeds": list(setting.seeds),
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
        "files": [str(report.folder / "results.md")],
    }


def closing_lines(report: StudyReport) -> list[str]:
    """Return the sentences that go below the table: how it was trained, and with which power."""
    return [*_describe_setting(report), _describe_power(report)]


def _claim_event(verdict: Verdict, study: StudyFile) -> dict[str, Any]:
    comparison = verdict.comparison
    gap = _paper_gap(verdict.claim, study)
    return {
        "claim": str(verdict.claim),
        "paper": None if gap is None else gap / 100,
        "difference": comparison.difference,
        "low": comparison.interval.low,
        "high": comparison.interval.high,
        "seeds": len(comparison.seeds),
        "verdict": verdict.outcome,
        "family": verdict.family_outcome,
        "p_supported": verdict.p.support,
        "p_refuted": verdict.p.refute,
        "replicates_needed": verdict.replicates_needed,
    }


def _candidate_rows(report: StudyReport) -> list[dict[str, Any]]:
    rows = []
    for result in report.candidates:
        paper = result.paper or PaperFigures()
        against = result.against_baseline
        rows.append(
            {
                "candidate": result.name,
                "SE (stage:width)": result.placement,
                "params": result.params,
                "added %": f"{result.added_params_pct:.3f}",
                "MACs": result.macs,
                "seeds": len(result.seeds),
                "top-1 error %": _error(result.top1),
                "top-5 error %": _error(result.top5),
                "gain over baseline": points(against.difference) if against else "",
                "95 % interval": _interval(against) if against else "",
                "validation %": percent(result.validation, unknown=""),
                "paper: top-1 error %": number(paper.top1_error, unknown=""),
                "paper: top-5 error %": number(paper.top5_error, unknown=""),
                "paper: params": paper.params or "",
            }
        )
    return rows


def _claim_rows(report: StudyReport) -> list[dict[str, Any]]:
    rows = []
    for verdict in report.verdicts:
        comparison = verdict.comparison
        rows.append(
            {
                "claim": str(verdict.claim),
                "paper": _paper_difference(verdict.claim, report.study),
                "ours": points(comparison.difference),
                "95 % interval": _interval(comparison),
                "seeds": len(comparison.seeds),
                "verdict": verdict.outcome,
                "family": verdict.family_outcome,
                "p supported": f"{verdict.p.support:.4f}",
                "p refuted": f"{verdict.p.refute:.4f}",
                "seeds needed": _needed(verdict.replicates_needed),
                "rho": number(comparison.rho, unknown=""),
                "population interval": _population(comparison),
            }
        )
    return rows


def _cost_rows(report: StudyReport) -> list[dict[str, Any]]:
    return [
        {
            "backbone": row.backbone,
            "SE": row.name,
            "params": row.params,
            "added": row.added_params,
            "added %": f"{row.added_params_pct:.3f}",
            "share in last stage": f"{row.last_stage_share:.1%}",
        }
        for row in report.costs
    ]


def _describe_setting(report: StudyReport) -> list[str]:
    setting = report.setting
    train, validation, test = setting.num_images
    seeds = f"seeds {setting.seeds[0]} to {setting.seeds[-1]}"
    lines = [
        f"{setting.backbone} on {setting.data}: trained on {train:,} images for "
        f"{count(setting.epochs, 'epoch')}, validated on {validation:,} others, judged on {test:,} "
        f"test images; {seeds}; recipe {setting.recipe_hash}; {report.seconds / 3600:.1f} hours of "
        "training in all."
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
    if report.num_missing:
        missing = count(report.num_missing, "training")
        lines.append(f"Still missing: {missing}.")
    return lines


def _describe_power(report: StudyReport) -> str:
    if not report.verdicts:
        return "No claim could be judged."
    gaps = [verdict.comparison.detectable for verdict in report.verdicts if verdict.claim.top == 1]
    low, high = 100 * min(gaps), 100 * max(gaps)
    return (
        "Differences are in points of test accuracy, paired by seed. With the seeds of this study "
        "a paired t test (5 %, two-sided) finds a true difference in 80 % of cases if it is at "
        f"least {low:.2f} to {high:.2f} points, depending on the two candidates; claims about "
        "smaller differences mostly stay undecided. 'family' is the verdict after Holm's "
        f"correction over the {count(len(report.verdicts), 'claim')} of this study."
    )


def _describe_verdict(verdict: Verdict, study: StudyFile) -> str:
    """Return whether a claim holds by the paper's figures, and the verdict on it here."""
    claim = verdict.claim
    gap = _paper_gap(claim, study)
    if gap is None:
        said = "the paper has no figures for this claim"
    else:
        holds = claim.region.holds(gap / 100)
        said = f"{'holds' if holds else 'does not hold'} by the paper's figures ({gap:+.2f})"
    return f"**{claim}**: {said}; {verdict.outcome} here. {verdict.sentence}"


def _paper_gap(claim: Claim, study: StudyFile) -> float | None:
    """Return by how many points A is better than B in the paper; None: it lacks a figure."""
    errors = []
    for name in (claim.a, claim.b):
        figures = study.paper.figures.get(name, PaperFigures())
        errors.append(figures.top1_error if claim.top == 1 else figures.top5_error)
    first, second = errors
    return None if first is None or second is None else second - first


def _paper_difference(claim: Claim, study: StudyFile) -> str:
    return number(_paper_gap(claim, study), "+.2f", unknown="")


def _error(accuracies: Sequence[float]) -> str:
    if not accuracies:
        return ""
    errors = [100 * (1 - accuracy) for accuracy in accuracies]
    spread = f" ± {statistics.stdev(errors):.2f}" if len(errors) > 1 else ""
    return f"{statistics.fmean(errors):.2f}{spread}"


def _needed(seeds: int | None) -> str:
    if seeds is None:
        return ""
    return f"over {MAX_REPLICATES}" if seeds > MAX_REPLICATES else str(seeds)


def _interval(comparison: PairedComparison) -> str:
    return interval(100 * comparison.interval.low, 100 * comparison.interval.high)


def _population(comparison: PairedComparison) -> str:
    if comparison.population is None:
        return ""
    low, high = comparison.population
    return interval(100 * low, 100 * high)


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
        ours=f"{setting.backbone} on {setting.data}, {len(setting.seeds)} seeds",
        theirs=paper.network,
    )
    save(draw_study(prepared), path)


def _name_baseline(report: StudyReport) -> str:
    """Return ``no SE`` if that is what the baseline is, else its name in the study."""
    name = report.study.baseline
    placement = next(result.placement for result in report.candidates if result.name == name)
    return "no SE" if placement == "no SE" else name
