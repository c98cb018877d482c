"""Writes the page of several studies: what SE gains, and all claims beside the paper's figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from se_search.analysis.claims import Claim
from se_search.analysis.verdicts import Verdict
from se_search.report.format import count, interval, points
from se_search.reproduction.judge import StudyReport
from se_search.reproduction.progress import open_claims
from se_search.reproduction.report import describe_environments, say_ended, to_table
from se_search.reproduction.rows import CLAIM_HEADINGS, shown_claim_rows
from se_search.store.files import write_text


class Savings(NamedTuple):
    """What looking has saved, over several studies.

    Attributes:
        num_planned: trainings of the whole plans.
        num_saved: trainings that no look can ask for any more.
    """

    num_planned: int
    num_saved: int


class Gain(NamedTuple):
    """A verdict on whether a placement of SE beats the plain network.

    Attributes:
        report: of the study.
        verdict: on the claim.
    """

    report: StudyReport
    verdict: Verdict


def write_summary(path: Path, reports: Sequence[StudyReport]) -> None:
    """Write a page with the claims of several studies, each beside the paper's difference.

    Args:
        path: the file that is written.
        reports: studies of one scale, at least one.
    """
    rows = [
        {"study": f"[{report.setting.name}]({report.setting.name}/{report.folder.name}/results.md)"}
        | {name: row[name] for name in (*CLAIM_HEADINGS, "replicates needed")}
        for report in reports
        for row in shown_claim_rows(report)
    ]
    words = [row["verdict"] for row in rows]
    counts = ", ".join(
        f"{words.count(word)} {word}"
        for word in ("supported", "refuted", "undecided", "not yet")
        if word in words or word != "not yet"
    )
    environments = {str(each): each for report in reports for each in report.environments}
    lines = [
        f"# Studies at {reports[0].setting.scale} scale",
        "",
        f"**{say_gain(reports)}**",
        "",
        *describe_environments(environments.values()),
        "",
        f"{len(rows)} claims: {counts}. 'paper' and 'ours' are differences A minus B in points of "
        "test accuracy; ours are paired by replicate. 'replicates' are those that the verdict is "
        "of, and those of the whole plan. 'family' is the verdict after Holm's correction over the "
        "claims of a study. 'replicates needed' is the number of replicates that would decide the "
        "claim in 80 % of cases if the observed difference were the true one. "
        f"{say_ended(reports)}" + _say_savings(count_savings(reports)),
        "",
        *to_table(rows),
        "",
    ]
    write_text(path, "\n".join(lines))


def say_gain(reports: Sequence[StudyReport]) -> str:
    """Return in one line whether any gain of SE over the plain network is supported.

    It names the widest gain among the supported ones, or, if none is, the largest of all, with its
    interval; and how many claims may still change it, each placement counted once.
    """
    scale = reports[0].setting.scale
    gains = list_gains(reports)
    still_open = {
        _key_of_gain(report, claim)
        for report in reports
        for claim in open_claims(report)
        if _is_gain(report, claim)
    }
    more = (
        f" {count(len(still_open), 'claim')} of a gain may still be decided." if still_open else ""
    )
    if not gains:
        return f"Whether SE gains anything at {scale} scale has not been looked at yet.{more}"
    supported = [gain for gain in gains if gain.verdict.outcome == "supported"]
    largest = max(supported or gains, key=lambda gain: gain.verdict.comparison.difference)
    found = _describe_gain(largest)
    if not supported:
        return (
            f"No gain of SE over the plain network is supported at {scale} scale; the largest of "
            f"{len(gains)} is {found}.{more}"
        )
    family = "also" if largest.verdict.family_outcome == "supported" else "not"
    return (
        f"{len(supported)} of {count(len(gains), 'gain')} of SE over the plain network supported "
        f"at {scale} scale; the widest of them is {found}, {family} after Holm's correction over "
        f"the claims of its study.{more}"
    )


def list_gains(reports: Iterable[StudyReport]) -> list[Gain]:
    """Return the judged claims that a placement of SE beats the plain network.

    A placement that several studies name by the same claim about the same trainings counts once.
    """
    found: dict[tuple[str, str], Gain] = {}
    for report in reports:
        for verdict in report.verdicts:
            if _is_gain(report, verdict.claim):
                found.setdefault(_key_of_gain(report, verdict.claim), Gain(report, verdict))
    return list(found.values())


def count_savings(reports: Iterable[StudyReport]) -> Savings:
    """Count the trainings of whole plans, of all studies together; shared ones count once."""
    planned: dict[tuple[str, str], int] = {}
    possible: dict[tuple[str, str], int] = {}
    for report in reports:
        for each in report.candidates:
            key = (report.setting.recipe_hash, each.candidate)
            planned[key] = max(planned.get(key, 0), len(report.setting.replicates))
            possible[key] = max(possible.get(key, 0), each.num_possible)
    return Savings(sum(planned.values()), sum(planned.values()) - sum(possible.values()))


def _is_gain(report: StudyReport, claim: Claim) -> bool:
    """Tell whether a claim says that a network with SE beats the plain one in top-1 accuracy."""
    placements = {each.name: each.placement for each in report.candidates}
    is_superiority = claim.kind == "beats" and not claim.margin and claim.top == 1
    return is_superiority and placements[claim.b] == "no SE"


def _key_of_gain(report: StudyReport, claim: Claim) -> tuple[str, str]:
    """Return what names the trainings of a claim of a gain, whatever its study calls them."""
    texts = {each.name: each.candidate for each in report.candidates}
    return report.setting.recipe_hash, texts[claim.a]


def _describe_gain(gain: Gain) -> str:
    setting, found = gain.report.setting, gain.verdict.comparison
    low, high = 100 * found.interval.low, 100 * found.interval.high
    return (
        f"{points(found.difference)} points ({interval(low, high)}; {gain.verdict.claim.a} in "
        f"{setting.name}, {setting.backbone} on {setting.data}, {count(found.n, 'replicate')})"
    )


def _say_savings(savings: Savings) -> str:
    if not savings.num_saved:
        return ""
    return (
        f" Looking saved {savings.num_saved:,} of {count(savings.num_planned, 'training')} of the "
        "whole plan."
    )
