"""The tables of a study's results, as rows of texts and numbers by heading."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from se_search.analysis.claims import Claim
from se_search.analysis.comparison import PairedComparison
from se_search.analysis.power import MAX_REPLICATES
from se_search.analysis.verdicts import Verdict
from se_search.report.format import interval, number, percent, points
from se_search.reproduction.judge import StudyReport
from se_search.reproduction.progress import num_shared
from se_search.reproduction.study_file import PaperFigures, StudyFile

CLAIM_HEADINGS = (
    *("claim", "paper", "ours", "95 % interval", "replicates", "verdict", "ended", "family"),
    "trainings saved",
)
VERDICT_FIELDS = (
    *("ours", "95 % interval", "replicates", "planned", "verdict", "ended", "family"),
    *("trainings saved", "p supported", "p refuted", "replicates needed", "rho"),
    "population interval",
)


def candidate_rows(report: StudyReport) -> list[dict[str, Any]]:
    """Return a row for each candidate: costs, errors, gain over the baseline, the paper's."""
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
                "replicates": len(result.replicates),
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


def claim_rows(report: StudyReport) -> list[dict[str, Any]]:
    """Return a row for each claim: the paper's difference, ours, the verdict, trainings saved.

    A claim that has not been judged has the paper's difference alone.
    """
    judged = {verdict.claim: verdict for verdict in report.verdicts}
    rows = []
    for text in report.study.claims:
        claim = Claim.parse(text)
        verdict = judged.get(claim)
        paper = {"claim": str(claim), "paper": _paper_difference(claim, report.study)}
        rows.append(
            paper | (_early_row(report, claim) if verdict is None else _verdict_row(verdict))
        )
    return rows


def _verdict_row(verdict: Verdict) -> dict[str, Any]:
    comparison = verdict.comparison
    return {
        "ours": points(comparison.difference),
        "95 % interval": _interval(comparison),
        "replicates": comparison.n,
        "planned": comparison.n if verdict.plan is None else verdict.plan.looks[-1],
        "verdict": verdict.outcome,
        "ended": _ended(verdict),
        "family": verdict.family_outcome,
        "trainings saved": count_saved(verdict),
        "p supported": f"{verdict.p.support:.4f}",
        "p refuted": f"{verdict.p.refute:.4f}",
        "replicates needed": _needed(verdict.replicates_needed),
        "rho": number(comparison.rho, unknown=""),
        "population interval": _population(comparison),
    }


def _early_row(report: StudyReport, claim: Claim) -> dict[str, Any]:
    looks = report.setting.looks
    shared = num_shared(report, claim)
    return dict.fromkeys(VERDICT_FIELDS, "") | {
        "replicates": shared,
        "planned": len(report.setting.replicates),
        "verdict": "not yet",
        "ended": "too few replicates" if looks is None else f"before look 1 of {len(looks.looks)}",
    }


def shown_claim_rows(report: StudyReport) -> list[dict[str, Any]]:
    """Return the rows of claims as people read them: replicates as ``8 of 20``."""
    return [
        {name: value for name, value in row.items() if name != "planned"}
        | {"replicates": f"{row['replicates']} of {row['planned']}"}
        for row in claim_rows(report)
    ]


def cost_rows(report: StudyReport) -> list[dict[str, Any]]:
    """Return a row for each backbone and placement of SE whose costs the study asks for."""
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


def _ended(verdict: Verdict) -> str:
    """Return the look that ended a claim, and how."""
    plan = verdict.plan
    if plan is None or plan.is_fixed:
        return "fixed plan"
    words = {"decided": "decided", "futile": "given up", "spent": "last look", "open": "open"}
    look = plan.num_reached(verdict.comparison.n)
    return f"{words[verdict.ending]}, look {look} of {len(plan.looks)}"


def count_saved(verdict: Verdict) -> int:
    """Return how many trainings of its two candidates a claim did not need of its plan."""
    if verdict.plan is None or verdict.ending == "open":
        return 0
    return 2 * (verdict.plan.looks[-1] - verdict.comparison.n)


def paper_gap(claim: Claim, study: StudyFile) -> float | None:
    """Return by how many points A is better than B in the paper; None: it lacks a figure."""
    errors = []
    for name in (claim.a, claim.b):
        figures = study.figures.get(name, PaperFigures())
        errors.append(figures.top1_error if claim.top == 1 else figures.top5_error)
    first, second = errors
    return None if first is None or second is None else second - first


def _paper_difference(claim: Claim, study: StudyFile) -> str:
    return number(paper_gap(claim, study), "+.2f", unknown="")


def _error(accuracies: Sequence[float]) -> str:
    if not accuracies:
        return ""
    errors = [100 * (1 - accuracy) for accuracy in accuracies]
    spread = f" ± {statistics.stdev(errors):.2f}" if len(errors) > 1 else ""
    return f"{statistics.fmean(errors):.2f}{spread}"


def _needed(number: int | None) -> str:
    if number is None:
        return ""
    return f"over {MAX_REPLICATES}" if number > MAX_REPLICATES else str(number)


def _interval(comparison: PairedComparison) -> str:
    return interval(100 * comparison.interval.low, 100 * comparison.interval.high)


def _population(comparison: PairedComparison) -> str:
    if comparison.population is None:
        return ""
    low, high = comparison.population
    return interval(100 * low, 100 * high)
