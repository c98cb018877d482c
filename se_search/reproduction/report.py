"""Writes what came of a study: candidates beside the paper's figures, claims with verdicts."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from se_search.analysis.claims import MAX_SEEDS, Claim, Verdict, judge_all
from se_search.analysis.comparison import Comparison, Runs, compare
from se_search.candidate import Candidate
from se_search.cost import count_cost
from se_search.models.catalogue import backbone_in_channels, default_shape, describe_backbone
from se_search.report.figures.forest import Row, draw_forest
from se_search.report.format import interval, number, percent, points
from se_search.reproduction.study_file import PaperFigures, StudyFile
from se_search.store.files import unpack_bits, write_table, write_text
from se_search.store.training_log import Environment, Training

MEASURES = {1: "test_accuracy", 5: "test_top5"}


@dataclass(frozen=True, slots=True)
class Setting:
    """How the trainings of a study were made.

    Attributes:
        seeds: that each candidate is to be trained with.
        num_images: that train, validate and test.
    """

    name: str
    scale: str
    backbone: str
    data: str
    epochs: int
    recipe_hash: str
    seeds: tuple[int, ...]
    num_images: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class CandidateResult:
    """What is known of one candidate; accuracies are those of the test images, 0..1.

    Attributes:
        validation: mean accuracy on the validation images.
        top1: per seed; top5: the same, or empty if there are no more than five classes.
        against_baseline: top-1, paired by seed; None: it is the baseline, or for lack of seeds.
    """

    name: str
    candidate: str
    placement: str
    params: int
    added_params: int
    added_params_pct: float
    macs: int
    seeds: tuple[int, ...]
    validation: float | None
    top1: tuple[float, ...]
    top5: tuple[float, ...]
    against_baseline: Comparison | None
    paper: PaperFigures | None


@dataclass(frozen=True, slots=True)
class CostRow:
    """What SE adds to one backbone."""

    backbone: str
    name: str
    params: int
    added_params: int
    added_params_pct: float
    last_stage_share: float


@dataclass(frozen=True, slots=True)
class StudyReport:
    """What came of a study.

    Attributes:
        verdicts: a claim each; those whose candidates have fewer than two common seeds are left
            out and stand in ``unjudged``.
        num_missing: trainings that the study still lacks.
        folder: of the files.
    """

    setting: Setting
    protocol: StudyFile
    candidates: tuple[CandidateResult, ...]
    verdicts: tuple[Verdict, ...]
    unjudged: tuple[str, ...]
    costs: tuple[CostRow, ...]
    num_missing: int
    seconds: float
    environments: tuple[Environment, ...]
    folder: Path


def write_study(
    folder: Path,
    setting: Setting,
    protocol: StudyFile,
    claims: Sequence[Claim],
    candidates: Mapping[str, Candidate],
    trainings: Sequence[Training],
    environments: Sequence[Environment],
) -> StudyReport:
    """Judge a study's claims, and write candidates.csv, claims.csv, results.md and results.png.

    Args:
        folder: of the files; it is made.
        setting: how the trainings were made.
        protocol: what the study asks.
        claims: of the candidates.
        candidates: by their names in the study.
        trainings: of these candidates, with these seeds and epochs.
        environments: what trainings of their log ran on.
    """
    by_key: dict[str, list[Training]] = {}
    for training in sorted(trainings, key=lambda training: training.seed):
        by_key.setdefault(training.key, []).append(training)
    own = {name: by_key.get(candidate.key, []) for name, candidate in candidates.items()}
    results = tuple(
        _summarize(name, candidates[name], own, protocol, setting) for name in candidates
    )
    verdicts, unjudged = _judge(claims, own, setting)
    used = sorted({training.environment for training in trainings})
    report = StudyReport(
        setting=setting,
        protocol=protocol,
        candidates=results,
        verdicts=verdicts,
        unjudged=unjudged,
        costs=_count_costs(protocol),
        num_missing=len({c.key for c in candidates.values()}) * len(setting.seeds) - len(trainings),
        seconds=sum(training.seconds for training in trainings),
        environments=tuple(environments[number] for number in used),
        folder=folder,
    )
    folder.mkdir(parents=True, exist_ok=True)
    _write_csv(folder / "candidates.csv", _candidate_rows(report))
    _write_csv(folder / "claims.csv", _claim_rows(report))
    if report.costs:
        _write_csv(folder / "costs.csv", _cost_rows(report))
    write_text(folder / "results.md", to_markdown(report))
    _draw(folder / "results.png", report)
    return report


def to_markdown(report: StudyReport) -> str:
    """Return the results as a page."""
    setting, protocol = report.setting, report.protocol
    lines = [
        f"# {protocol.title}: results at {setting.scale} scale",
        "",
        protocol.question,
        "",
        *_describe_setting(report),
        "",
    ]
    if report.costs:
        lines += ["## Parameters", "", *_markdown(_cost_rows(report)), ""]
    lines += ["## Claims", "", *_markdown(_claim_rows(report)), ""]
    lines += [f"- {_say(verdict, protocol)}" for verdict in report.verdicts]
    lines += [f"- {text}: not judged, for lack of trainings." for text in report.unjudged]
    lines += ["", _describe_power(report), "", "## Candidates", ""]
    lines += [*_markdown(_candidate_rows(report)), "", f"Paper: {protocol.paper.source}.", ""]
    lines += ["![Gains over the baseline](results.png)", ""]
    return "\n".join(lines)


def write_summary(path: Path, reports: Sequence[StudyReport]) -> None:
    """Write a page with the claims of several studies of one scale, the paper's figure beside each.

    Args:
        path: the file that is written.
        reports: of the studies.
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
        f"{len(rows)} claims: {counts}. Points of test accuracy, A minus B, paired by seed; "
        "'family' is the verdict after Holm's correction over the claims of a study; 'seeds "
        "needed' would decide the claim in 80 % of cases if the observed difference were the true "
        "one.",
        "",
        *_markdown(rows),
        "",
    ]
    write_text(path, "\n".join(lines))


def study_table(report: StudyReport) -> Table:
    """Lay the claims out for a terminal."""
    table = Table(title=f"{report.protocol.title} ({report.setting.scale})")
    for name in CLAIM_HEADINGS:
        table.add_column(
            name, justify="left" if name in ("claim", "verdict", "family") else "right"
        )
    for row in _claim_rows(report):
        table.add_row(*(str(row[name]) for name in CLAIM_HEADINGS))
    return table


def closing_lines(report: StudyReport) -> list[str]:
    """Return what a reader of the table must know."""
    return [*_describe_setting(report), _describe_power(report)]


CLAIM_HEADINGS = ("claim", "paper", "ours", "95 % interval", "seeds", "verdict", "family")


def _summarize(
    name: str,
    candidate: Candidate,
    own: Mapping[str, Sequence[Training]],
    protocol: StudyFile,
    setting: Setting,
) -> CandidateResult:
    cost = count_cost(candidate)
    trainings = own[name]
    baseline = own[protocol.baseline]
    comparison = None
    if name != protocol.baseline and _common(trainings, baseline) > 1:
        comparison = compare(_runs(trainings, 1, setting), _runs(baseline, 1, setting))
    return CandidateResult(
        name=name,
        candidate=str(candidate),
        placement=candidate.placement,
        params=cost.params,
        added_params=cost.added_params,
        added_params_pct=cost.added_params_pct,
        macs=cost.macs,
        seeds=tuple(training.seed for training in trainings),
        validation=statistics.fmean(t.history[-1]["accuracy"] for t in trainings)
        if trainings
        else None,
        top1=tuple(training.history[-1]["test_accuracy"] for training in trainings),
        top5=tuple(t.history[-1]["test_top5"] for t in trainings if "test_top5" in t.history[-1]),
        against_baseline=comparison,
        paper=protocol.paper.figures.get(name),
    )


def _judge(
    claims: Sequence[Claim], own: Mapping[str, Sequence[Training]], setting: Setting
) -> tuple[tuple[Verdict, ...], tuple[str, ...]]:
    judged, unjudged = [], []
    for claim in claims:
        a, b = own[claim.a], own[claim.b]
        if _common(a, b) < 2:
            unjudged.append(str(claim))
        else:
            judged.append((claim, _runs(a, claim.top, setting), _runs(b, claim.top, setting)))
    return tuple(judge_all(judged)), tuple(unjudged)


def _common(a: Sequence[Training], b: Sequence[Training]) -> int:
    return len({training.seed for training in a} & {training.seed for training in b})


def _runs(trainings: Sequence[Training], top: int, setting: Setting) -> Runs:
    num_test = setting.num_images[2]
    correct = [unpack_bits(training.test_correct, num_test) for training in trainings]
    return Runs(
        seeds=tuple(training.seed for training in trainings),
        accuracies=np.array([training.history[-1][MEASURES[top]] for training in trainings]),
        correct=np.array(correct) if top == 1 else None,
    )


def _count_costs(protocol: StudyFile) -> tuple[CostRow, ...]:
    if protocol.costs is None:
        return ()
    rows = []
    for name in protocol.costs.backbones:
        channels, image_size, num_classes = default_shape(name)
        backbone = describe_backbone(
            name,
            backbone_in_channels(name, channels, allow_code=False),
            image_size,
            num_classes,
            allow_code=False,
        )
        last = f"stage{backbone.stages[-1]}"
        for title, text in protocol.costs.candidates.items():
            cost = count_cost(Candidate.parse(f"{name}/{text.format(last=last)}", backbone))
            rows.append(
                CostRow(
                    backbone=name,
                    name=title,
                    params=cost.params,
                    added_params=cost.added_params,
                    added_params_pct=cost.added_params_pct,
                    last_stage_share=cost.by_stage[last].added_params / cost.added_params,
                )
            )
    return tuple(rows)


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
                "paper": _paper_difference(verdict.claim, report.protocol),
                "ours": points(comparison.difference),
                "95 % interval": _interval(comparison),
                "seeds": len(comparison.seeds),
                "verdict": verdict.word,
                "family": verdict.word_family,
                "p supported": f"{verdict.p_support:.4f}",
                "p refuted": f"{verdict.p_refute:.4f}",
                "seeds needed": _needed(verdict.seeds_needed),
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
            "last stage's share of it": f"{row.last_stage_share:.1%}",
        }
        for row in report.costs
    ]


def _describe_setting(report: StudyReport) -> list[str]:
    setting = report.setting
    train, validation, test = setting.num_images
    seeds = f"seeds {setting.seeds[0]} to {setting.seeds[-1]}"
    lines = [
        f"{setting.backbone} on {setting.data}: {train:,} images train for {setting.epochs} "
        f"epochs, {test:,} test images judge, {validation:,} others validate; {seeds}; recipe "
        f"{setting.recipe_hash}; {report.seconds / 3600:.1f} hours of training in all."
    ]
    for environment in report.environments:
        versions = ", ".join(
            f"{name} {environment[name]}"
            for name in ("torch", "torchvision", "pytorch-lightning", "se-search")
        )
        lines.append(
            f"Made with {versions}, Python {environment['python']}, on {environment['hardware']} "
            f"({environment['accelerator']}, {environment['workers']} at a time, "
            f"threads of each: {environment['threads']}; {environment['precision']}), "
            f"{environment['system']}."
        )
    if report.num_missing:
        lines.append(f"{report.num_missing} trainings are missing.")
    return lines


def _describe_power(report: StudyReport) -> str:
    if not report.verdicts:
        return "No claim could be judged."
    gaps = [verdict.comparison.detectable for verdict in report.verdicts if verdict.claim.top == 1]
    low, high = 100 * min(gaps), 100 * max(gaps)
    return (
        f"Differences are in points of test accuracy, paired by seed. So many seeds find a "
        f"difference of {low:.2f} to {high:.2f} points, by pair, in 80 % of cases (5 %, two-sided, "
        f"paired t); smaller ones mostly stay undecided. 'family' is the verdict after Holm's "
        f"correction over the {len(report.verdicts)} claims of this study."
    )


def _say(verdict: Verdict, protocol: StudyFile) -> str:
    """Set a claim's verdict beside what the paper's figures say of it."""
    claim = verdict.claim
    gap = _paper_gap(claim, protocol)
    if gap is None:
        said = "the paper has no figures for it"
    else:
        holds = claim.region.holds(gap / 100)
        said = f"by the paper's figures ({gap:+.2f}) it {'holds' if holds else 'does not hold'}"
    outcome = {
        "supported": "here it is supported",
        "refuted": "here it is refuted",
        "undecided": "here it stays undecided",
    }[verdict.word]
    return f"**{claim}**: {said}; {outcome}. {verdict.words}"


def _paper_gap(claim: Claim, protocol: StudyFile) -> float | None:
    """Return by how many points A is better than B in the paper."""
    errors = []
    for name in (claim.a, claim.b):
        figures = protocol.paper.figures.get(name, PaperFigures())
        errors.append(figures.top1_error if claim.top == 1 else figures.top5_error)
    first, second = errors
    return None if first is None or second is None else second - first


def _paper_difference(claim: Claim, protocol: StudyFile) -> str:
    return number(_paper_gap(claim, protocol), "+.2f", unknown="")


def _error(accuracies: Sequence[float]) -> str:
    if not accuracies:
        return ""
    errors = [100 * (1 - accuracy) for accuracy in accuracies]
    spread = f" ± {statistics.stdev(errors):.2f}" if len(errors) > 1 else ""
    return f"{statistics.fmean(errors):.2f}{spread}"


def _needed(seeds: int | None) -> str:
    if seeds is None:
        return ""
    return f"over {MAX_SEEDS}" if seeds > MAX_SEEDS else str(seeds)


def _interval(comparison: Comparison) -> str:
    return interval(100 * comparison.interval.low, 100 * comparison.interval.high)


def _population(comparison: Comparison) -> str:
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
    paper = report.protocol.paper.figures
    base = paper.get(report.protocol.baseline, PaperFigures()).top1_error
    rows = []
    for result in report.candidates:
        against = result.against_baseline
        theirs = None
        if base is not None and result.paper is not None and result.paper.top1_error is not None:
            theirs = base - result.paper.top1_error
        if against is not None:
            rows.append(
                Row(
                    name=f"{result.name} ({result.added_params_pct:+.2f} %)",
                    value=100 * against.difference,
                    low=100 * against.interval.low,
                    high=100 * against.interval.high,
                    reference=theirs,
                )
            )
    setting = report.setting
    draw_forest(
        path,
        rows,
        title=report.protocol.title,
        subtitle=f"gain over {report.protocol.baseline} in points of top-1 accuracy; "
        f"dots: {setting.backbone} on {setting.data}, {len(setting.seeds)} seeds, 95 % intervals; "
        f"crosses: {report.protocol.paper.network} in the paper",
    )
